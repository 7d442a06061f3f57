"""■ and Ctrl-C while packages are imported: a press waits, then it takes effect, and the import works again."""

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ddpm_lib.extras import needed_by
from ddpm_lib.interrupts import undisturbed


def press():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("context", [undisturbed, lambda: needed_by("load_mnist", "data")])
def test_a_press_waits_and_then_takes_effect(context):
    before, reached = signal.getsignal(signal.SIGINT), []

    def work():
        with context():
            press()
            press()
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is before


def test_without_a_press_nothing_happens_and_errors_pass():
    before = signal.getsignal(signal.SIGINT)
    with undisturbed():
        pass
    with pytest.raises(OSError, match="passes"), undisturbed():
        raise OSError("passes")
    assert signal.getsignal(signal.SIGINT) is before


def test_one_within_the_other_takes_effect_at_the_outer_end():
    reached = []

    def work():
        with undisturbed():
            with undisturbed():
                press()
            reached.append("between")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["between"]


def test_in_another_thread_nothing_is_changed():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with undisturbed():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_process_that_ignores_presses_goes_on_ignoring_them(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with undisturbed():
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


# What takes seconds to import, and what then must work.
SLOW = {
    "the package": ("pass", "import ddpm_lib", "ddpm_lib.DDPM.recommended()"),
    "the course": ("import ddpm_lib", "from ddpm_lib.course import plots", "plots.Figure().canvas.draw()"),
    "the first optimizer": (
        "import torch, ddpm_lib as d; x = torch.utils.data.TensorDataset(torch.rand(8, 1, 28, 28), torch.arange(8)); "
        "m = d.DDPM(d.UNet(d.UNetConfig((4, 4, 4), 4)), d.NoiseSchedule.cosine(9))",
        "[*d.train(m, x, d.TrainConfig(steps=1))]",
        "assert len([*d.train(m, x, d.TrainConfig(steps=2))]) == 2",
    ),
}
CHILD = """
import signal, threading, time
{before}
def press(): time.sleep({wait}); signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
threading.Thread(target=press, daemon=True).start()
try:
    {slow}
    time.sleep(9)
except KeyboardInterrupt:
    pass
{slow}
{after}
print("works")
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows has no such signal")
@pytest.mark.parametrize("wait", [0.3, 0.8])
@pytest.mark.parametrize("what", SLOW)
def test_an_import_that_was_pressed_into_works_again(what, wait):
    before, slow, after = SLOW[what]
    code = CHILD.format(before=before, slow=slow, after=after, wait=wait)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.stdout == "works\n", run.stderr[-2000:]


# ---------------------------------------------------------------------------- the first optimizer of a process

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))
# What makes an optimizer: each is tried as the first one, because whichever comes first imports torch._dynamo.
MAKES = {
    "ddpm_lib/training/__init__.py": """
import ddpm_lib as d
from torch.utils.data import TensorDataset
ddpm = d.DDPM(d.UNet(d.UNetConfig((4, 4, 4), 4)), d.NoiseSchedule.cosine(9))
next(d.train(ddpm, TensorDataset(torch.rand(8, 1, 28, 28), torch.arange(8)), d.TrainConfig(steps=1)))
""",
    "ddpm_lib/judge.py": """
import ddpm_lib as d
from ddpm_lib import judge
judge.fit(judge.DigitClassifier(), torch.rand(8, 1, 28, 28), torch.zeros(8).long(), d.TrainConfig(steps=1), None)
""",
    "ddpm_lib/course/training_pieces.py": "from ddpm_lib.course import training_pieces",
    "ddpm_lib/course/one_step.py": """
from ddpm_lib.course import one_step
one_step._fit(torch.nn.Linear(1, 1), *[None] * 4, 0, None)
""",
    "ddpm_lib/course/exhibits.py": """
from ddpm_lib.course import exhibits
exhibits.train_table(None, 0, 0)
""",
}
WATCH = """
import json, signal, sys
import torch
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._dynamo":
            raise LookupError("held" if signal.getsignal(signal.SIGINT) is not signal.default_int_handler else "open")
sys.meta_path.insert(0, Watch())
said = []
for code in json.load(sys.stdin):
    try:
        exec(code, {"torch": torch})
        said.append("no torch._dynamo")
    except LookupError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def cells(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_first_optimizer_is_made_while_presses_wait():
    """torch imports seconds of modules for it, of which a press would leave half."""
    makes = re.compile(r"torch\.optim\.[A-Z]\w+\)?\(|torch\.optim\.[A-Z]\w+, lr")
    found = [path for path in (REPOSITORY / "ddpm_lib").rglob("*.py") if makes.search(path.read_text("utf-8"))]
    assert {str(path.relative_to(REPOSITORY).as_posix()) for path in found} == MAKES.keys()
    # A notebook that makes one in sight imports torch._dynamo in its cell of imports, after hosted and parameters.
    visible = [code for path in NOTEBOOKS for code in [cells(path)] if any(map(makes.search, code))]
    assert visible
    idle = "from ddpm_lib.widgets import GuidanceLab; from ddpm_lib.course import checks, museum, plots, toys"
    codes = [*MAKES.values(), *(code[2] for code in visible), idle]
    run = subprocess.run([sys.executable, "-c", WATCH], input=json.dumps(codes), capture_output=True, text=True)
    *held, idle = json.loads(run.stdout or "[0]")
    assert held == ["held"] * (len(codes) - 1), run.stderr[-2000:]
    assert idle == "no torch._dynamo", "a notebook that doesn't train would pay for it: a second and 100 MB"
