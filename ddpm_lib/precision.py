"""The one place that decides where a model runs, in which precision, and on how many threads.

Precision    depends on the kind of processor alone, never on a timing: the same machine always draws the same digits
Threads      follow what other programs leave free, and are decided anew while a training, a sampling or the lab runs
"""

import contextlib
import functools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

# ---------------------------------------------------------------------------- device and precision


def best_device() -> torch.device:
    """cuda if there is one, else mps (Apple), else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 on this device: a CUDA GPU, a CPU with AMX, or an AMD CPU that has it.

    CPUs with AVX512-BF16 but without AMX differ: with bfloat16 a training took 0.7 times as long on an AMD EPYC, and
    longer than with float32 on a Xeon. The kind of the processor decides, since a timing goes wrong on a busy machine.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)  # older GPUs emulate it slowly
    if device.type == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        of_amd = str(capabilities.get("cpu_name", "")).startswith("AMD")
        return bool(capabilities.get("amx_bf16") or (of_amd and capabilities.get("avx512_bf16")))
    return False


def autocast(device: torch.device, bf16: bool | None = None) -> torch.autocast:
    """A context in which convolutions and matrix products run in bfloat16 where that is fast, else in float32.

    bf16: True or False decides instead of the device, for a training that goes on from a snapshot.
    """
    enabled = has_fast_bf16(device) if bf16 is None else bf16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@contextlib.contextmanager
def eval_mode(model: nn.Module | object) -> Iterator[None]:
    """Inside, the model is in eval mode; afterwards every submodule has the mode that it had before."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def unwrapped(module: object) -> object:
    """The module that torch.compile, a data-parallel module or an average holds; anything else as it is."""
    wrappers = nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel
    while isinstance(module, nn.Module):
        inner = module.module if isinstance(module, wrappers) else getattr(module, "_orig_mod", None)
        if inner is None:
            break
        module = inner
    return module


# ---------------------------------------------------------------------------- threads

WINDOW = 0.2  # seconds over which the load is measured; the system's clock counts hundredths
_TORCHS_OWN = torch.get_num_threads()


class _Load:
    """How many cores other programs keep busy, measured between two looks.

    Torch's threads wait for each other at every small operation. Where another program takes one of their cores, all
    of them wait for the thread that isn't running: two notebooks that train at once, each on all cores, are up to a
    hundred times slower. With one thread for each free core, a notebook is as fast as one thread on an idle machine.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.others, self.threads = 0.0, _TORCHS_OWN
        self.looked = self._look()

    def _look(self) -> tuple[float, float, float] | None:
        """Three numbers of seconds: on the clock, busy seconds of our cores, and those of this process."""
        try:
            lines = Path("/proc/stat").read_text().splitlines()
            cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        except (OSError, AttributeError):  # only Linux says it; elsewhere torch's number is kept
            return None
        fields = [list(map(int, line.split()[1:9])) for line in lines if line.split()[0] in cores]
        busy = sum(sum(field) - field[3] - field[4] for field in fields)  # without: idle, waiting for a disk
        return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), time.process_time()

    def _running(self) -> int:
        """How many threads of all programs run or want to run, at this moment."""
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])

    def free_threads(self) -> int:
        """The number of threads for now: one for each core that is free, at least 1, at most torch's default."""
        with self.lock:
            before = self.looked
            if before is None or time.perf_counter() - before[0] < WINDOW:
                return self.threads
            self.looked = now = self._look()
            seconds, busy, own = (b - a for a, b in zip(before, now, strict=True))
            self.others = max(0.0, (busy - own) / seconds)
            if seconds > 5 * WINDOW:  # the mean of a long pause says little about now
                self.others = max(self.others, self._running() - 1)  # without this thread
            free = len(os.sched_getaffinity(0)) - self.others
            # The number rises only if a core is clearly free, so that it does not change at every look.
            more = int(free + 0.25)
            self.threads = min(_TORCHS_OWN, max(1, more if more > self.threads else min(self.threads, round(free))))
            return self.threads


_load = _Load()


_set_num_threads, _users_own = torch.set_num_threads, threading.Event()


@functools.wraps(_set_num_threads)
def _noted(number: int) -> None:
    _set_num_threads(number)
    _users_own.set()


# Torch doesn't say whether a user has set its number of threads. So this function notes that it was called.
torch.set_num_threads = _noted


def users_threads() -> str | None:
    """How the user fixed the number of threads, as text; None where the library may decide."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(name):
            return name
    return "torch.set_num_threads" if _users_own.is_set() else None


@contextlib.contextmanager
def fair_threads(fixed: int | None = None) -> Iterator[None]:
    """Within it torch uses as many threads as there are free cores, or as the user fixed; then as many as before.

    fixed: a number that holds whatever the load is, for a training that goes on from a snapshot.
    """
    before = torch.get_num_threads()
    wanted = fixed or (before if users_threads() else _load.free_threads())
    if wanted != before:
        _set_num_threads(wanted)
    try:
        yield
    finally:
        if wanted != before and torch.get_num_threads() == wanted:
            _set_num_threads(before)


def describe_machine() -> str:
    """One line for people: device, precision and number of threads, and why these."""
    device = best_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else _cpu_name() if device.type == "cpu" else "mps"
    precision = "bfloat16 autocast" if has_fast_bf16(device) else "float32"
    with fair_threads():
        threads = torch.get_num_threads()
    load = f"{_load.others:.1f} of {os.cpu_count()} cores are busy with other programs"
    why = users_threads() or (load if _load.looked else "torch's own number")
    return f"{name}, {precision}, {threads} thread{'s' * (threads > 1)} ({why}), torch {torch.__version__}"


@functools.cache
def _cpu_name() -> str:
    name = getattr(torch.cpu, "get_capabilities", dict)().get("cpu_name", "")
    return f"cpu ({name})" if name else "cpu"
