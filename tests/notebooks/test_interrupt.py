"""The learner presses ■ while notebook 03 trains: a real kernel, a real interrupt."""

import queue
import re
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_training.ipynb"
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
    for cell in ids[1 : ids.index("train-v-run")]:
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
