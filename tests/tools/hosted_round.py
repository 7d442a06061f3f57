"""Every notebook on a hosted runtime's packages: noxfile.py runs it there.

    python tests/tools/hosted_round.py WHEEL [NOTEBOOK...]

Each notebook runs in an empty folder, and in a Python that doesn't have the course: its first cell installs WHEEL, as
it would install the repository. Nothing may change a package that the runtime's own Jupyter needs.
"""

import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import hosted
import papermill

JUPYTER = ["ipykernel", "ipython", "ipywidgets", "jupyter_client", "jupyter_core", "notebook", "pyzmq", "tornado",
           "traitlets", "widgetsnbextension"]  # fmt: skip
QUICK = {"budget_seconds": 4, "budget_eps_seconds": 3, "budget_flow_seconds": 3, "samples": 52, "noises": 4}
QUICK |= {"samples_per_weight": 50, "pool_samples": 200, "live_samples": 50, "live_seeds": 2, "denoise_steps": 5}
QUICK |= {"letters_per_class": 40, "judge_seconds": 3, "folder_seconds": 3}


def run(path: Path, wheel: Path) -> str:
    """Execute one notebook; what went wrong, or "ok"."""
    # The course, and what it brought that the runtime hadn't.
    remove = [sys.executable, "-m", "pip", "uninstall", "-q", "-y", "ddpm_lib", "torchmetrics", "lightning-utilities"]
    subprocess.run(remove, check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        text = hosted.with_cell(path.read_text(encoding="utf-8"), wheel.resolve().as_uri())
        copy.write_text(text, encoding="utf-8")
        names = papermill.inspect_notebook(copy)
        tried = subprocess.run([sys.executable, "-c", "import ddpm_lib"], cwd=folder, capture_output=True)
        assert tried.returncode, "this Python has another ddpm_lib"
        try:
            papermill.execute_notebook(
                copy, copy, {name: value for name, value in QUICK.items() if name in names},
                cwd=folder, progress_bar=False, kernel_name="python3", execution_timeout=1200, skip_cells_with_tag="",
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            return f"{error.ename} in cell [{error.exec_count}]: {error.evalue}\n" + "\n".join(error.traceback)
    return "ok"


if __name__ == "__main__":
    wheel, names = Path(sys.argv[1]), tuple(sys.argv[2:])
    before = {name: metadata.version(name) for name in JUPYTER}
    failed = 0
    for path in sorted((hosted.REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        if path.name.startswith(names or ""):
            start = time.perf_counter()
            said = run(path, wheel)
            after = {name: metadata.version(name) for name in JUPYTER}
            if after != before:
                said = f"the course changed packages of Jupyter: {before} became {after}"
            failed += said != "ok"
            print(f"{path.stem:<24}{time.perf_counter() - start:>5.0f} s {said}", flush=True)
    sys.exit(failed)
