"""Tables that ship with the course: seconds and memory of each notebook, and the two sweeps of notebook 08.

A notebook finds them whatever its folder is, because they lie in data/, beside this file. Three commands
measure and write them: `make notebooks`, `make sweep`, `make variants`.
"""

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ddpm_lib.files import write_atomically

DATA = Path(__file__).parent / "data"
W_SWEEP, WHAT_MATTERED = DATA / "w_sweep.csv", DATA / "what_mattered.csv"
MEASURED = DATA / "measured.json"
TEXTS = {"sampler", "checkpoint", "commit", "variant", "data"}  # these columns hold no numbers


def read_table(path: str | Path) -> list[dict]:
    """The rows of a CSV file as dicts: numbers as float, an empty cell as None. Raises OSError."""
    with open(Path(path).expanduser(), newline="", encoding="utf-8") as file:
        rows = [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]
    return [{name: float(v) if v and name not in TEXTS else v for name, v in row.items()} for row in rows]


def write_table(path: str | Path, rows: list[dict]) -> None:
    """Write rows, which have the same keys, as a CSV file, whole or not at all. A float keeps six decimals."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(v, 6) if isinstance(v, float) else v for key, v in row.items()} for row in rows)
    write_atomically(Path(path), text.getvalue().encode())


@dataclass(frozen=True)
class Measured:
    """What one notebook took on the machine of the course.

    seconds: of the whole run. fixed_seconds: the part that a parameter sets, which no faster machine shortens.
    peak_mib: the largest memory, in MiB.
    """

    title: str
    seconds: int
    fixed_seconds: float
    peak_mib: int

    def seconds_at(self, slower: float) -> float:
        """Seconds on a machine that takes `slower` times as long for what isn't fixed."""
        return self.fixed_seconds + max(0, self.seconds - self.fixed_seconds) * slower


def read_measured() -> tuple[float, dict[str, Measured]]:
    """Training images per second of the course's machine, and what each notebook (by its file's stem) took there."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found["images_per_s"], {name: Measured(**row) for name, row in found["notebooks"].items()}


def course_times(speed: float) -> str:
    """A table for people: the seconds and the memory of each notebook on the course's machine, and about here.

    speed: training images per second of this machine, as `training_speed` measures it.
    """
    reference, measured = read_measured()
    slower = reference / speed
    head = f"the course's machine trained {reference:.0f} images per second: yours takes {slower:.1f} times as long"
    rows = [
        f"{name:<24}{row.seconds:>6} s{row.seconds_at(slower):>12.0f} s{row.peak_mib:>8} MiB"
        for name, row in measured.items()
    ]
    return "\n".join([head, "", f"{'notebook':<24}{'there':>8}{'here, about':>14}{'memory':>12}", *rows])


def write_measured(images_per_s: float, notebooks: dict[str, Measured]) -> None:
    """Write what `read_measured` reads, in the order of the names."""
    rows = {name: asdict(notebooks[name]) for name in sorted(notebooks)}
    text = json.dumps({"images_per_s": images_per_s, "notebooks": rows}, indent=1, ensure_ascii=False)
    write_atomically(MEASURED, f"{text}\n".encode())
