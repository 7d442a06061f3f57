"""The tests on other Pythons, and with the oldest of all that pyproject.toml allows: `make versions`.

    nox -s "tests(python='3.12', versions='pinned')"   one of them; `nox -l` lists all
    nox ... -- tests/engine                            arguments for pytest
    PYENV_VERSION=3.11.7:3.12.1:3.13.0 nox ...         where pyenv has them

Each environment takes up to 6 GB (torch brings CUDA along), so it is deleted when its tests are over.
"""

import re
import shutil
import tomllib
from itertools import chain
from pathlib import Path

import nox

ROOT = Path(__file__).parent
NOTEBOOKS = ["00_welcome.ipynb", "05_guidance_lab.ipynb"]  # a plain one, and the one with widgets
# What has to move along with the lower bounds: pins of constraints.txt that don't go with them, or warn of them.
OLDER = {"greenlet": "3.1.1", "notebook": "7.0.7", "pandas": "3.0.6", "pyparsing": "3.2.5", "sympy": "1.13.1",
         "widgetsnbextension": "3.6.10"}  # fmt: skip

# A runtime of Colab in February 2026, as far as the course touches it: pip-freeze.gpu.txt of googlecolab/backend-info.
HOSTED = """
    ipykernel==6.17.1 ipython==7.34.0 ipywidgets==7.7.1 joblib==1.5.3 jupyter_client==7.4.9 jupyter_core==5.9.1
    jupyter_server==2.14.0 jupyterlab_widgets==3.0.16 kiwisolver==1.4.9 matplotlib==3.10.0 matplotlib-inline==0.2.1
    mlxtend==0.23.4 nbclassic==1.3.3 nbclient==0.10.4 nbconvert==7.17.0 nbformat==5.10.4 notebook==6.5.7 numpy==2.0.2
    packaging==26.0 pandas==2.2.2 pillow==11.3.0 platformdirs==4.9.2 psutil==5.9.5 pyzmq==26.2.1 requests==2.32.4
    safetensors==0.7.0 scikit-learn==1.6.1 scipy==1.16.3 setuptools==75.2.0 sympy==1.14.0 torch==2.10.0
    torchvision==0.25.0 tornado==6.5.1 tqdm==4.67.3 traitlets==5.7.1 typing_extensions==4.15.0
    widgetsnbextension==3.6.10
"""

nox.options.default_venv_backend = "venv"
nox.options.stop_on_first_error = False


def constraints(versions: str) -> str:
    """constraints.txt; for the oldest, every lower bound of pyproject.toml stands in the place of its pin."""
    pins = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8")))
    if versions == "oldest":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needs = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
        bounds = dict(re.match(r"([\w.-]+)>=([\d.]+)", need).groups() for need in needs if ">=" in need)
        pins = {name.lower(): version for name, version in pins.items()} | bounds | OLDER
    return "\n".join(f"{name}=={version}" for name, version in pins.items())


@nox.session
@nox.parametrize(
    ("python", "versions"), [("3.11", "pinned"), ("3.12", "pinned"), ("3.13", "pinned"), ("3.11", "oldest")]
)
def tests(session: nox.Session, versions: str) -> None:
    file = Path(session.create_tmp()) / "constraints.txt"
    file.write_text(constraints(versions), encoding="utf-8")
    try:
        run_tests(session, file)
    finally:
        shutil.rmtree(session.virtualenv.location)


def run_tests(session: nox.Session, file: Path) -> None:
    session.install("-c", str(file), "-e", ".[test]")
    session.run("python", "-m", "pip", "list", "--format=freeze")
    session.run("python", "-m", "pytest", "-m", "not notebooks and not browser", *session.posargs)
    session.chdir("notebooks")  # where nbval starts each kernel
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "-o", "filterwarnings="]
    session.run("python", "-m", "pytest", *nbval, "-p", "no:cacheprovider", *NOTEBOOKS)


@nox.session(python="3.11")
def nbgrader(session: nox.Session) -> None:
    """A class marked by nbgrader, whose packages the course doesn't need."""
    try:
        session.install("-e", ".[course]", "nbgrader==0.9.6")
        session.run("python", "tests/tools/nbgrader_round.py")
    finally:
        shutil.rmtree(session.virtualenv.location)


@nox.session(python="3.12")
def hosted(session: nox.Session) -> None:
    """Every notebook with a hosted runtime's packages, outside the repository; its first cell installs the course."""
    try:
        session.install(*HOSTED.split(), "papermill==2.7.0")
        wheels = Path(session.create_tmp())
        session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), ".")
        [wheel] = wheels.glob("ddpm_lib-*.whl")
        environment = {"PYTHONPATH": "tools"}
        session.run("python", "tests/tools/hosted_round.py", str(wheel), *session.posargs, env=environment)
    finally:
        shutil.rmtree(session.virtualenv.location)
