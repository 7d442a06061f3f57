"""How one server bears a class: `python tools/class_load.py [N...]`, N learners at once, each in a kernel of its own.

Each learner runs notebook 05 up to the lab, and then moves w like a person: a few changes a second, with pauses.
It prints a line for each N, without numbers for 1, 5 and 10:
  pictures/s    that all learners see together
  first         from a change to the quick picture of it, or of a newer one: 95 % come sooner
  finished      from the last change before a pause to the full picture, 0.12 s of it patience: 95 % come sooner
  opening       seconds until the last learner has the lab
  memory        of all kernels and of one, as PSS: a page that k processes share counts 1/k in each; only Linux says it
A learner whose kernel fails is a line, too, and the exit code is 1.
"""

import ast
import asyncio
import inspect
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from ddpm_lib import console
from ddpm_lib.widgets import GuidanceLab

import nbformat
import numpy as np
import psutil
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "05_guidance_lab.ipynb"
LAST = "lab"  # the id of the last cell that a learner runs
SECONDS = 20  # that each learner moves w
HEADER = "learners   pictures/s   first, ms   finished, ms   opening, s   memory, MiB   of one"


def move_like_a_person(lab: GuidanceLab, seconds: float, seed: int) -> dict[str, list[float]]:
    """Seconds from changes to their pictures ("first", "finished"), and the time of each of "pictures".

    Its text runs in a kernel. Raises RuntimeError where a picture doesn't come.
    """
    import random
    import time  # the kernel knows nothing else of this file

    dice, waiting, present = random.Random(seed), [], lab._present
    taken = {"first": [], "finished": [], "pictures": []}

    def seen(state, picture):
        present(state, picture)
        taken["pictures"].append(time.perf_counter())
        while any(w == state.w for w, _ in waiting):  # a newer picture answers the older changes, too
            taken["first"].append(taken["pictures"][-1] - waiting.pop(0)[1])

    lab._present = seen
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not taken["finished"]:
        time.sleep(dice.uniform(0.5, 2.5))  # they look at it
        goal, changes = dice.uniform(lab.w.min, lab.w.max), dice.randint(3, 10)
        for left in range(changes, 0, -1):
            time.sleep(dice.uniform(0.15, 0.35))
            waiting.append((lab.w.value + (goal - lab.w.value) / left, time.perf_counter()))
            lab.w.value = waiting[-1][0]
        changed = time.perf_counter()
        while lab._working and time.perf_counter() < changed + 60:
            time.sleep(0.01)
        if lab._working or waiting or "alert" in lab.status.value:
            raise RuntimeError(f"no picture of w = {lab.w.value} came: {lab.status.value}")
        taken["finished"].append(taken["pictures"][-1] - changed)
    return taken


async def run(client: NotebookClient, source: str) -> str:
    """What a cell with this source prints. Raises what nbclient does."""
    client.nb.cells.append(cell := nbformat.v4.new_code_cell(source))
    await client.async_execute_cell(cell, len(client.nb.cells) - 1)
    return "".join(output.get("text", "") for output in cell.outputs)


async def open_lab(client: NotebookClient, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(client.async_setup_kernel())
    for cell in client.nb.cells[: 1 + [cell.id for cell in client.nb.cells].index(LAST)]:
        if cell.cell_type == "code":
            await run(client, cell.source)


async def lesson(n: int) -> bool:
    """Print the line for n learners, and one for each that failed; whether one did."""
    options = {"extra_arguments": ["--log-level=CRITICAL"], "resources": {"metadata": {"path": str(NOTEBOOK.parent)}}}
    clients = [NotebookClient(nbformat.read(NOTEBOOK, 4), **options) for _ in range(n)]
    async with AsyncExitStack() as stack:
        start = time.perf_counter()
        opened = await asyncio.gather(*(open_lab(client, stack) for client in clients), return_exceptions=True)
        opening = time.perf_counter() - start
        there = [client for client, error in zip(clients, opened, strict=True) if error is None]
        source = f"{inspect.getsource(move_like_a_person)}\nprint(move_like_a_person(lab, {SECONDS}, "
        moves = (run(client, f"{source}{seed}))") for seed, client in enumerate(there))
        seen = await asyncio.gather(*moves, return_exceptions=True)
        taken = [ast.literal_eval(answer) for answer in seen if isinstance(answer, str)]
        if taken:
            rate = sum(len(times) / (times[-1] - times[0]) for times in [one["pictures"] for one in taken])
            first, finished = (np.quantile([s for t in taken for s in t[key]], 0.95) for key in ("first", "finished"))
            alive = [psutil.Process(client.km.provisioner.pid) for client in there if await client.km.is_alive()]
            memory = [getattr(kernel.memory_full_info(), "pss", np.nan) / 2**20 for kernel in alive]
            print(f"{n:>8}{rate:>13.1f}{1000 * first:>12.0f}{1000 * finished:>15.0f}", end="")
            print(f"{opening:>13.1f}{sum(memory):>14.0f}{max(memory):>9.0f}", flush=True)
    for error in (failed := [error for error in (*opened, *seen) if isinstance(error, BaseException)]):
        print(f"{n:>8}   a learner's kernel failed: {(str(error).strip() or repr(error)).splitlines()[-1]}", flush=True)
    return bool(failed)


@console.command
@console.cleans_up
def main() -> None:
    numbers = sys.argv[1:] or ["1", "5", "10"]
    if not all(text.isdecimal() and int(text) > 0 for text in numbers):
        sys.exit(f"numbers of learners must be whole numbers above 0, such as 1 5 10, got {' '.join(numbers)}")
    print(HEADER)
    sys.exit(any([asyncio.run(lesson(int(text))) for text in numbers]))


if __name__ == "__main__":
    main()
