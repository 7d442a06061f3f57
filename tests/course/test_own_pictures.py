"""What notebook 12 shows: a folder as a school class hands it in, a mirrored letter, pages squeezed and padded."""

import pytest
import torch

from ddpm_lib import load_folder
from ddpm_lib.course import own_pictures
from ddpm_lib.letters import LETTERS


@pytest.fixture(scope="module")
def letters():
    return own_pictures.letters_in(["DejaVuSans"], 10, seed=0)


def test_the_folder_has_pictures_of_all_types_and_six_things_that_are_refused(letters, tmp_path):
    own_pictures.make_folder(tmp_path, letters, n=10, few=5)
    data, classes, refused = load_folder(tmp_path)
    assert classes == tuple("ABCDE")
    assert data.tensors[1].bincount().tolist() == [10, 10, 10, 10, 5]
    names = ["A/broken.jpg", "B/notes.txt", "C/blank.png", "C/drawing.svg", "D/film.gif", "F"]
    assert [file.relative_to(tmp_path).as_posix() for file, _ in refused] == names
    # Whatever the paper was, and however the camera was held: each picture shows the letter that it was made of.
    for made, read in zip(letters.tensors[0][letters.tensors[1] == 0], data.tensors[0][:10], strict=True):
        sizes = [(image > 0.3).nonzero()[:, -2:] for image in (made, read)]
        height, width = ((size.amax(dim=0) - size.amin(dim=0)).double() for size in sizes)
        assert height[0] / height[1] == pytest.approx(width[0] / width[1], rel=0.25)
    assert own_pictures.listing(tmp_path).splitlines()[-1] == "F/  0 files"


def test_one_class_is_mirrored_and_no_other(letters):
    images, labels = letters.tensors
    for seed in range(5):
        changed = own_pictures.with_one_mirrored(images, labels, seed)
        of_class = (changed != images).flatten(1).any(dim=1)
        assert len(labels[of_class].unique()) == 1
        assert LETTERS[labels[of_class][0]] not in "AHIMOTUVWXY"
        assert torch.equal(changed[of_class].flip(-1), images[of_class])


def test_padding_keeps_a_shape_and_squeezing_does_not(letters):
    images = letters.tensors[0][letters.tensors[1] == LETTERS.index("I")]
    pages = own_pictures.cut_out(images)
    assert all(page.shape[1] > page.shape[2] for page in pages)
    ink = {name: (f(pages) > 0.5).any(dim=2).sum(dim=-1).double().mean() for name, f in
           {"padded": own_pictures.padded, "squeezed": own_pictures.squeezed}.items()}  # fmt: skip
    assert ink["squeezed"] > 1.5 * ink["padded"]
