"""Data of other kinds: the line of code that turns what came into what was wanted, for the end of an error message.

A line is text in terms of the argument's name, such as "(x / 255)[:, None]". It is "" where none is known, and the name
itself where nothing need be done.
"""

import contextlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate

LOOKED_AT = 8  # so many items of a data set
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64,
          torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)  # fmt: skip


def say(line: str, name: str = "") -> str:
    """The end of an error message; empty where there is no line, or where it is only the name."""
    return f". This converts it: {line}" if line not in ("", name) else ""


def to_signed_images(name: str, x: object) -> str:
    """The line that makes x a float tensor (B, 1, 28, 28), and bytes numbers in [−1, 1]."""
    return to_images(name, x, signed=True)


def to_images(name: str, x: object, signed: bool = False) -> str:
    """The line that makes x a float tensor (B, 1, 28, 28) in [0, 1]."""
    line, x = _to_tensor(name, x)
    if x is None or x.numel() == 0:
        return ""
    line = _scaled(line, x, signed)
    return line and _shaped(line, tuple(x.shape))


def _scaled(line: str, x: Tensor, signed: bool) -> str:
    low, high = x.min().item(), x.max().item()
    if not x.is_floating_point():
        if not 0 <= low <= high <= 255:
            return ""
        as_bytes = f"({line} / 127.5 - 1)" if signed else f"({line} / 255)"
        return as_bytes if high > 1 else f"({line} * 2.0 - 1)" if signed else f"{line}.float()"
    if signed or (low >= 0 and high <= 1):
        return line
    if low >= 0 and 1 < high <= 255:
        return f"({line} / 255)"
    return f"(({line} + 1) / 2)" if low >= -1 and high <= 1 else ""


def _shaped(line: str, shape: tuple[int, ...]) -> str:
    """The line with what makes a tensor of this shape (B, 1, 28, 28); colours become grey."""
    if len(shape) == 2 and shape[1] == 28 * 28:
        return f"{line}.reshape(-1, 1, 28, 28)"
    colours = (1, 3, 4)
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in colours):  # one image
        line, shape = f"{line}[None]", (1, *shape)
    if len(shape) == 3:
        line, shape = f"{line}[:, None]", (shape[0], 1, *shape[1:])
    if len(shape) == 4 and shape[3] in colours and shape[1] not in colours:
        line, shape = f"{line}.permute(0, 3, 1, 2)", (shape[0], shape[3], *shape[1:3])
    if len(shape) != 4 or shape[1] not in colours:
        return ""
    if shape[1] > 1:
        line = f"{line}{'[:, :3]' if shape[1] == 4 else ''}.mean(1, keepdim=True)"
    return line if shape[2:] == (28, 28) else f"torch.nn.functional.adaptive_avg_pool2d({line}, 28)"


def to_labels(name: str, y: object, num_classes: int) -> str:
    """The line that makes y integers (B,) in 0 … num_classes − 1, or float rows (B, num_classes)."""
    line, y = _to_tensor(name, y)
    if y is None or y.numel() == 0 or y.ndim > 2:
        return ""
    if y.ndim == 2 and y.shape[1] == num_classes > 1:
        return line if y.is_floating_point() else f"{line}.float()"
    if y.ndim == 2 and y.shape[1] > 1:
        return ""
    line = line if y.ndim == 1 else f"{line}.reshape(-1)"
    if y.is_floating_point() or y.dtype == torch.bool:
        if not torch.equal(y.float(), y.float().round()):
            return ""
        line = f"{line}.long()"
    low, high = y.min().item(), y.max().item()
    if low == 1 and high == num_classes:
        return f"{line} - 1"
    return line if 0 <= low <= high < num_classes else ""


def to_times(name: str, t: object) -> str:
    """The line that makes t a long tensor (B,)."""
    line, t = _to_tensor(name, t)
    if t is None or t.ndim != 1 or not torch.equal(t.float(), t.float().round()):
        return ""
    return line if t.dtype == torch.long else f"{line}.long()"


def to_weights(name: str, w: object, batch: int) -> str:
    """The line that makes guidance weights a tensor (batch,), or a number."""
    line, w = _to_tensor(name, w)
    if w is None or w.numel() not in (1, batch):
        return ""
    if w.numel() == 1 < batch:
        return f"{line}.item()"
    return line if w.ndim == 1 else f"{line}.flatten()"


def to_picture_set(name: str, value: object, num_classes: int) -> str:
    """The line that makes a data set of another kind a TensorDataset of images and labels."""
    with contextlib.suppress(Exception):  # a data set of somebody's own may raise anything
        return _to_picture_set(name, value, num_classes)
    return ""


def _to_picture_set(name: str, value: object, num_classes: int) -> str:
    old, first = name, ""
    while isinstance(value, DataLoader):
        old, value = f"{old}.dataset", value.dataset
    if isinstance(value, TensorDataset):
        x, y, (images, labels) = f"{old}.tensors[0]", f"{old}.tensors[1]", value.tensors
    elif hasattr(value, "data") and hasattr(value, "targets"):  # torchvision's
        x, y, images, labels = f"{old}.data", f"{old}.targets", value.data, value.targets
    elif isinstance(value, Subset) and hasattr(value.dataset, "data") and hasattr(value.dataset, "targets"):
        x, images = f"{old}.dataset.data[{old}.indices]", value.dataset.data[:LOOKED_AT]
        y = f"torch.as_tensor({old}.dataset.targets)[{old}.indices]"
        labels = torch.as_tensor(value.dataset.targets[:LOOKED_AT])
    elif isinstance(value, tuple | list) and len(value) == 2 and not isinstance(value[0], tuple | list):
        x, y, (images, labels) = f"{old}[0]", f"{old}[1]", value
    elif isinstance(value, Dataset | Sequence):
        first = f"images, labels = torch.utils.data.default_collate(list({old})); "
        x, y = "images", "labels"
        images, labels = default_collate([value[i] for i in range(min(LOOKED_AT, len(value)))])
    else:
        return ""
    x, y = to_images(x, images), to_labels(y, labels, num_classes)
    return f"{first}{name} = torch.utils.data.TensorDataset({x}, {y})" if x and y else ""


def _to_tensor(name: str, x: object) -> tuple[str, Tensor | None]:
    """The line that makes x a tensor, and this tensor; None where x is nothing of that kind."""
    line = name
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        if isinstance(x, np.ndarray):
            line, x = f"torch.from_numpy({name})", torch.from_numpy(x)
        elif isinstance(x, list | tuple) and x and all(isinstance(part, Tensor) for part in x):
            line, x = f"torch.stack({name})", torch.stack(tuple(x))
        elif isinstance(x, list | tuple | range | int | float):
            line, x = f"torch.tensor({name})", torch.tensor(x)
    fits = isinstance(x, Tensor) and x.dtype in DTYPES and x.layout == torch.strided and not x.is_meta
    return (line, x) if fits else ("", None)
