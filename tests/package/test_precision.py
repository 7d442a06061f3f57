"""Where a model runs, in which precision, and on how many threads."""

import os
import subprocess
import sys
import time

import pytest
import torch

import ddpm_lib
from ddpm_lib import precision

CPU = torch.device("cpu")
LINUX = sys.platform == "linux"


def test_the_best_device_exists():
    assert torch.zeros(1, device=ddpm_lib.best_device()).item() == 0


def test_the_machine_is_described_in_one_line_with_a_reason_for_the_threads():
    line = ddpm_lib.describe_machine()
    assert "\n" not in line
    assert f"torch {torch.__version__}" in line
    assert "1 thread (" in line  # conftest.py says so
    assert precision.users_threads() in line


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [
        ({"amx_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, True),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, True),
        ({"avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R)"}, False),
        ({"avx512_bf16": False, "cpu_name": "AMD EPYC"}, False),
        ({}, False),
    ],
)
def test_autocast_is_bfloat16_exactly_where_that_is_fast(capabilities, fast, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert precision.has_fast_bf16(CPU) is fast
    with precision.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if fast else torch.float32)
    for bf16 in (True, False):
        with precision.autocast(CPU, bf16):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if bf16 else torch.float32)
    assert precision.has_fast_bf16(torch.device("mps")) is False


# ---------------------------------------------------------------------------- threads


def load(monkeypatch, own, cores=2):
    """A machine with so many cores, on which torch's own number of threads is `own`, and a clock that one can move."""
    monkeypatch.setattr(precision, "_TORCHS_OWN", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    now = [0.0, 0.0, 0.0]
    monkeypatch.setattr(precision._Load, "_look", lambda self: tuple(now))
    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])
    machine = precision._Load()

    def after(seconds, others, ours=0.0, running=1):
        """The number of threads after so many seconds in which other programs kept `others` cores busy."""
        monkeypatch.setattr(machine, "_running", lambda: running)
        now[0], now[1], now[2] = now[0] + seconds, now[1] + seconds * (others + ours), now[2] + seconds * ours
        return machine.free_threads()

    return after


def test_a_thread_for_each_core_that_is_free(monkeypatch):
    after = load(monkeypatch, own=2)
    assert after(1, others=0.0, ours=2.0) == 2
    assert after(1, others=1.0, ours=1.0) == 1
    assert after(1, others=0.0, ours=1.0) == 2
    assert after(1, others=2.0) == 1  # one is always left
    assert after(1, others=0.2) == 2


def test_between_two_looks_the_number_stays_and_it_rises_only_where_a_core_is_clearly_free(monkeypatch):
    after = load(monkeypatch, own=2)
    assert after(precision.WINDOW / 2, others=2.0) == 2
    assert after(precision.WINDOW, others=1.0) == 1
    assert after(1, others=0.4) == 1
    assert after(1, others=0.1) == 2
    assert after(1, others=0.4) == 2


def test_torchs_own_number_is_never_passed(monkeypatch):
    after = load(monkeypatch, own=8, cores=16)
    assert after(1, others=4.0) == 8
    assert after(1, others=12.0) == 4
    assert after(1, others=40.0) == 1


def test_after_a_long_pause_the_present_counts_too(monkeypatch):
    after = load(monkeypatch, own=2)
    assert after(60, others=0.1, running=2) == 1
    assert after(precision.WINDOW, others=0.0, running=2) == 2  # the mean of a short time says more
    assert after(60, others=0.0, running=1) == 2


def test_within_fair_threads_only(monkeypatch):
    monkeypatch.setattr(precision, "users_threads", lambda: None)
    monkeypatch.setattr(precision._load, "free_threads", lambda: 3)
    before = torch.get_num_threads()
    with precision.fair_threads():
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
    with precision.fair_threads(fixed=2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


RUN = """
import sys, torch
from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig, precision, sample, train
from torch.utils.data import TensorDataset
{user}
precision._load.free_threads = lambda: 1 if torch.get_num_threads() > 1 else 2  # another number than there is
threads = []
def step(schedule, x_t, x_0_hat, t, s, z):
    threads.append(torch.get_num_threads())
    return x_0_hat
ddpm = DDPM(UNet(UNetConfig((1, 1, 1), 1)), NoiseSchedule.cosine(5))
sample(ddpm, [1], steps=2, sampler=step)
def loss(ddpm, x_0, y):
    threads.append(torch.get_num_threads())
    return ddpm.loss(x_0, y)
digits = TensorDataset(torch.rand(2, 1, 28, 28), torch.tensor([1, 2]))
for record in train(ddpm, digits, TrainConfig(steps=1), loss=loss):
    pass
print(*threads, precision.users_threads())
"""


@pytest.mark.parametrize(
    ("user", "environment", "want"),
    [
        ("", {"OMP_NUM_THREADS": "2"}, "2 2 2 OMP_NUM_THREADS"),
        ("torch.set_num_threads(1)", {}, "1 1 1 torch.set_num_threads"),
        ("torch.set_num_threads(2)", {}, "2 2 2 torch.set_num_threads"),  # which is torch's own number on two cores
        ("torch.set_num_threads(torch.get_num_threads())", {}, None),
    ],
)
def test_a_number_that_the_user_fixed_stands_while_one_samples_and_trains(user, environment, want):
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(user=user)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    numbers, name = done.stdout.split()[:-1], done.stdout.split()[-1]
    assert len(set(numbers)) == 1
    assert name != "None"
    assert want is None or done.stdout.strip() == want


BESIDE = """
import sys, time
import ddpm_lib
from ddpm_lib import precision
end = time.perf_counter() + 30
while True:
    time.sleep(precision.WINDOW)
    threads = precision._load.free_threads()
    if threads == int(sys.argv[1]) or time.perf_counter() > end:
        print(threads)
        break
"""


@pytest.mark.skipif(not LINUX, reason="only Linux says how busy its cores are")
def test_a_loop_on_every_core_is_seen():
    """A real load, not a made one: beside a busy loop for each core, one thread is left."""
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", BESIDE, "1"], env=clean, capture_output=True, text=True, check=True
        )
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    assert done.stdout.strip() == "1"


def test_looking_is_cheap():
    start = time.perf_counter()
    for _ in range(100):
        precision._load._look()
    assert time.perf_counter() - start < 1
