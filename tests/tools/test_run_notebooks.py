"""tools/run_notebooks.py on bad days: what is wrong with a notebook is a line of the table, and the others run."""

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import execution
import nbformat
import papermill
import parameters
import psutil
import pytest
import run_notebooks
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from ddpm_lib import save_checkpoint

pytestmark = pytest.mark.filterwarnings("default")  # Jupyter's own
DEFAULTS = """\
seed = 0  # of all noise
samples = 100  # digits that are scored
w = 1.0  # guidance weight
weights = [-1, 0.5]
digits_shown = [3, 5]
widths = [16, 32, 64]
budget_seconds = 30
birthday = "21.06.1998"
data_source = "embedded"
checkpoint = None  # or a path
figures_dir = "../build/figures"  # where pictures are written
provenance = {}"""
NAMES = {"python3": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty repository in the place of this one."""
    folder = tmp_path / "repository"
    (folder / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(run_notebooks, "NOTEBOOKS", folder / "notebooks")
    monkeypatch.setattr(run_notebooks, "BUILD", folder / "build" / "course")
    monkeypatch.setattr(run_notebooks, "training_speed", lambda: 1000.0)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def write(repository):
    """write(name, cell, …, title, kernel): a notebook of these code cells, below a parameters cell."""

    def write(name, *cells, title="Tiny", kernel="python3"):
        first = [new_markdown_cell(f"# {name[:2]} · {title}")] if title else []
        head = new_code_cell(DEFAULTS, metadata={"tags": ["parameters"]})
        body = [new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(cells)]
        spec = NAMES.get(kernel, {"name": kernel, "display_name": kernel, "language": "python"})
        metadata = {"kernelspec": spec, "language_info": {"name": "python"}}
        path = repository / "notebooks" / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=[*first, head, *body], metadata=metadata), path)
        return path

    return write


def course(*arguments, monkeypatch):
    """The exit code and its text, if it has one, of `run_notebooks.py course`."""
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", "course", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run_notebooks.main()
    return stopped.value.code


THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(120,)).start()"
BROKEN = {
    # name: (what write() takes, what the line must say)
    "02_raises": (["x = 1", "1/0"], r"ZeroDivisionError in cell \[3\] `cell-1`: division by zero"),
    "03_exits": ([THREAD, "exit()", "print(1)"], r"in cell \[3\] `cell-1`: it called exit\(\)"),
    "04_quits_last": (["quit()"], r"in cell \[2\] `cell-0`: it called exit\(\)"),
    "05_exits_with_0": (["import sys; sys.exit(0)", "print(1)"], r"in cell \[2\] `cell-0`: it called exit\(\)"),
    "06_dies": (["import os; os._exit(0)", "print(1)"], r"DeadKernelError in cell \[.*\] `cell-0`"),
}


def test_what_is_wrong_with_one_notebook_is_a_line_of_the_table(repository, write, monkeypatch, capsys, tmp_path):
    for name, (cells, _) in BROKEN.items():
        write(name, *cells)
    write("01_good", "print('seed', seed)")
    write("07_without_a_title", "print(2)", title="")
    write("08_no_such_kernel", "print(1)", kernel="nobody-has-it")
    write("09_kernel_dies", "print(1)", kernel="dies")
    kernel = tmp_path / "jupyter" / "kernels" / "dies"
    kernel.mkdir(parents=True)
    spec = {"argv": [sys.executable, "-c", "raise SystemExit(1)"], "display_name": "dies", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for name, content in (("10_html", "<html>"), ("11_empty", ""), ("12_a_list", "[]"), ("13_cut", '{"cells": [')):
        (repository / "notebooks" / f"{name}.ipynb").write_text(content)
    (repository / "notebooks" / "14_a_folder.ipynb").mkdir()
    build = run_notebooks.BUILD
    build.mkdir(parents=True)
    (build / "10_html.ipynb").write_text("of an earlier run")

    assert course(monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    runs = {run["notebook"]: run for run in json.loads((build / "runs.json").read_text())}
    good = {"01_good", "07_without_a_title"}
    assert {name for name, run in runs.items() if not run["error"]} == good
    assert len(runs) == 14
    table = printed.out.partition("peak memory")[2]
    for name, run in runs.items():
        [line] = [line for line in table.splitlines() if line.startswith(name[:24])]
        assert line.endswith("failed") == (name not in good)
        assert (f"{name} failed: " in printed.err) == (name not in good)
        assert "\n" not in run["error"]
    for name, (_, said) in BROKEN.items():
        assert re.search(said, runs[name]["error"]), runs[name]["error"]
    assert "ZeroDivisionError" in (build / "02_raises.ipynb").read_text(), "what its cells gave is there to look at"
    assert not (build / "10_html.ipynb").exists(), "it would look like a result of this run"
    assert [path.name for path in build.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(os.name != "posix", reason="a limit of the shell's")
def test_a_file_size_limit_leaves_no_truncated_notebook(write, monkeypatch, capsys):
    import resource

    write("01_large", "print('x' * 900_000)")
    write("02_small", "print(1)")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        assert course(monkeypatch=monkeypatch) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "01_large failed: OSError: File too large" in capsys.readouterr().err.replace(" in cell [2] `cell-0`", "")
    assert {path.name for path in run_notebooks.BUILD.iterdir()} == {"02_small.ipynb", "runs.json"}
    assert nbformat.read(run_notebooks.BUILD / "02_small.ipynb", 4).cells[-1].outputs[0].text == "1\n"


def test_a_full_disk_leaves_no_half_notebook_and_no_kernel(write, monkeypatch, capsys):
    write("01_one", "print(1)", "print(2)")
    written, of_other_tests = [], set(psutil.Process().children(recursive=True))

    def fills_up(_, text, path):
        written.append(path)
        Path(path).write_text(text[: len(text) // 2] if len(written) > 4 else text)
        if len(written) > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(papermill.iorw.LocalHandler, "write", fills_up)
    assert course(monkeypatch=monkeypatch) == 1
    assert "01_one failed: OSError: No space left on device" in capsys.readouterr().err
    assert [path.name for path in run_notebooks.BUILD.iterdir()] == ["runs.json"]
    assert not set(psutil.Process().children(recursive=True)) - of_other_tests


def test_where_nothing_can_be_written_one_sentence_says_so(write, monkeypatch, tmp_path):
    write("01_one", "print(1)")
    (tmp_path / "file").write_text("no folder can be made in it")  # as root, the tests may write everywhere else
    monkeypatch.setattr(run_notebooks, "BUILD", tmp_path / "file" / "course")
    assert re.fullmatch(r"stopped: .*file.*: Not a directory", course(monkeypatch=monkeypatch))


def test_a_title_cell_that_is_missing_is_not_stored_as_a_row_without_a_title(write, monkeypatch, capsys):
    path = write("01_one", "print(1)", title="")
    before, rows = path.read_bytes(), []
    monkeypatch.setattr(run_notebooks, "write_measured", lambda runs, speed=None: rows.extend(runs))
    assert [run.error for run in run_notebooks.store([])] == ["its first line is no title such as `# 03 · Training`"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["store", "figures", "solved", "release", "grade"])
def test_other_commands_name_the_notebook_that_can_not_be_read(command, repository, write, monkeypatch, tmp_path):
    write("01_one", "print(1)")
    (repository / "notebooks" / "02_damaged.ipynb").write_text("<html>")
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", command, str(tmp_path / "class")])
    with pytest.raises(SystemExit, match=r"02_damaged.ipynb is no notebook that can be read"):
        run_notebooks.main()


# ---------------------------------------------------------------------------- parameters


@pytest.fixture
def no_kernel(monkeypatch):
    def start(*_):
        pytest.fail("a kernel was started")

    monkeypatch.setattr(execution, "run_cells", start)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", "1e99", "seed must be an integer ≥ 0"),
        ("seed", "-1", "seed must be an integer ≥ 0"),
        ("seed", str(2**63), "seed must be an integer ≥ 0 and ≤ 9,223,372,036,854,775,807"),
        ("seed", "True", "seed must not be True or False"),
        ("seed", "one", "seed must be an integer"),
        ("samples", "0", "samples must be an integer ≥ 2"),
        ("samples", "50.0", "samples must be an integer"),
        ("w", "nan", "w must lie in"),
        ("w", "1e999", "w must lie in"),
        ("weights", "3", r"weights must be a list"),
        ("weights", "[]", r"weights must be a list"),
        ("weights", "[0, 'a']", "each of weights must lie in"),
        ("digits_shown", "[3, 10]", "each of digits_shown must be an integer ≥ 0 and ≤ 9, got 10"),
        ("widths", "[8, 8]", "widths must be three integers"),
        ("widths", "[0, 1, 2]", "widths must be three integers"),
        ("budget_seconds", "0", "budget_seconds must be a finite number > 0"),
        ("budget_seconds", "inf", "budget_seconds must be a finite number > 0"),
        ("data_source", "all", "data_source must be one of"),
        ("provenance", "[1]", "provenance must be of type dict"),
        ("checkpoint", "missing.safetensors", r"checkpoint: there is no file .*missing.safetensors"),
        ("checkpoint", "", "checkpoint must be a path"),
        ("figures_dir", "~nobody-is-called-so/x", "home folder is not known"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_before_a_kernel_starts(
    name, value, said, write, no_kernel, monkeypatch
):
    write("05_one", "print(1)")
    code = course("-p", name, value, monkeypatch=monkeypatch)
    assert re.match("05_one, parameters cell: ", code)
    assert re.search(said, code), code
    assert f"default: {parameters.literal(re.search(rf'(?m)^{name} = (.*?)(  #|$)', DEFAULTS)[1])!r}" in code
    assert not run_notebooks.BUILD.exists()


# What is taken, and what is refused, by notebook and parameter; as typed.
VALUES = {
    ("00", "labels"): (["[7]", "[0, 0, 9]"], ["7", "[]", "[10]", "[-1]", "[1.0]", "['a']", "[[1]]", "[True]"]),
    ("00", "w"): (["0", "-1", "2.5"], ["1e300", "nan", "inf", "one", "True", "[1]", "None"]),
    ("01", "T"): (["5", "300"], ["4", "1", "0", "-5", "2e2", "1000001", "None"]),
    ("01", "copies"): (["1", "20"], ["0", "1e3", "10**3", "1000001"]),
    ("01", "data_source"): (["full"], ["Full", "", "1", "None"]),
    ("02", "widths"): (["[8, 8, 8]", "(4, 8, 12)"], ["[8, 8]", "[8, 8, 8.0]", "8", "[8, 8, 10**9]", "[8, 8, 99999]"]),
    ("02", "embedding_width"): (["16", "63", "1"], ["0", "-2", "64.0", "99998"]),
    ("02", "digit_shown"): (["0"], ["10", "[3]", "3.0", "x"]),
    ("03", "provenance"): (
        ["{'commit': 'a'}", "{}"],
        ["{1, 2}", "{'a': {1}}", "{'a': 1j}", "[1]", "commit"],
    ),
    ("03", "checkpoint_path"): (["mine.safetensors"], ["None", "", "..", "/", "~nobody-is-called-so/x"]),
    ("03", "p_uncond"): (["0", "1", "0.5"], ["-0.1", "1.1", "nan", "'a'", "True"]),
    ("03", "budget_seconds"): (["0.5", "1"], ["0", "-1", "inf", "1e999", "soon"]),
    ("03", "samples"): (["2", "5"], ["1", "0", "5.0", "1000001"]),
    ("04", "few_steps"): (["500", "1"], ["501", "0", "50.0", "1e1"]),
    ("04", "grid_steps"): (["8"], ["5000", "-1"]),
    ("04", "samples_per_weight"): (["50"], ["49", "8"]),
    ("05", "w_acts"): (["1", "-1.5"], ["0", "-1e300", "2e6", "w"]),
    ("05", "target"): (["0", "1"], ["1.01", "-1", "95"]),
    ("06", "lines"): (
        ["[]", "[[(1, 2), (3.5, 4)]]", "[[[1, 2]], [(0, 0), (27, 27)]]"],
        [
            "[['a']]",
            "[[1, 2]]",
            "['ab']",
            "[[(1, 2, 3)]]",
            "[[(1, None)]]",
            "[[(nan, 1)]]",
            "[(1, 2)]",
            "1",
            "[{1: 2}]",
        ],
    ),
    ("06", "pair"): (["[0, 9]", "(4, 2)"], ["[1]", "[1, 2, 3]", "3", "[3, 10]", "[3, '8']"]),
    ("06", "hold"): (["0"], ["-1", "10001"]),
    ("06", "noises"): (["1", "50"], ["51", "0"]),
    ("06", "figures_dir"): ([".", "pictures", "../pictures"], ["None", "~nobody-is-called-so"]),
    ("06", "denoise_steps"): (["500"], ["501"]),
    ("06", "birthday"): (["1.2.1998", "2106"], []),
    ("07", "step_counts"): (["[1, 500]", "[5, 2]"], ["[2, 501]", "[0, 5]", "[]", "[2.0]", "5", "[600]"]),
    ("07", "samples"): (["2"], ["1"]),
    ("08", "pool_samples"): (["200", "10000"], ["199", "10001"]),
    ("08", "live_weights"): (["[0]", "[-1, 3.5]"], ["[-1]", "[]", "[-1, -0.5]", "['a']", "[1, nan]"]),
    ("08", "sweep_table"): (["None"], ["missing.csv", "", "."]),
    ("09", "samples"): (["10"], ["9", "5"]),
    ("09", "steps"): (["100"], ["101", "500"]),
    ("10", "batch_size"): (["1"], ["0", "1.5"]),
    ("11", "w_gentle"): (["0.5", "-1"], ["1e300", "-inf", "None"]),
    ("11", "checkpoint"): (["None", "student"], ["missing.safetensors", ".", "0"]),
    ("12", "samples"): (["52"], ["51"]),
    ("12", "letters_per_class"): (["40"], ["39", "10001"]),
    ("12", "held_out_font"): (["cmtt10"], ["Arial", "None"]),
    ("12", "name"): (["ada", "EMMY"], ["A", "Zoë", "A B", "12"]),
    ("12", "pictures_dir"): (["None", "."], ["missing", "~nobody-is-called-so"]),
}


@pytest.mark.parametrize(("notebook", "name"), VALUES)
def test_which_values_are_taken(notebook, name, monkeypatch, tmp_path, tried):
    monkeypatch.chdir(tmp_path)
    [path] = run_notebooks.NOTEBOOKS.glob(f"{notebook}_*.ipynb")
    known = parameters.defaults(path)
    taken, refused = VALUES[notebook, name]
    for value in taken:
        assert name in parameters.chosen(path, known, {name: value}), value
    for value in refused:
        with pytest.raises(ValueError, match=rf"^{path.stem}, parameters cell: (each of |one of )?{name}\b"):
            pytest.fail(f"{value} is taken: {parameters.chosen(path, known, {name: value})}")
    tried["values of parameters"] += len(taken) + len(refused)


@pytest.mark.parametrize(
    ("notebook", "T", "given", "said"),
    [("04", 20, {}, r"few_steps \(at most T\) must be an integer ≥ 1 and ≤ 20, got 50"),
     ("04", 20, {"few_steps": "20"}, None), ("04", 20, {"few_steps": "21"}, "few_steps"),
     ("05", 12, {"steps": "12"}, None), ("05", 12, {}, "steps"),
     ("05", 9, {"steps": "8"}, "checkpoint must have T ≥ 10, got T = 9"),
     ("07", 9, {}, r"checkpoint must have T ≥ 20, got T = 9"), ("07", 20, {}, None),
     ("07", 20, {"step_counts": "[21]"}, "step_counts"), ("02", 19, {}, "checkpoint must have T ≥ 20"),
     ("10", 10, {}, "checkpoint must have T ≥ 20"), ("11", 20, {}, None)],
)  # fmt: skip
def test_steps_are_compared_with_the_times_of_the_checkpoint(notebook, T, given, said, make_ddpm, tmp_path):
    save_checkpoint(tmp_path / "mine.safetensors", make_ddpm(T))
    [path] = run_notebooks.NOTEBOOKS.glob(f"{notebook}_*.ipynb")
    given = given | {"checkpoint": str(tmp_path / "mine.safetensors")}
    if said is None:
        assert parameters.chosen(path, parameters.defaults(path), given).keys() == given.keys()
    else:
        with pytest.raises(ValueError, match=f"^{path.stem}, parameters cell: {said}"):
            parameters.chosen(path, parameters.defaults(path), given)


def test_an_unknown_parameter_and_several_that_do_not_fit(write, no_kernel, monkeypatch):
    write("05_one", "print(1)")
    write("06_two", "print(1)")
    assert course("-p", "nothing", "1", monkeypatch=monkeypatch) == "no notebook has the parameter 'nothing'"
    said = course("-p", "seed", "a", monkeypatch=monkeypatch)
    assert [line.split(",")[0] for line in said.splitlines()] == ["05_one", "06_two"]


def test_what_fits_reaches_the_cells_and_a_path_is_relative_to_where_it_was_typed(
    write, make_ddpm, monkeypatch, tmp_path, capsys
):
    write("05_one", "print([seed, weights, birthday, budget_seconds])\nprint(checkpoint)\nprint(figures_dir)\n1/0")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    save_checkpoint(tmp_path / "mine.safetensors", make_ddpm(10))
    given = {"seed": "7", "weights": "[0, 2.5]", "birthday": "2106", "budget_seconds": "0.5"}
    given |= {"checkpoint": "mine.safetensors", "figures_dir": "~/pictures"}
    words = [word for pair in given.items() for word in ("-p", *pair)]
    assert course(*words, monkeypatch=monkeypatch) == 1
    printed = nbformat.read(run_notebooks.BUILD / "05_one.ipynb", 4).cells
    [text] = [cell.outputs[0].text for cell in printed if cell.get("outputs") and cell.outputs[0].get("text")]
    lines = ["[7, [0, 2.5], '2106', 0.5]", str(tmp_path / "mine.safetensors"), str(tmp_path / "home" / "pictures")]
    assert text.splitlines() == lines
    error = capsys.readouterr().err
    assert "05_one failed: ZeroDivisionError in cell [3] `cell-0`" in error
    assert "seed = 7" in error


ALL = sorted(run_notebooks.NOTEBOOKS.glob("*.ipynb")) + sorted((run_notebooks.NOTEBOOKS / "sweeps").glob("*.ipynb"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_defaults_of_every_notebook_pass_their_own_check(path):
    known = parameters.defaults(path)
    assert known
    given = {name: value if isinstance(value, str) else repr(value) for name, value in known.items()}
    found = parameters.chosen(path, known, given)
    written = parameters.WRITTEN
    assert {name: found[name] for name in found if name not in written} == {
        name: known[name] for name in known if name not in written
    }


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_parameter_that_is_a_path_is_known_as_one(path):
    """A path that the tools don't know would be looked for in notebooks/, where nobody typed it."""
    for name, found in papermill.inspect_notebook(path).items():
        says_path = re.search(r"\bpath\b|\bfolder\b|where .* (written|saved)", found["help"])
        assert bool(says_path) == (name in parameters.READ + parameters.WRITTEN) or name == "checkpoint", name


def test_the_weights_have_one_name():
    """03 writes weights to checkpoint_path; whoever reads them calls them checkpoint."""
    for path in ALL:
        source = path.read_text(encoding="utf-8")
        if "load_checkpoint(checkpoint" in source and path.stem != "03_training":
            assert "checkpoint" in parameters.defaults(path), path.stem
        assert ("checkpoint_path" in source) == (path.stem == "03_training"), path.stem


# ---------------------------------------------------------------------------- stops and pipes


@pytest.fixture
def tools(repository):
    """run_notebooks.py of a copy of tools/, which belongs to the empty repository; and the environment to run it."""
    shutil.copytree(
        Path(run_notebooks.__file__).parent, repository / "tools", ignore=shutil.ignore_patterns("__pycache__")
    )
    root = Path(run_notebooks.__file__).parents[1]
    return repository / "tools" / "run_notebooks.py", os.environ | {"PYTHONPATH": str(root)}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_is_one_sentence_and_leaves_no_kernel(name, tools, write):
    write("01_sleeps", "import time; print('in the cell', flush=True); time.sleep(300)")
    tool, environment = tools
    with subprocess.Popen([sys.executable, tool, "course"], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True) as process:  # fmt: skip
        kernels = wait_for(lambda: psutil.Process(process.pid).children(recursive=True), 120)
        wait_for(lambda: list(run_notebooks.BUILD.glob(".running-*/*.ipynb")), 60)
        time.sleep(2)
        os.killpg(process.pid, getattr(signal, name))  # as a terminal does
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert err.strip() == f"stopped by {'Ctrl-C' if name == 'SIGINT' else name}"
    assert len(out.splitlines()) <= 1
    assert not [kernel for kernel in kernels if kernel.is_running() and kernel.status() != psutil.STATUS_ZOMBIE]
    assert list(run_notebooks.BUILD.iterdir()) == []


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(psutil.Error):
            if found := condition():
                return found
        time.sleep(0.1)
    return pytest.fail("nothing came")


@pytest.mark.skipif(os.name != "posix", reason="a shell's redirections")
@pytest.mark.parametrize("redirection", ["2>&1 | true", "<&- >&- 2>&-"])
def test_where_nobody_reads_the_notebooks_run_and_the_files_are_written(redirection, tools, write, tmp_path):
    write("01_one", "print(1)")
    write("02_two", "print(2)")
    tool, environment = tools
    words = f"{sys.executable} {tool} course -p seed 1"
    subprocess.run(f"({words}; echo $? > {tmp_path}/code) {redirection}", shell=True, env=environment, timeout=120)
    assert (tmp_path / "code").read_text() == "0\n"
    assert {path.name for path in run_notebooks.BUILD.iterdir()} == {"01_one.ipynb", "02_two.ipynb", "runs.json"}


def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(tmp_path):
    with execution.running(tmp_path) as mine:
        name = mine.name.replace(str(os.getpid()), "{}")
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            dead = tmp_path / name.format(process.pid)
        other_machine = tmp_path / ".running-another.host-1-abc"
        for folder in (dead, other_machine):
            folder.mkdir()
            (folder / "half.ipynb").write_text("{")
        with execution.running(tmp_path) as second:
            assert {path.name for path in tmp_path.iterdir()} == {mine.name, second.name, other_machine.name}
    assert [path.name for path in tmp_path.iterdir()] == [other_machine.name]
