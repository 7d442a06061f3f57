"""What must not pass: NaN and infinity, work under a wrong mode, what can't be saved; and float64, cast in time."""

import math

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.data import TensorDataset

from ddpm_lib import (
    DDPM,
    NoiseSchedule,
    TrainConfig,
    UNet,
    UNetConfig,
    load_checkpoint,
    morph,
    sample,
    save_checkpoint,
    train,
)
from ddpm_lib.distillation import DistillConfig, distill, student_of
from ddpm_lib.evaluation import evaluate
from ddpm_lib.files import read_tensors
from ddpm_lib.widgets import GuidanceLab

CONFIG = TrainConfig(steps=6, batch_size=8)
NAN, INF = math.nan, math.inf


def finite(model):
    return all(tensor.isfinite().all() for tensor in model.state_dict().values())


# ---------------------------------------------------------------------------- gate 1: a training step


@pytest.mark.parametrize("lr", [1e20, 1e30, 3e38])
def test_a_training_that_diverges_stops_and_names_step_and_lr(lr, make_ddpm, few_digits):
    ddpm, steps = make_ddpm(), []

    def run():
        for record in train(ddpm, few_digits, TrainConfig(steps=50, batch_size=8, lr=lr)):
            assert math.isfinite(record.loss)
            steps.append(record.step)

    with pytest.raises(ValueError, match=r"loss is (nan|inf) at step \d+ with lr \S*e\+") as error:
        run()
    assert f"at step {len(steps) + 1} " in str(error.value)
    assert finite(ddpm)  # the step that failed isn't in the average


@pytest.mark.parametrize("wrong", [NAN, INF, -INF])
def test_a_loss_of_ones_own_that_is_no_number_stops_the_training_before_it_is_averaged(wrong, make_ddpm, few_digits):
    ddpm, calls = make_ddpm(), []

    def loss(ddpm, x_0, y):
        calls.append(len(calls) + 1)
        return ddpm.loss(x_0, y) * (wrong if len(calls) == 4 else 1)

    with pytest.raises(ValueError, match="at step 4 with lr"):
        list(train(ddpm, few_digits, CONFIG, loss=loss))
    assert len(calls) == 4
    assert finite(ddpm)
    assert sample(ddpm, [1, 2], steps=2).isfinite().all()


def test_the_last_good_snapshot_is_kept(tmp_path, make_ddpm, few_digits, monkeypatch):
    monkeypatch.setattr("ddpm_lib.training.EVERY", 2)
    path, kept = tmp_path / "snapshot", {}

    def loss(ddpm, x_0, y):
        return ddpm.loss(x_0, y) * (NAN if kept else 1)

    def run():
        for record in train(make_ddpm(), few_digits, CONFIG, loss=loss, resume=path):
            if record.step == 4:
                kept["file"] = path.read_bytes()

    for _ in range(2):  # the second call goes on from step 4, and fails there again
        with pytest.raises(ValueError, match="at step 5 with lr"):
            run()
        assert path.read_bytes() == kept["file"]
    assert read_tensors(path, "snapshot")[0]["step"] == 4


def test_weights_that_are_no_numbers_while_the_loss_still_is_one_write_no_snapshot(tmp_path, make_ddpm, few_digits):
    """The loss of the last step is finite, and its update is not: no later step would notice."""

    class Breaks(torch.optim.SGD):
        calls = 0

        def step(self, closure=None):
            super().step(closure)
            self.calls += 1
            if self.calls == 6:
                with torch.no_grad():
                    self.param_groups[0]["params"][0].fill_(NAN)

    path = tmp_path / "snapshot"
    with pytest.raises(ValueError, match=r"step 6 with lr .*snapshot stays as it was.*NaN"):
        list(train(make_ddpm(), few_digits, CONFIG, optimizer=lambda p: Breaks(p, lr=1e-3), resume=path))
    assert read_tensors(path, "snapshot")[0]["step"] == 0


# ---------------------------------------------------------------------------- gates 2 and 3: sample, save, the lab

BROKEN = {
    "a weight": ("head.weight", NAN),
    "a bias": ("head.bias", INF),
    "minus infinity": ("head.bias", -INF),
    "a mean": ("encoder_28.1.running_mean", NAN),
    "a variance": ("decoder_28.1.running_var", INF),
    "a variance below 0": ("encoder_28.1.running_var", -1.0),
    "an embedding": ("time_mlp.0.weight", NAN),
}


@pytest.fixture(params=BROKEN)
def broken(request, make_ddpm):
    name, value = BROKEN[request.param]
    ddpm = make_ddpm(T=30)
    with torch.no_grad():
        ddpm.unet.state_dict()[name].fill_(value)
    return ddpm


def test_a_broken_model_is_not_saved(broken, tmp_path):
    with pytest.raises(ValueError, match=r"^ddpm .*(NaN or infinity|a variance below 0)"):
        save_checkpoint(tmp_path / "a", broken)
    assert not (tmp_path / "a").exists()


def test_a_broken_model_does_not_draw(broken, request):
    if request.node.callspec.params["broken"] == "a variance":
        return  # an infinite variance divides by infinity: a picture of zeros, and finite
    for sampler in ("ddim", "ancestral", "dpmpp_2m"):
        with pytest.raises(ValueError, match="finite"):
            sample(broken, [1, 2], sampler=sampler, steps=3)
    with pytest.raises(ValueError, match="finite"):
        morph(broken, [1, 2])


@pytest.mark.parametrize("prediction", ["eps", "x_0", "v", "flow"])
def test_infinite_answers_are_refused_though_clipping_would_make_them_black_pixels(prediction, stub_ddpm):
    ddpm = stub_ddpm(lambda x_t, t, y: torch.full_like(x_t, INF), prediction)
    with pytest.raises(ValueError, match="finite"):
        sample(ddpm, [1], w=0.0, steps=3)


def test_noise_and_own_samplers_are_looked_at_too(tiny_ddpm):
    with pytest.raises(ValueError, match="finite"):
        sample(tiny_ddpm, [1], x_T=torch.full((1, 1, 28, 28), NAN), steps=2)
    with pytest.raises(ValueError, match=r"x_s.*finite.*sampler"):
        sample(tiny_ddpm, [1], sampler=lambda schedule, x_t, *more: x_t * NAN, steps=2)


def test_the_lab_says_that_it_cant_draw(make_ddpm):
    ddpm = make_ddpm(T=30)
    with torch.no_grad():
        ddpm.unet.head.bias.fill_(NAN)
    lab = GuidanceLab(ddpm)
    assert "finite" in lab.status.value
    assert "nan" not in lab.readout.value
    assert not lab.picture.value


def test_what_is_finite_passes_all_gates(tmp_path, make_ddpm, few_digits):
    ddpm = make_ddpm(T=30)
    assert len(list(train(ddpm, few_digits, CONFIG))) == 6
    save_checkpoint(tmp_path / "a", ddpm)
    assert sample(load_checkpoint(tmp_path / "a"), [1, 2], steps=3).isfinite().all()


# ---------------------------------------------------------------------------- modes


def calls(ddpm, few_digits):
    """Both trainings, up to their first step."""
    yield lambda: train(ddpm, few_digits, CONFIG)
    yield lambda: distill(ddpm, few_digits, DistillConfig(steps=4, stages=(2, 1)), student=ddpm)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.set_grad_enabled(False)])
def test_training_without_gradients_is_refused_at_the_call(mode, make_ddpm, few_digits):
    for call in calls(make_ddpm(), few_digits):
        with mode(), pytest.raises(ValueError, match=r"needs gradients.*no_grad"):
            call()
    steps = train(make_ddpm(), few_digits, CONFIG)
    with mode(), pytest.raises(ValueError, match=r"needs gradients.*no_grad"):
        next(steps)


@pytest.mark.parametrize("change", [torch.nn.Module.half, torch.nn.Module.bfloat16])
def test_weights_of_half_precision_are_refused_at_the_call(change, make_ddpm, few_digits):
    for call in calls(change(make_ddpm()), few_digits):
        with pytest.raises(ValueError, match=r"float32.*\.float\(\)"):
            call()


def test_frozen_missing_and_empty_weights_are_refused_at_the_call(make_ddpm, few_digits):
    frozen = make_ddpm().requires_grad_(False)
    nothing = DDPM(torch.nn.Identity(), NoiseSchedule.cosine(20))
    for ddpm, why in ((frozen, r"requires_grad_\(\)"), (nothing, "none"), (make_ddpm().to("meta"), "meta")):
        for call in calls(ddpm, few_digits):
            with pytest.raises(ValueError, match=why):
                call()
    partly = make_ddpm()
    partly.unet.encoder_28.requires_grad_(False)
    before = partly.unet.encoder_28[0].weight.clone()
    assert len(list(train(partly, few_digits, CONFIG))) == 6  # to train some of the weights is fine
    assert torch.equal(before, partly.unet.encoder_28[0].weight)


def test_a_frozen_teacher_is_fine(make_ddpm, few_digits):
    teacher = make_ddpm().requires_grad_(False)
    assert next(distill(teacher, few_digits, DistillConfig(steps=2, stages=(2, 1)))).step == 1


# ---------------------------------------------------------------------------- wrappers


def compiled_unet(ddpm):
    return DDPM(torch.compile(ddpm.unet, backend="eager"), ddpm.schedule, ddpm.prediction)


def compiled_in_place(ddpm):
    ddpm.unet.compile(backend="eager")
    return ddpm


WRAPPED = {
    "the network compiled": compiled_unet,
    "all of it compiled": lambda ddpm: torch.compile(ddpm, backend="eager"),
    "both": lambda ddpm: torch.compile(compiled_unet(ddpm), backend="eager"),
    "compiled in place": compiled_in_place,
    "data-parallel": lambda ddpm: DDPM(torch.nn.DataParallel(ddpm.unet), ddpm.schedule, ddpm.prediction),
    "an average": lambda ddpm: DDPM(torch.optim.swa_utils.AveragedModel(ddpm.unet), ddpm.schedule, ddpm.prediction),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_wrapped_model_trains_is_saved_and_comes_back_without_its_wrapper(kind, tmp_path, few_digits):
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 8, 8), embedding_width=8, num_classes=12)
    ddpm = WRAPPED[kind](DDPM(UNet(config), NoiseSchedule.cosine(20), "v"))
    assert ddpm.num_classes == 12
    rows = torch.nn.functional.one_hot(few_digits.tensors[1], 12).float()
    if kind != "compiled in place":  # to be traced, a module must be one that torch can compile on this machine
        assert len(list(train(ddpm, TensorDataset(few_digits.tensors[0], rows), CONFIG))) == 6
    save_checkpoint(tmp_path / "a", ddpm)
    loaded = load_checkpoint(tmp_path / "a")
    assert type(loaded.unet) is UNet
    assert loaded.unet.config == config
    saved = {name.replace("_orig_mod.", "").replace("module.", ""): x for name, x in ddpm.state_dict().items()}
    assert all(torch.equal(x, saved[name]) for name, x in loaded.state_dict().items())
    assert student_of(ddpm).w_max == 4.0


# ---------------------------------------------------------------------------- a device without float64


class WithoutFloat64(TorchFunctionMode):
    """Stands for a device that knows no float64, as Apple's mps: such a tensor must be cast before it is moved."""

    moves = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.Tensor.to:
            target = [*args[1:], *kwargs.values()]
            if any(isinstance(value, str | torch.device | torch.Tensor) for value in target):
                self.moves += 1
                if args[0].dtype == torch.float64:
                    raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return function(*args, **kwargs)


def test_the_device_without_float64_is_one():
    with WithoutFloat64() as device, pytest.raises(TypeError, match="float64"):
        torch.zeros(2, dtype=torch.float64).to("cpu")
    assert device.moves == 1


def test_float64_is_cast_before_it_is_moved(make_ddpm, few_digits, soft_rows):
    x, y = few_digits.tensors
    rows = torch.nn.functional.one_hot(y, 10).double()
    ddpm, noise = make_ddpm(T=30), torch.randn(3, 1, 28, 28, dtype=torch.float64)
    with WithoutFloat64() as device:
        for labels in (y, rows):
            list(train(make_ddpm(), TensorDataset(x.double(), labels), CONFIG, device=torch.device("cpu")))
        next(distill(ddpm, TensorDataset(x.double(), rows), DistillConfig(steps=2, stages=(2, 1))))
        for sampler in ("ddim", "ancestral", "dpmpp_2m"):
            w = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
            sample(ddpm, soft_rows(3).double(), w=w, sampler=sampler, steps=3, x_T=noise)
        morph(ddpm, rows[::10])
        ddpm.loss(x, rows)
        ddpm.predict_noise(x, torch.full((len(x),), 3), rows, w=torch.ones(len(x), dtype=torch.float64))
        evaluate(x.double(), y)
    assert device.moves > 20


def test_a_training_on_float64_is_the_training_on_float32(make_ddpm, few_digits):
    x, y = few_digits.tensors
    losses = [
        [record.loss for record in train(make_ddpm(), data, CONFIG, generator=torch.Generator().manual_seed(0))]
        for data in (few_digits, TensorDataset(x.double(), y), TensorDataset(x.double(), y.byte()))
    ]
    assert losses[0] == losses[1] == losses[2]
