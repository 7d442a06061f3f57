"""Write the tables of docs/model_card.md anew, from the files of the weights and from benchmarks/results.json.

    python tools/model_card.py

It is called after a training. A test compares the page with what this file would write.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ddpm_lib import console
from ddpm_lib.checkpoint import SHIPPED, STUDENT
from ddpm_lib.evaluation import CLASSIFIER, load_test_features
from ddpm_lib.files import write_atomically

from safetensors import safe_open

REPOSITORY = Path(__file__).parent.parent
CARD = REPOSITORY / "docs" / "model_card.md"
BENCH = REPOSITORY / "benchmarks" / "results.json"
START, END = "<!-- written by `python tools/model_card.py` -->\n", "<!-- end -->\n"
SCORES = ("fid", "agreement", "coverage", "diversity")
STEPS = re.compile("steps$|training for ")  # keys of the metadata
DRAWN = re.compile(r"(its teacher, )?w=(\S+), (\d+) (\w+) steps, (\d+) samples")  # a key of the metadata


def provenance(path: Path) -> tuple[dict, int]:
    """What the training wrote into the file, and the number of weights that it learned."""
    with safe_open(path, "numpy") as file:
        learned = [name for name in file.keys() if not re.search("running_|num_batches|schedule", name)]  # noqa: SIM118
        return json.loads(file.metadata()["metadata"]), sum(math.prod(file.get_slice(n).get_shape()) for n in learned)


def trainings() -> Iterator[tuple]:
    """A row for each file: name, command, number of weights, optimizer steps, commit."""
    for path in (SHIPPED, STUDENT, CLASSIFIER):
        known, weights = provenance(path)
        rounds = [known, *known.get("refined", {}).get("rounds", ())]
        steps = sum(value for each in rounds for key, value in each.items() if STEPS.match(key))
        yield (
            path.stem,
            f"`{known['command']}`",
            f"{weights:,}",
            f"{steps:,}",
            re.sub(r"^(\w{7})\w*", r"\1", known["commit"]),
        )


def scores() -> Iterator[tuple]:
    """A row for each way to draw: weights, w, steps, number of digits, the four scores, and what measured them."""
    real = load_test_features().floors
    for n in (2000, 10000):
        yield "real digits", "", "", f"{n:,}", *(f"{dict(real[name])[n]:.3f}" for name in SCORES), "`make classifier`"
    for path in (SHIPPED, STUDENT):
        known, _ = provenance(path)
        for key, text in known.items():
            if found := DRAWN.fullmatch(key):
                teacher, w, steps, sampler, n = found.groups()
                values = {name.lower(): value for name, value in re.findall(r"(\w+) ([\d.]+)", text)}
                name = SHIPPED.stem if teacher else path.stem
                row = f"{steps} {sampler}", f"{int(n):,}", *(values.get(score, "") for score in SCORES)
                yield name, w, *row, f"`{known['command']}`"
    for row in json.loads(BENCH.read_text(encoding="utf-8"))["shipped"]:
        drawn = f"{row['steps']} {row['sampler']}", f"{row['n']:,}"
        yield SHIPPED.stem, f"{row['w']:g}", *drawn, *(f"{row[name]:.3f}" for name in SCORES), "`make bench FULL=1`"


def tables() -> str:
    """Both tables, as Markdown."""
    one = table("file, made by, learned weights, steps, commit", trainings())
    two = table("weights, w, steps, digits, FID, agreement, coverage, diversity, measured by", scores())
    return f"{one}\n{two}"


def table(head: str, rows: Iterable[tuple]) -> str:
    columns = head.split(", ")
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, ["---"] * len(columns), *rows))


@console.command
def main() -> None:
    before, rest = CARD.read_text(encoding="utf-8").split(START)
    write_atomically(CARD, (before + START + tables() + END + rest.split(END)[1]).encode())


if __name__ == "__main__":
    main()
