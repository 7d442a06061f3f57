"""Which exercises passed on this machine: a small JSON file in the user's data folder. Nothing leaves the machine."""

import contextlib
import datetime
import json
import os
from pathlib import Path

import platformdirs

from ddpm_lib.files import write_atomically

OFF = "off"  # the value of $DDPM_PROGRESS with which nothing is noted, for headless runs


def path() -> Path:
    """The file. $DDPM_PROGRESS names another one."""
    chosen = os.environ.get("DDPM_PROGRESS")
    return Path(chosen) if chosen else Path(platformdirs.user_data_path("ddpm_lib")) / "progress.json"


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
    from ddpm_lib.course import checks  # which note what passed here

    done, found = passed(), Progress()
    for name in checks.__all__:
        notebook = getattr(checks, name).__module__.rpartition(".n")[2]
        found.setdefault(notebook, {})[name] = name in done
    return Progress(sorted(found.items()))


def forget_progress() -> None:
    """Delete the record of what passed on this machine. Raises OSError where the disk refuses."""
    path().unlink(missing_ok=True)
