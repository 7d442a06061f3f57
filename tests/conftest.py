"""What several test files share: small models, seeded randomness, a network that remembers what it was asked."""

import contextlib
import functools
import os
import random
import shutil
import signal
from collections import Counter

import hypothesis
import numpy as np
import pytest
import torch
from torch import nn

from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig, load_mnist

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=40)
hypothesis.settings.load_profile("repeatable")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the tests are about the CPU: they compare with tensors that are there
os.environ["DDPM_PROGRESS"] = "off"  # what passes in a test isn't the progress of whoever runs it
torch.backends.mps.is_available = functools.cache(lambda: False)  # torch itself wants it to be cached
# A shell's background ignores Ctrl-C, and nohup SIGHUP; so would each process that a test starts, to stop it then.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(1)  # networks this small only lose time by sharing
collect_ignore = [] if os.environ.get("DDPM_HOSTS") == "1" else ["training/test_hosts.py"]  # minutes, as root


class StubNetwork(nn.Module):
    """Stands where the U-Net stands: answers with a function of (x_t, t/T, y) and keeps the arguments in `calls`."""

    def __init__(self, answer):
        super().__init__()
        self.config = UNetConfig()
        self.answer = answer
        self.calls = []

    def forward(self, x_t, t_over_T, y):
        self.calls.append((x_t, t_over_T, y))
        return self.answer(x_t, t_over_T, y)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def tiny_config():
    return UNetConfig(widths=(4, 8, 8), embedding_width=8)


@pytest.fixture
def make_ddpm(tiny_config):
    """make_ddpm(T, prediction, seed): a tiny model with random weights, in eval mode."""

    def make(T=20, prediction="eps", seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return DDPM(UNet(tiny_config), NoiseSchedule.cosine(T), prediction).eval()

    return make


@pytest.fixture
def tiny_ddpm(make_ddpm):
    return make_ddpm()


@pytest.fixture
def stub_ddpm():
    """stub_ddpm(answer, prediction, T): a model whose network is answer(x_t, t_over_T, y); see ddpm.unet.calls."""

    def make(answer=lambda x_t, t_over_T, y: torch.zeros_like(x_t), prediction="eps", T=20):
        return DDPM(StubNetwork(answer), NoiseSchedule.cosine(T), prediction)

    return make


@pytest.fixture
def images():
    """images(n): n random images (n, 1, 28, 28) in [−1, 1], the same for every call with this n."""
    return lambda n: torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(n)) * 2 - 1


@pytest.fixture
def soft_rows():
    """soft_rows(n): n label rows (n, 10) with all entries > 0 and sum 1."""
    return lambda n: torch.rand(n, 10, generator=torch.Generator().manual_seed(n)).softmax(dim=1)


@pytest.fixture(scope="session")
def digits():
    """The 4,500 embedded training digits. Read only: it is shared by all tests."""
    train_set, _ = load_mnist(source="embedded")
    return train_set


@pytest.fixture
def few_digits(digits):
    """48 embedded digits of all classes."""
    return torch.utils.data.TensorDataset(*(tensor[::94].clone() for tensor in digits.tensors))


@pytest.fixture
def global_rng_untouched():
    """`with global_rng_untouched():` asserts that nothing inside drew from a global random generator, or seeded it."""

    def states():
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    @contextlib.contextmanager
    def guard():
        before = states()
        yield
        assert states() == before, "a global random generator was used"

    return guard


@pytest.fixture
def within():
    """within(got, want, std): |got − want| is at most five standard deviations of the estimate."""

    def assert_within(got, want, std):
        deviation = abs(float(got) - float(want)) / float(std)
        assert deviation < 5, f"{float(got):.6g} is {deviation:.1f} standard deviations away from {float(want):.6g}"

    return assert_within


@pytest.fixture
def is_standard_normal(within):
    """is_standard_normal(z): mean, variance, and the fourth moment (which a uniform distribution fails)."""

    def assert_standard_normal(z):
        z = z.double().flatten()
        n = z.numel()
        within(z.mean(), 0, n**-0.5)
        within(z.square().mean(), 1, (2 / n) ** 0.5)
        within(z.pow(4).mean(), 3, (96 / n) ** 0.5)

    return assert_standard_normal


@pytest.fixture(scope="module")
def chromium():
    """The installed Chromium for the browser tests: playwright's browser type, and the options to launch it with."""
    required = os.environ.get("DDPM_BROWSER_TEST") == "1"
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        message = "no chromium found; to enable the browser test: apt-get install chromium"
        pytest.fail(message) if required else pytest.skip(message)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        message = 'playwright is missing; to enable the browser test: pip install -e ".[test]"'
        pytest.fail(message) if required else pytest.skip(message)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as started:
        yield started.chromium, {"executable_path": path, "args": flags}


TRIED = pytest.StashKey[Counter]()


@pytest.fixture(scope="session")
def tried(request):
    """Counts of what was tried in bulk, by what came of it: `tried[outcome] += 1`. Printed at the end."""
    return request.config.stash.setdefault(TRIED, Counter())


def pytest_sessionfinish(session):
    """A worker of xdist hands its counts to the process that prints the summary…"""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = dict(session.config.stash.get(TRIED, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """… which adds them up."""
    node.config.stash.setdefault(TRIED, Counter()).update(getattr(node, "workeroutput", {}).get("tried", {}))


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash.get(TRIED, {})
    if counts:
        terminalreporter.section("tried in bulk")
    for outcome, count in sorted(counts.items()):
        terminalreporter.write_line(f"{count:>6,} {outcome}")


@pytest.fixture(scope="module")
def browser(chromium):
    browser_type, options = chromium
    browser = browser_type.launch(**options)
    yield browser
    browser.close()
