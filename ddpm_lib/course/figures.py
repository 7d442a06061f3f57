"""The figures that one notebook shows: pixel walks, noise schedules, the U-Net, the loss of a running training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor, nn

from ddpm_lib.course.plots import (
    BLUE,
    COLORS,
    GREEN,
    INK,
    ORANGE,
    PINK,
    figure,
    label_ends,
    plain_log_ticks,
    show,
    styled,
)


@styled
def loss_curves(runs: dict[str, tuple[Sequence[float], Sequence[float]]], budget: float | None = None) -> Figure:
    """Training loss against seconds on a logarithmic axis: each step faint, a running mean on top.

    runs: name → (seconds, losses). budget: seconds at which the axis ends; None ends it with the curves.
    """
    fig, [[axes]] = figure(7.0, 2.8)
    for (name, (seconds, losses)), color in zip(runs.items(), COLORS, strict=False):
        smooth = running_mean(losses, max(1, len(losses) // 60))
        axes.plot(seconds, losses, color=color, alpha=0.25, linewidth=0.8)
        axes.plot(seconds, smooth, color=color)
        axes.annotate(
            name, (seconds[-1], smooth[-1]), xytext=(6, 0), textcoords="offset points", va="center", color=color
        )
    axes.set(xlabel="seconds of training", ylabel="loss (log scale)", yscale="log")
    if budget:
        axes.set_xlim(0, max(budget, *(seconds[-1] for seconds, _ in runs.values())))
    plain_log_ticks(axes.yaxis)
    return fig


def running_mean(values: Sequence[float], reach: int) -> np.ndarray:
    """The mean of each value and its neighbours: `reach` of them to each side, fewer before the start and the end.

    At the start the window has two equal sides, so that the mean of a steep fall lies on it, not above.
    """
    sums = np.concatenate([[0], np.cumsum(values)])
    i = np.arange(len(values))
    left, right = np.minimum(i, reach), np.minimum(reach, len(values) - 1 - i)
    right = np.where(i < reach, np.minimum(right, left), right)
    return (sums[i + right + 1] - sums[i - left]) / (left + right + 1)


@styled
def schedules(named: dict[str, nn.Module]) -> Figure:
    """ᾱ and log-SNR of noise schedules over t/T, side by side; log-SNR is cut off at −12."""
    fig, [[left, right]] = figure(8.6, 3.1, columns=2)
    ends = {}
    for (name, schedule), color in zip(named.items(), COLORS, strict=False):
        t_over_T = np.arange(schedule.T + 1) / schedule.T
        log_snr = schedule.log_snr.clamp(min=-12).numpy()
        left.plot(t_over_T, schedule.alpha_bar.numpy(), color=color)
        right.plot(t_over_T[1:], log_snr[1:], color=color)
        end = float(schedule.log_snr[-1])
        ends[name] = end if end > -12 else -12 + 0.01 * end  # below the cut, names keep the order of the ends
    right.axhline(0, color=INK, linewidth=1, linestyle="--")
    right.annotate("as much signal as noise", (1, 0), xytext=(0, 4), textcoords="offset points", ha="right")
    left.set(title=r"signal's share of the variance, $\bar\alpha_t$", xlabel="t / T", ylim=(0, 1.02), xlim=(0, 1))
    right.set(
        title=r"log-SNR, $\log\,\bar\alpha_t / (1 - \bar\alpha_t)$", xlabel="t / T", ylim=(-12.4, 10.5), xlim=(0, 1)
    )
    label_ends(right, 1.0, ends, COLORS)
    return fig


@styled
def pixel_walks(
    walks: dict[str, Tensor], expected: dict[str, tuple[Tensor, Tensor]], times: Sequence[int], shown: int = 12
) -> Figure:
    """Values of single pixels on their way through the chain, with sideways histograms at some times.

    walks: name → (N, T+1) values of one pixel in N copies. expected: name → mean and standard deviation, (T+1,)
    each, shown as densities beside the histograms. times: where the histograms stand. shown: how many walks are lines.
    """
    fig, [[axes]] = figure(8.6, 4.0)
    T = next(iter(walks.values())).shape[1] - 1
    room = 0.8 * T / len(times)  # the widest histogram takes so much of t
    edges = np.linspace(-3.6, 3.6, 33)
    fine = np.linspace(-3.6, 3.6, 400)
    for (name, walk), color in zip(walks.items(), (ORANGE, BLUE), strict=False):
        step = max(1, T // 100)  # finer lines can't be told apart, and cost disk
        axes.plot(np.arange(0, T + 1, step), walk[:shown, ::step].T.numpy(), color=color, alpha=0.25, linewidth=0.8)
        mean, std = (table.numpy() for table in expected[name])
        for t in times:
            density = np.histogram(walk[:, t].numpy(), edges, density=True)[0]
            bell = np.exp(-(((fine - mean[t]) / std[t]) ** 2) / 2) / (std[t] * np.sqrt(2 * np.pi))
            scale = room / max(bell.max(), 0.85)
            # stairs has one closed outline. The edges of single bars would show as lines between them.
            axes.stairs(
                t + density * scale, edges, baseline=t, orientation="horizontal", fill=True, color=color, alpha=0.4
            )
            near = np.abs(fine - mean[t]) < 3.2 * std[t]
            axes.plot(t + bell[near] * scale, fine[near], color=color, linewidth=1.6)
        axes.annotate(
            name, (0, mean[0]), xytext=(-6, 0), textcoords="offset points", ha="right", va="center", color=color
        )
    for t in times:
        axes.axvline(t, color=INK, linewidth=0.8, alpha=0.5)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set(xlabel="t", ylabel="pixel value", xlim=(0, times[-1] + room * 1.08), ylim=(-3.6, 3.6), xticks=[0, *times])
    return fig


@styled
def unet(shapes: dict[str, tuple[int, ...]]) -> Figure:
    """The U-Net from its shapes: the height of a slab is its resolution, its width the number of its channels.

    shapes: each stage of a `UNet` by name → shape of its output without the batch: (C, H, W), or (E,) for the two MLPs.
    """
    fig = Figure(figsize=(9.4, 4.8))
    axes = fig.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 19.8), ylim=(-0.95, 9.15))
    axes.axis("off")
    rows = {28: (7.1, 2.5), 14: (4.2, 1.6), 7: (1.75, 1.0)}  # resolution → y of the middle, height
    widest = max(shape[0] for shape in shapes.values())

    def slab(x: float, resolution: int, name: str, *parts: tuple[int, str], size_below: bool = True) -> list[float]:
        """Place parts (channels, colour) side by side, centred at x; return the x of their edges."""
        y, height = rows[resolution]
        edges = np.cumsum([0] + [0.12 + 0.95 * channels / widest for channels, _ in parts])
        edges += x - edges[-1] / 2
        for left, right, (_, color) in zip(edges, edges[1:], parts, strict=False):
            corner, size = (left, y - height / 2), (right - left, height)
            axes.add_patch(Rectangle(corner, *size, facecolor=(*to_rgb(color), 0.3), edgecolor=color, linewidth=1.3))
        size = f"{sum(channels for channels, _ in parts)}×{resolution}×{resolution}"
        above = name if size_below else f"{name}\n{size}"
        axes.text(x, y + height / 2 + 0.13, above, ha="center", va="bottom", fontsize=9)
        if size_below:
            axes.text(x, y - height / 2 - 0.13, size, ha="center", va="top", fontsize=8.5)
        return list(edges)

    def arrow(start: tuple[float, float], end: tuple[float, float], color: str = INK, bend: str = "arc3") -> None:
        style = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 2, "shrinkB": 2, "linewidth": 1.4}
        axes.add_patch(FancyArrowPatch(start, end, color=color, connectionstyle=bend, **style))

    channels = {name: shape[0] for name, shape in shapes.items()}
    e28, e14, e7 = channels["encoder_28"], channels["encoder_14"], channels["encoder_7"]
    x_t = slab(0.75, 28, "$x_t$", (1, INK))
    down_28 = slab(2.35, 28, "encoder_28", (e28, BLUE))
    down_14 = slab(4.05, 14, "encoder_14", (e14, BLUE))
    down_7 = slab(5.75, 7, "encoder_7", (e7, BLUE))
    t_part, y_part = (channels["time_mlp"], ORANGE), (channels["label_mlp"], GREEN)
    told = slab(8.35, 7, "features, t, y", (e7, BLUE), t_part, y_part, size_below=False)
    middle = slab(10.95, 7, "bottleneck", (channels["bottleneck"], BLUE))
    joined_14 = slab(12.75, 14, "joined", (channels["up_14"], BLUE), (e14, PINK))
    up_14 = slab(14.65, 14, "decoder_14", (channels["decoder_14"], BLUE))
    joined_28 = slab(16.05, 28, "joined", (channels["up_28"], BLUE), (e28, PINK))
    up_28 = slab(17.6, 28, "decoder_28", (channels["decoder_28"], BLUE))
    head = slab(19.05, 28, "head", (channels["head"], INK))

    for left, right, resolution in [
        (x_t, down_28, 28),
        (down_7, told, 7),
        (told, middle, 7),
        (joined_14, up_14, 14),
        (joined_28, up_28, 28),
        (up_28, head, 28),
    ]:
        arrow((left[-1], rows[resolution][0]), (right[0], rows[resolution][0]))
    for left, right, resolution, lift in [(down_28, joined_28, 28, 0.45), (down_14, joined_14, 14, 0.2)]:
        y = rows[resolution][0] + lift
        arrow((left[-1], y), (right[0], y), PINK)
        axes.text(8.35, y + 0.1, "skip connection", ha="center", va="bottom", color=PINK, fontsize=9)
    corner = "angle,angleA=0,angleB=90,rad=4"
    for left, x, low, high in [(down_28, 4.05, 14, 28), (down_14, 5.75, 7, 14)]:
        arrow((left[-1], rows[high][0] - 0.3 * rows[high][1]), (x, rows[low][0] + rows[low][1] / 2 + 0.5), INK, corner)
    for left, x, low, high in [(middle, 12.75, 7, 14), (up_14, 16.05, 14, 28)]:
        arrow((left[-1], rows[low][0]), (x, rows[high][0] - rows[high][1] / 2 - 0.5), INK, corner)
        axes.text(x + 0.15, rows[low][0] + 0.1, f"up_{high}", ha="left", va="bottom", fontsize=8.5)

    # t and y come from below; each arrow ends at the part of its embedding.
    floor = rows[7][0] - rows[7][1] / 2
    for left, right, name, mlp, color in [
        (told[1], told[2], "t / T", "time_mlp", ORANGE),
        (told[2], told[3], "label row y", "label_mlp", GREEN),
    ]:
        x, side = (left + right) / 2, 1 if color == GREEN else -1
        arrow((x, floor - 1.5), (x, floor), color)
        text = f"{mlp}\n{channels[mlp]} numbers"
        at = {"ha": "left" if side > 0 else "right", "va": "center", "fontsize": 9, "color": color}
        axes.text(x + 0.2 * side, floor - 0.92, text, **at)
        axes.text(x - 0.1 * side, floor - 1.57, name, **(at | {"va": "top"}))
    return fig


class LiveLoss:
    """A loss curve that grows in its place while a model trains.

    name: names the curve. every: seconds between two pictures; a picture costs about a fifth of a second.
    budget: seconds that the training takes, so that the picture shows how much of it is done.
    """

    def __init__(self, name: str, every: float = 4.0, budget: float | None = None):
        self.name, self.every, self.budget = name, every, budget
        self.seconds, self.losses = [], []
        self._handle, self._shown_at = None, -every

    def update(self, record) -> None:
        """Take in one TrainRecord; show a new picture if the last one is old enough."""
        self.seconds.append(record.seconds)
        self.losses.append(record.loss)
        if record.seconds - self._shown_at >= self.every:
            self.show()

    def show(self) -> None:
        """Show the curve of all records so far. Call it once more after the loop."""
        if self.seconds:
            self._shown_at = self.seconds[-1]
            alt = (
                f"Training loss of {self.name} against seconds, each step and a running mean: from "
                f"{self.losses[0]:.2f} it falls steeply at first, then slowly; the last mean is "
                f"{np.mean(self.losses[-50:]):.3f}."
            )
            self._handle = show(loss_curves({self.name: (self.seconds, self.losses)}, self.budget), alt, self._handle)
