"""Hand out the exercises and mark what comes back. teaching.md says how; the commands are those of run_notebooks.py.

A learner's code runs in a process of its own, with limits of time and memory, and only what its check needs is run: the
function, and the lines of the notebook that define the names it uses.
"""

import ast
import contextlib
import csv
import io
import json
import linecache
import multiprocessing
import os
import queue
import re
import signal
import symtable
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ddpm_lib.course import checks
from ddpm_lib.files import write_atomically

import nbformat
import psutil
from IPython.core.inputtransformer2 import TransformerManager
from my_notebooks import unreadable, without_outputs

SECONDS = 20  # an exercise may take so long: its check ends an answer after ten, so only hostile code gets here
MEMORY = 3 * 2**30  # bytes that a learner's process may take
LARGEST = 50 * 2**20  # bytes of a file that is read as a notebook
SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?</details>\s*", re.DOTALL)
CALL = re.compile(r"checks\.(\w+)\((\w+)\)")
# A fork server has imported everything once, so that a process of its own costs a notebook 0.1 s, not 3.
CONTEXT = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
OWN = {"marks.csv", "class.html", "class.png"}  # what `grade` writes into the folder that it reads


@dataclass(frozen=True)
class Exercise:
    """notebook: the stem of its file. name: of its check. function: the name that the learner's answer has."""

    notebook: str
    name: str
    function: str


@dataclass(frozen=True)
class Mark:
    """verdict: "passed", "wrong", "not attempted", "not handed in" or "damaged". diagnosis: one sentence, or "".

    mistake: the diagnosis, where it is a mistake that the check knows by name; else "".
    """

    learner: str
    exercise: Exercise
    verdict: str
    diagnosis: str = ""
    mistake: str = ""


def all_exercises(notebooks: list[Path]) -> list[Exercise]:
    """The exercises of these notebooks, in order, from the calls of their checks."""
    return [
        Exercise(path.stem, *CALL.fullmatch(check.source.strip()).groups())
        for path in notebooks
        for check in _checks(nbformat.read(path, 4))
    ]


def _checks(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that call checks: each is the second below its stub, for the hints stand between them."""
    cells = notebook.cells
    return [check for stub, check in zip(cells, cells[2:], strict=False) if "exercise" in stub.metadata.get("tags", [])]


def release(notebooks: list[Path], folder: Path, nbgrader: bool = False) -> None:
    """Write the learners' copies into folder: no solutions, no outputs, stubs whole. Never overwrites a notebook.

    nbgrader: with the metadata for it; folder is then an assignment of its `source` folder.
    """
    if there := [path.name for path in notebooks if (folder / path.name).exists()]:
        sys.exit(f"{folder} already holds {there[0]}, which may be somebody's work: name a new folder")
    for path in notebooks:
        notebook = without_outputs(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = SOLUTION.sub("", cell.source).rstrip()
        for cell in _checks(notebook) if nbgrader else []:
            _ask_nbgrader(cell)
        write_atomically(folder / path.name, nbformat.writes(notebook).encode())
    write_atomically(folder / "glossary.md", (notebooks[0].parent / "glossary.md").read_bytes())
    print(f"{len(notebooks)} notebooks without solutions and outputs: {folder}")


def _ask_nbgrader(cell: nbformat.NotebookNode) -> None:
    """Make a cell that calls a check one that nbgrader marks. What learners get of it doesn't raise an error."""
    call = CALL.fullmatch(cell.source.strip())
    cell.source += f'\n### BEGIN HIDDEN TESTS\nassert {call[0]}.status == "passed"\n### END HIDDEN TESTS'
    cell.metadata["nbgrader"] = {"grade": True, "grade_id": call[1], "locked": True, "points": 1,
                                 "schema_version": 3, "solution": False, "task": False}  # fmt: skip


def grade(notebooks: list[Path], folder: Path, processes: int = 2) -> list[Mark]:
    """Mark all that a class handed in: a folder, or a notebook, for each learner in folder."""
    if not folder.is_dir():
        sys.exit(f"there is no folder {folder}")
    if hasattr(os, "fork"):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        CONTEXT.set_forkserver_preload(["__main__", "marks"])
    by_name = {exercise.function: exercise for exercise in all_exercises(notebooks)}
    learners: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name not in OWN and not entry.name.startswith("."):
            files = sorted(entry.rglob("*.ipynb"), key=_modified) if entry.is_dir() else [entry]
            files = [file for file in files if ".ipynb_checkpoints" not in file.parts]
            learners.setdefault(_learner(entry, notebooks), []).extend(files)
    handed_in = {learner: [_read(file, by_name) for file in files] for learner, files in learners.items()}
    asked = {name for found in handed_in.values() for paper in found for name in paper.notebooks}
    jobs = [(learner, stem, papers) for learner, papers in handed_in.items() for stem in sorted(asked)]

    def mark(job: tuple) -> list[Mark]:
        learner, stem, papers = job
        exercises = [exercise for exercise in by_name.values() if exercise.notebook == stem]
        # Of several copies the one that was saved last counts.
        paper = next((paper for paper in reversed(papers) if stem in paper.notebooks), None)
        if paper is None:
            return [Mark(learner, exercise, "not handed in") for exercise in exercises]
        if paper.damage:
            return [Mark(learner, exercise, "damaged", paper.damage) for exercise in exercises]
        return list(_marks(learner, exercises, paper.cells))

    with ThreadPoolExecutor(processes) as pool:
        marks = [found for of_job in pool.map(mark, jobs) for found in of_job]
    unknown = Exercise("", "", "")
    marks += [Mark(learner, unknown, "damaged", paper.damage)
              for learner, papers in handed_in.items() for paper in papers if not paper.notebooks]  # fmt: skip
    return marks


def _learner(entry: Path, notebooks: list[Path]) -> str:
    """Whose folder or file it is: its name, less that of a notebook, as in ada_03_training.ipynb."""
    if entry.is_dir():
        return entry.name
    stems = "|".join(re.escape(path.stem) for path in notebooks)
    return re.sub(rf"[ _-]*({stems}).*", "", entry.stem) or entry.stem


def _modified(path: Path) -> tuple[float, Path]:
    return path.stat().st_mtime if path.exists() else 0.0, path


@dataclass
class _Paper:
    """One file as handed in: its code cells, the notebooks it seems to be, and what is wrong with it."""

    cells: list[str]
    notebooks: list[str]
    damage: str = ""


def _read(path: Path, by_name: dict[str, Exercise]) -> _Paper:
    """Which notebook a file is, is told by the functions in it; where it can't be read, by its name."""
    stems = {exercise.notebook for exercise in by_name.values()}
    named = [stem for stem in sorted(stems) if re.search(rf"(?<!\d){stem[:2]}_", path.name)]
    try:
        if not path.is_file():
            raise ValueError("not a file")
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST / 2**20:.0f} MiB")
        notebook = nbformat.reads(path.read_text(encoding="utf-8-sig"), 4)
        cells = [str(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    except Exception as error:  # whatever a damaged file does to a parser
        return _Paper([], named, unreadable(path, error))
    found = {by_name[name].notebook for name in by_name if re.search(rf"\b{name}\b", "\n".join(cells))}
    damage = "" if found or named else f"{path.name} holds no exercise of the course"
    return _Paper(cells, sorted(found) or named, damage)


def _marks(learner: str, exercises: list[Exercise], cells: list[str]) -> Iterator[Mark]:
    """The verdicts on one notebook. If its process ends early, another one goes on after that exercise."""
    left = list(exercises)
    while left:
        for exercise, (verdict, diagnosis, mistake) in zip(list(left), _run(left, cells), strict=False):
            yield Mark(learner, exercise, verdict, diagnosis, mistake)
            left.pop(0)


def _run(exercises: list[Exercise], cells: list[str]) -> Iterator[tuple[str, str, str]]:
    """Verdicts on exercises, in order, from a process of their own; the last one may say how that process ended."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = CONTEXT.Process(target=_work, args=(exercises, cells, folder, theirs), daemon=True)
        process.start()
        theirs.close()
        verdicts: queue.Queue = queue.Queue()
        # Half a message would keep a reader waiting for ever, so it is not the reader who waits for the time to be up.
        threading.Thread(target=_listen, args=(ours, verdicts, len(exercises)), daemon=True).start()
        try:
            for _ in exercises:
                found = _wait(process.pid, verdicts)
                yield found
                if found[1].startswith("stopped: "):
                    return
        finally:
            _end(process)


def _listen(connection: Connection, verdicts: queue.Queue, count: int) -> None:
    """Put `count` verdicts into the queue as they come; None where there is no more, or what comes is no verdict."""
    with contextlib.suppress(Exception), connection:
        for _ in range(count):
            verdict, diagnosis, mistake = json.loads(connection.recv_bytes(100_000))
            verdicts.put((str(verdict), str(diagnosis), str(mistake)))
    verdicts.put(None)


def _wait(pid: int, verdicts: queue.Queue) -> tuple[str, str, str]:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(queue.Empty):
            return verdicts.get(timeout=0.1) or ("wrong", "stopped: your code ended the process that ran it", "")
        if _memory(pid) > MEMORY:
            return "wrong", f"stopped: your code took more than {MEMORY / 2**30:.0f} GiB of memory", ""
    return "wrong", f"stopped: your code was still running after {SECONDS} s", ""


def _memory(pid: int) -> int:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return resident([process, *process.children(recursive=True)])
    return 0


def resident(processes: list[psutil.Process]) -> int:
    """Bytes of resident memory of these processes together, as far as they still run."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _end(process: multiprocessing.Process) -> None:
    """Kill a learner's process and all that it has started."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(Exception):
        process.kill()
    process.join(5)


def _work(exercises: list[Exercise], cells: list[str], folder: str, connection: Connection) -> None:
    """In the process of a learner: mark one exercise after the other, and send each verdict."""
    import torch

    if hasattr(os, "setsid"):
        os.setsid()
        for fds in ((3, connection.fileno()), (connection.fileno() + 1, 4096)):
            os.closerange(*fds)  # the fork server's, which are none of a learner's business
    os.chdir(folder)  # what the code writes lands where it is thrown away
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    torch.set_num_threads(1)  # a process for each core runs already
    for exercise in exercises:
        torch.manual_seed(0)
        connection.send_bytes(json.dumps(mark_cells(exercise, cells)).encode())


def mark_cells(exercise: Exercise, cells: list[str]) -> tuple[str, str, str]:
    """The verdict, the diagnosis and the mistake's name for one exercise of a notebook's code cells."""
    names, trouble = {"__name__": "__main__"}, None
    try:
        lines = needed(exercise.function, cells)
    except SyntaxError as error:
        return "wrong", f"the cell of `{exercise.function}` is no Python: {error.msg} in line {error.lineno}", ""
    for filename, statement in lines:
        try:
            exec(compile(ast.Module([statement], []), filename, "exec"), names)
        except BaseException as error:  # of this line, which the answer may not need after all
            trouble = trouble or error
    if exercise.function not in names and trouble:
        return "wrong", f"a line that `{exercise.function}` needs raised {type(trouble).__name__}: {trouble}"[:300], ""
    if exercise.function not in names:
        return "not attempted", "", ""
    verdict = getattr(checks, exercise.name)(names[exercise.function])
    return verdict.status, verdict.message if verdict.status == "wrong" else "", verdict.mistake


def needed(function: str, cells: list[str]) -> list[tuple[str, ast.stmt]]:
    """The statements of a notebook that define `function` and every name that it uses, each with its cell's name.

    Raises SyntaxError where the cell that should define it is no Python. Other cells that aren't are left out.
    """
    statements = []
    for i, source in enumerate(cells):
        filename = f"<cell {i + 1} of the notebook>"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)  # for messages
        try:
            found = ast.parse(TransformerManager().transform_cell(source)).body
            statements += [(filename, statement, *_names(statement)) for statement in found]
        except SyntaxError:
            if re.search(rf"(?m)^\s*(def\s+{function}\b|{function}\s*=[^=])", source):
                raise
        except (ValueError, RecursionError, MemoryError):  # null bytes, or nested beyond any use
            continue
    statements = [found for found in statements if not _trains(found[1])]
    last = max((i for i, (_, _, binds, _) in enumerate(statements) if function in binds), default=-1)
    names, chosen, done = [function, "*"], set(), set()
    while names:
        name = names.pop()
        places = [i for i, (_, _, binds, _) in enumerate(statements) if name in binds]
        # What stands above the function is what its check sees; a helper may stand below, too.
        for i in [place for place in places if place <= last] or places:
            chosen.add(i)
            names += statements[i][3] - done
        done |= {name, *names}
    return [statements[i][:2] for i in sorted(chosen)]


def _names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The notebook's names to which a statement gives a value (or a part: a[0] = 1), and those that it uses."""
    table = symtable.symtable(ast.unparse(statement), "cell", "exec")
    binds = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    uses = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    tables = table.get_children()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        uses |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            binds.add("*")
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Attribute | ast.Subscript):
                node = node.value
            binds |= {node.id} if isinstance(node, ast.Name) else set()
    return binds, uses


def _trains(statement: ast.stmt) -> bool:
    """Whether running a statement trains a network: no check needs that, and it takes a minute."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    called = {getattr(node.func, "id", "") for node in ast.walk(statement) if isinstance(node, ast.Call)}
    return any(name.startswith("train") for name in called)


def write_marks(marks: list[Mark], path: Path) -> None:
    """marks.csv: learner, exercise, verdict, diagnosis."""
    rows = [(mark.learner, mark.exercise.name, mark.verdict, mark.diagnosis) for mark in marks]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("learner", "exercise", "verdict", "diagnosis"))
    writer.writerows([_no_formula(cell) for cell in row] for row in rows)
    write_atomically(path, text.getvalue().encode())


def _no_formula(text: str) -> str:
    """A spreadsheet would compute a cell that begins like a formula."""
    text = " ".join(text.split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
