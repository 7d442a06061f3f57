"""■ and Ctrl-C at any time: a press waits while packages are imported.

An import that is cut short leaves half a package behind. torch, sympy and matplotlib can't be imported again in this
process: the kernel could not train any more. Imports wait in places where one doesn't see them: the first optimizer
imports torch._dynamo, with sympy and hundreds of modules more. So it is made inside `undisturbed`, or that is imported
there before; importing it with the package would cost the notebooks that don't train a second and 100 MB.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


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
