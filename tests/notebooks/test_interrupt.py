"""The learner presses ■, at any time, in any notebook: a real kernel, a real interrupt."""

import os
import queue
import random
import re
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
NOTEBOOK = next(path for path in NOTEBOOKS if path.stem == "03_training")
FIRST = {"03": "overfit", "09": "snow-line", "11": "halve"}  # the cell that makes the kernel's first optimizer
# Over all notebooks; the first of each notebook while it imports, the second one in the cell of FIRST.
PRESSES = int(os.environ.get("DDPM_PRESSES", "3"))
SHORT = {
    "01": "copies = 500",
    "03": "budget_seconds, budget_eps_seconds, widths, samples = 3, 2, [8, 16, 24], 20",
    "04": "samples_per_weight, grid_steps, few_steps = 50, 5, 10",
    "06": "noises, denoise_steps = 4, 5",
    "07": "samples = 50",
    "08": "pool_samples, live_samples, live_seeds = 200, 50, 2",
    "09": "samples, steps, batches = 20, 5, 20",
    "10": "budget_seconds, budget_flow_seconds, samples = 2, 2, 50",
    "12": "letters_per_class, budget_seconds, judge_seconds, folder_seconds, samples = 40, 2, 2, 2, 52",
}
pytestmark = [pytest.mark.notebooks, pytest.mark.filterwarnings("default")]


@pytest.fixture
def kernel():
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(NOTEBOOK.parent))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(client, request, seconds=120, until=None):
    """All that a cell prints, until it is over, or until `until` is seen; an error is printed as its name."""
    text, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        text += (
            content.get("text", "") + content.get("data", {}).get("text/plain", "") + content.get("ename", "") + "\n"
        )
        if (until and until(kind, content)) or (kind == "status" and content["execution_state"] == "idle"):
            return text
    raise TimeoutError(f"the cell was not over after {seconds} s: {text[-500:]}")


@pytest.mark.parametrize("again", [0, 1], ids=["at once", "after some steps"])
def test_an_interrupted_training_leaves_a_usable_model_and_says_so(again, kernel, tmp_path):
    manager, client = kernel
    code = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    cells = {cell.id: cell.source for cell in code}
    ids = list(cells)

    def run(cell, more=""):
        text = outputs(client, client.execute(f"{cells.get(cell, '')}\n{more}"))
        assert not re.search(r"\w(Error|Exception)\b", text), text
        return text

    short = "budget_seconds, budget_eps_seconds, widths, samples = 600, 1, [8, 16, 24], 20"
    short += f"\ncheckpoint_path = {str(tmp_path / 'ddpm')!r}"
    run("parameters", short)
    for cell in ids[ids.index("parameters") + 1 : ids.index("train-v-run")]:
        run(cell)

    request = client.execute(cells["train-v-run"], store_history=False)
    pictures = []

    def drawn(kind, content):
        pictures.extend([kind] * (kind in ("display_data", "update_display_data")))
        return len(pictures) > again

    outputs(client, request, until=drawn)  # the live curve is there: it trains
    time.sleep(1)
    manager.interrupt_kernel()
    text = outputs(client, request)
    assert "You stopped after" in text
    assert "KeyboardInterrupt" not in text
    assert (tmp_path / "ddpm").exists()  # the rest of the cell ran too

    for cell in ids[ids.index("train-v-run") + 1 : ids.index("save-check")]:
        run(cell)
    equal, _, tensors = run("save-check").partition(" loaded")[0].split()
    assert equal == tensors
    assert "finite True" in run("", "print('finite', bool(draw_digits(ddpm, asked, seed).isfinite().all()))")


@pytest.mark.parametrize("path", NOTEBOOKS[:PRESSES], ids=lambda path: path.stem)
def test_after_a_press_at_any_time_the_cell_runs_again(path, kernel, tmp_path, tried):
    manager, client = kernel
    chance = random.Random(f"{path.stem} {time.time_ns() if PRESSES > 3 else 0}")
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    _, parameters, imports, *others = code  # hosted comes first, and does nothing here
    presses = PRESSES // len(NOTEBOOKS) + (NOTEBOOKS.index(path) < PRESSES % len(NOTEBOOKS))
    first = [cell for cell in others if cell.id == FIRST.get(path.stem[:2])][: presses - 1]
    assert presses < 2 or bool(first) == (path.stem[:2] in FIRST)
    others = [cell for cell in others if cell not in first]
    pressed = [imports, *first, *chance.sample(others, min(presses - 1 - len(first), len(others)))]
    parameters.source += f"\n{SHORT.get(path.stem[:2], '')}\ncheckpoint_path = figures_dir = {str(tmp_path / 'a')!r}"
    if path.stem.startswith("05"):
        parameters.source += "\ncheckpoint_path = None"

    last = max(i for i, cell in enumerate(code) if any(cell is one for one in pressed))
    for cell in code[: last + 1]:
        if any(cell is one for one in pressed):
            seconds = chance.choice([chance.uniform(0, 0.3), chance.uniform(0, 6)])
            if cell in first:
                seconds = chance.uniform(0.2, 1.2)
            request = client.execute(cell.source)
            time.sleep(seconds)
            manager.interrupt_kernel()
            text = outputs(client, request, seconds=300)
            tried["presses of ■ that ended a cell" if "KeyboardInterrupt" in text else "presses that came late"] += 1
        else:
            seconds = None
        request = client.execute(cell.source)
        text = outputs(client, request, seconds=300)
        reply = client.get_shell_msg(timeout=60)
        while reply["parent_header"].get("msg_id") != request:
            reply = client.get_shell_msg(timeout=60)
        assert manager.is_alive()
        assert reply["content"]["status"] == "ok", f"{cell.id}, pressed after {seconds} s: {text[-1500:]}"
