"""The lists that must agree: pyproject.toml, constraints.txt, environment.yml, Makefile, pages; and the yardstick."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from ddpm_lib.course.speed import training_speed

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(*extras):
    """What pip install ".[extras]" asks for by name, with the extras that an extra names."""
    lines = [Requirement(line) for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    named = {extra for line in lines if line.name == PROJECT["name"] for extra in line.extras}
    return [line for line in lines if line.name != PROJECT["name"]] + (requirements(*sorted(named)) if named else [])


ENGINE = [Requirement(line) for line in PROJECT["dependencies"]]
ALL = ENGINE + requirements("test")
CONDA_NAMES = {"torch": "pytorch"}


def test_environment_yml_lists_what_the_course_needs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, *conda = [line for line in environment["dependencies"] if isinstance(line, str) and line != "pip"]
    version = re.fullmatch(r"python=(\d+\.\d+)", python)[1]  # the only form that Binder reads
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)
    wanted = {f"{CONDA_NAMES.get(need.name, need.name)}{need.specifier}" for need in ENGINE + requirements("course")}
    assert set(map(Requirement, conda)) == set(map(Requirement, wanted))
    assert environment["dependencies"][-1] == {"pip": ["-e ."]}


def test_a_hosted_notebook_has_all_but_two_packages_in_a_version_that_fits():
    """So that its own Jupyter stays as it is: noxfile.py has a runtime's versions as they were published."""
    published = dict(re.findall(r"([\w-]+)==([\d.]+)", (ROOT / "noxfile.py").read_text(encoding="utf-8")))
    needs = ENGINE + requirements("hosted")
    changed = {need.name for need in needs if not need.specifier.contains(published.get(need.name, "0"))}
    assert changed == {"safetensors", "torchmetrics"}


def test_the_engine_asks_for_three_packages():
    assert {need.name for need in ENGINE} == {"torch", "numpy", "safetensors"}


def test_all_extras_are_in_the_one_for_tests():
    assert {need.name for need in requirements(*PROJECT["optional-dependencies"])} == {
        need.name for need in requirements("test")
    }


@pytest.mark.parametrize("need", ALL, ids=lambda need: need.name)
def test_every_dependency_is_pinned_within_its_range(need):
    pins = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8")))
    pins = {name.lower(): version for name, version in pins.items()}
    assert need.specifier.contains(Version(pins[need.name.lower()]), prereleases=True)


PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", [*PAGES, "notebooks/teaching.md"])
def test_a_page_names_only_make_targets_that_exist(page):
    text, makefile = ((ROOT / name).read_text(encoding="utf-8") for name in (page, "Makefile"))
    targets = set(re.findall(r"(?m)^([\w-]+):", makefile))
    for words in re.findall(r"(?m)(?:^    |`)make ([a-z -]*[a-z])", text):
        assert set(words.split()) <= targets, words


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", [*PAGES, "notebooks/glossary.md", "notebooks/teaching.md"])
def test_files_that_a_page_shows_exist(page):
    page = ROOT / page
    links = re.findall(r"\]\(((?!http|#)[^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_speed_of_this_machine_is_measured_and_nothing_is_drawn(global_rng_untouched):
    with global_rng_untouched():
        assert training_speed(rounds=1, steps=1) > 0


def minutes_of_class():
    """(plan, from, minutes, notebook's file or "") of each slot in teaching.md."""
    page = (ROOT / "notebooks" / "teaching.md").read_text(encoding="utf-8")
    for plan in re.findall(r"(?ms)^## (?:Two hours|First of|Second of).*?(?=^## )", page):
        slots = re.findall(r"(?m)^\| (\d+):(\d\d) \| (\d+) \| (?:\[\d\d\]\((\w+)\.ipynb\))? *\|", plan)
        yield plan.splitlines()[0], [(60 * int(h) + int(m), int(minutes), name) for h, m, minutes, name in slots]


def test_the_teachers_plans_add_up():
    (_, two_hours), (_, first), (_, second) = minutes_of_class()
    for slots in (two_hours, first, second):
        for (start, minutes, _), (following, _, _) in pairwise(slots):
            assert start + minutes == following
    assert sum(minutes for _, minutes, _ in two_hours) == 120
    notebooks = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(name for *_, name in [*first, *second] if name) == notebooks
    for _, minutes, name in [*first, *second]:
        if name:
            head = (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
            assert minutes >= int(re.search(r"\*\*Time\*\*: (\d+) minutes", head)[1]), name


def test_each_slot_of_a_plan_is_longer_than_its_notebook_computes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    seconds = {name: int(s) for name, s in re.findall(r"(?m)^\| \[`(\d\d_\w+)`\].*\| (\d+) \| \d+ \|$", readme)}
    assert seconds
    for plan, slots in minutes_of_class():
        for _, minutes, name in slots:
            assert 60 * minutes > seconds.get(name, 0), f"{plan}: {name}"
