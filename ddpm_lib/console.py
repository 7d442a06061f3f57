"""What a command of this repository does on a bad day: one sentence instead of a traceback, and the work goes on.

@command wraps the main() of a tool, and of `python -m ddpm_lib.training`. What starts other processes, such as kernels,
also needs @cleans_up.
"""

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO

STOPS = ("SIGTERM", "SIGHUP")  # what a batch system, a shut-down or a closed terminal sends


def command(main: Callable) -> Callable:
    """A main() whose printing never fails, and that ends with one sentence where the disk refuses or Ctrl-C comes.

    An OSError, such as a full disk or a folder without the right to write, exits with 1 and names the file.
    """

    @functools.wraps(main)
    def guarded(*arguments: object, **named: object) -> object:
        with _patient_output():
            try:
                if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # a tool does so while it imports
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                return main(*arguments, **named)
            except KeyboardInterrupt:
                print("\nstopped by Ctrl-C", file=sys.stderr)
                sys.exit(128 + signal.SIGINT)
            except _Stopped as stop:
                print(f"\nstopped by {signal.Signals(stop.code - 128).name}", file=sys.stderr)
                raise
            except OSError as error:
                sys.exit(f"stopped: {reason(error)}")

    return guarded


def cleans_up(main: Callable) -> Callable:
    """A main() that SIGTERM and SIGHUP end as sys.exit does, so that kernels and new folders don't stay behind.

    The exit code is 128 + the signal's number, as in a shell.
    """

    @functools.wraps(main)
    def guarded(*arguments: object, **named: object) -> object:
        with _signals_raise():
            return main(*arguments, **named)

    return guarded


def reason(error: OSError) -> str:
    """The file, and why it could not be used: without the number that Python puts in front."""
    where = error.filename2 or error.filename
    return f"{where}: {error.strerror}" if where and error.strerror else error.strerror or str(error)


class _Stopped(SystemExit):
    """What a signal of STOPS raises. Its text is printed later: a signal may come in the middle of a print."""


class _Patient:
    """A stream that prints what it can: "?" for a letter that the console lacks, nothing where nobody reads it."""

    def __init__(self, stream: TextIO):
        self.stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

    def write(self, text: str) -> int:
        with self._unheard():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._unheard():
            self.stream.flush()

    @contextlib.contextmanager
    def _unheard(self) -> Iterator[None]:
        """From the first failure on all goes nowhere: also what other code writes, and Python at its end."""
        try:
            yield
        except (OSError, ValueError):  # a broken pipe, a full disk; a closed stream
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


@contextlib.contextmanager
def _patient_output() -> Iterator[None]:
    _open_closed_streams()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and _Patient(stream) for stream in before)
    try:
        yield
    finally:
        if sys.stdout:
            sys.stdout.flush()
        sys.stdout, sys.stderr = before


def _open_closed_streams() -> None:
    """Start again with /dev/null in the place of streams that were closed, as by `>&-`: no kernel starts without them.

    It is too late to open them here, because any file that was opened in the meantime may have their numbers.
    """
    closed = [i for i, stream in enumerate((sys.__stdin__, sys.__stdout__, sys.__stderr__)) if stream is None]
    if closed and os.name == "posix":
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in closed:
            os.dup2(nowhere, number)
            os.set_inheritable(number, True)  # dup2 does nothing where they are the same
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped(128 + number)

    changed = []
    for name in STOPS:
        number = getattr(signal, name, None)
        with contextlib.suppress(ValueError):  # not in the main thread
            # nohup has said already that SIGHUP shall be ignored.
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, stop)
                changed.append(number)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
