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
