"""The reverse process, with a denoiser whose answer is known: pixels of Gaussian data.

If x_0 ~ N(m, s²), then x_t ~ N(√ᾱ·m, ᾱ·s² + 1 − ᾱ), and the best guesses of ε and x_0 are affine functions of x_t.
So is then each step of a sampler, and the mean and variance of what it draws follow by recursion, at any number of
steps, in float64 and without drawing anything. s is so small that clipping x̂_0 to [−1, 1] never acts.
"""

import copy
import math
from collections import Counter
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from ddpm_lib import DDPM, NoiseSchedule, guards, load_checkpoint, precision, sample, sample_steps
from ddpm_lib.sampling import ancestral_step, ddim_step, dpmpp_2m_step, time_steps

M, S = 0.2, 0.15
ROUNDING = 2e-3  # of one x̂_0 at t = T, where a difference of float32 numbers is divided by √ᾱ_T ≈ 2e-4
LABELS = torch.arange(64) % 10
SAMPLERS = ["ancestral", "ddim", "dpmpp_2m"]
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


def exact_alpha_bar(schedule):
    return (1 - schedule.beta.double()).cumprod(0)


class GaussianDDPM(DDPM):
    """Answers with E[ε | x_t] for x_0 ~ N(M, S²), and keeps what it was asked in `calls`."""

    def __init__(self, network, schedule):
        super().__init__(network, schedule)
        self.calls = []

    def predict_noise(self, x_t, t, y, w=0.0):
        self.calls.append((x_t.clone(), t.clone(), y, w))
        alpha_bar = exact_alpha_bar(self.schedule)[t].view(-1, 1, 1, 1)
        variance = alpha_bar * S**2 + 1 - alpha_bar
        return ((1 - alpha_bar).sqrt() / variance * (x_t - alpha_bar.sqrt() * M)).float()


def recursion(schedule, times, sampler, eta=0.0):
    """(a, b, variance): x_0 = a·x_T + b + noise of this variance, x_T and the noise independent. In float64."""
    alpha_bar = exact_alpha_bar(schedule).tolist()
    half_log_snr = [math.inf if bar == 1 else math.log(bar / (1 - bar)) / 2 for bar in alpha_bar]
    a, b, variance = 1.0, 0.0, 0.0
    before = None  # of the step before: its λ, and x̂_0 as (slope, offset) of x_T
    for t, s in pairwise(times):
        bar_t, bar_s = alpha_bar[t], alpha_bar[s]
        gain = math.sqrt(bar_t) * S**2 / (bar_t * S**2 + 1 - bar_t)  # x̂_0 = M + gain·(x_t − √ᾱ_t·M)
        offset = M - gain * math.sqrt(bar_t) * M
        guess = gain * a, gain * b + offset
        if sampler == "dpmpp_2m" and before and s > 0:
            h = half_log_snr[s] - half_log_snr[t]
            ahead = h / 2 / (half_log_snr[t] - before[0])
            middle = [now + ahead * (now - then) for now, then in zip(guess, before[1], strict=True)]
            keep = math.sqrt((1 - bar_s) / (1 - bar_t))
            add = math.sqrt(bar_s) * (1 - math.exp(-h))
            a, b = keep * a + add * middle[0], keep * b + add * middle[1]
        else:
            alpha = bar_t / bar_s
            added = (1 - bar_s) / (1 - bar_t) * (1 - alpha) * (1 if sampler == "ancestral" else eta**2)
            if sampler == "ancestral":
                from_x_t = math.sqrt(alpha) * (1 - bar_s) / (1 - bar_t)
                from_x_0_hat = math.sqrt(bar_s) * (1 - alpha) / (1 - bar_t)
            else:
                from_x_t = math.sqrt((1 - bar_s - added) / (1 - bar_t))
                from_x_0_hat = math.sqrt(bar_s) - from_x_t * math.sqrt(bar_t)
            slope = from_x_t + from_x_0_hat * gain
            a, b, variance = slope * a, slope * b + from_x_0_hat * offset, slope**2 * variance + added
        before = half_log_snr[t], guess
    return a, b, variance


@pytest.fixture
def gaussian(stub_ddpm):
    """gaussian(T): the exact denoiser for this data, under the cosine schedule."""
    return lambda T=200, schedule=None: GaussianDDPM(stub_ddpm().unet, schedule or NoiseSchedule.cosine(T))


def drawn(ddpm, sampler, steps, seed=0, eta=0.0):
    """x_T and x_0, in [−1, 1]."""
    ddpm.calls.clear()
    *_, (x_0, _) = sample_steps(
        ddpm, LABELS, sampler=sampler, steps=steps, generator=torch.Generator().manual_seed(seed), eta=eta
    )
    return ddpm.calls[0][0].double(), x_0.double()


# ---------------------------------------------------------------------------- against the closed form


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 200])
def test_without_noise_x_0_is_the_affine_map_that_the_recursion_says_pixel_by_pixel(steps, sampler, gaussian):
    ddpm = gaussian()
    x_T, x_0 = drawn(ddpm, sampler, steps)
    a, b, variance = recursion(ddpm.schedule, time_steps(200, steps), sampler)
    assert variance == 0
    torch.testing.assert_close(x_0, a * x_T + b, rtol=0, atol=ROUNDING)


@every_sampler
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 200])
def test_mean_and_variance_are_the_recursions(sampler, steps, gaussian, within):
    ddpm = gaussian()
    _, x_0 = drawn(ddpm, sampler, steps)
    a, b, added = recursion(ddpm.schedule, time_steps(200, steps), sampler)
    variance, n = a**2 + added, x_0.numel()
    within(x_0.mean(), b, (variance / n) ** 0.5 + ROUNDING / 5)
    within(x_0.std(), variance**0.5, (variance / 2 / n) ** 0.5 + ROUNDING / 5)


@pytest.mark.parametrize("eta", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 200])
def test_eta_adds_the_noise_that_the_recursion_says(steps, eta, gaussian, within):
    ddpm = gaussian()
    x_T, x_0 = drawn(ddpm, "ddim", steps, eta=eta)
    a, b, added = recursion(ddpm.schedule, time_steps(200, steps), "ddim", eta)
    within((x_0 - a * x_T - b).std(), added**0.5, (added / 2 / x_0.numel()) ** 0.5 + ROUNDING / 5)
    variance = a**2 + added
    within(x_0.std(), variance**0.5, (variance / 2 / x_0.numel()) ** 0.5 + ROUNDING / 5)


def test_ddim_with_eta_1_is_ancestral_sampling(gaussian):
    for steps in (2, 9, 200):
        _, ancestral = drawn(gaussian(), "ancestral", steps)
        _, ddim = drawn(gaussian(), "ddim", steps, eta=1.0)
        torch.testing.assert_close(ddim, ancestral, rtol=0, atol=ROUNDING)


def test_the_second_order_solver_needs_fewer_steps(gaussian):
    """Against its own limit of many steps, where t isn't so coarse that the first step leaps over everything."""
    schedule = NoiseSchedule.cosine(1000)
    limit, *_ = recursion(schedule, list(range(1000, -1, -1)), "ddim")
    error = {
        sampler: [abs(recursion(schedule, time_steps(1000, n), sampler)[0] / limit - 1) for n in (10, 20, 40)]
        for sampler in ("ddim", "dpmpp_2m")
    }
    assert all(second < first for first, second in zip(error["ddim"], error["dpmpp_2m"], strict=True)), error
    assert error["dpmpp_2m"][-1] < error["dpmpp_2m"][-2] / 3  # about 1/4: second order
    assert error["ddim"][-1] > error["ddim"][-2] / 2.2  # about 1/2: first order


@every_sampler
def test_many_steps_draw_the_data_and_few_steps_miss_it_by_what_the_recursion_says(sampler, gaussian, within):
    ddpm = gaussian(500)
    _, x_0 = drawn(ddpm, sampler, steps=500)
    assert x_0.mean().item() == pytest.approx(M, abs=0.004)
    assert x_0.std().item() == pytest.approx(S, rel=0.04)

    # A correct sampler is off at few steps: too little variance. One that isn't has another schedule or data.
    stds = {}
    for steps in (2, 5, 20):
        a, _, added = recursion(ddpm.schedule, time_steps(500, steps), sampler)
        stds[steps] = (a**2 + added) ** 0.5
        _, x_0 = drawn(ddpm, sampler, steps)
        within(x_0.std(), stds[steps], stds[steps] * (1 / 2 / x_0.numel()) ** 0.5 + ROUNDING / 5)
    if sampler != "dpmpp_2m":  # of second order, it may overshoot
        assert stds[2] < 0.5 * S
        assert stds[2] < stds[5] < stds[20] < S


@every_sampler
def test_the_recursion_reaches_the_data_as_steps_grow(sampler):
    """The test's own yardstick, tested: with T steps of a fine schedule mean and standard deviation are the data's."""
    errors = []
    for T in (50, 200, 1000, 4000):
        a, b, added = recursion(NoiseSchedule.cosine(T), list(range(T, -1, -1)), sampler)
        errors.append(abs(math.sqrt(a**2 + added) / S - 1) + abs(b / M - 1))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.005


@pytest.mark.parametrize("steps", [2, 7, 40])
def test_each_ancestral_step_adds_fresh_gaussian_noise_of_the_posteriors_size(steps, gaussian, is_standard_normal):
    ddpm = gaussian(40)
    strip = list(
        sample_steps(ddpm, LABELS[:16], sampler="ancestral", steps=steps, generator=torch.Generator().manual_seed(4))
    )
    alpha_bar, before = exact_alpha_bar(ddpm.schedule), []
    for (t, s), (x_t, *_), (x_s, x_0_hat) in zip(pairwise(time_steps(40, steps)), ddpm.calls, strip, strict=True):
        if s == 0:
            assert torch.equal(x_s, x_0_hat)  # the last step adds none
            continue
        alpha = alpha_bar[t] / alpha_bar[s]
        mean = alpha_bar[s].sqrt() * (1 - alpha) / (1 - alpha_bar[t]) * x_0_hat
        mean = mean + alpha.sqrt() * (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * x_t
        z = (x_s - mean) / ((1 - alpha_bar[s]) / (1 - alpha_bar[t]) * (1 - alpha)).sqrt()
        is_standard_normal(z)
        for earlier in before:  # new at each step
            is_standard_normal((z - earlier) / 2**0.5)
        before.append(z)


@every_sampler
def test_what_is_yielded_is_what_the_denoiser_saw_and_said(sampler, gaussian):
    ddpm = gaussian(40)
    strip = list(sample_steps(ddpm, LABELS[:4], sampler=sampler, steps=8))
    for (x_s, _), (x_t, *_) in zip(strip[:-1], ddpm.calls[1:], strict=True):
        assert torch.equal(x_s, x_t)
    for (_, x_0_hat), (x_t, t, *_) in zip(strip, ddpm.calls, strict=True):
        alpha_bar = exact_alpha_bar(ddpm.schedule)[t].view(-1, 1, 1, 1)
        want = M + alpha_bar.sqrt() * S**2 / (alpha_bar * S**2 + 1 - alpha_bar) * (x_t - alpha_bar.sqrt() * M)
        torch.testing.assert_close(x_0_hat.double(), want.double(), rtol=0, atol=ROUNDING)


@every_sampler
def test_x_T_is_standard_normal(sampler, gaussian, is_standard_normal):
    x_T, _ = drawn(gaussian(), sampler, steps=1)
    is_standard_normal(x_T)
    is_standard_normal((x_T[0::2] - x_T[1::2]) / 2**0.5)  # another one for each image


@every_sampler
def test_one_step_is_the_guess_itself(sampler, gaussian):
    ((x_0, x_0_hat),) = sample_steps(gaussian(), LABELS, sampler=sampler, steps=1)
    assert torch.equal(x_0, x_0_hat)


@every_sampler
def test_the_guess_is_clipped_at_each_step(sampler, stub_ddpm):
    ddpm = stub_ddpm(lambda x_t, t_over_T, y: -3 * x_t)  # a wild guess
    strip = list(sample_steps(ddpm, LABELS[:4], sampler=sampler, steps=5))
    assert all(x_0_hat.abs().max() == 1 for _, x_0_hat in strip)
    assert strip[-1][0].abs().max() == 1
    # The clipped x̂_0, not the wild one, is what the step builds on: else x would run away.
    assert all(x_t.abs().max() < 7 for x_t, _ in strip)


def euler_step(schedule, x_t, x_0_hat, t, s, z=None):
    """Flow matching: x_τ moves along u = ε − x_0 from τ(t) to τ(s). Only the scale of x differs from ours."""
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    x_tau, tau_t, tau_s = x_t / (signal_t + sigma_t), sigma_t / (signal_t + sigma_t), sigma_s / (signal_s + sigma_s)
    u = (x_t - signal_t * x_0_hat) / sigma_t - x_0_hat
    return (x_tau + (tau_s - tau_t) * u) * (signal_s + sigma_s)


@pytest.mark.parametrize("schedule", [NoiseSchedule.linear(100), NoiseSchedule.cosine(100, shift=1.5)], ids=repr)
@pytest.mark.parametrize(("t", "s"), [(100, 90), (100, 0), (50, 49), (7, 3), (1, 0)])
def test_an_euler_step_of_the_flow_is_a_ddim_step(schedule, t, s, images):
    x_t, x_0_hat, t, s = images(6)[:3].double(), images(6)[3:].double(), torch.full((3,), t), torch.full((3,), s)
    ddim, euler = (step(schedule, x_t, x_0_hat, t, s) for step in (ddim_step, euler_step))
    torch.testing.assert_close(euler, ddim, rtol=0, atol=1e-5)


def test_the_shipped_weights_walk_as_a_flow():
    """The same weights, asked for ε by DDIM and for u by Euler steps: the same digits."""
    ddpm, x_T = load_checkpoint(), torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ddim, euler = (sample(ddpm, range(10), sampler=step, steps=8, x_T=x_T) for step in ("ddim", euler_step))
    torch.testing.assert_close(euler, ddim, rtol=0, atol=0.02)  # bfloat16, where the CPU has it, rounds to 3 digits


# ---------------------------------------------------------------------------- diffusers as an oracle


def test_whole_chains_of_diffusers_flow_matching(images):
    diffusers = pytest.importorskip("diffusers")
    ours = NoiseSchedule.cosine(100, shift=1.0)
    theirs, times = diffusers.FlowMatchEulerDiscreteScheduler(), time_steps(100, 8)
    signal, sigma = (level.flatten().double() for level in ours.levels(torch.tensor(times)))
    theirs.set_timesteps(sigmas=(sigma / (signal + sigma))[:-1].tolist())  # it ends at 0 by itself
    x_t = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1)).double()
    x_tau = x_t / (signal[0] + sigma[0])
    for i, (t, s) in enumerate(pairwise(times)):
        batch_t, batch_s = torch.full((4,), t), torch.full((4,), s)
        x_0_hat = (x_t * 0.7).tanh()  # any bounded guess of x_0 will do
        u = ours.predict_eps(x_t, batch_t, x_0_hat) - x_0_hat
        x_tau = theirs.step(u, theirs.timesteps[i], x_tau).prev_sample
        x_t = ddim_step(ours, x_t, x_0_hat, batch_t, batch_s)
        torch.testing.assert_close(x_tau * (signal[i + 1] + sigma[i + 1]), x_t, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [100, 20, 4])
@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
def test_whole_chains_of_diffusers(kind, steps, sampler, images):
    """The same network, the same x_T and z: the same images. diffusers counts t from 0: its t is our t − 1."""
    diffusers = pytest.importorskip("diffusers")
    ours = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}[kind](100)
    options = {"num_train_timesteps": 100, "timestep_spacing": "trailing", "clip_sample": True}
    options |= {"linear": {"beta_start": 1e-4, "beta_end": 0.02}, "cosine": {"beta_schedule": "squaredcos_cap_v2"}}[
        kind
    ]
    if sampler == "ancestral":
        theirs, more = diffusers.DDPMScheduler(**options), {"generator": torch.Generator().manual_seed(0)}
        step = ancestral_step
    else:
        theirs, more = diffusers.DDIMScheduler(**options, set_alpha_to_one=True), {"use_clipped_model_output": True}
        step = ddim_step
    theirs.set_timesteps(steps)
    assert [t + 1 for t in theirs.timesteps.tolist()] == time_steps(100, steps)[:-1]

    generator = torch.Generator().manual_seed(0)
    x_ours = x_theirs = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    for t, s in pairwise(time_steps(100, steps)):
        eps_hat = (2 * x_ours).sin() + images(4) / 5  # any function will do
        batch_t, batch_s = torch.full((4,), t), torch.full((4,), s)
        x_0_hat = ours.predict_x_0(x_ours, batch_t, eps_hat).clamp(-1, 1)
        z = torch.randn(x_ours.shape, generator=generator)
        x_ours = step(ours, x_ours, x_0_hat, batch_t, batch_s, z)
        theirs_now = theirs.step(eps_hat, t - 1, x_theirs, **more)
        x_theirs = theirs_now.prev_sample
        torch.testing.assert_close(x_0_hat, theirs_now.pred_original_sample, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(x_ours, x_theirs, rtol=1e-3, atol=1e-3)
        x_ours = x_theirs  # no error carried over: each step is compared by itself


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own
@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [50, 20, 8])
def test_whole_chains_of_diffusers_multistep_solver(kind, steps):
    diffusers = pytest.importorskip("diffusers")
    ours = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}[kind](100)
    theirs = diffusers.DPMSolverMultistepScheduler(
        num_train_timesteps=100,
        trained_betas=ours.beta[1:].numpy(),
        timestep_spacing="trailing",
        final_sigmas_type="zero",
    )
    theirs.set_timesteps(steps)
    # It repeats no times, but rounds some of them differently; take its own.
    times = [t + 1 for t in theirs.timesteps.tolist()] + [0]
    x_ours = x_theirs = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    previous = None
    for t, s in pairwise(times):
        batch_t, batch_s = torch.full((4,), t), torch.full((4,), s)
        x_0_hat = (x_ours * 0.7).tanh()  # any bounded guess of x_0 will do
        x_s = dpmpp_2m_step(ours, x_ours, x_0_hat, batch_t, batch_s, previous)
        previous = x_0_hat, batch_t
        x_theirs = theirs.step(ours.predict_eps(x_ours, batch_t, x_0_hat), t - 1, x_ours).prev_sample
        torch.testing.assert_close(x_s, x_theirs, rtol=1e-3, atol=1e-3)
        x_ours = x_s


# ---------------------------------------------------------------------------- times


@given(T=st.integers(2, 1500), data=st.data())
def test_times_fall_strictly_from_T_to_0_in_even_strides(T, data):
    steps = data.draw(st.integers(1, T))
    times = time_steps(T, steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (T, 0)
    strides = {t - s for t, s in pairwise(times)}
    assert min(strides) >= 1
    assert max(strides) - min(strides) <= 1


@every_sampler
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 19, 20])
def test_any_number_of_steps_from_1_to_T(sampler, steps, stub_ddpm):
    ddpm = stub_ddpm(lambda x_t, t_over_T, y: 0.9 * x_t)
    strip = list(sample_steps(ddpm, LABELS[:3], w=0.0, sampler=sampler, steps=steps))
    assert len(strip) == steps
    seen = [(t_over_T * 20).round().int().tolist() for _, t_over_T, _ in ddpm.unet.calls]
    assert seen == [[t] * 3 for t in time_steps(20, steps)[:-1]]
    for x_t, x_0_hat in strip:
        assert x_t.shape == x_0_hat.shape == (3, 1, 28, 28)
        assert x_t.isfinite().all()


# ---------------------------------------------------------------------------- guidance


def test_w_acts_only_inside_the_interval(gaussian):
    ddpm = gaussian(20)
    sample(ddpm, LABELS[:2], w=3.0, steps=20, guidance_interval=(5, 12))
    asked = {int(t[0]): w for _, t, _, w in ddpm.calls}
    assert asked == {t: 3.0 if 5 <= t <= 12 else 0.0 for t in range(1, 21)}


def test_without_an_interval_w_acts_everywhere(gaussian):
    ddpm = gaussian(20)
    for options in ({}, {"guidance_interval": None}, {"guidance_interval": (1, 20)}):
        ddpm.calls.clear()
        sample(ddpm, LABELS[:2], w=3.0, steps=20, **options)
        assert [w for *_, w in ddpm.calls] == [3.0] * 20
    ddpm.calls.clear()
    sample(ddpm, LABELS[:2], steps=2)
    assert [w for *_, w in ddpm.calls] == [1.0] * 2  # the default


def test_a_tensor_of_w_arrives_as_it_is(gaussian):
    ddpm, w = gaussian(20), torch.tensor([0.0, 2.0])
    sample(ddpm, LABELS[:2], w=w, steps=20, guidance_interval=(1, 10))
    for _, t, _, seen in ddpm.calls:
        assert torch.equal(seen, w) if t[0] <= 10 else seen == 0


def test_one_batch_shows_a_whole_row_of_w(tiny_ddpm):
    """The images of w = (−1, 0, 4) in one batch are those of three batches with the same noise."""
    labels, w = torch.tensor([3, 3, 3]), torch.tensor([-1.0, 0.0, 4.0])
    row = sample(tiny_ddpm, labels, w=w, steps=5, generator=torch.Generator().manual_seed(0))
    for i in range(3):
        alone = sample(tiny_ddpm, labels, w=w[i].item(), steps=5, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(
            row[i], alone[i], rtol=0, atol=0.05 if precision.has_fast_bf16(torch.device("cpu")) else 1e-4
        )


def test_labels_arrive_as_rows_and_rows_as_they_are(gaussian, soft_rows):
    ddpm = gaussian(20)
    sample(ddpm, torch.tensor([7, 1]), steps=3)
    assert all(torch.equal(y, torch.eye(10)[[7, 1]]) for _, _, y, _ in ddpm.calls)
    ddpm.calls.clear()
    rows = soft_rows(3)
    rows[0] = 0
    sample(ddpm, rows, steps=3)
    assert all(torch.equal(y, rows) for _, _, y, _ in ddpm.calls)
    ddpm.calls.clear()
    sample(ddpm, [7, 1], steps=1)
    assert torch.equal(ddpm.calls[0][2], torch.eye(10)[[7, 1]])


# ---------------------------------------------------------------------------- randomness


@every_sampler
def test_one_seed_one_set_of_images(sampler, tiny_ddpm, global_rng_untouched):
    def images(seed):
        return sample(tiny_ddpm, LABELS[:4], sampler=sampler, steps=4, generator=torch.Generator().manual_seed(seed))

    with global_rng_untouched():
        first, again, other = images(1), images(1), images(2)
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.1
    assert (first[0] - first[1]).abs().mean() > 0.1


def test_without_a_generator_torchs_own_is_used(tiny_ddpm):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first, second = (sample(tiny_ddpm, [1], steps=2) for _ in range(2))
        torch.manual_seed(1)
        assert torch.equal(sample(tiny_ddpm, [1], steps=2), first)
        assert not torch.equal(first, second)


@every_sampler
def test_x_T_is_where_the_chain_begins(sampler, gaussian, global_rng_untouched):
    ddpm, x_T = gaussian(20), torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(5))
    for start in (x_T, x_T[:1]):
        before = start.clone()
        ddpm.calls.clear()
        with global_rng_untouched():
            sample(ddpm, [1, 2, 3], sampler=sampler, steps=2, x_T=start, generator=torch.Generator().manual_seed(0))
        assert torch.equal(ddpm.calls[0][0], start.expand(3, -1, -1, -1))
        assert torch.equal(start, before)


def test_an_x_T_that_was_drawn_by_hand_gives_what_the_generator_gives(tiny_ddpm):
    x_T = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    by_hand = sample(tiny_ddpm, [1, 2], steps=3, x_T=x_T)
    assert torch.equal(by_hand, sample(tiny_ddpm, [1, 2], steps=3, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(by_hand, sample(tiny_ddpm, [1, 2], steps=3, x_T=x_T.double()))


# ---------------------------------------------------------------------------- sample and sample_steps


@every_sampler
def test_sample_is_the_end_of_the_film_strip_in_0_to_1(sampler, tiny_ddpm):
    arguments = {"labels": LABELS[:4], "w": 2.0, "sampler": sampler, "steps": 6, "guidance_interval": (3, 15)}
    *_, (x_0, _) = sample_steps(tiny_ddpm, **arguments, generator=torch.Generator().manual_seed(0))
    images = sample(tiny_ddpm, **arguments, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(images, (x_0 + 1) / 2)
    assert images.shape == (4, 1, 28, 28)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.05


def test_what_is_yielded_belongs_to_the_caller(tiny_ddpm):
    """Changing a frame in place neither changes the chain nor is it forbidden; autograd may use it."""

    def strip(meddle):
        for x_t, x_0_hat in sample_steps(tiny_ddpm, LABELS[:2], steps=4, generator=torch.Generator().manual_seed(0)):
            assert not x_t.is_inference()
            kept = x_t.clone()
            if meddle:
                x_t.zero_().requires_grad_()
                (x_t * x_0_hat).sum().backward()
                x_0_hat.fill_(7)
        return kept

    assert torch.equal(strip(meddle=True), strip(meddle=False))


def test_arguments_are_not_changed(tiny_ddpm, soft_rows):
    labels, w = soft_rows(3), torch.tensor([-1.0, 0.0, 2.0])
    before = copy.deepcopy((labels, w, tiny_ddpm.state_dict()))
    sample(tiny_ddpm.train(), labels, w=w, steps=3)
    assert torch.equal(labels, before[0])
    assert torch.equal(w, before[1])
    for name, tensor in tiny_ddpm.state_dict().items():  # BatchNorm's statistics too
        assert torch.equal(tensor, before[2][name])


def test_each_submodule_gets_its_own_mode_back_after_every_step(tiny_ddpm):
    tiny_ddpm.train()
    tiny_ddpm.unet.encoder_14.eval()
    next(m for m in tiny_ddpm.unet.bottleneck.modules() if isinstance(m, torch.nn.BatchNorm2d)).eval()
    modes = [module.training for module in tiny_ddpm.modules()]
    seen = []
    tiny_ddpm.unet.register_forward_hook(lambda unet, *_: seen.append({module.training for module in unet.modules()}))
    for _ in sample_steps(tiny_ddpm, LABELS[:2], steps=3):
        assert [module.training for module in tiny_ddpm.modules()] == modes
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
    assert seen == [{False}] * 3


def test_modes_come_back_after_an_error_too(stub_ddpm):
    def broken(x_t, t_over_T, y):
        raise ZeroDivisionError

    ddpm = stub_ddpm(broken).train()
    with pytest.raises(ZeroDivisionError):
        sample(ddpm, [1])
    assert ddpm.training
    assert ddpm.unet.training
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("fast", [True, False])
def test_no_gradient_is_tracked_and_bfloat16_is_used_exactly_where_it_is_fast(fast, stub_ddpm, monkeypatch):
    seen = []

    def watch(x_t, t_over_T, y):
        seen.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
        return x_t

    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: fast)
    sample(stub_ddpm(watch), [1], steps=2)
    assert seen == [(False, fast)] * 2


def test_sampling_goes_through_the_predict_noise_that_it_finds_on_the_model(tiny_ddpm, monkeypatch):
    asked = []

    def spy(x_t, t, y, w=0.0):
        asked.append((int(t[0]), w))
        return torch.zeros_like(x_t)

    monkeypatch.setattr(tiny_ddpm, "predict_noise", spy)
    sample(tiny_ddpm, [1], w=2.0, steps=2)
    assert asked == [(20, 2.0), (10, 2.0)]


def test_a_spy_that_asks_the_model_itself_changes_nothing(make_ddpm, monkeypatch):
    """Also not BatchNorm's statistics, though the model is in train mode, as a new one is."""
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: False)  # rounding would hide what is compared
    ddpm = make_ddpm().train()
    want = sample(ddpm, [1, 2], w=2.0, steps=3, generator=torch.Generator().manual_seed(0))
    before, modes = {name: t.clone() for name, t in ddpm.state_dict().items()}, []
    for owner, name in ((ddpm, "predict_noise"), (ddpm.unet, "forward")):
        original = getattr(owner, name)

        def spy(*inputs, original=original, **keywords):
            modes.append(ddpm.unet.training)
            return original(*inputs, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, spy)
            got = sample(ddpm, [1, 2], w=2.0, steps=3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(got, want, rtol=0, atol=1e-3)  # not folded: rounded elsewhere
    assert modes == [False] * 6
    assert all(module.training for module in ddpm.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in ddpm.state_dict().items())


def test_a_model_with_its_own_predict_noise_is_asked_itself_and_not_a_copy(tiny_ddpm):
    class Counting(DDPM):
        asked = 0

        def predict_noise(self, x_t, t, y, w=0.0):
            self.asked += 1
            return super().predict_noise(x_t, t, y, w)

    counting = Counting(tiny_ddpm.unet, tiny_ddpm.schedule)
    sample(counting, [1], steps=3)
    assert counting.asked == 3


def test_whatever_has_a_schedule_and_predicts_noise_can_be_sampled():
    class Constant:
        """The exact denoiser of data that is one single grey."""

        schedule = NoiseSchedule.cosine(50)

        def predict_noise(self, x_t, t, y, w=0.0):
            return self.schedule.predict_eps(x_t, t, torch.full_like(x_t, 0.3))

    for sampler in SAMPLERS:
        images = sample(Constant(), [1, 2], sampler=sampler, steps=10)
        torch.testing.assert_close(images, torch.full_like(images, 0.65), rtol=0, atol=1e-4)


# ---------------------------------------------------------------------------- your own times and steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_list_of_the_even_times_is_the_number_of_steps(sampler, tiny_ddpm):
    of_number, *others = (
        sample(tiny_ddpm, [1, 2], sampler=sampler, steps=steps, generator=torch.Generator().manual_seed(0))
        for steps in (4, [20, 15, 10, 5, 0], range(20, -1, -5), torch.arange(20, -1, -5), np.arange(20, -1, -5))
    )
    for other in others:
        assert torch.equal(of_number, other)


def test_the_times_of_the_list_are_those_that_the_model_and_the_step_are_asked_for(stub_ddpm):
    ddpm, times, walked = stub_ddpm(), [20, 19, 11, 3, 0], []

    def step(schedule, x_t, x_0_hat, t, s, z):
        walked.append((t.unique().item(), s.unique().item()))
        return ddim_step(schedule, x_t, x_0_hat, t, s)

    frames = list(sample_steps(ddpm, [1, 2], w=0.0, sampler=step, steps=times))
    assert walked == list(pairwise(times))
    assert [round(t_over_T[0].item() * 20) for _, t_over_T, _ in ddpm.unet.calls] == times[:-1]
    assert len(frames) == 4


@pytest.mark.parametrize(
    "steps",
    [[], [20], [20, 20, 0], [20, 5, 7, 0], [19, 5, 0], [20, 5], [20, 5.5, 0], [20, 5, -1, 0], "20, 0", [20, True]],
)
def test_times_that_do_not_fall_from_T_to_0_are_refused(steps, tiny_ddpm):
    with pytest.raises(ValueError, match=r"steps.*20.*0"):
        sample(tiny_ddpm, [1], steps=steps)


@pytest.mark.parametrize("steps", [[19, 5, 0], [1, 0], [20, 1, 0]])
def test_with_x_T_the_times_may_begin_where_it_is(steps, stub_ddpm):
    ddpm = stub_ddpm()
    sample(ddpm, [1, 2], w=0.0, steps=steps, x_T=torch.randn(1, 1, 28, 28))
    assert [round(t_over_T[0].item() * 20) for _, t_over_T, _ in ddpm.unet.calls] == steps[:-1]


@pytest.mark.parametrize("steps", [[21, 5, 0], [19, 5], [19, 19, 0], [0]])
def test_with_x_T_too_they_fall_from_T_at_most_to_0(steps, tiny_ddpm):
    with pytest.raises(ValueError, match=r"steps.*at most T = 20 to 0"):
        sample(tiny_ddpm, [1], steps=steps, x_T=torch.randn(1, 1, 28, 28))


@pytest.mark.parametrize(("name", "step"), [("ddim", ddim_step), ("ancestral", ancestral_step)])
def test_a_librarys_step_handed_over_is_the_sampler_of_that_name(name, step, tiny_ddpm):
    by_name, by_function = (
        sample(tiny_ddpm, [1, 2, 3], sampler=sampler, steps=5, generator=torch.Generator().manual_seed(0))
        for sampler in (name, step)
    )
    assert torch.equal(by_name, by_function)


def test_a_step_is_given_fresh_gaussian_noise_and_what_it_returns_is_the_next_x(tiny_ddpm, is_standard_normal):
    noises, came = [], []

    def step(schedule, x_t, x_0_hat, t, s, z):
        noises.append(z)
        came.append(x_t)
        return x_t + 1

    x_T = torch.randn(50, 1, 28, 28)
    frames = [x.clone() for x, _ in sample_steps(tiny_ddpm, [0] * 50, sampler=step, steps=3, x_T=x_T)]
    is_standard_normal(torch.stack(noises))
    assert len({z.sum().item() for z in noises}) == 3
    for i, (x_t, x_s) in enumerate(zip(came, frames, strict=True)):
        torch.testing.assert_close(x_t, x_T + i)
        torch.testing.assert_close(x_s, x_T + i + 1)


def test_a_step_of_heun_needs_no_place_in_the_library(make_ddpm):
    """Second order (Karras et al. 2022, algorithm 1): it asks the model again. On the exact case it beats DDIM."""
    schedule = NoiseSchedule.cosine(200, shift=1.5)

    class Exact:
        m, std = 0.3, 0.2

        def predict_noise(self, x_t, t, y, w=0.0):
            signal, sigma = self.schedule.levels(t)
            return sigma * (x_t - signal * self.m) / (signal**2 * self.std**2 + sigma**2)

    Exact.schedule = schedule
    exact, x_T = Exact(), torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))

    def heun(schedule, x_t, x_0_hat, t, s, z):
        x_s = ddim_step(schedule, x_t, x_0_hat, t, s)
        if (s == 0).any():
            return x_s
        again = schedule.predict_x_0(x_s, s, exact.predict_noise(x_s, s, None)).clamp(-1, 1)
        return ddim_step(schedule, x_t, (x_0_hat + again) / 2, t, s)

    def on_the_true_path(t):
        """Mean and standard deviation of x_t; each pixel stays as many standard deviations from the mean."""
        signal, sigma = schedule.levels(torch.tensor([t]))
        return signal * exact.m, (signal**2 * exact.std**2 + sigma**2).sqrt()

    (mean_T, std_T), (mean, std), errors = on_the_true_path(200), on_the_true_path(20), {}
    for name, sampler in {"ddim": "ddim", "heun": heun}.items():
        frames = list(sample_steps(exact, [0], sampler=sampler, steps=20, x_T=x_T))
        x_20, _ = frames[17]
        errors[name] = (x_20 - mean - std * (x_T - mean_T) / std_T).square().mean().sqrt().item()
    assert errors["heun"] < 0.3 * errors["ddim"]


@pytest.mark.parametrize(
    "answer", [None, torch.zeros(1, 1, 28, 28), torch.zeros(2, 784), 0.0, torch.zeros(2, 1, 28, 28).long()]
)
def test_a_step_that_returns_no_picture_is_refused_by_name(answer, tiny_ddpm):
    with pytest.raises(ValueError, match=r"x_s.*x_t"):
        sample(tiny_ddpm, [1, 2], sampler=lambda *arguments: answer, steps=2)


@pytest.mark.parametrize("step", [lambda x: x, lambda a, b, c, d, e: a, lambda a, b, c, d, e, f, g: a])
def test_a_function_that_cannot_be_a_step_is_refused_at_the_call(step, tiny_ddpm):
    with pytest.raises(ValueError, match=r"sampler.*\(schedule, x_t, x_0_hat, t, s, z\)"):
        sample_steps(tiny_ddpm, [1], sampler=step)


def test_a_step_of_your_own_is_told_what_is_wrong_with_its_calls(tiny_ddpm):
    """Guards rest for what the library calls itself, and are awake for what you call."""
    with pytest.raises(ValueError, match="t must be"):
        sample(
            tiny_ddpm, [1, 2], sampler=lambda schedule, x, x_0, t, s, z: schedule.posterior(x_0, x, t[:1])[0], steps=2
        )


def test_guards_are_asked_once_and_not_at_each_step(tiny_ddpm, monkeypatch):
    asked = []
    for name in ("images", "labels", "times", "noised", "guidance_weight", "shaped_as", "denoiser", "falling_times"):
        original = getattr(guards, name)

        def counted(*inputs, original=original, name=name, **more):
            if not guards._is_inside.get():
                asked.append(name)
            return original(*inputs, **more)

        monkeypatch.setattr(guards, name, counted)
    sample(tiny_ddpm, [1, 2], sampler="ddim", steps=8)
    assert Counter(asked) == {"denoiser": 1, "labels": 1, "guidance_weight": 1, "falling_times": 1, "shaped_as": 8}


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("ddpm", [None, "ddpm", torch.nn.Linear(1, 1)])
def test_what_is_no_model_is_refused(ddpm):
    with pytest.raises(ValueError, match="ddpm"):
        sample_steps(ddpm, [1])


BAD_ARGUMENTS = [
    ("labels", torch.tensor([10])),
    ("labels", torch.tensor([-1])),
    ("labels", torch.zeros(0).long()),
    ("labels", torch.tensor([0.5])),
    ("labels", torch.full((2, 10), 0.3)),
    ("labels", None),
    ("w", math.nan),
    ("w", math.inf),
    ("w", torch.ones(3)),
    ("w", "strong"),
    ("sampler", "euler"),
    ("sampler", None),
    ("steps", 0),
    ("steps", 21),
    ("steps", -1),
    ("steps", 2.0),
    ("steps", True),
    ("steps", None),
    ("guidance_interval", (5, 2)),
    ("guidance_interval", (5,)),
    ("guidance_interval", (0.2, 0.8)),
    ("guidance_interval", (600, 700)),
    ("guidance_interval", 5),
    ("guidance_interval", (1, math.nan)),
    ("guidance_interval", ("a", "b")),
    ("sampler", ["ddim"]),
    ("sampler", torch.nn.Linear(1, 1)),
    ("sampler", NoiseSchedule.cosine(5)),
    ("generator", 0),
    ("generator", "seed"),
    ("eta", -0.1),
    ("eta", 1.1),
    ("eta", math.nan),
    ("eta", "some"),
    ("x_T", 0),
    ("x_T", torch.zeros(3, 1, 28, 28)),
    ("x_T", torch.zeros(28, 28)),
    ("x_T", torch.zeros(2, 1, 28, 28).long()),
]


@pytest.mark.parametrize("sampler", ["ancestral", "dpmpp_2m"])
def test_eta_is_for_ddim_only(sampler, tiny_ddpm):
    with pytest.raises(ValueError, match="eta"):
        sample(tiny_ddpm, [1], sampler=sampler, eta=0.5)


@pytest.mark.parametrize(("name", "value"), BAD_ARGUMENTS, ids=[f"{name}={value}" for name, value in BAD_ARGUMENTS])
def test_bad_arguments_are_refused_by_name_at_the_call(name, value, tiny_ddpm):
    arguments = {"labels": torch.tensor([1, 2])} | {name: value}
    with pytest.raises(ValueError, match=name):
        sample_steps(tiny_ddpm, **arguments)  # before the first step is asked for
    with pytest.raises(ValueError, match=name):
        sample(tiny_ddpm, **arguments)
