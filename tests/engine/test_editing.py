"""edit and inpaint, with a denoiser whose answer is known: pixels of Gaussian data in pairs.

Each pixel of the left half and its mirror image on the right are one pair: x_0 ~ N(M, C) with C = S²·[[1, ρ], [ρ, 1]].
The best guess of x_0 is an affine function of the pair, and so is each step of a sampler, of the way back up, and of
putting known pixels in their place. So `law` follows the mean and the covariance of a pair through a whole walk, in
float64 and without drawing anything. S is so small that clipping x̂_0 to [−1, 1] never acts.
"""

from itertools import pairwise

import pytest
import torch

from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig, edit, inpaint, load_checkpoint, sample, to_signed, to_unit
from ddpm_lib.sampling import time_steps

M, S, RHO = 0.2, 0.15, 0.8
KNOWN = M + 2 * S  # what stands in each known pixel: two standard deviations above the mean
ROUNDING = 2e-3  # of one x̂_0 at t = T, where a difference of float32 numbers is divided by √ᾱ_T ≈ 2e-4
LABELS = torch.arange(48) % 10
RIGHT = torch.zeros(1, 1, 28, 28, dtype=torch.bool)
RIGHT[..., 14:] = True
PICTURE = torch.full((1, 1, 28, 28), to_unit(KNOWN))
TRUE_MEAN, TRUE_STD = M + RHO * (KNOWN - M), S * (1 - RHO**2) ** 0.5  # of the right half, given the left one
every_sampler = pytest.mark.parametrize("sampler", ["ancestral", "ddim"])


def alpha_bars(schedule):
    return (1 - schedule.beta.double()).cumprod(0)


def gain(alpha_bar):
    """(2, 2): x̂_0 = M + gain·(x_t − √ᾱ_t·M)."""
    C, eye = S**2 * torch.tensor([[1, RHO], [RHO, 1]]).double(), torch.eye(2).double()
    return alpha_bar.sqrt() * C @ torch.linalg.inv(alpha_bar * C + (1 - alpha_bar) * eye)


class PairsDDPM(DDPM):
    """Answers with E[ε | x_t] for such data, and keeps what it was asked in `calls`."""

    def __init__(self, network, schedule):
        super().__init__(network, schedule)
        self.calls = []

    def predict_noise(self, x_t, t, y, w=0.0):
        self.calls.append((x_t.clone(), int(t[0]), y, w))
        bar = alpha_bars(self.schedule)[int(t[0])]
        (itself, partner), *_ = gain(bar).tolist()
        off = x_t.double() - bar.sqrt() * M
        x_0_hat = M + itself * off + partner * off.flip(-1)
        return ((x_t - bar.sqrt() * x_0_hat) / (1 - bar).sqrt()).float()


@pytest.fixture
def pairs(stub_ddpm):
    """pairs(T): the exact denoiser for this data, under the cosine schedule."""
    return lambda T=200: PairsDDPM(stub_ddpm().unet, NoiseSchedule.cosine(T))


def law(schedule, times, sampler="ancestral", mean=(0, 0), cov=None, known=None, repeats=1):
    """Mean (2,) and covariance (2, 2) of a pair at t = 0. mean, cov: at times[0]; by default pure noise.

    known: what the first pixel of the pair is; None lets it be drawn as the second one is.
    """
    bars, eye = alpha_bars(schedule), torch.eye(2).double()
    mean, cov = torch.as_tensor(mean).double(), eye if cov is None else cov
    for t, s in pairwise(times):
        bar_t, bar_s, ratio = bars[t], bars[s], bars[t] / bars[s]
        if sampler == "ancestral":
            added = (1 - bar_s) / (1 - bar_t) * (1 - ratio)
            from_x_t = ratio.sqrt() * (1 - bar_s) / (1 - bar_t)
        else:
            added, from_x_t = 0, ((1 - bar_s) / (1 - bar_t)).sqrt()
        from_x_0_hat = bar_s.sqrt() - from_x_t * bar_t.sqrt()
        slope = from_x_t * eye + from_x_0_hat * gain(bar_t)
        offset = from_x_0_hat * (M - bar_t.sqrt() * M * gain(bar_t).sum(1))
        for turn in range(repeats if s else 1):
            if turn:  # back up from s to t
                mean, cov = ratio.sqrt() * mean, ratio * cov + (1 - ratio) * eye
            mean, cov = slope @ mean + offset, slope @ cov @ slope.T + added * eye
            if known is not None:
                mean[0] = bar_s.sqrt() * known
                cov[0], cov[:, 0] = 0, 0
                cov[0, 0] = 1 - bar_s
    return mean, cov


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def filled_in(ddpm, steps, repeats, seed=0):
    """What inpaint puts into the right half, in [−1, 1]."""
    x = inpaint(ddpm, PICTURE, RIGHT, LABELS, steps=steps, repeats=repeats, generator=seeded(seed))
    return to_signed(x.double())[..., 14:]


def has_law(x, mean, std, within):
    """Whether independent pixels have this mean and standard deviation."""
    within(x.mean(), mean, std / x.numel() ** 0.5 + ROUNDING / 5)
    within(x.std(), std, std / (2 * x.numel()) ** 0.5 + ROUNDING / 5)


# ---------------------------------------------------------------------------- edit


@every_sampler
@pytest.mark.parametrize("t", [20, 77, 150, 200])
@pytest.mark.parametrize("steps", [20, 200])
def test_edit_has_the_law_of_the_noised_picture_walked_down(sampler, t, steps, pairs, within):
    ddpm, column = pairs(), torch.linspace(-1, 1, 28)
    images = to_unit((M + 2 * S * column).expand(len(LABELS), 1, 28, 28))  # M − 2S at the left, M + 2S at the right
    x = to_signed(edit(ddpm, images, LABELS, t, sampler=sampler, steps=steps, generator=seeded()).double())
    bar = alpha_bars(ddpm.schedule)[t]
    times = [t] + [s for s in time_steps(200, steps) if s < t]
    for i in (0, 5, 13):
        pair = torch.tensor([M + 2 * S * column[i], M + 2 * S * column[27 - i]]).double()
        mean, cov = law(ddpm.schedule, times, sampler, bar.sqrt() * pair, (1 - bar) * torch.eye(2).double())
        left, right = x[..., i], x[..., 27 - i]
        has_law(left, mean[0], cov[0, 0].sqrt(), within)
        has_law(right, mean[1], cov[1, 1].sqrt(), within)
        rho = (cov[0, 1] / cov[0, 0]).item()
        got = torch.corrcoef(torch.stack([left.flatten(), right.flatten()]))[0, 1]
        within(got, rho, (1 - rho**2) / left.numel() ** 0.5 + ROUNDING)


def test_with_t_at_T_edit_is_sample(pairs, within):
    ddpm = pairs()
    x = to_signed(edit(ddpm, PICTURE, LABELS, 200, sampler="ancestral", steps=200, generator=seeded()).double())
    mean, cov = law(ddpm.schedule, range(200, -1, -1))  # of pure noise, walked down: the picture is forgotten
    has_law(x, mean[0], cov[0, 0].sqrt(), within)
    assert (x.mean().item(), x.std().item()) == pytest.approx((M, S), rel=0.06)  # so many steps draw the data, nearly
    # To the last bit: the start is all that differs.
    trained = load_checkpoint()
    T = torch.full((4,), 500)
    eps = torch.randn(4, 1, 28, 28, generator=seeded())
    x_T = trained.schedule.add_noise(to_signed(PICTURE).expand(4, -1, -1, -1), T, eps)
    want = sample(trained, [3, 1, 4, 1], w=2.0, steps=7, x_T=x_T)
    assert torch.equal(edit(trained, PICTURE, [3, 1, 4, 1], 500, w=2.0, steps=7, generator=seeded()), want)


@every_sampler
def test_with_t_at_1_edit_is_nearly_the_picture_and_moves_away_as_t_grows(sampler, digits):
    ddpm, (x, y) = load_checkpoint(), (tensor[::300] for tensor in digits.tensors)
    way = [(edit(ddpm, x, y, t, w=0.0, sampler=sampler, generator=seeded()) - x).abs().mean().item()
           for t in (1, 50, 150, 300, 500)]  # fmt: skip
    assert way == sorted(way)
    assert way[0] < 0.005
    assert way[-1] > 0.1


@pytest.mark.parametrize(
    ("t", "steps", "want"),
    [(200, 4, [200, 150, 100, 50]), (150, 4, [150, 100, 50]), (149, 4, [149, 100, 50]), (1, 4, [1]),
     (3, 200, [3, 2, 1]), (60, [200, 90, 60, 30, 0], [60, 30]), (61, torch.tensor([200, 60, 0]), [61, 60])],
)  # fmt: skip
def test_edit_walks_t_and_the_times_below_it(t, steps, want, pairs):
    ddpm = pairs()
    edit(ddpm, PICTURE, [1, 2], t, steps=steps)
    assert [call[1] for call in ddpm.calls] == want


def test_edit_starts_from_the_noised_picture_with_other_noise_for_each_label(pairs, is_standard_normal):
    ddpm = pairs()
    edit(ddpm, PICTURE, LABELS, 120, generator=seeded())
    x_t, bar = ddpm.calls[0][0].double(), alpha_bars(ddpm.schedule)[120]
    eps = (x_t - bar.sqrt() * KNOWN) / (1 - bar).sqrt()
    is_standard_normal(eps)
    is_standard_normal((eps[0::2] - eps[1::2]) / 2**0.5)


def test_the_label_decides_where_much_is_forgotten(digits):
    """The trained network: 3s become 8s from a late time down, and stay 3s from an early one."""
    evaluation = pytest.importorskip("ddpm_lib.evaluation")
    ddpm, (x, y) = load_checkpoint(), digits.tensors
    threes = x[y == 3][:24]
    read = {}
    for t in (50, 400):
        drawn = edit(ddpm, threes, torch.full((24,), 8), t, generator=seeded())
        read[t] = evaluation.classify(evaluation.load_classifier(), drawn)[0].argmax(1)
    assert (read[50] == 3).sum() >= 20
    assert (read[400] == 8).sum() >= 22


# ---------------------------------------------------------------------------- inpaint


@pytest.mark.parametrize(("steps", "repeats"), [(20, 1), (20, 5), (7, 3), (200, 1), (200, 2), (1, 5)])
def test_what_is_filled_in_has_the_law_of_the_method(steps, repeats, pairs, within):
    ddpm = pairs()
    mean, cov = law(ddpm.schedule, time_steps(200, steps), known=KNOWN, repeats=repeats)
    x = filled_in(ddpm, steps, repeats)
    if steps == 1:  # the first guess itself, from noise that says nothing
        assert x.std() < ROUNDING
    has_law(x, mean[1], cov[1, 1].sqrt(), within)


def test_without_repeats_a_third_of_what_the_known_pixels_say_is_lost():
    """The bias of RePaint, in all 500 steps: known pixels come in at each time, what is there was drawn without them.

    How much of the true shift of the mean arrives, and the standard deviation against the true one. Repeats mend the
    mean; they also repeat the error of each step, whose noise √β̃ is a little too small.
    """
    schedule, share, spread = NoiseSchedule.cosine(500), {}, {}
    for repeats in (1, 2, 5, 20):
        mean, cov = law(schedule, range(500, -1, -1), known=KNOWN, repeats=repeats)
        share[repeats], spread[repeats] = (mean[1] - M) / (TRUE_MEAN - M), cov[1, 1].sqrt() / TRUE_STD
    assert 0.6 < share[1] < 0.65
    assert 0.88 < share[5] < 0.93
    assert 0.97 < share[20] < 1
    assert list(share.values()) == sorted(share.values())
    assert 1.1 < spread[1] < 1.2
    assert 0.95 < spread[5] < 1
    assert 0.88 < spread[20] < 0.95


def test_repeats_are_what_the_trained_network_needs_too(digits):
    """Halves of digits without a label: with repeats the other half comes nearer to the real one."""
    ddpm, x = load_checkpoint(), digits.tensors[0][::75]  # 60 digits
    y, off = torch.zeros(len(x), 10), {}
    for repeats in (1, 5):
        drawn = inpaint(ddpm, x, RIGHT, y, w=0.0, repeats=repeats, generator=seeded())
        off[repeats] = (drawn - x)[..., 14:].square().mean()
    assert off[5] < 0.85 * off[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_known_pixels_are_kept_to_the_last_bit_and_the_hidden_ones_are_not_looked_at(dtype, digits):
    ddpm, images = load_checkpoint(), digits.tensors[0][:6].to(dtype)
    mask = torch.rand(6, 1, 28, 28, generator=seeded(1)) < 0.4
    x = inpaint(ddpm, images, mask, range(6), steps=4, generator=seeded())
    assert x.dtype == torch.float32
    assert torch.equal(x[~mask], images.float()[~mask])
    assert 0 <= x.min() <= x.max() <= 1
    hidden = images.where(~mask, torch.rand(images.shape, generator=seeded(2)).to(dtype))
    assert torch.equal(inpaint(ddpm, hidden, mask, range(6), steps=4, generator=seeded()), x)


def test_known_pixels_are_the_noised_original_at_each_time_with_fresh_noise(pairs, is_standard_normal):
    ddpm, repeats = pairs(), 3
    inpaint(ddpm, PICTURE, RIGHT, LABELS, steps=6, repeats=repeats, generator=seeded())
    assert [call[1] for call in ddpm.calls] == [t for t in (200, 167, 134, 100, 67) for _ in range(repeats)] + [34]
    bars, noises = alpha_bars(ddpm.schedule), []
    for x_t, t, *_ in ddpm.calls[repeats:]:
        eps = (x_t[..., :14].double() - bars[t].sqrt() * KNOWN) / (1 - bars[t]).sqrt()
        is_standard_normal(eps)
        noises.append(eps)
    for first, later in pairwise(noises[::repeats]):  # the first visits of two times
        is_standard_normal((first - later) / 2**0.5)


def test_mask_of_everything_samples_and_mask_of_nothing_returns_the_picture(pairs, digits, within):
    ddpm, everything = pairs(), torch.ones(1, 1, 28, 28)
    x = inpaint(ddpm, PICTURE, everything, LABELS, steps=20, repeats=1, generator=seeded())
    mean, cov = law(ddpm.schedule, time_steps(200, 20))
    has_law(to_signed(x.double()), mean[0], cov[0, 0].sqrt(), within)
    x, y = (tensor[:3] for tensor in digits.tensors)
    assert torch.equal(inpaint(load_checkpoint(), x, 0 * everything, y, steps=2), x)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
@pytest.mark.parametrize("masks", [1, 4])
def test_masks_of_one_and_of_each_picture_and_of_any_kind_are_the_same(dtype, masks, pairs):
    calls = [inpaint(pairs(20), PICTURE, mask, [1, 2, 3, 4], steps=3, generator=seeded())
             for mask in (RIGHT, RIGHT.expand(masks, -1, -1, -1).to(dtype))]  # fmt: skip
    assert torch.equal(*calls)


# ---------------------------------------------------------------------------- both


def both(ddpm, images, labels, **more):
    yield edit(ddpm, images, labels, 15, **more)
    yield inpaint(ddpm, images, RIGHT, labels, **more)


def test_label_and_w_reach_the_network_at_every_call(pairs, soft_rows):
    rows, w = soft_rows(3), torch.tensor([0.0, 1.0, 4.0])
    ddpm = pairs(20)
    list(both(ddpm, PICTURE, rows, w=w, steps=5))
    for *_, y, told_w in ddpm.calls:
        assert torch.equal(y, rows)
        assert torch.equal(torch.as_tensor(told_w), w)


def test_one_picture_for_all_labels_is_that_picture_for_each(tiny_ddpm):
    one = list(both(tiny_ddpm, PICTURE, [1, 2, 3], steps=3, generator=seeded()))
    each = list(both(tiny_ddpm, PICTURE.expand(3, -1, -1, -1), [1, 2, 3], steps=3, generator=seeded()))
    assert all(map(torch.equal, one, each))


def test_a_generator_decides_everything_and_nothing_of_the_callers_changes(tiny_ddpm, global_rng_untouched):
    tiny_ddpm.train()
    kept = {name: tensor.clone() for name, tensor in tiny_ddpm.state_dict().items()}
    picture, mask = PICTURE.clone().requires_grad_(), RIGHT.clone()
    with global_rng_untouched():
        first, again, other = (list(both(tiny_ddpm, picture, [1, 2], steps=3, generator=seeded(s))) for s in (0, 0, 1))
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    assert not any(x.requires_grad for x in first)
    assert tiny_ddpm.training
    assert all(torch.equal(tensor, kept[name]) for name, tensor in tiny_ddpm.state_dict().items())
    assert torch.equal(picture, PICTURE)
    assert torch.equal(mask, RIGHT)
    assert tiny_ddpm.schedule.T == NoiseSchedule.cosine(tiny_ddpm.schedule.T).T


def test_other_numbers_of_classes():
    ddpm = DDPM(UNet(UNetConfig((4, 4, 4), 4, num_classes=26)), NoiseSchedule.cosine(20))
    assert [len(x) for x in both(ddpm, PICTURE, [25, 3], steps=2)] == [2, 2]
    with pytest.raises(ValueError, match="labels"):
        list(both(ddpm, PICTURE, [26], steps=2))


GOOD = {"ddpm": None, "images": torch.full((2, 1, 28, 28), 0.5), "labels": [1, 2], "w": 1.0, "steps": 5}
BAD = [
    ("ddpm", "a network"), ("images", None), ("images", torch.full((2, 28, 28), 0.5)), ("images", GOOD["images"] * 4),
    ("images", GOOD["images"] - 1), ("images", GOOD["images"] * float("nan")), ("images", GOOD["images"].long()),
    ("images", torch.full((3, 1, 28, 28), 0.5)), ("labels", [1, 10]), ("labels", torch.ones(2, 10)), ("labels", []),
    ("w", float("inf")), ("w", torch.ones(3)), ("steps", 0), ("steps", 21), ("steps", [20, 21, 0]), ("steps", [10, 0]),
    ("generator", 7),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_neither_can_use_is_named(name, value, tiny_ddpm):
    for call, more in ((edit, {"t": 9}), (inpaint, {"mask": RIGHT})):
        with pytest.raises(ValueError, match=rf"^{name}|each row of {name}"):
            call(**{**GOOD, "ddpm": tiny_ddpm, **more, name: value})


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [(edit, "t", value) for value in (0, 21, 1.5, True, None, torch.tensor([3, 4]))]
    + [(edit, "sampler", "euler"), (inpaint, "repeats", 0), (inpaint, "repeats", 2.5)]
    + [(inpaint, "mask", value) for value in (None, RIGHT[0], RIGHT * 0.5, RIGHT.expand(3, -1, -1, -1), [[1]])],
)
def test_what_one_of_them_cannot_use_is_named(call, name, value, tiny_ddpm):
    more = {"t": 9} if call is edit else {"mask": RIGHT}
    with pytest.raises(ValueError, match=rf"^{name} "):
        call(**{**GOOD, "ddpm": tiny_ddpm, **more, name: value})
