"""Fetching MNIST from mirrors that are well, slow, dead or hostile: a server on the loopback stands in for them."""

import contextlib
import gc
import gzip
import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm_lib import data, load_mnist

# Connections that a mirror breaks off are closed when they are collected, and Python warns of that.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{w}") for w in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]
FILES = list(data.FULL_SHA256)
ROOT = Path(__file__).parents[2]


def idx(array):
    """The format of MNIST's files: a magic number with the number of axes, their lengths, the bytes."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


chance = np.random.default_rng(0)
DIGITS = {
    "train-images-idx3-ubyte": chance.integers(256, size=(60, 28, 28), dtype=np.uint8),
    "train-labels-idx1-ubyte": chance.integers(10, size=60, dtype=np.uint8),
    "t10k-images-idx3-ubyte": chance.integers(256, size=(9, 28, 28), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": chance.integers(10, size=9, dtype=np.uint8),
}
WHOLE = {name: idx(array) for name, array in DIGITS.items()}
ZIPPED = {name: gzip.compress(content, mtime=0) for name, content in WHOLE.items()}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in WHOLE.items()}
MD5 = [(f"{name}.gz", hashlib.md5(content).hexdigest()) for name, content in ZIPPED.items()]


class Mirror(http.server.ThreadingHTTPServer):
    """Serves ZIPPED; `answer(handler, content)` sends a file, and can be another for a mirror that is not well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked, self.over = whole, [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address):
        pass  # those who hang up are part of the tests


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        name = self.path.strip("/").removesuffix(".gz")
        self.server.asked.append(name)
        self.server.answer(self, ZIPPED[name])

    def log_message(self, *arguments):
        pass


def whole(handler, content, promised=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if promised is None else promised))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def mirror(monkeypatch):
    from torchvision.datasets import MNIST

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "DDPM_DATA"):
        monkeypatch.delenv(name, raising=False)
    with Mirror() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(MNIST, "mirrors", [server.url])
        monkeypatch.setattr(MNIST, "resources", MD5)
        monkeypatch.setattr(data, "FULL_SHA256", SHA256)
        yield server
        server.over.set()
        server.shutdown()
    gc.collect()  # here, where Python's warning of what a mirror broke off is expected, and not in a later test


def assert_loaded(loaded):
    arrays = list(DIGITS.values())
    for part, images, labels in zip(loaded, arrays[::2], arrays[1::2], strict=True):
        assert torch.equal(part.tensors[0], torch.from_numpy(images)[:, None] / 255)
        assert torch.equal(part.tensors[1], torch.from_numpy(labels).long())


def files_below(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@contextlib.contextmanager
def at_most(seconds):
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds


# ---------------------------------------------------------------------------- mirrors that are well


@pytest.mark.parametrize("folder", ["data", "ein Ordner/数字 ε", "a" * 200])
def test_the_full_set_is_fetched_once_and_nothing_else_is_left(folder, mirror, tmp_path):
    root = tmp_path / folder
    assert_loaded(load_mnist(root, "full"))
    assert set(mirror.asked) == set(FILES)
    asked = len(mirror.asked)
    assert files_below(tmp_path) == sorted(FILES)
    assert [path.name for path in root.iterdir()] == ["MNIST"]
    assert_loaded(load_mnist(root, "full"))
    assert_loaded(load_mnist(root, "auto"))
    assert len(mirror.asked) == asked


def test_what_an_older_torchvision_left_is_not_read(mirror, tmp_path):
    """Its processed files have no digest; and torch.load is what they would be read with."""
    load_mnist(tmp_path, "full")
    (tmp_path / "MNIST" / "processed").mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save(
            (torch.zeros(1, 28, 28, dtype=torch.uint8), torch.zeros(1).long()), tmp_path / "MNIST/processed" / name
        )
    assert_loaded(load_mnist(tmp_path, "full"))


@pytest.mark.parametrize("left", [1, 3])
def test_a_partial_set_is_completed(left, mirror, tmp_path):
    load_mnist(tmp_path, "full")
    for name in FILES[left:]:
        (tmp_path / "MNIST" / "raw" / name).unlink()
    assert_loaded(load_mnist(tmp_path, "full"))


def test_a_file_cut_short_on_the_disk_is_named_and_not_believed(mirror, tmp_path):
    load_mnist(tmp_path, "full")
    path = tmp_path / "MNIST" / "raw" / FILES[2]
    path.write_bytes(WHOLE[FILES[2]][:500])
    for source in ("full", "auto"):
        with pytest.raises(ValueError, match=FILES[2]):
            load_mnist(tmp_path, source)
    path.unlink()  # as the message says
    assert_loaded(load_mnist(tmp_path, "full"))


PREPARE = """
import json, sys
from torchvision.datasets import MNIST
from ddpm_lib import data, load_mnist
url, root, MNIST.resources, sha256 = json.loads(sys.argv[1])
MNIST.mirrors = [url]
data.FULL_SHA256.update(sha256)
print("ready", flush=True)
sys.stdin.readline()
train, test = load_mnist(root, "full")
print(len(train), len(test))
"""


def test_two_processes_prepare_one_folder_at_once(mirror, tmp_path):
    """Slowly, so that each would find the other's half-written files if it looked at them."""

    def slow(handler, content):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for start in range(0, len(content), 4096):
            handler.wfile.write(content[start : start + 4096])
            time.sleep(0.02)

    mirror.answer = slow
    argument = json.dumps([mirror.url, str(tmp_path / "data"), MD5, SHA256])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", PREPARE, argument], env=environment, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert out.split()[-2:] == ["60", "9"], err
    assert min(map(mirror.asked.count, FILES)) >= 2  # both fetched: neither waited for the other
    assert files_below(tmp_path / "data") == sorted(FILES)
    assert_loaded(load_mnist(tmp_path / "data", "full"))


# ---------------------------------------------------------------------------- mirrors that are not


def hang_before(handler, content):
    handler.server.over.wait(60)


def hang_within(handler, content):
    whole(handler, content[:100], promised=len(content))
    handler.wfile.flush()
    handler.server.over.wait(60)


def stop_early(handler, content):
    whole(handler, content[:100], promised=len(content))


def nonsense(handler, content):
    handler.wfile.write(b"\x00\xff nonsense\r\n\r\n")


def error_404(handler, content):
    handler.send_error(404)


def login_page(handler, content):
    whole(handler, b"<html>Please log in to the campus network</html>")


def tampered(handler, content):
    whole(handler, content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


@pytest.mark.parametrize("answer", [hang_before, hang_within, stop_early, nonsense, error_404, login_page, tampered])
def test_a_mirror_that_is_not_well_is_an_os_error_in_time_and_leaves_nothing(
    answer, mirror, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 0.5)
    mirror.answer = answer
    with at_most(15), pytest.raises(OSError):  # noqa: PT011 (each with a message of its own)
        load_mnist(tmp_path / "data", "full")
    assert files_below(tmp_path) == []
    assert socket.getdefaulttimeout() is None
    mirror.answer = whole
    assert_loaded(load_mnist(tmp_path / "data", "full"))


def test_other_digits_with_a_right_md5_are_refused(mirror, tmp_path, monkeypatch):
    """torchvision's MD5 can be forged; the SHA-256 here decides."""
    monkeypatch.setattr(data, "FULL_SHA256", SHA256 | {FILES[1]: "0" * 64})
    with pytest.raises(ValueError, match=FILES[1]):
        load_mnist(tmp_path, "full")


def test_nobody_listens(mirror, tmp_path, monkeypatch):
    from torchvision.datasets import MNIST

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{probe.getsockname()[1]}/"])
        with at_most(15), pytest.raises(OSError, match="MNIST"):
            load_mnist(tmp_path, "full")


# ---------------------------------------------------------------------------- no network, no room

OFFLINE = """
import socket, sys, time
def refuse(*arguments, **options):
    print("tried the network")
    raise socket.gaierror(socket.EAI_NONAME, "no network")
socket.getaddrinfo = socket.socket.connect = refuse
start = time.perf_counter()
from ddpm_lib import load_mnist
train, test = load_mnist(sys.argv[1])
print(len(train), len(test), time.perf_counter() - start)
try:
    load_mnist(sys.argv[1], "full")
except OSError as error:
    print(type(error).__name__, time.perf_counter() - start, error)
"""


def test_without_a_network_there_are_digits_within_ten_seconds(tmp_path):
    """… and the full set is an error, not a wait. Seconds of this process's own, so that a busy machine may be slow."""
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE.replace("perf_counter", "process_time"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    embedded = next(line for line in lines if line.startswith("4500 500"))
    assert float(embedded.split()[2]) < 10
    assert "tried the network" not in lines[: lines.index(embedded)]
    assert [line for line in lines if line.startswith("OSError") and str(tmp_path) in line]


def test_a_place_that_is_no_folder_is_an_os_error(mirror, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        load_mnist(tmp_path / "file", "full")
    assert mirror.asked == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read(mirror, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(OSError, match="data"):
        load_mnist(folder, "full")
    folder.chmod(0o755)


def test_loading_writes_nothing_where_all_is_there(mirror, tmp_path):
    """So a folder that may only be read will do."""
    load_mnist(tmp_path, "full")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert_loaded(load_mnist(tmp_path, "full"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
