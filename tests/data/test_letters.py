"""Letters from fonts: what is drawn, that a seed draws it again, and how training and test letters are kept apart."""

import pytest
import torch

from ddpm_lib import load_letters
from ddpm_lib.letters import FONTS, LETTERS, _glyph


@pytest.fixture(scope="module")
def letters():
    return load_letters(12, seed=3)


def test_the_sets_have_the_form_of_mnist(letters):
    for data, n in zip(letters, (12, 1), strict=True):
        images, labels = data.tensors
        assert images.shape == (26 * n, 1, 28, 28)
        assert images.dtype == torch.float32
        assert labels.dtype == torch.long
        assert labels.bincount().tolist() == [n] * 26
        assert images.min() == 0
        assert 0.5 < images.amax(dim=(1, 2, 3)).min() <= images.max() <= 1


def test_letters_are_white_on_black_and_keep_inside_the_picture(letters):
    images = letters[0].tensors[0]
    edge = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], dim=-1)
    assert (edge.amax(dim=(1, 2)) > 0.1).float().mean() < 0.02
    assert 0.05 < images.mean() < 0.25
    middle = (images * torch.arange(28)).sum(dim=(1, 2, 3)) / images.sum(dim=(1, 2, 3))
    assert (middle - 13.5).abs().max() < 6


def test_no_two_letters_are_equal_and_none_is_both_in_training_and_in_test(letters):
    images = torch.cat([data.tensors[0] for data in letters]).flatten(1)
    assert len(images.unique(dim=0)) == len(images)


def test_a_class_is_nearer_to_itself_than_to_others(letters):
    """The nearest mean of the training letters names most test letters: labels and letters belong together."""
    images, labels = letters[0].tensors
    means = torch.stack([images[labels == k].mean(dim=0) for k in range(26)]).flatten(1)
    test = load_letters(40, seed=4)[1].tensors
    assert (torch.cdist(test[0].flatten(1), means).argmin(dim=1) == test[1]).float().mean() > 0.5


def test_a_seed_draws_the_same_letters_again_and_fewer_are_the_first_ones(letters):
    again, other = load_letters(5, seed=3), load_letters(5, seed=4)
    first = letters[0].tensors[0].view(26, 12, 784)[:, :5].reshape(-1, 1, 28, 28)
    assert torch.equal(again[0].tensors[0], first)
    assert torch.equal(again[1].tensors[0], letters[1].tensors[0])
    assert not torch.equal(again[0].tensors[0], other[0].tensors[0])


def test_a_held_out_font_draws_all_test_letters_and_no_training_letter(monkeypatch):
    seen = []
    monkeypatch.setattr("ddpm_lib.letters._glyph", lambda *told: seen.append(told[:2]) or _glyph(*told))
    load_letters(10, held_out_font="cmtt10")
    train_fonts, test_fonts = ({font for _, font in part} for part in (seen[: 26 * 10], seen[26 * 10 :]))
    assert test_fonts == {"cmtt10"}
    assert train_fonts == set(FONTS) - {"cmtt10"}


def test_each_font_draws_26_different_letters():
    for font in FONTS:
        drawn = {_glyph(letter, font, 0)[0].tobytes() for letter in LETTERS}
        assert len(drawn) == 26, font
        assert bytes(192 * 192) not in drawn, font


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_per_class", 0), ("n_per_class", 2.0), ("seed", -1), ("seed", None), ("seed", 1.5), ("held_out_font", "Arial"),
     ("held_out_font", 3), ("held_out_font", "cmsy10")],
)  # fmt: skip
def test_bad_arguments_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be "):
        load_letters(**{"n_per_class": 1, name: value})
