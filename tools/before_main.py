"""Until main() of a tool begins, Ctrl-C ends it at once and without a word: nothing is there to clean up yet.

A tool imports this first, because its other imports take seconds. `console.command` brings the usual Ctrl-C back.
"""

import signal
import sys
from pathlib import Path

program = getattr(sys.modules["__main__"], "__file__", None)
is_a_tool = program and Path(program).resolve().parent == Path(__file__).parent
# A test, or another program that imports a tool, keeps its own Ctrl-C; a process in the background goes on ignoring it.
if is_a_tool and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
