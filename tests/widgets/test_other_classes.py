"""The lab, and what goes with it, for other classes than digits: names, colours, sizes, and who reads the pictures."""

import io
import json
import re

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from ddpm_lib import (
    DDPM,
    DistillConfig,
    NoiseSchedule,
    TrainConfig,
    UNet,
    UNetConfig,
    distill,
    edit,
    hold_out,
    load_checkpoint,
    make_reference,
    morph,
    renoise_step,
    sample,
    save_checkpoint,
    student_of,
    train,
)
from ddpm_lib.course.pad import Pad
from ddpm_lib.course.plots import digits, gif, png
from ddpm_lib.evaluation import Reference, evaluate
from ddpm_lib.letters import LETTERS
from ddpm_lib.morph import morph_rows
from ddpm_lib.widgets import SAY, SAY_OF_CLASSES, VIEWS, GuidanceLab, LabState, kind_of, lab_picture

TINY = (4, 4, 4)
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def seeded(seed=2026):
    return torch.Generator().manual_seed(seed)


def small(num_classes, **more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DDPM(UNet(UNetConfig(TINY, 4, num_classes, **more)), NoiseSchedule.cosine(20), "v").eval()


def reader(ddpm, answer=0):
    """A reference for what ddpm draws, whose classifier reads every picture as the same class."""

    class Reads(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.num_classes = ddpm.num_classes
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            logits = torch.zeros(len(images), self.num_classes)
            logits[:, answer] = 1
            return logits, images.flatten(1)[:, :2]

    of = {"accuracy": 0.987, "classes": ddpm.unet.config.classes, "image_shape": ddpm.image_shape}
    return Reference(torch.zeros(2, 2), torch.zeros(2).long(), {}, {}, Reads(), **of)


def shown(lab):
    """All texts of the panel, with tooltips and options, as one."""
    parts = []

    def walk(widget):
        for name in ("value", "tooltip", "tooltips", "description", "options"):
            text = getattr(widget, name, "")
            parts.append(text.value if isinstance(text, ipywidgets.Widget) else str(text))
        for child in getattr(widget, "children", ()):
            walk(child)

    for part in lab.children[1:]:  # the first holds the style sheet and the script
        walk(part)
    return " ".join(parts)


@pytest.mark.parametrize(
    ("K", "C", "size"),
    [(1, 1, 28), (2, 3, 64), (10, 3, 28), (26, 1, 28), (47, 1, 32), (100, 3, 16)],
)
def test_a_set_goes_all_the_way_from_data_to_lab_and_student(K, C, size, tmp_path):
    names = tuple(f"kind_{k}" for k in range(K))
    ddpm = small(K, channels=C, size=size, classes=names)
    y = torch.arange(max(16, 8 * K)) % K
    data = TensorDataset(torch.rand(len(y), C, size, size, generator=seeded()), y)
    assert len(list(train(ddpm, data, TrainConfig(steps=2, batch_size=4), seeded()))) == 2
    student = student_of(ddpm.eval())
    assert len(list(distill(ddpm, data, DistillConfig(steps=2, stages=(2, 1), batch_size=4), student, seeded()))) == 2
    for name, model in (("teacher", ddpm), ("student", student)):
        save_checkpoint(tmp_path / name, model)
    ddpm, student = (load_checkpoint(tmp_path / name) for name in ("teacher", "student"))
    assert student.unet.config.classes == names

    last = torch.tensor([K - 1, 0])
    x = sample(student, last, steps=2, sampler=renoise_step, generator=seeded())
    assert x.shape == (2, C, size, size)
    assert edit(ddpm, x, last, t=10, steps=2, generator=seeded()).shape == x.shape
    frames = morph(ddpm, last, frames_per_change=2, hold=1, generator=seeded())
    rows = morph_rows(last, 2, 1, K)
    with Image.open(io.BytesIO(gif(frames, rows, classes=names))) as film:
        assert film.size == (5 * size, 5 * size + 60)
    png(digits(frames[None], column_labels=list("abcd")))
    sets = hold_out(data, 0.5, seeded())
    reference = make_reference(*sets, classes=names, steps=1, generator=seeded())
    assert 0 <= evaluate(x, last, reference).agreement <= 1

    lab = GuidanceLab(ddpm, student, reference)
    columns, down = picture_size(lab, C, size)
    assert columns * down >= (10 if K == 1 else K) > columns * (down - 1)
    assert columns <= 10
    for view in VIEWS:
        state = LabState(view, steps=2, t=10, first=0, second=K - 1)
        picture = lab_picture(ddpm, state, reference=lab.reference)
        height, width, depth = picture.pixels.shape
        assert (height % (size + 2), width % (size + 2), depth) == (0, 0, C + 1)
        assert width <= 10 * (size + 2)
        assert height <= 10 * (size + 2)
        assert "digit" not in picture.caption
    assert Pad(ddpm).finished.value[:4] == b"\x89PNG"


def picture_size(lab, C, size):
    pixels = np.asarray(Image.open(io.BytesIO(lab.picture.value)))
    assert pixels.shape[2] == C + 1
    assert pixels[..., -1].any()
    return pixels.shape[1] // (size + 2), pixels.shape[0] // (size + 2)


def test_the_grid_is_what_sample_draws_in_its_colours():
    ddpm = small(7, channels=3, size=16)
    x = sample(ddpm, torch.arange(7), 1.5, steps=3, generator=seeded(4))
    picture = lab_picture(ddpm, LabState(w=1.5, seed=4, steps=3))
    tiles = picture.pixels.reshape(2, 18, 4, 18, 4).transpose(0, 2, 1, 3, 4).reshape(8, 18, 18, 4)
    assert np.array_equal(tiles[:7, 1:-1, 1:-1, :3], (x * 255).round().byte().permute(0, 2, 3, 1))
    assert not tiles[7].any()  # the eighth place is empty, and so is opacity
    assert (tiles[:7, 1:-1, 1:-1, 3] == 255).all()


def test_letters_have_their_names_and_no_word_about_digits():
    lab = GuidanceLab(small(26, classes=LETTERS))
    assert lab.digit.options[0] == ("(all 26)", -1)  # no letter: whoever types A gets to A
    assert [name for name, _ in lab.digit.options[1:]] == list(LETTERS)
    assert [name for name, _ in lab.first.options] == list(LETTERS)
    assert (lab.first.description, lab.second.description, lab.digit.description) == ("class A", "class B", "class")
    assert lab.state == LabState(t=14, first=0, second=25)
    assert re.findall("<span>(.*?)</span>", lab._rows.value) == ["A – G", "H – N", "O – U", "V – Z"]
    assert "digit" not in shown(lab).lower()
    for view in VIEWS:
        picture = lab_picture(lab.ddpm, LabState(view, digit=4, first=2, second=23, steps=2, t=10))
        assert "digit" not in picture.caption
        assert view != "grid" or "Ten times E," in picture.caption
        assert view != "mix" or "50 % of C + 50 % of X" in picture.caption


def test_the_words_for_classes_fit_those_for_digits():
    assert "digit" not in json.dumps(SAY_OF_CLASSES).replace("{digit}", "").lower()
    assert list(SAY_OF_CLASSES["views"].values()) != list(SAY["views"].values())
    flat = [
        re.findall(r"{\w+}", json.dumps(words, ensure_ascii=False)) for words in (SAY, SAY_OF_CLASSES)
    ]  # the same places to fill in
    assert flat[0] == flat[1]


def test_more_than_ten_classes_are_shown_by_ten_where_each_takes_a_row_or_a_column():
    ddpm = small(26, classes=LETTERS)
    row, film, noise = (lab_picture(ddpm, LabState(view, steps=2, t=10)) for view in ("row", "film", "noise"))
    assert row.rows == film.columns == noise.columns == LETTERS[:10]
    assert all(picture.caption.startswith("The first 10 of 26 classes. ") for picture in (row, film, noise))


def test_long_names_are_cut_in_the_picture_and_whole_in_the_words():
    ddpm = small(10, classes=FASHION)
    picture = lab_picture(ddpm, LabState("film", steps=2, t=10))
    assert picture.columns[0] == "T-shirt/…"
    assert picture.columns[3] == "Dress"
    assert "Ten times Ankle boot, each" in lab_picture(ddpm, LabState(digit=9, steps=2)).caption


def test_names_are_text_and_no_formulas():
    ddpm = small(2, classes=("<b>cat</b>", "x_train_0"))
    lab = GuidanceLab(ddpm, reference=reader(ddpm))
    lab._present(
        LabState("mix"), lab_picture(ddpm, LabState("mix", first=0, second=1, steps=2), reference=reader(ddpm))
    )
    assert "&lt;b&gt;cat&lt;/b&gt;" in lab.caption.value
    assert "10 × &lt;b&gt;cat&lt;/b&gt;, 0 × x_train_0" in lab.readout.value
    assert "x_train_0" in lab.picture.tooltip
    assert "x_train_0" in lab.caption.value


# ---------------------------------------------------------------------------- who reads the pictures


@pytest.mark.parametrize(
    "ddpm",
    [
        lambda: small(10, classes=FASHION),
        lambda: small(10, classes=tuple("1234567890")),
        lambda: small(10, size=32),
        lambda: small(10, channels=3),
        lambda: small(9),
    ],
)
def test_what_is_no_digit_is_never_read_as_one(ddpm):
    ddpm = ddpm()
    assert kind_of(ddpm).judge is None
    lab = GuidanceLab(ddpm)
    assert "no judge for these classes <b>–</b>" in lab.readout.value
    assert "make_reference(train_set, test_set)" in shown(lab)
    assert "read as" not in shown(lab)


@pytest.mark.parametrize("classes", [(), tuple("0123456789")])
def test_digits_are_read_by_the_shipped_classifier(classes):
    ddpm = small(10, classes=classes)
    lab = GuidanceLab(ddpm)
    assert re.search(r"read as asked <b>\d+ of 10</b>", lab.readout.value)
    assert "all ten" in lab.digit.options[0]
    assert isinstance(lab.first, ipywidgets.IntSlider)


def test_a_reference_reads_its_classes_and_says_how_well():
    ddpm = small(26, classes=LETTERS)
    reference = reader(ddpm, answer=3)
    lab = GuidanceLab(ddpm, reference=reference)
    assert "read as asked <b>1 of 26</b>" in lab.readout.value
    assert "<b>1 of 26</b><small>judge: 98.7%</small>" in lab.readout.value
    assert "of these classes it reads 98.7% rightly" in shown(lab)
    mixed = lab_picture(ddpm, LabState("mix", first=3, second=25, steps=2), reference=reference)
    assert mixed.agreement == "10 × D, 0 × Z"
    one = lab_picture(ddpm, LabState(digit=3, steps=2), reference=reference)
    assert one.agreement == "10 of 10"


def test_a_model_without_names_takes_those_of_its_judge():
    ddpm = small(10)
    assert kind_of(ddpm).is_digits
    named = reader(ddpm)._replace(classes=FASHION)
    lab = GuidanceLab(ddpm, reference=named)
    assert [name for name, _ in lab.digit.options[1:]] == list(FASHION)
    assert "digit" not in shown(lab).lower()


def test_a_student_of_other_classes_is_refused():
    teacher = small(3, classes=("a", "b", "c"))
    for other, what in (
        (small(4), "number of classes"),
        (small(3, classes=("c", "b", "a")), "classes"),
        (small(3, classes=("a", "b", "c"), size=32), "image_shape"),
    ):
        with pytest.raises(ValueError, match=f"^student's {what}"):
            GuidanceLab(teacher, student_of(other))
    assert GuidanceLab(teacher, student_of(teacher)).student.w_max == 4


@pytest.mark.parametrize("wrong", [{"first": 3}, {"second": -1}, {"first": 10}])
def test_a_mixture_of_classes_that_are_not_there_is_refused(wrong):
    with pytest.raises(ValueError, match=r"^first and second must"):
        lab_picture(small(3), LabState("mix", **({"first": 0, "second": 1, "steps": 2} | wrong)))


def test_a_reference_for_other_pictures_is_refused():
    ddpm = small(3, classes=("a", "b", "c"))
    others = [small(4), small(3, classes=("b", "c", "a")), small(3, size=32)]
    for other in others:
        with pytest.raises(ValueError, match=r"^model must draw .*make_reference\("):
            GuidanceLab(ddpm, reference=reader(other))
    with pytest.raises(ValueError, match=r"^reference must be what make_reference returns"):
        GuidanceLab(ddpm, reference=reader(ddpm).classifier)
