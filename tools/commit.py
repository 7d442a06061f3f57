"""The commit of the code that computes, for the provenance of what it computed.

python tools/commit.py          prints it, such as 1a2b3c4 or 1a2b3c4-dirty
"""

import subprocess
from pathlib import Path

CODE = ("*.py", "*.ipynb")  # results, such as tables and weights, may change while a long run goes on


def commit() -> str:
    """The short hash of HEAD, with -dirty where a tracked Python file or notebook isn't what was committed.

    It is "unknown" without git or without a repository, as in a copy that was downloaded.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # `:/` means the whole repository.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *(f":/{code}" for code in CODE))
        return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    print(commit())
