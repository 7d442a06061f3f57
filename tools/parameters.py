"""Parameters from the command line: checked against the defaults of a notebook before its kernel starts.

A value has the type of the notebook's default, and a whole number is from 1 to `MOST`. What else holds is said here.
"""

import ast
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ddpm_lib import guards, load_checkpoint
from ddpm_lib.course.variants import VARIANTS
from ddpm_lib.data import SOURCES
from ddpm_lib.evaluation import judge_of
from ddpm_lib.letters import FONTS, LETTERS
from ddpm_lib.sampling import SAMPLERS

import papermill

# Files that must be there, and files or folders that a notebook writes. All are relative to where a command was typed.
READ = ("checkpoint", "sweep_table", "variants_table", "pictures_dir", "pictures")
WRITTEN, FOLDERS = ("checkpoint_path", "figures_dir", "out"), ("figures_dir", "pictures_dir", "pictures")
# Steps of a sampler, which takes at most T; a notebook may go on to more of them than it is told.
STEPS, TIMES_AS_MANY = ("steps", "few_steps", "grid_steps", "denoise_steps", "step_counts"), {"09_museum_of_bugs": 5}
# Of a checkpoint: most notebooks draw in 20 steps somewhere, and 05 shows ten times.
LEAST_T = {"05_guidance_lab": 10} | dict.fromkeys(
    ("02_unet", "04_guided_sampling", "06_morphing", "07_fast_sampling", "08_measuring_guidance",
     "10_one_model_many_names", "11_one_step"), 20
)  # fmt: skip
MOST = 1_000_000  # nobody needs more, and the memory would not do


def _whole(least: int, most: int = MOST) -> Callable:
    return partial(guards.count, least=least, most=most)


def _pair(name: str, value: object) -> None:
    if len(value) != 2:
        raise ValueError(f"{name} must be two digits, got {value!r:.60}")


def _line(name: str, value: object) -> None:
    for point in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(point, list | tuple) or len(point) != 2 or not all(map(guards.is_finite, point)):
            raise ValueError(f"{name} must be a list of points (right, down) in pixels, got {value!r:.60}")


def _some_conditional(name: str, value: object) -> None:
    if not any(guards.is_finite(w) and w >= 0 for w in value):
        raise ValueError(f"one of {name} must be ≥ 0, got {value!r:.60}")


def _name(name: str, value: object) -> None:
    if len(value) < 2 or not set(value.upper()) <= set(LETTERS):
        raise ValueError(f"{name} must be at least two letters from A to Z, got {value!r:.60}")


def _guidance(name: str, value: object) -> None:
    if guards.within(name, value, f"[{-guards.LARGEST_W:g}, {guards.LARGEST_W:g}]") == 0:
        raise ValueError(f"{name} must not be 0, which guides nothing")


# A guard for a parameter's value, or for each item where the default is a list. "NOTEBOOK NAME" is a rule of that one.
RULES: dict[str, Callable] = {
    "T": _whole(5),  # 01 looks at ninths of it
    "09_museum_of_bugs samples": _whole(10),  # the first ten are shown
    "12_your_own_pictures samples": _whole(52),  # two of each letter
    "letters_per_class": _whole(40, 10_000),  # a tenth of them are test letters, and a judge wants 4 of each
    "held_out_font": partial(guards.choice, allowed=FONTS),
    "name": _name,
    "samples_per_weight": _whole(50),
    "pool_samples": _whole(200, 10_000),  # so many real digits are there
    "noises": _whole(1, 50),  # so many of each kind are among the embedded test digits
    **dict.fromkeys(("samples", "live_samples", "n"), _whole(2)),  # FID needs a covariance
    **dict.fromkeys(("widths", "embedding_width"), _whole(1, 4096)),
    "frames_per_change": _whole(1, 10_000),
    "hold": _whole(0, 10_000),
    **dict.fromkeys(("seed", "animated_seeds"), _whole(0, 2**63 - 1)),
    **dict.fromkeys(("digit", "digit_shown", "digits_shown", "labels", "pair"), _whole(0, 9)),
    "sampler": partial(guards.choice, allowed=(*SAMPLERS, "real")),
    "variant": partial(guards.choice, allowed=tuple(VARIANTS)),
    "data_source": partial(guards.choice, allowed=SOURCES),
    **dict.fromkeys(
        ("w", "weights", "live_weights", "w_measured", "w_interval", "w_gentle"),
        partial(guards.within, interval=f"[{-guards.LARGEST_W:g}, {guards.LARGEST_W:g}]"),
    ),
    "w_acts": _guidance,
    **dict.fromkeys(("p_uncond", "target"), partial(guards.within, interval="[0, 1]")),
    **dict.fromkeys(
        ("budget_seconds", "budget_eps_seconds", "budget_flow_seconds", "judge_seconds", "folder_seconds"),
        partial(guards.finite, above=0),
    ),
    "provenance": guards.json_dict,
    "lines": _line,
}
# Guards for lists as a whole.
LISTS: dict[str, Callable] = {"widths": guards.widths, "pair": _pair, "live_weights": _some_conditional}


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
                found[name] = _value(path.stem, name, known[name], given[name])
            except ValueError as error:
                raise ValueError(f"{path.stem}, parameters cell: {error} (default: {known[name]!r})") from None
    try:
        _check_model(path.stem, known, found)
    except ValueError as error:
        raise ValueError(f"{path.stem}, parameters cell: {error}") from None
    return found


def _check_model(notebook: str, known: dict[str, object], found: dict[str, object]) -> None:
    """What does the checkpoint draw, and has it the steps: given ones, and for one of your own the defaults, too?"""
    own, pictures = found.get("checkpoint"), found.get("pictures")
    if pictures and not own:
        raise ValueError("pictures must come with a checkpoint that draws them, got none")
    steps = {name: found.get(name, known[name]) for name in STEPS if name in found or (own and name in known)}
    if not (steps or own):
        return
    ddpm = load_checkpoint(own)
    if own and not pictures:
        judge_of(ddpm)  # the notebooks ask for digits, and a classifier of digits reads them
    T = ddpm.schedule.T
    if own and LEAST_T.get(notebook, 1) > T:
        raise ValueError(f"checkpoint must have T ≥ {LEAST_T[notebook]}, got T = {T}")
    share = TIMES_AS_MANY.get(notebook, 1)
    for name, value in steps.items():
        # Of a list of its own, the notebook leaves out what is too much.
        for item in (value if name in found else ()) if isinstance(value, list | tuple) else [value]:
            guards.count(f"{name} (at most T{f' / {share}' if share > 1 else ''})", item, most=T // share)


def _value(notebook: str, name: str, default: object, text: str) -> object:
    value, rule = literal(text), RULES.get(f"{notebook} {name}", RULES.get(name))
    if name in READ + WRITTEN:
        return _path(name, default, text, value)
    if isinstance(default, str) and not isinstance(value, str):
        value = text  # a date or a commit may look like a number
    if not isinstance(default, list):
        _check(rule, name, default, value)
    elif not isinstance(value, list | tuple) or not (value or name == "lines"):
        raise ValueError(f"{name} must be a list such as {default}, got {value!r:.60}")
    else:
        LISTS.get(name, lambda *_: None)(name, value)
        for item in value:
            _check(rule, f"each of {name}", default[0], item)
    return value


def _check(rule: Callable | None, said: str, default: object, value: object) -> None:
    """said: what an error calls the value."""
    if isinstance(value, bool) and not isinstance(default, bool):
        raise ValueError(f"{said} must not be True or False")  # for Python these are numbers
    if isinstance(default, str | dict | bool) and not isinstance(value, type(default)):
        raise ValueError(f"{said} must be of type {type(default).__name__}, got {value!r:.60}")
    if rule:
        rule(said, value)
    elif isinstance(default, int) and not isinstance(default, bool):
        guards.count(said, value, most=MOST)
    elif isinstance(default, float):
        guards.finite(said, value)


def _path(name: str, default: object, text: str, value: object) -> str | None:
    """An absolute path, because the kernel starts in another folder. Two names are no paths."""
    if (value is None and default is None) or (name, value) in (("checkpoint", "student"), ("pictures", "letters")):
        return value
    if value is None:
        raise ValueError(f"{name} must be a path, got None")
    text = value if isinstance(value, str) else text
    is_folder = name in FOLDERS
    check = guards.folder_or_none if is_folder else guards.path
    path = Path(os.path.abspath(check(name, text)))
    if name in READ and not (path.is_dir() if is_folder else path.is_file()):
        raise ValueError(f"{name}: there is no {'folder' if is_folder else 'file'} {path}")
    if path.exists() and path.is_dir() != is_folder:
        raise ValueError(f"{name} must be a {'folder' if is_folder else 'file'}, got {path}")
    return str(path)
