"""The first cell of each notebook, which installs the course on a hosted notebook, and the other places to run it."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys

import hosted
import nbformat
import pytest
from nbclient import NotebookClient
from nbval.plugin import find_metadata_tags
from packaging.requirements import Requirement

ROOT = hosted.REPOSITORY
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
ADDRESS = "https://github.com/own/na.me"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_has_its_cell_below_the_title(path):
    text = path.read_text(encoding="utf-8")
    address = hosted.project_urls().get("Repository", "").rstrip("/")
    assert text == hosted.with_cell(text, address and f"git+{address}"), "call python tools/hosted.py"
    cell = nbformat.reads(text, 4).cells[1]
    assert cell.id == "hosted"
    assert cell.metadata.jupyter.source_hidden
    assert len(cell.source.splitlines()) <= 3


def test_papermill_and_nbval_skip_the_cell():
    cell = nbformat.read(NOTEBOOKS[0], 4).cells[1]
    assert NotebookClient.skip_cells_with_tag.default_value in cell.metadata.tags
    assert ("skip", True) in find_metadata_tags(cell.metadata)


def lines_of_pip(address):
    """What the cell hands to %pip."""
    lines = []
    shell = type("", (), {"run_line_magic": lambda self, magic, line: lines.append((magic, line))})()
    exec(hosted.source(address), {"get_ipython": lambda: shell})
    return lines


@pytest.mark.parametrize("address", ["", f"git+{ADDRESS}"])
def test_where_the_course_is_the_cell_does_nothing(address):
    assert lines_of_pip(address) == []


def test_elsewhere_the_cell_installs_it_or_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    [(magic, line)] = lines_of_pip(f"git+{ADDRESS}")
    command, *options, package = shlex.split(line)
    assert (magic, command, options) == ("pip", "install", ["-q"])
    asked = Requirement(package)
    assert (asked.name, asked.extras, asked.url) == ("ddpm_lib", {"hosted"}, f"git+{ADDRESS}")
    with pytest.raises(ModuleNotFoundError, match=r"not installed here.*`make lab`.*docs/installing\.md$"):
        lines_of_pip("")


@pytest.fixture
def small_course(tmp_path):
    """call(repository): tools/hosted.py in a course of one notebook, whose owner set this address."""
    for name in ("tools/hosted.py", "notebooks/01_forward_process.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "README.md").write_text(f"# Course\n\n{hosted.MARK}\n\nText.\n")

    def call(repository):
        urls = f"[project.urls]\nRepository = '{repository}'\n" if repository else ""
        (tmp_path / "pyproject.toml").write_text(f"[project]\nname = 'a'\n{urls}")
        return subprocess.run([sys.executable, tmp_path / "tools" / "hosted.py"], capture_output=True, text=True)

    return call


def test_an_address_reaches_notebooks_and_readme_and_leaves_them_again(small_course, tmp_path):
    files = [tmp_path / "README.md", tmp_path / "notebooks" / "01_forward_process.ipynb"]
    before = [file.read_bytes() for file in files]
    assert small_course(f"{ADDRESS}/").returncode == 0
    readme, notebook = (file.read_text(encoding="utf-8") for file in files)
    assert f'[hosted] @ git+{ADDRESS}"' in nbformat.reads(notebook, 4).cells[1].source
    links = re.findall(r"\[!\[Open in (\w+)\]\(https://[^)]+\)\]\((https://[^)]+)\)", readme)
    assert dict(links) == {
        "Colab": "https://colab.research.google.com/github/own/na.me/blob/main/notebooks/00_welcome.ipynb",
        "Binder": "https://mybinder.org/v2/gh/own/na.me/HEAD?labpath=notebooks/00_welcome.ipynb",
    }
    assert small_course("https://gitlab.com/own/name").returncode == 0
    assert files[0].read_bytes() == before[0], "neither Colab nor Binder's short address knows it"
    assert small_course("").returncode == 0
    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("address", ["git@github.com:own/name", "own/name", "https://a.b/c d", 'https://a.b/"'])
def test_an_address_that_pip_can_not_take_is_one_sentence(address, small_course):
    found = small_course(address)
    assert found.returncode == 1
    assert re.fullmatch(r"Repository in .* such as https://github\.com/OWNER/NAME, got .*\n", found.stderr)


def test_containers_use_what_is_there():
    targets = set(re.findall(r"(?m)^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    devcontainer = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert len(dockerfile.splitlines()) <= 15
    for text in (dockerfile, devcontainer["onCreateCommand"]):
        [target] = re.findall(r"\bmake (\S+) TORCH=cpu", text)
        assert target in targets
        assert "tools/run_notebooks.py mine" in text
    assert {".venv", "build"} <= set((ROOT / ".dockerignore").read_text().split()), "another machine's packages"
