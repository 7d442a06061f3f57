"""What a learner relies on: exercises with hints and solutions, predictions with answers, recaps, links, spelling."""

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import run_notebooks

from ddpm_lib.course import checks

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [page for folder in (".", "notebooks", "benchmarks", "docs") for page in sorted((ROOT / folder).glob("*.md"))]
ANSWER = "<details><summary>The answer to your prediction</summary>"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, 4)


def words_of(path):
    """The markdown of a page or of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


# ---------------------------------------------------------------------------- each notebook


@every_notebook
def test_a_notebook_opens_with_goal_needs_and_minutes_and_ends_with_references(path):
    title, words = read(path).cells[0].source, words_of(path)
    assert re.match(rf"# {path.stem[:2]} · \w", title)
    for opening in ("> **After this notebook you can** ", "> **You need** ", "> **Time**: "):
        assert opening in title
    assert re.search(r"> \*\*Time\*\*: \d+ minutes", title)
    assert re.search(r"cores compute\b", title), "how long does the machine compute?"
    references = words.partition("## References")[2]
    assert re.search(r"\[[^]]+\]\(https://", references)


@every_notebook
def test_the_recap_grades_itself(path):
    """Three questions, each with its answer in a fold right below it, none of them in the open."""
    recap = words_of(path).partition("## Recap")[2].partition("## References")[0]
    questions = re.split(r"(?m)^\*\*\d\.\*\* ", recap)[1:]
    assert len(questions) == 3
    for question in questions:
        asked, fold, rest = question.partition("<details><summary>Answer</summary>")
        answer, end, after = rest.partition("</details>")
        assert fold
        assert end
        assert asked.strip().endswith("?")
        assert len(answer.strip()) > 20
        assert not after.strip()


# ---------------------------------------------------------------------------- exercises


def exercises():
    for path in NOTEBOOKS:
        cells = read(path).cells
        for stub, _, check in run_notebooks.exercises(read(path)):
            place = [cell.id for cell in cells].index(stub.id)
            yield pytest.param(cells, place, check.source, id=f"{path.stem[:2]}-{stub.id}")


EXERCISES = list(exercises())


@pytest.mark.parametrize(("cells", "place", "check"), EXERCISES)
def test_an_exercise_says_how_hard_it_is_and_folds_what_helps(cells, place, check):
    text = next(cell.source for cell in reversed(cells[:place]) if cell.cell_type == "markdown")
    text = "### Exercise" + text.rpartition("### Exercise")[2]
    assert re.search(r"\n\n\*Difficulty: ● [●○] [●○] · \d+ minutes?\.\*", text)
    below = cells[place + 1].source
    folds = re.findall(r"<details><summary>([^<]+)</summary>(.+?)</details>", below, flags=re.DOTALL)
    assert [name for name, _ in folds] == ["Hint 1", "Hint 2", "Solution"]
    assert not re.sub(r"<details>.+?</details>", "", below, flags=re.DOTALL).strip(), "something stands in the open"
    assert re.search(r"^    return None$", cells[place].source, flags=re.MULTILINE)
    assert re.fullmatch(r"checks\.\w+\(\w+\)", check.strip())


def test_there_are_exercises_in_each_notebook_a_hard_one_too_and_none_without_a_check():
    count = {path.stem[:2]: len(list(run_notebooks.exercises(read(path)))) for path in NOTEBOOKS}
    assert all(2 <= count[path.stem[:2]] <= 5 for path in NOTEBOOKS[1:9]), count
    assert all("*Difficulty: ● ● ● ·" in words_of(path) for path in NOTEBOOKS[1:])
    used = [re.match(r"checks\.(\w+)", check)[1] for _, _, check in (parameters.values for parameters in EXERCISES)]
    assert len(used) == len(set(used)), "two exercises with one check"
    assert set(used) == {
        name for name, value in vars(checks).items() if hasattr(value, "__wrapped__") and name[0] != "_"
    }


@every_notebook
def test_exercises_are_numbered_in_order(path):
    numbers = [int(number) for number in re.findall(r"(?m)^### Exercise (\d+)", words_of(path))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == len(list(run_notebooks.exercises(read(path))))


# ---------------------------------------------------------------------------- predict first


@every_notebook
def test_a_prediction_is_asked_before_its_picture_and_answered_below(path):
    cells = read(path).cells
    asked = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.source.startswith("guess(")]
    if path.stem[:2] in ("01", "02", "03", "04", "05", "06", "07"):
        assert 1 <= len(asked) <= 3
    assert words_of(path).count(ANSWER) == words_of(path).count("**Predict first.**") == len(asked)
    for i, following in itertools.zip_longest(asked, asked[1:], fillvalue=len(cells)):
        assert re.search(r"(?s)\*\*Predict first\.\*\* .+\?$", cells[i - 1].source.strip()), "the question stands above"
        options = [option.value for option in ast.parse(cells[i].source).body[0].value.args]
        assert len(options) >= 3
        shown = "\n".join(f"○ {option}" for option in options)
        assert cells[i].outputs[0].data["text/plain"] == shown, "a page without a kernel shows the options"
        answer = next(j for j, cell in enumerate(cells) if j > i and cell.source.startswith(ANSWER))
        assert answer < following
        pictures = [
            j for j in range(i, answer) if any("image/png" in o.get("data", {}) for o in cells[j].get("outputs", []))
        ]
        assert len(pictures) == 1, "one picture between question and answer"


# ---------------------------------------------------------------------------- links


def anchors(path):
    """The anchors that GitHub gives the headings of a page, and those that it sets itself."""
    headings = re.findall(r"(?m)^#+ +(.+)$", re.sub(r"(?ms)^```.*?^```", "", words_of(path)))
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    own = re.findall(r'<a id="([^"]+)">', words_of(path))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain} | set(own)


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.name)
def test_links_inside_the_repository_resolve(path):
    words = re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```", "", words_of(path)))
    links = re.findall(r"\]\(([^)\s]+)\)", words) + re.findall(r"(?:src|srcset|href)=\"([^\" ]+)\"", words)
    for link in links:
        if not re.match(r"[a-z]+:", link):
            file, _, anchor = link.partition("#")
            target = (path.parent / file) if file else path
            assert target.exists(), link
            if anchor and target.suffix in (".md", ".ipynb"):
                assert anchor in anchors(target), link


# ---------------------------------------------------------------------------- spelling


def test_the_spelling_check_reads_notebooks_and_not_their_pictures(tmp_path):
    """`make lint` runs it over the repository, with the settings of pyproject.toml. Here: that it would say so."""
    notebook = (ROOT / "notebooks" / "01_forward_process.ipynb").read_text(encoding="utf-8")
    assert "image/png" in notebook
    (tmp_path / "right.ipynb").write_text(notebook, encoding="utf-8")
    misspelt = "T" + "eh"  # in two parts, or it would be found right here
    (tmp_path / "wrong.ipynb").write_text(notebook.replace("The idea:", f"{misspelt} idea:"), encoding="utf-8")
    command = [sys.executable, "-m", "codespell_lib", "--toml", str(ROOT / "pyproject.toml"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert found.returncode != 0
    assert [line for line in found.stdout.splitlines() if line] == [
        f"{tmp_path / 'wrong.ipynb'}:{line_of(notebook, 'The idea:')}: {misspelt} ==> The"
    ]


def line_of(text, words):
    return next(i for i, line in enumerate(text.splitlines(), 1) if words in line)
