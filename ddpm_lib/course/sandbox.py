"""Where a learner's code runs: on a thread that can be given up, between two equal states of everything global.

A learner's function may do anything: crash, never end, print for ever, wait for the keyboard, seed the generators,
replace `torch.allclose`. Afterwards the notebook is as it was before. (A learner can fool a check. They only can't
break it for the rest of the session.)
"""

import builtins
import contextlib
import contextvars
import ctypes
import io
import math
import os
import random
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

CHARACTERS = 2000  # during one check, a learner's code may print so many
PACKAGE = os.path.dirname(os.path.dirname(__file__))  # the whole of ddpm_lib: no line in it is the learner's
NOT_THE_LEARNERS = (PACKAGE, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))

# What these owners called by which name when the course was imported. (torch.Tensor inherits most of its methods.)
OWNERS = (torch, torch.Tensor, torch.linalg, F, np, np.linalg, np.random, math, random)
WHOLE = [(owner, {name: value for name, value in vars(owner).items() if callable(value)}) for owner in OWNERS]
TENSOR = frozenset(vars(torch.Tensor))


@dataclass(frozen=True)
class Verdict:
    """status: "passed", "wrong" or "not attempted". message: one sentence for the learner.

    mistake: the diagnosis, where the answer is a mistake that the check knows by name; else "".
    """

    status: str
    message: str
    mistake: str = ""

    def __repr__(self) -> str:
        sign = {"passed": "✓", "wrong": "✗", "not attempted": "…"}[self.status]
        return f"{sign} {self.status}: {self.message}"


class Judged(Exception):
    """Ends a check early with a verdict."""

    def __init__(self, verdict: Verdict):
        self.verdict = verdict


class _GivenUp(SystemExit):
    """Ends a thread that took too long. `except Exception` doesn't catch it, and the thread ends without a message."""


class _Output(io.TextIOBase):
    """Passes on what is printed until it is muted, at most CHARACTERS of it: a check calls a function many times."""

    def __init__(self, stream: io.TextIOBase):
        self.stream, self.left = stream, CHARACTERS

    def write(self, text: str) -> int:
        if self.left > 0:
            self.stream.write(text[: self.left])
            if len(text) > self.left:
                self.stream.write("\n… (the check leaves out the rest of what your code prints)\n")
            self.left -= len(text)
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def mute(self) -> None:
        self.left = 0


def mute() -> None:
    """Show no more of what the learner's code prints: the first of several calls tells enough."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Output):
            stream.mute()


def _no_keyboard(*_: object) -> str:
    raise Judged(Verdict("wrong", "your code waits for `input()`, and a check can't type: take the value from the "
                                  "parameters"))  # fmt: skip


@contextlib.contextmanager
def as_it_was(seed: int) -> Iterator[None]:
    """Seed all global generators with `seed`, and put back everything global afterwards."""
    mend()
    states, dtype = (random.getstate(), np.random.get_state()), torch.get_default_dtype()
    stdout, stderr, keyboard = sys.stdout, sys.stderr, builtins.input
    sys.stdout, sys.stderr = outputs = _Output(stdout), _Output(stderr)
    builtins.input = _no_keyboard
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        random.setstate(random.Random(seed).getstate())
        np.random.set_state(np.random.RandomState(seed % 2**32).get_state())
        try:
            yield
        finally:
            for output in outputs:
                output.mute()  # a thread that could not be stopped may still hold it
            sys.stdout, sys.stderr, builtins.input = stdout, stderr, keyboard
            mend()
            torch.set_default_dtype(dtype)
            random.setstate(states[0])
            np.random.set_state(states[1])


def mend() -> None:
    """Put back the functions of torch, numpy, math and random that someone has replaced."""
    for owner, functions in WHOLE:
        for name, function in functions.items():
            if vars(owner).get(name) is not function:
                setattr(owner, name, function)
    for name in [name for name in vars(torch.Tensor) if name not in TENSOR and hasattr(torch._C.TensorBase, name)]:
        delattr(torch.Tensor, name)  # it hid the inherited one


def run(work: Callable[[], Verdict], seconds: float) -> Verdict:
    """The verdict of work(), or a verdict about how it failed. Never raises, but by ■ and Ctrl-C; always ends.

    One thing can't be stopped: a single call that keeps Python's lock, such as sum(range(10**12)).
    """
    outcome, context = [], contextvars.copy_context()  # the context tells a kernel below which cell to print

    def worker() -> None:
        try:
            outcome.append(context.run(work))
        except Judged as judged:
            outcome.append(judged.verdict)
        except BaseException as error:  # also exit() in a learner's code
            outcome.append(_crash(error))

    thread = threading.Thread(target=worker, name="exercise", daemon=True)
    thread.start()
    try:  # ■ and Ctrl-C interrupt the waiting
        thread.join(seconds)
        late = thread.is_alive()
        where = _line(traceback.extract_stack(sys._current_frames().get(thread.ident))) if late else ""
    finally:
        for _ in range(20):  # a bare except catches even this, so it is raised again
            if not thread.is_alive():
                break
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_GivenUp))
            thread.join(0.05)
    if late:
        loop = f"your code was still running after {seconds} s{where}: is there a loop that never ends?"
        return Verdict("wrong", loop)
    return outcome[0]


def _crash(error: BaseException) -> Verdict:
    name, where = type(error).__name__, _line(traceback.extract_tb(error.__traceback__))
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:  # a learner's own exception may fail to say what it is
        text = ""
    what = name + where + "".join(f" {note}" for note in getattr(error, "__notes__", [])) + (text and f": {text}")
    if where:
        return Verdict("wrong", f"your code raised {what}")
    return Verdict("wrong", f"no line of yours crashed, but the check itself failed on this answer with {what}")


def _line(frames: list[traceback.FrameSummary]) -> str:
    """The deepest line that is neither of this package nor of a library: a line of the learner."""
    own = [f for f in frames if not f.filename.startswith((*NOT_THE_LEARNERS, "<frozen"))]
    if not own:
        return ""
    return f" in line {own[-1].lineno}" + (f", `{own[-1].line}`" if own[-1].line else "")
