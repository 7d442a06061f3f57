"""The notebooks as stored, their exercises, and their execution with other parameters.

nbval executes them as stored (`make test-nbval`); what is here looks at the files and runs papermill.
"""

import ast
import re
from pathlib import Path

import nbformat
import papermill
import parameters
import pytest
import run_notebooks
import torch
import torch.nn.functional as F

from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig, load_checkpoint, save_checkpoint
from ddpm_lib.course import checks, tables

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, 4)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def text_of(cell):
    return "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])
    )


def every_exercise():
    """(imports, stub's source, solution, check's source) of each exercise, in the order that the reader meets them."""
    for path in NOTEBOOKS:
        notebook = read(path)
        code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
        imports = "\n".join(
            ast.unparse(line) for line in ast.parse(code).body if isinstance(line, ast.Import | ast.ImportFrom)
        )
        for stub, solution, check in run_notebooks.exercises(notebook):
            yield pytest.param(imports, stub.source, solution, check.source, id=stub.id)


@pytest.mark.parametrize(("imports", "stub", "solution", "check"), list(every_exercise()))
def test_exercise(imports, stub, solution, check):
    def verdict(source):
        names = {"torch": torch, "F": F, "checks": checks}
        exec(imports, names)
        exec(source, names)
        return eval(check, names).status

    torch.manual_seed(0)
    assert verdict(stub) == "not attempted"
    assert verdict(solution) == "passed"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook(path):
    notebook, raw = read(path), path.read_text(encoding="utf-8")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")

    assert len(raw) < 1_000_000
    assert len(tagged(notebook, "parameters")) == 1
    assert tagged(notebook, "nbval-check-output"), "nbval compares nothing"
    assert "widgets" not in notebook.metadata
    assert "widget-view" not in raw
    assert not [part for part in [notebook, *notebook.cells] if "papermill" in part.metadata]
    assert not re.search(r"/(home|root|work|Users|tmp)/\w", raw), "a path of a machine"
    for cell in code:
        assert cell.execution_count is not None, f"{cell.id} was never executed"
        for output in cell.outputs:
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", cell.id

    for heading in ("## Recap", "## References", "What can go wrong"):
        assert heading in markdown
    recap = markdown.split("## Recap")[1]
    assert len(re.findall(r"(?m)^\*\*[123]\.\*\*", recap)) == 3, "three questions"
    for word in ("simply", "obviously"):
        assert not re.search(rf"\b{word}\b", markdown, flags=re.IGNORECASE), word


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_has_alt_text(path):
    pictures = [
        (kind, output)
        for cell in read(path).cells
        for output in cell.get("outputs", [])
        for kind in ("image/png", "image/gif")
        if kind in output.get("data", {})
    ]
    assert "image/png" in [kind for kind, _ in pictures], "an animation alone doesn't show everywhere"
    for kind, output in pictures:
        alt = output.metadata[kind]["alt"]
        assert len(alt) > 40
        assert output.data["text/plain"] == alt, "a terminal shows the same words"


def test_solved_copies_have_every_solution_in_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(run_notebooks, "SOLVED", tmp_path / "build" / "solved")
    run_notebooks.solved([])
    copies = sorted((tmp_path / "build" / "solved").iterdir())
    assert [copy.name for copy in copies] == [path.name for path in NOTEBOOKS]
    for path, copy in zip(NOTEBOOKS, copies, strict=True):
        stored = read(path)
        for stub, solution, check in run_notebooks.exercises(stored):
            stub.source = solution.rstrip()
            check.outputs, check.execution_count = [], None
        assert read(copy) == stored
        assert not [cell for cell in tagged(read(copy), "exercise") if re.search(r"return None$", cell.source)]


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A measured table of two notebooks in the place of the shipped one."""
    monkeypatch.setattr(tables, "MEASURED", tmp_path / "measured.json")
    rows = {"01_a": tables.Measured("One", 10, 0.0, 300), "02_b": tables.Measured("Two", 10, 0.0, 400)}
    tables.write_measured(700, rows)
    return rows


@pytest.mark.parametrize("speed", [None, 812.3])
def test_a_run_changes_its_row_of_the_measured_table_and_of_the_readmes(speed, tmp_path, monkeypatch, measured):
    start, end = run_notebooks.TABLE_START, run_notebooks.TABLE_END
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{start}an older table{end}after\n", encoding="utf-8")
    monkeypatch.setattr(run_notebooks, "README", readme)
    run = run_notebooks.Run("02_b", "Two", 8.4, 500 * 2**20, 1, fixed_seconds=3.0)
    failed = run_notebooks.Run("01_a", "One", 99, 99 * 2**20, 1, error="it failed")
    run_notebooks.write_measured([run, failed], speed)
    images_per_s = 812 if speed else 700
    assert tables.read_measured() == (images_per_s, measured | {"02_b": tables.Measured("Two", 8, 3.0, 500)})
    yardstick = f"On a machine that trains {images_per_s} images per second, as notebook 00 measures it:\n\n"
    head = "| notebook | what it is about | minutes for you | seconds for it | peak MiB |\n|---|---|---:|---:|---:|\n"
    rows = "| [`01_a`](notebooks/01_a.ipynb) | One |  | 10 | 300 |\n"
    rows += "| [`02_b`](notebooks/02_b.ipynb) | Two |  | 8 | 500 |\n"
    assert readme.read_text(encoding="utf-8") == f"before\n{start}{yardstick}{head}{rows}{end}after\n"


def test_the_readme_shows_the_measured_table():
    text = run_notebooks.README.read_text(encoding="utf-8")
    assert f"{run_notebooks.TABLE_START}{run_notebooks.readme_table()}{run_notebooks.TABLE_END}" in text
    _, rows = tables.read_measured()
    assert list(rows) == [path.stem for path in NOTEBOOKS]
    assert {path.stem: rows[path.stem].fixed_seconds for path in NOTEBOOKS} == {
        path.stem: run_notebooks.fixed_seconds(path) for path in NOTEBOOKS
    }


@pytest.mark.parametrize(("speed", "slow"), [(700.0, ["02_b"]), (350.0, []), (7000.0, ["02_b"])])
def test_a_notebook_that_became_half_as_slow_again_is_warned_of_scaled_to_the_machine(speed, slow, measured):
    runs = [run_notebooks.Run(name, "", seconds, 1, 1) for name, seconds in (("01_a", 14), ("02_b", 16), ("03_c", 99))]
    assert [warning.split()[0] for warning in run_notebooks.slower_than_measured(runs, speed)] == slow


def test_fixed_seconds_are_the_same_on_every_machine():
    row = tables.Measured("Training", 85, 60.0, 1000)
    assert [row.seconds_at(slower) for slower in (0.5, 1, 2)] == [72.5, 85, 110]


def test_a_notebook_that_takes_more_than_3_gb_has_failed():
    at_most, more = (run_notebooks.Run("01_a", "", 1, size, 1) for size in (3 * 2**30, 3 * 2**30 + 1))
    assert run_notebooks.within_ceiling(at_most) is at_most
    assert "3072 MiB" not in run_notebooks.within_ceiling(at_most).error
    assert "more than the 3072" in run_notebooks.within_ceiling(more).error


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_inside_the_repository_resolve(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(((?!http|#)[^)#\s]+)", cell.source):
                assert (path.parent / link).exists(), f"{cell.id}: {link}"


# Other parameters than the stored ones; a cell whose text must change with them, and what must stand there then. A
# notebook that takes a checkpoint gets `unusual`, with which every number changes: so the parameters must be seen, too.
OTHER_PARAMETERS = {
    "00_welcome": ({"labels": [3, 1, 4], "w": 3.0, "seed": 1}, "digits-shape", "3, 1, 28, 28"),
    "01_forward_process": ({"T": 200, "seed": 1}, None, ""),
    "02_unet": ({"widths": [8, 16, 24], "seed": 1}, None, ""),
    "03_training": ({"budget_seconds": 6, "budget_eps_seconds": 4, "widths": [8, 16, 24], "seed": 1}, None, ""),
    "04_guided_sampling": (
        {"weights": [0, 3], "grid_steps": 8, "seed": 1, "samples_per_weight": 50},
        "measure",
        r"\A.+\n +0 .+\n +3 .+\n\Z",
    ),
    "05_guidance_lab": (
        {"weights": [0, 3], "digit": 7, "steps": 8, "seed": 1, "target": 0.8, "w_acts": 2.0},
        "twin-numbers",
        r"\A.+\nw = +0 .+\nw = +3 .+\n\Z",
    ),
    "06_morphing": (
        {"pair": [4, 9], "animated_seeds": [1], "frames_per_change": 2, "hold": 1, "noises": 4, "denoise_steps": 5},
        "read",
        r"p\(4\) .*p\(9\) ",
    ),
    "07_fast_sampling": (
        {"samples": 50, "step_counts": [2, 4], "w_measured": 1.0, "w_interval": 2.0, "seed": 1},
        "measure-table",
        r"\A.+\n +2 .+\n +4 .+\n50 real digits",
    ),
    "08_measuring_guidance": (
        {"pool_samples": 200, "live_weights": [-1, 3], "live_samples": 50, "live_seeds": 2, "seed": 1},
        "live-run",
        r"\Aw = -1 .+\nw = 3 .+\n\Z",
    ),
    "09_museum_of_bugs": ({"samples": 40, "steps": 8, "batches": 100, "seed": 1}, "snow-line", ""),
    "10_one_model_many_names": (
        {"budget_seconds": 3, "budget_flow_seconds": 3, "batch_size": 16, "samples": 50, "seed": 1},
        "backwards-line",
        "",
    ),
    "11_one_step": ({"budget_seconds": 4, "batch_size": 8, "samples": 50, "w": 0.5, "seed": 1}, "test-target", ""),
    "12_your_own_pictures": (
        {
            "letters_per_class": 40,
            "held_out_font": "cmtt10",
            "budget_seconds": 4,
            "judge_seconds": 4,
            "folder_seconds": 2,
            "weights": [0, 3],
            "samples": 52,
            "name": "NO",
            "seed": 1,
        },
        "score-table",
        r"\A.+\nw = 0 .+\nw = 3 .+\n52 real letters",
    ),
}


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    """The path of a checkpoint with other widths and another T than the shipped weights have; it never learned."""
    path = tmp_path_factory.mktemp("unusual") / "ddpm.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(path, DDPM(UNet(UNetConfig((8, 8, 8))), NoiseSchedule.cosine(100), "v"))
    return str(path)


@pytest.mark.notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")
def test_a_solved_copy_runs_with_other_parameters_and_uses_the_answers(path, tmp_path, monkeypatch, unusual):
    given, changed, seen = OTHER_PARAMETERS[path.stem]
    if "checkpoint" in parameters.defaults(path):
        given = given | {"checkpoint": unusual}
    checkpoint = tmp_path / "folder that nobody made" / "ddpm.safetensors"
    if path.stem == "03_training":
        given = given | {"checkpoint_path": str(checkpoint)}
    if path.stem == "06_morphing":
        given = given | {"figures_dir": str(checkpoint.parent)}
    monkeypatch.setattr(run_notebooks, "SOLVED", tmp_path / "solved")
    run_notebooks.solved([path.name])
    executed = papermill.execute_notebook(
        tmp_path / "solved" / path.name,
        tmp_path / path.name,
        given,
        cwd=path.parent,
        progress_bar=False,
        execution_timeout=300,
    )
    for _, _, check in run_notebooks.exercises(executed):
        assert text_of(check).startswith("✓ passed"), check.source
    uses = [cell for cell in executed.cells if cell.cell_type == "code" and re.search(r"\buse\(", cell.source)]
    assert uses or path.stem == "00_welcome"
    for cell in uses:
        assert ": yours\n" in text_of(cell), cell.id
        assert "until yours has passed" not in text_of(cell), cell.id
    assert not [cell.id for cell in executed.cells if "from now on, the library's" in text_of(cell)], (
        "an answer crashed"
    )

    stored = {cell.id: text_of(cell) for cell in read(path).cells}
    different = {cell.id for cell in executed.cells if cell.id in stored and text_of(cell) != stored[cell.id]}
    if changed:
        assert changed in different
        assert re.search(seen, next(text_of(cell) for cell in executed.cells if cell.id == changed))
    else:
        deterministic = {cell.id for cell in tagged(read(path), "nbval-check-output")}
        assert different & deterministic or path.stem == "03_training"
    if path.stem == "03_training":
        assert load_checkpoint(checkpoint).unet.config.widths == (8, 16, 24)
    if path.stem == "06_morphing":
        assert {file.name for file in checkpoint.parent.iterdir()} == {
            "denoise.gif", "morph_dark.gif", "morph_light.gif",
        }  # fmt: skip
