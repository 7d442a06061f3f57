"""Which exercises passed on this machine: a small JSON file in the user's data folder. Nothing leaves the machine."""

import ast
import contextlib
import datetime
import json
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from ddpm_lib.files import write_atomically

OFF = "off"  # the value of $DDPM_PROGRESS with which nothing is noted, for headless runs


def path() -> Path:
    """The file. $DDPM_PROGRESS names another one."""
    chosen = os.environ.get("DDPM_PROGRESS")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_path("ddpm_lib")) / "progress.json"


def passed() -> dict[str, str]:
    """The day on which each exercise first passed, by the name of its check. Empty where the file can't be read."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = json.loads(path().read_text(encoding="utf-8")).items()
        return {name: day for name, day in found if isinstance(day, str)}
    return {}


def note(name: str) -> None:
    """Remember that an exercise passed. A check must not fail because of a disk, so errors of it are let go."""
    if os.environ.get("DDPM_PROGRESS") == OFF or name in (before := passed()):
        return
    today = datetime.date.today().isoformat()
    with contextlib.suppress(OSError):
        write_atomically(path(), json.dumps(before | {name: today}, indent=1).encode())


class Progress(dict):
    """The notebooks, and for each of its exercises by the name of the check whether it passed."""

    def __repr__(self) -> str:
        lines = [
            f"{notebook:<24}{'●' * sum(done.values())}{'○' * (len(done) - sum(done.values()))}"
            for notebook, done in self.items()
        ]
        every = [done for exercises in self.values() for done in exercises.values()]
        return "\n".join([*lines, f"{sum(every)} of {len(every)} exercises passed on this machine"])


def progress() -> Progress:
    """Which exercises of the course passed on this machine, notebook by notebook."""
    done = passed()
    return Progress((notebook, {name: name in done for name in names}) for notebook, names in exercises())


def exercises() -> Iterator[tuple[str, list[str]]]:
    """Each notebook with the names of its checks, as its file in checks/ defines them.

    The file is read, not imported: a check imports this module, to note what passed.
    """
    for file in sorted(Path(__file__).with_name("checks").glob("n[0-9]*.py")):
        functions = [
            node for node in ast.parse(file.read_text(encoding="utf-8")).body if hasattr(node, "decorator_list")
        ]
        yield (
            file.stem[1:],
            [f.name for f in functions if any(getattr(d, "id", "") == "check" for d in f.decorator_list)],
        )


def forget_progress() -> None:
    """Delete the record of what passed on this machine. Raises OSError where the disk refuses."""
    path().unlink(missing_ok=True)
