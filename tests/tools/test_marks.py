"""Notebooks handed out, and what comes back marked: whole classes, damaged files, hostile answers."""

import csv
import os
import re
from pathlib import Path

import class_page
import made_up_class
import marks
import nbformat
import pytest
import run_notebooks

NOTEBOOKS = run_notebooks.find_notebooks([])
FORWARD = run_notebooks.find_notebooks(["01"])
NAMES = [exercise.name for exercise in marks.all_exercises(FORWARD)]
OTHERS = [name for name in NAMES if name != "add_noise"]
RIGHT = "def my_add_noise(x_0, alpha_bar_t, eps):\n    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    marks.release(NOTEBOOKS, folder)
    return folder


@pytest.fixture
def hand_in(tmp_path, released):
    """hand_in(learner, code): notebook 01 of a learner, with this code in the place of the first stub."""

    def write(learner, code, name="01_forward_process.ipynb"):
        notebook = nbformat.read(released / "01_forward_process.ipynb", 4)
        stub = next(cell for cell in notebook.cells if cell.source.startswith("def my_add_noise"))
        stub.source = code
        (tmp_path / learner).mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / learner / name)
        return tmp_path

    return write


def graded(folder, notebooks=FORWARD):
    """{(learner, exercise): mark}."""
    return {(mark.learner, mark.exercise.name): mark for mark in marks.grade(notebooks, folder)}


def test_every_exercise_has_a_function_of_its_own_name():
    exercises = marks.all_exercises(NOTEBOOKS)
    stubs = [cell for path in NOTEBOOKS for cell in nbformat.read(path, 4).cells
             if "exercise" in cell.metadata.get("tags", [])]  # fmt: skip
    assert len(exercises) == len(stubs)
    functions = [exercise.function for exercise in exercises]
    assert len(set(functions)) == len(functions)
    assert all(name.startswith(("my_", "repaired_")) for name in functions), "what progress() counts"


def test_released_copies_hold_no_solution_and_no_output_and_their_stubs_are_whole(released):
    for path in NOTEBOOKS:
        stored, copy = nbformat.read(path, 4), nbformat.read(released / path.name, 4)
        solutions = list(run_notebooks.exercises(stored))
        text = "\n".join(cell.source for cell in copy.cells)
        assert "Solution</summary>" not in text
        for stub, solution, check in solutions:
            assert solution.strip() not in text
            sources = [cell.source for cell in copy.cells]
            assert stub.source in sources
            assert check.source in sources
        assert text.count("<summary>Hint") >= len(solutions)
        assert len(copy.cells) == len(stored.cells)
        assert not [cell for cell in copy.cells if cell.get("outputs") or cell.get("execution_count")]


def test_release_overwrites_nobodys_work(tmp_path, released):
    marks.release(FORWARD, tmp_path)
    (tmp_path / "01_forward_process.ipynb").write_text("my work")
    with pytest.raises(SystemExit, match=r"already holds 01_forward_process\.ipynb"):
        marks.release(NOTEBOOKS, tmp_path)
    assert (tmp_path / "01_forward_process.ipynb").read_text() == "my work"
    assert not (tmp_path / "00_welcome.ipynb").exists()


def test_a_released_notebook_for_nbgrader_asks_for_a_passed_check(tmp_path):
    marks.release(FORWARD, tmp_path, nbgrader=True)
    cells = nbformat.read(tmp_path / "01_forward_process.ipynb", 4).cells
    asked = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [cell.metadata.nbgrader.grade_id for cell in asked] == NAMES
    for cell in asked:
        call, test = re.fullmatch(
            r"(checks\.\w+\(\w+\))\n### BEGIN HIDDEN TESTS\nassert (.*)\n### END HIDDEN TESTS", cell.source
        ).groups()
        assert test == f'{call}.status == "passed"'


def test_a_small_class_gets_the_verdicts_that_its_answers_should_get(tmp_path):
    notebooks = run_notebooks.find_notebooks(["00", "05"])
    wanted = made_up_class.make(tmp_path, 3, notebooks)
    found = graded(tmp_path, notebooks)
    assert {key: mark.verdict for key, mark in found.items()} == wanted
    assert set(wanted.values()) == {"passed", "wrong", "not attempted"}
    for mark in found.values():
        assert bool(mark.diagnosis) == (mark.verdict == "wrong")


HOSTILE = {
    "exits": "import os\nos._exit(0)",
    "kills whoever started it": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nreturn x_0",
    "crashes the interpreter": "import ctypes\nctypes.string_at(0)",
    "takes all memory": "hoard = []\nwhile True:\n    hoard.append(bytearray(2**28))",
    "never ends": "while True:\n    try:\n        pass\n    except BaseException:\n        pass",
    "keeps the lock": "return sum(range(10**13))",
    "closes all files": "import os\nos.closerange(0, 1000)",
    "sends half a verdict": "import os\nfor fd in range(3, 1000):\n    try:\n        os.write(fd, b'x')\n"
    "    except OSError:\n        pass\nimport time\ntime.sleep(1000)",
    "leaves a process behind": "import subprocess, sys\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\nimport os\nos._exit(0)",
    "removes the folder": "import os, shutil\nshutil.rmtree(os.getcwd())\nreturn x_0",
    "replaces the check": "from ddpm_lib.course import checks\n"
    "checks.half_noise_time = checks.shift_log_snr = None\nreturn x_0",
    "nests too deep": "return " + "(" * 300 + "x_0" + ")" * 300,
    "asks the keyboard": "return input()",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and process groups")
def test_hostile_answers_cost_only_their_own_exercise(hand_in, monkeypatch):
    monkeypatch.setattr(marks, "SECONDS", 12)
    for learner, body in HOSTILE.items():
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        folder = hand_in(learner, f"def my_add_noise(x_0, alpha_bar_t, eps):\n{lines}")
    hand_in("takes part", RIGHT)
    found = graded(folder)
    assert found["takes part", "add_noise"].verdict == "passed"
    for learner in HOSTILE:
        assert found[learner, "add_noise"].verdict == "wrong", learner
        assert found[learner, "add_noise"].diagnosis
        for name in OTHERS:
            assert found[learner, name].verdict in ("not attempted", "wrong"), (learner, name)
        if learner != "replaces the check":
            assert {found[learner, name].verdict for name in OTHERS} == {"not attempted"}, learner
    assert len(found) == (len(HOSTILE) + 1) * len(NAMES)
    assert "GiB of memory" in found["takes all memory", "add_noise"].diagnosis


def test_damaged_papers_get_a_line(hand_in, tmp_path, released):
    hand_in("whole", RIGHT)
    for learner, content in {
        "cut": (released / "01_forward_process.ipynb").read_bytes()[:2000], "empty": b"", "binary": bytes(range(256)),
        "list": b"[]", "deep": b"[" * 100_000, "nulls": b'{"cells": null, "nbformat": 4}',
    }.items():  # fmt: skip
        (tmp_path / learner).mkdir()
        (tmp_path / learner / "01_forward_process.ipynb").write_bytes(content)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "text.docx").write_text("my homework")
    found = graded(tmp_path)
    assert found["whole", "add_noise"].verdict == "passed"
    for learner in ("cut", "empty", "binary", "list", "deep", "nulls"):
        assert {found[learner, name].verdict for name in NAMES} == {"damaged"}, learner
        assert "01_forward_process.ipynb" in found[learner, "add_noise"].diagnosis
    assert found["text", ""].verdict == "damaged"
    assert {found["nothing", name].verdict for name in NAMES} == {"not handed in"}


def test_a_learner_may_hand_in_a_file_or_a_folder_and_the_last_copy_counts(hand_in, tmp_path):
    hand_in("ada", RIGHT, "older.ipynb")
    hand_in("ada", "def my_add_noise(x_0, alpha_bar_t, eps):\n    return x_0", "newer.ipynb")
    os.utime(tmp_path / "ada" / "older.ipynb", (1, 1))
    hand_in("ben", RIGHT, "paper.ipynb")
    (tmp_path / "ben" / "paper.ipynb").rename(tmp_path / "cem_01_forward_process.ipynb")
    hand_in("dora", RIGHT, "a/b.ipynb".replace("/", "_"))
    (tmp_path / "dora" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "dora" / ".ipynb_checkpoints" / "01.ipynb").write_text("{}")
    found = graded(tmp_path)
    verdicts = {learner: found[learner, "add_noise"].verdict for learner in ("ada", "ben", "cem", "dora")}
    assert verdicts == {"ada": "wrong", "ben": "not handed in", "cem": "passed", "dora": "passed"}


CELLS = {
    "a helper in another cell": (["import math\nroot = math.sqrt", "def f(x):\n    return root(x)"], 3.0),
    "a helper that comes later": (["def f(x):\n    return g(x)", "def g(x):\n    return x + 1"], 10.0),
    "magics and shell lines": (["%matplotlib inline\n!ls\nimport math", "def f(x):\n    return math.sqrt(x)"], 3.0),
    "a cell that is no Python": (["oops(", "def f(x):\n    return x"], 9),
    "the last definition counts": (["def f(x):\n    return 1", "def f(x):\n    return 2"], 2),
    "a part of a list": (["a = [0, 0]", "a[1] = 5", "def f(x):\n    return a[1]"], 5),
    "a lambda": (["k = 2\nf = lambda x: k * x"], 18),
    "a star": (["from math import *", "def f(x):\n    return sqrt(x)"], 3.0),
    "no training": (["def train():\n    1 / 0", "model = train()", "def f(x):\n    return x"], 9),
    "a name has the value that stands above": (["k = 1", "def f(x):\n    return k", "k = 2"], 1),
    "a local name is none of the notebook's": (["y = 1 / 0", "def f(x):\n    y = x\n    return y"], 9),
}


@pytest.mark.parametrize(("cells", "value"), CELLS.values(), ids=CELLS)
def test_only_what_an_answer_needs_is_run(cells, value):
    names = {}
    for _, statement in marks.needed("f", cells):
        exec(compile(marks.ast.Module([statement], []), "cell", "exec"), names)
    assert names["f"](9) == value


def test_an_answer_that_is_no_python_hears_of_it(hand_in):
    folder = hand_in("ada", "def my_add_noise(x_0, alpha_bar_t, eps)\n    return x_0")
    mark = graded(folder)["ada", "add_noise"]
    assert mark.verdict == "wrong"
    assert "is no Python: expected ':' in line 1" in mark.diagnosis


def test_the_pages_of_a_class(tmp_path, capsys):
    add, shift = (marks.Exercise("01_forward_process", name, f"my_{name}") for name in ("add_noise", "shift_log_snr"))
    found = [
        marks.Mark("=ada", add, "passed"), marks.Mark("=ada", shift, "wrong", "off by up to 3"),
        marks.Mark("ben", add, "wrong", "no <b>root</b>", "no <b>root</b>"), marks.Mark("ben", shift, "not attempted"),
        marks.Mark("cem", marks.Exercise("", "", ""), "damaged", "cem.ipynb is no notebook"),
    ]  # fmt: skip
    class_page.write(found, tmp_path)
    rows = list(csv.reader((tmp_path / "marks.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["learner", "exercise", "verdict", "diagnosis"]
    assert rows[1] == ["'=ada", "add_noise", "passed", ""], "no formula"
    assert rows[3] == ["ben", "add_noise", "wrong", "no <b>root</b>"]
    page = (tmp_path / "class.html").read_text(encoding="utf-8")
    assert "50% passed, 50% named mistake" in page
    assert "no &lt;b&gt;root&lt;/b&gt;" in page
    assert "off by up to 3 <small>(no named mistake)" in page
    assert "cem.ipynb is no notebook" in page
    assert (tmp_path / "class.png").read_bytes().startswith(b"\x89PNG")
    assert "ben: 0 of 2 exercises passed" in capsys.readouterr().out
    assert {path.name for path in Path(tmp_path).iterdir()} == marks.OWN


def test_marks_are_made_again_beside_the_old_ones(hand_in, capsys):
    folder = hand_in("ada", RIGHT)
    for _ in range(2):
        class_page.write(marks.grade(FORWARD, folder), folder)
    assert len((folder / "marks.csv").read_text().splitlines()) == 1 + len(NAMES)


def test_nobody_handed_in_anything(tmp_path):
    assert marks.grade(FORWARD, tmp_path) == []
    class_page.write([], tmp_path)
    with pytest.raises(SystemExit, match="there is no folder"):
        marks.grade(FORWARD, tmp_path / "nowhere")
