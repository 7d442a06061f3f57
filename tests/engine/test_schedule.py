"""The forward process: against the chain it abbreviates, against Bayes by numbers, and against diffusers."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from ddpm_lib import NoiseSchedule

SCHEDULES = {
    "linear": NoiseSchedule.linear(),
    "linear 1000": NoiseSchedule.linear(T=1000),
    "linear 30": NoiseSchedule.linear(T=30, beta_1=0.01, beta_T=0.3),
    "cosine": NoiseSchedule.cosine(),
    "cosine 10": NoiseSchedule.cosine(T=10),
    "cosine shifted": NoiseSchedule.cosine(shift=1.0),
    "T = 2": NoiseSchedule.linear(T=2, beta_1=0.3, beta_T=0.1),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


def log_normal(x, mean, variance):
    return -((x - mean) ** 2) / (2 * variance)


# ---------------------------------------------------------------------------- tables


@every_schedule
def test_tables_start_at_time_zero_without_noise(schedule):
    for table in (schedule.beta, schedule.alpha, schedule.alpha_bar, schedule.log_snr):
        assert table.shape == (schedule.T + 1,)
        assert table.dtype == torch.float32
    assert schedule.beta[0] == 0
    assert schedule.alpha[0] == 1
    assert schedule.alpha_bar[0] == 1
    assert schedule.log_snr[0] == math.inf


@every_schedule
def test_signal_only_ever_falls(schedule):
    assert (schedule.alpha_bar.diff() < 0).all()
    assert (schedule.log_snr.diff() < 0).all()
    assert schedule.alpha_bar[-1] > 0
    assert ((schedule.beta[1:] > 0) & (schedule.beta[1:] < 1)).all()


@every_schedule
def test_tables_belong_together(schedule):
    beta = schedule.beta.double()
    alpha_bar = (1 - beta).cumprod(0)
    torch.testing.assert_close(schedule.alpha.double(), 1 - beta, rtol=1e-7, atol=0)
    torch.testing.assert_close(schedule.alpha_bar.double(), alpha_bar, rtol=2e-7, atol=0)
    log_snr = torch.log(alpha_bar[1:] / (1 - alpha_bar[1:]))
    torch.testing.assert_close(schedule.log_snr[1:].double(), log_snr, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("T", "beta_1", "beta_T"), [(500, 1e-4, 0.02), (1000, 1e-4, 0.02), (7, 0.1, 0.4)])
def test_linear_beta_runs_evenly_between_its_ends(T, beta_1, beta_T):
    beta = NoiseSchedule.linear(T, beta_1, beta_T).beta.double()
    assert beta[1] == pytest.approx(beta_1, rel=1e-6)
    assert beta[T] == pytest.approx(beta_T, rel=1e-6)
    torch.testing.assert_close(
        beta[1:].diff(), torch.full((T - 1,), (beta_T - beta_1) / (T - 1)).double(), rtol=1e-3, atol=1e-8
    )


@pytest.mark.parametrize("T", [10, 500, 1000])
def test_cosine_follows_the_formula_until_beta_is_clipped(T):
    schedule = NoiseSchedule.cosine(T)
    f = [math.cos((t / T + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(T + 1)]
    want = torch.tensor([f_t / f[0] for f_t in f])
    torch.testing.assert_close(schedule.alpha_bar[:T], want[:T], rtol=1e-4, atol=0)
    # At t = T the formula is 0, which β ≤ 0.999 keeps the schedule from.
    assert schedule.beta[T] == pytest.approx(0.999)
    assert schedule.beta.max() <= 0.999
    assert schedule.alpha_bar[T] == pytest.approx(0.001 * float(want[T - 1]), rel=1e-3)


@pytest.mark.parametrize("shift", [-1.0, 0.5, 1.0, 3.0])
def test_shift_lowers_log_snr_by_exactly_that_where_beta_is_not_clipped(shift):
    plain, shifted = NoiseSchedule.cosine(500), NoiseSchedule.cosine(500, shift=shift)
    free = (plain.beta < 0.9989) & (shifted.beta < 0.9989)
    assert free[:499].all()
    drop = (plain.log_snr - shifted.log_snr)[1:][free[1:]]
    torch.testing.assert_close(drop, torch.full_like(drop, shift), rtol=0, atol=2e-5)


@pytest.mark.parametrize("T", [2, 10, 500, 1000])
def test_flow_matching_is_a_schedule_by_its_log_snr(T, images):
    """x_τ = (1−τ)·x_0 + τ·ε is x_t times √((1−τ)² + τ²)."""
    tau = torch.arange(1, T + 1, dtype=torch.float64) / (T + 1)
    schedule = NoiseSchedule.from_log_snr(2 * torch.log((1 - tau) / tau))
    torch.testing.assert_close(schedule.log_snr[1:].double(), 2 * torch.log((1 - tau) / tau), rtol=1e-5, atol=1e-5)
    t = torch.tensor([1, (T + 1) // 2, T])
    x_0, eps, tau = images(6)[:3], images(6)[3:], tau[t - 1].view(-1, 1, 1, 1)
    x_tau = (1 - tau) * x_0 + tau * eps
    scaled = (((1 - tau) ** 2 + tau**2).sqrt() * schedule.add_noise(x_0, t, eps)).double()
    torch.testing.assert_close(scaled, x_tau, rtol=1e-5, atol=1e-6)


def test_linear_and_cosine_are_schedules_by_their_log_snr():
    for schedule in SCHEDULES.values():
        log_alpha_bar = torch.log1p(-schedule.beta[1:].double()).cumsum(0)
        log_snr = log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))
        torch.testing.assert_close(NoiseSchedule.from_log_snr(log_snr).beta, schedule.beta, rtol=1e-6, atol=0)


def test_the_schedule_is_configuration_and_not_saved_with_the_weights():
    schedule = NoiseSchedule.linear()
    assert schedule.state_dict() == {}
    assert list(schedule.parameters()) == []
    assert {name for name, _ in schedule.named_buffers()} == {"beta", "alpha", "alpha_bar", "log_snr"}


def test_a_schedule_can_be_rebuilt_from_its_betas_bit_by_bit():
    for schedule in SCHEDULES.values():
        again = NoiseSchedule(schedule.beta[1:])
        for name, table in schedule.named_buffers():
            assert torch.equal(table, again.get_buffer(name))


def test_the_callers_betas_are_copied():
    beta = torch.full((5,), 0.1)
    schedule = NoiseSchedule(beta)
    beta.fill_(0.7)
    assert (schedule.beta[1:] == 0.1).all()


# ---------------------------------------------------------------------------- add noise, and back


@every_schedule
def test_levels_are_the_coefficients_of_the_iterated_chain(schedule):
    """x_t = √(1−β_t)·x_{t−1} + √β_t·ε, t times: the factor of x_0 and the variance obey an exact recursion."""
    signal, variance = 1.0, 0.0
    for t in range(1, schedule.T + 1):
        beta = schedule.beta[t].double().item()
        signal, variance = math.sqrt(1 - beta) * signal, (1 - beta) * variance + beta
        got_signal, got_sigma = schedule.levels(torch.tensor([t]))
        assert got_signal.item() == pytest.approx(signal, rel=2e-6)
        assert got_sigma.item() == pytest.approx(math.sqrt(variance), rel=2e-6)


@pytest.mark.parametrize("t", [1, 9, 30])
def test_add_noise_has_the_distribution_of_the_iterated_chain(t, generator, is_standard_normal):
    schedule = SCHEDULES["linear 30"]
    chain = x_0 = torch.full((50, 1, 28, 28), 0.7)
    signal, variance = 0.7, 0.0
    for beta in schedule.beta[1 : t + 1]:
        chain = (1 - beta).sqrt() * chain + beta.sqrt() * torch.randn(x_0.shape, generator=generator)
        signal, variance = float((1 - beta).sqrt()) * signal, float((1 - beta) * variance + beta)
    jump = schedule.add_noise(x_0, torch.full((50,), t), torch.randn(x_0.shape, generator=generator))
    is_standard_normal((chain - signal) / variance**0.5)
    is_standard_normal((jump - signal) / variance**0.5)


def test_each_image_of_a_batch_has_its_own_time(images):
    schedule = SCHEDULES["linear"]
    x_0, eps, t = images(3), images(4)[:3], torch.tensor([1, 250, 500])
    x_t = schedule.add_noise(x_0, t, eps)
    for i in range(3):
        assert torch.equal(x_t[i : i + 1], schedule.add_noise(x_0[i : i + 1], t[i : i + 1], eps[i : i + 1]))


def test_noise_level_of_the_first_step_keeps_its_digits():
    """1 − ᾱ_1 = β_1 = 1e-4 exactly; from a float32 ᾱ_1 only three digits of it would be left."""
    _, sigma = NoiseSchedule.linear(T=1000).levels(torch.tensor([1]))
    assert sigma.item() == pytest.approx(0.01, rel=1e-6)


@given(
    name=st.sampled_from(["linear", "linear 1000", "cosine shifted"]),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_any_two_of_x_0_x_t_eps_give_the_third(name, share, seed):
    schedule = SCHEDULES[name]
    t = torch.tensor([1 + round(share * (schedule.T - 2))])  # T itself is clipped in "cosine": no signal left
    generator = torch.Generator().manual_seed(seed)
    x_0 = torch.rand(1, 1, 28, 28, generator=generator).double() * 2 - 1
    eps = torch.randn(x_0.shape, generator=generator).double()
    x_t = schedule.add_noise(x_0, t, eps)
    signal, sigma = (level.double() for level in schedule.levels(t))
    # float32 tables: their rounding, magnified by what the equation divides by
    assert (schedule.predict_x_0(x_t, t, eps) - x_0).abs().max() < 1e-5 / signal.item()
    assert (schedule.predict_eps(x_t, t, x_0) - eps).abs().max() < 1e-5 / sigma.item()
    v = schedule.velocity(x_0, t, eps)
    assert (signal * x_t - sigma * v - x_0).abs().max() < 1e-5
    assert (sigma * x_t + signal * v - eps).abs().max() < 1e-5


# ---------------------------------------------------------------------------- posterior


@pytest.mark.parametrize("name", ["linear", "linear 30", "cosine"])
@pytest.mark.parametrize(("t", "s"), [(2, None), (2, 1), (25, None), (25, 24), (25, 7), (30, 1), (30, 29)])
def test_posterior_is_bayes_by_numbers(name, t, s):
    """q(x_s | x_t, x_0) ∝ q(x_t | x_s)·q(x_s | x_0), multiplied and normalised on a grid."""
    schedule = SCHEDULES[name]
    alpha_bar = (1 - schedule.beta.double()).cumprod(0)
    earlier = t - 1 if s is None else s
    x_0, x_t = 0.6, -0.35
    step = alpha_bar[t] / alpha_bar[earlier]
    grid = torch.linspace(-7, 7, 400_001, dtype=torch.float64)
    density = log_normal(grid, alpha_bar[earlier].sqrt() * x_0, 1 - alpha_bar[earlier])
    density += log_normal(x_t, step.sqrt() * grid, 1 - step)
    density = density.softmax(dim=0)
    want_mean = (density * grid).sum()
    want_std = (density * (grid - want_mean) ** 2).sum().sqrt()

    image = torch.ones(1, 1, 28, 28)
    mean, std = schedule.posterior(
        x_0 * image, x_t * image, torch.tensor([t]), None if s is None else torch.tensor([s])
    )
    assert mean.shape == (1, 1, 28, 28)
    assert std.shape == (1, 1, 1, 1)
    torch.testing.assert_close(mean.double(), want_mean * image.double(), rtol=1e-5, atol=1e-6)
    assert std.item() == pytest.approx(want_std.item(), rel=1e-5)


@every_schedule
def test_at_time_zero_nothing_is_uncertain(schedule, images):
    x_0, x_t = images(3), 3 * images(4)[:3]
    times = {1, (schedule.T + 1) // 2, schedule.T}
    for t in times:
        mean, std = schedule.posterior(x_0, x_t, torch.full((3,), t), torch.zeros(3, dtype=torch.long))
        assert torch.equal(mean, x_0)
        assert (std == 0).all()
    mean, std = schedule.posterior(x_0, x_t, torch.ones(3, dtype=torch.long))
    assert torch.equal(mean, x_0)
    assert (std == 0).all()


def test_two_posterior_steps_are_one_long_one(images):
    """From T to T/2 to T/4 in two draws, with x_0 known, has the mean and variance of the direct draw."""
    schedule = SCHEDULES["linear"]
    x_0, x_t = images(2), 2 * images(3)[:2]
    far, middle, near = (torch.full((2,), t) for t in (500, 250, 125))
    mean_1, std_1 = schedule.posterior(x_0, x_t, far, middle)
    mean_2, std_2 = schedule.posterior(x_0, mean_1, middle, near)
    slope = schedule.posterior(x_0, mean_1 + 1, middle, near)[0] - mean_2
    mean, std = schedule.posterior(x_0, x_t, far, near)
    torch.testing.assert_close(mean_2, mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((std_2**2 + (slope * std_1) ** 2).sqrt(), std.expand_as(slope), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------------- diffusers as an oracle


@pytest.mark.parametrize("T", [100, 500, 1000])
@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_tables_and_forward_process_of_diffusers(kind, T, images):
    """diffusers counts t from 0: its t is our t − 1."""
    diffusers = pytest.importorskip("diffusers")
    ours = {"linear": NoiseSchedule.linear, "cosine": NoiseSchedule.cosine}[kind](T)
    options = {"linear": {"beta_start": 1e-4, "beta_end": 0.02}, "cosine": {"beta_schedule": "squaredcos_cap_v2"}}[kind]
    theirs = diffusers.DDPMScheduler(num_train_timesteps=T, **options)
    torch.testing.assert_close(ours.beta[1:], theirs.betas, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(ours.alpha_bar[1:], theirs.alphas_cumprod, rtol=1e-4, atol=1e-7)

    x_0, eps, t = images(4), images(5)[:4], torch.tensor([1, T // 3, T - 1, T])
    torch.testing.assert_close(ours.add_noise(x_0, t, eps), theirs.add_noise(x_0, eps, t - 1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.velocity(x_0, t, eps), theirs.get_velocity(x_0, eps, t - 1), rtol=1e-4, atol=1e-4)


def test_forward_process_of_diffusers_flow_matching(images):
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=100)
    tau = theirs.sigmas.flip(0)[:-1].double()  # theirs fall from 1; at 1 there would be no x_0 left, so it is left out
    ours, t = NoiseSchedule.from_log_snr(2 * torch.log((1 - tau) / tau)), torch.tensor([1, 30, 60, 99])
    x_0, eps, tau = images(8)[:4], images(8)[4:], tau[t - 1].float().view(-1, 1, 1, 1)
    x_tau = theirs.scale_noise(x_0, theirs.timesteps.flip(0)[t - 1], eps)
    scale = ((1 - tau) ** 2 + tau**2).sqrt()
    torch.testing.assert_close(scale * ours.add_noise(x_0, t, eps), x_tau, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("log_snr", "what"),
    [
        ([1.0, 0.0], "log_snr must be a float tensor"),
        (torch.tensor([1, 0]), "log_snr must be a float tensor"),
        (torch.tensor([[1.0, 0.0]]), "log_snr must be a float tensor"),
        (torch.tensor([1.0]), "log_snr must be a float tensor"),
        (torch.tensor([0.0, 1.0]), "log_snr must be finite and fall"),
        (torch.tensor([1.0, 1.0, 0.0]), "log_snr must be finite and fall"),
        (torch.tensor([math.nan, 0.0]), "log_snr must be finite and fall"),
        (torch.tensor([math.inf, 0.0]), "log_snr must be finite and fall"),
        (torch.tensor([0.0, -math.inf]), "log_snr must be finite and fall"),
        (torch.tensor([0.0, -30.0]), "beta of this log_snr must lie in"),  # β_2 = 1 − 2e-13
        (torch.tensor([800.0, 0.0]).double(), "beta of this log_snr must lie in"),  # β_1 = e^−800
    ],
)
def test_bad_log_snr_is_refused(log_snr, what):
    with pytest.raises(ValueError, match=f"^{what}"):
        NoiseSchedule.from_log_snr(log_snr)


@pytest.mark.parametrize(
    ("beta", "what"),
    [
        ([0.1, 0.2], "beta"),
        (torch.tensor([[0.1, 0.2]]), "beta"),
        (torch.tensor([1, 2]), "beta"),
        (torch.tensor([0.1]), "T"),
        (torch.tensor([0.1, 0.0]), "beta"),
        (torch.tensor([0.1, 1.0]), "beta"),
        (torch.tensor([0.1, -0.1]), "beta"),
        (torch.tensor([0.1, math.nan]), "beta"),
        (torch.tensor([0.1, 1 - 1e-12], dtype=torch.float64), "beta"),
        (torch.full((40,), 0.999), "beta"),
    ],
)
def test_bad_betas_are_refused(beta, what):
    with pytest.raises(ValueError, match=what):
        NoiseSchedule(beta)


@pytest.mark.parametrize("make", [NoiseSchedule.linear, NoiseSchedule.cosine])
@pytest.mark.parametrize("T", [1, 0, -5, 2.5, "500", None])
def test_bad_T_is_refused(make, T):
    with pytest.raises(ValueError, match=r"^T\b"):
        make(T)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"beta_1": 0.0}, "beta_1"),
        ({"beta_T": 1.0}, "beta_T"),
        ({"beta_T": math.nan}, "beta_T"),
        ({"beta_1": "a"}, "beta_1"),
    ],
)
def test_bad_ends_of_the_linear_schedule_are_refused(arguments, what):
    with pytest.raises(ValueError, match=what):
        NoiseSchedule.linear(**arguments)


@pytest.mark.parametrize("shift", [math.nan, math.inf, "1", None, -500.0])
def test_a_shift_without_a_usable_schedule_is_refused(shift):
    with pytest.raises(ValueError, match="shift"):
        NoiseSchedule.cosine(shift=shift)


@pytest.mark.parametrize("method", ["add_noise", "predict_x_0", "predict_eps", "velocity", "posterior"])
@pytest.mark.parametrize(
    "t",
    [
        torch.tensor([0, 1]),
        torch.tensor([1, 501]),
        torch.tensor([-1, 1]),
        torch.tensor([1]),
        torch.tensor([[1], [2]]),
        torch.tensor([1.0, 2.0]),
        torch.tensor([1, 2], dtype=torch.int32),
        5,
    ],
    ids=str,
)
def test_bad_times_are_refused(method, t, images):
    schedule = SCHEDULES["linear"]
    arguments = (images(2), images(2), t) if method == "posterior" else (images(2), t, images(2))
    with pytest.raises(ValueError, match=r"^t\b"):
        getattr(schedule, method)(*arguments)


@pytest.mark.parametrize(
    "bad", [torch.zeros(3, 1, 28, 28), torch.zeros(2, 1, 28, 28).long(), None, torch.zeros(2, 28, 28)]
)
@pytest.mark.parametrize(
    ("method", "first", "second"),
    [
        ("add_noise", "x_0", "eps"),
        ("predict_x_0", "x_t", "eps"),
        ("predict_eps", "x_t", "x_0"),
        ("velocity", "x_0", "eps"),
        ("posterior", "x_0", "x_t"),
    ],
)
def test_bad_images_are_refused_by_name(method, first, second, bad, images):
    schedule, t = SCHEDULES["linear"], torch.tensor([1, 2])
    good = images(2)
    with pytest.raises(ValueError, match=rf"^{second}\b"):
        getattr(schedule, method)(**{first: good, second: bad, "t": t})
    if not (isinstance(bad, torch.Tensor) and bad.shape == (3, 1, 28, 28)):
        with pytest.raises(ValueError, match=rf"^{first}\b"):
            getattr(schedule, method)(**{first: bad, second: good, "t": t})


@pytest.mark.parametrize(
    "s",
    [torch.tensor([5, 5]), torch.tensor([6, 1]), torch.tensor([-1, 0]), torch.tensor([1]), torch.tensor([1.0, 1.0]), 3],
)
def test_bad_target_times_are_refused(s, images):
    with pytest.raises(ValueError, match=r"^s\b"):
        SCHEDULES["linear"].posterior(images(2), images(2), torch.tensor([5, 5]), s)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_tables_stay_float32_when_a_model_becomes_another_type(dtype, make_ddpm):
    ddpm = make_ddpm()
    want = {name: table.clone() for name, table in ddpm.schedule.named_buffers()}
    ddpm.to(dtype)
    assert ddpm.unet.head.weight.dtype == dtype
    for name, table in ddpm.schedule.named_buffers():
        assert table.dtype == torch.float32
        assert torch.equal(table, want[name])
    assert ddpm.schedule.to("meta").log_snr.device.type == "meta"


def test_a_schedule_is_made_on_the_cpu_whatever_the_default_device_is():
    beta = torch.full((5,), 0.1)
    with torch.device("meta"):
        assert torch.equal(NoiseSchedule(beta).beta[1:], beta)


def test_numbers_of_numpy_are_numbers():
    NoiseSchedule.cosine(T=np.int64(20), shift=np.float32(1.5))  # warnings are errors here


def test_a_schedule_prints_what_matters():
    assert "T=500" in repr(NoiseSchedule.linear())
