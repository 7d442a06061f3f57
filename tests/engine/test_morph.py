"""Morphs: the label rows between digits, and the frames that they draw from one shared noise."""

import copy
import math
from itertools import pairwise

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from ddpm_lib import DDPM, NoiseSchedule, morph, precision, sample
from ddpm_lib.morph import morph_rows


class LabelBlindDDPM(DDPM):
    """Takes half of what it sees for noise, whatever the label, and keeps what it was asked in `calls`."""

    def __init__(self, network, schedule):
        super().__init__(network, schedule)
        self.calls = []

    def predict_noise(self, x_t, t, y, w=0.0):
        self.calls.append((x_t.clone(), t.clone(), y, w))
        return x_t / 2


@pytest.fixture
def label_blind(stub_ddpm):
    """label_blind(T): a denoiser that doesn't look at the label, under the cosine schedule."""
    return lambda T: LabelBlindDDPM(stub_ddpm().unet, NoiseSchedule.cosine(T))


# Images of one row alone and in a batch: sums in another order, and in bfloat16 where that is fast.
BATCHED = {"rtol": 0, "atol": 0.05 if precision.has_fast_bf16(torch.device("cpu")) else 1e-4}


def asked_rows(ddpm):
    """The label rows that reached the model, in each of its calls the same."""
    for _, _, y, _ in ddpm.calls:
        assert torch.equal(y, ddpm.calls[0][2])
    return ddpm.calls[0][2]


@given(
    labels=st.lists(st.integers(0, 9), min_size=2, max_size=6),
    frames_per_change=st.integers(1, 9),
    hold=st.integers(0, 5),
)
def test_the_rows_of_a_morph(labels, frames_per_change, hold):
    rows = morph_rows(labels, frames_per_change, hold)
    assert rows.shape == (len(labels) * hold + (len(labels) - 1) * frames_per_change, 10)
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(len(rows)))
    stride = hold + frames_per_change
    for i, label in enumerate(labels):
        assert torch.equal(rows[i * stride : i * stride + hold], torch.eye(10)[label].expand(hold, 10))
    for i, (a, b) in enumerate(pairwise(labels)):
        for k in range(1, frames_per_change + 1):
            want = torch.zeros(10)
            want[a] += 1 - k / (frames_per_change + 1)
            want[b] += k / (frames_per_change + 1)
            torch.testing.assert_close(rows[i * stride + hold + k - 1], want)


def test_a_morph_has_a_frame_for_each_row(tiny_ddpm):
    for options in ({}, {"frames_per_change": 3}, {"hold": 2}, {"frames_per_change": 1, "hold": 0}):
        frames = morph(tiny_ddpm, [3, 8, 1], **options)
        assert frames.shape == (len(morph_rows([3, 8, 1], **options)), 1, 28, 28)
        assert frames.dtype == torch.float32
        assert frames.min() >= 0
        assert frames.max() <= 1
    assert len(morph(tiny_ddpm, [3, 8])) == 2 * 4 + 12


def test_all_frames_start_from_one_noise_and_the_middle_rows_are_mixtures(label_blind, is_standard_normal):
    ddpm = label_blind(40)
    morph(ddpm, [3, 8], frames_per_change=3, hold=2, w=2.5, generator=torch.Generator().manual_seed(1))
    x_T, t, _, _ = ddpm.calls[0]
    assert (t == 40).all()
    assert torch.equal(x_T, x_T[:1].expand_as(x_T))
    is_standard_normal(x_T[0])
    want = torch.zeros(5, 10)
    want[:, 3], want[:, 8] = torch.tensor([1, 0.75, 0.5, 0.25, 0]), torch.tensor([0, 0.25, 0.5, 0.75, 1])
    torch.testing.assert_close(asked_rows(ddpm), want)  # each row once, however long it is held
    assert [w for *_, w in ddpm.calls] == [2.5] * len(ddpm.calls)


def test_only_the_label_moves(label_blind):
    """A denoiser that doesn't look at the label gives the same frame everywhere: nothing else differs."""
    frames = morph(label_blind(40), [3, 8, 1], frames_per_change=3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(frames, frames[:1].expand_as(frames))


def test_a_morph_holds_at_what_sample_draws_for_the_digit_alone(tiny_ddpm):
    labels, hold, change = [3, 8, 1], 4, 5
    options = {"w": 2.0, "frames_per_change": change, "hold": hold}
    frames = morph(tiny_ddpm, labels, **options, generator=torch.Generator().manual_seed(3))
    for i, label in enumerate(labels):
        held = frames[i * (hold + change) : i * (hold + change) + hold]
        assert torch.equal(held, held[:1].expand_as(held))
        alone = sample(tiny_ddpm, [label], w=2.0, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(held[:1], alone, **BATCHED)
    middle = sample(tiny_ddpm, torch.lerp(*torch.eye(10)[[3, 8]], 3 / 6)[None], w=2.0, x_T=noise(3))
    torch.testing.assert_close(frames[hold + 2], middle[0], **BATCHED)
    moved = (frames[1:] - frames[:-1]).abs().amax(dim=(1, 2, 3)) > 0
    still = [True] * (hold - 1)
    assert moved.tolist() == [not s for s in still + [False] * (change + 1) + still + [False] * (change + 1) + still]


def noise(seed):
    return torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def test_a_morph_goes_between_rows_too(label_blind, soft_rows):
    ddpm, ends = label_blind(20), soft_rows(3)
    before = ends.clone()
    morph(ddpm, ends, frames_per_change=1, hold=1)
    assert torch.equal(ends, before)
    want = torch.stack([ends[0], (ends[0] + ends[1]) / 2, ends[1], (ends[1] + ends[2]) / 2, ends[2]])
    torch.testing.assert_close(asked_rows(ddpm), want)
    ddpm.calls.clear()
    morph(ddpm, torch.eye(10).double()[:2], frames_per_change=1, hold=1)
    assert asked_rows(ddpm).shape == (3, 10)


def test_a_digit_that_follows_itself_stays_as_it_is(label_blind):
    ddpm = label_blind(20)
    assert morph(ddpm, [7, 7], frames_per_change=3, hold=2).shape == (7, 1, 28, 28)
    torch.testing.assert_close(asked_rows(ddpm), torch.eye(10)[7].expand(len(asked_rows(ddpm)), 10))


def test_one_seed_one_morph(tiny_ddpm, global_rng_untouched):
    def frames(seed):
        return morph(tiny_ddpm, [3, 8], 2, 1, generator=torch.Generator().manual_seed(seed))

    with global_rng_untouched():
        first, again, other = frames(1), frames(1), frames(2)
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.1
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.testing.assert_close(morph(tiny_ddpm, [3, 8], 2, 1), first)


def test_a_morph_leaves_the_model_as_it_was(tiny_ddpm):
    tiny_ddpm.train()
    tiny_ddpm.unet.encoder_14.eval()
    modes = [module.training for module in tiny_ddpm.modules()]
    before = copy.deepcopy(tiny_ddpm.state_dict())
    frames = morph(tiny_ddpm, torch.tensor([3, 8]), 1, 1)
    assert [module.training for module in tiny_ddpm.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny_ddpm.state_dict().items())
    assert not frames.is_inference()
    assert not frames.requires_grad


def test_a_morph_works_where_T_is_less_than_its_usual_steps(make_ddpm):
    assert morph(make_ddpm(T=5), [3, 8], 1, 1).shape == (3, 1, 28, 28)


BAD_MORPHS = [
    ("ddpm", None),
    ("ddpm", "ddpm"),
    ("labels", [3]),
    ("labels", []),
    ("labels", [3, 10]),
    ("labels", [-1, 3]),
    ("labels", [0.5, 1.5]),
    ("labels", 3),
    ("labels", None),
    ("labels", "38"),
    ("labels", torch.full((2, 10), 0.3)),
    ("labels", torch.zeros(2, 10)),
    ("labels", torch.eye(10)[:1]),
    ("frames_per_change", 0),
    ("frames_per_change", -1),
    ("frames_per_change", 2.0),
    ("frames_per_change", True),
    ("frames_per_change", None),
    ("hold", -1),
    ("hold", 1.5),
    ("hold", False),
    ("hold", "4"),
    ("w", math.nan),
    ("w", math.inf),
    ("w", torch.ones(2)),
    ("w", None),
    ("generator", 0),
    ("generator", "seed"),
]


@pytest.mark.parametrize(("name", "value"), BAD_MORPHS, ids=[f"{name}={value}" for name, value in BAD_MORPHS])
def test_bad_morphs_are_refused_by_name_before_any_work(name, value, label_blind, global_rng_untouched):
    ddpm, generator = label_blind(20), torch.Generator().manual_seed(0)
    state = generator.get_state()
    arguments = {"ddpm": ddpm, "labels": [3, 8], "generator": generator} | {name: value}
    with global_rng_untouched(), pytest.raises(ValueError, match=name):
        morph(**arguments)
    assert ddpm.calls == []
    assert torch.equal(generator.get_state(), state)
