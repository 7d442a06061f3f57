"""The package as a whole: what importing it costs, which way its imports point, and what it never does."""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import ddpm_lib

FOLDER = Path(ddpm_lib.__file__).parent
SOURCES = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__"}

# A file may import from those before it, and from no other ("arrows go up this table only").
ORDER = [
    "precision", "schedule", "unet", "data", "plots", "ddpm", "distributed", "checkpoint", "snapshot", "sampling",
    "training", "environment", "evaluation", "command", "widgets", "exercise", "checks",
]  # fmt: skip
LEAVES = {"precision", "schedule", "unet", "data", "plots", "exercise"}
PUBLIC = [
    "DDPM", "NoiseSchedule", "TrainConfig", "UNet", "UNetConfig", "load_checkpoint", "load_mnist", "morph", "sample",
    "sample_steps", "save_checkpoint", "train",
]  # fmt: skip

every_source = pytest.mark.parametrize("name", SOURCES)


def tree(name):
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


def imports(name):
    """Dotted names of everything that a file imports, also inside functions.

    Not what stands under `if __name__ == "__main__":`, which is what the file does as a program.
    """
    found = set()
    as_program = ast.dump(ast.parse('__name__ == "__main__"', mode="eval").body)
    module = tree(name)
    module.body = [node for node in module.body if not (isinstance(node, ast.If) and ast.dump(node.test) == as_program)]
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}.py imports relatively"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_from_package(name):
    return {module.split(".")[1] for module in imports(name) if module.startswith("ddpm_lib.")} & SOURCES.keys()


def dotted(node):
    """a.b.c as text, or "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


# ---------------------------------------------------------------------------- imports


@pytest.fixture(scope="module")
def fresh_python():
    """What a fresh Python finds after `import ddpm_lib`, and after a training, a sample and a figure."""
    code = """
import json, sys, torch
heavy = {"matplotlib", "ipywidgets", "torchmetrics", "torchvision", "IPython", "scipy", "tensorboard", "diffusers"}
def settings():
    return torch.get_rng_state().tolist(), torch.get_num_threads(), str(torch.get_default_dtype())
torch.manual_seed(3)
before = settings()
from ddpm_lib import *
found = {"settings kept": settings() == before, "by import": sorted(heavy & sys.modules.keys())}
ddpm = DDPM(UNet(UNetConfig((1, 1, 1), 1)), NoiseSchedule.cosine(5))
train_set, _ = load_mnist(source="embedded")
for record in train(ddpm, train_set, TrainConfig(steps=1, batch_size=2)):
    pass
sample(ddpm, [1], steps=1)
found["by use"] = sorted(heavy & sys.modules.keys())
from ddpm_lib.course import plots
plots.png(plots.digits(torch.rand(1, 1, 28, 28)))
print(json.dumps(found | {"pyplot": "matplotlib.pyplot" in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_imports_nothing_heavy(fresh_python):
    assert fresh_python["by import"] == []


def test_training_and_sampling_import_nothing_heavy_either(fresh_python):
    assert fresh_python["by use"] == []


def test_importing_touches_neither_the_random_numbers_nor_the_settings_of_torch(fresh_python):
    assert fresh_python["settings kept"]


def test_figures_are_made_without_pyplot(fresh_python):
    assert not fresh_python["pyplot"]


def test_every_file_has_its_place_in_the_order():
    assert SOURCES.keys() <= set(ORDER), "say in ORDER, and in the design's table, where the new file stands"


@every_source
def test_imports_point_up_the_table(name):
    above = set() if name in LEAVES else set(ORDER[: ORDER.index(name)])
    assert imports_from_package(name) <= above
    assert "ddpm_lib" not in imports(name)  # which would be a circle


@pytest.mark.parametrize(
    ("library", "only_in"),
    [("matplotlib", "plots"), ("ipywidgets", "widgets"), ("torchmetrics", "evaluation"), ("mlxtend", "data")],
)
def test_some_libraries_are_imported_in_one_file_only(library, only_in):
    assert {name for name in SOURCES if any(f"{m}.".startswith(f"{library}.") for m in imports(name))} <= {only_in}


def test_diffusers_is_never_imported():
    assert not [name for name in SOURCES if any(f"{m}.".startswith("diffusers.") for m in imports(name))]


# ---------------------------------------------------------------------------- public names


def test_the_public_names_that_exist_are_exported():
    defined = {
        node.name for name in SOURCES for node in tree(name).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert set(PUBLIC) & defined <= set(ddpm_lib.__all__)
    assert set(PUBLIC) <= defined


def test_everything_that_is_exported_exists_and_says_what_it_is():
    assert sorted(ddpm_lib.__all__) == ddpm_lib.__all__
    for name in ddpm_lib.__all__:
        assert getattr(ddpm_lib, name).__doc__, name


@every_source
def test_every_public_function_and_class_says_what_it_is(name):
    assert ast.get_docstring(tree(name))
    for node in tree(name).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


# ---------------------------------------------------------------------------- what the library never does


@every_source
def test_no_pickle_no_global_seed_no_global_figure(name):
    modules = imports(name)
    for forbidden in ("pickle", "dill", "cloudpickle", "joblib", "shelve", "matplotlib.pyplot", "pylab"):
        assert not any(f"{module}.".startswith(f"{forbidden}.") for module in modules), forbidden
    calls = {dotted(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}
    seeds = {"torch.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "torch.seed", "random.seed"}
    seeds |= {"np.random.seed", "numpy.random.seed", "torch.set_rng_state", "torch.random.manual_seed"}
    # These three do it within fork_rng, which puts the state back: torchmetrics, a learner's function, initial weights.
    if name not in ("evaluation", "exercise", "command"):
        assert not any(call.endswith("default_generator.manual_seed") for call in calls)
    assert not calls & (seeds | {"torch.load", "eval", "exec", "torch.set_default_dtype", "torch.set_num_threads"})
    keywords = {
        (k.arg, getattr(k.value, "value", None))
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        for k in node.keywords
    }
    assert ("weights_only", False) not in keywords
    assert ("allow_pickle", True) not in keywords


@every_source
def test_no_default_argument_is_ever_changed(name):
    """`metadata={}` is in the public interface: it must stay empty, so nothing in the file may write to it."""
    for function in ast.walk(tree(name)):
        if isinstance(function, ast.FunctionDef):
            arguments = [*function.args.posonlyargs, *function.args.args]
            pairs = zip(arguments[::-1], function.args.defaults[::-1], strict=False)
            mutable = {a.arg for a, default in pairs if isinstance(default, ast.Dict | ast.List | ast.Set)}
            for node in ast.walk(function):
                if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                    assert dotted(node.value) not in mutable
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    assert (
                        node.func.attr not in {"update", "setdefault", "pop", "clear"}
                        or dotted(node.func.value) not in mutable
                    )


# ---------------------------------------------------------------------------- the machine


def test_the_best_device_exists():
    assert torch.zeros(1, device=ddpm_lib.best_device()).item() == 0


def test_the_machine_is_described_in_one_line():
    line = ddpm_lib.describe_machine()
    assert "\n" not in line
    assert f"torch {torch.__version__}" in line


@pytest.mark.parametrize(
    ("capabilities", "speedup", "fast"),
    [
        ({"amx_bf16": True}, None, True),  # nothing is timed
        ({"avx512_bf16": True}, 2.1, True),  # as on an AMD EPYC
        ({"avx512_bf16": True}, 0.6, False),  # as on a Xeon without AMX
        ({}, None, False),
    ],
)
def test_autocast_is_bfloat16_exactly_where_that_is_fast(capabilities, speedup, fast, monkeypatch):
    from ddpm_lib import precision

    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(precision, "_bf16_speedup", lambda: speedup)
    assert precision.has_fast_bf16(cpu) is fast
    with precision.autocast(cpu):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if fast else torch.float32)
    assert precision.has_fast_bf16(torch.device("mps")) is False


def test_timing_bfloat16_is_quick_done_once_and_draws_nothing(global_rng_untouched):
    from ddpm_lib import precision

    precision._bf16_speedup.cache_clear()
    with global_rng_untouched():
        start = time.perf_counter()
        first = precision._bf16_speedup()
        assert time.perf_counter() - start < 5
        assert precision._bf16_speedup() == first > 0
