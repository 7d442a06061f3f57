"""The learner's own copies in my_notebooks/: without outputs, so that no answer is in sight, and ignored by git.

`make lab` makes those that aren't there, and never overwrites one. `make lab FRESH="03"` makes that one anew, and keeps
the old one beside it.
"""

import itertools
import re
import sys
from pathlib import Path

from ddpm_lib.files import write_atomically

import nbformat

# A link to a file of notebooks/ that is no notebook of the course: such as glossary.md or sweeps/w_sweep.ipynb.
ELSEWHERE = re.compile(r"\]\((?!https?:|#|\.\./|\d\d_[^/)]*\.ipynb)([^)\s]+)\)")


def make(notebooks: list[Path], fresh: list[Path], folder: Path) -> None:
    """Write the missing copies of notebooks into folder, which lies beside theirs, and new copies of those in fresh."""
    for path in notebooks:
        target = folder / path.name
        if target.exists() and path not in fresh:
            continue
        try:
            notebook = without_outputs(path)
        except Exception as error:  # whatever a damaged file does to a parser: the others are copied
            print(unreadable(path, error), file=sys.stderr)
            continue
        if target.exists():
            old = next(
                name
                for k in itertools.count(1)
                if not (name := folder / f"{path.stem}_old{'' if k == 1 else k}.ipynb").exists()
            )
            target.rename(old)
            print(f"your {path.name} is now {old.name}")
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


def unreadable(path: Path, error: Exception) -> str:
    """What to say of a file that is no notebook."""
    first = str(error).strip().partition("\n")[0][:200]
    return f"{path.name} is no notebook that can be read: {type(error).__name__}: {first}"


def refuse_unreadable(paths: list[Path]) -> None:
    """Exit, and name the first of these files that is no notebook."""
    for path in paths:
        try:
            nbformat.read(path, 4)
        except Exception as error:  # whatever a damaged file does to a parser
            sys.exit(unreadable(path, error))
