"""What docs/scaling.md promises of seeds and threads, in processes of their own, as a learner would run it twice."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").split())
# Numbers of the section "The same digits again".
PIXELS, LOSS = (
    float(number) for number in re.search(r"mean pixel by at most ([\d.]+).*?loss by at most ([\d.]+)", PAGE).groups()
)

RUN = """
import sys, numpy as np, torch
from ddpm_lib import DDPM, TrainConfig, UNet, UNetConfig, NoiseSchedule, load_checkpoint, load_mnist, sample, train
from ddpm_lib.precision import best_device, has_fast_bf16
train_set, _ = load_mnist(source="embedded")
torch.manual_seed(0)  # of the weights
ddpm = DDPM.recommended()
losses = [record.loss for record in train(ddpm, train_set, TrainConfig(steps=5), torch.Generator().manual_seed(0))]
trained = torch.cat([parameter.detach().cpu().flatten() for parameter in ddpm.parameters()])
digits = sample(load_checkpoint(), torch.arange(10), w=1.0, generator=torch.Generator().manual_seed(0))
np.savez(sys.argv[1], losses=losses, trained=trained, digits=digits.cpu(), threads=torch.get_num_threads(),
         bf16=has_fast_bf16(best_device()))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """run(threads): what a fresh process with so many threads trains and draws."""

    def run(threads):
        file = tmp_path_factory.mktemp("run") / "result.npz"
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        environment["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that spin while they wait starve on a busy machine
        subprocess.run([sys.executable, "-c", RUN, str(file)], env=environment, check=True, timeout=900)
        result = dict(np.load(file))
        assert result["threads"] == threads
        return result

    return run


@pytest.fixture(scope="module")
def one_thread(run):
    return run(1)


def skip_unless_same_precision(one, other):
    if one["bf16"] != other["bf16"]:  # measured anew in each process, see precision.py
        pytest.skip("this machine's speed lies at the limit between float32 and bfloat16")


def test_same_seed_machine_and_threads_give_the_same_digits_bit_for_bit(run, one_thread):
    again = run(1)
    skip_unless_same_precision(one_thread, again)
    for name in ("losses", "trained", "digits"):
        assert np.array_equal(again[name], one_thread[name]), name


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_other_numbers_of_threads_give_nearly_the_same(run, one_thread):
    two = run(2)
    skip_unless_same_precision(one_thread, two)
    pixels = np.abs(two["digits"] - one_thread["digits"]).mean()
    loss = np.abs(two["losses"] / one_thread["losses"] - 1).max()
    print(f"bfloat16 {bool(two['bf16'])}: mean pixel {pixels:.1e}, loss {loss:.1e}")
    assert pixels <= PIXELS
    assert loss <= LOSS
