"""What notebook 10 needs to look at flow matching: x_τ = (1−τ)·x_0 + τ·ε with flow time τ, and u = ε − x_0.

On a schedule's x_t = √ᾱ_t·x_0 + σ_t·ε, the scale is signal + sigma: x_τ = x_t/(√ᾱ_t + σ_t), and τ = σ_t/(√ᾱ_t + σ_t).
Sources   flow matching: Lipman et al. 2022, arXiv:2210.02747 · rectified flow: Liu et al. 2022, arXiv:2209.03003
          weights of the noise levels: Kingma & Gao 2023, arXiv:2303.00848
"""

from collections.abc import Callable, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course import plots
from ddpm_lib.course.names import walk
from ddpm_lib.course.toys import TwoClasses
from ddpm_lib.ddpm import DDPM
from ddpm_lib.evaluation import Scores, evaluate, judge_of
from ddpm_lib.sampling import ddim_step, sample
from ddpm_lib.schedule import NoiseSchedule

# ------------------------------------------------------- what the notebook uses until the learner's answers have passed


def log_snr(tau: Tensor) -> Tensor:
    """The log-SNR of x_τ. tau: tensor in (0, 1)."""
    return 2 * torch.log((1 - tau) / tau)


def euler_step(
    schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor | None = None
) -> Tensor:
    """x_s by an Euler step of the flow, as `sample` takes it: x_τ moves along û from τ(t) to τ(s)."""
    (signal_t, sigma_t), (signal_s, sigma_s) = schedule.levels(t), schedule.levels(s)
    scale_t, scale_s = signal_t + sigma_t, signal_s + sigma_s
    u_hat = (x_t - signal_t * x_0_hat) / sigma_t - x_0_hat
    x_tau = x_t / scale_t + (sigma_s / scale_s - sigma_t / scale_t) * u_hat
    return x_tau * scale_s


def guided_u(u_y: Tensor, u_null: Tensor, s: float) -> Tensor:
    """û(∅) + s·(û(y) − û(∅)): guidance by the scale s = 1 + w."""
    return u_null + s * (u_y - u_null)


# ------------------------------------------------------------------------------------------------------ one dimension


def flow_schedule(T: int = 500) -> NoiseSchedule:
    """The schedule of flow matching, with τ = t/(T+1): it stops just before τ = 1, where log-SNR is −∞."""
    return NoiseSchedule.from_log_snr(log_snr(torch.arange(1, T + 1, dtype=torch.float64) / (T + 1)))


@plots.styled
def lines_figure(cosine: NoiseSchedule, pairs: int = 14, d: float = 0.2, seed: int = 0) -> Figure:
    """Pairs of a pixel of two classes and its noise, mixed by a cosine schedule and by the flow; and the flow's paths.

    The paths start from the same noise and follow the exact û, which is the mean of all lines through a point.
    """
    generator = torch.Generator().manual_seed(seed)
    eps = torch.erfinv(2 * (torch.arange(pairs) + 0.5) / pairs - 1) * 2**0.5  # evenly spread, as Gaussian numbers lie
    sides = torch.tensor([-1.0, 1.0]).repeat(pairs // 2 + 1)[torch.randperm(pairs, generator=generator)]
    x_0 = sides + d * torch.randn(pairs, generator=generator)
    fig, [row] = plots.figure(9.0, 2.9, columns=3, sharey=True)

    signal, sigma = (level.view(-1, 1) for level in cosine.levels(torch.arange(cosine.T + 1)))
    _ways(row[0], torch.arange(cosine.T + 1) / cosine.T, signal * x_0 + sigma * eps, x_0)
    row[0].set(title="cosine schedule: a pair's $x_t$", xlabel="t/T", ylabel="value of one pixel")

    tau = torch.linspace(0, 1, 101)
    _ways(row[1], tau, (1 - tau.view(-1, 1)) * x_0 + tau.view(-1, 1) * eps, x_0)
    row[1].set(title=r"flow matching: a pair's $x_\tau$", xlabel="τ")

    tau, paths = exact_paths(eps, d)
    _ways(row[2], tau, paths, paths[-1])
    row[2].set(title=r"where the exact $\hat{u}$ leads", xlabel="τ")
    return fig


def _ways(axes: Axes, x: Tensor, y: Tensor, ends: Tensor) -> None:
    """One curve for each column of y (N, curves), in the colour of the class where it ends."""
    for curve, end in zip(y.T, ends, strict=True):
        axes.plot(x, curve, color=plots.BLUE if end > 0 else plots.ORANGE, linewidth=1.3)
    axes.set_xticks([0, 0.5, 1], ["0: pixel", "0.5", "1: noise"])
    for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)


def exact_paths(eps: Tensor, d: float, T: int = 500) -> tuple[Tensor, Tensor]:
    """τ (T+1,) from 1 to 0, and x_τ (T+1, N) on the way from the noise eps (N,), by the exact û of two classes."""
    schedule = flow_schedule(T)
    signal, sigma = (level.flatten() for level in schedule.levels(torch.arange(T, -1, -1)))
    scale = signal + sigma
    return sigma / scale, walk(TwoClasses(schedule, d), ddim_step, eps) / scale.view(-1, 1)


# ------------------------------------------------------------------------------------------------------- noise levels


@plots.styled
def log_snr_figure(schedules: dict[str, NoiseSchedule]) -> Figure:
    """Log-SNR over t/T of each schedule, each named at the right end."""
    fig, [[axes]] = plots.figure(7.0, 3.0)
    for schedule, color in zip(schedules.values(), plots.COLORS, strict=False):
        axes.plot(torch.arange(1, schedule.T + 1) / schedule.T, schedule.log_snr[1:], color=color)
    ends = {name: float(schedule.log_snr[-1]) for name, schedule in schedules.items()}
    axes.set(xlabel="t/T", ylabel="log-SNR", xlim=(0, 1), ylim=(min(ends.values()) - 1, 13))
    plots.label_ends(axes, 1, ends, plots.COLORS)
    return fig


def levels_and_weights(schedule: NoiseSchedule, prediction: str) -> tuple[Tensor, Tensor, Tensor]:
    """For each t = 1 … T: log-SNR, how often it is drawn per unit of log-SNR, and its weight in the loss.

    The weight is that of ‖v − v̂‖² if the network regresses "v" or "flow"; its area is 1. (At fixed x_t, the error of v
    is that of ε divided by √ᾱ; the error of u is that of ε times (√ᾱ + σ)/√ᾱ.)
    """
    level, (signal, sigma) = schedule.log_snr[1:], schedule.levels(torch.arange(1, schedule.T + 1))
    often = -1 / torch.gradient(level.double())[0] / schedule.T
    weight = often * {"v": torch.ones_like(often), "flow": (signal + sigma).flatten().double() ** 2}[prediction]
    return level, often, weight / -torch.trapezoid(weight, level.double())


@plots.styled
def weights_figure(trainings: dict[str, tuple[NoiseSchedule, str]]) -> Figure:
    """How often each noise level is drawn, and what it weighs in the loss; named in the left panel.

    trainings: name → (schedule, prediction). The last one is drawn dashed, so that a curve below it can be seen.
    """
    fig, [row] = plots.figure(8.6, 2.9, columns=2, sharex=True, sharey=True)
    styles = ["-"] * (len(trainings) - 1) + [(0, (3, 2))]
    for (name, training), color, style in zip(trainings.items(), plots.COLORS, styles, strict=False):
        level, often, weight = levels_and_weights(*training)
        inside = level.abs() < 9  # near the ends β is clipped
        for axes, y in zip(row, (often, weight), strict=True):
            axes.plot(level[inside], y[inside], color=color, linestyle=style, label=name)
    row[0].set(title="how often a noise level is drawn", xlabel="log-SNR", ylim=(0, 0.21), yticks=[0, 0.05, 0.1, 0.15])
    row[1].set(title=r"its weight on $\Vert v-\hat{v}\,\Vert^2$ in the loss", xlabel="log-SNR")
    row[0].legend(loc="upper left", ncols=3, handlelength=1.5, columnspacing=1.2)
    return fig


# ------------------------------------------------------------------------------------------------- scores and guidance


def score_steps(
    models: dict[str, DDPM], step_counts: Sequence[int], labels: Tensor, w: float, seed: int
) -> dict[str, list[Scores]]:
    """Scores of each model's digits after each number of Euler steps, which are DDIM steps; all from the same noise."""

    def drawn(ddpm: DDPM, steps: int) -> Tensor:
        return sample(ddpm, labels, w, "ddim", steps, generator=torch.Generator().manual_seed(seed))

    return {
        name: [evaluate(drawn(ddpm, n), labels, judge_of(ddpm)) for n in step_counts] for name, ddpm in models.items()
    }


def steps_figure(scores: dict[str, list[Scores]], step_counts: Sequence[int], floor: float) -> Figure:
    """FID and agreement over the number of steps. floor: FID of real digits."""
    panels = {
        "FID": {name: [score.fid for score in found] for name, found in scores.items()},
        "agreement with the label": {name: [score.agreement for score in found] for name, found in scores.items()},
    }
    references = {"FID": (floor, "real digits")}
    return plots.small_multiples(step_counts, panels, "Euler steps", True, {"FID"}, references)


def steps_table(scores: dict[str, list[Scores]], step_counts: Sequence[int], real: Sequence[float]) -> str:
    """FID and agreement of each model and number of steps, as lines of text; the FIDs of real digits below."""
    rows = ["steps" + "".join(f"{name:>26}" for name in scores)]
    for i, steps in enumerate(step_counts):
        found = [scores[name][i] for name in scores]
        rows.append(f"{steps:>5}" + "".join(f"    FID {s.fid:>5.2f}, agreed {s.agreement:.3f}" for s in found))
    band = f"{len(real)} draws: {min(real):.2f} to {max(real):.2f}"
    n = next(iter(scores.values()))[0].n
    return "\n".join([*rows, f"{n} real digits: FID {sum(real) / len(real):.2f} ({band})"])


class GuidedFlow:
    """A DDPM whose guess is guided in flow velocities, by a function of (û(y), û(∅), s) with s = 1 + w."""

    def __init__(self, ddpm: DDPM, mix: Callable[[Tensor, Tensor, float], Tensor]):
        self.ddpm, self.schedule, self.mix = ddpm.eval(), ddpm.schedule, mix

    def predict_u(self, x_t: Tensor, t: Tensor, y: Tensor, w: float) -> Tensor:
        """û = ε̂ − x̂_0, both of the network's answer without guidance: of the label at w = 0, of none at w = −1."""
        eps_hat = self.ddpm.predict_noise(x_t, t, y, w=w)
        return eps_hat - self.schedule.predict_x_0(x_t, t, eps_hat)

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float) -> Tensor:
        """ε̂ of the guided û: x_t = √ᾱ·x_0 + σ·ε with x_0 = ε − u, solved for ε."""
        u_hat = self.mix(self.predict_u(x_t, t, y, 0.0), self.predict_u(x_t, t, y, -1.0), 1 + w)
        signal, sigma = self.schedule.levels(t)
        return (x_t + signal * u_hat) / (signal + sigma)
