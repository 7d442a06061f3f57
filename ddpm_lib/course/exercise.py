"""What every check of an exercise stands on: the door for all answers, and the comparison with right and wrong ones.

A check hands the learner's function several cases (`judge`). For answers with randomness in them see `chance.py`; for
what keeps a notebook safe from a learner's code, `sandbox.py`.
"""

import contextlib
import copy
import dis
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ddpm_lib.course import record, sandbox
from ddpm_lib.course.sandbox import Judged, Verdict

SECONDS = 10  # a check may take so long; a right answer takes less than a second
NOT_ATTEMPTED = Verdict("not attempted", "replace None by your code and run the cell and this check again")

STUBS = ("my_", "repaired_")  # how the name of a function begins that is the answer to an exercise
PASSED: dict[int, Callable] = {}  # the functions that passed a check in this session, by their id

# What an answer becomes, as float64: the array itself, or the arrays of a dict by their names.
Arrays = dict[object, np.ndarray]


class Mistake(NamedTuple):
    """answer: what someone returns who makes this mistake, as a function of the inputs. diagnosis: one sentence.

    common: what this mistake has in common with those that look like it; said where two fit.
    """

    answer: Callable
    diagnosis: str
    common: str = ""


def check(function: Callable[[Callable], Verdict]) -> Callable[[Callable], Verdict]:
    """Make a check that never raises and always ends, whatever the learner's function does."""

    @functools.wraps(function)
    def guarded(attempt: Callable) -> Verdict:
        if not callable(attempt):
            return wrong(f"hand over your function itself, got {type(attempt).__name__}")
        sandbox.mend()
        seed = int(torch.randint(2**62, ()))  # the only number that a check takes from the notebook's generators
        if is_stub(attempt):
            return NOT_ATTEMPTED
        with sandbox.as_it_was(seed):
            verdict = sandbox.run(functools.partial(function, attempt), SECONDS)
        if verdict.status == "passed":
            PASSED[id(attempt)] = attempt
            if getattr(attempt, "__name__", "").startswith(STUBS):
                record.note(function.__name__)
        return verdict

    return guarded


def use(attempt: Callable, otherwise: Callable) -> Callable:
    """The learner's function if it passed its check, else the library's; says which in a line.

    What the learner's function returns becomes float32 tensors (whole numbers stay whole, plain numbers as they are).
    If it crashes on inputs that no check sent, the library's function answers from then on: a notebook goes on.
    """
    name = f"`{getattr(attempt, '__name__', 'your function')}`"
    if PASSED.get(id(attempt)) is not attempt:
        print(f"{name}: the library's, until yours has passed its check")
        return otherwise
    print(f"{name}: yours")
    broken = []

    @functools.wraps(attempt)
    def answer(*inputs: object, **named_inputs: object) -> object:
        if not broken:
            try:
                return _plain(attempt(*inputs, **named_inputs))
            except Exception as error:
                broken.append(error)
                print(f"{name} raised {type(error).__name__} here ({error}): from now on, the library's")
        return otherwise(*inputs, **named_inputs)

    return answer


def _plain(got: object) -> object:
    """An answer in the form that the library uses."""
    if isinstance(got, dict):
        return {key: _plain(value) for key, value in got.items()}
    if isinstance(got, tuple | list) and any(isinstance(value, Tensor | np.ndarray) and value.ndim for value in got):
        return tuple(map(_plain, got))  # such as mean and standard deviation
    if isinstance(got, bool | int | float | str | type(None) | nn.Module):
        return got
    if isinstance(got, np.generic):
        return got.item()
    tensor = got if isinstance(got, Tensor) else torch.as_tensor(np.asarray(got))
    return tensor.float() if tensor.is_floating_point() else tensor


def is_stub(attempt: Callable) -> bool:
    """Whether a function is as it was handed out: it does nothing but return None, and reads none of its inputs."""
    code = getattr(attempt, "__code__", None)
    if code is None:
        return False
    steps = {(step.opname, step.argval) for step in dis.get_instructions(code)}
    prologue = {step for step in steps if step[0] in ("RESUME", "COPY_FREE_VARS", "NOP")}
    return steps - prologue <= {("LOAD_CONST", None), ("RETURN_VALUE", None), ("RETURN_CONST", None)}


def judge(
    attempt: Callable,
    right: Callable,
    mistakes: Sequence[Mistake | tuple],
    cases: Sequence[tuple],
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> Verdict:
    """Compare what attempt, right and each mistake return, by values and shape, on all cases.

    cases: tuples of a name that reads well after "right", such as "at w = 0" or "on random inputs", and the inputs.
    mistakes: tuples (function, diagnosis) or (function, diagnosis, what it has in common with similar ones). One is
    named where the answer equals it on every case. (Its answer may have a shape of its own, and may fail on a case.)
    """
    answers = [answer_of(attempt, inputs, name if i else "") for i, (name, *inputs) in enumerate(cases)]
    wanted = [arrays_of(right(*copy.deepcopy(inputs))) for _, *inputs in cases]

    def equal(got: Arrays, want: Arrays) -> bool:
        return same(got, want, rtol, atol)

    def fits(mistake: Mistake) -> bool:
        return all(
            equal(got, arrays_of(mistake.answer(*copy.deepcopy(inputs))))
            for (_, *inputs), got in zip(cases, answers, strict=True)
        )

    is_right = [equal(got, want) for got, want in zip(answers, wanted, strict=True)]
    if all(is_right):
        return Verdict("passed", f"right {listed(name for name, *_ in cases)}")
    if found := fitting(mistakes, fits):
        return named(found)
    first = is_right.index(False)
    name, *inputs = cases[first]
    fine = listed(case[0] for case, good in zip(cases, is_right, strict=True) if good)
    text = _measured(answers[first], wanted[first])
    if not same(answer_of(attempt, inputs), answers[first], rtol, atol):
        text = "two calls with the same inputs give different answers: draw no random numbers here"
    return wrong(f"right {fine}, but {name}: {text}" if fine else text)


def wrong(text: str) -> Verdict:
    """A verdict that measures what is wrong, without a name for it."""
    return Verdict("wrong", text)


def fitting(mistakes: Sequence[Mistake | tuple], fits: Callable[[Mistake], bool]) -> list[Mistake]:
    """The mistakes that fit. A mistake that has no answer to some case, and fails there, doesn't."""
    found = []
    for mistake in (Mistake(*mistake) for mistake in mistakes):
        with contextlib.suppress(Exception):
            if fits(mistake):
                found.append(mistake)
    return found


def named(found: Sequence[Mistake]) -> Verdict:
    """The verdict on an answer that these mistakes fit alike: the name of one, or what several have in common."""
    texts = list(dict.fromkeys(mistake.diagnosis for mistake in found))
    common = {mistake.common for mistake in found}
    if len(texts) == 1:
        text = texts[0]
    elif len(common) == 1 and "" not in common:
        text = common.pop()
    else:
        text = f"one of {len(texts)} mistakes: {'; or: '.join(texts)}"
    return Verdict("wrong", text, text)


def answer_of(attempt: Callable, inputs: Sequence[object], case: str = "", finite: bool = False) -> Arrays:
    """attempt(*inputs) as float64 arrays. Ends the check where it is no numbers, or was made by changing the inputs.

    case: when this was, for the learner. finite: whether nan and inf end the check, too.
    """
    given = copy.deepcopy(list(inputs))
    try:
        inspect.signature(attempt).bind(*given)
    except TypeError as error:
        raise Judged(wrong(f"your function should take the {len(given)} inputs of the stub: {error}")) from None
    except ValueError:  # a built-in function doesn't say what it takes
        pass
    try:
        got = attempt(*given)
    except BaseException as error:
        if case:
            error.add_note(case)
        raise
    finally:
        sandbox.mute()
        sandbox.mend()  # what the learner's code replaced must not be asked whether it is right
    if got is None:
        raise Judged(wrong(_returned_none(attempt, case)))
    for i, (before, after) in enumerate(zip(inputs, given, strict=True)):
        if not unchanged(before, after):
            message = f"you changed {_parameter(attempt, i)} in place, and the caller still needs it: make a new one"
            raise Judged(wrong(message))
    arrays = arrays_of(got)
    if finite and not all(np.isfinite(array).all() for array in arrays.values()):
        raise Judged(wrong(NOT_FINITE))
    return arrays


def _returned_none(attempt: Callable, case: str) -> str:
    try:
        source = inspect.getsource(attempt)
    except (OSError, TypeError):
        source = ""
    if "return None" in [line.strip() for line in source.splitlines()[-1:]]:
        return "the stub's last line, `return None`, is still there: return what you have computed"
    return " ".join(["your function returned None", *([case] if case else [])]) + (
        ": end it with `return` (print only shows a value)"
    )


def unchanged(before: object, after: object) -> bool:
    """Whether two inputs are alike to the last bit: tensors, arrays, modules, and lists, tuples and dicts of them."""
    if type(before) is not type(after):
        return False
    if isinstance(before, Tensor | np.ndarray):
        a, b = (np.asarray(value.detach()) if isinstance(value, Tensor) else value for value in (before, after))
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(before, nn.Module):
        pairs = [(dict(m.named_parameters()), dict(m.named_buffers())) for m in (before, after)]
        return unchanged(*pairs)
    if isinstance(before, dict):
        return list(before) == list(after) and unchanged(list(before.values()), list(after.values()))
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(unchanged, before, after))
    return not isinstance(before, int | float | str) or before == after or before != before


def _parameter(attempt: Callable, i: int) -> str:
    try:
        return f"`{list(inspect.signature(attempt).parameters)[i]}`"
    except (TypeError, ValueError, IndexError):  # a built-in function, or *inputs
        return f"input {i + 1}"


def arrays_of(got: object) -> Arrays:
    """Numbers of any kind, or a dict of them, as float64. Ends the check where there are none."""
    if isinstance(got, dict):
        return {name: _array(value, f"under {name!r}") for name, value in got.items()}
    return {None: _array(got)}


def _array(got: object, where: str = "") -> np.ndarray:
    place = _none_in(got)
    if place:
        raise Judged(wrong(f"entry {place} of your answer is None: numbers should stand everywhere"))
    try:
        if isinstance(got, Tensor):
            got = got.detach().cpu()
            array = got.double().numpy() if got.is_floating_point() else got.numpy()
        elif isinstance(got, str | bytes) or (isinstance(got, list | tuple) and any(map(_is_no_number, got))):
            raise TypeError
        else:
            array = np.asarray(got)
        if array.dtype.kind == "c":
            raise Judged(wrong("the answer should be real numbers, got complex ones"))
        if array.dtype.kind not in "biufO":
            raise TypeError
        whole = array.dtype if array.dtype.kind in "biu" else None
        array = array.astype(np.float64).view(_Answer)
        array.came_as = got.dtype if isinstance(got, Tensor | np.ndarray | np.generic) else whole
        array.whole = whole is not None
        return array
    except Judged:
        raise
    except Exception:  # these are no numbers; numpy and torch raise many kinds of errors here
        message = f"the answer {where} ".rstrip() + f" should be a tensor or a number, got {type(got).__name__}"
        if isinstance(got, list | tuple) and all(isinstance(value, Tensor) for value in got):
            message += f" of {len(got)} tensors: return one (torch.stack makes one of several alike)"
        raise Judged(wrong(message)) from None


class _Answer(np.ndarray):
    """Numbers as float64 that remember what they came as: the dtype, and whether they were whole numbers."""

    came_as, whole = None, False


def _is_no_number(value: object) -> bool:
    return isinstance(value, str | bytes) or (isinstance(value, Tensor) and value.ndim > 0)


def _none_in(got: object) -> str:
    """The place of the first None in nested lists, such as "2" or "2, 0"."""
    if isinstance(got, list | tuple):
        for i, value in enumerate(got):
            if value is None:
                return str(i)
            if inner := _none_in(value):
                return f"{i}, {inner}"
    return ""


def same(got: Arrays, want: Arrays, rtol: float = 1e-4, atol: float = 1e-4) -> bool:
    """Whether two answers have the same names and shapes, and values that differ by at most atol + rtol·|want|.

    Where whole numbers are wanted, the answer may differ by what float32 rounds.
    """
    if got.keys() != want.keys():
        return False
    for name, b in want.items():
        a, exact = got[name], getattr(b, "whole", False)
        if a.shape != b.shape:
            return False
        with np.errstate(invalid="ignore"):
            near = abs(a - b) <= (1e-3 if exact else atol + rtol * abs(b))
        if not (near | (a == b) | ((a != a) & (b != b))).all():
            return False
    return True


NOT_FINITE = "the answer holds nan or inf: a division by 0, or the root of a negative number?"


def _measured(got: Arrays, want: Arrays) -> str:
    """In which way an answer is wrong, and by how much."""
    if got.keys() != want.keys():
        if None in want:
            return "the answer should be a tensor or a number, got dict"
        names = [", ".join(map(repr, answer)) if None not in answer else "numbers" for answer in (want, got)]
        return f"the answer should be a dict with the names {names[0]}, got {names[1]}"
    name = next(name for name in want if not same({None: got[name]}, {None: want[name]}))
    a, b, of = got[name], want[name], "" if name is None else f" under {name!r}"
    if a.shape != b.shape:
        return f"the answer{of} should have shape {b.shape}, got {a.shape}"
    if not np.isfinite(a).all():
        return NOT_FINITE
    if a.shape == () and b.came_as == np.bool_:
        return f"the answer should be {bool(b)}, got {bool(a) if a in (0, 1) else a}"
    return f"off by up to {np.max(abs(a - b)):.3g} from the right answer{of}{_rounding(a, b)}"


def _rounding(got: _Answer, want: _Answer) -> str:
    """What an answer's dtype does to it, if that may be the mistake."""
    if got.whole and got.came_as is not None and (want != np.round(want)).any():
        return f"; your {got.came_as} holds whole numbers only, and cuts off the rest"
    if got.came_as in (torch.float16, torch.bfloat16, np.float16):
        return f"; your {got.came_as} keeps three digits at most"
    return ""


def listed(names: Iterable[str]) -> str:
    """a, b and c, each once."""
    *rest, last = dict.fromkeys(names) or [""]
    return f"{', '.join(rest)} and {last}" if rest else last
