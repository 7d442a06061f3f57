"""The package as a whole: its rooms and which way imports point, what importing it costs, and what it never does."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import ddpm_lib

FOLDER = Path(ddpm_lib.__file__).parent
ROOT = FOLDER.parent

# Each room, and those right above it. It may import from these, and from whatever stands above them.
ROOMS = {
    "interrupts": set(),
    "conversions": set(),
    "foreign": set(),
    "guards": {"conversions"},
    "console": set(),
    "extras": {"interrupts"},
    "files": {"guards", "foreign"},
    "precision": set(),
    "schedule": {"guards"},
    "unet": {"guards"},
    "ddpm": {"schedule", "unet", "precision"},
    "folding": {"ddpm"},
    "sampling": {"folding", "precision", "data"},
    "editing": {"sampling"},
    "morph": {"sampling"},
    "checkpoint": {"ddpm", "files"},
    "distillation": {"sampling", "training"},
    "data": {"guards", "extras", "foreign"},
    "letters": {"guards", "extras"},
    "folder": {"files", "extras"},
    "training": {"checkpoint", "console", "data", "letters", "folder", "precision", "interrupts"},
    "evaluation": {"ddpm", "files", "precision", "extras"},
    "judge": {"evaluation", "training"},
    "widgets": {"sampling", "evaluation"},
    "course": {"editing", "morph", "distillation", "widgets", "letters", "folder", "judge"},
}
# These refuse files, which are no arguments, and say what is wrong in the file.
READ_FILES = {"files", "checkpoint", "data", "folder", "training.snapshot"}
PUBLIC = [
    "DDPM", "DistillConfig", "NoiseSchedule", "TrainConfig", "UNet", "UNetConfig", "distill", "edit", "hold_out",
    "inpaint", "load_checkpoint", "load_folder", "load_letters", "load_mnist", "make_reference", "morph", "sample",
    "sample_steps", "save_checkpoint", "student_of", "train",
]  # fmt: skip


def name_of(path):
    """ "training.snapshot" for ddpm_lib/training/snapshot.py, "training" for ddpm_lib/training/__init__.py."""
    parts = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# All files but ddpm_lib/__init__.py, which only exports.
SOURCES = {name_of(path): path for path in sorted(FOLDER.rglob("*.py")) if path != FOLDER / "__init__.py"}
LIBRARY = [name for name in SOURCES if name.partition(".")[0] != "course"]

every_source = pytest.mark.parametrize("name", SOURCES)
every_library_source = pytest.mark.parametrize("name", LIBRARY)


def tree(name):
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


def imports(name):
    """Dotted names of everything that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_imported(name):
    """The files of the package that a file imports."""
    return {module.removeprefix("ddpm_lib.") for module in imports(name)} & SOURCES.keys()


def above(room):
    """All rooms above this one in the table."""
    return ROOMS[room] | {higher for near in ROOMS[room] for higher in above(near)}


def dotted(node):
    """a.b.c as text, or "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


# ---------------------------------------------------------------------------- rooms


def test_every_file_lies_in_a_room_of_the_table():
    assert {name.partition(".")[0] for name in SOURCES} <= ROOMS.keys(), "say in ROOMS where it stands"


@every_source
def test_imports_point_up_the_table(name):
    room = name.partition(".")[0]
    assert {file.partition(".")[0] for file in files_imported(name)} <= above(room) | {room}


@every_library_source
def test_nothing_in_the_library_imports_what_the_package_exports(name):
    """That is for those outside; within, it would be a circle. `from ddpm_lib import guards` imports a file."""
    from_package = {module.split(".")[1] for module in imports(name) if module.startswith("ddpm_lib.")}
    assert from_package <= SOURCES.keys()
    assert "ddpm_lib" not in imports(name) or from_package


def test_no_files_import_each_other_in_a_circle():
    list(graphlib.TopologicalSorter({name: files_imported(name) for name in SOURCES}).static_order())


@every_library_source
def test_nothing_outside_the_course_imports_from_it(name):
    assert not {file for file in files_imported(name) if file.partition(".")[0] == "course"}


@pytest.mark.parametrize(
    ("library", "only_in"),
    [("ipywidgets", "widgets"), ("torchmetrics", "evaluation"), ("mlxtend", "data"), ("platformdirs", "data")],
)
def test_some_libraries_are_imported_in_one_file_of_the_library_only(library, only_in):
    assert {name for name in LIBRARY if any(f"{m}.".startswith(f"{library}.") for m in imports(name))} <= {only_in}


@every_source
def test_diffusers_is_never_imported_nor_matplotlib_outside_the_course(name):
    forbidden = ("diffusers.", "matplotlib.") if name in LIBRARY else ("diffusers.",)
    assert not [module for module in imports(name) if f"{module}.".startswith(forbidden)]


@every_library_source
def test_arguments_are_refused_in_guards_only(name):
    """Elsewhere a file is refused, or an error is passed on in other words."""
    if name == "guards" or name in READ_FILES:
        return
    whole = tree(name)
    handlers = [node for node in ast.walk(whole) if isinstance(node, ast.ExceptHandler)]
    passed_on = {id(node) for handler in handlers for node in ast.walk(handler)}
    for node in ast.walk(whole):
        if isinstance(node, ast.FunctionDef):
            assert not node.name.lstrip("_").startswith("check"), f"{node.name} belongs into guards.py"
        if isinstance(node, ast.Raise) and id(node) not in passed_on:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            assert dotted(error) not in ("ValueError", "TypeError"), f"line {node.lineno} belongs into guards.py"


# ---------------------------------------------------------------------------- nobody patches


def patched_names(source):
    """Where the code changes an attribute of what it has imported, as in `sampling.SAMPLERS = …`, or imports mock."""
    code = ast.parse(source)
    imported = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    patched = []
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            patched.append((dotted(node), node))
        if isinstance(node, ast.Call) and dotted(node.func) in ("setattr", "delattr"):
            patched.append((dotted(node.args[0]), node))
    found = [ast.unparse(node) for name, node in patched if name.partition(".")[0] in imported]
    return found + [name for name in ("mock", "MonkeyPatch") if name in imported]


def test_a_patched_name_is_noticed():
    assert patched_names("import a.b\na.b.c = 1\nx = 2\nx.y = 3") == ["a.b.c"]
    assert patched_names("from a import b as c\ndef f():\n    c.d, z = 1, 2\n    b.d = 3") == ["c.d"]
    assert patched_names("import a\nsetattr(a, 'b', 1)") == ["setattr(a, 'b', 1)"]
    assert patched_names("from unittest import mock\nwith mock.patch('a.b', 1):\n    pass") == ["mock"]


SCRIPTS = [*sorted((ROOT / "benchmarks").glob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))


@pytest.mark.parametrize("path", SCRIPTS + NOTEBOOKS, ids=lambda path: path.stem)
def test_no_script_and_no_notebook_patches_what_it_imports(path):
    if path.suffix == ".py":
        assert patched_names(path.read_text(encoding="utf-8")) == []
    else:
        cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        assert patched_names("\n".join(cells)) == []


# ---------------------------------------------------------------------------- what importing costs


def in_a_fresh_python(code):
    """The last line that the code prints in a process of its own, where a warning is an error; it is JSON."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def imported():
    """What a fresh Python that has imported torch, numpy and safetensors finds changed after `import ddpm_lib`."""
    return in_a_fresh_python("""
import json, sys, warnings
import torch, numpy, safetensors.torch
def settings():
    return [torch.get_rng_state().tolist(), torch.get_num_threads(), str(torch.get_default_dtype()), sys.path[:],
            str(warnings.filters)]
torch.manual_seed(3)
before, modules = settings(), set(sys.modules)
from ddpm_lib import *
new = {name.partition(".")[0] for name in set(sys.modules) - modules}
print(json.dumps({"new": sorted(new - sys.stdlib_module_names), "kept": settings() == before}))
""")


@pytest.fixture(scope="module")
def used():
    """The heavy libraries that are there after a training and a sample; and whether pyplot is, after a figure."""
    return in_a_fresh_python("""
import json, sys, torch
heavy = {"matplotlib", "ipywidgets", "torchmetrics", "torchvision", "IPython", "scipy", "tensorboard", "diffusers"}
from ddpm_lib import *
ddpm = DDPM(UNet(UNetConfig((1, 1, 1), 1)), NoiseSchedule.cosine(5))
train_set, _ = load_mnist(source="embedded")
for record in train(ddpm, train_set, TrainConfig(steps=1, batch_size=2)):
    pass
sample(ddpm, [1], steps=1)
found = sorted(heavy & sys.modules.keys())
from ddpm_lib.course import plots
plots.png(plots.digits(torch.rand(1, 1, 28, 28)))
print(json.dumps({"heavy": found, "pyplot": "matplotlib.pyplot" in sys.modules}))
""")


def test_importing_the_package_brings_in_torch_numpy_and_safetensors_only(imported):
    assert imported["new"] == ["ddpm_lib"]


def test_importing_changes_no_setting_of_torch_no_random_number_and_no_filter_of_warnings(imported):
    assert imported["kept"]


def test_training_and_sampling_import_nothing_heavy(used):
    assert used["heavy"] == []


def test_figures_are_made_without_pyplot(used):
    assert not used["pyplot"]


# ---------------------------------------------------------------------------- public names


def test_the_public_names_that_exist_are_exported():
    defined = {
        node.name for name in LIBRARY for node in tree(name).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
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
    if name not in ("evaluation", "course.sandbox", "training.__main__"):
        assert not any(call.endswith("default_generator.manual_seed") for call in calls)
    if name == "course.sandbox":  # puts back what a learner's code has changed
        calls -= {"torch.set_default_dtype"}
    assert not calls & (seeds | {"torch.load", "eval", "exec", "torch.set_default_dtype", "torch.set_num_threads"})
    keywords = {
        (k.arg, getattr(k.value, "value", None))
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        for k in node.keywords
    }
    assert ("weights_only", False) not in keywords
    assert ("allow_pickle", True) not in keywords


FILTERS = ("warnings.filterwarnings", "warnings.simplefilter", "filterwarnings", "simplefilter")


@every_source
def test_no_filter_of_warnings_outlives_its_block(name):
    def calls(node):
        return {id(part) for part in ast.walk(node) if isinstance(part, ast.Call) and dotted(part.func) in FILTERS}

    undone = set()
    for node in ast.walk(whole := tree(name)):
        if isinstance(node, ast.With) and any("catch_warnings(" in ast.unparse(item) for item in node.items):
            undone |= calls(node)
    assert calls(whole) <= undone


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
