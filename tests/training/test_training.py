"""Training: the budget, the learning rate, the data that arrives, and the averaged weights that stay."""

import copy
import math
import os
import subprocess
import sys

import pytest
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import DDPM, TrainConfig, TrainRecord, UNet, precision, train


def quick(steps=6, **options):
    return TrainConfig(**{"steps": steps, "batch_size": 8} | options)


def state(ddpm):
    return {name: tensor.clone() for name, tensor in ddpm.unet.state_dict().items()}


def same(state_1, state_2):
    return all(torch.equal(state_1[name], state_2[name]) for name in state_1)


@pytest.fixture
def asked(monkeypatch):
    """Every (x_0, labels, p_uncond) that DDPM.loss gets, in order."""
    calls, loss = [], DDPM.loss

    def record(self, x_0, y, p_uncond=0.1, generator=None):
        calls.append((x_0.clone(), y.clone(), p_uncond))
        return loss(self, x_0, y, p_uncond, generator)

    monkeypatch.setattr(DDPM, "loss", record)
    return calls


# ---------------------------------------------------------------------------- it learns


def test_a_short_training_on_digits_lowers_the_loss_of_the_averaged_model(make_ddpm, digits):
    ddpm = make_ddpm(T=100, prediction="v")
    held_out, labels = digits.tensors[0][::30] * 2 - 1, digits.tensors[1][::30]
    train_set = TensorDataset(digits.tensors[0][1::30], digits.tensors[1][1::30])

    def held_out_loss():
        with torch.inference_mode():
            return ddpm.eval().loss(held_out, labels, generator=torch.Generator().manual_seed(1)).item()

    before = held_out_loss()
    config = TrainConfig(steps=60, batch_size=32, lr=1e-2)
    records = list(train(ddpm, train_set, config, torch.Generator().manual_seed(0)))
    losses = [record.loss for record in records]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    assert held_out_loss() < 0.6 * before


# ---------------------------------------------------------------------------- records and budget


def test_there_is_a_record_for_each_step_and_no_more(tiny_ddpm, few_digits):
    records = list(train(tiny_ddpm, few_digits, quick(steps=7)))
    assert [record.step for record in records] == [1, 2, 3, 4, 5, 6, 7]
    for record in records:
        assert isinstance(record, TrainRecord)
        assert math.isfinite(record.loss)
        assert record.loss > 0
        assert record.ema is tiny_ddpm
        assert isinstance(record.raw, DDPM)
        assert record.raw is not record.ema
        assert record.images_per_s == pytest.approx(record.step * 8 / record.seconds)
    seconds = [record.seconds for record in records]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_a_budget_of_seconds_ends_with_the_first_step_past_it(tiny_ddpm, few_digits):
    records = list(train(tiny_ddpm, few_digits, TrainConfig(seconds=0.5, batch_size=8)))
    assert records[-2].seconds < 0.5 <= records[-1].seconds < 5
    assert records[-1].lr < 0.2 * max(record.lr for record in records)  # it has come down by then


def test_images_per_s_counts_the_images_there_are(tiny_ddpm, few_digits):
    """A batch can't be larger than the set."""
    *_, record = train(tiny_ddpm, few_digits, quick(steps=3, batch_size=1000))
    assert record.images_per_s == pytest.approx(3 * 48 / record.seconds)


def test_nothing_is_done_before_the_first_record_is_asked_for(tiny_ddpm, few_digits):
    before = state(tiny_ddpm)
    train(tiny_ddpm, few_digits, quick())
    assert same(state(tiny_ddpm), before)


# ---------------------------------------------------------------------------- learning rate


def test_the_learning_rate_warms_up_and_falls_to_zero(tiny_ddpm, few_digits):
    config = quick(steps=40, lr=0.01, warmup=0.25, batch_size=1)
    rates = [record.lr for record in train(tiny_ddpm, few_digits, config)]
    cosine = [0.01 * (1 + math.cos(math.pi * i / 40)) / 2 for i in range(40)]
    assert rates == pytest.approx([rate * min(1, 0.1 + 0.9 * i / 10) for i, rate in enumerate(cosine)])
    assert rates.index(max(rates)) == 10
    assert rates[-1] < 0.01 * 0.01
    assert config.lr_at(1) == pytest.approx(0, abs=1e-12)


def test_the_learning_rate_reaches_the_optimizer(make_ddpm, few_digits):
    """Adam's first step moves every weight that has a gradient by lr, in the direction of its sign."""
    for lr in (1e-3, 1e-2):
        ddpm = make_ddpm()
        before = state(ddpm)
        (record,) = train(ddpm, few_digits, quick(steps=1, lr=lr, warmup=0, weight_decay=0))
        moved = (record.raw.unet.head.weight - before["head.weight"]).abs()
        torch.testing.assert_close(moved, torch.full_like(moved, lr), rtol=0.01, atol=0)


def test_weight_decay_reaches_the_optimizer(make_ddpm, few_digits):
    heads = []
    for weight_decay in (0.0, 5.0):
        config = quick(steps=1, lr=0.01, warmup=0, weight_decay=weight_decay)
        (record,) = train(make_ddpm(), few_digits, config, torch.Generator().manual_seed(0))
        heads.append(record.raw.unet.head.weight)
    expected = heads[0] - 0.01 * 5.0 * make_ddpm().unet.head.weight
    torch.testing.assert_close(heads[1], expected, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------- what arrives


def test_images_arrive_in_minus_1_to_1_with_their_own_labels(make_ddpm, asked):
    """Image i has the grey i/20 and the label i mod 10: the two must stay together."""
    ids = torch.arange(21)
    train_set = TensorDataset((ids / 20).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).clone(), ids % 10)
    list(train(make_ddpm(), train_set, quick(steps=10, batch_size=5), torch.Generator().manual_seed(0)))
    seen = []
    for x_0, labels, _ in asked:
        assert x_0.shape == (5, 1, 28, 28)
        number = ((x_0[:, 0, 0, 0] + 1) * 10).round().long()
        assert torch.equal(number % 10, labels)
        seen += number.tolist()
    # 21 images in batches of 5: an epoch is 4 batches of 20 different images, in another order each time
    epochs = [seen[:20], seen[20:40]]
    assert [len(set(epoch)) for epoch in epochs] == [20, 20]
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])
    assert min(x_0.min() for x_0, *_ in asked) == -1
    assert max(x_0.max() for x_0, *_ in asked) == 1


def test_soft_rows_may_be_trained_on(tiny_ddpm, few_digits, soft_rows, asked):
    rows = soft_rows(48)
    list(train(tiny_ddpm, TensorDataset(few_digits.tensors[0], rows), quick(steps=2)))
    assert all((rows == row).all(dim=1).any() for _, y, _ in asked for row in y)


@pytest.mark.parametrize("p_uncond", [0.0, 0.25, 1.0])
def test_p_uncond_is_passed_on(p_uncond, tiny_ddpm, few_digits, asked):
    list(train(tiny_ddpm, few_digits, quick(steps=2, p_uncond=p_uncond)))
    assert [p for *_, p in asked] == [p_uncond] * 2


def test_the_network_that_learns_is_in_train_mode_whatever_mode_the_model_is_in(make_ddpm, few_digits):
    for mode in (True, False):
        ddpm = make_ddpm().train(mode)
        (record,) = train(ddpm, few_digits, quick(steps=1))
        assert record.raw.unet.training
        assert [module.training for module in ddpm.modules()] == [mode] * len(list(ddpm.modules()))


@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_is_used_exactly_where_it_is_fast(fast, tiny_ddpm, few_digits, monkeypatch):
    """… in the forward pass; weights, gradients and the average stay in float32."""
    seen = []
    tiny_ddpm.unet.register_forward_hook(lambda _, args, out: seen.append(out.dtype))
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: fast)
    (record,) = train(tiny_ddpm, few_digits, quick(steps=1))
    assert seen == [torch.bfloat16 if fast else torch.float32]
    assert {p.dtype for model in (record.raw, record.ema) for p in model.parameters()} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


def test_the_train_set_is_not_changed(tiny_ddpm, few_digits):
    before = copy.deepcopy(few_digits.tensors)
    list(train(tiny_ddpm, few_digits, quick()))
    assert all(map(torch.equal, few_digits.tensors, before))


# ---------------------------------------------------------------------------- averaged weights


def average_by_hand(states, decay):
    """The documented rule in float64: d·average + (1−d)·state with d = min(decay, (1+n)/(10+n))."""
    average = {name: tensor.double() for name, tensor in states[0].items()}
    for n, current in enumerate(states[1:], start=1):
        d = min(decay, (1 + n) / (10 + n))
        average = {name: d * average[name] + (1 - d) * current[name].double() for name in average}
    return average


def assert_holds_the_average(ddpm, states, decay=0.5):
    got, want = state(ddpm), average_by_hand(states, decay)
    for name in got:
        if name.endswith("num_batches_tracked"):
            assert got[name] == len(states)
        else:
            torch.testing.assert_close(got[name].double(), want[name], rtol=1e-4, atol=1e-6)
    return got


def collect(ddpm, records, states):
    """Pass records on; keep the optimizer's weights of each."""
    for record in records:
        states.append(state(record.raw))
        yield record


@pytest.fixture
def bumpy():
    """A training whose weights move a lot, so that the average is far from the last of them."""
    return quick(steps=8, lr=0.02, ema_decay=0.5, warmup=0)


def test_after_the_last_step_the_model_holds_the_average_of_weights_and_buffers(tiny_ddpm, few_digits, bumpy):
    states = []
    list(collect(tiny_ddpm, train(tiny_ddpm, few_digits, bumpy), states))
    got = assert_holds_the_average(tiny_ddpm, states)
    for name in ("head.weight", *(name for name in got if "running" in name)):
        assert not torch.allclose(got[name], states[-1][name], rtol=1e-3, atol=0)  # raw differs
    # The average is the mean of what was seen, not stuck at the start.
    assert not torch.allclose(got["head.weight"], states[0]["head.weight"], rtol=1e-3, atol=0)


def test_the_average_holds_at_every_step_while_the_generator_is_still_referenced(tiny_ddpm, few_digits, bumpy):
    states = []
    records = collect(tiny_ddpm, train(tiny_ddpm, few_digits, bumpy), states)
    for step in range(1, 5):
        assert next(records).step == step
        assert_holds_the_average(tiny_ddpm, states)


def test_break_leaves_the_average(tiny_ddpm, few_digits, bumpy):
    states = []
    for record in collect(tiny_ddpm, train(tiny_ddpm, few_digits, bumpy), states):
        if record.step == 3:
            break
    assert len(states) == 3
    assert_holds_the_average(tiny_ddpm, states)


def test_an_error_in_the_loop_leaves_the_average(tiny_ddpm, few_digits, bumpy):
    states = []

    def loop():
        for record in collect(tiny_ddpm, train(tiny_ddpm, few_digits, bumpy), states):
            if record.step == 3:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert_holds_the_average(tiny_ddpm, states)


def test_an_interrupt_within_a_step_leaves_the_average_of_the_step_before(tiny_ddpm, few_digits, bumpy, monkeypatch):
    states, forward = [], UNet.forward

    def interrupted(self, *arguments):
        if len(states) == 3:
            raise KeyboardInterrupt
        return forward(self, *arguments)

    monkeypatch.setattr(UNet, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(collect(tiny_ddpm, train(tiny_ddpm, few_digits, bumpy), states))
    assert_holds_the_average(tiny_ddpm, states)


def test_a_high_decay_does_not_keep_the_random_start(tiny_ddpm, few_digits):
    """In a short training the average must forget the first weights: d starts low and only rises to ema_decay."""
    states = []
    list(collect(tiny_ddpm, train(tiny_ddpm, few_digits, quick(steps=8, lr=0.02, warmup=0, ema_decay=0.9999)), states))
    assert_holds_the_average(tiny_ddpm, states, decay=0.9999)


def test_the_schedule_is_neither_averaged_nor_trained(tiny_ddpm, few_digits, bumpy):
    before = copy.deepcopy(dict(tiny_ddpm.schedule.named_buffers()))
    *_, record = train(tiny_ddpm, few_digits, bumpy)
    for name, table in before.items():
        assert torch.equal(tiny_ddpm.schedule.get_buffer(name), table)
        assert torch.equal(record.raw.schedule.get_buffer(name), table)


def test_training_can_go_on_where_it_ended(tiny_ddpm, few_digits):
    """A second training starts from the averaged weights of the first."""
    list(train(tiny_ddpm, few_digits, quick(steps=3)))
    middle = state(tiny_ddpm)
    record = next(iter(train(tiny_ddpm, few_digits, quick(steps=3, lr=1e-9))))  # hardly a step
    torch.testing.assert_close(record.raw.unet.head.weight, middle["head.weight"], rtol=0, atol=1e-8)
    torch.testing.assert_close(tiny_ddpm.unet.head.weight, middle["head.weight"], rtol=0, atol=1e-8)


def test_one_step_learns(tiny_ddpm, few_digits):
    before = state(tiny_ddpm)["head.weight"]
    list(train(tiny_ddpm, few_digits, quick(steps=1)))
    assert not torch.equal(tiny_ddpm.unet.head.weight, before)


# ---------------------------------------------------------------------------- randomness


def test_the_same_seed_gives_the_same_weights(make_ddpm, few_digits, global_rng_untouched):
    models = [make_ddpm() for _ in range(3)]
    with global_rng_untouched():
        for ddpm, seed in zip(models, (1, 1, 2), strict=True):
            list(train(ddpm, few_digits, quick(steps=4), torch.Generator().manual_seed(seed)))
    first, again, other = map(state, models)
    assert same(first, again)
    assert not same(first, other)


def test_without_a_generator_torchs_own_is_used(make_ddpm, few_digits):
    states = []
    with torch.random.fork_rng():
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            ddpm = make_ddpm()
            list(train(ddpm, few_digits, quick(steps=3)))
            states.append(state(ddpm))
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


# ---------------------------------------------------------------------------- TensorBoard


def test_scalars_can_be_read_back_from_tensorboards_files(tiny_ddpm, few_digits, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        records = list(train(tiny_ddpm, few_digits, quick(steps=5), writer=writer))
    log = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(log.Tags()["scalars"]) == ["loss", "lr"]
    for tag in ("loss", "lr"):
        scalars = log.Scalars(tag)
        assert [scalar.step for scalar in scalars] == [1, 2, 3, 4, 5]
        assert [scalar.value for scalar in scalars] == pytest.approx([getattr(record, tag) for record in records])


# ---------------------------------------------------------------------------- what is refused


BAD_SETTINGS = [
    ("steps", 0), ("steps", -1), ("steps", 2.0), ("steps", True), ("steps", "2"),
    ("seconds", 0), ("seconds", -1.0), ("seconds", math.nan), ("seconds", math.inf), ("seconds", "90"),
    ("batch_size", 0), ("batch_size", 1.5), ("batch_size", None),
    ("lr", 0), ("lr", -1e-3), ("lr", math.nan), ("lr", math.inf), ("lr", None),
    ("weight_decay", -1), ("weight_decay", math.nan), ("weight_decay", None),
    ("p_uncond", -0.1), ("p_uncond", 1.1), ("p_uncond", math.nan), ("p_uncond", None),
    ("warmup", -0.1), ("warmup", 1), ("warmup", math.nan), ("warmup", None),
    ("ema_decay", -0.1), ("ema_decay", 1), ("ema_decay", math.nan), ("ema_decay", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_bad_settings_are_refused_by_name(name, value):
    budget = {} if name == "seconds" else {"steps": 10}
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        TrainConfig(**budget | {name: value})


@pytest.mark.parametrize("budget", [{}, {"steps": 1, "seconds": 1}])
def test_exactly_one_budget_is_asked_for(budget):
    with pytest.raises(ValueError, match=r"steps.*seconds"):
        TrainConfig(**budget)


IMAGES, DIGITS = torch.rand(4, 1, 28, 28), torch.arange(4)


@pytest.mark.parametrize(
    "train_set",
    [
        None,
        (IMAGES, DIGITS),
        TensorDataset(IMAGES),
        TensorDataset(IMAGES, DIGITS, DIGITS),
        TensorDataset(IMAGES[:, 0], DIGITS),
        TensorDataset((IMAGES * 255).byte(), DIGITS),
        TensorDataset(IMAGES * 255, DIGITS),
        TensorDataset(IMAGES * 2 - 1, DIGITS),
        TensorDataset(IMAGES * math.nan, DIGITS),
        TensorDataset(IMAGES, DIGITS + 7),
        TensorDataset(IMAGES, DIGITS.float()),
        TensorDataset(IMAGES, torch.rand(4, 10)),
        TensorDataset(IMAGES[:0], DIGITS[:0]),
    ],
)
def test_a_bad_train_set_is_refused_at_the_call(train_set, tiny_ddpm):
    with pytest.raises(ValueError, match="train_set"):
        train(tiny_ddpm, train_set, quick())


@pytest.mark.parametrize("config", [None, {"steps": 5}, 5])
def test_a_bad_config_is_refused_at_the_call(config, tiny_ddpm, few_digits):
    with pytest.raises(ValueError, match="config"):
        train(tiny_ddpm, few_digits, config)


def test_a_bad_model_or_generator_is_refused_at_the_call(tiny_ddpm, few_digits):
    for ddpm in (None, tiny_ddpm.unet):
        with pytest.raises(ValueError, match="ddpm"):
            train(ddpm, few_digits, quick())
    for generator in (0, "seed"):
        with pytest.raises(ValueError, match="generator"):
            train(tiny_ddpm, few_digits, quick(), generator)


def test_a_thin_network_trains_on_odd_batches_and_the_process_lives():
    """In channels_last torch 2.14 wrote past its memory there, most of all with several threads."""
    code = """
import torch
from ddpm_lib import *
data = torch.utils.data.TensorDataset(torch.rand(5, 1, 28, 28), torch.arange(5))
ddpm = DDPM(UNet(UNetConfig((8, 8, 8), 16)), NoiseSchedule.linear(T=20))
for record in train(ddpm, data, TrainConfig(steps=60)):
    pass
"""
    # Threads that spin while they wait starve on a busy machine, and this took half a minute there.
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
