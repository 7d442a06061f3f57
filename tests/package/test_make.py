"""The Makefile on other machines: Pythons that only say "not found", and torch without CUDA."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make here")

# Makes .venv from itself, and notes what pip and the tools are called with. FAIL: pip's exit code for other indexes.
FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p $3/bin && cp "$0" $3/bin/python && cp "$0" $3/bin/jupyter ;;
lab*) env | grep -E "^(JUPYTER_|IPYTHONDIR|MPLCONFIGDIR)" | sort >> log ;;
"-m pip") echo "$*" >> log; case "$*" in *--index-url*) exit ${FAIL:-0} ;; esac ;;
"-c "*) ;;
*) echo "$*" >> log ;;
esac
"""
SHIM = """#!/bin/sh
echo "pyenv: $(basename $0): command not found" >&2
echo "The command exists in these Python versions: 3.9.1" >&2
exit 127
"""
COURSE = ["-m pip install -q -c constraints.txt -e .[course]", "tools/run_notebooks.py course"]


@pytest.fixture
def make(tmp_path, monkeypatch):
    """make(*words): in a folder with the Makefile and nothing else; its result and the lines of the log."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("TORCH", "TORCH_INDEX", "PYTHON", "ARGS", "FULL", "MAKEFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        found = subprocess.run(["make", *words], cwd=tmp_path, capture_output=True, text=True)
        return found, [line.strip() for line in log.read_text().splitlines()] if log.exists() else []

    return run


def program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("target", ["help", "course", "clean"])
def test_a_python_that_only_says_not_found_is_passed_over_in_silence(target, make, tmp_path, monkeypatch):
    shims = tmp_path / "shims"
    for name in ("python", "python3", "python3.13", "python3.12"):
        program(shims / name, SHIM)
    program(shims / "python3.11", FAKE_PYTHON)
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
    for _ in range(2):  # also when .venv is there
        found, _log = make(target)
        assert (found.returncode, found.stderr) == (0, "")
        assert "not found" not in found.stdout
    assert (tmp_path / ".venv" / "course").exists() == (target == "course")


def test_without_a_python_one_sentence_says_so(make, tmp_path, monkeypatch):
    shims = tmp_path / "shims"
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        program(shims / name, SHIM)
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
    found, _ = make("course")
    assert found.returncode == 2
    assert "Python 3.11 or newer is needed" in found.stdout
    assert "not found" not in found.stdout + found.stderr


def test_torch_without_cuda_is_asked_of_its_own_index_and_make_says_what_that_saves(make, tmp_path):
    python = program(tmp_path / "fake" / "python", FAKE_PYTHON)
    found, log = make("course", "TORCH=cpu", f"PYTHON={python}")
    assert found.returncode == 0
    assert "saves about 4 GB" in found.stdout
    pins = dict(line.split("==") for line in (tmp_path / "constraints.txt").read_text().splitlines() if "==" in line)
    first, *rest = log
    assert "--index-url https://download.pytorch.org/whl/cpu" in first
    # With +cpu no other index can answer with the large build.
    assert first.split()[-2:] == [f"{name}=={pins[name].split()[0]}+cpu" for name in ("torch", "torchvision")]
    assert rest == COURSE
    found, log = make("course", "TORCH=cpu")
    assert (found.returncode, log) == (0, COURSE[1:])


def test_where_that_index_does_not_answer_the_course_is_installed_as_ever(make, tmp_path, monkeypatch):
    python = program(tmp_path / "fake" / "python", FAKE_PYTHON)
    monkeypatch.setenv("FAIL", "1")
    found, log = make("course", "TORCH=cpu", f"PYTHON={python}", "TORCH_INDEX=https://index.invalid")
    assert found.returncode == 0
    assert "https://index.invalid has no such torch or can't be reached" in found.stdout
    assert "saves" not in found.stdout
    assert log[1:] == COURSE


def test_without_torch_cpu_nothing_else_is_installed_and_later_it_is_refused(make, tmp_path):
    python = program(tmp_path / "fake" / "python", FAKE_PYTHON)
    assert make("course", f"PYTHON={python}")[1] == COURSE
    found, log = make("course", "TORCH=cpu")
    assert (found.returncode, log) == (2, [])
    assert found.stdout.strip() == "TORCH=cpu is for a new .venv: remove the folder .venv first"
    assert "TORCH is cpu or not set, got gpu" in make("course", "TORCH=gpu")[0].stderr


@pytest.mark.parametrize("home", ["home", "nowhere", "file"])
def test_jupyter_keeps_its_files_elsewhere_where_the_home_folder_can_not_be_written(home, make, tmp_path, monkeypatch):
    python = program(tmp_path / "fake" / "python", FAKE_PYTHON)
    (tmp_path / "home").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "tools").mkdir()
    shutil.copy(REPOSITORY / "tools" / "overrides.json", tmp_path / "tools")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / home))
    found, log = make("lab", f"PYTHON={python}")
    assert found.returncode == 0
    folders = [line.partition("=")[2] for line in log if line.startswith(("JUPYTER_", "IPYTHONDIR", "MPLCONFIGDIR"))]
    assert len(folders) == (0 if home == "home" else 5)
    assert all(folder.startswith(str(tmp_path / ".venv" / "home")) for folder in folders)
