"""How long the engine is, how much of it refuses arguments, and how much one reads before changing something.

    python tools/measure_lines.py [FOLDER]      FOLDER holds a ddpm_lib; by default it is this repository

Each line is one of four things. blank: nothing is on it. documentation: it belongs to a docstring, or holds a comment
only. guard: its statement calls something of ddpm_lib.guards, or does nothing but raise ValueError or TypeError, with
the `if`, `for` or `try` around it. work: all the rest. What to read is counted with docstrings, comments and blanks.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ddpm_lib import console

REPOSITORY = Path(__file__).parent.parent
ENGINE = ["schedule.py", "unet.py", "ddpm.py", "sampling.py", "morph.py", "training/__init__.py"]
KINDS = ["blank", "documentation", "guard", "work"]
# What is changed: the file, the functions to read, and called functions that may be left out: to write
# a new sampler, you read one step function, not all.
TO_READ = {
    "sampler": ("sampling.py", ["sample_steps", "ddim_step"], ["ancestral_step", "dpmpp_2m_step", "_dpmpp_2m"]),
    "schedule": ("schedule.py", [f"NoiseSchedule.{name}" for name in ("__init__", "linear", "cosine", "levels")], []),
    "loss": ("ddpm.py", ["DDPM.loss", "DDPM.errors"], []),
}
# The targets of issue 13, with 40 lines more for what notebook 10 needs, and 40 for other classes, colours and sizes
# than MNIST's (issue 20). The guard share is guards / (guards + work).
TARGETS = {"lines": 880, "guard share": 0.125, "sampler": 90, "schedule": 50, "loss": 80}


def kinds_of_lines(source: str) -> list[str]:
    """One of KINDS for each line of a file."""
    tree, lines = ast.parse(source), [line.strip() for line in source.splitlines()]
    kinds = ["documentation" if line.startswith("#") else "work" if line else "blank" for line in lines]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            text = node.body[0]
            kinds[text.lineno - 1 : text.end_lineno] = ["documentation"] * (text.end_lineno - text.lineno + 1)
    names = _names_of_guards(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            for i in _guard_lines(node, names):
                kinds[i - 1] = "guard" if kinds[i - 1] == "work" else kinds[i - 1]
    return kinds


def _names_of_guards(tree: ast.Module) -> set[str]:
    """What this file calls ddpm_lib.guards, and what it has imported from there."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("ddpm_lib", "ddpm_lib.guards"):
            known = [alias for alias in node.names if node.module == "ddpm_lib.guards" or alias.name == "guards"]
            names |= {alias.asname or alias.name for alias in known}
    return names


def _guard_lines(node: ast.stmt, names: set[str]) -> Iterator[int]:
    if _only_refuses(node, names):
        yield from range(node.lineno, node.end_lineno + 1)
    elif isinstance(node, ast.Try) and node.handlers and all(_all_refuse(part.body, names) for part in node.handlers):
        yield node.lineno  # what is tried is work, the rest is a refusal
        yield from range(node.handlers[0].lineno, node.handlers[-1].end_lineno + 1)
    elif _asks(_head(node), names):
        yield from range(node.lineno, node.body[0].lineno if hasattr(node, "body") else node.end_lineno + 1)


def _only_refuses(node: ast.stmt, names: set[str]) -> bool:
    if isinstance(node, ast.Raise):
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return isinstance(error, ast.Name) and error.id in ("ValueError", "TypeError")
    if isinstance(node, ast.If | ast.For):
        return _all_refuse(node.body + node.orelse, names)
    return isinstance(node, ast.Expr) and _asks([node.value], names)


def _all_refuse(statements: list[ast.stmt], names: set[str]) -> bool:
    return all(_only_refuses(statement, names) for statement in statements)


def _head(node: ast.stmt) -> list[ast.AST]:
    """The parts of a statement without its inner statements; of a definition nothing, no decorator and no default."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return []
    parts = ast.iter_child_nodes(node)
    return [part for part in parts if not isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case)]


def _asks(nodes: list[ast.AST], names: set[str]) -> bool:
    calls = (part.func for node in nodes for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(_root(function) in names for function in calls)


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def lines_to_read(source: str, start: list[str], without: list[str] = ()) -> dict[str, int]:
    """Lines of each of these functions ("Class.method" for a method), and of all of the same file that they call."""
    definitions = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            definitions[node.name] = node
        if isinstance(node, ast.ClassDef):
            definitions |= {f"{node.name}.{part.name}": part for part in node.body if isinstance(part, ast.FunctionDef)}
    found, waiting = {}, [name for name in start if name in definitions]
    while waiting:
        name = waiting.pop(0)
        node = definitions[name]
        found[name] = node.end_lineno - min(part.lineno for part in [node, *node.decorator_list]) + 1
        for part in ast.walk(node):
            called = ast.unparse(part.func) if isinstance(part, ast.Call) else ""
            called = called.replace("self.", f"{name.partition('.')[0]}.")
            if called in definitions and called not in [*found, *waiting, *without]:
                waiting.append(called)
    return found


def measure(package: Path) -> tuple[dict[str, Counter], dict[str, dict[str, int]]]:
    """Kinds of lines of each file of the engine; and for each of TO_READ, the lines of what one has to read."""
    files = {name: Counter(kinds_of_lines((package / name).read_text(encoding="utf-8"))) for name in ENGINE}
    read = {
        change: lines_to_read((package / file).read_text(encoding="utf-8"), start, without)
        for change, (file, start, without) in TO_READ.items()
    }
    return files, read


def numbers(package: Path) -> dict[str, float]:
    """The numbers that have TARGETS."""
    files, read = measure(package)
    total = sum(files.values(), Counter())
    share = total["guard"] / (total["guard"] + total["work"])
    return {"lines": total.total(), "guard share": share} | {name: sum(lines.values()) for name, lines in read.items()}


@console.command
def main() -> None:
    """Print both tables."""
    package = (Path(sys.argv[1]).expanduser() if len(sys.argv) > 1 else REPOSITORY) / "ddpm_lib"
    files, read = measure(package)
    print(f"{'':<22}{'lines':>6}" + "".join(f"{kind:>15}" for kind in KINDS) + f"{'guards / (guards + work)':>28}")
    for name, kinds in [*files.items(), ("all", sum(files.values(), Counter()))]:
        share = kinds["guard"] / (kinds["guard"] + kinds["work"])
        print(f"{name:<22}{kinds.total():>6}" + "".join(f"{kinds[kind]:>15}" for kind in KINDS) + f"{share:>28.1%}")
    print("\nlines to read before changing")
    for change, lines in read.items():
        print(f"  {change:<10}{sum(lines.values()):>4}   " + ", ".join(f"{name} {n}" for name, n in lines.items()))
    print("\ntargets")
    for name, value in numbers(package).items():
        shown, most = (f"{x:.1%}" if isinstance(x, float) else f"{x}" for x in (value, TARGETS[name]))
        print(f"  {name:<12}{shown:>7} ≤ {most}{'' if value <= TARGETS[name] else '   missed'}")


if __name__ == "__main__":
    main()
