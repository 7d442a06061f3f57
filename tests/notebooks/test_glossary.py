"""glossary.md against the code and the notebooks: names exist, terms occur, nothing exported is missing."""

import importlib.util
import inspect
import re
from pathlib import Path

import nbformat
import pytest

import ddpm_lib
from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PAGE = (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for row in re.findall(r"(?m)^\|(?! term |---).*\|$", PAGE)
]  # fmt: skip
CODE_NAMES = [name for _, _, code, _, _ in ROWS for name in re.findall(r"`([^`]+)`", code)]
# What an object has only once it is made.
INSTANCES = {
    NoiseSchedule: NoiseSchedule.linear(T=5),
    UNetConfig: UNetConfig(),
    TrainConfig: TrainConfig(steps=1),
    DDPM: DDPM(UNet(UNetConfig(widths=(1, 1, 1), embedding_width=1)), NoiseSchedule.linear(T=5)),
}


def resolve(name):
    """The object that a name of the glossary stands for: `A`, `A.b`, `module.A.b` or `f(x)`."""
    path, _, argument = name.partition("(")
    found, words = ddpm_lib, path.split(".")
    # `ddpm` in `ddpm.label_rows` is a file of the package; `train` alone is what the package exports.
    while len(words) > 1 and hasattr(found, "__path__") and importlib.util.find_spec(f"{found.__name__}.{words[0]}"):
        found = importlib.import_module(f"{found.__name__}.{words.pop(0)}")
    for attribute in words:
        fields = getattr(found, "__dataclass_fields__", {})
        found = fields[attribute] if attribute in fields else getattr(INSTANCES.get(found, found), attribute)
    if argument:
        found = inspect.signature(found).parameters[argument.removesuffix(")")]
    return found


def plain(text):
    """Words alone, in lower case: emphasis, line breaks and capitals don't make another term."""
    return re.sub(r"[*_\s]+", " ", text).lower()


def text_of(notebook):
    return plain("\n".join(cell.source for cell in nbformat.read(notebook, 4).cells))


def test_every_row_is_complete():
    assert len(ROWS) > 40
    for row in ROWS:
        assert len(row) == 5, row
        assert row[0], row
        assert re.search(r"`[^`]+`", row[2]), row


@pytest.mark.parametrize("name", sorted(set(CODE_NAMES)))
def test_every_code_name_exists(name):
    assert resolve(name) is not None


@pytest.mark.parametrize("name", ["DDPM.nothing", "sample(nothing)", "Nothing", "sampling.nothing", "TrainConfig.w"])
def test_a_name_that_does_not_exist_is_noticed(name):
    with pytest.raises((AttributeError, KeyError, ModuleNotFoundError)):
        resolve(name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_notebook_explains_the_term(row):
    number, link = re.fullmatch(r"\[(\d\d)\]\((\d\d_\w+\.ipynb)\)", row[4]).groups()
    assert link.startswith(number)
    text = text_of(NOTEBOOKS / link)
    for term in row[0].split(", "):
        assert plain(term) in text, f"{link} does not contain {term!r}"


def test_everything_that_the_package_exports_is_explained():
    explained = {re.split(r"[.(]", name)[0] for name in CODE_NAMES}
    assert set(ddpm_lib.__all__) <= explained


def test_the_table_of_letters_has_names_of_the_glossary():
    table = next(
        cell.source
        for cell in nbformat.read(NOTEBOOKS / "01_forward_process.ipynb", 4).cells
        if "One table for all letters" in cell.source
    )
    names = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"(?m)^\|(?:[^|]*)\|([^|]*)\|", table))))
    known = {part for name in re.findall(r"`([^`]+)`", PAGE) for part in re.split(r"[.()]", name)}
    assert len(names) > 8
    assert names <= known
