"""Is this machine ready for the course? What notebook 00 asks: packages, data, memory and disk."""

import platform
import shutil
from importlib import metadata

import psutil
from packaging.requirements import Requirement

from ddpm_lib.data import default_root, has_full_mnist
from ddpm_lib.precision import describe_machine

EXTRAS = ("data", "evaluation", "lab", "hosted")  # of pyproject.toml: what the notebooks use beside the engine
ENOUGH_MEMORY, ENOUGH_DISK = 1.5, 1.0  # GiB


def missing_packages() -> list[str]:
    """What the course needs and this Python lacks, or has in a version that doesn't fit; such as "matplotlib>=3.10"."""
    try:
        needs = [Requirement(line) for line in metadata.requires("ddpm_lib") or []]
    except metadata.PackageNotFoundError:  # its folder is there, but nobody installed it
        return ["ddpm_lib"]
    return [f"{need.name}{need.specifier}" for need in needs if _applies(need) and not _fits(need)]


def _applies(need: Requirement) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": name}) for name in EXTRAS)


def _fits(need: Requirement) -> bool:
    try:
        return need.specifier.contains(metadata.version(need.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def readiness() -> str:
    """Lines for people: Python, where the course computes, which digits are there, and whether there is room."""
    memory, disk = psutil.virtual_memory().available / 2**30, shutil.disk_usage(".").free / 2**30
    lines = {
        "Python": f"{platform.python_version()} · JupyterLab {_version('jupyterlab')}",
        "computes": f"on {describe_machine()}",
        "data": "all 70,000 digits of MNIST"
        if has_full_mnist(default_root())
        else "5,000 digits of MNIST, built in: fine",
        "memory": f"{memory:.1f} GiB free: {'enough' if memory > ENOUGH_MEMORY else 'tight, close other programs'}",
        "disk": f"{disk:.1f} GiB free: {'enough' if disk > ENOUGH_DISK else 'tight, a notebook may fail to save'}",
    }
    return "\n".join(f"{name:<9}{text}" for name, text in lines.items())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "isn't here"
