"""The museum of bugs: each bug of museum.toml, planted into a copy of the package, is caught by its tests.

The list of bugs is the list of test cases. One process runs them all, each against a copy of its own, because
importing torch once for each would take longer than all of the tests. And the repairs that notebook 09 asks for.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F

from ddpm_lib.course import checks, museum

TESTS = Path(__file__).parents[1]
NOTEBOOKS = TESTS.parent / "notebooks"
every_bug = pytest.mark.parametrize("entry", museum.LISTED, ids=lambda entry: entry["name"])

# Runs in a process of its own, in a folder that holds one copy of the repository's code for each run.
RUNNER = """
import json, os, sys
from pathlib import Path
import pytest, torch

class Notes:
    def __init__(self): self.outcomes, self.package = [], None
    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.failed: self.outcomes.append(f"{report.outcome} in {report.when}")
    def pytest_collectreport(self, report):
        if report.failed: self.outcomes.append("failed in collection")
    def pytest_sessionfinish(self, session): self.package = sys.modules["ddpm_lib"].__file__

found = {}
for folder, tests in json.loads(sys.stdin.read()).items():
    here = Path(folder).resolve()
    os.chdir(here)
    sys.path.insert(0, str(here))
    notes = Notes()
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning",
                        "--rootdir", str(here), *tests], plugins=[notes])
    found[folder] = {"code": int(code), "outcomes": notes.outcomes,
                     "package": Path(notes.package).resolve().parent.parent == here}
    sys.path.remove(str(here))
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(here)): del sys.modules[name]
    os.chdir(here.parent)
Path("found.json").write_text(json.dumps(found))
"""


def copy_of_the_code(folder, bug=None):
    """Package, tests and settings, with the bug planted."""
    shutil.copytree(museum.PACKAGE, folder / "ddpm_lib", ignore=shutil.ignore_patterns("__pycache__", "checkpoints"))
    shutil.copytree(TESTS, folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TESTS.parent / "pyproject.toml", folder)
    if bug:
        (folder / "ddpm_lib" / bug.file).write_text(bug.source, encoding="utf-8")


def places_of(test):
    """The test as pytest finds it, in each file of tests/ that has one of this name."""
    paths = (path for path in sorted(TESTS.rglob("test_*.py")) if f"\ndef {test}(" in path.read_text(encoding="utf-8"))
    return [f"{path.relative_to(TESTS.parent).as_posix()}::{test}" for path in paths]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What pytest found in each copy: name of the bug, or "no bug" → exit code, outcomes, whether the copy was used."""
    home = tmp_path_factory.mktemp("museum")
    runs = {
        "no bug": sorted({place for entry in museum.LISTED for test in entry["tests"] for place in places_of(test)})
    }
    copy_of_the_code(home / "no bug")
    for entry in museum.LISTED:
        with contextlib.suppress(LookupError):  # the test of this bug says it
            copy_of_the_code(home / entry["name"], museum.find(**entry))
            runs[entry["name"]] = [place for test in entry["tests"] for place in places_of(test)]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(runs),
        cwd=home,
        env=environment | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((home / "found.json").read_text())


def test_without_a_bug_all_of_them_pass(found):
    run = found["no bug"]
    assert run["package"]
    assert run["code"] == 0
    assert set(run["outcomes"]) == {"passed in call"}
    assert len(run["outcomes"]) >= len(museum.LISTED)


@every_bug
def test_the_bug_is_caught(entry, found):
    museum.find(**entry)
    run = found[entry["name"]]
    assert run["package"], "another ddpm_lib was tested"
    assert run["code"] == 1, "1 is pytest's code for tests that failed"
    assert run["outcomes"][-1] == "failed in call"  # in the test itself, not before it


# ---------------------------------------------------------------------------- finding a line

SOURCES = {
    "a.py": """
def f(x, y):
    if x:
        return g(x,
                 'text')  # why
    y = x
    return y
""",
    "b.py": "y = x\nz = x\n",
}


def planted(old, new="pass", sources=SOURCES):
    return museum.find("test", "09", old, new, [], "", sources)


def test_a_line_is_found_whatever_its_indentation_line_breaks_and_comments():
    bug = planted('  return g(x, "text")', "  first()\n  second()")
    assert bug.file == "a.py"
    assert bug.old.split() == ["return", "g(x,", "'text')", "#", "why"]
    assert bug.new == "first()\nsecond()"
    want = SOURCES["a.py"].splitlines()
    want[3:5] = ["        first()", "        second()"]
    assert bug.source.splitlines() == want
    compile(bug.source, "a.py", "exec")


def test_several_lines_are_found_where_they_follow_each_other():
    assert planted("y = x\nreturn y").file == "a.py"
    assert planted("y = x\nz = x", "").source == "\n"


def test_a_line_that_is_not_there_once_is_named_with_what_is_there():
    with pytest.raises(LookupError, match=r"test.*2 times[^$]*a\.py line 6.*b\.py line 1[^$]*y = x"):
        planted("y = x")
    with pytest.raises(LookupError, match=r"test[^$]*return g\(x, 'txt'\)[^$]*a\.py line 4[^$]*return g\(x, 'text'\)"):
        planted("return g(x, 'txt')")


# ---------------------------------------------------------------------------- the list and the notebooks


def read(number):
    """The notebook whose name begins with this number."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return nbformat.read(path, 4)


def test_there_are_at_least_twelve_bugs_each_complete_and_once():
    assert len(museum.LISTED) >= 12
    assert len({entry["name"] for entry in museum.LISTED}) == len(museum.LISTED)
    for entry in museum.LISTED:
        assert set(entry) == {"name", "notebook", "old", "new", "tests", "shipped"}
        assert entry["tests"]
        assert entry["old"] != entry["new"]


@every_bug
def test_the_line_stands_in_the_package_once_and_so_does_each_test(entry):
    assert museum.find(**entry).name == entry["name"]
    for test in entry["tests"]:
        assert len(places_of(test)) == 1, test


@every_bug
def test_the_notebook_shows_the_bug_its_test_and_its_link(entry):
    notebook = read(entry["notebook"])
    text = "\n".join(cell.source for cell in notebook.cells)
    assert f'reveal("{entry["name"]}")' in text
    shown = "\n".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    for test in entry["tests"]:
        assert test in shown
    if entry["shipped"].startswith("https"):
        assert entry["shipped"] in text, "the link, to click on"


@pytest.mark.parametrize("number", sorted({entry["notebook"] for entry in museum.LISTED}))
def test_the_notebook_shows_no_bug_that_is_not_listed_for_it(number):
    text = "\n".join(cell.source for cell in read(number).cells)
    listed = {entry["name"] for entry in museum.LISTED if entry["notebook"] == number}
    for call in ("reveal", "planted", "suspect"):
        assert set(re.findall(rf'{call}\("([^"]+)"\)', text)) <= listed


# ---------------------------------------------------------------------------- the repairs


def step(noise, at_the_end=False):
    """A learner's repaired_step with this noise, a function of (mean, std)."""
    return lambda mean, std, s: mean + noise(mean, std) if s > 0 or at_the_end else mean


def moving(average, model, decay, own=lambda a, m, d: d * a + (1 - d) * m, table=lambda a, m, d: a):
    return {
        name: (table if name.startswith("schedule.") else own)(average[name], model[name], decay) for name in average
    }


def grown_in_place(widths, embedding_width):
    widths[-1] += 2 * embedding_width
    return widths


RIGHT = {
    "repaired_step": [
        step(lambda mean, std: std * torch.randn_like(mean)),
        lambda mean, std, s: torch.normal(mean, std if s else 0.0),
    ],
    "repaired_times": [
        lambda T, batch: torch.randint(1, T + 1, (batch,)),
        lambda T, batch: (torch.rand(batch) * T).floor().long() + 1,
    ],
    "repaired_average": [
        moving,
        lambda average, model, decay: {
            name: old if "schedule" in name else old.lerp(model[name], 1 - decay) for name, old in average.items()
        },
    ],
    "repaired_dropout": [
        lambda labels, keep: F.one_hot(labels, 10) * keep[:, None],
        lambda labels, keep: torch.stack(
            [torch.eye(10)[y] if k else torch.zeros(10) for y, k in zip(labels, keep, strict=True)]
        ),
    ],
    "repaired_config": [
        lambda widths, e: [*widths[:-1], widths[-1] + 2 * e],
        lambda widths, e: grown_in_place(list(widths), e),
        lambda widths, e: tuple(grown_in_place(widths.copy(), e)),
    ],
}
MISTAKES = {
    "repaired_step": {
        "uniform noise, rand: its mean": step(lambda mean, std: std * torch.rand_like(mean)),
        "moved uniform noise": step(lambda mean, std: std * (torch.rand_like(mean) - 0.5)),
        "but it is uniform: that": step(lambda mean, std: std * (torch.rand_like(mean) - 0.5) * 12**0.5),
        "std²": step(lambda mean, std: std**2 * torch.randn_like(mean)),
        "√std": step(lambda mean, std: std**0.5 * torch.randn_like(mean)),
        "std is missing": step(lambda mean, std: torch.randn_like(mean)),
        "at s = 0 you still": step(lambda mean, std: std * torch.randn_like(mean), at_the_end=True),
        "and nowhere else": lambda mean, std, s: mean if s else mean + std * torch.randn_like(mean),
        "noise is missing": step(lambda mean, std: 0),
        "every picture gets the same noise": step(lambda mean, std: std * torch.randn(1, 28, 28)),
        "two calls": step(lambda mean, std: std * torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))),
        "has 0.70 of the standard deviation": step(lambda mean, std: 0.7 * std * torch.randn_like(mean)),
        "the mean of your draw is off by": step(lambda mean, std: std * (1 + torch.randn_like(mean))),
    },
    "repaired_times": {
        "t = T is never drawn": lambda T, batch: torch.randint(1, T, (batch,)),
        "0 … T − 1": lambda T, batch: torch.randint(0, T, (batch,)),
        "you draw t = 0": lambda T, batch: torch.randint(0, T + 1, (batch,)),
        "T + 1, past T": lambda T, batch: torch.randint(1, T + 2, (batch,)),
        "the whole batch gets the same times": lambda T, batch: torch.randint(1, T + 1, (1,)).expand(batch),
        "half as often": lambda T, batch: (torch.rand(batch) * (T - 1) + 1).round().long(),
        "whole numbers": lambda T, batch: torch.rand(batch) * T + 1,
        "1 comes in 5": lambda T, batch: torch.where(torch.rand(batch) < 0.5, 1, torch.randint(1, T + 1, (batch,))),
        "1 comes in 0.0%": lambda T, batch: torch.randint(3, T + 1, (batch,)),
    },
    "repaired_average": {
        "schedule is still averaged": lambda a, m, d: moving(a, m, d, table=lambda a, m, d: d * a + (1 - d) * m),
        "over the average's own": lambda a, m, d: moving(a, m, d, table=lambda a, m, d: m),
        "you gave it to the model": lambda a, m, d: moving(a, m, d, own=lambda a, m, d: (1 - d) * a + d * m),
        "nothing is averaged": lambda a, m, d: moving(a, m, d, own=lambda a, m, d: m),
        "never moves": lambda a, m, d: a,
        "plain mean": lambda a, m, d: moving(a, m, d, own=lambda a, m, d: (a + m) / 2),
        "under 'unet.": lambda a, m, d: moving(a, m, d, own=lambda a, m, d: a + m),
        "off by up to 1 from the right answer under 'schedule.": lambda a, m, d: moving(
            a, m, d, table=lambda a, m, d: a + 1
        ),
        "the names of the schedule are missing": lambda a, m, d: {
            name: d * a[name] + (1 - d) * m[name] for name in a if name.startswith("unet.")
        },
    },
    "repaired_dropout": {
        "became a 0": lambda y, k: F.one_hot(y * k, 10),
        "upside down": lambda y, k: F.one_hot(y, 10) * ~k[:, None],
        "eleventh class": lambda y, k: F.one_hot(torch.where(k, y, 10), 11),
        "a tenth of each": lambda y, k: torch.stack(
            [torch.eye(10)[i] if b else torch.full((10,), 0.1) for i, b in zip(y, k, strict=True)]
        ),
        "nothing is dropped": lambda y, k: F.one_hot(y, 10),
        "class numbers": lambda y, k: y * k,
        "whole batch": lambda y, k: F.one_hot(y, 10) * k.all(),
        "off by up to": lambda y, k: F.one_hot(y, 10) * k[:, None] * 2,
    },
    "repaired_config": {
        "you changed `widths` in place": grown_in_place,
        "nothing is added": lambda widths, e: list(widths),
        "add the width twice": lambda widths, e: [*widths[:-1], widths[-1] + e],
        "the first width": lambda widths, e: [widths[0] + 2 * e, *widths[1:]],
        "only the last width": lambda widths, e: [w + 2 * e for w in widths],
        "you replaced the last width": lambda widths, e: [*widths[:-1], 2 * e],
        "the last width alone": lambda widths, e: widths[-1] + 2 * e,
    },
}
every_repair = pytest.mark.parametrize("name", RIGHT)


@pytest.fixture(params=range(5))
def seed(request):
    """The inputs are fresh and random in each call: every test runs with several, the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(request.param)
        yield request.param


@every_repair
def test_an_untouched_stub_is_not_attempted(name, seed):
    assert getattr(checks, name)(lambda *inputs: None).status == "not attempted"


@every_repair
def test_right_repairs_pass_however_they_are_written(name, seed):
    for attempt in RIGHT[name]:
        verdict = getattr(checks, name)(attempt)
        assert verdict.status == "passed", verdict


@pytest.mark.parametrize(("name", "diagnosis"), [(name, key) for name in MISTAKES for key in MISTAKES[name]])
def test_each_mistake_has_its_own_diagnosis(name, diagnosis, seed):
    verdict = getattr(checks, name)(MISTAKES[name][diagnosis])
    assert verdict.status == "wrong"
    assert diagnosis in verdict.message
    assert [other for other in MISTAKES[name] if other in verdict.message] == [diagnosis]


@every_repair
def test_nonsense_gets_a_verdict_and_never_a_traceback(name, seed):
    for attempt in (lambda *_: "text", lambda *_: object(), lambda *_: torch.zeros(3, 3), lambda *_: {"x": 1}):
        verdict = getattr(checks, name)(attempt)
        assert verdict.status == "wrong"
        assert "should" in verdict.message
    for attempt in (None, 3, lambda: 1):
        assert getattr(checks, name)(attempt).status == "wrong"
    verdict = getattr(checks, name)(lambda *inputs: inputs[0] / undefined_by_the_learner)  # noqa: F821
    assert "NameError" in verdict.message
    assert "undefined_by_the_learner" in verdict.message
    for value in (float("nan"), float("inf")):
        verdict = getattr(checks, name)(lambda *inputs, value=value: torch.full((64, 1, 28, 28), value))
        assert verdict.status == "wrong"


def test_every_repair_is_tested_here():
    assert {name for name in vars(checks) if name.startswith("repaired_")} == set(RIGHT) == set(MISTAKES)
