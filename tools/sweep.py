"""Execute a notebook of notebooks/sweeps/ with papermill, once for every point of a grid, and gather the rows.

    python tools/sweep.py w_sweep run NAME...         execute these points, if they are missing; `all` is all of them
    python tools/sweep.py w_sweep list                the names of those that are missing, one a line
    python tools/sweep.py w_sweep gather [NAME...]    w_sweep.csv and .json (provenance) of
                                                     ddpm_lib/course/data/, and figures/w_sweep.png;
                                                     with names, only these points are added to the table
    python tools/sweep.py w_sweep store               refresh the stored outputs of the notebook itself

what_mattered has the same commands. `make sweep` and `make variants` run all with two processes, and gather.
    --full              the grid that the README and notebook 08 show, instead of one of a few minutes
    --processes N       run so many points at a time, each in a process of its own
    --part I/N          run or list only the I-th of N parts of the grid: the same points, whatever is finished
    -p NAME VALUE       another value of a parameter that is the same at all points, such as n, checkpoint, train_steps
    -p pictures FOLDER  for a checkpoint that draws these (or "letters"): w_sweep trains a judge for them, and its table
                        and picture lie in build/sweep/

A point is two files in build/sweep/, named by its parameters: the executed notebook, and its rows as JSON. Both appear
by renaming, whole or not at all, the rows last: if they are there, the point is finished. So any number of processes or
machines may work in that folder, and after any stop the same command goes on.
"""

import argparse
import csv
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

# This must come before torch starts its threads. Processes share the cores; a kernel with one thread is repeatable.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from ddpm_lib import console
from ddpm_lib.checkpoint import file_of
from ddpm_lib.course import plots, tables
from ddpm_lib.course.variants import VARIANTS
from ddpm_lib.data import default_root, has_full_mnist
from ddpm_lib.files import write_atomically

import my_notebooks
import nbformat
import papermill
import parameters
from commit import commit
from execution import run_cells, running
from run_notebooks import FIGURES, NOTEBOOKS, REPOSITORY, clean

SWEEPS = NOTEBOOKS / "sweeps"
BUILD = REPOSITORY / "build" / "sweep"
DATA = tables.DATA

WEIGHTS = (-1, 0, 0.2, 0.5, 1, 2, 4, 8)
WEIGHTS_FULL = (-1, -0.5, 0, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8)
COLUMNS = {
    "w_sweep": [
        "w", "seed", "sampler", "steps", "n", "fid", "fid_low", "fid_high", "kid", "inception_score",
        "inception_score_low", "inception_score_high", "agreement", "precision", "recall", "density", "coverage",
        "diversity", "tstr", "tstr_n", "fid_floor", "inception_score_floor", "precision_floor", "recall_floor",
        "density_floor", "coverage_floor", "diversity_floor", "checkpoint", "commit",
    ],
    "what_mattered": [
        "variant", "seed", "train_steps", "data", "w", "n", "fid", "fid_floor", "agreement", "inception_score",
        "coverage", "diversity", "nearest_median", "nearest_floor", "commit",
    ],
}  # fmt: skip


def w_sweep(full: bool) -> Iterator[dict]:
    """Parameters of each point: every w with every seed, and as many real digits for each seed."""
    weights, seeds, n = (WEIGHTS_FULL, (0, 1, 2), 2000) if full else (WEIGHTS, (0, 1), 1000)
    for seed, w in itertools.product(seeds, weights):
        yield {"w": w, "seed": seed, "sampler": "ancestral", "steps": 10, "n": n}
    if full:
        for w in weights:
            yield {"w": w, "seed": 0, "sampler": "ddim", "steps": 10, "n": n}
    for seed in seeds:
        yield {"seed": seed, "sampler": "real", "n": n}


def what_mattered(full: bool) -> Iterator[dict]:
    """Parameters of each point: every variant with one seed, or two."""
    for seed, variant in itertools.product((0, 1) if full else (0,), VARIANTS):
        yield {"variant": variant, "seed": seed, "train_steps": 1300, "n": 2000}


def points(grid: str, full: bool, given: dict[str, str]) -> dict[str, dict]:
    """Name → parameters of every point of a grid. given: other values as texts. Exits where one doesn't fit."""
    data = {"data_source": "full" if has_full_mnist(default_root()) else "embedded"}
    path = SWEEPS / f"{grid}.ipynb"
    my_notebooks.refuse_unreadable([path])
    known = parameters.defaults(path)
    if unknown := set(given) - known.keys():
        sys.exit(f"{grid} has no parameter {sorted(unknown)[0]!r}")
    try:
        changes = parameters.chosen(path, known, given)
    except ValueError as error:
        sys.exit(str(error))
    found = {}
    for point in {"w_sweep": w_sweep, "what_mattered": what_mattered}[grid](full):
        point |= data | changes
        if "variant" in point and VARIANTS[point["variant"]].data_source == point["data_source"]:
            continue  # without the full set, all variants train on the embedded digits
        found[point_name(grid, point)] = point
    return found


def point_name(grid: str, point: dict) -> str:
    """The parameters in a file's name. Weights are named by their digest: other weights are another point."""
    parts = dict(point)
    checkpoint = parts.pop("checkpoint", None)
    if grid == "w_sweep" and (checkpoint or point["sampler"] != "real"):
        parts["weights"] = hashlib.sha256(file_of(checkpoint).read_bytes()).hexdigest()[:8]
    if path := parts.get("pictures"):
        parts["pictures"] = f"{Path(path).name[:40]}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    words = (f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in parts.items())
    return re.sub(r"[^\w.=+-]+", "-", "_".join(words))  # without blank or comma, a name needs no quotes


def rows_of(name: str, columns: list[str]) -> tuple[list[dict], dict]:
    """Rows and provenance of a finished point. OSError where there are none, ValueError where they are damaged."""
    path = BUILD / f"{name}.json"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        rows = result.pop("rows")
        whole = bool(rows) and all(list(row) == columns for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not whole:
        raise ValueError(f"{path} is damaged: its rows don't have the columns {', '.join(columns)}")
    return rows, result


def is_finished(name: str, columns: list[str]) -> bool:
    try:
        return bool(rows_of(name, columns))
    except (OSError, ValueError):
        return False


def run(grid: str, name: str, point: dict) -> None:
    """Execute one point, unless it is finished. Where it fails, the notebook stays as NAME.failed.ipynb."""
    if is_finished(name, COLUMNS[grid]):
        return print(f"{name}: finished before", flush=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    with running(BUILD) as folder:
        notebook, result = folder / f"{name}.ipynb", folder / f"{name}.json"
        try:
            run_cells(SWEEPS / f"{grid}.ipynb", notebook, point | {"commit": commit(), "out": str(result)})
        except papermill.PapermillExecutionError:
            if notebook.exists():
                os.replace(notebook, BUILD / f"{name}.failed.ipynb")
            raise
        os.replace(notebook, BUILD / notebook.name)
        os.replace(result, BUILD / result.name)  # this comes last, because it says that the point is finished
    seconds = rows_of(name, COLUMNS[grid])[1]["seconds"]
    print(f"{name}: {seconds:.0f} s", flush=True)


def run_several(names: list[str], words: list[str], processes: int) -> list[str]:
    """Run each point in a process of its own, so many at a time; returns the names of those that failed.

    words: the command line that runs a point, without its name. However this process is stopped, the others are, too.
    """
    started, lock, stopped = [], threading.Lock(), threading.Event()

    def work(name: str) -> int | None:
        with lock:
            if stopped.is_set():
                return None
            # In its own session it is stopped by this process alone: a second signal would break off its cleaning.
            command = [sys.executable, __file__, *words, name]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
            started.append(process)
        return process.wait()

    with ThreadPoolExecutor(processes) as pool:
        try:
            codes = list(pool.map(work, names))
        except BaseException:
            with lock:
                stopped.set()
                for process in started:
                    process.terminate()
            raise
    return [name for name, code in zip(names, codes, strict=True) if code]


def gather(grid: str, names: list[str], command: str, folder: Path, add: bool = False) -> list[dict]:
    """Write GRID.csv with the rows of all points, sorted, and GRID.json with where they come from, into the folder.

    add: the rows that are there stay as they are, so that a new variant needs no old point again. Whether the code
    still gives their scores is for you to see: execute one old point, too.
    Returns the rows of the table. Exits, and writes nothing, where a point is missing or damaged, or there already.
    """
    rows, provenance, missing = [], [], []
    for name in names:
        try:
            found, origin = rows_of(name, COLUMNS[grid])
        except (OSError, ValueError) as error:
            missing.append(str(error))
            continue
        rows += found
        provenance.append(origin)
    if missing:
        sys.exit("\n".join([f"{len(missing)} of {len(names)} points are missing; run again:", *missing]))
    said = {
        "command": command,
        "points": len(names),
        "commits": sorted({str(row["commit"]) for row in rows}),
        "dates": sorted({origin["date"] for origin in provenance}),
        "machines": sorted({origin["machine"] for origin in provenance}),
        "seconds": round(sum(origin["seconds"] for origin in provenance)),  # the sum over all points
    }
    if judges := sorted({origin["judge"] for origin in provenance if "judge" in origin}):
        said["judges"] = judges
    table, origins = folder / f"{grid}.csv", folder / f"{grid}.json"
    by_place = {sort_key(row): row for row in rows}
    if add:
        # The old rows are kept as text: read as numbers and written again, "0" would become "0.0".
        texts = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
        stored = dict(zip(map(sort_key, tables.read_table(table)), texts, strict=True))
        if stored.keys() & by_place.keys():
            sys.exit(f"{table} has rows of these points already")
        by_place |= stored
        before = json.loads(origins.read_text(encoding="utf-8"))
        said = {key: _both(before[key], value) for key, value in said.items()}
    tables.write_table(table, [by_place[place] for place in sorted(by_place)])
    write_atomically(origins, (json.dumps(said, indent=1) + "\n").encode())
    print(f"{len(by_place)} rows of {said['points']} points: {table}")
    return tables.read_table(table)


def _both(before: list | int | str, value: list | int | str) -> list | int | str:
    """What is said of the old points and of the new, for all of them: the sum, all items, or one after the other."""
    if isinstance(value, str):
        return f"{before}; {value}"
    return sorted({*before, *value}) if isinstance(value, list) else before + value


def sort_key(row: dict) -> tuple:
    """Variants in the order of VARIANTS; samplers by name, real digits (without w) last."""
    if "variant" in row:
        return (list(VARIANTS).index(row["variant"]), row["seed"], row["w"])
    return (row["w"] is None, row["sampler"], row["w"] or 0, row["seed"])


@plots.styled
def sweep_figure(rows: list[dict]):
    """FID and Inception Score over w, and FID over Inception Score from w = 0 on: means over the seeds, a dot for each.

    A band goes from the mean lower to the mean upper end of the bootstrap intervals. Dashed lines, star: real images.
    """
    figure, [[fid, score, curve]] = plots.figure(9.4, 3.3, columns=3)
    real = {name: fmean(row[name] for row in rows if row["sampler"] == "real") for name in ("fid", "inception_score")}
    samplers = sorted({row["sampler"] for row in rows} - {"real"})
    for sampler, color in zip(samplers, plots.COLORS, strict=False):
        found = [row for row in rows if row["sampler"] == sampler]
        weights = sorted({row["w"] for row in found})

        def mean(name, found=found, weights=weights):
            return [fmean(row[name] for row in found if row["w"] == w) for w in weights]

        for axes, name in ((fid, "fid"), (score, "inception_score")):
            # FID's axis is logarithmic and ends above 0, where an interval of few digits may not.
            low = [max(end, 0.05 * middle) for end, middle in zip(mean(f"{name}_low"), mean(name), strict=True)]
            axes.fill_between(weights, low, mean(f"{name}_high"), color=color, alpha=0.25, linewidth=0)
            axes.plot(weights, mean(name), color=color, label=sampler)
            axes.plot([row["w"] for row in found], [row[name] for row in found], "o", color=color, markersize=3)
        conditional = [
            point for point in zip(weights, mean("inception_score"), mean("fid"), strict=True) if point[0] >= 0
        ]
        curve.plot(*zip(*[point for _, *point in conditional], strict=True), color=color, marker="o", markersize=3)
        if sampler == samplers[0]:
            for w, *point in conditional:
                if w in (0, 0.2, 0.5, 1, 2, 4, 8):
                    below = (2, -13) if w < 0.5 else (6, -1)  # here the curve turns upwards
                    curve.annotate(f"{w:g}", point, xytext=below, textcoords="offset points")
    for axes, name, above in ((fid, "fid", 4), (score, "inception_score", -13)):  # the side where the panel is empty
        axes.axhline(real[name], color=plots.INK, linewidth=1, linestyle="--")
        text, at = f"{max(row['n'] for row in rows):,.0f} real images", (max(weights), real[name])
        axes.annotate(text, at, xytext=(0, above), textcoords="offset points", ha="right")
        axes.set(xlabel="guidance weight w")
    curve.plot(real["inception_score"], real["fid"], "*", color=plots.INK, markersize=11)
    at = (real["inception_score"], real["fid"])
    curve.annotate("real", at, xytext=(8, 0), textcoords="offset points", va="center")
    fid.set(title="FID: lower is better", yscale="log")
    score.set(title="Inception Score: higher is better")
    curve.set(title="one against the other, w ≥ 0", xlabel="Inception Score", ylabel="FID", yscale="log")
    curve.margins(x=0.12, y=0.12)
    for axes in (fid, curve):
        plots.plain_log_ticks(axes.yaxis)
    if len(samplers) > 1:
        fid.legend()
    return figure


def store(grid: str) -> None:
    """Execute the notebook with its own parameters and write the cleaned result over it."""
    path = SWEEPS / f"{grid}.ipynb"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / path.name
        run_cells(path, output, {})
        notebook = nbformat.read(output, 4)
    clean(notebook)
    write_atomically(path, f"{nbformat.writes(notebook)}\n".encode())


def part_of(names: list[str], part: str) -> list[str]:
    """The I-th of N parts, for part "I/N". It depends on no other machine and on nothing that is finished."""
    try:
        i, n = map(int, part.split("/"))
    except ValueError:
        i, n = 0, 0
    if not 1 <= i <= n:
        sys.exit(f"--part must be I/N with 1 ≤ I ≤ N, such as 1/2, got {part!r:.60}")
    return names[i - 1 :: n]


@console.command
@console.cleans_up
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", choices=tuple(COLUMNS))
    parser.add_argument("command", choices=("run", "list", "gather", "store"))
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--processes", type=int, default=1, metavar="N")
    parser.add_argument("--part", default="1/1", metavar="I/N")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_intermixed_args()
    grid = arguments.grid
    if arguments.processes < 1:
        parser.error(f"--processes must be an integer ≥ 1, got {arguments.processes}")
    if arguments.command == "store":
        return store(grid)
    known = points(grid, arguments.full, dict(arguments.parameter))
    if arguments.names == ["all"]:
        names = list(known)
    elif unknown := set(arguments.names) - known.keys():
        sys.exit(f"{sorted(unknown)[0]!r} is no point of this grid; see {grid} list")
    else:
        names = arguments.names
    options = ["--full"] * arguments.full + [word for pair in arguments.parameter for word in ("-p", *pair)]

    if arguments.command == "gather":
        words = ["tools/sweep.py", grid, *options, *["gather", *arguments.names] * bool(arguments.names)]
        # What ships with the course is of digits; scores by another judge can't stand beside them.
        shipped = "pictures" not in dict(arguments.parameter)
        rows = gather(grid, names or list(known), " ".join(words), DATA if shipped else BUILD, bool(arguments.names))
        if grid == "w_sweep":
            write_atomically((FIGURES if shipped else BUILD) / "w_sweep.png", plots.png(sweep_figure(rows)))
        return None
    if arguments.command == "list":
        names = names or list(known)
    elif not names:  # also where a list that was empty is handed on, as xargs does
        print(f"no point is named, so nothing is run; `{grid} run all` runs all that are missing", file=sys.stderr)
    part = part_of(list(known), arguments.part)
    names = [name for name in names if name in part]
    missing = [name for name in names if not is_finished(name, COLUMNS[grid])]
    if arguments.command == "list":
        print(f"{len(names) - len(missing)} of {len(names)} points are finished", file=sys.stderr)
        print(*missing, sep="\n", end="\n" if missing else "")
        return None
    if arguments.processes > 1:
        failed = run_several(missing, [grid, "run", *options], arguments.processes)
        sys.exit(f"{len(failed)} of {len(missing)} points failed; see above" if failed else None)
    failed = []
    for name in missing:
        try:
            run(grid, name, known[name])
        except papermill.PapermillExecutionError as error:
            failed.append(f"{name} failed: {error.ename}: {error.evalue}")
    sys.exit("\n".join(failed) or None)


if __name__ == "__main__":
    main()
