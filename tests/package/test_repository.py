"""What others join by and cite: the citation, licences in the wheel, the model card, the paper, forms for issues."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import model_card
import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAPER = (ROOT / "docs" / "paper" / "paper.md").read_text(encoding="utf-8")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_citation_is_complete_and_names_this_version():
    """The keys that CFF 1.2.0 asks for."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"].split(" AND ")[0], "that of the code: a list in CFF means OR"
    for work in (cited, *cited["references"]):
        assert work["title"]
        for author in work["authors"]:
            assert author.keys() in ({"name"}, {"family-names", "given-names"})


def test_the_wheel_carries_every_licence(tmp_path):
    pytest.importorskip("setuptools", minversion="77")  # what pyproject.toml builds with; pip gets its own
    for name in ("pyproject.toml", "README.md", *PROJECT["license-files"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(
        ROOT / "ddpm_lib", tmp_path / "ddpm_lib", ignore=shutil.ignore_patterns("__pycache__", "checkpoints")
    )
    build = "from setuptools.build_meta import build_wheel; build_wheel('wheel')"
    done = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        folder = f"{PROJECT['name']}-{PROJECT['version']}.dist-info"
        assert f"License-Expression: {PROJECT['license']}\n" in archive.read(f"{folder}/METADATA").decode()
        carried = {name: archive.read(f"{folder}/licenses/{name}") for name in PROJECT["license-files"]}
    for name, text in carried.items():
        assert text == (ROOT / name).read_bytes()
    first_lines = {text.decode().splitlines()[0] for text in carried.values()}
    assert first_lines >= {"MIT License", "Creative Commons Attribution 4.0 International Public License"}


def test_the_model_card_has_what_the_files_of_the_weights_say():
    """After a training: python tools/model_card.py"""
    _, rest = model_card.CARD.read_text(encoding="utf-8").split(model_card.START)
    assert rest.split(model_card.END)[0] == model_card.tables()


@pytest.mark.parametrize("weights", ["mnist", "student"])
def test_the_model_card_has_scores_of_each(weights):
    assert any(row[0] == weights for row in model_card.scores())


def test_the_paper_is_as_short_as_the_journal_asks_and_every_key_is_in_its_bibliography():
    words = re.sub(r"(?s)<!--.*?-->", "", PAPER.split("---\n", 2)[2])
    assert len(words.split()) <= 1000
    bibliography = (ROOT / "docs" / "paper" / "paper.bib").read_text(encoding="utf-8")
    assert set(re.findall(r"@(\w+)", words)) == set(re.findall(r"(?m)^@\w+\{(\w+),", bibliography))
    for section in ("Summary", "Statement of need", "Learning objectives", "Experience of use", "References"):
        assert f"\n# {section}\n" in words


def test_the_numbers_of_the_paper_are_counted():
    notebooks = [nbformat.read(path, 4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    exercises = sum("exercise" in cell.metadata.get("tags", []) for book in notebooks for cell in book.cells)
    minutes = sum(int(re.search(r"\*\*Time\*\*: (\d+)", book.cells[0].source)[1]) for book in notebooks)
    course = ROOT / "ddpm_lib" / "course" / "data"
    measured = json.loads((course / "measured.json").read_text(encoding="utf-8"))["notebooks"].values()
    bugs = tomllib.loads((course / "museum.toml").read_text(encoding="utf-8"))["bug"]
    words = " ".join(PAPER.split())
    for counted in (
        f"{len(notebooks)} notebooks",
        f"{exercises} exercises",
        f"{len(bugs)} bugs",
        f"about {minutes / 60:.0f} hours",
        f"about {sum(row['seconds'] for row in measured) / 60:.0f} minutes",
    ):
        assert counted in words


def test_the_changelog_has_one_section_for_each_version_the_newest_first():
    heads = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert heads[0] == "[Unreleased]"
    dates = [date.fromisoformat(re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\S+)", head)[1]) for head in heads[1:]]
    assert dates == sorted(dates, reverse=True)


def test_there_are_three_forms_for_issues():
    assert {path.stem for path in FORMS} == {"bug", "exercise", "unclear"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_for_issues_is_one_that_github_shows(path):
    """The rules of GitHub's syntax for issue forms; it shows no form at all where one of them is broken."""
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    for field in form["body"]:
        assert field["type"] in ("input", "textarea")
        assert field["attributes"]["label"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])
