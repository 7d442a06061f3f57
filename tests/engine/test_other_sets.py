"""Other classes, colours and sizes than MNIST's; and MNIST itself, whose digits must stay what they were."""

import hashlib
import json

import pytest
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import (
    DDPM,
    DistillConfig,
    NoiseSchedule,
    TrainConfig,
    UNet,
    UNetConfig,
    checkpoint,
    distill,
    edit,
    inpaint,
    load_checkpoint,
    morph,
    sample,
    save_checkpoint,
    student_of,
    train,
)
from ddpm_lib.files import read_tensors, write_tensors

WIDTHS = (4, 4, 4)


def seeded(seed=2026):
    return torch.Generator().manual_seed(seed)


def small(num_classes=2, **more):
    torch.manual_seed(0)
    return DDPM(UNet(UNetConfig(WIDTHS, 4, num_classes, **more)), NoiseSchedule.cosine(20), "v")


# Each number of classes, and each colour with each size.
SETS = [(K, 1, 28) for K in (1, 2, 10, 26, 47, 100)] + [(3, C, size) for C in (1, 3) for size in (16, 28, 32, 64)]


@pytest.mark.parametrize(("K", "C", "size"), [(26, 1, 28), (2, 3, 32), (10, 1, 16)])
def test_a_set_that_does_not_fit_is_refused_with_the_line_that_makes_a_model(K, C, size):
    data = TensorDataset(torch.rand(K, C, size, size, generator=seeded()), torch.arange(K))
    with pytest.raises(ValueError, match=r"^train_set's (images|labels) must") as error:
        train(DDPM.recommended(), data, TrainConfig(steps=1))
    known = {"DDPM": DDPM}
    exec(str(error.value).partition("a model for these: ")[2], known)
    assert known["ddpm"].image_shape == (C, size, size)
    assert known["ddpm"].num_classes == max(10, K)
    train(known["ddpm"], data, TrainConfig(steps=1))


@pytest.mark.parametrize("y", [torch.arange(1, 11), torch.rand(10), torch.zeros(10, dtype=torch.complex64)])
def test_labels_from_1_and_no_labels_have_no_such_line(y):
    with pytest.raises(ValueError, match=r"^train_set's labels") as error:
        train(DDPM.recommended(), TensorDataset(torch.rand(10, 1, 28, 28), y), TrainConfig(steps=1))
    assert "a model for these" not in str(error.value)


@pytest.mark.parametrize(("K", "C", "size"), SETS)
def test_a_set_goes_all_the_way_from_data_to_pictures(K, C, size, tmp_path):
    names = tuple(f"kind {k}" for k in range(K))
    ddpm = small(K, channels=C, size=size, classes=names)
    assert (ddpm.num_classes, ddpm.image_shape) == (K, (C, size, size))
    y = torch.arange(max(K, 8)) % K
    data = TensorDataset(torch.rand(len(y), C, size, size, generator=seeded()), y)
    before = ddpm.unet.head.weight.clone()
    assert len(list(train(ddpm, data, TrainConfig(steps=2, batch_size=4), seeded()))) == 2
    assert not torch.equal(before, ddpm.unet.head.weight)

    save_checkpoint(tmp_path / "a", ddpm)
    loaded = load_checkpoint(tmp_path / "a")
    assert loaded.unet.config == ddpm.unet.config
    assert loaded.unet.config.classes == names
    last = torch.tensor([K - 1, 0])
    for sampler in ("ancestral", "ddim", "dpmpp_2m"):
        x = sample(loaded, last, sampler=sampler, steps=3, generator=seeded())
        assert x.shape == (2, C, size, size)
        assert torch.equal(x, sample(ddpm, last, sampler=sampler, steps=3, generator=seeded()))
    frames = morph(loaded, last, frames_per_change=1, hold=1, generator=seeded())
    assert frames.shape == (3, C, size, size)
    edited = edit(loaded, frames[:2], last, t=10, steps=4, generator=seeded())
    mask = torch.zeros(1, C, size, size, dtype=torch.bool)
    mask[..., : size // 2] = True
    filled = inpaint(loaded, frames[:1], mask, last, steps=3, repeats=2, generator=seeded())
    assert edited.shape == filled.shape == (2, C, size, size)
    assert torch.equal(filled[~mask.expand_as(filled)], frames[:1].expand_as(filled)[~mask.expand_as(filled)])


def test_a_student_draws_what_its_teacher_draws(tmp_path):
    teacher = small(3, channels=3, size=32, classes=("red", "green", "blue"))
    data = TensorDataset(torch.rand(8, 3, 32, 32), torch.arange(8) % 3)
    student = student_of(teacher)
    assert len(list(distill(teacher, data, DistillConfig(steps=2, stages=(2, 1), batch_size=4), student))) == 2
    assert student.unet.config.classes == ("red", "green", "blue")
    assert sample(student, [0, 2], steps=1).shape == (2, 3, 32, 32)


def test_the_recommended_model_takes_the_fields_of_the_config():
    names = tuple("abc")
    ddpm = DDPM.recommended(num_classes=3, channels=3, size=16, classes=names)
    assert ddpm.unet.config == UNetConfig(num_classes=3, channels=3, size=16, classes=names)
    assert DDPM.recommended(26).num_classes == 26
    assert DDPM.recommended().unet.config == UNetConfig()
    with pytest.raises(TypeError, match="colours"):
        DDPM.recommended(colours=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("channels", c) for c in (0, 2, 4, True, 1.0, "3", None)]
    + [("size", s) for s in (0, 12, 18, 27, 30, 68, 28.0, "28", (28, 28), True)]
    + [("classes", c) for c in ("ab", None, ("a",), ("a", "b", "c"), ("a", "a"), ("a", ""), ("a", " "), ("a", 1), {})],
)
def test_a_field_that_makes_no_model_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError, match=rf"^{field} must be .* got "):
        UNetConfig(num_classes=2, **{field: value})


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32), (2, 3, 32, 16), (3, 32, 32)])
def test_pictures_of_another_set_are_refused_with_both_shapes(shape):
    ddpm, x = small(channels=3, size=32), torch.rand(shape)
    calls = {
        "x_0": lambda: ddpm.loss(x, torch.tensor([0, 1])),
        "x_t": lambda: ddpm.predict_noise(x, torch.tensor([1, 2]), torch.tensor([0, 1])),
        "x_T": lambda: sample(ddpm, [0, 1], x_T=x),
        "images": lambda: edit(ddpm, x, [0, 1], t=5),
        "train_set's images": lambda: train(ddpm, TensorDataset(x, torch.arange(len(x)) % 2), TrainConfig(steps=1)),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"^{name} must .*\(B, 3, 32, 32\).*{x.shape[-1]}\)"):
            call()


def test_bytes_of_colours_are_refused_with_the_line_that_converts_them():
    ddpm, pictures = small(channels=3, size=32), torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    train_set = TensorDataset(pictures, torch.tensor([0, 1, 1, 0]))
    with pytest.raises(ValueError, match="This converts it: ") as error:
        train(ddpm, train_set, TrainConfig(steps=1))
    scope = {"torch": torch, "train_set": train_set}
    exec(str(error.value).partition("This converts it: ")[2], scope)
    assert torch.equal(scope["train_set"].tensors[0], pictures.permute(0, 3, 1, 2) / 255)
    assert len(list(train(ddpm, scope["train_set"], TrainConfig(steps=1)))) == 1


def test_a_network_without_a_config_draws_mnist():
    class Plain(torch.nn.Module):
        def forward(self, x_t, t, y):
            return 0 * x_t

    ddpm = DDPM(Plain(), NoiseSchedule.cosine(20))
    assert (ddpm.num_classes, ddpm.image_shape, ddpm.w_max) == (10, (1, 28, 28), 0)


# ---------------------------------------------------------------------------- MNIST is as before


def test_a_checkpoint_from_before_the_new_fields_is_mnist(tmp_path):
    ddpm = small(10)
    save_checkpoint(tmp_path / "new", ddpm)
    tensors, header = read_tensors(tmp_path / "new", checkpoint.KIND)
    config = json.loads(header["unet"])
    for field in ("channels", "size", "classes"):
        del config[field]
    write_tensors(tmp_path / "old", checkpoint.KIND, tensors, header | {"unet": json.dumps(config)})
    old = load_checkpoint(tmp_path / "old")
    assert old.unet.config == ddpm.unet.config
    assert torch.equal(sample(old, [3], generator=seeded()), sample(ddpm, [3], generator=seeded()))


@pytest.mark.parametrize(
    "forged",
    [{"channels": 2}, {"size": 29}, {"size": 10**9}, {"classes": ["a"]}, {"classes": [1] * 10}, {"channels": 3}],
)
def test_a_forged_config_is_refused(forged, tmp_path):
    save_checkpoint(tmp_path / "a", small(10))
    tensors, header = read_tensors(tmp_path / "a", checkpoint.KIND)
    header |= {"unet": json.dumps(json.loads(header["unet"]) | forged)}
    write_tensors(tmp_path / "b", checkpoint.KIND, tensors, header)
    with pytest.raises(ValueError, match="b holds configs and weights that make no model"):
        load_checkpoint(tmp_path / "b")


def test_the_weights_of_a_seed_are_what_they_were():
    """Digests of the version before the new fields: the same names, and the same numbers for seed 0."""
    torch.manual_seed(0)
    state = DDPM.recommended().state_dict()
    names = hashlib.sha256(" ".join(state).encode()).hexdigest()[:16]
    assert names == "58e3956d6c1fdafd"
    sums = torch.stack([tensor.double().sum() for tensor in state.values()])
    assert sums.sum().item() == pytest.approx(982.16404, abs=1e-4)


def test_the_digits_of_a_seed_are_what_they_were():
    """A 3 and an 8 of the version before the new fields, as means of 7×7 pixels: last bits differ between machines."""
    x = sample(load_checkpoint(), torch.tensor([3, 8]), w=1.0, steps=20, generator=seeded())
    means = x.view(2, 4, 7, 4, 7).mean((2, 4)).flatten()
    assert means.tolist() == pytest.approx([n / 1e4 for n in DIGITS], abs=5e-4)
    noise = torch.randn(2, 1, 28, 28, generator=seeded())  # bit for bit, on every machine
    assert torch.equal(x, sample(load_checkpoint(), torch.tensor([3, 8]), w=1.0, steps=20, x_T=noise))


DIGITS = [
    15, 1085, 2085, 35, 29, 3927, 7824, 39, 596, 1580, 6139, 302, 1043, 3773, 2087, 19,
    27, 441, 2145, 68, 20, 4801, 4970, 158, 19, 4520, 4045, 23, 20, 2536, 2328, 12,
]  # fmt: skip
