"""The copy that samples: BatchNorm folded into the convolutions, the same function, the original left alone."""

import pytest
import torch

from ddpm_lib import DDPM, NoiseSchedule, UNet, sample
from ddpm_lib.folding import for_sampling
from ddpm_lib.precision import eval_mode


@pytest.fixture
def unet(make_ddpm):
    return make_ddpm().unet


def inputs(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x_t = torch.randn(n, 1, 28, 28, generator=generator)
    t_over_T = torch.rand(n, generator=generator)
    return x_t, t_over_T, torch.eye(10)[torch.randint(10, (n,), generator=generator)]


def folded(unet):
    return for_sampling(DDPM(unet, NoiseSchedule.cosine(20))).unet


def scrambled(unet):
    """The network with BatchNorms that do something: a new one only scales by 1 and shifts by 0."""
    for module in unet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 2),
                (module.bias, -1, 1),
                (module.running_mean, -1, 1),
                (module.running_var, 0.2, 3),
            ):
                torch.nn.init.uniform_(tensor, low, high)
    return unet


@pytest.mark.parametrize("train", [True, False])
def test_folding_keeps_the_function_and_leaves_the_network_alone(unet, train):
    scrambled(unet).train(train)
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    modules = list(unet.modules())
    copied = folded(unet)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in copied.modules())
    assert list(unet.modules()) == modules
    assert {module.training for module in unet.modules()} == {train}
    for name, tensor in unet.state_dict().items():
        assert torch.equal(tensor, before[name])
    x_t, t_over_T, y = inputs(8)
    with torch.no_grad():
        want = unet.eval()(x_t, t_over_T, y)
        torch.testing.assert_close(copied(x_t, t_over_T, y), want, rtol=1e-4, atol=1e-4 * want.std().item())


def test_a_folded_copy_holds_the_weights_of_its_moment(unet):
    x_t, t_over_T, y = inputs(4)
    with torch.no_grad():
        before = unet.eval()(x_t, t_over_T, y)
        for parameter in unet.parameters():
            parameter.add_(0.1)
        after = unet(x_t, t_over_T, y)
        assert not torch.allclose(before, after, atol=1e-3)
        torch.testing.assert_close(folded(unet)(x_t, t_over_T, y), after, rtol=1e-3, atol=1e-4)


def test_a_batchnorm_without_a_convolution_before_it_stays(unet, tiny_config):
    """As in a network of yours that normalises first: still the same function."""
    unet.bottleneck.append(torch.nn.Sequential(torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 8, 1)))
    unet.bottleneck[-1][0].running_mean += 1
    x_t, t_over_T, y = torch.zeros(2, 1, 28, 28), torch.full((2,), 0.5), torch.eye(10)[:2]
    with torch.no_grad():
        torch.testing.assert_close(folded(unet)(x_t, t_over_T, y), unet.eval()(x_t, t_over_T, y), rtol=1e-4, atol=1e-5)


def test_sampling_folds_batchnorm_and_draws_what_the_network_in_eval_mode_says(make_ddpm, monkeypatch):
    monkeypatch.setattr("ddpm_lib.precision.has_fast_bf16", lambda device: False)  # rounding would hide a difference
    ddpm = make_ddpm(T=8)
    seen = []
    ddpm.unet.register_forward_hook(
        lambda unet, *_: seen.append(any(isinstance(m, torch.nn.BatchNorm2d) for m in unet.modules()))
    )
    fast = sample(ddpm.train(), [0, 1, 2, 3], w=1.0, steps=8, generator=torch.Generator().manual_seed(0))
    assert seen == [False] * 8

    class Another(DDPM):
        """A class of somebody else's is sampled as it is."""

    another = Another(ddpm.unet, ddpm.schedule, ddpm.prediction)
    slow = sample(another, [0, 1, 2, 3], w=1.0, steps=8, generator=torch.Generator().manual_seed(0))
    assert seen == [False] * 8 + [True] * 8
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-4)
    assert ddpm.training


def test_only_a_plain_model_is_copied(make_ddpm):
    class MyUNet(UNet):
        pass

    plain = make_ddpm()
    assert for_sampling(plain) is not plain
    for other in (DDPM(MyUNet(plain.unet.config), plain.schedule), object()):
        assert for_sampling(other) is other
    with eval_mode(plain):
        plain.unet.forward = plain.unet.forward
        assert for_sampling(plain) is plain
