"""Execute the course's notebooks with papermill, each in a kernel of its own, in the folder notebooks/.

    python tools/run_notebooks.py course [-p NAME VALUE]... [NOTEBOOK...]   into build/course/; `make course`
    python tools/run_notebooks.py store [NOTEBOOK...]                       refresh stored outputs; `make notebooks`
    python tools/run_notebooks.py figures                                   figures/ from stored outputs, animations
                                                                            from a run; `make figures`
    python tools/run_notebooks.py solved [NOTEBOOK...]                      copies with solved exercises, not executed,
                                                                            into build/solved/
    python tools/run_notebooks.py mine [NOTEBOOK...]                        my_notebooks/, to work in; `make lab`
    python tools/run_notebooks.py release FOLDER [--nbgrader] [NOTEBOOK...] learners' copies: no solutions or outputs
    python tools/run_notebooks.py grade FOLDER [NOTEBOOK...]                marks.csv, class.html, class.png in FOLDER

A NOTEBOOK is named by the start of its file name, such as 03. A parameter goes to every notebook that has it.
"""

import argparse
import base64
import contextlib
import dataclasses
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ddpm_lib import console
from ddpm_lib.course import tables
from ddpm_lib.course.speed import training_speed
from ddpm_lib.files import write_atomically

import class_page
import execution
import marks
import minutes
import my_notebooks
import nbformat
import papermill
import parameters

REPOSITORY = Path(__file__).parent.parent
NOTEBOOKS = REPOSITORY / "notebooks"
FIGURES = REPOSITORY / "figures"
BUILD = REPOSITORY / "build" / "course"
SOLVED = REPOSITORY / "build" / "solved"
MINE = REPOSITORY / "my_notebooks"
README = REPOSITORY / "README.md"
TABLE_START, TABLE_END = "<!-- measured by `make notebooks` -->\n", "<!-- end -->\n"
CEILING = 3 * 2**30  # a notebook may take so many bytes of resident memory
SLOWER = 1.5  # a run that takes so many times the measured seconds is warned of


@dataclass(frozen=True)
class Run:
    notebook: str
    title: str
    seconds: float
    peak_bytes: int
    figures: int
    error: str = ""
    fixed_seconds: float = 0.0  # the seconds that a parameter sets


def find_notebooks(names: list[str]) -> list[Path]:
    """All notebooks of the course in order, or those whose file names start with one of names."""
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    unknown = [name for name in names if not any(path.name.startswith(name) for path in found)]
    if unknown:
        sys.exit(f"no notebook starts with {unknown[0]!r}; there are {', '.join(path.stem for path in found)}")
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def execute(path: Path, output: Path, values: dict) -> Run:
    """Execute one notebook into output, with the values of some parameters; whatever goes wrong becomes Run.error."""
    error, images, start = "", 0, time.perf_counter()
    with execution.peak_memory() as peak:
        try:
            execution.run_cells(path, output, values)
        except papermill.PapermillExecutionError as failure:
            given = ", ".join(f"{name} = {value!r:.60}" for name, value in values.items())
            error = f"{failure.ename}{execution.last_cell(output)}: {failure.evalue}{given and f' (with {given})'}"
    seconds = time.perf_counter() - start
    if output.exists():
        images = sum(1 for _ in stored_figures(nbformat.read(output, 4)))
    return Run(path.stem, title(path), seconds, peak[0], images, " ".join(error.split()), fixed_seconds(path))


def title(path: Path) -> str:
    """The text behind the number in the notebook's first line, such as "# 01 · The title"; "" if there is none."""
    with contextlib.suppress(Exception):
        return nbformat.read(path, 4).cells[0].source.splitlines()[0].partition("·")[2].strip()
    return ""


def fixed_seconds(path: Path) -> float:
    """Seconds that the notebook's own parameters set, such as the budget of a training."""
    with contextlib.suppress(Exception):  # of a damaged notebook
        found = parameters.defaults(path).items()
        return float(sum(value for name, value in found if name.endswith("seconds")))
    return 0.0


def stored_figures(notebook: nbformat.NotebookNode) -> Iterator[tuple[nbformat.NotebookNode, str]]:
    """Each cell with a PNG among its outputs, and that PNG in base64."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield cell, output["data"]["image/png"]


def exercises(notebook: nbformat.NotebookNode) -> Iterator[tuple[nbformat.NotebookNode, str, nbformat.NotebookNode]]:
    """(stub cell, solution, check cell) of each exercise; the solution is the Python block below the stub."""
    cells = notebook.cells
    for stub, below, judged in zip(cells, cells[1:], cells[2:], strict=False):
        if "exercise" in stub.metadata.get("tags", []):
            blocks = re.findall(r"```python\n(.*?)```", below.source, flags=re.DOTALL)
            if len(blocks) != 1:
                raise ValueError(f"{stub.id}: one fenced solution belongs right below the stub, found {len(blocks)}")
            yield stub, blocks[0], judged


def clean(notebook: nbformat.NotebookNode) -> None:
    """Leave only what a reader needs: no papermill metadata, no progress bars, no widget state."""
    notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    notebook.metadata["language_info"].pop("version", None)
    for cell in notebook.cells:
        hidden = {"source_hidden": True} if cell.metadata.get("jupyter", {}).get("source_hidden") else {}
        kept = {"jupyter": hidden, "tags": cell.metadata.get("tags")}
        cell.metadata = {key: value for key, value in kept.items() if value}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:  # a widget without its state would show as an error; its text stays
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)


def course(names: list[str], given: dict[str, str]) -> list[Run]:
    """Execute into build/course/, with a line of progress for each notebook and a table at the end.

    given: parameters as texts, by name. Exits before any kernel starts where one of them doesn't fit.
    """
    paths, known, refused = find_notebooks(names), {}, []
    for path in paths:
        known[path] = {}
        with contextlib.suppress(Exception):  # of a damaged notebook, which has its line in the table
            known[path] = parameters.defaults(path)
    unknown = set(given) - set().union(*known.values())
    if unknown:
        sys.exit(f"no notebook has the parameter {sorted(unknown)[0]!r}")
    chosen = {}
    for path in paths:
        try:
            chosen[path] = parameters.chosen(path, known[path], given)
        except ValueError as error:
            refused.append(str(error))
    if refused:
        sys.exit("\n".join(refused))
    BUILD.mkdir(parents=True, exist_ok=True)
    runs = []
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.stem} …", end=" ", flush=True)
        run = execute(path, BUILD / path.name, chosen[path])
        print(f"{run.seconds:.0f} s {run.error or 'ok'}", flush=True)
        runs.append(run)
    print(f"\n{'notebook':<24}{'seconds':>8}{'peak memory':>13}{'figures':>9}")
    for run in runs:
        print(f"{run.notebook:<24}{run.seconds:>8.0f}{run.peak_bytes / 2**20:>9.0f} MiB{run.figures:>9}"
              f"{'  failed' if run.error else ''}")  # fmt: skip
    print(f"{'total':<24}{sum(run.seconds for run in runs):>8.0f}\n\nexecuted notebooks: {BUILD}")
    if not given:  # other parameters mean other seconds, as you asked
        for warning in slower_than_measured(runs, training_speed()):
            print(f"warning: {warning}")
    return [within_ceiling(run) for run in runs]


def within_ceiling(run: Run) -> Run:
    """Mark the run as failed if it took more memory than a notebook may take."""
    if run.peak_bytes <= CEILING or run.error:
        return run
    error = f"took {run.peak_bytes / 2**20:.0f} MiB, more than the {CEILING / 2**20:.0f} that a notebook may"
    return dataclasses.replace(run, error=error)


def slower_than_measured(runs: list[Run], speed: float) -> Iterator[str]:
    """A sentence on each run that took more than SLOWER times the measured seconds, scaled to this machine.

    speed: training images per second here. On a faster machine the measured seconds are not scaled.
    """
    images_per_s, measured = tables.read_measured()
    for run in runs:
        if run.notebook in measured:
            expected = measured[run.notebook].seconds_at(max(1.0, images_per_s / speed))
            if run.seconds > SLOWER * expected:
                yield f"{run.notebook} took {run.seconds:.0f} s, where {expected:.0f} s were expected on this machine"


def store(names: list[str]) -> list[Run]:
    """Execute and write the cleaned result over the stored notebook; the measured table gets the new figures.

    If 00 is one of them, the table also gets this machine's speed, by which 00 scales the seconds on other machines. So
    name 00 only together with all other notebooks: seconds and speed must come from one machine in one state.
    """
    runs, paths = [], find_notebooks(names)
    BUILD.mkdir(parents=True, exist_ok=True)
    speed = training_speed() if paths[0].name.startswith("00") else None
    if speed is not None:
        paths = [*paths[1:], paths[0]]  # 00 shows the measured table, so the rows of all other notebooks come first
        write_measured([], speed)
    for path in paths:
        output = BUILD / path.name
        run = execute(path, output, {})
        if not run.title and not run.error:
            run = dataclasses.replace(run, error="its first line is no title such as `# 03 · Training`")
        print(f"{run.notebook}: {run.seconds:.0f} s {run.error or 'ok'}", flush=True)
        runs.append(run)
        if not run.error:
            notebook = nbformat.read(output, 4)
            clean(notebook)
            write_atomically(path, f"{nbformat.writes(notebook)}\n".encode())
        write_measured([run])
    return runs


def write_measured(runs: list[Run], speed: float | None = None) -> None:
    """Put the runs into the measured table, leave other rows as they are, and write the README's table from it.

    speed: training images per second of the machine; None leaves the number that is there.
    """
    images_per_s, measured = tables.read_measured()
    for run in runs:
        if not run.error:
            mebibytes = round(run.peak_bytes / 2**20)
            measured[run.notebook] = tables.Measured(run.title, round(run.seconds), run.fixed_seconds, mebibytes)
    tables.write_measured(images_per_s if speed is None else round(speed), measured)
    before, _, rest = README.read_text(encoding="utf-8").partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    write_atomically(README, f"{before}{TABLE_START}{readme_table()}{TABLE_END}{after}".encode())


def readme_table() -> str:
    """The measured table in Markdown, as the README shows it."""
    images_per_s, measured = tables.read_measured()
    yardstick = f"On a machine that trains {images_per_s:.0f} images per second, as notebook 00 measures it:"
    head = ["| notebook | what it is about | minutes for you | seconds for it | peak MiB |", "|---|---|---:|---:|---:|"]
    stated = {path.stem: minutes.stated(nbformat.read(path, 4)) for path in find_notebooks([])}
    rows = [
        f"| [`{name}`](notebooks/{name}.ipynb) | {row.title} "
        f"| {stated.get(name, '')} | {row.seconds} | {row.peak_mib} |"
        for name, row in measured.items()
    ]
    return "\n".join([yardstick, "", *head, *rows]) + "\n"


def solved(names: list[str]) -> None:
    """Write copies into build/solved/ whose exercises are solved, without the answers of checks to the stubs."""
    SOLVED.mkdir(parents=True, exist_ok=True)
    for path in find_notebooks(names):
        notebook = nbformat.read(path, 4)
        count = 0
        for stub, solution, judged in exercises(notebook):
            stub.source = solution.rstrip()
            judged.outputs, judged.execution_count = [], None
            count += 1
        nbformat.write(notebook, SOLVED / path.name)
        print(f"{path.stem}: {count} exercises solved")
    print(f"solved notebooks: {SOLVED}")


def figures() -> None:
    """Write the PNG of each stored cell tagged `figure:NAME` to figures/NAME.png, and write the animations.

    Not all animations are stored. So a notebook with the parameter figures_dir is executed, and writes them there.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    for path in find_notebooks([]):
        if "figures_dir" in papermill.inspect_notebook(path):
            run = execute(path, BUILD / path.name, {"figures_dir": str(FIGURES)})
            print(f"{run.notebook}: {run.error or 'wrote its animations'}")
            if run.error:
                sys.exit(1)
        for cell, image in stored_figures(nbformat.read(path, 4)):
            for tag in cell.metadata.get("tags", []):
                if tag.startswith("figure:"):
                    target = FIGURES / f"{tag.removeprefix('figure:')}.png"
                    write_atomically(target, base64.b64decode(image))
                    print(target.relative_to(REPOSITORY))


@console.command
@console.cleans_up
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("course", "store", "figures", "solved", "mine", "release", "grade"))
    parser.add_argument("notebooks", nargs="*")
    parser.add_argument("--nbgrader", action="store_true", help="release for nbgrader, into a folder of its `source`")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    arguments = parser.parse_intermixed_args()
    if arguments.command == "mine":
        fresh = find_notebooks(arguments.notebooks) if arguments.notebooks else []
        return my_notebooks.make(find_notebooks([]), fresh, MINE)
    if arguments.command != "course":  # which says it in its table
        my_notebooks.refuse_unreadable(find_notebooks([]))
    os.environ["DDPM_PROGRESS"] = "off"  # what is run here isn't a learner's progress
    if arguments.command in ("release", "grade"):
        if not arguments.notebooks:
            parser.error(f"{arguments.command} needs a FOLDER")
        folder, names = Path(arguments.notebooks[0]).expanduser(), arguments.notebooks[1:]
        if arguments.command == "release":
            return marks.release(find_notebooks(names), folder, arguments.nbgrader)
        return class_page.write(marks.grade(find_notebooks(names), folder), folder)
    if arguments.command == "figures":
        return figures()
    if arguments.command == "solved":
        return solved(arguments.notebooks)
    if arguments.command == "course":
        runs = course(arguments.notebooks, dict(arguments.parameter))
        write_atomically(BUILD / "runs.json", json.dumps([vars(run) for run in runs], indent=1).encode())
    else:
        runs = store(arguments.notebooks)
    failed = [run for run in runs if run.error]
    for run in failed:
        print(f"{run.notebook} failed: {run.error}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
