"""The network: what reaches it, where, and that it can learn."""

import copy
import dataclasses
import math

import pytest
import torch

from ddpm_lib import UNet, UNetConfig


def inputs(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x_t = torch.randn(n, 1, 28, 28, generator=generator)
    t_over_T = torch.rand(n, generator=generator)
    return x_t, t_over_T, torch.eye(10)[torch.randint(10, (n,), generator=generator)]


@pytest.fixture
def unet(make_ddpm):
    return make_ddpm().unet


@pytest.mark.parametrize("widths", [(4, 8, 8), (16, 32, 64), (64, 64, 128), (5, 3, 7), (1, 1, 1)])
def test_an_image_comes_out_as_large_as_it_went_in(widths):
    x_t, t_over_T, y = inputs(2)
    assert UNet(UNetConfig(widths=widths))(x_t, t_over_T, y).shape == x_t.shape


def test_the_number_of_classes_is_free():
    x_t, t_over_T, _ = inputs(3)
    unet = UNet(UNetConfig((4, 8, 8), 8, num_classes=3))
    assert unet(x_t, t_over_T, torch.eye(3)).shape == x_t.shape


def test_output_depends_on_each_input(unet):
    x_t, t_over_T, y = inputs(4)
    out = unet(x_t, t_over_T, y)
    for changed in [
        (x_t + 0.1, t_over_T, y),
        (x_t, t_over_T / 2, y),
        (x_t, t_over_T, y.roll(1, dims=1)),
        (x_t, t_over_T, 0 * y),
    ]:
        assert ((unet(*changed) - out).abs().amax(dim=(1, 2, 3)) > 1e-5).all()


def test_images_of_a_batch_do_not_see_each_other(unet):
    x_t, t_over_T, y = inputs(4)
    together = unet(x_t, t_over_T, y)
    for i in range(4):
        torch.testing.assert_close(together[i : i + 1], unet(x_t[i : i + 1], t_over_T[i : i + 1], y[i : i + 1]))


def test_inputs_are_not_changed(unet):
    arguments = inputs(2)
    before = copy.deepcopy(arguments)
    unet.train()(*arguments)
    assert all(map(torch.equal, arguments, before))


# ---------------------------------------------------------------------------- t and y enter at the bottleneck


def test_the_encoder_sees_neither_t_nor_y(unet):
    seen = {name: [] for name in ("encoder_28", "encoder_14", "encoder_7")}
    for name, outputs in seen.items():
        unet.get_submodule(name).register_forward_hook(lambda _, args, out, outputs=outputs: outputs.append(out))
    x_t, t_over_T, y = inputs(3)
    unet(x_t, t_over_T, y)
    unet(x_t, t_over_T / 3, torch.tensor([[1.0], [0.0], [0.5]]) * y.roll(1, dims=1))
    assert [outputs[0].shape[1:] for outputs in seen.values()] == [(4, 28, 28), (8, 14, 14), (8, 7, 7)]
    for first, second in seen.values():
        assert torch.equal(first, second)


def test_the_bottleneck_sees_features_then_t_then_y_the_same_everywhere(unet):
    seen = []
    unet.encoder_7.register_forward_hook(lambda _, args, out: seen.append(out))
    unet.bottleneck.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x_t, t_over_T, y = inputs(3)
    unet(x_t, t_over_T, y)
    features, joined = seen
    assert joined.shape == (3, 8 + 2 * 8, 7, 7)
    assert torch.equal(joined[:, :8], features)
    assert torch.equal(joined[:, 8:16], unet.time_mlp(t_over_T[:, None])[:, :, None, None].expand(-1, -1, 7, 7))
    assert torch.equal(joined[:, 16:], unet.label_mlp(y)[:, :, None, None].expand(-1, -1, 7, 7))


def test_past_the_bottleneck_nothing_else_brings_t_or_y_in(unet):
    unet.bottleneck.register_forward_hook(lambda *_: torch.ones(3, 8, 7, 7))
    x_t, t_over_T, y = inputs(3)
    out = unet(x_t, t_over_T, y)
    for other in (y.roll(1, dims=1), 0 * y, y / 2):
        assert torch.equal(unet(x_t, t_over_T / 3, other), out)


# ---------------------------------------------------------------------------- a student's w


@pytest.fixture
def guided(tiny_config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet(dataclasses.replace(tiny_config, w_max=2.0)).eval()


def test_a_network_that_does_not_hear_w_has_the_weights_that_it_had(unet, guided):
    assert unet.config.w_max == 0
    new = {name for name in guided.state_dict() if name.startswith("guidance_mlp.")}
    assert guided.state_dict().keys() - unet.state_dict().keys() == new
    assert len(new) == 4


def test_w_enters_at_the_bottleneck_behind_y_the_same_everywhere(guided):
    seen, encoded = [], []
    guided.encoder_7.register_forward_hook(lambda _, args, out: encoded.append(out))
    guided.bottleneck.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    w, arguments = torch.tensor([-1.0, 0.0, 2.0]), inputs(3)
    out, of_no_w, of_0 = (guided(*arguments, *more) for more in ((w,), (), (0 * w,)))
    joined, *_ = seen
    assert joined.shape == (3, 8 + 3 * 8, 7, 7)
    assert torch.equal(joined[:, 24:], guided.guidance_mlp(w[:, None] / 2)[:, :, None, None].expand(-1, -1, 7, 7))
    assert torch.equal(joined[:, 8:16], guided.time_mlp(arguments[1][:, None])[:, :, None, None].expand(-1, -1, 7, 7))
    assert torch.equal(encoded[0], encoded[2])
    assert torch.equal(of_no_w, of_0)
    assert ((out - of_0).abs().amax(dim=(1, 2, 3)) > 1e-6).tolist() == [True, False, True]


def test_every_parameter_of_a_network_that_hears_w_gets_a_gradient(guided):
    guided.train()(*inputs(8), torch.linspace(-1, 2, 8)).square().mean().backward()
    assert [name for name, p in guided.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("w_max", [-1, math.nan, math.inf, None, "4", 10**400])
def test_a_bad_w_max_is_refused(w_max):
    with pytest.raises(ValueError, match="w_max"):
        UNetConfig(w_max=w_max)


# ---------------------------------------------------------------------------- configs


def test_two_networks_of_one_config_have_one_size_and_the_config_stays_as_it_was():
    config = UNetConfig((4, 8, 8), 8)
    before = copy.deepcopy(config)
    first, second = UNet(config), UNet(config)
    assert config == before
    shapes = [[(name, tensor.shape) for name, tensor in unet.state_dict().items()] for unet in (first, second)]
    assert shapes[0] == shapes[1]
    assert first.config == second.config == before


def test_a_list_of_widths_is_copied_so_that_later_changes_do_not_arrive():
    widths = [4, 8, 8]
    config = UNetConfig(widths=widths)
    widths.append(16)
    assert config.widths == (4, 8, 8)
    assert config == UNetConfig(widths=(4, 8, 8))
    assert hash(config) == hash(UNetConfig(widths=(4, 8, 8)))


@pytest.mark.parametrize(
    "widths", [(4, 8), (4, 8, 8, 8), (4, 8, 0), (4, 8, -1), (4, 8, 8.0), (True, 8, 8), "488", None, 8]
)
def test_bad_widths_are_refused(widths):
    with pytest.raises(ValueError, match="widths"):
        UNetConfig(widths=widths)


@pytest.mark.parametrize("name", ["embedding_width", "num_classes"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, None, "8"])
def test_bad_sizes_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        UNetConfig(**{name: value})


@pytest.mark.parametrize("config", [None, (4, 8, 8), {"widths": (4, 8, 8)}])
def test_something_else_than_a_config_is_refused(config):
    with pytest.raises(ValueError, match="config"):
        UNet(config)


# ---------------------------------------------------------------------------- learning


def test_every_parameter_gets_a_gradient(unet):
    unet.train()(*inputs(8)).square().mean().backward()
    without = [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("told_by", ["x_t", "time", "y"])
def test_one_batch_can_be_overfitted_whichever_input_holds_the_answer(unet, told_by):
    """A target that only one of the three inputs tells: the others are the same for every image."""
    x_t, t_over_T, y = inputs(8)
    if told_by == "x_t":
        t_over_T, y, target = t_over_T[:1].expand(8), y[:1].expand(8, -1), x_t.roll(1, dims=-1)
    elif told_by == "time":
        t_over_T = torch.linspace(0.1, 1, 8)
        x_t, y, target = (
            x_t[:1].expand(8, -1, -1, -1),
            y[:1].expand(8, -1),
            (4 * t_over_T - 2).view(8, 1, 1, 1).expand_as(x_t),
        )
    else:
        y = torch.eye(10)[:8]
        x_t, t_over_T, target = (
            x_t[:1].expand(8, -1, -1, -1),
            t_over_T[:1].expand(8),
            torch.arange(-4.0, 4).view(8, 1, 1, 1).expand_as(x_t),
        )
    optimizer = torch.optim.Adam(unet.train().parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        loss = (unet(x_t, t_over_T, y) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * target.var().item()
    assert losses[-1] < 0.5 * losses[0]
