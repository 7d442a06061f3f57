"""The first code cell of each notebook, which installs the course on a hosted notebook: `python tools/hosted.py`.

Where `ddpm_lib` is installed, the cell does nothing. What it installs is the repository that [project.urls] in
pyproject.toml names; while that names none, the cell says what to do. A change of pyproject.toml needs a run of this
file, and a test says so. papermill and nbval skip the cell by its tags.
"""

import json
import tomllib
from pathlib import Path

from ddpm_lib import console
from ddpm_lib.files import write_atomically

REPOSITORY = Path(__file__).parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
HIDDEN = {"jupyter": {"source_hidden": True}, "tags": ["hosted", "nbval-skip", "skip-execution"]}
ASKS = """if not __import__("importlib.util").util.find_spec("ddpm_lib"):  # as on Colab
"""
INSTALLS = """    package = "ddpm_lib[hosted] @ {address}"
    get_ipython().run_line_magic("pip", f"install -q '{{package}}'")"""
REFUSES = """    missing = "ddpm_lib is not installed here, and no address to install it from is set"
    raise ModuleNotFoundError(f"{missing}: use `make lab`, or see docs/installing.md")"""


def address() -> str:
    """What pip installs: git+ and the repository of [project.urls], "" where that names none."""
    urls = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    return f"git+{urls['Repository']}" if "Repository" in urls else ""


def source(address: str) -> str:
    """The text of the cell."""
    return ASKS + (INSTALLS.format(address=address) if address else REFUSES)


def write(path: Path, address: str) -> None:
    """Give the notebook its cell: below the title, in the place of an older one."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = {"cell_type": "code", "execution_count": None, "id": "hosted", "metadata": HIDDEN, "outputs": []}
    cell["source"] = source(address).splitlines(keepends=True)
    cells = [other for other in notebook["cells"] if other["id"] != "hosted"]
    notebook["cells"] = [cells[0], cell, *cells[1:]]
    write_atomically(path, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())


@console.command
def main() -> None:
    for path in NOTEBOOKS:
        write(path, address())
    print(f"{len(NOTEBOOKS)} notebooks install {address() or 'nothing: pyproject.toml names no repository'}")


if __name__ == "__main__":
    main()
