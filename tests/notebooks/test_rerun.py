"""A learner runs cells again, in any order: no cell may find another meaning under a name that it reads."""

import ast
import symtable

import nbformat
import pytest
from test_notebooks import NOTEBOOKS


def names_of(source):
    """(names that a cell reads before it binds them, names that it binds), at the level of the notebook."""
    found = Names()
    found.visit(ast.parse(source))
    return found.reads, found.binds


class Names(ast.NodeVisitor):
    def __init__(self):
        self.reads, self.binds = set(), set()

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            self.reads |= {node.id} - self.binds
        else:
            self.binds.add(node.id)

    def visit_Assign(self, node):
        for part in (node.value, *node.targets):  # the value first
            self.visit(part)

    def visit_AugAssign(self, node):
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self.reads |= {node.target.id} - self.binds
        self.visit(node.target)

    def visit_For(self, node):
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_Import(self, node):
        self.binds |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}

    visit_ImportFrom = visit_Import

    def visit_own_scope(self, node):
        """A function, class, lambda or comprehension: what it takes from the notebook."""
        name = getattr(node, "name", None)
        tables = symtable.symtable(ast.unparse(node), "cell", "exec").get_children()
        for default in (*getattr(node, "decorator_list", ()), *getattr(node, "bases", ())):
            self.visit(default)
        for default in getattr(getattr(node, "args", None), "defaults", ()):
            self.visit(default)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            self.visit(node.generators[0].iter)
        while tables:
            table = tables.pop()
            tables += table.get_children()
            taken = {
                symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()
            }
            self.reads |= taken - self.binds - {name}
        if name:
            self.binds.add(name)

    visit_FunctionDef = visit_ClassDef = visit_Lambda = visit_own_scope
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_own_scope


def bound_again(cells):
    """(cell, name, later cell) for each name that a cell reads and a later one binds anew. cells: (id, source)."""
    found = [(name, *names_of(source)) for name, source in cells]
    return [
        (cell, name, later)
        for i, (cell, reads, _) in enumerate(found)
        for later, _, binds in found[i + 1 :]
        for name in sorted(reads & binds)
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_reads_a_name_that_a_later_cell_binds_anew(path):
    """Else the cell fails, or shows something else, when it is run again after that later cell."""
    cells = [(cell.id, cell.source) for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert bound_again(cells) == []


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [
        ("print(x)", "x = 1", True),
        ("x = 2\nprint(x)", "x = 1", False),
        ("x += 1", "x = 1", True),
        ("def f():\n    return x", "for x in range(3):\n    pass", True),
        ("def f(x):\n    return x", "x = 1", False),
        ("[x for x in y]", "x = 1", False),
        ("[x for x in y]", "y, x = [1], 2", True),
        ("[[x * y for x in (1, 2)] for y in (3, 4)]", "x = y = 1", False),
        ("[[x * y for x in z] for y in (3, 4)]", "z = 1", True),
        ("a = lambda n: n + x", "with open(a) as x:\n    pass", True),
        ("def f(n=x):\n    return n", "import y as x", True),
        ("for x in (1, 2):\n    print(x)", "for x in (3, 4):\n    print(x)", False),
    ],
)
def test_what_counts_as_bound_again(first, second, again):
    assert bool(bound_again([("first", first), ("second", second)])) == again
