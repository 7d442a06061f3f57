"""Distillation, on cases whose answer is known: the target, a student that is told it, and students that learn.

The exact case is that of notebook 04: Gaussian pixels, where each guess of x_0, and so each step, is affine in x_t.
"""

import copy
import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from ddpm_lib import (
    DDPM,
    DistillConfig,
    DistillRecord,
    NoiseSchedule,
    TrainConfig,
    UNet,
    distill,
    load_checkpoint,
    renoise_step,
    sample,
    sample_steps,
    student_of,
)
from ddpm_lib.checkpoint import STUDENT
from ddpm_lib.distillation import _draw_times, step_loss, two_steps
from ddpm_lib.evaluation import classify, load_classifier
from ddpm_lib.sampling import time_steps

MEANS, D, NULL = torch.linspace(-0.2, 0.2, 10), 0.1, 0.0  # so small that clipping never acts
SCHEDULE = NoiseSchedule.cosine(64, shift=1.5)


class GaussianPixels:
    """E[ε | x_t] for pixels x_0 ~ N(m_y + w·(m_y − NULL), D²); without a label m_y is NULL."""

    def __init__(self, schedule=SCHEDULE):
        self.schedule = schedule

    def mean(self, y, w):
        m = (y @ MEANS + (1 - y.sum(dim=1)) * NULL).view(-1, 1, 1, 1)
        return m + torch.as_tensor(w).view(-1, 1, 1, 1) * (m - NULL)

    def predict_noise(self, x_t, t, y, w=0.0):
        signal, sigma = self.schedule.levels(t)
        return sigma * (x_t - signal * self.mean(y, w)) / (signal**2 * D**2 + sigma**2)


def ddim_on_paper(schedule, m, times, x_t):
    """x_s at the end of a walk down `times`, in float64: with x̂_0 = m + k·(x_t − √ᾱ_t·m), no other file has a part."""
    alpha_bar = (1 - schedule.beta.double()).cumprod(0)
    for t, s in pairwise(times):
        signal_t, signal_s = alpha_bar[t].sqrt(), alpha_bar[s].sqrt()
        sigma_t, sigma_s = (1 - alpha_bar[t]).sqrt(), (1 - alpha_bar[s]).sqrt()
        k = signal_t * D**2 / (signal_t**2 * D**2 + sigma_t**2)
        x_0_hat = m + k * (x_t - signal_t * m)
        x_t = signal_s * x_0_hat + sigma_s / sigma_t * (x_t - signal_t * x_0_hat)
    return x_t


class Told:
    """A student that knows the target: it answers with x̃ for the walk of n steps."""

    def __init__(self, teacher, n):
        self.schedule, self.teacher, self.calls = teacher.schedule, teacher, 0
        times = time_steps(self.schedule.T, 2 * n)
        self.after = {t: (m, s) for t, m, s in zip(times[::2], times[1::2], times[2::2], strict=False)}

    def predict_noise(self, x_t, t, y, w=0.0):
        self.calls += 1
        m, s = (torch.full_like(t, time) for time in self.after[int(t[0])])
        return self.schedule.predict_eps(x_t, t, two_steps(self.teacher, x_t, t, m, s, y, w))


# ---------------------------------------------------------------------------- the target


@pytest.mark.parametrize(("t", "m", "s"), [(64, 60, 56), (64, 32, 0), (40, 10, 1), (9, 7, 2), (2, 1, 0)])
def test_one_step_with_the_target_arrives_where_two_steps_arrive_on_paper(t, m, s):
    """x_s from x̃ against the closed form in float64, for mixed labels and guidance weights."""
    exact = GaussianPixels()
    y = torch.cat([torch.eye(10)[[0, 3, 9]], torch.zeros(1, 10), torch.full((1, 10), 0.1), torch.eye(10)[:1]])
    w = torch.tensor([0.0, 0.5, 1.0, 2.0, 0.3, -1.0])
    signal, sigma = SCHEDULE.levels(torch.tensor([t]))
    z = torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(t))
    x_t = signal * exact.mean(y, w) + (signal**2 * D**2 + sigma**2).sqrt() * z
    target = two_steps(exact, x_t, *(torch.full((6,), time) for time in (t, m, s)), y, w).double()
    alpha_bar = (1 - SCHEDULE.beta.double()).cumprod(0)
    ratio = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
    x_s = alpha_bar[s].sqrt() * target + ratio * (x_t - alpha_bar[t].sqrt() * target)
    want = ddim_on_paper(SCHEDULE, exact.mean(y, w).double(), (t, m, s), x_t.double())
    torch.testing.assert_close(x_s, want, rtol=0, atol=2e-3 if t == 64 else 2e-5)


def test_the_target_is_the_quotient_of_the_paper(make_ddpm, images):
    """Algorithm 2 of Salimans & Ho, in float64, with a network whose guesses have to be clipped."""
    teacher = make_ddpm(T=40, prediction="v")
    with torch.no_grad():
        teacher.unet.head.weight.mul_(30)
    x_t, y = images(8) * 2, torch.eye(10)[:8]
    times = (torch.tensor([39, 30, 30, 20, 9, 9, 2, 3]), torch.tensor([30, 29, 9, 10, 8, 4, 1, 1]))
    t, m, s = *times, torch.tensor([20, 28, 1, 3, 1, 3, 0, 0])
    with torch.no_grad():
        target = two_steps(teacher, x_t, t, m, s, y, 0.7)
        walked = []
        for i in range(8):
            walk = x_t[i : i + 1].double()
            for a, b in ((t[i], m[i]), (m[i], s[i])):
                eps = teacher.predict_noise(walk.float(), a[None], y[i : i + 1], w=0.7)
                x_0_hat = teacher.schedule.predict_x_0(walk.float(), a[None], eps).clamp(-1, 1).double()
                assert x_0_hat.abs().max() == 1  # clipping acts
                (signal_a, sigma_a), (signal_b, sigma_b) = map(teacher.schedule.levels, (a[None], b[None]))
                walk = signal_b * x_0_hat + sigma_b / sigma_a * (walk - signal_a * x_0_hat)
            walked.append(walk)
    (signal_t, sigma_t), (signal_s, sigma_s) = map(teacher.schedule.levels, (t, s))
    ratio = sigma_s / sigma_t
    want = (torch.cat(walked) - ratio * x_t) / (signal_s - ratio * signal_t)
    torch.testing.assert_close(target.double(), want, rtol=0, atol=1e-3)
    assert target.abs().max() <= 1 + 1e-6


def test_where_the_first_step_has_arrived_the_target_is_the_first_guess(images):
    x_t, y = images(3), torch.eye(10)[:3]
    t, zero = torch.tensor([5, 9, 30]), torch.zeros(3, dtype=torch.long)
    target = two_steps(GaussianPixels(), x_t, t, zero, zero, y, 0.0)
    guess = SCHEDULE.predict_x_0(x_t, t, GaussianPixels().predict_noise(x_t, t, y))
    torch.testing.assert_close(target, guess.clamp(-1, 1))


@pytest.mark.parametrize("n", [8, 4, 2, 1, 3])
@pytest.mark.parametrize("w", [0.0, 1.5])
def test_a_student_that_is_told_the_target_walks_n_steps_where_the_teacher_walks_2n(n, w):
    exact, x_T = GaussianPixels(), torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(n))
    student = Told(exact, n)
    walk, twice = (
        [x for x, _ in sample_steps(model, range(10), w=w, steps=steps, x_T=x_T)]
        for model, steps in ((student, n), (exact, 2 * n))
    )
    assert student.calls == n
    for x_s, want in zip(walk, twice[1::2], strict=True):
        torch.testing.assert_close(x_s, want, rtol=0, atol=2e-3)


def test_told_students_of_students_do_in_one_step_what_the_teacher_does_in_16():
    exact, x_T = GaussianPixels(), torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    told = Told(Told(Told(Told(exact, 8), 4), 2), 1)
    one, sixteen, too_early = (
        sample(model, range(4), w=0.5, steps=steps, x_T=x_T) for model, steps in ((told, 1), (exact, 16), (exact, 1))
    )
    torch.testing.assert_close(one, sixteen, rtol=0, atol=2e-3)
    assert (too_early - sixteen).abs().mean() > 0.01


# ---------------------------------------------------------------------------- times, weights, labels


@pytest.mark.parametrize("T", [16, 20, 500])
@pytest.mark.parametrize("n", [8, 4, 2, 1])
def test_the_times_are_those_that_samplers_visit(n, T):
    config = DistillConfig(steps=10, elsewhere=0.0)
    t, m, s = _draw_times(T, config, n, 2000, torch.Generator().manual_seed(0)).tolist()
    times = time_steps(T, n)
    assert set(zip(t, s, strict=True)) == set(pairwise(times))
    assert set(t + s) | set(m) == set(time_steps(T, 2 * n))
    counts = torch.tensor(t).unique(return_counts=True)[1]
    assert counts.min() > 0.7 * 2000 / n


@pytest.mark.parametrize("n", [8, 4, 2, 1])
def test_elsewhere_all_times_of_the_first_stage_are_taught_to_jump_as_far_or_to_0(n, within):
    config, batch = DistillConfig(steps=10, elsewhere=0.5), 4000
    t, m, s = _draw_times(160, config, n, batch, torch.Generator().manual_seed(0))
    assert set(t.tolist()) == set(time_steps(160, 8)[:-1])
    assert torch.equal(m, (t - 80 // n).clamp(min=0))
    assert torch.equal(s, (t - 160 // n).clamp(min=0))
    share = 0.5 / n + 0.5 / 8  # of t = T
    within((t == 160).float().mean(), share, (share * (1 - share) / batch) ** 0.5)


class Asked:
    """A teacher that guesses a constant x_0 and keeps what it was asked."""

    def __init__(self, schedule, x_0=0.25):
        self.schedule, self.x_0, self.calls = schedule, x_0, []

    def predict_noise(self, x_t, t, y, w=0.0):
        self.calls.append((t, y, w))
        return self.schedule.predict_eps(x_t, t, torch.full_like(x_t, self.x_0))


def loss_of(teacher, student, n=2, batch=400, **options):
    config = DistillConfig(**{"steps": 10} | options)
    y = torch.arange(batch) % 10
    return step_loss(teacher, student, torch.zeros(batch, 1, 28, 28), y, config, n, torch.Generator().manual_seed(0))


def test_w_is_uniform_over_what_the_student_hears_and_labels_are_dropped(make_ddpm, within):
    student = student_of(make_ddpm(T=20), w_max=3.0)
    teacher = Asked(student.schedule)
    loss_of(teacher, student, p_uncond=0.25)
    (_, y, w), (_, y_again, w_again) = teacher.calls
    assert torch.equal(y, y_again)
    assert torch.equal(w, w_again)
    assert -1 <= w.min() < -0.9
    assert 2.9 < w.max() <= 3
    within(w.mean(), 1, (16 / 12 / 400) ** 0.5)
    dropped = y.sum(dim=1) == 0
    within(dropped.float().mean(), 0.25, (0.25 * 0.75 / 400) ** 0.5)
    assert torch.equal(y[~dropped], torch.eye(10).repeat(40, 1)[~dropped])


def test_a_student_that_does_not_hear_w_is_taught_for_w_0(stub_ddpm):
    student = stub_ddpm(lambda x_t, t_over_T, y: torch.zeros_like(x_t, requires_grad=True))
    teacher = Asked(student.schedule)
    loss_of(teacher, student)
    assert {w for *_, w in teacher.calls} == {0.0}
    assert len(student.unet.calls) == 1


@pytest.mark.parametrize("prediction", ["v", "x_0", "eps"])
def test_the_loss_is_the_error_of_v_whatever_the_network_regresses(prediction, stub_ddpm):
    """The student's guess is 0.25 + 0.5 everywhere: the error of x_0 is 0.5, the error of v is 0.5/σ_t."""
    schedule = NoiseSchedule.cosine(20)

    def answer(x_t, t_over_T, y):
        t = (t_over_T * 20).round().long()
        x_0 = torch.full_like(x_t, 0.75)
        eps = schedule.predict_eps(x_t, t, x_0)
        return {"x_0": x_0, "eps": eps, "v": schedule.velocity(x_0, t, eps)}[prediction]

    student = stub_ddpm(answer, prediction)
    teacher = Asked(schedule)
    loss = loss_of(teacher, student, n=4, elsewhere=0.0, stages=(4,))
    t = teacher.calls[0][0]
    _, sigma = schedule.levels(t)
    assert loss.item() == pytest.approx((0.5 / sigma).square().mean().item(), rel=1e-3)
    assert loss_of(Asked(schedule, 0.75), student, n=4, stages=(4,)).item() == pytest.approx(0, abs=1e-5)


# ---------------------------------------------------------------------------- more than one step


def test_a_renoised_guess_has_the_level_of_its_time_and_forgets_where_it_came_from(images, is_standard_normal):
    x_t, x_0_hat, z = images(30)[:10], images(30)[10:20], torch.randn(10, 1, 28, 28)
    t, s = torch.full((10,), 40), torch.arange(10) * 3
    x_s = renoise_step(SCHEDULE, x_t, x_0_hat, t, s, z)
    torch.testing.assert_close(x_s, torch.cat([x_0_hat[:1], SCHEDULE.add_noise(x_0_hat[1:], s[1:], z[1:])]))
    assert torch.equal(x_s, renoise_step(SCHEDULE, 0 * x_t, x_0_hat, t, s, z))


def test_renoised_guesses_of_the_paths_end_keep_its_spread():
    """Students that know the end of each path: with new noise at each step the digits are spread as after one step."""

    class Ends:
        schedule = SCHEDULE

        def predict_noise(self, x_t, t, y, w=0.0):
            signal, sigma = self.schedule.levels(t)
            z = (x_t - signal * 0.2) / (signal**2 * D**2 + sigma**2).sqrt()  # each path keeps its z
            return self.schedule.predict_eps(x_t, t, 0.2 + D * z)

    spread = {
        (name, steps): sample(
            Ends(), [0] * 50, steps=steps, sampler=step, generator=torch.Generator().manual_seed(0)
        ).std().item() * 2
        for name, step in {"renoise": renoise_step, "ddim": "ddim"}.items()
        for steps in (1, 4)
    }  # fmt: skip
    assert spread["renoise", 1] == pytest.approx(D, rel=0.03)
    assert spread["renoise", 4] == pytest.approx(D, rel=0.03)
    assert spread["ddim", 4] > 1.1 * D  # what goes wrong without


# ---------------------------------------------------------------------------- the student


@pytest.mark.parametrize("w", [-1.0, 0.0, 0.7, 4.0, torch.tensor([-1.0, 0.0, 2.0, 9.0])])
def test_a_new_student_answers_as_the_teacher_does_at_w_0(w, make_ddpm, images):
    teacher = make_ddpm(prediction="v")
    student = student_of(teacher).eval()
    t, y = torch.tensor([1, 5, 10, 20]), torch.arange(4)
    torch.testing.assert_close(student.predict_noise(images(4), t, y, w), teacher.predict_noise(images(4), t, y))


def test_making_a_student_draws_nothing_and_shares_nothing(make_ddpm, global_rng_untouched):
    teacher = make_ddpm()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    with global_rng_untouched():
        student = student_of(teacher, w_max=2)
    assert student.w_max == 2.0
    assert teacher.w_max == 0.0
    with torch.no_grad():
        for tensor in student.state_dict().values():
            tensor.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(p.requires_grad and p.device.type == "cpu" for p in student.parameters())


@pytest.mark.parametrize(
    ("teacher", "w_max"), [(None, 4.0), (GaussianPixels(), 4.0), ("plain", 0), ("plain", math.nan)]
)
def test_what_can_not_become_a_student_is_refused(teacher, w_max, tiny_ddpm):
    with pytest.raises(ValueError, match="w_max" if teacher == "plain" else "teacher"):
        student_of(tiny_ddpm if teacher == "plain" else teacher, w_max)


def test_a_student_of_a_student_is_refused(tiny_ddpm):
    with pytest.raises(ValueError, match="teacher's w_max"):
        student_of(student_of(tiny_ddpm))


# ---------------------------------------------------------------------------- the config


def test_later_stages_get_more_of_the_budget():
    steps, seconds = DistillConfig(steps=100), DistillConfig(seconds=50.0)
    assert [steps.of_stage(i).steps for i in (1, 2, 3, 4)] == [10, 20, 30, 40]
    assert [seconds.of_stage(i).seconds for i in (1, 2, 3, 4)] == pytest.approx([5, 10, 15, 20])
    assert [DistillConfig(steps=1, stages=(2, 1)).of_stage(i).steps for i in (1, 2)] == [1, 1]
    assert dataclasses.replace(steps.of_stage(1), steps=100) == steps


@pytest.mark.parametrize(
    "options",
    [{"stages": stages} for stages in [(), (8, 4, 3), (3,) * 2, (1, 2), 8, "8", None, (2.0, 1), (1, 0), [True]]]
    + [{"elsewhere": share} for share in (-0.1, 1.1, math.nan, None, "some")]
    + [{"lr": 0}, {"steps": 0}, {"seconds": 3}],
)
def test_bad_configs_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DistillConfig(**{"steps": 5} | options)


def test_a_list_of_stages_becomes_a_tuple():
    assert DistillConfig(steps=5, stages=[6, 3]) == DistillConfig(steps=5, stages=(6, 3))


# ---------------------------------------------------------------------------- distilling


def quick(**options):
    return DistillConfig(**{"steps": 6, "batch_size": 8, "stages": (2, 1)} | options)


def state(ddpm):
    return {name: tensor.clone() for name, tensor in ddpm.unet.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_there_is_a_record_for_each_step_of_each_stage_and_the_teacher_stays(tiny_ddpm, few_digits):
    before, student = state(tiny_ddpm), student_of(tiny_ddpm)
    records = list(distill(tiny_ddpm, few_digits, quick(), student))
    assert [(record.sampler_steps, record.step) for record in records] == [
        (2, 1), (2, 2), (1, 1), (1, 2), (1, 3), (1, 4)
    ]  # fmt: skip
    assert all(isinstance(record, DistillRecord) and record.ema is student for record in records)
    assert all(math.isfinite(record.loss) for record in records)
    assert same(state(tiny_ddpm), before)
    assert not same(state(student), state(student_of(tiny_ddpm)))


def test_without_a_student_one_is_made_and_the_records_hold_it(tiny_ddpm, few_digits):
    records = list(distill(tiny_ddpm, few_digits, quick()))
    assert {id(record.ema) for record in records} == {id(records[0].ema)}
    assert records[-1].ema.w_max == 4.0
    assert sample(records[-1].ema, [1, 2], steps=1).shape == (2, 1, 28, 28)


def test_each_student_is_the_next_stages_teacher(tiny_ddpm, few_digits):
    asked = []

    def target(teacher, x_t, t, m, s, y, w):
        asked.append((teacher, state(teacher), teacher.training))
        return two_steps(teacher, x_t, t, m, s, y, w)

    student, after = student_of(tiny_ddpm), {}
    for record in distill(tiny_ddpm, few_digits, quick(), student, target=target):
        after[record.sampler_steps] = state(student)
    assert [same(weights, state(tiny_ddpm)) for _, weights, _ in asked[:2]] == [True, True]
    assert all(same(weights, after[2]) for _, weights, _ in asked[2:])
    assert not any(training for *_, training in asked)
    assert len(asked) == 6


def test_a_budget_of_seconds_is_shared(tiny_ddpm, few_digits):
    records = list(distill(tiny_ddpm, few_digits, quick(steps=None, seconds=0.6)))
    for n, seconds in ((2, 0.2), (1, 0.4)):
        of_stage = [record.seconds for record in records if record.sampler_steps == n]
        assert of_stage[-1] >= seconds
        assert len(of_stage) == 1 or of_stage[-2] < seconds


def test_only_the_callers_generator_is_used_and_it_decides_everything(tiny_ddpm, few_digits, global_rng_untouched):
    weights = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        with global_rng_untouched():
            *_, record = distill(tiny_ddpm, few_digits, quick(), generator=generator)
        weights.append(state(record.ema))
    assert same(*weights)


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_a_distillation_that_was_stopped_goes_on_bit_for_bit(stop, tiny_ddpm, few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr("ddpm_lib.training.EVERY", 1)

    def begin(path):
        student = student_of(tiny_ddpm)
        generator = torch.Generator().manual_seed(0)
        return student, distill(tiny_ddpm, few_digits, quick(), student, generator, resume=path)

    whole, records = begin(tmp_path / "whole")
    list(records)
    for _, _ in zip(range(stop), begin(tmp_path / "stopped")[1], strict=False):
        pass
    gone_on, records = begin(tmp_path / "stopped")
    assert len(list(records)) == 6 - stop
    assert same(state(gone_on), state(whole))
    finished, records = begin(tmp_path / "stopped")
    assert list(records) == []
    assert same(state(finished), state(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped.1", "stopped.2", "whole.1", "whole.2"]


class Affine(nn.Module):
    """x̂_0 = a_t·x_t + b_t, with a pair of numbers for each of the times: what an exact denoiser of one class needs."""

    def __init__(self, T):
        super().__init__()
        self.T, self.numbers = T, nn.Parameter(torch.zeros(T + 1, 2))

    def forward(self, x_t, t_over_T, y):
        a, b = self.numbers[(t_over_T.float() * self.T).round().long()].view(-1, 2, 1, 1, 1).unbind(1)
        return a * x_t + b


def test_a_learned_student_draws_in_one_step_what_the_exact_teacher_draws_in_eight():
    """All of it: four stages, a network that can know the answer, and an answer that is known on paper."""
    exact, schedule = GaussianPixels(), SCHEDULE
    data = TensorDataset(torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(1)), torch.full((64,), 9))
    student = DDPM(Affine(64), schedule, "x_0")
    config = DistillConfig(steps=600, batch_size=16, lr=0.05, stages=(4, 2, 1), p_uncond=0, weight_decay=0, warmup=0)
    x_T = torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.full((20,), 9)
    m = exact.mean(torch.eye(10)[9:], 0.0).double()
    want = ddim_on_paper(schedule, m, time_steps(64, 8), x_T.double())
    errors = {}  # of each stage, at its last step
    for record in distill(exact, data, config, student, torch.Generator().manual_seed(0)):
        if record.step == {4: 100, 2: 200, 1: 300}[record.sampler_steps]:
            *_, (x_0, _) = sample_steps(student, labels, w=0.0, steps=record.sampler_steps, x_T=x_T)
            errors[record.sampler_steps] = (x_0 - want).square().mean().sqrt().item()
    assert list(errors) == [4, 2, 1]
    *_, (one_step_of_the_teacher, _) = sample_steps(exact, labels, w=0.0, steps=1, x_T=x_T)
    without = (one_step_of_the_teacher - want).square().mean().sqrt().item()
    assert max(errors.values()) < 0.1 * without, (errors, without)


def test_the_guidance_weight_is_learned(make_ddpm):
    """The exact teacher's mean moves with w; after a short distillation the student's single answer does, too."""
    schedule = NoiseSchedule.cosine(20)
    exact = GaussianPixels(schedule)
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.rand(64, 1, 28, 28, generator=generator), torch.full((64,), 9))
    student = student_of(make_ddpm(T=20, prediction="v"), w_max=3.0)
    config = DistillConfig(steps=100, batch_size=16, lr=1e-2, stages=(1,), p_uncond=0)
    list(distill(exact, data, config, student, generator))
    x = sample(student, torch.full((8,), 9), w=torch.tensor([-1.0, 0.0, 1.0, 3.0]).repeat(2), steps=1)
    low, zero, one, high = (x.mean(dim=(1, 2, 3)).view(2, 4).mean(0) * 2 - 1).tolist()
    assert low < zero < one < high
    assert high - low == pytest.approx(4 * 0.2, abs=0.25)  # the means are m + w·(m − NULL) with m = 0.2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("teacher", None),
        ("teacher", nn.Linear(1, 1)),
        ("config", None),
        ("config", TrainConfig(steps=3)),
        ("config", DistillConfig(steps=3, stages=(16, 8))),  # T = 20
        ("student", nn.Linear(1, 1)),
        ("student", "other schedule"),
        ("train_set", None),
        ("generator", 3),
        ("resume", ""),
        ("target", "two_steps"),
    ],
)
def test_bad_arguments_are_refused_by_name_at_the_call(name, value, make_ddpm, few_digits):
    teacher = make_ddpm(T=20)
    if value == "other schedule":
        value = make_ddpm(T=21)
    arguments = {"teacher": teacher, "train_set": few_digits, "config": quick()} | {name: value}
    with pytest.raises(ValueError, match=name):
        distill(**arguments)


def test_a_target_that_is_no_picture_is_refused(tiny_ddpm, few_digits):
    with pytest.raises(ValueError, match="target"):
        list(distill(tiny_ddpm, few_digits, quick(), target=lambda *_: torch.zeros(3)))


def test_the_teachers_network_may_be_any_and_is_not_moved_or_changed(tiny_ddpm, few_digits):
    teacher = copy.deepcopy(tiny_ddpm).train()
    list(distill(teacher, few_digits, quick(steps=2)))
    assert same(state(teacher), state(tiny_ddpm))
    assert all(module.training for module in teacher.modules())
    assert type(teacher.unet) is UNet


# ---------------------------------------------------------------------------- the student that ships


def test_the_shipped_student_draws_the_digits_that_are_asked_for_in_one_call():
    student, labels = load_checkpoint("student"), torch.arange(200) % 10
    calls = []
    student.unet.register_forward_hook(lambda _, args, out: calls.append(len(args[0])))
    digits = sample(student, labels, w=1.0, steps=1, generator=torch.Generator().manual_seed(0))
    assert sum(calls) == 200  # each image once
    logits, _ = classify(load_classifier(), digits)
    assert (logits.argmax(dim=1) == labels).float().mean() >= 0.95
    assert student.w_max == 4


def test_the_shipped_student_is_small_and_has_the_times_of_the_shipped_teacher():
    assert STUDENT.stat().st_size <= 2_000_000
    assert torch.equal(load_checkpoint("student").schedule.beta, load_checkpoint().schedule.beta)
