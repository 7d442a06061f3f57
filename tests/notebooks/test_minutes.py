"""The minutes that the notebooks promise, held to the rule."""

import minutes
import nbformat
import pytest
import run_notebooks

from ddpm_lib.course import tables

NOTEBOOKS = run_notebooks.find_notebooks([])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_the_minutes_that_its_head_promises(path):
    notebook = nbformat.read(path, 4)
    _, measured = tables.read_measured()
    by_rule = sum(minutes.parts(notebook, measured[path.stem].seconds).values())
    assert minutes.stated(notebook) == pytest.approx(by_rule, rel=0.1)
    if path.stem[:2] in ("01", "02", "03", "04"):
        assert by_rule < 45.5


def test_the_rule_counts_what_a_learner_sees():
    cells = [
        nbformat.v4.new_markdown_cell(
            "# 01 · Title\n\n" + "word " * 198 + "\n\n<details>folded words</details>\n\n$$x = 1$$"
        ),
        nbformat.v4.new_code_cell(
            "a = 1\n\nb = 2", outputs=[nbformat.v4.new_output("display_data", {"image/png": ""})]
        ),
        nbformat.v4.new_code_cell("c = 3\n" * 99, metadata={"jupyter": {"source_hidden": True}}),
        nbformat.v4.new_markdown_cell("*Difficulty: ● ○ ○ · 4 minutes.*"),
        nbformat.v4.new_code_cell("def f():\n    return None", metadata={"tags": ["exercise"]}),
        nbformat.v4.new_markdown_cell("## Recap\n\n**1.** Why?\n\n**2.** How?\n\n## References\n\n" + "word " * 999),
    ]
    found = minutes.parts(nbformat.v4.new_notebook(cells=cells), seconds=90)
    assert found["words"] == pytest.approx(1, abs=0.05)
    assert found["pictures"] == 25 / 60
    assert found["code"] == 2 * 2.5 / 60
    assert (found["exercises"], found["recap"], found["computing"]) == (4, 2, 1.5)
