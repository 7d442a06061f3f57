"""The public interface, called in bulk with arguments good and bad; files, damaged in bulk.

Every call either works, or raises ValueError or TypeError with a message that names the argument. What works gives no
NaN (the arguments that are numbers are finite), and no call changes the caller's tensors, a random generator that isn't
the caller's, the train/eval mode, the default dtype or the grad mode. A call that hangs ends the run with a traceback.

Two calls in five are valid, and have to work. In the others one argument is replaced: by something off its range, of
another shape or dtype, or by anything at all. `make stress` tries DDPM_CASES calls, `make test` a tenth of them.

Not here: sizes that are fine but for the memory that they take (a network 10^9 channels wide), tensors that are sparse,
quantized or without data, and UNet.forward, which asks nothing: `DDPM` is what calls it, and asks.
"""

import contextlib
import copy
import faulthandler
import io
import json
import math
import os
import pickle
import random
import re
import time
from fractions import Fraction
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
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
    load_letters,
    load_mnist,
    morph,
    read_metadata,
    sample,
    sample_steps,
    save_checkpoint,
    student_of,
    train,
)
from ddpm_lib.evaluation import evaluate

CASES = int(os.environ.get("DDPM_CASES", "120"))
SECONDS_PER_CALL, SECONDS_UNTIL_HANG = 20, 120
T = 20

# ---------------------------------------------------------------------------- arguments


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def model(prediction="eps", training=False, w_max=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet(UNetConfig((4, 8, 8), 8, w_max=w_max))
        return DDPM(unet, NoiseSchedule.cosine(T), prediction).train(training)


predictions = st.sampled_from(["eps", "x_0", "v", "flow"])
models = st.builds(model, predictions, st.booleans(), st.sampled_from([0.0, 0.0, 3.0]))
teachers = st.builds(model, predictions, st.booleans())
generators = st.builds(seeded, st.integers(0, 99)) | st.none()
floats = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float32, torch.float64])


@st.composite
def images(draw, batch, low=-1.0, high=1.0, dtypes=floats):
    """(batch, 1, 28, 28) between low and high, often not contiguous, expanded, or with a gradient."""
    x = torch.rand(batch, 1, 28, 28, generator=seeded(draw(st.integers(0, 9)))) * (high - low) + low
    x = x.clamp(low, high).to(draw(dtypes))
    kind = draw(st.sampled_from(["plain", "plain", "constant", "transposed", "expanded", "gradient"]))
    if kind == "constant":
        x = torch.full_like(x, draw(st.sampled_from([low, 0.0, high])))
    if kind == "transposed":
        x = x.mT
    if kind == "expanded":
        x = x[:1].expand(batch, -1, -1, -1)
    return x.requires_grad_() if kind == "gradient" else x


def masks(batch):
    """(batch, 1, 28, 28) of True and False, or 1 and 0, often of one kind only."""
    return st.builds(lambda share, dtype: (torch.rand(batch, 1, 28, 28, generator=seeded()) < share).to(dtype),
                     st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([torch.bool, torch.uint8]) | floats)  # fmt: skip


@st.composite
def labels(draw, batch, rows=True):
    """Integers of any integer dtype, as tensor, list or array; or soft rows, some of them without a label."""
    y = torch.randint(10, (batch,), generator=seeded(draw(st.integers(0, 9))))
    kinds = ["int64", "int32", "uint8", "int8", "list", "numpy"] + ["rows", "soft", "double", "null"] * rows
    kind = draw(st.sampled_from(kinds))
    if kind == "list":
        return y.tolist()
    if kind == "numpy":
        return y.numpy()
    if kind in ("rows", "double", "null"):
        y = torch.nn.functional.one_hot(y, 10).to(torch.float64 if kind == "double" else torch.float32)
        return y * (torch.arange(batch) % 2)[:, None] if kind == "null" else y
    if kind == "soft":
        return torch.rand(batch, 10, generator=seeded(1)).softmax(dim=1)
    return y.to(getattr(torch, kind))


def weights(batch):
    numbers = st.floats(-20, 20) | st.integers(-2, 9) | st.sampled_from([-1.0, 0.0, np.float32(0.5), Fraction(1, 3)])
    tensors = st.builds(lambda seed, dtype: (torch.randn(batch, generator=seeded(seed)) * 3).to(dtype),
                        st.integers(0, 9), st.sampled_from([torch.float32, torch.float64, torch.int64]))  # fmt: skip
    return numbers | tensors | st.builds(torch.tensor, st.floats(-3, 3))


def times(batch):
    return st.builds(lambda seed: torch.randint(1, T + 1, (batch,), generator=seeded(seed)), st.integers(0, 9))


# Anything at all. Lambdas, so that every call gets objects of its own.
JUNK = st.sampled_from([
    lambda: None, lambda: True, lambda: "text", lambda: "", lambda: b"\x00bytes", lambda: 1 + 2j, object, lambda: model,
    lambda: -1, lambda: 0, lambda: 1, lambda: 3, lambda: 10**40, lambda: -(10**400), lambda: 0.5, lambda: 1e300,
    lambda: 1e38, lambda: -1e38, lambda: 1e-320, lambda: math.nan, lambda: math.inf, lambda: -math.inf, list, dict,
    lambda: {"a": 1}, lambda: {3, 1}, lambda: (1,), lambda: [1, 2], lambda: [10**40, 1], lambda: [[]],
    lambda: ["a", None], lambda: [[1], [2, 3]], lambda: range(3), lambda: np.arange(3), lambda: np.float64("nan"),
    lambda: np.array("text"), lambda: np.array([object()]), lambda: np.zeros((2, 10)), lambda: torch.tensor(math.nan),
    lambda: torch.tensor([math.inf, 1.0]), lambda: torch.zeros(0), lambda: torch.zeros(0, 1, 28, 28),
    lambda: torch.zeros(2, 3), lambda: torch.tensor(3), lambda: torch.tensor([1, 2, 3, 99]), lambda: torch.tensor([-1]),
    lambda: torch.zeros(2, dtype=torch.bool), lambda: torch.zeros(2, dtype=torch.complex64), lambda: torch.ones(2, 10),
    lambda: torch.full((2, 10), math.nan), lambda: torch.zeros(2, 1, 28, 28, dtype=torch.uint8),
    lambda: torch.zeros(2, 1, 28, 28, dtype=torch.complex64), lambda: torch.zeros(2, 28, 28),
    lambda: torch.zeros(2, 1, 28, 27), lambda: torch.zeros(2, 3, 28, 28), lambda: torch.zeros(3, 1, 28, 28),
    lambda: torch.zeros(2, 1, 28, 28).to(torch.float8_e4m3fn), lambda: torch.ones(2, dtype=torch.uint16),
    lambda: torch.ones(2, dtype=torch.float8_e5m2), lambda: torch.nn.Linear(1, 1), lambda: torch.device("cpu"),
    lambda: torch.float32, seeded, lambda: UNetConfig((1, 1, 1), 1), lambda: NoiseSchedule.cosine(5),
    lambda: TensorDataset(torch.zeros(3)), lambda: TensorDataset(torch.zeros(3, 1, 28, 28), torch.zeros(3)),
    lambda: TensorDataset(torch.full((3, 1, 28, 28), math.nan), torch.zeros(3, dtype=torch.long)),
    lambda: TensorDataset(torch.full((3, 1, 28, 28), 2.0), torch.zeros(3, dtype=torch.long)),
]).map(lambda make: make())  # fmt: skip


# ---------------------------------------------------------------------------- the calls


def built(**arguments):
    """A strategy of the dict of these arguments, each a strategy."""
    return st.fixed_dictionaries(arguments)


batches = st.integers(1, 3)
schedules = st.builds(NoiseSchedule.cosine, st.just(T), st.floats(-2, 2))
probabilities = st.floats(0, 1) | st.sampled_from([0, 1])
configs = built(
    batch_size=st.integers(1, 50), lr=st.floats(1e-6, 0.1), warmup=st.floats(0, 0.99), p_uncond=probabilities,
    ema_decay=st.floats(0, 0.99), weight_decay=st.floats(0, 1),
)  # fmt: skip
quick_configs = st.builds(TrainConfig, steps=st.just(2), batch_size=st.integers(1, 5), lr=st.floats(1e-6, 0.01))


@st.composite
def sampling(draw):
    batch, sampler = draw(batches), draw(st.sampled_from(["ancestral", "ddim", "dpmpp_2m"]))
    interval = st.none() | st.tuples(st.integers(-3, T), st.integers(T, T + 9)) | st.just([2.5, 3])
    return draw(built(
        ddpm=models, labels=labels(batch), w=weights(batch), sampler=st.just(sampler), steps=st.integers(1, 4),
        guidance_interval=interval, generator=generators, eta=st.floats(0, 1) if sampler == "ddim" else st.just(0),
        x_T=st.none() | images(batch, -4.0, 4.0) | images(1, -4.0, 4.0),
    ))  # fmt: skip


def two_images(first, second, low=-1.0, high=1.0, **more):
    return batches.flatmap(
        lambda batch: built(
            self=schedules, t=times(batch), **{name: images(batch, low, high) for name in (first, second)}, **more
        )
    )


def method(name):
    return lambda self, **arguments: getattr(self, name)(**arguments)


def loss_and_gradient(self, **arguments):
    self.loss(**arguments).backward()
    return [parameter.grad for parameter in self.parameters()]


def train_two_steps(ddpm, **arguments):
    """Train a copy: that a model is changed by training is not what is tested here."""
    ddpm = copy.deepcopy(ddpm) if isinstance(ddpm, DDPM) else ddpm
    return [record.loss for record in train(ddpm, **arguments)], ddpm.unet.state_dict()


train_sets = batches.flatmap(
    lambda n: st.builds(TensorDataset, images(n, 0.0, 1.0), labels(n, rows=False).map(torch.as_tensor))
)


def distilled(**arguments):
    """The losses, and the weights of the student."""
    records = list(distill(**arguments))
    return [record.loss for record in records], records[-1].ema.unet.state_dict()


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

# name: (the call, strategy of valid arguments, share of the cases)
CALLS = {
    "linear": (
        NoiseSchedule.linear,
        built(T=st.integers(2, 300), beta_1=st.floats(1e-6, 0.1), beta_T=st.floats(1e-6, 0.2)), 5,
    ),
    "from_log_snr": (
        NoiseSchedule.from_log_snr,
        built(log_snr=st.integers(2, 300).map(lambda T: torch.linspace(9, -9, T))), 2,
    ),
    "cosine": (NoiseSchedule.cosine, built(T=st.integers(2, 300), shift=st.floats(-3, 3)), 5),
    "NoiseSchedule": (
        NoiseSchedule,
        built(beta=st.lists(st.floats(1e-6, 0.5), min_size=2, max_size=40).map(torch.tensor)), 5,
    ),
    "add_noise": (method("add_noise"), two_images("x_0", "eps"), 5),
    "predict_x_0": (method("predict_x_0"), two_images("x_t", "eps"), 5),
    "predict_eps": (method("predict_eps"), two_images("x_t", "x_0"), 5),
    "velocity": (method("velocity"), two_images("x_0", "eps"), 5),
    "posterior": (method("posterior"), two_images("x_0", "x_t", s=st.none()), 5),
    "UNetConfig": (
        UNetConfig,
        built(widths=st.tuples(*3 * [st.integers(1, 9)]) | st.lists(st.integers(1, 9), min_size=3, max_size=3),
              embedding_width=st.integers(1, 9), num_classes=st.integers(1, 99), w_max=st.floats(0, 1e3),
              channels=st.sampled_from([1, 3]), size=st.sampled_from(range(16, 65, 4)), classes=st.just(())), 3,
    ),
    "UNet": (UNet, built(config=st.builds(UNetConfig, st.tuples(*3 * [st.integers(1, 9)]), st.integers(1, 9))), 2),
    "DDPM": (
        DDPM,
        built(unet=st.builds(UNet, st.just(UNetConfig((1, 1, 1), 1))), schedule=schedules,
              prediction=st.sampled_from(["eps", "x_0", "v", "flow"])), 3,
    ),
    "loss": (
        loss_and_gradient,
        batches.flatmap(lambda batch: built(self=models, x_0=images(batch), y=labels(batch), p_uncond=probabilities,
                                            generator=generators)), 8,
    ),
    "predict_noise": (
        method("predict_noise"),
        batches.flatmap(lambda batch: built(self=models, x_t=images(batch, -4.0, 4.0), t=times(batch), y=labels(batch),
                                            w=weights(batch))), 10,
    ),
    "TrainConfig(steps)": (
        lambda self, steps: TrainConfig(steps, **self), built(self=configs, steps=st.integers(1, 10**9)), 1,
    ),
    "TrainConfig(seconds)": (TrainConfig, configs.flatmap(lambda more: built(
        seconds=st.floats(1e-3, 1e6), **{name: st.just(value) for name, value in more.items()})), 6),
    "train": (
        train_two_steps,
        built(ddpm=models, train_set=train_sets, config=quick_configs, generator=generators, resume=st.none()), 6,
    ),
    "DistillConfig": (DistillConfig, built(
        steps=st.integers(1, 10**9), stages=st.sampled_from([(8, 4, 2, 1), [6, 3], (1,)]), elsewhere=probabilities), 2),
    "student_of": (student_of, built(teacher=teachers, w_max=st.floats(1e-3, 1e3) | st.integers(1, 9)), 2),
    "distill": (
        distilled,
        built(teacher=teachers, train_set=train_sets, generator=generators, resume=st.none(), config=st.builds(
            DistillConfig, steps=st.just(2), batch_size=st.integers(1, 5), lr=st.floats(1e-6, 0.01),
            stages=st.sampled_from([(2, 1), (10,)]), elsewhere=probabilities)), 4,
    ),
    "sample": (sample, sampling(), 12),
    "sample_steps": (lambda **arguments: list(sample_steps(**arguments)), sampling(), 4),
    "edit": (
        edit,
        batches.flatmap(lambda batch: built(
            ddpm=models, images=images(batch, 0.0, 1.0) | images(1, 0.0, 1.0), labels=labels(batch), w=weights(batch),
            t=st.integers(1, T), sampler=st.sampled_from(["ancestral", "ddim", "dpmpp_2m"]), steps=st.integers(1, 4),
            generator=generators)), 5,
    ),
    "inpaint": (
        inpaint,
        batches.flatmap(lambda batch: built(
            ddpm=models, images=images(batch, 0.0, 1.0) | images(1, 0.0, 1.0), mask=masks(batch) | masks(1),
            labels=labels(batch), w=weights(batch), steps=st.integers(1, 3), repeats=st.integers(1, 3),
            generator=generators)), 5,
    ),
    "morph": (
        morph,
        st.integers(2, 3).flatmap(lambda n: built(
            ddpm=models, labels=labels(n, rows=False), frames_per_change=st.integers(1, 3), hold=st.integers(0, 2),
            w=st.floats(-3, 9), generator=generators)), 4,
    ),
    "evaluate": (  # few, as each looks at the 10,000 test digits
        lambda **arguments: {**vars(evaluate(**arguments)), "judge": None},
        st.integers(2, 4).flatmap(lambda n: built(images=images(n, 0.0, 1.0), labels=labels(n, rows=False))), 1,
    ),
    "load_mnist": (
        load_mnist, built(root=st.none() | st.just("nowhere"), source=st.sampled_from(["auto", "embedded"])), 1,
    ),
    "load_letters": (
        load_letters,
        built(n_per_class=st.just(1), seed=st.integers(0, 2**70), held_out_font=st.sampled_from([None, "cmr10"])), 1,
    ),
    "save_checkpoint": (
        save_checkpoint,
        built(path=st.sampled_from(["a", "ä/b c.safetensors"]), ddpm=models,
              metadata=st.dictionaries(st.text(), json_like, max_size=3),
              dtype=st.sampled_from([None, torch.float16, torch.bfloat16, torch.float32])), 5,
    ),
    "load_checkpoint": (load_checkpoint, built(path=st.none()), 2),
    "read_metadata": (read_metadata, built(path=st.none()), 1),
}  # fmt: skip
SHARES = sum(share for *_, share in CALLS.values())
# A schedule is checked as a whole, and then says beta; of two that don't fit together, either may be named.
OTHER_NAMES = {"beta_1": "beta", "beta_T": "beta", "x_0": "t|y|eps|x_t", "x_t": "t|y|eps|x_0", "images": "labels"}
PATHS = {"path", "root", "resume"}  # their error names the path itself, and may be an OSError


# ---------------------------------------------------------------------------- what must hold


def tensors_in(value):
    """Every tensor in value, however deep; also the tensors of modules and data sets."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from value.parameters()
        yield from value.buffers()
    elif isinstance(value, TensorDataset):
        yield from value.tensors
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)


def numbers_in(value):
    yield from (tensor for tensor in tensors_in(value) if tensor.is_floating_point())
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    yield from (torch.tensor(part) for part in parts if isinstance(part, float))


def surroundings(own_generator):
    """What belongs to nobody and must stay. Without a generator of the caller's, torch's own is drawn from."""
    torchs = None if own_generator else torch.get_rng_state().tolist()
    return (torchs, random.getstate(), str(np.random.get_state()), torch.get_default_dtype(), torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled())  # fmt: skip


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(
        one.detach().reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8)
    )  # fmt: skip


def modes_in(arguments):
    return [
        module.training
        for value in arguments.values()
        if isinstance(value, torch.nn.Module)
        for module in value.modules()
    ]


def attempt(name, arguments, replaced):
    """Make the call, assert all that it has to keep, and say how it ended. replaced: the argument that may be bad."""
    call, *_ = CALLS[name]
    # A network in train mode counts what it sees: that is BatchNorm, and the caller asked for it.
    counting = name in ("loss", "predict_noise")
    watched = list(tensors_in([value for key, value in arguments.items() if not (counting and key == "self")]))
    kept, modes = [tensor.detach().clone() for tensor in watched], modes_in(arguments)
    finite = all(tensor.float().isfinite().all() for tensor in numbers_in(arguments))
    draws = name == "UNet" or ("generator" in arguments and not isinstance(arguments["generator"], torch.Generator))
    before, start, refused = surroundings(draws), time.perf_counter(), None
    faulthandler.dump_traceback_later(SECONDS_UNTIL_HANG, exit=True)
    try:
        result = call(**arguments)
    except (ValueError, TypeError) as error:
        refused = error
    except OSError as error:
        if replaced not in PATHS:
            raise
        refused = error
    finally:
        faulthandler.cancel_dump_traceback_later()

    assert time.perf_counter() - start < SECONDS_PER_CALL
    assert surroundings(draws) == before
    assert modes_in(arguments) == modes
    assert all(map(same, watched, kept)), "an argument was changed"
    if refused is None:
        assert not finite or not any(tensor.isnan().any() for tensor in numbers_in(result)), "NaN out of finite input"
        return "calls with valid arguments worked" if replaced is None else "calls with another argument worked"
    assert replaced is not None, f"a valid call was refused: {refused!r}"
    if replaced in PATHS and str(arguments[replaced]) in str(refused):
        return "calls were refused, naming the path"
    names = f"{replaced}|{OTHER_NAMES.get(replaced, replaced)}"
    assert re.search(rf"(?<![A-Za-z_])({names})(?![A-Za-z_])", str(refused)), f"{replaced} is not named: {refused!r}"
    return "calls were refused, naming the argument"


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """A current folder of the test's own, and no data of this user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DDPM_DATA", str(tmp_path / "no data"))
    monkeypatch.setattr(torch._tensor_str.PRINT_OPTS, "threshold", 20)  # a failing case prints its tensors


@pytest.mark.parametrize("name", CALLS)
def test_every_call_works_or_names_what_is_wrong(name, somewhere, tried):
    _, valid, share = CALLS[name]

    @hypothesis.settings(
        max_examples=math.ceil(CASES * share / SHARES),
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.data())
    def every_case(data):
        arguments, replaced = data.draw(valid), None
        if data.draw(st.integers(1, 5)) > 2:
            replaced = data.draw(st.sampled_from([key for key in arguments if key != "self"]))
            arguments[replaced] = data.draw(JUNK)
        tried[attempt(name, arguments, replaced)] += 1

    every_case()


def test_a_quarter_of_the_calls_was_valid_and_enough_were_tried(tried):
    counts = {outcome: count for outcome, count in tried.items() if outcome.startswith("calls")}
    if sum(counts.values()) < CASES:
        pytest.skip("counts only where all tests of this file run")
    assert counts["calls with valid arguments worked"] >= sum(counts.values()) / 4


# ---------------------------------------------------------------------------- files


class Exploit:
    """Unpickling this makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def mistreated(content, chance):
    """The bytes of a file after something that disks, networks and people do to files."""
    content, place = bytearray(content), chance.randrange(len(content))
    header_end = 8 + int.from_bytes(content[:8], "little")
    ways = [
        "cut",
        "bits",
        "header bits",
        "block",
        "header length",
        "missing",
        "twice",
        "foreign",
        "pickle",
        "zip",
        "text",
    ]
    match chance.choice(ways):
        case "cut":
            return bytes(content[:place])
        case "bits" | "header bits" as where:
            for _ in range(chance.choice([1, 1, 8])):
                content[chance.randrange(header_end if where == "header bits" else len(content))] ^= (
                    1 << chance.randrange(8)
                )
        case "block":
            size = chance.choice([16, 512])
            content[place : place + size] = chance.choice([bytes(size), chance.randbytes(size)])
        case "header length":
            length = chance.choice([0, 1, len(content), 10**6, 10**8 - 1, 2**31, 2**40, 2**63, 2**64 - 1])
            content[:8] = length.to_bytes(8, "little")
        case "missing":
            del content[place : place + chance.choice([1, 8, 4096])]
        case "twice":
            content[place:place] = content[place : place + 4096]
        case "foreign":
            return chance.randbytes(chance.choice([0, 1, 7, 8, 9, 5000]))
        case "pickle":
            return pickle.dumps(Exploit(), chance.randrange(6)) + content * chance.randrange(2)
        case "zip":
            file = io.BytesIO()
            torch.save({"weights": Exploit()}, file)
            return file.getvalue()
        case "text":
            return json.dumps({"unet": "ä" * chance.randrange(100)}).encode() + b"\n"
    return bytes(content)


def forged(path, kind, chance):
    """A file with a right digest that doesn't hold what it has to: a weight or an entry of its header is another."""
    tensors, header = checkpoint.read_tensors(path, kind)
    weights = "unet." if kind == "checkpoint" else "network."
    # Counts of batches may be missing: torch itself puts a 0 there, and nothing here reads them.
    names = [name for name in sorted(tensors) if name.startswith(weights) and not name.endswith("batches_tracked")]
    name = chance.choice(names)
    match chance.choice(["shape", "missing", "more", "entry", "kind"]):
        case "shape":
            tensors[name] = torch.zeros(chance.choice([(0,), (3, 5), (1, 1, 1, 1, 7)]))
        case "missing":
            del tensors[name]
        case "more":
            tensors[f"{weights}surprise"] = torch.zeros(2)
        case "entry":
            entry = chance.choice(["unet", "prediction"] if kind == "checkpoint" else ["config", "model", "data"])
            huge = json.dumps({"widths": [chance.randrange(100, 10**9)] * 3})
            header[entry] = chance.choice(["", "null", "[" * 9999, huge])
        case "kind":
            kind = "snapshot" if kind == "checkpoint" else "checkpoint"
            del header["format"]
    checkpoint.write_tensors(path, kind, tensors, header)


@contextlib.contextmanager
def no_more_memory_than(more):
    """Within it, this process gets so many bytes of address space more than it has; where the system can do that."""
    resource = pytest.importorskip("resource") if os.path.exists("/proc/self/statm") else None
    if resource is None:
        yield
        return
    with open("/proc/self/statm") as file:
        has = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (has + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


DIGITS = TensorDataset(torch.rand(48, 1, 28, 28, generator=seeded(1)), torch.arange(48) % 10)


def resumed(path):
    next(train(model(), DIGITS, TrainConfig(steps=3, batch_size=10), seeded(), device=torch.device("cpu"), resume=path))


READERS = {"checkpoint": [load_checkpoint, read_metadata], "snapshot": [resumed]}


@pytest.mark.parametrize("kind", READERS)
def test_damaged_files_are_refused_and_nothing_in_them_is_executed(kind, somewhere, tried):
    path, chance = Path("file.safetensors"), random.Random(kind)
    if kind == "checkpoint":
        save_checkpoint(path, model(), {"seed": 0})
    else:
        resumed(path)
    for read in READERS[kind]:
        with contextlib.suppress(StopIteration):
            read(path)
    whole = path.read_bytes()
    for number in range(math.ceil(CASES / 4)):
        path.write_bytes(whole)
        if number % 4:
            path.write_bytes(mistreated(whole, chance))
        else:
            forged(path, kind, chance)
        damaged = path.read_bytes()
        if damaged == whole:  # zeros over zeros
            continue
        for read in READERS[kind][: None if number % 4 else 1]:  # the metadata of a forged checkpoint may be fine
            start = time.perf_counter()
            with no_more_memory_than(2**29), pytest.raises(ValueError, match=r"file\.safetensors") as error:
                read(path)
            assert time.perf_counter() - start < SECONDS_PER_CALL
            assert "\n" not in str(error.value)
            assert len(str(error.value)) < 500
        assert path.read_bytes() == damaged
        assert not os.path.exists("executed")
        tried[f"damaged {kind}s were refused"] += 1
    path.write_bytes(whole)
    READERS[kind][0](path)
    pickle.loads(pickle.dumps(Exploit()))
    assert os.path.exists("executed"), "the trap is real"
