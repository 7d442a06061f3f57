"""tools/commit.py: the commit of the code, and -dirty where code differs from it; results may differ."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import commit
import pytest


@pytest.fixture
def said(tmp_path):
    """said(): what a copy of the command prints in the repository tmp_path."""

    def said():
        command = [sys.executable, str(tmp_path / "tools" / "commit.py")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    (tmp_path / "tools").mkdir()
    shutil.copy(commit.__file__, tmp_path / "tools")
    (tmp_path / "results.json").write_text("{}")
    return said


def git(folder: Path, *arguments):
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", "-C", str(folder), *author, *arguments], check=True, capture_output=True)


def test_code_makes_a_commit_dirty_and_results_dont(said, tmp_path):
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "everything")
    clean = said()
    assert re.fullmatch("[0-9a-f]{7,}", clean)
    (tmp_path / "results.json").write_text("{1}")
    (tmp_path / "new.py").touch()  # not tracked
    assert said() == clean
    (tmp_path / "tools" / "commit.py").write_text(Path(commit.__file__).read_text() + "# changed\n")
    assert said() == f"{clean}-dirty"


def test_without_a_repository_the_commit_is_unknown(said, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert said() == "unknown"
