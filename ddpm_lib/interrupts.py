"""■ and Ctrl-C at any time: a press waits while packages are imported.

An import that is cut short leaves half a package behind. torch, sympy and matplotlib can't be imported again in this
process: the kernel could not train any more. Imports wait in places where one doesn't see them: the first optimizer
imports torch._dynamo, with sympy and hundreds of modules more. So it is made inside `undisturbed`, or that is imported
there before; importing it with the package would cost the notebooks that don't train a second and 100 MB.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

# A command of this repository has nothing to clean up before its main() begins: until then Ctrl-C ends it at once and
# without a word; `console.command` brings the usual Ctrl-C back. So a command imports ddpm_lib before other packages.
# A program in the background goes on ignoring Ctrl-C.
_module = next((after for before, after in pairwise(sys.orig_argv) if before == "-m"), "")
_program = Path(getattr(sys.modules["__main__"], "__file__", None) or "/").absolute()
_is_a_command = _module.startswith("ddpm_lib.") or _program.parent in (
    Path(__file__).absolute().parents[1] / folder for folder in ("tools", "benchmarks")
)
if _is_a_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, ■ and Ctrl-C wait; the first of them takes effect at the end.

    Only Python's main thread gets them, so that in other threads nothing waits.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda *press: pressed.append(press))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            before(*pressed[0])
