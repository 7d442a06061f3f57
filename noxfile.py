"""The tests on other Pythons, on the oldest torch that pyproject.toml allows, and with ipykernel 6: `make versions`.

    nox -s "tests(python='3.12', torch='pinned')"      one of them; `nox -l` lists all
    nox ... -- tests/engine                      arguments for pytest

Each environment takes up to 6 GB (torch brings CUDA along), so it is deleted when its tests are over.
"""

import re
import shutil
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
NOTEBOOKS = ["00_welcome.ipynb", "05_guidance_lab.ipynb"]  # a plain one, and the one with widgets
# The oldest of each, and what has to move with it: torch 2.6 wants this very sympy.
OLDEST = {"torch": None, "torchvision": None, "sympy": "1.13.1", "ipykernel": "6.30.1"}

nox.options.default_venv_backend = "venv"
nox.options.stop_on_first_error = False


def constraints(torch: str) -> str:
    """constraints.txt; for the oldest torch with pyproject's lower bounds in the place of some of its pins."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if torch == "oldest":
        needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
        bounds = dict(need.split(">=") for need in needs)
        for name, version in OLDEST.items():
            pins = re.sub(rf"(?m)^{name}==.*$", f"{name}=={version or bounds[name]}", pins)
    return pins


@nox.session
@nox.parametrize(("python", "torch"), [("3.11", "pinned"), ("3.12", "pinned"), ("3.13", "pinned"), ("3.11", "oldest")])
def tests(session: nox.Session, torch: str) -> None:
    file = Path(session.create_tmp()) / "constraints.txt"
    file.write_text(constraints(torch), encoding="utf-8")
    try:
        run_tests(session, file)
    finally:
        shutil.rmtree(session.virtualenv.location)


def run_tests(session: nox.Session, file: Path) -> None:
    session.install("-c", str(file), "-e", ".[test,html]")
    session.run(
        "python", "-c", "import ipykernel, sys, torch; print(sys.version, torch.__version__, ipykernel.__version__)"
    )
    session.run("python", "-m", "pytest", "-m", "not notebooks and not browser", *session.posargs)
    session.chdir("notebooks")  # where nbval starts each kernel
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "-o", "filterwarnings="]
    session.run("python", "-m", "pytest", *nbval, "-p", "no:cacheprovider", *NOTEBOOKS)
