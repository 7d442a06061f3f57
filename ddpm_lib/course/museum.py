"""The museum of bugs: it finds the line of a bug in ddpm_lib, and gives the file with this line exchanged.

Notebooks 09 to 11 show the bugs of data/museum.toml, and their test plants each of them into a copy of the package.
Lines are compared as syntax trees: indentation, line breaks, quotes, comments and the file of a line don't matter.
"""

import ast
import difflib
import functools
import textwrap
import tomllib
from dataclasses import dataclass
from importlib.abc import InspectLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parent.parent
LISTED = tomllib.loads((Path(__file__).parent / "data" / "museum.toml").read_text(encoding="utf-8"))["bug"]


@dataclass(frozen=True)
class Bug:
    """A bug that was published, and where it would stand in ddpm_lib.

    notebook: the number of the notebook that has its room.
    old, new: the lines of ddpm_lib, and what the bug makes of them. tests: the names of the tests that catch it.
    shipped: where it was published. file: the path in ddpm_lib, such as "sampling.py". source: that file with the bug.
    """

    name: str
    notebook: str
    old: str
    new: str
    tests: list[str]
    shipped: str
    file: str
    source: str


@functools.cache
def bugs() -> dict[str, Bug]:
    """All bugs by their names, in the order of the list. Raises LookupError as `find` does."""
    return {entry["name"]: find(**entry) for entry in LISTED}


def find(
    name: str,
    notebook: str,
    old: str,
    new: str,
    tests: list[str],
    shipped: str,
    sources: dict[str, str] | None = None,
) -> Bug:
    """The bug of one entry of the list, with its place in ddpm_lib (but not in course/).

    sources: dict from file name to text, to search instead. Raises LookupError that says what is nearest, unless the
    statements `old` stand there exactly once.
    """
    sources = _package() if sources is None else sources
    wanted = [ast.unparse(statement) for statement in ast.parse(textwrap.dedent(old)).body]
    n, found = len(wanted), []
    for file, source in sources.items():
        for statements, texts in _blocks(source):
            places = (i for i in range(len(texts) - n + 1) if texts[i : i + n] == wanted)
            found += [(file, statements[i], statements[i + n - 1]) for i in places]
    if len(found) != 1:
        raise LookupError(_explained(name, "\n".join(wanted), found, sources))
    file, first, last = found[0]
    lines = sources[file].splitlines()
    there = slice(first.lineno - 1, last.end_lineno)
    old, new = textwrap.dedent("\n".join(lines[there])), textwrap.dedent(new.strip("\n"))
    lines[there] = textwrap.indent(new, " " * first.col_offset).splitlines()
    return Bug(name, notebook, old, new, tests, shipped, file, "\n".join(lines) + "\n")


@functools.cache
def planted(name: str) -> ModuleType:
    """A module of ddpm_lib with the bug of this name in it. ddpm_lib itself stays as it is."""
    bug = bugs()[name]
    loader = _Planted(bug.source)
    module = module_from_spec(spec_from_loader(name, loader, origin=str(PACKAGE / bug.file)))
    loader.exec_module(module)
    return module


class _Planted(InspectLoader):
    """Makes a module of a text."""

    def __init__(self, source: str):
        self.source = source

    def get_source(self, fullname: str) -> str:
        return self.source


def suspect(name: str) -> None:
    """Print the lines as the bug has them, and where they stand."""
    bug = bugs()[name]
    lines = [line for line in difflib.ndiff(bug.old.splitlines(), bug.new.splitlines()) if line[0] in " +"]
    print(f"ddpm_lib/{bug.file}, with the bug", *(line[2:] for line in lines), sep="\n")


def reveal(name: str) -> None:
    """Print the lines, right (-) and with the bug (+), and the test that catches it."""
    bug = bugs()[name]
    changed = difflib.ndiff(bug.old.splitlines(), bug.new.splitlines())
    print(f"ddpm_lib/{bug.file}", *(line for line in changed if line[0] != "?"), sep="\n")
    print("caught by", *bug.tests, end="\n\n")


@functools.cache
def _package() -> dict[str, str]:
    paths = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]
    return {
        path.as_posix(): (PACKAGE / path).read_text(encoding="utf-8") for path in paths if path.parts[0] != "course"
    }


@functools.cache
def _blocks(source: str) -> list[tuple[list[ast.stmt], list[str]]]:
    """Every list of statements (the bodies of functions, loops, conditions, …), and each statement as plain text."""
    blocks = []
    for node in ast.walk(ast.parse(source)):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):  # the body of a lambda is no list
                blocks.append((block, [ast.unparse(statement) for statement in block]))
    return blocks


def _explained(name: str, wanted: str, found: list[tuple], sources: dict[str, str]) -> str:
    if found:
        places = ", ".join(f"{file} line {first.lineno}" for file, first, _ in found)
        return f"{name!r}: this stands in ddpm_lib {len(found)} times, not once ({places}):\n{wanted}"
    known = {
        text: f"{file} line {statement.lineno}"
        for file, source in sources.items()
        for block in _blocks(source)
        for statement, text in zip(*block, strict=True)
    }
    (nearest,) = difflib.get_close_matches(wanted, known, n=1, cutoff=0)
    return f"{name!r}: this stands nowhere in ddpm_lib:\n{wanted}\nthe nearest is {known[nearest]}:\n{nearest}"
