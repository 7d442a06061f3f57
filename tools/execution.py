"""Execute one notebook with papermill, in a kernel of its own: the result is there whole or not at all."""

import contextlib
import logging
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from ddpm_lib import console

import nbformat
import papermill
import psutil
from marks import resident

# The error of a dead kernel says it, too; and where a stop killed the kernel, nobody is left to take its error.
for name in ("papermill", "asyncio"):
    logging.getLogger(name).addHandler(logging.NullHandler())
CELL_TIMEOUT = 6 * 3600  # seconds; a training that a parameter made long fits in, a cell that hangs ends


def run_cells(path: Path, output: Path, parameters: dict) -> None:
    """Execute a notebook in its own folder into output, which appears whole or not at all.

    Raises PapermillExecutionError where that fails in any way: a cell that raises an error or ends the kernel, a kernel
    that doesn't start, a file that is no notebook, a full disk. What the cells of a failing notebook gave is in output.
    """
    try:
        output.unlink(missing_ok=True)  # so that what lies there is never of an earlier run
        with running(output.parent) as folder:
            part = folder / output.name
            try:
                papermill.execute_notebook(
                    path,
                    part,
                    parameters,
                    cwd=path.parent,
                    progress_bar=False,
                    execution_timeout=CELL_TIMEOUT,
                    skip_cells_with_tag="",  # in a stored notebook each cell has been executed
                    on_cell_executed=_refuse_exit,
                    # The kernel would log a warning about TCP on the loopback, and an error when told to shut down.
                    extra_arguments=["--log-level=CRITICAL"],
                )
            except Exception:
                with contextlib.suppress(Exception):  # half a notebook, or none
                    nbformat.read(part, 4)
                    os.replace(part, output)
                raise
            os.replace(part, output)
    except papermill.PapermillExecutionError:
        raise
    except Exception as error:  # whatever a kernel, a file or a disk does: the other notebooks go on
        text = console.reason(error) if isinstance(error, OSError) else str(error)
        raise papermill.PapermillExecutionError(0, 0, "", type(error).__name__, text, []) from error


class CellExited(Exception):
    """A cell called exit(), so the cells below it did not run."""


def _refuse_exit(cell: nbformat.NotebookNode, execute_reply: dict, **_: object) -> None:
    """exit() ends the kernel some time after its cell, or never, if a thread still runs: papermill would wait for ever.

    sys.exit() lets the kernel live, but papermill would call a notebook good that ends there.
    """
    reply = execute_reply["content"]
    exits = [found for found in reply.get("payload", []) if found.get("source") == "ask_exit"]
    if reply.get("ename") == "SystemExit" or any(not found.get("keepkernel") for found in exits):
        raise CellExited("it called exit(), so the cells below it did not run")


def last_cell(path: Path) -> str:
    """The cell that an executed notebook reached last, as text such as " in cell [3] `noise`"; "" if there is none."""
    with contextlib.suppress(Exception):
        cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        started = [cell for cell in cells if cell.metadata.get("papermill", {}).get("start_time")]
        return f" in cell [{started[-1].execution_count or ' '}] `{started[-1].id}`"
    return ""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """A new folder in `folder` for what isn't whole yet, on the same disk, so that renaming never copies.

    It is gone afterwards. What processes of this machine left, because they were killed, goes, too.
    """
    mine = f".running-{re.sub(r'[^A-Za-z0-9_.]', '_', socket.gethostname())}-"
    for left in folder.glob(f"{mine}*"):
        pid = left.name.removeprefix(mine).partition("-")[0]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{mine}{os.getpid()}-", dir=folder, ignore_cleanup_errors=True) as new:
        yield Path(new)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The largest resident memory of all child processes together, sampled five times a second."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            peak[0] = max(peak[0], resident(psutil.Process().children(recursive=True)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
