"""Minutes that a learner needs for each notebook, by one rule: `python tools/minutes.py [NOTEBOOK...]`.

Words at 200 a minute, a picture 25 seconds, a line of code 2.5 seconds, an exercise what it is rated at, a question of
the recap one minute, and the seconds that the notebook computes. What is folded away counts nothing: <details> in the
text, and cells whose code is collapsed.
"""

import re
import sys

from ddpm_lib import console

import nbformat

FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
NO_WORDS = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|^\|[-:| ]+\|$", re.DOTALL | re.MULTILINE)
RATED = re.compile(r"Difficulty:[^\n]*?(\d+) minutes?")


def parts(notebook: nbformat.NotebookNode, seconds: float) -> dict[str, float]:
    """Minutes by what they go to. seconds: that the notebook computes."""
    text = "\n".join(FOLD.sub("", cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    code = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and not cell.metadata.get("jupyter", {}).get("source_hidden")
        and "exercise" not in cell.metadata.get("tags", [])
    ]
    body, _, recap = text.partition("## Recap")
    words = re.findall(r"\w[\w'’.,–-]*", NO_WORDS.sub(" ", body + recap.partition("## References")[0]))
    return {
        "words": len(words) / 200,
        "pictures": sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs) * 25 / 60,
        "code": sum(len([line for line in cell.source.splitlines() if line.strip()]) for cell in code) * 2.5 / 60,
        "exercises": float(sum(map(int, RATED.findall(text)))),
        "recap": float(len(re.findall(r"(?m)^\*\*\d\.\*\*", recap))),
        "computing": seconds / 60,
    }


def stated(notebook: nbformat.NotebookNode) -> int:
    """The minutes that the notebook's head promises."""
    return int(re.search(r"\*\*Time\*\*: (?:about )?(\d+) minutes", notebook.cells[0].source)[1])


@console.command
def main() -> None:
    from ddpm_lib.course import tables

    import run_notebooks  # which imports this file for the README's table

    _, measured = tables.read_measured()
    names = ["words", "pictures", "code", "exercises", "recap", "computing"]
    print(f"{'notebook':<24}" + "".join(f"{name:>11}" for name in names) + f"{'sum':>7}{'stated':>8}")
    for path in run_notebooks.find_notebooks(sys.argv[1:]):
        notebook = nbformat.read(path, 4)
        found = parts(notebook, measured[path.stem].seconds if path.stem in measured else 0)
        print(f"{path.stem:<24}" + "".join(f"{found[name]:>11.1f}" for name in names), end="")
        print(f"{sum(found.values()):>7.0f}{stated(notebook):>8}")


if __name__ == "__main__":
    main()
