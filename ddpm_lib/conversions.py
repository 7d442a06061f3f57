"""Data of other kinds: the line of code that turns what came into what was wanted, for the end of an error message.

A line is said only if it works: it is run on what came, and the guard that refused the argument must take the result.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate

SAYS = ". This converts it: "
LOOKED_AT = 8  # so many items of a data set, from its first to its last

STEPS = {  # what a line is made of, and what it does
    "{}": lambda x: x,
    "torch.from_numpy({})": torch.from_numpy,
    "torch.stack({})": torch.stack,
    "torch.tensor({})": torch.tensor,
    "{}.float()": Tensor.float,
    "{}.long()": Tensor.long,
    "({} - 1)": lambda x: x - 1,
    "({} * 2.0 - 1)": lambda x: x * 2.0 - 1,
    "({} / 127.5 - 1)": lambda x: x / 127.5 - 1,
    "({} / 255)": lambda x: x / 255,
    "(({} + 1) / 2)": lambda x: (x + 1) / 2,
    "{}.argmax(1)": lambda x: x.argmax(1),
    "{}.flatten()": Tensor.flatten,
    "{}.item()": Tensor.item,
    "{}[:, None]": lambda x: x[:, None],
    "{}[None, None]": lambda x: x[None, None],
    "{}.mean(1, keepdim=True)": lambda x: x.mean(1, keepdim=True),
    "{}.permute(0, 3, 1, 2)": lambda x: x.permute(0, 3, 1, 2),
    "{}.mean(3)[:, None]": lambda x: x.mean(3)[:, None],
}

Lines = Iterator[tuple[str, object]]  # lines of code, and what comes out of them


def say(lines: Callable[[str, object], Lines], name: str, value: object, takes: Callable[[object], object]) -> str:
    """The end of an error message: the first of the lines whose result is taken; empty where there is none."""
    with contextlib.suppress(Exception):  # somebody's own data set may raise anything
        for line, converted in lines(name, value):
            with contextlib.suppress(ValueError, RuntimeError):
                takes(converted)
                return f"{SAYS}{line}"
    return ""


def signed(name: str, value: object) -> Lines:
    """Lines that make a tensor or a generator; bytes of pictures become numbers in [−1, 1]."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield f"torch.Generator().manual_seed({name})", torch.Generator().manual_seed(value)
    yield from _tensors(name, value, bits="({} * 2.0 - 1)", octets="({} / 127.5 - 1)")


def unit(name: str, value: object) -> Lines:
    """Lines that make a tensor; bytes of pictures, and numbers in [−1, 1], become numbers in [0, 1]."""
    yield from _tensors(name, value, bits="{}.float()", octets="({} / 255)", shifted="(({} + 1) / 2)")


def _tensors(name: str, value: object, bits: str, octets: str, shifted: str = "{}") -> Lines:
    """bits, octets, shifted: what is done with pictures of 0 and 1, in 0 … 255 and in [−1, 1]."""
    if isinstance(value, np.ndarray):
        begin = "torch.from_numpy({})"
    elif isinstance(value, list | tuple | range):
        begin = "torch.stack({})" if all(isinstance(part, Tensor) for part in value) else "torch.tensor({})"
    else:
        begin = "{}"
    x = STEPS[begin](value)
    low, high = x.min().item(), x.max().item()
    shapes, numbers = _shapes(tuple(x.shape)), ["{}"]
    if shapes is None:
        shapes = ["{}", "{}.flatten()", "{}.item()"] if x.numel() == max(x.shape, default=1) else ["{}"]
        numbers += ["{}.float()", "({} - 1)" if low == 1 else "{}"]
        numbers += ["{}.long()"] if torch.equal(x.double(), x.double().round()) else []
        one_hot = x.ndim == 2 and x.shape[1] > 1 and ((x == 0) | (x == 1)).all() and (x.sum(1) == 1).all()
        numbers += ["{}.argmax(1)"] if one_hot else []
    elif low < 0:
        numbers += [shifted]
    elif not x.is_floating_point() and high <= 1:
        numbers += [bits]
    elif x.dtype == torch.uint8 or 127 < high <= 255:  # a float up to 3 may be anything
        numbers += [octets]
    for number in numbers:
        for shape in shapes:
            with contextlib.suppress(RuntimeError):  # such as the mean of bytes
                yield shape.format(number.format(begin.format(name))), STEPS[shape](STEPS[number](x))


def _shapes(shape: tuple[int, ...]) -> list[str] | None:
    """What makes pictures (B, C, H, W); None where these are no pictures. Colours stay, or become grey."""
    match shape:
        case (_, 1, _, _):
            return ["{}"]
        case (_, 3, _, _):
            return ["{}", "{}.mean(1, keepdim=True)"]
        case (_, _, _, 1 | 3):
            return ["{}.permute(0, 3, 1, 2)", "{}.mean(3)[:, None]"]
        case (_, height, width) if height == width:
            return ["{}[:, None]"]
        case (28, 28):
            return ["{}[None, None]"]
    return None


def sets(name: str, value: object) -> Lines:
    """Lines that make a data set of another kind a TensorDataset of images and labels."""
    old, first = name, ""
    while isinstance(value, DataLoader):
        old, value = f"{old}.dataset", value.dataset
    if isinstance(value, TensorDataset):
        x, y, (images, labels) = f"{old}.tensors[0]", f"{old}.tensors[1]", value.tensors
    elif hasattr(value, "data") and hasattr(value, "targets"):  # torchvision's
        x, y, images, labels = f"{old}.data", f"{old}.targets", value.data, value.targets
    elif isinstance(value, Subset) and hasattr(value.dataset, "data") and hasattr(value.dataset, "targets"):
        x, images = f"{old}.dataset.data[{old}.indices]", value.dataset.data[value.indices]
        y = f"torch.as_tensor({old}.dataset.targets)[{old}.indices]"
        labels = torch.as_tensor(value.dataset.targets)[value.indices]
    elif isinstance(value, tuple | list) and len(value) == 2 and not isinstance(value[0], tuple | list):
        x, y, (images, labels) = f"{old}[0]", f"{old}[1]", value
    elif isinstance(value, Dataset | Sequence):
        x, y, first = "images", "labels", f"images, labels = torch.utils.data.default_collate(list({old})); "
        n = len(value)
        images, labels = default_collate(
            [value[i] for i in sorted({i * (n - 1) // LOOKED_AT for i in range(LOOKED_AT + 1)})]
        )
    else:
        return
    for x_line, x_converted in unit(x, images):
        for y_line, y_converted in signed(y, labels):
            line = f"{first}{name} = torch.utils.data.TensorDataset({x_line}, {y_line})"
            yield line, TensorDataset(x_converted, y_converted)
