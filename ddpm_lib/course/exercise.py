"""What every check of an exercise uses: a verdict, a limit of seconds, the line of an exception, a comparison.

A learner's function may do anything: crash, never end, return nonsense, change its inputs, seed the global generator.
It runs on a separate thread, which can be stopped after `SECONDS` on any system and from any thread. Afterwards torch's
global generator is restored, so that the notebook draws the same numbers whatever the answer was.
"""

import contextvars
import copy
import ctypes
import functools
import inspect
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SECONDS = 10  # a check may take so long; a right answer takes less than a second
PACKAGE = os.path.dirname(os.path.dirname(__file__))  # the whole of ddpm_lib: no line in it is the learner's
NOT_THE_LEARNERS = (PACKAGE, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))


@dataclass(frozen=True)
class Verdict:
    """status: "passed", "wrong" or "not attempted". message: one sentence for the learner."""

    status: str
    message: str

    def __repr__(self) -> str:
        sign = {"passed": "✓", "wrong": "✗", "not attempted": "…"}[self.status]
        return f"{sign} {self.status}: {self.message}"


NOT_ATTEMPTED = Verdict("not attempted", "replace None by your code and run the cell and this check again")


RETURNS_NOTHING = Verdict("wrong", "your function returned None: end it with `return` (print only shows a value)")


class Judged(Exception):
    """Ends a check early with a verdict."""

    def __init__(self, verdict: Verdict):
        self.verdict = verdict


class _GivenUp(SystemExit):
    """Ends a thread that took too long. `except Exception` doesn't catch it, and the thread ends without a message."""


def check(function: Callable[[Callable], Verdict]) -> Callable[[Callable], Verdict]:
    """Make a check that never raises and always ends, whatever the learner's function does."""

    @functools.wraps(function)
    def guarded(attempt: Callable) -> Verdict:
        if not callable(attempt):
            return Verdict("wrong", f"hand over your function itself, got {type(attempt).__name__}")
        seed = int(torch.randint(2**62, ()))  # the only number that a check takes from the notebook's generator
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return _run(functools.partial(function, attempt))

    return guarded


def _run(work: Callable[[], Verdict]) -> Verdict:
    outcome, context = [], contextvars.copy_context()  # the context tells a kernel below which cell to print

    def run() -> None:
        try:
            outcome.append(context.run(work))
        except Judged as judged:
            outcome.append(judged.verdict)
        except BaseException as error:  # also exit() in a learner's code
            where, what = _line(traceback.extract_tb(error.__traceback__)), f"{type(error).__name__}"
            try:
                text = str(error).strip().partition("\n")[0]
            except Exception:  # a learner's own exception may fail to say what it is
                text = ""
            outcome.append(Verdict("wrong", f"your code raised {what}{where}" + (f": {text}" if text else "")))

    worker = threading.Thread(target=run, name="exercise", daemon=True)
    worker.start()
    try:  # ■ and Ctrl-C interrupt the waiting
        worker.join(SECONDS)
        late = worker.is_alive()
        where = _line(traceback.extract_stack(sys._current_frames().get(worker.ident))) if late else ""
    finally:
        for _ in range(20):  # a bare except catches even this, so it is raised again
            if not worker.is_alive():
                break
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(_GivenUp))
            worker.join(0.05)
    if late:
        return Verdict(
            "wrong", f"your code was still running after {SECONDS} s{where}: is there a loop that never ends?"
        )
    return outcome[0]


def _line(frames: list[traceback.FrameSummary]) -> str:
    """The deepest line that is neither of this package nor of a library: a line of the learner."""
    own = [f for f in frames if not f.filename.startswith((*NOT_THE_LEARNERS, "<frozen"))]
    if not own:
        return ""
    return f" in line {own[-1].lineno}" + (f", `{own[-1].line}`" if own[-1].line else "")


def call(attempt: Callable, *inputs: object) -> Tensor:
    """attempt(*inputs) as a tensor. Ends the check where it is None, no numbers, or was made by changing the inputs."""
    given = [copy.deepcopy(value) if isinstance(value, Tensor | list | nn.Module) else value for value in inputs]
    got = attempt(*given)
    if got is None:
        raise Judged(NOT_ATTEMPTED if _is_stub(attempt) else RETURNS_NOTHING)
    for i, (before, after) in enumerate(zip(inputs, given, strict=True)):
        if not _unchanged(before, after):
            name = _parameter(attempt, i)
            raise Judged(
                Verdict("wrong", f"you changed {name} in place, and the caller still needs it: make a new one")
            )
    return _numbers(got)


def _is_stub(attempt: Callable) -> bool:
    """Whether a function does nothing but return None: it uses no name and no number."""
    code = getattr(attempt, "__code__", None)
    return code is None or not (code.co_names or set(code.co_consts) - {None, attempt.__doc__})


def _unchanged(before: object, after: object) -> bool:
    if isinstance(before, Tensor):
        return torch.equal(before, after)
    if isinstance(before, nn.Module):
        pairs = zip(before.state_dict(keep_vars=True).values(), after.state_dict(keep_vars=True).values(), strict=True)
        buffers = zip(before.buffers(), after.buffers(), strict=True)  # a schedule's buffers are not in state_dict
        return all(torch.equal(a, b) for a, b in [*pairs, *buffers])
    return before is after or not isinstance(before, list) or before == after


def _parameter(attempt: Callable, i: int) -> str:
    try:
        return f"`{list(inspect.signature(attempt).parameters)[i]}`"
    except (TypeError, ValueError, IndexError):  # a built-in function, or *inputs
        return f"input {i + 1}"


def _numbers(got: object) -> Tensor:
    if isinstance(got, list | tuple) and any(value is None for value in got):
        place = [value is None for value in got].index(True)
        raise Judged(Verdict("wrong", f"entry {place} of your answer is None: numbers should stand everywhere"))
    try:
        got = torch.as_tensor(got).detach().cpu()
    except Exception:  # these are no numbers; torch raises four kinds of errors
        message = f"the answer should be a tensor or a number, got {type(got).__name__}"
        if isinstance(got, list | tuple) and all(isinstance(value, Tensor) for value in got):
            message += f" of {len(got)} tensors: return one (torch.stack makes one of several alike)"
        raise Judged(Verdict("wrong", message)) from None
    if got.is_complex():
        raise Judged(Verdict("wrong", "the answer should be real numbers, got complex ones"))
    if not got.isfinite().all():
        raise Judged(
            Verdict("wrong", "the answer holds nan or inf: a division by 0, or the root of a negative number?")
        )
    return got


def judge(attempt: Callable, right: Callable, mistakes: dict[str, Callable], *inputs: object) -> Verdict:
    """Compare attempt(*inputs) with right(*inputs), then with each named mistake, by values and shape."""
    answer = call(attempt, *inputs)
    want = torch.as_tensor(right(*inputs)).double()  # not as an integer: that would truncate a wrong 142.5
    got = answer.double()

    def is_like(other: object) -> bool:
        other = torch.as_tensor(other).double()
        return got.shape == other.shape and torch.allclose(got, other, atol=1e-4, rtol=1e-4)

    if is_like(want):
        return Verdict("passed", "right on fresh random inputs")
    for diagnosis, mistake in mistakes.items():  # some mistakes have another shape
        if is_like(mistake(*inputs)):
            return Verdict("wrong", diagnosis)
    if got.shape != want.shape:
        return Verdict("wrong", f"the answer should have shape {tuple(want.shape)}, got {tuple(got.shape)}")
    again = call(attempt, *inputs).double()
    if again.shape != got.shape or not torch.allclose(again, got, atol=1e-4, rtol=1e-4):
        return Verdict("wrong", "two calls with the same inputs give different answers: draw no random numbers here")
    return Verdict(
        "wrong", f"off by up to {(got - want).abs().max():.3g} from the right answer{_rounding(answer, want)}"
    )


def _rounding(answer: Tensor, want: Tensor) -> str:
    """What an answer's dtype does to it, if that may be the mistake."""
    if not answer.is_floating_point() and not torch.equal(want, want.round()):
        return f"; your {answer.dtype} holds whole numbers only, and cuts off the rest"
    if answer.dtype in (torch.float16, torch.bfloat16):
        return f"; your {answer.dtype} keeps three digits at most"
    return ""
