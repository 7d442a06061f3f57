"""What notebook 11 needs to distil: two classes in one dimension, whose paths are known, and digits by steps.

Sources   progressive distillation: Salimans & Ho 2022, arXiv:2202.00512
"""

import copy
import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ddpm_lib import distillation
from ddpm_lib.course import museum, plots
from ddpm_lib.course.names import density, walk
from ddpm_lib.course.toys import TwoClasses
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import Scores
from ddpm_lib.interrupts import undisturbed
from ddpm_lib.precision import fair_threads
from ddpm_lib.sampling import ddim_step, time_steps
from ddpm_lib.schedule import NoiseSchedule

Ask = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) → x̂_0
SCORES = {"FID": "fid", "agreement": "agreement", "coverage": "coverage", "diversity": "diversity"}  # title → field

# ------------------------------------------------------- what the notebook uses until the learner's answers have passed


def two_step_target(ask: Ask, schedule: NoiseSchedule, x_t: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
    """The guess with which one DDIM step t → s ends where two of the teacher end, t → m → s."""
    x_m = ddim_step(schedule, x_t, ask(x_t, t), t, m)
    x_s = ddim_step(schedule, x_m, ask(x_m, m), m, s)
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    ratio = sigma_s / sigma_t
    return (x_s - ratio * x_t) / (signal_s - ratio * signal_t)


def loss_weight(alpha_bar: Tensor) -> Tensor:
    """What the squared error of v is in units of that of x̂_0."""
    return 1 / (1 - alpha_bar)


# ------------------------------------------------------------------------------------------------------- one dimension


def asking(two: TwoClasses) -> Ask:
    """The exact guess of x_0, as ask(x_t (N, 1, 1, 1), t (N,)) → (N, 1, 1, 1)."""

    def ask(x_t: Tensor, t: Tensor) -> Tensor:
        x_0_hat = torch.empty_like(x_t)
        for time in t.unique():
            of = t == time
            x_0_hat[of] = two.schedule.predict_x_0(x_t[of], t[of], two.eps(x_t[of], int(time), None))
        return x_0_hat

    return ask


def data(two: TwoClasses, n: int, generator: torch.Generator) -> Tensor:
    """(n, 1, 1, 1) numbers of both classes."""
    sides = 2.0 * torch.randint(2, (n,), generator=generator) - 1
    return (sides + two.d * torch.randn(n, generator=generator)).view(-1, 1, 1, 1)


def path_ends(two: TwoClasses, x_T: Tensor) -> Tensor:
    """Where the path of each x_T (N,) ends: T short steps of DDIM, with the exact guess."""
    return walk(two, ddim_step, x_T)[-1]


def ends(ask: Ask, schedule: NoiseSchedule, x_T: Tensor, steps: int) -> Tensor:
    """Where DDIM arrives from each x_T (N,) in this many steps."""
    x, times = x_T.view(-1, 1, 1, 1), time_steps(schedule.T, steps)
    with torch.no_grad():
        for t, s in pairwise(times):
            rows = [torch.full((len(x),), time) for time in (t, s)]
            x = ddim_step(schedule, x, ask(x, rows[0]), *rows)
    return x.flatten()


class Student(nn.Module):
    """A tiny network that sees x_t and t, regresses v, and returns x̂_0 = √ᾱ·x_t − σ·v̂."""

    def __init__(self, schedule: NoiseSchedule, generator: torch.Generator, width: int = 64):
        super().__init__()
        self.schedule = schedule
        self.layers = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                    nn.Linear(width, 1))  # fmt: skip
        for layer in self.layers[::2]:  # drawn from our generator; uniform, as torch draws them
            bound = layer.in_features**-0.5
            for tensor in (layer.weight, layer.bias):
                tensor.data = (2 * torch.rand(tensor.shape, generator=generator) - 1) * bound
        self.layers[0].weight.data *= 3

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        told = torch.stack([x_t.flatten(), 2 * t / self.schedule.T - 1], dim=1)
        signal, sigma = self.schedule.levels(t)
        return signal * x_t - sigma * self.layers(told).view_as(x_t)


def halve(
    two: TwoClasses,
    target: Callable,
    weight: Callable[[Tensor], Tensor],
    new_noise: Callable[[], torch.Generator],
    stages: Sequence[int] = (8, 4, 2, 1),
    batches: int = 500,
) -> dict[int, Student]:
    """A student for each number of steps; each one is the teacher of the next, and the exact guess is the first.

    target: as `two_step_target`. weight: of the squared error of x̂_0, from ᾱ_t.
    """
    generator, ask, students, schedule = new_noise(), asking(two), {}, two.schedule
    student = Student(schedule, generator)
    for n in stages:
        times = torch.tensor(time_steps(schedule.T, 2 * n))
        at = 2 * torch.randint(n, (8192,), generator=generator)
        t, m, s = times[at], times[at + 1], times[at + 2]
        eps = torch.randn(8192, 1, 1, 1, generator=generator)
        x_t = schedule.add_noise(data(two, 8192, generator), t, eps)
        with torch.no_grad():
            wanted = target(ask, schedule, x_t, t, m, s)
        factor = weight(schedule.alpha_bar[t].view(-1, 1, 1, 1))
        _fit(student, x_t, t, wanted, factor, batches, generator)
        students[n] = ask = copy.deepcopy(student)
    return students


def _fit(
    student: Student, x_t: Tensor, t: Tensor, wanted: Tensor, factor: Tensor, batches: int, generator: torch.Generator
) -> None:
    """Adam on factor·‖wanted − x̂_0‖², with a learning rate that falls to 0."""
    optimizer = undisturbed()(torch.optim.Adam)(student.parameters(), lr=1e-2, betas=(0.9, 0.99))
    with fair_threads():  # thousands of tiny steps: a second thread that waits for a busy core makes them crawl
        for batch in range(batches):
            optimizer.param_groups[0]["lr"] = 1e-2 * (1 + math.cos(math.pi * batch / batches)) / 2
            rows = torch.randint(len(x_t), (512,), generator=generator)
            loss = (factor[rows] * (wanted[rows] - student(x_t[rows], t[rows])) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def bin_means(x: Tensor, y: Tensor, bins: int = 24) -> tuple[Tensor, Tensor]:
    """In each of `bins` equal shares of the x (N,): the mean of x, and the mean of y, which is the best guess of y."""
    order = x.argsort()
    return tuple(torch.stack([part.mean() for part in z[order].chunk(bins)]) for z in (x, y))


@plots.styled
def pairs_figure(two: TwoClasses, x_T: Tensor, panels: dict[str, Tensor]) -> Figure:
    """Pairs of a noise and a number as dots, and the best guess from the noise as a line; at the right, the data.

    x_T: (N,). panels: title → (N,) the x_0 that belong to the x_T.
    """
    fig, [row] = plots.figure(8.6, 3.1, columns=len(panels) + 1, sharey=True, width_ratios=(*[3] * len(panels), 0.8))
    for axes, (title, x_0) in zip(row, panels.items(), strict=False):
        axes.plot(x_T[::12], x_0[::12], "o", color=plots.BLUE, markersize=2, alpha=0.45)
        axes.plot(*bin_means(x_T, x_0), color=plots.ORANGE, linewidth=2.4)
        axes.set(title=title, xlabel="$x_T$", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6))
    row[0].set_ylabel("$x_0$")
    x = torch.linspace(-2.6, 2.6, 301, dtype=torch.float64)
    row[-1].fill_betweenx(x, density(two, 0, x), color=plots.BLUE, alpha=0.3, linewidth=0)
    row[-1].set(title="data", xticks=[])
    row[-1].grid(False)
    return fig


def left_over(x: Tensor, y: Tensor, bins: int = 24) -> float:
    """The mean squared error of the best guess of y (N,) from x (N,): a line in each of `bins` equal shares."""
    order, left = x.argsort(), []
    for part_x, part_y in zip(x[order].chunk(bins), y[order].chunk(bins), strict=True):
        x_0, y_0 = part_x - part_x.mean(), part_y - part_y.mean()
        left.append((y_0 - (x_0 @ y_0) / (x_0 @ x_0) * x_0).square().mean())
    return torch.stack(left).mean().item()


@plots.styled
def students_figure(two: TwoClasses, students: dict[int, Student], x_T: Tensor) -> Figure:
    """Over x_T: the path's end, and where one and two steps of the exact guess and of the students arrive."""
    fig, [row] = plots.figure(8.6, 3.1, columns=2, sharey=True)
    for axes, steps in zip(row, (2, 1), strict=True):
        axes.plot(x_T, path_ends(two, x_T), color=plots.INK, linewidth=1.2, linestyle="--", label="end of the path")
        for name, ask, color in (("exact guess", asking(two), plots.ORANGE), ("student", students[steps], plots.BLUE)):
            axes.plot(x_T, ends(ask, two.schedule, x_T, steps), color=color, linewidth=2, label=name)
        axes.set(title=f"{steps} step{'s' if steps > 1 else ''}", xlabel="$x_T$", xlim=(-2.6, 2.6), ylim=(-2.3, 2.3))
    row[0].set_ylabel("where it arrives")
    row[0].legend(loc="upper left")
    return fig


def error(got: Tensor, wanted: Tensor) -> float:
    """The root of the mean squared distance."""
    return (got - wanted).square().mean().sqrt().item()


def error_table(two: TwoClasses, families: dict[str, dict[int, Ask]], x_T: Tensor) -> str:
    """By steps: how far each one arrives from where the first teacher does, and how far that is from the path's end.

    families: name → number of steps → guess.
    """
    steps = list(next(iter(families.values())))
    first = ends(asking(two), two.schedule, x_T, 2 * steps[0])
    rows = [f"{'steps':<7}{'exact guess':>13}" + "".join(f"{name:>13}" for name in families)]
    for n in steps:
        guesses = [asking(two), *(students[n] for students in families.values())]
        rows.append(f"{n:<7}" + "".join(f"{error(ends(ask, two.schedule, x_T, n), first):>13.3f}" for ask in guesses))
    rows.append(
        f"the first teacher, in {2 * steps[0]} steps: {error(first, path_ends(two, x_T)):.3f} from the path's end"
    )
    return "\n".join(rows)


# -------------------------------------------------------------------------------------------------------------- digits


def floor(real: Sequence[Scores], name: str) -> float:
    """What real digits reach in one score: the mean over several draws (`few_steps.score_real_digits`)."""
    return sum(getattr(scores, name) for scores in real) / len(real)


def score_table(scores: dict[str, Scores], real: Sequence[Scores]) -> str:
    """FID, agreement, coverage and diversity of each, and below what draws of real digits reach on the average."""
    found = {name: [getattr(s, key) for key in SCORES.values()] for name, s in scores.items()}
    return four_scores("", found | {f"{real[0].n} real digits": [floor(real, key) for key in SCORES.values()]})


def four_scores(head: str, found: dict[str, Sequence[float]]) -> str:
    """Lines of text with the four scores of each name."""
    width = max(map(len, found))
    rows = [f"{head:<{width}}{'FID':>7}{'agreement':>11}{'coverage':>10}{'diversity':>11}"]
    for name, (fid, agreement, coverage, diversity) in found.items():
        rows.append(f"{name:<{width}}{fid:>7.2f}{agreement:>11.3f}{coverage:>10.2f}{diversity:>11.2f}")
    return "\n".join(rows)


def curves_figure(scores: dict[int, Scores], real: Sequence[Scores]) -> Figure:
    """FID, agreement, coverage and diversity by number of steps, with what real digits reach dashed.

    scores: steps → scores. real: those of several draws of real digits.
    """
    steps = sorted(scores)
    panels = {title: {"student": [getattr(scores[n], key) for n in steps]} for title, key in SCORES.items()}
    references = {title: (floor(real, key), "") for title, key in SCORES.items()}
    limits = {title: (0, 1.1 * max(*panels[title]["student"], references[title][0])) for title in ("FID", "coverage")}
    if min(panels["agreement"]["student"]) > 0.9:
        limits["agreement"] = (0.9, 1.005)
    return plots.small_multiples(steps, panels, "steps", log_x=True, references=references, limits=limits)


def kept_table(metadata: dict) -> str:
    """The scores that `tools/distil.py` kept in the student's file, as a table: its own and those of its teacher."""
    found, real = {}, []
    for name, text in metadata.items():
        if name.endswith(" samples"):
            setting, _, samples = name.removeprefix("its ").rpartition(", ")
            pairs = re.findall(r"\w+ ([\d.]+) \(real digits ([\d.]+)\)", text)
            found[setting], real = zip(*[map(float, pair) for pair in pairs], strict=True)
    return four_scores(samples, found | {"real digits": real})


def gaps(
    teacher: DDPM, target: Callable, x_t: Tensor, t: Tensor, m: Tensor, s: Tensor, y: Tensor, w: float
) -> dict[str, float]:
    """How far one DDIM step ends from the teacher's two, at the farthest pixel, with each of three guesses.

    target: as `distill` takes it. The others are those of `two_steps`.
    """

    def ask(x: Tensor, t: Tensor) -> Tensor:
        return teacher.schedule.predict_x_0(x, t, teacher.predict_noise(x, t, y, w=w)).clamp(-1, 1)

    with torch.inference_mode():
        first = ask(x_t, t)
        x_m = ddim_step(teacher.schedule, x_t, first, t, m)
        second, wanted = ask(x_m, m), target(teacher, x_t, t, m, s, y, w)
    x_s = ddim_step(teacher.schedule, x_m, second, m, s)
    guesses = {"the teacher's first guess": first, "its second guess": second, "your target": wanted}
    return {
        name: (ddim_step(teacher.schedule, x_t, x_0, t, s) - x_s).abs().max().item() for name, x_0 in guesses.items()
    }


def times_table(schedule: NoiseSchedule, weights: dict[str, Callable[[Tensor], Tensor]], steps: int) -> str:
    """The weights at the times that this many steps visit, as lines of text."""
    times = time_steps(schedule.T, steps)[:-1]
    rows = [f"{'':<14}" + "".join(f"{f't = {t}':>10}" for t in times)]
    for name, weight in weights.items():
        values = torch.as_tensor(weight(schedule.alpha_bar[times]))
        rows.append(f"{name:<14}" + "".join(f"{value:>10.3f}" for value in values.tolist()))
    return "\n".join(rows)


class PerfectStudent:
    """A student that has learned its target by heart: for each answer it asks its teacher for two steps.

    steps: for how many steps it was taught; it can be asked at their times only. bug: a bug of the museum, in
    distillation.py, with which the target was made.
    """

    def __init__(self, teacher: DDPM, steps: int, bug: str = ""):
        self.teacher, self.schedule = teacher, teacher.schedule
        self.target = (museum.planted(bug) if bug else distillation).two_steps
        times = time_steps(self.schedule.T, 2 * steps)
        self.after = {t: (m, s) for t, m, s in zip(times[::2], times[1::2], times[2::2], strict=False)}

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float = 0.0) -> Tensor:
        """ε̂ of the target. x_t: (B, 1, 28, 28). t: (B,) long, all alike. y: (B, 10). w: number."""
        m, s = (torch.full_like(t, time) for time in self.after[int(t[0])])
        return self.schedule.predict_eps(x_t, t, self.target(self.teacher, x_t, t, m, s, y, w))
