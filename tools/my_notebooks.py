"""The learner's own copies in my_notebooks/: without outputs, so that no answer is in sight, and ignored by git.

`make lab` makes those that aren't there, and never overwrites one. `make lab FRESH="03"` makes that one anew, and keeps
the old one beside it.
"""

import itertools
import re
from pathlib import Path

import nbformat

from ddpm_lib.files import write_atomically

# A link to a file of notebooks/ that is no notebook of the course: such as glossary.md or sweeps/w_sweep.ipynb.
ELSEWHERE = re.compile(r"\]\((?!https?:|#|\.\./|\d\d_[^/)]*\.ipynb)([^)\s]+)\)")


def make(notebooks: list[Path], fresh: list[Path], folder: Path) -> None:
    """Write the missing copies of notebooks into folder, which lies beside theirs, and new copies of those in fresh."""
    for path in notebooks:
        target = folder / path.name
        if target.exists():
            if path not in fresh:
                continue
            old = next(
                name
                for k in itertools.count(1)
                if not (name := folder / f"{path.stem}_old{'' if k == 1 else k}.ipynb").exists()
            )
            target.rename(old)
            print(f"your {path.name} is now {old.name}")
        notebook = without_outputs(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = ELSEWHERE.sub(rf"](../{path.parent.name}/\1)", cell.source)
        write_atomically(target, nbformat.writes(notebook).encode())


def without_outputs(path: Path) -> nbformat.NotebookNode:
    """The notebook as it is before anybody has run it."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook
