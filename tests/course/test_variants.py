"""The variants of the recipe: each changes one thing, builds, and trains."""

import pytest
import torch

from ddpm_lib import DDPM, TrainConfig, train
from ddpm_lib.course.variants import VARIANTS


@pytest.fixture
def build():
    """build(name): the untrained model of a variant, from the same random numbers each time."""

    def build(name):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return VARIANTS[name].build()

    return build


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_changes_what_it_says_and_trains(name, build, few_digits):
    things = {
        "prediction": lambda variant, ddpm: ddpm.prediction,
        "schedule": lambda variant, ddpm: ddpm.schedule.log_snr.tolist(),
        "config": lambda variant, ddpm: variant.config,
        "weights": lambda variant, ddpm: variant.weights,
        "data": lambda variant, ddpm: variant.data_source,
        "loss": lambda variant, ddpm: (variant.loss, variant.optimizer),
        "told": lambda variant, ddpm: (type(ddpm.unet).__name__, getattr(ddpm.unet, "hears_y", True)),
    }
    base, ddpm = build("recommended"), build(name)
    of_base, of_this = (VARIANTS["recommended"], base), (VARIANTS[name], ddpm)
    changed = [thing for thing, value in things.items() if value(*of_base) != value(*of_this)]
    expected = {
        "eps": ["prediction"], "flow": ["prediction", "schedule"], "linear schedule": ["schedule"],
        "cosine, not shifted": ["schedule"], "p_uncond 0": ["config"], "p_uncond 0.3": ["config"],
        "EMA off": ["weights"], "no t": ["told"], "no embeddings": ["told"], "5,000 digits": ["data"],
    }  # fmt: skip
    assert changed == expected.get(name, [])
    weights = [torch.cat([p.detach().flatten() for p in x.unet.parameters()]) for x in (base, ddpm)]
    assert torch.equal(*weights), "the initial weights are the same"
    config = TrainConfig(steps=1, batch_size=4, **VARIANTS[name].config)
    [record] = train(ddpm, few_digits, config, torch.Generator().manual_seed(0))
    assert isinstance(getattr(record, VARIANTS[name].weights), DDPM)


def test_the_network_isnt_told_what_the_variant_says(build):
    x, y = torch.randn(2, 1, 28, 28), torch.eye(10)[:2]
    for name, hears_y in (("no t", True), ("no embeddings", False)):
        unet = build(name).eval().unet
        with torch.no_grad():
            early, late = unet(x, torch.full((2,), 0.1), y), unet(x, torch.full((2,), 0.9), y)
            assert torch.equal(early, late)
            assert torch.equal(early, unet(x, torch.full((2,), 0.1), y.flip(0))) != hears_y


def test_the_flow_has_its_own_schedule(build):
    """Up to a scale of x, x_τ = (1−τ)·x_0 + τ·ε: the ratio of the two levels is (1−τ)/τ."""
    signal, sigma = build("flow").schedule.levels(torch.arange(1, 501))
    tau = torch.arange(1, 501) / 501
    torch.testing.assert_close((sigma / (signal + sigma)).flatten(), tau)


def test_the_flow_weights_an_error_in_x_0_as_v_on_the_cosine_that_is_not_shifted(build):
    """The mean of a loss over t is an integral over log-SNR λ: of e^(λ/2) times the error of x̂_0, for both.

    An error e of x̂_0 is an error of −√ᾱ/√(1−ᾱ)·e in ε̂, and so one in the target; its square is the weight.
    """
    for name, factor in (("flow", 1 / 2), ("cosine, not shifted", 1 / torch.pi)):
        ddpm, t = build(name), torch.arange(26, 476)  # at the ends, one step of t is a long way in λ
        log_snr = ddpm.schedule.log_snr.double()
        signal, sigma = (level.flatten().double() for level in ddpm.schedule.levels(t))
        share_x_0, share_eps = {"flow": (-1, 1), "v": (-sigma, signal)}[ddpm.prediction]
        weight = (share_x_0 - share_eps * signal / sigma) ** 2
        density = 2 / (log_snr[t - 1] - log_snr[t + 1]) / ddpm.schedule.T  # of λ, where t is uniform
        torch.testing.assert_close(weight * density, factor * (log_snr[t] / 2).exp(), rtol=0.02, atol=0)
