"""Digits: what is in them, and that nothing is ever downloaded that wasn't asked for."""

import gzip
import hashlib
import http.client
import os
import re
import shutil
import socket
import urllib.error
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import data, load_mnist

REAL = os.environ.get("DDPM_DATA")  # read before the tests below set it to something else
FILES = list(data.FULL_SHA256)


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Whoever opens a connection fails; the user's cache folder is an empty one."""

    def refuse(*arguments, **options):
        raise AssertionError("something tried to use the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("DDPM_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda app: str(tmp_path / "cache" / app))


@pytest.fixture
def downloads(monkeypatch):
    """Every torchvision download that is begun, as the socket time-out at that moment; it ends in `error`."""
    from torchvision.datasets import MNIST

    class Downloads(list):
        error = RuntimeError("Error downloading")

    begun = Downloads()

    def download(self):
        if not self._check_exists():  # torchvision itself returns then
            begun.append(socket.getdefaulttimeout())
            raise begun.error

    monkeypatch.setattr(MNIST, "download", download)
    return begun


def fake_full_set(root):
    """Four files with the right names and anything inside."""
    raw = Path(root) / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).write_bytes(b"not a digit " + name.encode())
    return raw


# ---------------------------------------------------------------------------- the embedded digits


@pytest.fixture(scope="module")
def embedded():
    return load_mnist(source="embedded")


def test_embedded_digits_are_4500_and_500_in_the_promised_form(embedded):
    for part, n in zip(embedded, (4500, 500), strict=True):
        assert isinstance(part, TensorDataset)
        images, labels = part.tensors
        assert images.shape == (n, 1, 28, 28)
        assert images.dtype == torch.float32
        assert labels.shape == (n,)
        assert labels.dtype == torch.long
        assert (images.min(), images.max()) == (0, 1)
        assert torch.equal((images * 255).round() / 255, images)  # eight bits, divided by 255 and not by 256


def test_embedded_digits_have_all_classes_in_equal_number(embedded):
    for part, n in zip(embedded, (450, 50), strict=True):
        assert part.tensors[1].bincount().tolist() == [n] * 10


def test_no_held_out_digit_is_trained_on(embedded):
    train, test = ({hashlib.sha256(image.numpy()).digest() for image in part.tensors[0]} for part in embedded)
    assert len(train) == 4500
    assert len(test) == 500
    assert not train & test


def test_images_and_labels_belong_together(embedded):
    """The nearest class mean, learned on one part, knows most of the other: labels in another order would give 10 %."""
    (images, labels), (held_out, answers) = (part.tensors for part in embedded)
    means = torch.stack([images[labels == digit].mean(dim=0).flatten() for digit in range(10)])
    guesses = torch.cdist(held_out.flatten(1), means).argmin(dim=1)
    assert (guesses == answers).float().mean() > 0.75
    # … and they stand upright: an image and its transpose are not alike.
    assert (torch.cdist(held_out.mT.flatten(1), means).argmin(dim=1) == answers).float().mean() < 0.6


def test_embedded_digits_are_the_same_for_everybody_and_not_shared(embedded, global_rng_untouched):
    with global_rng_untouched():
        again = load_mnist(source="embedded")
    for part, other in zip(embedded, again, strict=True):
        for tensor, copy in zip(part.tensors, other.tensors, strict=True):
            assert torch.equal(tensor, copy)
            assert tensor.data_ptr() != copy.data_ptr()  # changing one loading changes no other


def test_embedded_digits_look_at_no_folder(tmp_path, capsys):
    train, _ = load_mnist(root=tmp_path / "not there", source="embedded")
    assert len(train) == 4500
    assert capsys.readouterr().out == ""
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------------- auto


def test_auto_without_the_full_set_is_embedded_says_so_in_one_line_and_never_downloads(tmp_path, capsys, downloads):
    train, test = load_mnist(root=tmp_path)
    assert (len(train), len(test)) == (4500, 500)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "embedded" in out
    assert downloads == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("missing", FILES)
def test_auto_with_one_file_missing_is_embedded(missing, tmp_path, capsys, downloads):
    (fake_full_set(tmp_path) / missing).unlink()
    train, _ = load_mnist(root=tmp_path)
    assert len(train) == 4500
    assert downloads == []


def test_auto_takes_what_lies_under_root_even_if_only_to_say_that_it_is_damaged(tmp_path, capsys):
    fake_full_set(tmp_path)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        load_mnist(root=tmp_path)
    assert str(tmp_path) in capsys.readouterr().out


# ---------------------------------------------------------------------------- where the full set is looked for


def test_the_folder_is_root_then_the_environments_then_a_cache_never_the_current_one(tmp_path, monkeypatch, capsys):
    for name in ("root", "environment", "cache/ddpm_lib", "here"):
        fake_full_set(tmp_path / name)
    monkeypatch.chdir(tmp_path / "here")
    for environment, root, folder in [
        ("environment", "root", "root"),
        ("environment", None, "environment"),
        ("", None, "cache"),
        (None, None, "cache"),
    ]:
        if environment is not None:
            monkeypatch.setenv("DDPM_DATA", environment and str(tmp_path / environment))
        else:
            monkeypatch.delenv("DDPM_DATA")
        for source in ("auto", "full"):
            with pytest.raises(ValueError, match=re.escape(str(tmp_path / folder))):
                load_mnist(root=root and tmp_path / root, source=source)


# ---------------------------------------------------------------------------- full


@pytest.mark.parametrize("good", range(4))
def test_a_damaged_file_is_named(good, tmp_path, monkeypatch, downloads):
    """The first `good` files are right as far as the digest goes; the next one is the one to name."""
    raw = fake_full_set(tmp_path)
    digests = data.FULL_SHA256 | {name: hashlib.sha256((raw / name).read_bytes()).hexdigest() for name in FILES[:good]}
    monkeypatch.setattr(data, "FULL_SHA256", digests)
    with pytest.raises(ValueError, match=re.escape(str(raw / FILES[good]))):
        load_mnist(root=str(tmp_path), source="full")
    assert downloads == []


@pytest.mark.parametrize(
    ("content", "why"),
    [(lambda: idx(torch.zeros(9, 28, 28, dtype=torch.uint8)), "its SHA-256 is not MNIST's"),
     (lambda: idx(torch.arange(9, dtype=torch.uint8)), "its SHA-256 is not MNIST's"),
     (lambda: bytes(100), "its SHA-256 is not MNIST's"), (lambda: b"", "it is empty"),
     (lambda: b"<!DOCTYPE html><html>", "it looks like a web page")],
)  # fmt: skip
def test_what_is_wrong_with_a_damaged_file_is_said_in_words_of_its_kind(content, why, tmp_path):
    raw = fake_full_set(tmp_path)
    (raw / FILES[0]).write_bytes(content())
    with pytest.raises(ValueError, match=f"{FILES[0]} is damaged .{why}") as error:
        load_mnist(root=tmp_path, source="full")
    assert "header" not in str(error.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Error downloading train-images"),
        RuntimeError("File not found or corrupted."),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
        urllib.error.URLError("no route"),
        http.client.BadStatusLine("<html>"),
        http.client.IncompleteRead(b""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_download_is_an_os_error(error, tmp_path, downloads):
    downloads.error = error
    with pytest.raises(OSError):  # noqa: PT011 (each with a message of its own)
        load_mnist(root=tmp_path, source="full")
    assert len(downloads) == 1


@pytest.mark.parametrize("before", [None, 7.5])
def test_a_download_can_time_out_and_the_time_out_is_put_back(before, tmp_path, downloads, monkeypatch):
    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 12)
    socket.setdefaulttimeout(before)
    try:
        with pytest.raises(OSError, match=re.escape(str(tmp_path))):
            load_mnist(root=tmp_path, source="full")
        assert downloads == [12]
        assert socket.getdefaulttimeout() == before
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.parametrize("source", ["Full", "", None, 1, "mnist"])
def test_another_source_is_refused(source):
    with pytest.raises(ValueError, match="source"):
        load_mnist(source=source)


def idx(array):
    """The format of MNIST's files: a magic number with the number of axes, their lengths, the bytes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.numpy().tobytes()


@pytest.mark.parametrize("source", ["full", "auto"])
def test_a_full_set_is_read_from_its_files(source, tmp_path, monkeypatch, downloads, capsys):
    """A set of 6 + 3 digits in MNIST's format, declared to be the right one."""
    raw = fake_full_set(tmp_path)
    images = torch.randint(256, (9, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5], dtype=torch.uint8)
    for name, content in zip(FILES, (images[:6], labels[:6], images[6:], labels[6:]), strict=True):
        (raw / name).write_bytes(idx(content))
    digests = {name: hashlib.sha256((raw / name).read_bytes()).hexdigest() for name in FILES}
    monkeypatch.setattr(data, "FULL_SHA256", digests)

    train, test = load_mnist(root=tmp_path, source=source)
    assert downloads == []
    for part, where in ((train, slice(0, 6)), (test, slice(6, 9))):
        assert torch.equal(part.tensors[0], images[where, None] / 255)
        assert torch.equal(part.tensors[1], labels[where].long())


@pytest.mark.skipif(not REAL, reason="the full set is tested where DDPM_DATA says that it is")
def test_the_real_full_set(tmp_path):
    train, test = load_mnist(root=REAL, source="full")
    for part, n in ((train, 60_000), (test, 10_000)):
        images, labels = part.tensors
        assert images.shape == (n, 1, 28, 28)
        assert (images.min(), images.max()) == (0, 1)
        assert len(labels.bincount()) == 10

    # One byte of a copy changed, and it is no longer MNIST.
    shutil.copytree(Path(REAL) / "MNIST" / "raw", tmp_path / "MNIST" / "raw")
    damaged = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    content = bytearray(damaged.read_bytes())
    content[5000] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=damaged.name):
        load_mnist(root=tmp_path, source="full")


@pytest.mark.skipif(not REAL, reason="the full set is tested where DDPM_DATA says that it is")
def test_the_embedded_digits_are_part_of_the_real_training_set(embedded):
    train, _ = load_mnist(root=REAL, source="full")
    full = {(image.numpy().tobytes(), int(label)) for image, label in zip(*train.tensors, strict=True)}
    for part in embedded:
        assert all((image.numpy().tobytes(), int(label)) in full for image, label in zip(*part.tensors, strict=True))


# ---------------------------------------------------------------------------- files that were put there by hand


def small_file(name):
    """A small file of this name as MNIST has them: two black digits, or two labels."""
    images = "images" in name
    return bytes([0, 0, 8, 3, *([0] * 12)]) + bytes(2 * 784) if images else bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 7])


@pytest.fixture
def small_mnist(monkeypatch):
    monkeypatch.setattr(data, "FULL_SHA256", {name: hashlib.sha256(small_file(name)).hexdigest() for name in FILES})


PLACES = {
    "packed, where the raw ones belong": lambda name: f"MNIST/raw/{name}.gz",
    "packed, in root": lambda name: f"{name}.gz",
    "packed, beside the folder of the raw ones": lambda name: f"MNIST/{name}.gz",
    "packed, where the folder MNIST itself is root": lambda name: f"raw/{name}.gz",
    "raw, in root": lambda name: name,
    "with a dot in the name": lambda name: name.replace("-idx", ".idx"),
    "packed, with a dot": lambda name: "MNIST/raw/" + name.replace("-idx", ".idx") + ".gz",
    "some of each": lambda name: f"{name}.gz" if "train" in name else f"MNIST/raw/{name}",
}


@pytest.mark.parametrize("others", [False, True], ids=["", "a browser has unpacked or packed them"])
@pytest.mark.parametrize("place", PLACES)
def test_files_that_were_put_there_by_hand_are_used(place, others, small_mnist, tmp_path, downloads, capsys):
    for name in FILES:
        path = tmp_path / PLACES[place](name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(small_file(name)) if (path.suffix == ".gz") != others else small_file(name))
    before = sorted(tmp_path.rglob("*"))
    for source in ("full", "auto"):
        for part in load_mnist(tmp_path, source):
            assert part.tensors[0].shape == (2, 1, 28, 28)
            assert part.tensors[1].tolist() == [3, 7]
    assert "the full" in capsys.readouterr().out
    assert downloads == []
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked to the disk


DAMAGED = {
    "other bytes": gzip.compress(b"other bytes"),
    "a bomb": gzip.compress(bytes(10**8)),
    "cut off": gzip.compress(small_file(FILES[0]))[:-9],
    "a page": b"<!DOCTYPE html>",
    "empty": b"",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_packed_file_is_named(kind, small_mnist, tmp_path, downloads):
    for name in FILES:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(small_file(name)))
    bad = tmp_path / f"{FILES[2]}.gz"
    bad.write_bytes(DAMAGED[kind])
    with pytest.raises(ValueError, match=re.escape(str(bad))) as error:
        load_mnist(tmp_path, "full")
    assert downloads == []
    if kind == "a page":
        assert "web page" in str(error.value)


def test_auto_says_which_file_is_missing_where_there_are_some(small_mnist, tmp_path, capsys):
    for name in FILES[:3]:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(small_file(name)))
    train, _ = load_mnist(tmp_path)
    assert len(train) == 4500
    assert FILES[3] in capsys.readouterr().out


def test_a_tilde_is_the_home_folder_in_root_and_in_the_environment(small_mnist, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # its name on Windows
    (tmp_path / "here").mkdir()
    for name in FILES:
        (tmp_path / "here" / name).write_bytes(small_file(name))
    assert len(load_mnist("~/here", "full")[0]) == 2
    assert len(load_mnist(Path("~/here"), "full")[0]) == 2
    monkeypatch.setenv("DDPM_DATA", "~/here")
    assert len(load_mnist(source="full")[0]) == 2
    monkeypatch.setenv("DDPM_DATA", "~nobody-has-this-name/here")
    with pytest.raises(ValueError, match="DDPM_DATA"):
        load_mnist(source="full")
