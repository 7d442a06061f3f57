"""What an argument must be: one sentence for every refusal, and the only file that writes one.

A guard takes an argument's name and its value, returns the value, and raises ValueError where it can't be used. The
error says the name, what is allowed and what came. Public functions ask their guards once, at the border; within
`inside()` no guard asks again.
"""

import functools
import inspect
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from numbers import Integral, Real
from pathlib import Path

import torch
from torch import Tensor

from ddpm_lib import conversions

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # torch stores float8, but can't compute with it
MNIST = (1, 28, 28)  # the shape of an image where nothing else is said
SHAPES = [(C, size, size) for C in (1, 3) for size in range(16, 65, 4)]  # what a U-Net can halve twice
LARGEST_T = 1_000_000  # nobody needs more; with it the tables of a schedule take only megabytes
LARGEST_W = 1e6  # nobody needs more; a much larger w overflows float32, and inf − inf is no picture

_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


@contextmanager
def inside() -> Iterator[None]:
    """Inside, the guards accept everything: a public call has asked them already, and now makes other public calls.

    A step of sampling calls the model with tensors that it made itself. To look at them again costs more than the
    arithmetic on them, and on a GPU each look waits for all that is still running there.
    """
    token = _is_inside.set(True)
    try:
        yield
    finally:
        _is_inside.reset(token)


def unasked(function: Callable) -> Callable:
    """The function without its guards, for arguments that the library makes itself."""
    return inside()(function)


def guard(function: Callable, lines: Callable | None = conversions.signed) -> Callable:
    """Mark a guard, which takes a name and a value: within `inside()` it returns the value without a look.

    lines: of `conversions`. If one of them makes the value one that the guard takes, the error ends with it.
    """

    @functools.wraps(function)
    def asked(name: str, value: object, *allowed: object, **more: object) -> object:
        if _is_inside.get():
            return value
        try:
            return function(name, value, *allowed, **more)
        except ValueError as error:
            if lines is None or not str(error).startswith(name):  # it is about another argument
                raise
            text = str(error).partition(conversions.SAYS)[0]  # a guard that this one asked may have said a line
            end = conversions.say(lines, name, value, lambda other: function(name, other, *allowed, **more))
            raise ValueError(f"{text}{end}") from error.__cause__

    return asked


def describe(value: object) -> str:
    """A tensor's shape and dtype, or the type and repr of anything else: for error messages."""
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}, {value.dtype}"
    return f"{type(value).__name__} {value!r:.60}"


# ---------------------------------------------------------------------------- numbers and texts


def is_finite(value: object) -> bool:
    """Whether value is a number that a float can hold."""
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # an int like 10**400
        return False


def is_count(value: object, least: int = 1) -> bool:
    """Whether value is an integer ≥ least; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


@guard
def count(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """An integer from least to most."""
    if not is_count(value, least) or (most is not None and value > most):
        raise ValueError(
            f"{name} must be an integer ≥ {least}{f' and ≤ {most:,}' if most is not None else ''}, got {value!r:.60}"
        )
    return value


def frames(frames_per_change: int, hold: int) -> None:
    """The counts of a morph: whole numbers ≥ 1 and ≥ 0, small enough for the memory."""
    count("frames_per_change", frames_per_change, least=1, most=10_000)
    count("hold", hold, least=0, most=10_000)


@guard
def within(name: str, value: float, interval: str) -> float:
    """A number in an interval, written as on paper: "[0, 1)" holds 0 but not 1."""
    low, high = map(float, interval[1:-1].split(","))
    ends = ((low,) if interval[0] == "[" else ()) + ((high,) if interval[-1] == "]" else ())
    if not is_finite(value) or not (low < value < high or value in ends):
        raise ValueError(f"{name} must lie in {interval}, got {value!r:.60}")
    return value


def all_within(interval: str, **values: float) -> None:
    """Several numbers, each in the same interval."""
    for name, value in values.items():
        within(name, value, interval)


@guard
def finite(name: str, value: float, above: float | None = None, least: float | None = None) -> float:
    """A finite number > above, or ≥ least."""
    if not is_finite(value) or (above is not None and value <= above) or (least is not None and value < least):
        limit = f" > {above}" if above is not None else f" ≥ {least}" if least is not None else ""
        raise ValueError(f"{name} must be a finite number{limit}, got {value!r:.60}")
    return value


def budget(steps: int | None, seconds: float | None) -> None:
    """Exactly one of steps, an integer ≥ 1, and seconds, a finite number > 0."""
    if (steps is None) == (seconds is None):
        raise ValueError(f"give exactly one of steps and seconds, got steps={steps!r}, seconds={seconds!r}")
    if seconds is None:
        count("steps", steps)
    else:
        finite("seconds", seconds, above=0)


@guard
def choice(name: str, value: object, allowed: Sequence, also: str = "") -> object:
    """One of the allowed values. also: text for the error, which says what else is allowed."""
    if not isinstance(value, type(allowed[0])) or isinstance(value, bool) or value not in allowed:
        raise ValueError(f"{name} must be {also}one of {tuple(allowed)}, got {value!r:.60}")
    return value


@guard
def instance(name: str, value: object, kind: type, what: str) -> object:
    """An object of a class, which the error calls `what`."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {what}, got {value!r:.60}")
    return value


@guard
def size(name: str, value: int) -> int:
    """A Python int ≥ 1: a checkpoint stores it as JSON, which has no NumPy integers."""
    if not isinstance(value, int) or not is_count(value):
        raise ValueError(f"{name} must be an integer ≥ 1, got {value!r:.60}")
    return value


@guard
def widths(name: str, value: Sequence[int]) -> tuple[int, int, int]:
    """Three integers ≥ 1, as a tuple."""
    sizes = tuple(value) if isinstance(value, list | tuple) else ()
    if len(sizes) != 3 or not all(isinstance(width, int) and is_count(width) for width in sizes):
        raise ValueError(f"{name} must be three integers ≥ 1, got {value!r:.60}")
    return sizes


@guard
def names(name: str, value: Sequence[str], n: int) -> tuple[str, ...]:
    """n different texts, none of them blank, as a tuple; or nothing, which is ()."""
    texts = tuple(value) if isinstance(value, list | tuple) else None
    if texts != () and not (texts and all(isinstance(text, str) and text.strip() for text in texts)):
        raise ValueError(f"{name} must be a tuple of texts, one for each class, or (), got {value!r:.60}")
    if texts and not len(texts) == len(set(texts)) == n:
        raise ValueError(f"{name} must be {n} different texts, as num_classes is {n}, got {len(texts)}: {value!r:.60}")
    return texts


def image_shape(channels: int, size: int) -> tuple[int, int, int]:
    """The (C, H, W) of images: 1 channel for grey or 3 for colours, and a side that a U-Net can halve twice."""
    choice("channels", channels, (1, 3))
    choice("size", size, tuple(range(16, 65, 4)))
    return channels, size, size


def functions_or_none(**values: Callable | None) -> None:
    """Functions, or None."""
    for name, value in values.items():
        if value is not None and not callable(value):
            raise ValueError(f"{name} must be a function or None, got {value!r:.60}")


@guard
def path(name: str, value: str | os.PathLike) -> Path:
    """A path that can name a file, as a Path; ~ is the user's home folder."""
    if not _is_path(value) or not Path(value).name or "\0" in str(value):
        raise ValueError(f"{name} must be a path that names a file, got {value!r:.60}")
    return _expanded(name, value)


@guard
def folder(name: str, value: str | os.PathLike) -> Path:
    """The path of a folder as a Path; ~ is the user's home folder, and "." the current one."""
    if not _is_path(value) or not os.fspath(value):
        raise ValueError(f"{name} must be the path of a folder, got {value!r:.60}")
    return _expanded(name, value)


@guard
def folder_or_none(name: str, value: str | os.PathLike | None) -> Path | None:
    """The path of a folder as a Path, or None."""
    if value is not None and not _is_path(value):
        raise ValueError(f"{name} must be the path of a folder or None, got {value!r:.60}")
    return None if value is None else _expanded(name, value)


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str)


def _expanded(name: str, value: str | os.PathLike) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{name} must be a path, got {value!r:.60}, whose home folder is not known") from None


def torchrun_environment(needed: tuple[str, ...]) -> None:
    """What torchrun sets in the environment: all of it, whole numbers but for the address, RANK < WORLD_SIZE."""
    found = {name: os.environ[name] for name in needed if os.environ.get(name)}
    advice = "start several processes with torchrun, which sets them, and unset them for a single process"
    if missing := [name for name in needed if name not in found]:
        empty = ", ".join(name for name in missing if name in os.environ)
        said = f"{', '.join(found)} is set, but not {', '.join(missing)}" if found else f"{empty} is set, but empty"
        raise ValueError(f"{said}: {advice}")
    for name, value in found.items():
        if name != "MASTER_ADDR" and not (value.isdecimal() and len(value) < 10):
            raise ValueError(f"{name} must be a whole number, got {value!r:.60}: {advice}")
    if int(found["RANK"]) >= int(found["WORLD_SIZE"]):
        raise ValueError(f"RANK must be less than WORLD_SIZE, got {found['RANK']} of {found['WORLD_SIZE']}: {advice}")


@guard
def json_dict(name: str, value: Mapping) -> str:
    """A dict that JSON can hold, as JSON."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a dict that JSON can hold, got {value!r:.60}")
    try:
        return json.dumps(dict(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} must be a dict that JSON can hold: {error}") from None


# ---------------------------------------------------------------------------- tensors


def is_float(x: object) -> bool:
    """Whether x is a tensor of a float type that torch computes with."""
    return isinstance(x, Tensor) and x.dtype in FLOATS


@guard
def images(
    name: str, x: Tensor, t: Tensor | None = None, T: int = 0, shape: tuple[int, int, int] = MNIST, also: str = ""
) -> Tensor:
    """(B, *shape) float, B ≥ 1. t: their times, if they have any: (B,) long, 1 … T. also: the end of the error."""
    if not is_float(x) or x.shape[1:] != shape or len(x) == 0:
        form = f"(B, {', '.join(map(str, shape))})"
        raise ValueError(f"{name} must be a float tensor of shape {form} with B ≥ 1, got {describe(x)}{also}")
    if T:
        times("t", t, len(x), T)
    return x


@functools.partial(guard, lines=conversions.unit)
def pixels(
    name: str, x: Tensor, batch: int | None = None, shape: tuple[int, int, int] = MNIST, also: str = ""
) -> Tensor:
    """(B, *shape) float in [0, 1], B ≥ 1. batch: the number of labels; then B is 1 or batch. also: as in `images`."""
    images(name, x, shape=shape, also=also)
    if batch is not None and len(x) not in (1, batch):
        raise ValueError(f"{name} must hold 1 image or one for each of the {batch} labels, got {len(x)}")
    if not (x.min() >= 0 and x.max() <= 1):  # written with not, so that NaN is refused, too
        raise ValueError(f"{name} must lie in [0, 1], got {x.min():g} … {x.max():g}")
    return x


@guard
def mask(name: str, value: Tensor, images: Tensor) -> Tensor:
    """One mask for each of the images, or one for all: bool, or 0 and 1; as bool, where the images are."""
    fits = isinstance(value, Tensor) and value.shape in (images.shape, images[:1].shape)
    if not fits or not ((value == 0) | (value == 1)).all():
        got = f"{describe(value)}{' with other numbers' if fits else ''}"
        raise ValueError(
            f"{name} must hold True and False, or 1 and 0, in the shape of the images {tuple(images.shape)} "
            f"or of one image, got {got}"
        )
    return value.to(images.device, torch.bool)


@guard
def shaped_as(name: str, x: Tensor, first: str, other: Tensor) -> Tensor:
    """A float tensor of the same shape as another argument, whose name is `first`."""
    if not is_float(x) or x.shape != other.shape:
        raise ValueError(f"{name} must be a float tensor shaped as {first} {tuple(other.shape)}, got {describe(x)}")
    return x


@guard
def same(name: str, x: Tensor, first: str, other: Tensor) -> Tensor:
    """A tensor with the same numbers as another one, which the error calls `first`."""
    if not torch.equal(x.cpu(), other.cpu()):
        raise ValueError(f"{name} must be {first}, but their numbers differ")
    return x


@functools.partial(guard, lines=None)
def apart(name: str, x: Tensor, first: str, other: Tensor) -> Tensor:
    """Pictures (N, C, H, W), most of which are not among those of another set, whose argument is `first`."""
    known = {hash(picture.numpy().tobytes()) for picture in other}
    if (same := sum(hash(picture.numpy().tobytes()) in known for picture in x)) > len(x) / 2:
        end = f"this divides one set into two: train_set, test_set = hold_out({first})"
        raise ValueError(
            f"{name} must hold other pictures than {first}, but {same} of its {len(x)} are there, too; {end}"
        )
    return x


@guard
def times(name: str, t: Tensor, batch: int, T: int) -> Tensor:
    """(batch,) long, 1 … T."""
    if not isinstance(t, Tensor) or t.dtype != torch.long or t.shape != (batch,):
        raise ValueError(f"{name} must be a long tensor of shape ({batch},), got {describe(t)}")
    if batch and not 1 <= int(t.min()) <= int(t.max()) <= T:
        raise ValueError(f"{name} must lie in 1…{T}, got {int(t.min())} … {int(t.max())}")
    return t


@guard
def noised(name: str, x: Tensor, t: Tensor, T: int, **alike: Tensor) -> Tensor:
    """What the schedule's equations take: an image x (B, C, H, W), t (B,) in 1 … T, and more images of that shape."""
    if not is_float(x) or x.ndim != 4:
        raise ValueError(f"{name} must be a float tensor of shape (B, C, H, W), got {describe(x)}")
    for other, image in alike.items():
        shaped_as(other, image, name, x)
    times("t", t, len(x), T)
    return x


@guard
def halving(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """One or more integers ≥ 1, each half of the one before, as a tuple."""
    counts = tuple(value) if isinstance(value, list | tuple) else ()
    if not counts or not all(is_count(n) for n in counts) or any(n != 2 * half for n, half in pairwise(counts)):
        raise ValueError(f"{name} must be integers ≥ 1, each half of the one before, got {value!r:.60}")
    return tuple(int(n) for n in counts)


@guard
def earlier(name: str, s: Tensor, t: Tensor) -> Tensor:
    """Times s (B,) with 0 ≤ s < t."""
    if not isinstance(s, Tensor) or s.dtype != torch.long or s.shape != t.shape or (s < 0).any() or (s >= t).any():
        raise ValueError(f"{name} must be a long tensor shaped as t with 0 ≤ s < t, got {describe(s)}")
    return s


@guard
def betas(name: str, beta: Tensor) -> Tensor:
    """(T,) float, 2 ≤ T ≤ 10⁶, each in (0, 1), and so small that ᾱ_T is a float32 above 0."""
    if not is_float(beta) or beta.ndim != 1:
        raise ValueError(f"{name} must be a float tensor of shape (T,), got {describe(beta)}")
    if len(beta) < 2:
        raise ValueError(f"T must be at least 2, got {len(beta)} entries of {name}")
    if len(beta) > LARGEST_T:
        raise ValueError(f"T must be at most {LARGEST_T:,}, got {len(beta):,} entries of {name}")
    beta = beta.detach().cpu().float()
    if not ((beta > 0) & (beta < 1)).all():
        raise ValueError(f"{name} must lie in (0, 1), got {beta.min():g} … {beta.max():g}")
    log_alpha_bar_T = torch.log1p(-beta.double()).sum()
    if log_alpha_bar_T < math.log(torch.finfo(torch.float32).tiny):
        raise ValueError(
            f"{name} is so large that alpha_bar_T = exp({log_alpha_bar_T:.0f}) underflows to 0; "
            "use smaller beta or fewer steps T"
        )
    return beta


@guard
def falling(name: str, value: Tensor) -> Tensor:
    """(T,) float, 2 ≤ T ≤ 10⁶, finite, each smaller than the one before."""
    if not is_float(value) or value.ndim != 1 or not 2 <= len(value) <= LARGEST_T:
        raise ValueError(
            f"{name} must be a float tensor of shape (T,) with 2 ≤ T ≤ {LARGEST_T:,}, got {describe(value)}"
        )
    value = value.detach().cpu()
    if not (value.isfinite().all() and (value.diff() < 0).all()):
        raise ValueError(f"{name} must be finite and fall strictly from t = 1 to T, got {value.tolist()!r:.60}")
    return value


@guard
def labels(name: str, y: Tensor, num_classes: int, batch: int | None = None, also: str = "") -> Tensor:
    """(B,) integers in 0 … num_classes − 1, or (B, num_classes) float rows, each ≥ 0 with sum 1 or all zero; B ≥ 1.

    batch: the expected B; None allows any B. also: the end of the error about the range.
    torch.as_tensor turns a list into a tensor.
    """
    try:
        y = torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be a tensor of labels, got {y!r:.60}") from error
    if y.ndim not in (1, 2) or len(y) == 0:
        raise ValueError(f"{name} must be (B,) integers or (B, {num_classes}) rows with B ≥ 1, got {describe(y)}")
    if batch is not None and len(y) != batch:
        raise ValueError(f"{name} must hold one label for each of the {batch} images, got {len(y)}")
    if y.ndim == 1:
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
            raise ValueError(f"{name} of shape (B,) must be integers, got {y.dtype}")
        y = y.long()
        if not 0 <= int(y.min()) <= int(y.max()) < num_classes:
            raise ValueError(f"{name} must lie in 0…{num_classes - 1}, got {int(y.min())} … {int(y.max())}{also}")
        return y
    if y.shape[1] != num_classes or not is_float(y):
        raise ValueError(f"{name} as rows must be floats of shape (B, {num_classes}), got {describe(y)}")
    total = y.sum(dim=1)
    if not ((y >= 0).all() and ((total == 0) | ((total - 1).abs() < 1e-3)).all()):
        raise ValueError(f"each row of {name} must be ≥ 0 and sum to 1, or be all zero for no label")
    return y


@guard
def ends_of_changes(name: str, rows: Tensor) -> Tensor:
    """Two or more label rows, none of them a row of no label."""
    if len(rows) < 2:
        raise ValueError(f"{name} must be at least 2, got {len(rows)}: there is nothing to morph into")
    if (rows.sum(dim=1) == 0).any():
        raise ValueError(f"{name} must not hold rows of no label: a mixture with one does not sum to 1")
    return rows


@guard
def whole_numbers(name: str, y: Tensor) -> Tensor:
    """(n,) integers of any range, n ≥ 1."""
    if not isinstance(y, Tensor) or y.ndim != 1 or y.is_floating_point() or len(y) == 0:
        raise ValueError(f"{name} must be integers of shape (n,), n ≥ 1, got {describe(y)}")
    return y


@guard
def several(name: str, x: Tensor, more_than: int, reason: str) -> Tensor:
    """A tensor of more rows than `more_than`; the error says the reason."""
    if len(x) <= more_than:
        raise ValueError(f"{name} must be more than {more_than}, got {len(x)}: {reason}")
    return x


@guard
def class_numbers(name: str, y: Tensor, num_classes: int, batch: int, also: str = "") -> Tensor:
    """(batch,) integers 0 … num_classes − 1: what was asked for. Rows are refused: no reading is right for a mix."""
    y = labels(name, y, num_classes, batch, also)
    if y.ndim != 1:
        raise ValueError(f"{name} must be integers of shape ({batch},), got {describe(y)}")
    return y


@functools.partial(guard, lines=None)
def pictures_of(name: str, drawn: tuple, judged: tuple, also: str) -> tuple:
    """How many classes a model draws, the shape of its images, and the names of its classes: as the judge has them.

    No names fit to all names. also: the end of the error.
    """
    said = [f"{n} classes of {shape} images" for n, shape, _ in (drawn, judged)]
    if said[0] == said[1] and drawn[2] and judged[2]:
        said = [", ".join(names) for *_, names in (drawn, judged)]
    if said[0] != said[1]:
        raise ValueError(f"{name} must draw {said[1]}, got {said[0]}{also}")
    return drawn


@guard
def guidance_weight(name: str, w: float | Tensor, batch: int) -> float | Tensor:
    """A float or a (batch,) tensor within ±10⁶, as float32: in it, a much larger w makes ε̂ = ∞ − ∞."""
    if isinstance(w, Tensor) and w.ndim == 0:
        w = w.item()
    if isinstance(w, Tensor):
        fits = w.shape == (batch,) and not w.is_complex() and (w.float().abs() <= LARGEST_W).all()
    else:
        fits = is_finite(w) and abs(float(w)) <= LARGEST_W
    if not fits:
        what = describe(w) if isinstance(w, Tensor) else f"{w!r:.60}"
        raise ValueError(f"{name} must be a finite number or a finite tensor of shape ({batch},), got {what}")
    return w.float() if isinstance(w, Tensor) else float(w)


@guard
def generator_or_none(name: str, value: torch.Generator | None) -> torch.Generator | None:
    """A source of random numbers; None is torch's global generator."""
    if value is not None and not isinstance(value, torch.Generator):
        raise ValueError(f"{name} must be a torch.Generator or None, got {value!r:.60}")
    return value


# ---------------------------------------------------------------------------- models, samplers, data


@functools.partial(guard, lines=None)
def denoiser(name: str, value: object) -> object:
    """A DDPM, or an object with the two attributes that a sampler needs."""
    if not hasattr(value, "predict_noise") or not hasattr(value, "schedule"):
        end = f"{conversions.SAYS}load_checkpoint({name})" if isinstance(value, str | os.PathLike) else ""
        raise ValueError(f"{name} must be a DDPM, or have its predict_noise and schedule, got {value!r:.60}{end}")
    return value


@guard
def falling_times(name: str, steps: int | Sequence[int], T: int, from_T: bool = True) -> int | list[int]:
    """A number of steps, 1 … T, or the times themselves: a list that falls strictly to 0, from T or from any time."""
    if getattr(steps, "ndim", 0) == 1:  # a tensor, or an array of NumPy
        steps = steps.tolist()
    if isinstance(steps, Sequence) and not isinstance(steps, str):
        falling = all(is_count(t, least=0) for t in steps) and all(t > s for t, s in pairwise(steps))
        if len(steps) < 2 or not falling or steps[0] > T or steps[-1] != 0 or (from_T and steps[0] != T):
            begin = f"T = {T}" if from_T else f"at most T = {T}"
            raise ValueError(f"{name} as a list must be whole numbers that fall from {begin} to 0, got {steps!r:.60}")
        return [int(t) for t in steps]
    if not is_count(steps) or steps > T:
        raise ValueError(f"{name} must be an integer in 1…{T}, or a list of times from {T} to 0, got {steps!r:.60}")
    return steps


@guard
def sampler(name: str, value: str | Callable, known: Sequence[str], eta: float) -> str | Callable:
    """The name of a known sampler, or a function that takes the six arguments of a step; and a fitting eta.

    eta: how much noise DDIM adds on the way, in [0, 1]; for other samplers it must be 0.
    """
    form = "(schedule, x_t, x_0_hat, t, s, z)"
    if not callable(value):
        choice(name, value, known, also=f"a step function {form} or ")
    else:
        called = value.forward if isinstance(value, torch.nn.Module) else value  # a module's call itself takes anything
        try:
            if getattr(called, "__func__", None) is torch.nn.Module.forward:
                raise TypeError("a module without a forward")
            inspect.signature(called).bind(*range(6))
        except ValueError:  # a built-in function doesn't say what it takes
            pass
        except TypeError as error:
            raise ValueError(f"{name} as a function must take {form}, got {value!r:.60}: {error}") from None
    if not isinstance(eta, Real) or not 0 <= eta <= (1 if value == "ddim" else 0):
        raise ValueError(f'eta must lie in [0, 1] for "ddim" and be 0 for other samplers, got {eta!r:.60}')
    return value


@guard
def interval(name: str, value: tuple[int, int] | None, T: int) -> tuple[float, float]:
    """The times (t_min, t_max) at which guidance acts; None is 1 … T."""
    if value is None:
        return 1, T
    try:
        t_min, t_max = value
        ordered = isinstance(t_min, Real) and isinstance(t_max, Real) and t_min <= t_max
    except (TypeError, ValueError):
        ordered = False
    if not ordered:
        raise ValueError(f"{name} must be None or (t_min, t_max) with t_min ≤ t_max, got {value!r:.60}")
    if t_min > T or math.ceil(max(t_min, 0)) > min(t_max, T):  # no time lies in it; perhaps these are shares of T
        raise ValueError(f"{name} must be times on the scale 1…{T}, got {value!r:.60}")
    return t_min, t_max


@guard
def start_or_none(name: str, x_T: Tensor | None, batch: int, shape: tuple[int, int, int]) -> Tensor | None:
    """Noise to start from: an image for each of the labels, or one image that all share; or None."""
    if x_T is not None and len(images(name, x_T, shape=shape)) not in (1, batch):
        raise ValueError(f"{name} must hold 1 image or one for each of the {batch} labels, got {len(x_T)}")
    if x_T is not None and not x_T.isfinite().all():
        raise ValueError(f"{name} must be finite, but it holds NaN or infinity")
    return x_T


@functools.partial(guard, lines=conversions.sets)
def picture_set(
    name: str, value: object, num_classes: int, shape: tuple[int, int, int], least: int, also: str | None = None
) -> tuple[Tensor, Tensor]:
    """Images and labels of a TensorDataset: (N, *shape) float32 in [0, 1] and N labels, N ≥ least.

    also: the end of an error about the shape or the range of labels; None is the model that fits them.
    This is the place where a data set becomes float32: not every device knows float64.
    """
    tensors = getattr(value, "tensors", ())
    if not isinstance(value, torch.utils.data.TensorDataset) or len(tensors) != 2:
        what = f"{type(value).__name__} {value!r:.60}" if len(tensors) != 2 else f"one of {len(tensors)} tensors"
        raise ValueError(f"{name} must be a TensorDataset of images and labels, got {what}")
    x, y = tensors
    also = _model_for(x, y, num_classes) if also is None else also
    pixels(f"{name}'s images", x, shape=shape, also=also)
    y = labels(f"{name}'s labels", y, num_classes, len(x), also)
    if len(x) < least:
        raise ValueError(f"{name} must hold an image for each of {least} processes")
    return x.float(), y.float() if y.is_floating_point() else y


@functools.partial(guard, lines=conversions.sets)
def class_set(
    name: str,
    value: object,
    each: int,
    also: str,
    classes: int | None = None,
    shape: tuple[int, int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Images and integer labels of a TensorDataset, on the CPU, with at least `each` pictures of each class.

    also: the end of the error about too few pictures. classes: how many there are; None: as many as the largest label
    says. shape: None allows every `image_shape`.
    """
    x, y = value.tensors if _is_pair(value) else (None, None)
    if shape is None and isinstance(x, Tensor) and x.ndim == 4:
        shape = tuple(x.shape[1:])
        if shape not in SHAPES:
            form = "(N, C, H, H), where C is 1 or 3 and H a multiple of 4 from 16 to 64"
            raise ValueError(f"{name}'s images must be a float tensor of shape {form}, got {describe(x)}")
    if classes is None and isinstance(y, Tensor) and y.numel():
        if y.ndim == 2:
            classes = y.shape[1]
        elif not y.is_floating_point() and not y.is_complex():
            classes = max(1, min(int(y.max()) + 1, len(y)))  # each has a picture, so that there are not more than these
    x, y = picture_set(name, value, classes or 10, shape or MNIST, 1, also="")
    y = class_numbers(f"{name}'s labels", y, classes or 10, len(x))
    fewest, rarest = (int(found) for found in y.bincount(minlength=classes).min(dim=0))
    if fewest < each:
        raise ValueError(
            f"{name} must hold at least {each} pictures of each class, got {fewest} of class {rarest}{also}"
        )
    return x.detach().cpu(), y.cpu()


def _model_for(x: object, y: object, num_classes: int) -> str:
    """The end of an error: the line that makes a model for a set, if its images and labels are such as a model has."""
    counted = isinstance(y, Tensor) and y.ndim == 1 and not (y.is_floating_point() or y.is_complex()) and len(y) > 0
    if not is_float(x) or tuple(x.shape[1:]) not in SHAPES or not counted or len(y) != len(x) or y.min() != 0:
        return ""
    fields = {"num_classes": max(num_classes, int(y.max()) + 1), "channels": x.shape[1], "size": x.shape[2]}
    usual = {"num_classes": 10, "channels": MNIST[0], "size": MNIST[1]}
    said = ", ".join(f"{field}={value}" for field, value in fields.items() if value != usual[field])
    return f"; a model for these: ddpm = DDPM.recommended({said})"


def _is_pair(value: object) -> bool:
    return isinstance(value, torch.utils.data.TensorDataset) and len(value.tensors) == 2


@guard
def trainable(name: str, value: object, kind: type) -> object:
    """A model that can learn: gradients are on, some weights may change, all are float32 or float64."""
    model = instance(name, value, kind, f"a {kind.__name__}")
    if not torch.is_grad_enabled():
        raise ValueError("training needs gradients: call it outside torch.no_grad() and torch.inference_mode()")
    weights = list(model.parameters())
    if not any(weight.requires_grad for weight in weights):
        end = f"all are frozen: call {name}.requires_grad_()" if weights else "it has none"
        raise ValueError(f"{name} must have weights that can learn, but {end}")
    for weight in weights:
        if weight.dtype not in (torch.float32, torch.float64):
            end = f"call {name}.float(); training itself uses bfloat16 where that is fast"
            raise ValueError(f"{name} must have weights in float32, got {weight.dtype}: {end}")
        if weight.is_meta:
            raise ValueError(f"{name} must hold numbers, but its weights are on the device meta")
    return model


@guard
def optimizer(name: str, value: object) -> torch.optim.Optimizer:
    """An optimizer of torch, or of somebody's own class below torch's."""
    return instance(name, value, torch.optim.Optimizer, "a torch.optim.Optimizer")


@guard
def scalar_loss(name: str, value: Tensor) -> Tensor:
    """What a loss of the user's own returned: a scalar that has a gradient."""
    if not torch.is_grad_enabled():
        raise ValueError("training needs gradients: iterate outside torch.no_grad() and torch.inference_mode()")
    if not is_float(value) or value.ndim or not value.requires_grad:
        raise ValueError(f"{name} must return a scalar tensor with a gradient, got {describe(value)}")
    return value


@guard
def finite_step(name: str, value: float, step: int, lr: float) -> float:
    """A loss that a float can hold; the error names the step and its learning rate."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value} at step {step} with lr {lr:.3g}: the training diverged; take a lower lr")
    return value


@guard
def answer(name: str, x: Tensor, first: str, other: Tensor, source: str) -> Tensor:
    """What `source` answered: a float tensor shaped as the argument `first`, all of it finite."""
    shaped_as(name, x, first, other)
    low, high = x.aminmax()  # both are NaN if one number is: half the time of isfinite
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name} must be finite, but {source} answers with NaN or infinity: it can't be used")
    return x
