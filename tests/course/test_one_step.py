"""What notebook 11 stands on: the exact case in one dimension, its students, and the tables and figures of scores."""

import math
from types import SimpleNamespace

import pytest
import torch

from ddpm_lib import NoiseSchedule, distillation, read_metadata, sample
from ddpm_lib.course import checks, names, one_step, toys
from ddpm_lib.sampling import ddim_step, time_steps

SCHEDULE = NoiseSchedule.cosine(T=500, shift=1.5)
TWO = toys.TwoClasses(SCHEDULE, d=0.4)


def column(*numbers):
    return torch.tensor(numbers).view(-1, 1, 1, 1)


def new_noise():
    return torch.Generator().manual_seed(0)


# ---------------------------------------------------------------------------- what stands in for the answers


def test_one_step_with_the_target_ends_where_two_steps_end():
    def ask(x, t):
        return torch.tanh(x) + t.view(-1, 1, 1, 1) / 500

    t, m, s = (torch.tensor(times) for times in ([480, 300, 20], [400, 120, 10], [300, 100, 0]))
    x_t = torch.randn(3, 1, 28, 28, generator=new_noise())
    x_m = ddim_step(SCHEDULE, x_t, ask(x_t, t), t, m)
    want = ddim_step(SCHEDULE, x_m, ask(x_m, m), m, s)
    target = one_step.two_step_target(ask, SCHEDULE, x_t, t, m, s)
    torch.testing.assert_close(ddim_step(SCHEDULE, x_t, target, t, s), want, rtol=0, atol=1e-4)


def test_the_weight_is_what_an_error_of_the_guess_becomes_in_v():
    alpha_bar = torch.tensor([0.05, 0.4, 0.9], dtype=torch.float64)
    signal, sigma, x_t, delta = alpha_bar.sqrt(), (1 - alpha_bar).sqrt(), 0.7, 0.3

    def v(x_0):
        return signal * (x_t - signal * x_0) / sigma - sigma * x_0

    torch.testing.assert_close(one_step.loss_weight(alpha_bar) * delta**2, (v(0.2 + delta) - v(0.2)) ** 2)


@pytest.mark.parametrize("name", ["two_step_target", "loss_weight"])
def test_they_pass_the_checks(name):
    assert getattr(checks, name)(getattr(one_step, name)).status == "passed"


# ---------------------------------------------------------------------------- one dimension


@pytest.mark.parametrize("t", [20, 250, 450])
def test_the_exact_guess_is_the_mean_of_what_is_possible(t):
    x_t, x_0 = torch.tensor([-1.2, 0.1, 0.8]), torch.linspace(-4, 4, 8001, dtype=torch.float64)
    prior = sum(torch.exp(-((x_0 - centre) ** 2) / (2 * TWO.d**2)) for centre in (-1, 1))
    signal, sigma = (level.item() for level in SCHEDULE.levels(torch.tensor([t])))
    likely = prior * torch.exp(-((x_t[:, None] - signal * x_0) ** 2) / (2 * sigma**2))
    want = (likely * x_0).sum(dim=1) / likely.sum(dim=1)
    got = one_step.asking(TWO)(column(*x_t.tolist()), torch.full((3,), t))
    torch.testing.assert_close(got.flatten().double(), want, rtol=0, atol=2e-3)


def test_each_number_is_asked_at_its_own_time():
    ask, x_t, t = one_step.asking(TWO), column(0.5, 0.5, 0.5), torch.tensor([10, 400, 10])
    guess = ask(x_t, t).flatten()
    torch.testing.assert_close(guess[:2], torch.cat([ask(x_t[:1], t[:1]), ask(x_t[1:2], t[1:2])]).flatten())
    assert guess[0] == guess[2] != guess[1]


def test_data_are_both_classes_and_come_from_the_generator(global_rng_untouched):
    x_0 = one_step.data(TWO, 20_000, new_noise())
    assert x_0.shape == (20_000, 1, 1, 1)
    assert abs((x_0 > 0).float().mean() - 0.5) < 0.02
    assert x_0.abs().mean() == pytest.approx(1.0, abs=0.02)
    assert x_0.square().mean() == pytest.approx(1 + TWO.d**2, abs=0.02)
    assert torch.equal(x_0, one_step.data(TWO, 20_000, new_noise()))


def test_the_path_keeps_the_order_so_each_start_has_the_end_of_its_rank():
    """In one dimension Φ(x_T) of all starts lie below x_T, and as much of the data must lie below its end."""
    x_T = names.even_starts(200)
    x_0 = one_step.path_ends(TWO, x_T)
    assert (x_0.diff() > 0).all()
    below = sum(torch.special.ndtr((x_0 - centre) / TWO.d) for centre in (-1, 1)) / 2
    torch.testing.assert_close(below, torch.special.ndtr(x_T), rtol=0, atol=0.02)


def test_ends_takes_the_steps_of_ddim():
    x_T = names.even_starts(50)
    every = one_step.ends(one_step.asking(TWO), SCHEDULE, x_T, SCHEDULE.T)
    torch.testing.assert_close(every, one_step.path_ends(TWO, x_T), rtol=0, atol=1e-3)
    asked = []
    one_step.ends(lambda x, t: asked.append(t.unique().tolist()) or x, SCHEDULE, x_T, 4)
    assert asked == [[t] for t in time_steps(SCHEDULE.T, 4)[:-1]]


def test_a_new_student_regresses_v_and_only_its_generator_draws(global_rng_untouched):
    student, again = (one_step.Student(SCHEDULE, new_noise()) for _ in range(2))
    t, x_t = torch.tensor([500, 3]), column(0.4, -1.0)
    with torch.no_grad():
        assert torch.equal(student(x_t, t), again(x_t, t))
        v_hat = student.layers(torch.stack([x_t.flatten(), 2 * t / 500 - 1], dim=1)).view_as(x_t)
        signal, sigma = SCHEDULE.levels(t)
        torch.testing.assert_close(student(x_t, t), signal * x_t - sigma * v_hat)


def test_students_learn_the_ends_and_the_weight_of_eps_forgets_the_last_question(global_rng_untouched):
    x_T = names.even_starts(300)
    first = one_step.ends(one_step.asking(TWO), SCHEDULE, x_T, 4)
    off = {}
    for name, weight in {"v": one_step.loss_weight, "eps": lambda bar: bar / (1 - bar)}.items():
        students = one_step.halve(TWO, one_step.two_step_target, weight, new_noise, stages=(2, 1), batches=200)
        assert list(students) == [2, 1]
        off[name] = {n: one_step.error(one_step.ends(ask, SCHEDULE, x_T, n), first) for n, ask in students.items()}
    blur = one_step.error(one_step.ends(one_step.asking(TWO), SCHEDULE, x_T, 1), first)
    assert max(off["v"].values()) < 0.1 < off["eps"][1]
    assert off["v"][1] < 0.15 * blur


def test_a_line_in_each_share_leaves_what_the_start_does_not_decide():
    x, noise = torch.linspace(-2, 2, 4800), torch.randn(4800, generator=new_noise())
    assert one_step.left_over(x, x.abs() * 3) < 1e-3
    assert one_step.left_over(x, 2 * x + noise) == pytest.approx(1, abs=0.06)
    x_means, y_means = one_step.bin_means(x.flip(0), 2 * x.flip(0) + 1, bins=10)
    torch.testing.assert_close(y_means, 2 * x_means + 1)
    assert (x_means.diff() > 0).all()


def test_the_error_table_shows_each_family_by_steps():
    x_T = names.even_starts(40)
    rows = one_step.error_table(TWO, {"same": {2: one_step.asking(TWO), 1: one_step.asking(TWO)}}, x_T).splitlines()
    assert rows[0].split() == ["steps", "exact", "guess", "same"]
    for row, n in zip(rows[1:3], (2, 1), strict=True):
        steps, exact, same = row.split()
        assert (int(steps), exact) == (n, same)
        walked, first = (one_step.ends(one_step.asking(TWO), SCHEDULE, x_T, k) for k in (n, 4))
        assert float(exact) == pytest.approx(one_step.error(walked, first), abs=6e-4)
    assert rows[3].startswith("the first teacher, in 4 steps: ")
    assert one_step.error(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])) == pytest.approx(math.sqrt(12.5))


def test_the_weights_stand_under_the_times_that_are_visited():
    head, row = one_step.times_table(SCHEDULE, {"mine": lambda bar: 2 * bar}, 4).splitlines()
    assert [int(part) for part in head.split("t = ")[1:]] == [500, 375, 250, 125]
    assert [float(value) for value in row.split()[1:]] == [
        pytest.approx(2 * SCHEDULE.alpha_bar[t].item(), abs=6e-4) for t in (500, 375, 250, 125)
    ]


def test_the_figures_show_a_panel_for_each_case():
    x_T = names.even_starts(240)
    fig = one_step.pairs_figure(TWO, x_T, {"a": x_T, "b": -x_T})
    assert [axes.get_title("left") for axes in fig.axes] == ["a", "b", "data"]
    for axes, slope in zip(fig.axes[:2], (1, -1), strict=True):
        x, y = axes.lines[1].get_data()
        assert y == pytest.approx([slope * value for value in x], abs=1e-5)
    student = one_step.asking(TWO)
    fig = one_step.students_figure(TWO, {2: student, 1: student}, x_T)
    assert [axes.get_title("left") for axes in fig.axes] == ["2 steps", "1 step"]
    for axes in fig.axes:
        _, exact, learned = (line.get_ydata() for line in axes.lines)
        assert learned == pytest.approx(exact)


# ---------------------------------------------------------------------------- scores


def scores(fid, agreement=0.99, coverage=0.2, diversity=8.0):
    return SimpleNamespace(n=500, fid=fid, agreement=agreement, coverage=coverage, diversity=diversity)


REAL = [scores(0.2, 0.99, 0.25, 8.8), scores(0.3, 1.0, 0.23, 9.0)]


def test_the_table_ends_with_the_mean_of_the_draws_of_real_digits():
    head, mine, real = one_step.score_table({"mine": scores(1.5)}, REAL).splitlines()
    assert head.split() == ["FID", "agreement", "coverage", "diversity"]
    assert mine.split() == ["mine", "1.50", "0.990", "0.20", "8.00"]
    assert real.split() == ["500", "real", "digits", "0.25", "0.995", "0.24", "8.90"]
    assert len(head) == len(mine) == len(real)


@pytest.mark.parametrize(("agreement", "lowest"), [(0.97, 0.9), (0.6, None)])
def test_the_curves_are_over_the_steps_with_real_digits_dashed(agreement, lowest):
    fig = one_step.curves_figure({8: scores(0.5), 1: scores(2.0, agreement, 0.1, 6.0)}, REAL)
    assert [axes.get_title("left") for axes in fig.axes] == ["FID", "agreement", "coverage", "diversity"]
    drawn = [(list(axes.lines[0].get_xdata()), list(axes.lines[0].get_ydata())) for axes in fig.axes]
    assert drawn == [([1, 8], ys) for ys in ([2.0, 0.5], [agreement, 0.99], [0.1, 0.2], [6.0, 8.0])]
    assert [axes.lines[1].get_ydata()[0] for axes in fig.axes] == pytest.approx([0.25, 0.995, 0.24, 8.9])
    low, high = fig.axes[1].get_ylim()
    assert low == lowest if lowest else low < agreement < high


def test_what_the_students_file_keeps_is_shown_number_by_number():
    """Each number of the file's scores stands in the table, under its name; other entries don't."""
    metadata = read_metadata("student")
    head, *rows, real = one_step.kept_table(metadata).splitlines()
    kept = {name: text for name, text in metadata.items() if name.endswith(" samples")}
    assert head.split() == ["2000", "samples", "FID", "agreement", "coverage", "diversity"]
    assert len(rows) == len(kept) >= 4
    for row, (name, text) in zip(rows, kept.items(), strict=True):
        assert row.startswith(name.removeprefix("its ").removesuffix(", 2000 samples"))
        values = [float(part.split()[1]) for part in text.split(", ")]
        assert [float(value) for value in row.split()[-4:]] == [pytest.approx(value, abs=0.0051) for value in values]
    assert real.startswith("real digits")


# ---------------------------------------------------------------------------- perfect students and gaps


class Exact(toys.GaussianPixels):
    def __init__(self):
        super().__init__(SCHEDULE)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_perfect_student_walks_as_far_in_a_step_as_its_teacher_in_two(steps):
    x_T, digits = torch.randn(3, 1, 28, 28, generator=new_noise()), torch.tensor([1, 1, 1])
    student = one_step.PerfectStudent(Exact(), steps)
    got, want = (
        sample(model, digits, w=0.5, steps=n, x_T=x_T) for model, n in ((student, steps), (Exact(), 2 * steps))
    )
    torch.testing.assert_close(got, want, rtol=0, atol=5e-3)  # at T the guess is divided by a signal of nearly 0


def test_a_perfect_student_of_the_bug_is_softer():
    """With m and s swapped the first guess weighs more than 1, so digits come out too near to the mean."""
    x_T, digits = torch.randn(20, 1, 28, 28, generator=new_noise()), torch.ones(20).long()
    right, bug = (
        sample(one_step.PerfectStudent(Exact(), 4, name), digits, w=0, steps=4, x_T=x_T).std()
        for name in ("", "m and s swapped")
    )
    assert bug < 0.9 * right


def test_a_perfect_student_knows_only_the_times_it_was_taught():
    student = one_step.PerfectStudent(Exact(), 2)
    with pytest.raises(KeyError, match="125"):
        student.predict_noise(torch.zeros(1, 1, 28, 28), torch.tensor([125]), torch.eye(10)[:1])


def test_gaps_measure_where_a_step_with_each_guess_ends(make_ddpm):
    teacher = make_ddpm(T=40, prediction="v")
    x_t, y = torch.randn(2, 1, 28, 28, generator=new_noise()), torch.tensor([3, 7])
    t, m, s = (torch.full((2,), time) for time in (40, 20, 8))
    found = one_step.gaps(teacher, distillation.two_steps, x_t, t, m, s, y, 1.0)
    assert list(found) == ["the teacher's first guess", "its second guess", "your target"]
    assert found["your target"] < 1e-4 < min(found["the teacher's first guess"], found["its second guess"])
    off = one_step.gaps(teacher, lambda *args: distillation.two_steps(*args) + 0.5, x_t, t, m, s, y, 1.0)
    (a, b), (c, d) = (teacher.schedule.levels(i[:1]) for i in (t, s))
    assert off["your target"] == pytest.approx(0.5 * (c - d / b * a).item(), abs=1e-3)
