"""The learner's own copies: made once, never overwritten, and every link in them leads somewhere."""

import re

import my_notebooks
import nbformat
import pytest
import run_notebooks

NOTEBOOKS = run_notebooks.find_notebooks([])


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A repository whose folder notebooks/ is the real one, and an empty my_notebooks/ beside it."""
    (tmp_path / "notebooks").symlink_to(run_notebooks.NOTEBOOKS)
    for name in ("README.md", "tests", "ddpm_lib", "docs"):
        (tmp_path / name).symlink_to(run_notebooks.REPOSITORY / name)
    monkeypatch.setattr(run_notebooks, "MINE", tmp_path / "my_notebooks")
    return tmp_path / "my_notebooks"


def test_copies_show_no_output_and_their_links_lead_somewhere(mine):
    my_notebooks.make(NOTEBOOKS, [], mine)
    assert sorted(path.name for path in mine.iterdir()) == [path.name for path in NOTEBOOKS]
    for path in NOTEBOOKS:
        stored, copy = nbformat.read(path, 4), nbformat.read(mine / path.name, 4)
        assert [cell.id for cell in copy.cells] == [cell.id for cell in stored.cells]
        for before, cell in zip(stored.cells, copy.cells, strict=True):
            if cell.cell_type == "code":
                assert (cell.source, cell.outputs, cell.execution_count) == (before.source, [], None)
            for link in re.findall(r"\]\(((?!http|#)[^)#\s]+)", cell.source):
                assert (mine / link).exists(), link


def test_work_is_never_overwritten(mine, capsys):
    my_notebooks.make(NOTEBOOKS, [], mine)
    for name in ("00_welcome.ipynb", "03_training.ipynb"):
        (mine / name).write_text("my work")
    my_notebooks.make(NOTEBOOKS, [], mine)
    assert (mine / "03_training.ipynb").read_text() == "my work"
    for old in ("03_training_old.ipynb", "03_training_old2.ipynb"):
        (mine / "03_training.ipynb").write_text(f"my work before {old}")
        my_notebooks.make(NOTEBOOKS, run_notebooks.find_notebooks(["03"]), mine)
        assert (mine / old).read_text() == f"my work before {old}"
        assert f"your 03_training.ipynb is now {old}" in capsys.readouterr().out
    assert nbformat.read(mine / "03_training.ipynb", 4).cells
    assert (mine / "00_welcome.ipynb").read_text() == "my work"


def test_a_deleted_copy_comes_again(mine):
    my_notebooks.make(NOTEBOOKS, [], mine)
    (mine / "02_unet.ipynb").unlink()
    my_notebooks.make(NOTEBOOKS, [], mine)
    assert (mine / "02_unet.ipynb").exists()


def test_a_damaged_notebook_is_named_and_the_others_are_copied(tmp_path, capsys):
    folder = tmp_path / "course"
    folder.mkdir()
    good = folder / "02_good.ipynb"
    good.write_bytes(run_notebooks.find_notebooks(["00"])[0].read_bytes())
    damaged = folder / "01_damaged.ipynb"
    damaged.write_text("<html>")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / damaged.name).write_text("my work")
    my_notebooks.make([damaged, good], [damaged, good], mine)
    assert "01_damaged.ipynb is no notebook that can be read: NotJSONError" in capsys.readouterr().err
    assert {path.name for path in mine.iterdir()} == {"01_damaged.ipynb", "02_good.ipynb"}
    assert (mine / damaged.name).read_text() == "my work"
