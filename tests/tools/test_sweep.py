"""tools/sweep.py and the notebooks in notebooks/sweeps/: a point is executed once, and is there whole or not at all."""

import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import papermill
import psutil
import pytest
import sweep
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig, save_checkpoint
from ddpm_lib.course.variants import VARIANTS

NOTEBOOKS = sorted(sweep.SWEEPS.glob("*.ipynb"))
ORIGIN = {"machine": "a machine", "date": "2026-11-24", "seconds": 2.0}


def row_for(grid, parameters, **changes):
    """A row as the notebook would write it, with made-up scores."""
    row = dict.fromkeys(sweep.COLUMNS[grid], 1.25)
    known = {key: value for key, value in parameters.items() if key in row}
    return row | {"w": None, "steps": None, "checkpoint": None, "commit": "abc"} | known | changes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Empty folders in the place of build/sweep/, of figures/ and of the data that ship with the course."""
    monkeypatch.setattr(sweep, "BUILD", tmp_path / "build" / "sweep")
    monkeypatch.setattr(sweep, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(sweep, "DATA", tmp_path / "data")
    return sweep.BUILD


@pytest.fixture
def executed(monkeypatch):
    """Points are executed at once, by this fake; the list holds the parameters of each."""
    calls = []

    def execute(notebook, output, parameters):
        calls.append(parameters)
        output.write_text("an executed notebook")
        result = {"rows": [row_for("w_sweep", parameters)], **ORIGIN}
        Path(parameters["out"]).write_text(json.dumps(result))

    monkeypatch.setattr(sweep, "run_cells", execute)
    return calls


@pytest.fixture
def grid():
    """Name → parameters of the default grid."""
    return sweep.points("w_sweep", False, {})


@pytest.fixture
def first(grid):
    """Name and parameters of one point."""
    return next(iter(grid.items()))


def files(folder):
    return {path.name for path in folder.iterdir()}


# ---------------------------------------------------------------------------- grids


def test_the_full_grid_is_the_one_that_the_course_shows():
    points = sweep.points("w_sweep", True, {}).values()
    ancestral = {(point["w"], point["seed"]) for point in points if point["sampler"] == "ancestral"}
    assert ancestral == set(itertools.product((-1, -0.5, 0, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8), (0, 1, 2)))
    assert {point["w"] for point in points if point["sampler"] == "ddim"} == {w for w, _ in ancestral}
    assert {point["seed"] for point in points if point["sampler"] == "real"} == {0, 1, 2}
    assert {(point["n"], point.get("steps", 10)) for point in points} == {(2000, 10)}


@pytest.mark.parametrize("grid", ["w_sweep", "what_mattered"])
@pytest.mark.parametrize("full", [False, True])
def test_names_need_no_quotes_and_no_two_points_share_one(grid, full):
    parameters = list({"w_sweep": sweep.w_sweep, "what_mattered": sweep.what_mattered}[grid](full))
    names = {sweep.point_name(grid, point) for point in parameters}
    assert len(names) == len(parameters)
    assert not [name for name in names if not re.fullmatch(r"[a-z][\w.=+-]+", name)]


def test_other_weights_are_another_point(grid, make_ddpm, tmp_path):
    mine = tmp_path / "mine.safetensors"
    save_checkpoint(mine, make_ddpm())
    changed = sweep.points("w_sweep", False, {"checkpoint": str(mine)})
    real = {name for name, point in grid.items() if point["sampler"] == "real"}
    assert grid.keys() & changed.keys() == set()
    assert len(real) == 2, "for real digits no weights are loaded"


def test_a_model_of_other_classes_is_not_scored_as_if_it_drew_digits(tmp_path):
    letters = DDPM(UNet(UNetConfig((4, 4, 4), 4, 10, classes=tuple("ABCDEFGHIJ"))), NoiseSchedule.cosine(20))
    save_checkpoint(tmp_path / "letters", letters)
    with pytest.raises(SystemExit, match=r"model must draw 0, 1.* got A, B.*make_reference"):
        sweep.points("w_sweep", False, {"checkpoint": str(tmp_path / "letters")})
    with pytest.raises(SystemExit, match="pictures must come with a checkpoint"):
        sweep.points("w_sweep", False, {"pictures": "letters"})
    with pytest.raises(SystemExit, match="pictures: there is no folder"):
        sweep.points("w_sweep", False, {"pictures": "no folder", "checkpoint": str(tmp_path / "letters")})


def test_the_shipped_student_has_its_own_points(grid):
    assert len(sweep.points("w_sweep", False, {"checkpoint": "student"}).keys() - grid.keys()) == len(grid)


def test_a_relative_checkpoint_is_found_from_the_kernels_folder_too(make_ddpm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint("mine.safetensors", make_ddpm())
    points = sweep.points("w_sweep", False, {"checkpoint": "mine.safetensors"})
    assert {point["checkpoint"] for point in points.values()} == {str(tmp_path / "mine.safetensors")}


@pytest.mark.parametrize(("changes", "word"), [({"nothing": 1}, "nothing")])
def test_an_unknown_parameter_is_refused(changes, word):
    with pytest.raises(SystemExit, match=word):
        sweep.points("w_sweep", False, changes)


def test_without_the_full_set_no_variant_is_trained_twice():
    def variants(source):
        points = sweep.points("what_mattered", False, {"data_source": source})
        return [point["variant"] for point in points.values()]

    assert set(variants("full")) - set(variants("embedded")) == {"5,000 digits"}


# ---------------------------------------------------------------------------- finished and interrupted points


def test_a_finished_point_is_skipped(folder, executed, first):
    sweep.run("w_sweep", *first)
    sweep.run("w_sweep", *first)
    assert len(executed) == 1
    assert files(folder) == {f"{first[0]}.ipynb", f"{first[0]}.json"}


def test_an_interrupt_leaves_nothing_and_the_next_run_finishes(folder, executed, first, monkeypatch):
    finish = sweep.run_cells

    def interrupted(notebook, output, parameters):
        output.write_text("half a notebook")
        Path(parameters["out"]).write_text('{"rows": [')
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run_cells", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.run("w_sweep", *first)
    assert files(folder) == set()
    monkeypatch.setattr(sweep, "run_cells", finish)
    sweep.run("w_sweep", *first)
    assert sweep.is_finished(first[0], sweep.COLUMNS["w_sweep"])


def test_a_process_that_is_killed_leaves_no_half_result(folder, executed, first):
    """SIGKILL while the rows are half written: no handler of ours runs."""
    name, parameters = first
    code = f"""
import sys, time
sys.path.insert(0, {str(sweep.REPOSITORY / "tools")!r})
from pathlib import Path
import sweep
def execute(notebook, output, parameters):
    output.write_text("half a notebook")
    Path(parameters["out"]).write_text('{{"rows": [')
    print("half", flush=True)
    time.sleep(60)
sweep.BUILD, sweep.run_cells = Path({str(folder)!r}), execute
sweep.run("w_sweep", {name!r}, {parameters!r})
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert not [path for path in files(folder) if not path.startswith(".running-")]
    assert not sweep.is_finished(name, sweep.COLUMNS["w_sweep"])
    sweep.run("w_sweep", name, parameters)
    assert sweep.is_finished(name, sweep.COLUMNS["w_sweep"])
    assert not [path for path in files(folder) if path.startswith(".")], "what the killed process left is gone, too"


def test_two_processes_at_the_same_point_dont_hurt_each_other(folder, executed, first, monkeypatch):
    """The second begins and ends while the first is in the middle; both had to execute, and both are whole."""
    finish, inside = sweep.run_cells, []

    def execute(notebook, output, parameters):
        output.write_text("half a notebook")
        if not inside:
            inside.append(True)
            sweep.run("w_sweep", *first)
            assert sweep.is_finished(first[0], sweep.COLUMNS["w_sweep"])
        finish(notebook, output, parameters)

    monkeypatch.setattr(sweep, "run_cells", execute)
    sweep.run("w_sweep", *first)
    assert len(executed) == 2
    assert files(folder) == {f"{first[0]}.ipynb", f"{first[0]}.json"}
    assert (folder / f"{first[0]}.ipynb").read_text() == "an executed notebook"


def damaged(path, kind):
    result = json.loads(path.read_text())
    if kind == "cut off":
        path.write_text(path.read_text()[:-20])
    elif kind == "a column is missing":
        del result["rows"][0]["tstr"]
        path.write_text(json.dumps(result))
    elif kind == "no rows":
        path.write_text(json.dumps(result | {"rows": []}))
    elif kind == "not an object":
        path.write_text("[1, 2]")
    elif kind == "empty":
        path.write_text("")


KINDS = ["cut off", "a column is missing", "no rows", "not an object", "empty"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_point_is_named_by_gather_and_executed_again_by_run(folder, executed, grid, kind):
    for name, parameters in grid.items():
        sweep.run("w_sweep", name, parameters)
    broken = list(grid)[3]
    damaged(folder / f"{broken}.json", kind)
    with pytest.raises(SystemExit, match=re.escape(broken)) as stopped:
        sweep.gather("w_sweep", list(grid), "a test", sweep.DATA)
    assert [name for name in grid if name in str(stopped.value)] == [broken]
    assert not sweep.FIGURES.exists(), "a part of the table would look like all of it"
    for name, parameters in grid.items():
        sweep.run("w_sweep", name, parameters)
    assert len(executed) == len(grid) + 1
    assert len(sweep.gather("w_sweep", list(grid), "a test", sweep.DATA)) == len(grid)


def test_a_missing_point_is_named(folder, executed, grid):
    for name, parameters in list(grid.items())[1:]:
        sweep.run("w_sweep", name, parameters)
    with pytest.raises(SystemExit, match=re.escape(next(iter(grid)))):
        sweep.gather("w_sweep", list(grid), "a test", sweep.DATA)


def test_a_notebook_that_fails_is_kept_to_look_at_and_the_others_go_on(folder, executed, grid, monkeypatch, capsys):
    finish = sweep.run_cells
    names = list(grid)[:3]

    def execute(notebook, output, parameters):
        if parameters["w"] == grid[names[1]]["w"]:
            output.write_text("a notebook with an error")
            raise papermill.PapermillExecutionError(0, 1, "", "ValueError", "no such thing", [])
        finish(notebook, output, parameters)

    monkeypatch.setattr(sweep, "run_cells", execute)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", "run", *names])
    with pytest.raises(SystemExit, match=rf"{re.escape(names[1])} .*no such thing"):
        sweep.main()
    assert [sweep.is_finished(name, sweep.COLUMNS["w_sweep"]) for name in names] == [True, False, True]
    assert (folder / f"{names[1]}.failed.ipynb").read_text() == "a notebook with an error"


def test_list_leaves_out_what_is_finished(folder, executed, grid, monkeypatch, capsys):
    done, *others = grid
    sweep.run("w_sweep", done, grid[done])
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", "list"])
    sweep.main()
    printed = capsys.readouterr()
    assert printed.out.splitlines() == others
    assert printed.err == f"1 of {len(grid)} points are finished\n"


def test_a_name_of_another_grid_is_refused(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", "run", "w=99"])
    with pytest.raises(SystemExit, match="w=99"):
        sweep.main()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n": "1"}, "w_sweep, parameters cell: n must be an integer ≥ 2 and ≤ 1,000,000, got 1"),
        ({"sampler": "euler"}, "sampler must be one of"),
        ({"checkpoint": "missing.safetensors"}, "checkpoint: there is no file"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_before_any_point(given, said):
    with pytest.raises(SystemExit, match=said):
        sweep.points("w_sweep", False, given)


def test_a_sweep_whose_notebook_is_damaged_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "w_sweep.ipynb").write_text('{"cells": [')
    monkeypatch.setattr(sweep, "SWEEPS", tmp_path)
    with pytest.raises(SystemExit, match=r"w_sweep.ipynb is no notebook that can be read"):
        sweep.points("w_sweep", False, {})


def run_main(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", *words])
    with pytest.raises(SystemExit) as stopped:
        sweep.main()
    return stopped.value.code


def test_a_list_that_is_empty_runs_nothing(folder, executed, grid, monkeypatch, capsys):
    """xargs and other engines then call `run` without a name, or with an empty one."""
    assert run_main(monkeypatch, "run") is None
    assert "nothing is run" in capsys.readouterr().err
    assert run_main(monkeypatch, "run", "") == "'' is no point of this grid; see w_sweep list"
    assert executed == []
    assert run_main(monkeypatch, "run", "all") is None
    assert len(executed) == len(grid)


def test_parts_are_the_same_whatever_is_finished_meanwhile(folder, executed, grid, monkeypatch, capsys):
    """The second machine looks when the first has finished some points: together they run each point once."""
    names = list(grid)

    def listed(part):
        monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", "list", "--part", part])
        sweep.main()
        return capsys.readouterr().out.splitlines()

    first = listed("1/2")
    for name in first[:3]:
        sweep.run("w_sweep", name, grid[name])
    capsys.readouterr()
    second = listed("2/2")
    assert sorted(first + second) == sorted(names)
    assert listed("1/2") == first[3:]
    assert run_main(monkeypatch, "run", "all", "--part", "2/2") is None
    assert [sweep.is_finished(name, sweep.COLUMNS["w_sweep"]) for name in second] == [True] * len(second)
    assert len(executed) == 3 + len(second)
    assert {name for part in range(1, 6) for name in sweep.part_of(names, f"{part}/5")} == set(names)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0", "2/-2"])
def test_a_part_that_is_none_is_refused(part, folder, executed, monkeypatch):
    assert run_main(monkeypatch, "run", "all", "--part", part).startswith("--part must be I/N")
    assert executed == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_of_the_whole_sweep_leaves_no_process_and_no_folder(name, tmp_path):
    """Two processes in the middle of a point each, with a kernel each; the next sweep starts from clean folders."""
    tools = tmp_path / "tools"
    shutil.copytree(Path(sweep.__file__).parent, tools, ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "notebooks" / "sweeps" / "w_sweep.ipynb"
    path.parent.mkdir(parents=True)
    stored = nbformat.read(sweep.SWEEPS / "w_sweep.ipynb", 4)
    [head] = [cell for cell in stored.cells if "parameters" in cell.metadata.get("tags", [])]
    nbformat.write(
        new_notebook(cells=[head, new_code_cell("import time; time.sleep(300)")], metadata=stored.metadata), path
    )
    left = tmp_path / "build" / "sweep"
    command = [sys.executable, tools / "sweep.py", "w_sweep", "run", "all", "--processes", "2"]
    environment = os.environ | {"PYTHONPATH": str(sweep.REPOSITORY)}
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:
        end, started = time.monotonic() + 120, []
        while len(started) < 4 and time.monotonic() < end:
            time.sleep(0.2)
            started = psutil.Process(process.pid).children(recursive=True)
        time.sleep(3)
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert len(started) >= 4, "two processes, two kernels"
    assert "Traceback" not in said
    assert not [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert list(left.iterdir()) == []


# ---------------------------------------------------------------------------- the table and the figure


def test_the_table_is_the_same_whatever_was_finished_first(folder, executed, grid):
    texts = []
    for order in (list(grid), list(reversed(grid))):
        for path in folder.glob("*") if folder.exists() else ():
            path.unlink()
        for name in order:
            sweep.run("w_sweep", name, grid[name])
        sweep.gather("w_sweep", order, "a test", sweep.DATA)
        texts.append((sweep.DATA / "w_sweep.csv").read_text())
    assert texts[0] == texts[1]
    rows = list(csv.DictReader(texts[0].splitlines()))
    assert list(rows[0]) == sweep.COLUMNS["w_sweep"]
    assert [row["sampler"] for row in rows[-2:]] == ["real", "real"]
    assert [row["w"] for row in rows[-2:]] == ["", ""]
    drawn = [(float(row["w"]), int(row["seed"])) for row in rows[:-2]]
    assert drawn == sorted(drawn)


def test_the_table_says_where_it_comes_from(folder, executed, grid):
    for name, parameters in grid.items():
        sweep.run("w_sweep", name, parameters)
    sweep.gather("w_sweep", list(grid), "tools/sweep.py w_sweep", sweep.DATA)
    said = json.loads((sweep.DATA / "w_sweep.json").read_text())
    assert said == {
        "command": "tools/sweep.py w_sweep",
        "points": len(grid),
        "commits": [sweep.commit()],
        "dates": ["2026-11-24"],
        "machines": ["a machine"],
        "seconds": 2 * len(grid),
    }
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?", sweep.commit())


def test_gather_sorts_variants_as_they_are_listed(folder):
    folder.mkdir(parents=True)
    points = sweep.points("what_mattered", True, {"data_source": "full"})
    for name, parameters in reversed(points.items()):
        rows = [row_for("what_mattered", parameters, w=w, data="full") for w in (1.0, 0.0)]
        rows = [{column: row[column] for column in sweep.COLUMNS["what_mattered"]} for row in rows]
        (folder / f"{name}.json").write_text(json.dumps({"rows": rows, **ORIGIN}))
    rows = sweep.gather("what_mattered", list(points), "a test", sweep.DATA)
    assert list(dict.fromkeys(row["variant"] for row in rows)) == list(VARIANTS)
    assert [(row["seed"], row["w"]) for row in rows[:4]] == [(0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)]


def test_named_points_are_added_to_the_table_that_is_there(folder, executed, grid, monkeypatch, capsys):
    *old, new = grid
    for name in grid:
        sweep.run("w_sweep", name, grid[name])
    sweep.gather("w_sweep", list(grid), "all of them", sweep.DATA)
    at_once = (sweep.DATA / "w_sweep.csv").read_bytes()
    sweep.gather("w_sweep", old, "the old ones", sweep.DATA)
    for name in old:
        (folder / f"{name}.json").unlink()
    (folder / f"{new}.json").write_text((folder / f"{new}.json").read_text().replace("2026-11-24", "2026-11-25"))
    monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", "gather", new])
    sweep.main()
    assert (sweep.DATA / "w_sweep.csv").read_bytes() == at_once
    said = json.loads((sweep.DATA / "w_sweep.json").read_text())
    assert said == {
        "command": f"the old ones; tools/sweep.py w_sweep gather {new}",
        "points": len(grid),
        "commits": [sweep.commit()],
        "dates": ["2026-11-24", "2026-11-25"],
        "machines": ["a machine"],
        "seconds": 2 * len(grid),
    }
    with pytest.raises(SystemExit, match="already"):
        sweep.main()
    assert (sweep.DATA / "w_sweep.csv").read_bytes() == at_once


def test_the_figure_has_a_curve_for_each_sampler_and_the_floors():
    def row(sampler, w, seed, fid):
        scores = {"fid": fid, "fid_low": fid - 0.3, "fid_high": fid + 0.1}
        scores |= {"inception_score": 9 + w / 10 if w is not None else 9.9}
        scores |= {f"inception_score_{end}": scores["inception_score"] for end in ("low", "high")}
        return {"sampler": sampler, "w": w, "seed": seed, "n": 1000} | scores

    rows = [
        row(sampler, w, seed, 0.2 + 0.1 * w**2 + 0.01 * seed)
        for sampler, seeds in (("ancestral", (0, 1)), ("ddim", (0,)))
        for seed in seeds
        for w in (-1, 0, 1, 8)
    ]
    figure = sweep.sweep_figure([*rows, row("real", None, 0, 0.15)])
    fid, score, curve = figure.axes
    lines = {line.get_label(): line for line in fid.lines}
    assert lines["ancestral"].get_xdata().tolist() == [-1, 0, 1, 8]
    assert lines["ancestral"].get_ydata() == pytest.approx([0.305, 0.205, 0.305, 6.605])
    assert [text.get_text() for text in fid.get_legend().get_texts()] == ["ancestral", "ddim"]
    for axes, floor in ((fid, 0.15), (score, 9.9)):
        assert any(list(line.get_ydata()) == [floor, floor] for line in axes.lines)
    assert [text.get_text() for text in curve.texts] == ["0", "1", "8", "real"]
    band = fid.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() > 0, "the axis is logarithmic"


# ---------------------------------------------------------------------------- the notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook(path):
    notebook, raw = nbformat.read(path, 4), path.read_text(encoding="utf-8")
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") == 1
    assert "nbval-check-output" in tags
    assert len(raw) < 1_000_000
    assert "papermill" not in raw.replace("with papermill", "")
    assert not re.search(r"/(home|root|work|Users|tmp)/\w", raw), "a path of a machine"
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is not None, cell.id
        else:
            for link in re.findall(r"\]\(((?!http|#)[^)#\s]+)", cell.source):
                assert (path.parent / link).exists(), link
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(len(picture.metadata["image/png"]["alt"]) > 40 for picture in pictures)


def test_an_unknown_variant_is_refused():
    path = sweep.SWEEPS / "what_mattered.ipynb"
    source = {cell.id: cell.source for cell in nbformat.read(path, 4).cells}["variant"]
    with pytest.raises(ValueError, match=r"variant.*recommended"):
        exec(source, {"variant": "v", "VARIANTS": VARIANTS})


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
def test_w_sweep_from_points_to_the_figure(folder, monkeypatch):
    monkeypatch.setattr(sweep, "WEIGHTS", (0, 3))
    changes = ["-p", "n", "60", "-p", "seed", "5", "-p", "data_source", "embedded"]

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", *words, *changes])
        sweep.main()

    with pytest.raises(SystemExit) as stopped:
        command("run", "all")
    assert not stopped.value.code
    command("gather")
    rows = list(csv.DictReader((sweep.DATA / "w_sweep.csv").read_text().splitlines()))
    assert [(row["w"], row["sampler"], row["n"], row["seed"]) for row in rows] == [
        ("0", "ancestral", "60", "5"), ("3", "ancestral", "60", "5"), ("", "real", "60", "5"),
    ]  # fmt: skip
    for row in rows:
        assert float(row["fid_low"]) <= float(row["fid"]) <= float(row["fid_high"])
        assert 0.1 < float(row["tstr"]) <= 1
        assert row["tstr_n"] == "500"
        assert row["commit"] == sweep.commit()
    assert float(rows[0]["agreement"]) > 0.8
    assert float(rows[1]["diversity"]) < float(rows[2]["diversity"])
    assert (sweep.FIGURES / "w_sweep.png").stat().st_size > 10_000


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
def test_w_sweep_of_ones_own_pictures(folder, tmp_path, monkeypatch):
    """Three classes of pictures in colours: a judge is trained for them, and the shipped table stays as it is."""
    chance = np.random.default_rng(0)
    for k, name in enumerate(("red", "green", "blue")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(24):
            pixels = chance.integers(0, 120, (20, 20, 3), dtype=np.uint8)
            pixels[5:15, 5:15, k] = 255
            Image.fromarray(pixels).save(tmp_path / "mine" / name / f"{i}.png")
    config = UNetConfig((4, 4, 4), 4, 3, channels=3, size=16, classes=("blue", "green", "red"))
    save_checkpoint(tmp_path / "mine.safetensors", DDPM(UNet(config), NoiseSchedule.cosine(20)))
    monkeypatch.setattr(sweep, "WEIGHTS", (0, 3))
    mine = {"checkpoint": tmp_path / "mine.safetensors", "pictures": tmp_path / "mine", "n": 30, "seed": 5}
    changes = [word for name, value in mine.items() for word in ("-p", name, str(value))]
    assert not run_main(monkeypatch, "run", "all", *changes)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "w_sweep", "gather", *changes])
    sweep.main()
    assert not sweep.DATA.exists()
    assert not sweep.FIGURES.exists()
    real = list(csv.DictReader((sweep.BUILD / "w_sweep.csv").read_text().splitlines()))[-1]
    assert float(real["agreement"]) == 1
    assert real["tstr_n"] == "36"
    said = json.loads((sweep.BUILD / "w_sweep.json").read_text())
    assert said["judges"] == [
        "a classifier of 3 classes (blue, green, red), tested on 36 held-out pictures, accuracy 1.0000"
    ]
    assert (sweep.BUILD / "w_sweep.png").stat().st_size > 10_000


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
def test_what_mattered_with_other_parameters(tmp_path):
    """Told neither t nor y, a network draws the same with and without guidance, and no digit that was asked for."""
    parameters = {"variant": "no embeddings", "seed": 1, "train_steps": 20, "n": 40, "out": str(tmp_path / "rows.json")}
    sweep.run_cells(sweep.SWEEPS / "what_mattered.ipynb", tmp_path / "executed.ipynb", parameters)
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [list(row) for row in rows] == [sweep.COLUMNS["what_mattered"]] * 2
    assert [row["w"] for row in rows] == [0, 1]
    assert rows[0]["fid"] == pytest.approx(rows[1]["fid"], rel=0.05)
    assert rows[0]["agreement"] < 0.5
    assert rows[0]["nearest_median"] > 0
