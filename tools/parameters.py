"""Parameters from the command line: checked against the defaults of a notebook before its kernel starts.

A value has the type of the notebook's default, and a whole number is at least 1. What else holds is said here by name.
"""

import ast
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ddpm_lib import guards
from ddpm_lib.course.variants import VARIANTS
from ddpm_lib.data import SOURCES
from ddpm_lib.sampling import SAMPLERS

import papermill

# Files that must be there, and files or folders that a notebook writes. All are relative to where a command was typed.
READ, WRITTEN = ("checkpoint", "sweep_table", "variants_table"), ("checkpoint_path", "figures_dir", "out")

# A guard for a parameter's value, or for each item where the default is a list.
CHECKS: dict[str, Callable[[str, object], object]] = {
    "T": partial(guards.count, least=2, most=guards.LARGEST_T),
    "samples_per_weight": partial(guards.count, least=50),
    "pool_samples": partial(guards.count, least=200),
    **dict.fromkeys(("samples", "live_samples", "n"), partial(guards.count, least=2)),  # FID needs a covariance
    "sampler": partial(guards.choice, allowed=(*SAMPLERS, "real")),
    "variant": partial(guards.choice, allowed=tuple(VARIANTS)),
    "data_source": partial(guards.choice, allowed=SOURCES),
    **dict.fromkeys(("seed", "animated_seeds"), partial(guards.count, least=0, most=2**63 - 1)),
    **dict.fromkeys(("digit", "digit_shown", "digits_shown", "labels", "pair"), partial(guards.count, least=0, most=9)),
    **dict.fromkeys(
        ("w", "weights", "live_weights", "w_measured", "w_interval", "w_acts"),
        partial(guards.within, interval=f"[{-guards.LARGEST_W:g}, {guards.LARGEST_W:g}]"),
    ),
    **dict.fromkeys(("p_uncond", "target"), partial(guards.within, interval="[0, 1]")),
    **dict.fromkeys(("budget_seconds", "budget_eps_seconds", "budget_flow_seconds"), partial(guards.finite, above=0)),
}


def defaults(path: Path) -> dict[str, object]:
    """The parameters of a notebook, with their defaults. Raises what nbformat raises where it is no notebook."""
    return {name: literal(found["default"]) for name, found in papermill.inspect_notebook(path).items()}


def literal(text: str) -> object:
    """A parameter's value: a Python literal such as 600 or [0, 1], else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def chosen(path: Path, known: dict[str, object], given: dict[str, str]) -> dict[str, object]:
    """The values for one notebook of the parameters that it has. Raises ValueError, which names notebook and parameter.

    known: its defaults. given: texts from the command line, by name.
    """
    found = {}
    for name in given:
        if name in known:
            try:
                found[name] = _value(name, known[name], given[name])
            except ValueError as error:
                raise ValueError(f"{path.stem}, parameters cell: {error} (default: {known[name]!r})") from None
    return found


def _value(name: str, default: object, text: str) -> object:
    value = literal(text)
    if name in READ + WRITTEN:
        return _path(name, text, value)
    if isinstance(default, str) and not isinstance(value, str):
        value = text  # a date or a commit may look like a number
    if not isinstance(default, list):
        _check(name, name, default, value)
    elif not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name} must be a list such as {default}, got {value!r:.60}")
    elif name == "widths":
        guards.widths(name, value)
    elif name == "pair" and len(value) != 2:
        raise ValueError(f"{name} must be two digits, got {value!r:.60}")
    else:
        for item in value:
            _check(name, f"each of {name}", default[0], item)
    return value


def _check(name: str, said: str, default: object, value: object) -> None:
    """said: what an error calls the value."""
    if isinstance(value, bool) and not isinstance(default, bool):
        raise ValueError(f"{said} must not be True or False")  # for Python these are numbers
    if name in CHECKS:
        CHECKS[name](said, value)
    elif isinstance(default, int) and not isinstance(default, bool):
        guards.count(said, value)
    elif isinstance(default, float):
        guards.finite(said, value)
    elif default is not None and not isinstance(value, type(default)):
        raise ValueError(f"{said} must be of type {type(default).__name__}, got {value!r:.60}")


def _path(name: str, text: str, value: object) -> str | None:
    """An absolute path, because the kernel starts in another folder. "student" is the name of weights that ship."""
    if value is None or (name == "checkpoint" and value == "student"):
        return value
    path = Path(os.path.abspath(guards.path(name, value if isinstance(value, str) else text)))
    if name in READ and not path.is_file():
        raise ValueError(f"{name}: there is no file {path}")
    return str(path)
