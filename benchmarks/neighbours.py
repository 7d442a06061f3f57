"""How fast sampling and training are beside other programs, and when several kernels of the course run at once.

    python benchmarks/neighbours.py            about four minutes, prints two tables; `make neighbours`
    python benchmarks/neighbours.py --full     15 minutes, writes neighbours.json, too; `make neighbours FULL=1`

Three ways to choose the number of threads are compared in turns: the library's own choice, torch's own number, which is
what the course had before, and one thread. A neighbour of the course chooses its threads in the same way as the process
that is measured. The first table is for one process beside neighbours, the second one for several processes that all do
the same. The command needs Linux or macOS; on macOS the library's choice is torch's own number.

Each process is this file again, with --work: it waits for a line such as "sample 2.0" or "train forever", works, and
answers with the seconds of each call. It ends when its standard input ends, and so never outlives this program.
"""

import argparse
import contextlib
import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import fmean, median

from ddpm_lib import DDPM, TrainConfig, console, describe_machine, load_checkpoint, sample, train

import torch
from torch.utils.data import TensorDataset

RESULTS = Path(__file__).parent / "neighbours.json"
COMMIT = Path(__file__).parent.parent / "tools" / "commit.py"
WAYS = {"library": "the library's choice", "torch": "torch's own number", "one": "one thread"}
BATCH_SIZE = TrainConfig(steps=1).batch_size
NEIGHBOURS = {  # what the table calls it → the work of each neighbour
    "nobody": (),
    "a loop that keeps one core busy": ("loop",),
    "another kernel that samples": ("sample",),
    "another kernel that trains": ("train",),
    "two kernels: one samples, one trains": ("sample", "train"),
    "two such loops": ("loop", "loop"),
}
SETTLE = 0.5  # seconds that neighbours run before the measurement begins, and that a worker works before it counts


# ---------------------------------------------------------------------------- a process that works


def sampling() -> Iterator[None]:
    """Draw ten guided digits in 8 steps, again and again."""
    ddpm, labels = load_checkpoint(), torch.arange(10)
    while True:
        yield sample(ddpm, labels, w=1.0, sampler="dpmpp_2m", steps=8)


def training() -> Iterator[None]:
    """Train the recommended model on pictures of noise, a batch at a time: speed doesn't depend on the pictures."""
    pictures = TensorDataset(torch.rand(320, 1, 28, 28), torch.arange(320) % 10)
    yield from train(DDPM.recommended(), pictures, TrainConfig(steps=10**9), device=torch.device("cpu"))


def looping() -> Iterator[None]:
    """Keep one core busy with Python alone."""
    while True:
        yield sum(range(100_000))


def work(way: str) -> None:
    """Obey the lines on standard input until it ends."""
    if way == "torch":
        torch.set_num_threads(torch.get_num_threads())  # a number that somebody has set stands
    jobs = {"sample": sampling(), "train": training(), "loop": looping()}
    print("ready", flush=True)
    for line in sys.stdin:
        name, seconds = line.split()
        print(json.dumps(calls(jobs[name], math.inf if seconds == "forever" else float(seconds))), flush=True)


def calls(job: Iterator[None], seconds: float) -> list[float]:
    """Seconds of each call within so many seconds, at least one; what ends in the first SETTLE seconds isn't counted.

    A line on standard input ends the work, whatever the line says.
    """
    begin, taken = time.perf_counter(), []
    while not taken or time.perf_counter() - begin < SETTLE + seconds:
        start = time.perf_counter()
        next(job)
        end = time.perf_counter()
        if end - begin >= SETTLE:
            taken.append(end - start)
        if seconds == math.inf:
            taken = taken[-1:]
            if select.select([sys.stdin], [], [], 0)[0]:
                sys.stdin.readline()
                break
    return taken


# ---------------------------------------------------------------------------- the program that measures


class Worker:
    """A process that works, its standard input and its standard output."""

    def __init__(self, way: str):
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        if way == "one":
            environment["OMP_NUM_THREADS"] = "1"
        command = [sys.executable, __file__, "--work", way]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        # In its own session it is stopped by this program alone, and has nothing to say when Ctrl-C comes.
        self.process = subprocess.Popen(command, env=environment, **pipes, start_new_session=True)

    def tell(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with status {self.process.wait()}")
        return line


@contextlib.contextmanager
def workers(n: int) -> Iterator[dict[str, list[Worker]]]:
    """Start n workers for each way, and warm them up. At the end they are killed, whatever happens within."""
    started = []
    try:
        for way in WAYS:
            for _ in range(n):
                started.append((way, Worker(way)))
        for _, worker in started:
            worker.answer()
        for _, worker in started:  # a worker at a time, because many of them at once would take minutes
            for job in ("sample", "train"):
                at_once([worker], job, 0.0)
        yield {way: [worker for its, worker in started if its == way] for way in WAYS}
    finally:
        for _, worker in started:
            worker.process.kill()
        for _, worker in started:
            worker.process.wait()


def beside(measured: Worker, neighbours: list[tuple[Worker, str]], job: str, seconds: float) -> list[list[float]]:
    """Seconds of each call of one worker's job while neighbours work; a list of one list, as from `at_once`."""
    for worker, work_of_neighbour in neighbours:
        worker.tell(f"{work_of_neighbour} forever")
    time.sleep(SETTLE if neighbours else 0)
    result = at_once([measured], job, seconds)
    for worker, _ in neighbours:
        worker.tell("stop")
    for worker, _ in neighbours:
        worker.answer()
    return result


def at_once(measured: list[Worker], job: str, seconds: float) -> list[list[float]]:
    """Seconds of each call of each worker, while all of them do the same job."""
    for worker in measured:
        worker.tell(f"{job} {seconds}")
    return [json.loads(worker.answer()) for worker in measured]


def measure(rounds: int, seconds: float, names: list[str], kernels: list[int]) -> dict[str, dict]:
    """Row of the tables → job → way → for each round the seconds of each call, of each process."""
    rows = {name: {job: {way: [] for way in WAYS} for job in ("sample", "train")} for name in names + kernels}
    with workers(max(3, *kernels)) as idle:
        for number in range(rounds):
            for name, row in rows.items():
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
                for job, ways in row.items():
                    for way, result in ways.items():
                        first, *others = idle[way]
                        if name in NEIGHBOURS:
                            neighbours = list(zip(others, NEIGHBOURS[name], strict=False))
                            result.append(beside(first, neighbours, job, seconds))
                        else:
                            result.append(at_once(idle[way][:name], job, seconds))
    return {str(name): summary(row) for name, row in rows.items()}


def summary(row: dict[str, dict[str, list]]) -> dict:
    """Job → way → the numbers of the tables; the ratios compare the library's choice with the other two ways."""
    result = {}
    for job, ways in row.items():
        of_round = {way: [fmean(map(median, processes)) for processes in rounds] for way, rounds in ways.items()}
        result[job] = {}
        for way, rounds in ways.items():
            ranked = sorted(taken for processes in rounds for process in processes for taken in process)
            if job == "sample":
                p95 = ranked[math.ceil(0.95 * len(ranked)) - 1]
                numbers = {"median ms": median(ranked), "p95 ms": p95, "slowest ms": ranked[-1]}
                numbers = {name: round(1000 * taken, 1) for name, taken in numbers.items()}
            else:
                speeds = [BATCH_SIZE / fmean(process) for processes in rounds for process in processes]
                numbers = {"images/s": round(fmean(speeds), 1), "slowest images/s": round(min(speeds), 1)}
            ratios = [mine / library for mine, library in zip(of_round[way], of_round["library"], strict=True)]
            numbers["times the library's"] = [round(f(ratios), 2) for f in (median, min, max)]
            result[job][way] = numbers | {"calls": len(ranked)}
    return result


def table(rows: dict[str, dict], head: str) -> str:
    """The rows as Markdown: a number for each way, and how many times as long torch's own number takes."""
    lines = [
        f"| {head} | ten digits, ms (slowest): {' | '.join(WAYS.values())} | torch's / library's "
        f"| training, images/s: {' | '.join(WAYS.values())} | torch's / library's |",
        "|---" + "|---:" * (2 * len(WAYS) + 2) + "|",
    ]
    for name, row in rows.items():
        cells = [f"{ms['median ms']:,.0f} ({ms['slowest ms']:,.0f})" for ms in row["sample"].values()]
        cells.append(ratio(row["sample"]["torch"]))
        cells += [f"{speed['images/s']:,.0f}" for speed in row["train"].values()]
        cells.append(ratio(row["train"]["torch"]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(numbers: dict) -> str:
    """A ratio for people: its median, and the range in brackets."""
    middle, least, most = numbers["times the library's"]
    return f"{middle:.2f} ({least:.2f} … {most:.2f})"


@console.command
@console.cleans_up
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--work", choices=tuple(WAYS), help="be a worker; this program starts them")
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work)
    commit = subprocess.run([sys.executable, COMMIT], capture_output=True, text=True, check=True).stdout.strip()
    said = {"machine": describe_machine(), "date": str(date.today()), "commit": commit}  # before the load is our own
    if arguments.full:
        how = {"rounds": 3, "seconds": 3.0, "names": list(NEIGHBOURS), "kernels": [2, 4, 10]}
    else:
        how = {"rounds": 2, "seconds": 1.0, "names": list(NEIGHBOURS)[:4], "kernels": [4]}
    rows = measure(**how)
    said |= {"rounds": how["rounds"], "seconds": how["seconds"], "rows": rows}
    if arguments.full:
        RESULTS.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(
        f"{said['machine']}; {said['date']}, commit {commit}; {how['rounds']} rounds of {how['seconds']:g} s in turns\n"
    )
    print(table({name: rows[name] for name in how["names"]}, "beside") + "\n")
    print(table({str(n): rows[str(n)] for n in how["kernels"]}, "kernels at once, images/s of each"))


if __name__ == "__main__":
    main()
