"""The figures of notebook 08: balls around features, the bias of FID, and scores over the guidance weight."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_lib.course.plots import BLUE, COLORS, INK, ORANGE, figure, plain_log_ticks, styled
from ddpm_lib.course.sweep_table import SweepTable
from ddpm_lib.evaluation import prdc


@styled
def balls(real: Tensor, radii: Tensor, generators: dict[str, Tensor], k: int) -> Figure:
    """Real points with their balls, and the points of each generator on top, with precision and recall.

    real: (M, 2). radii: (M,). generators: name → (N, 2). k: of the neighbours that the radii reach to.
    """
    angle = np.linspace(0, 2 * np.pi, 40)
    fig, [row] = figure(8.6, 2.8, columns=len(generators), sharex=True, sharey=True)
    for axes, (name, drawn) in zip(row, generators.items(), strict=True):
        for (x, y), radius in zip(real.tolist(), radii.tolist(), strict=True):
            edge = x + radius * np.cos(angle), y + radius * np.sin(angle)
            axes.fill(*edge, color=BLUE, alpha=0.08, linewidth=0)
        axes.plot(*real.T, ".", color=BLUE, markersize=3)
        axes.plot(*drawn.T, "x", color=ORANGE, markersize=4, markeredgewidth=1)
        score = prdc(real, drawn, k=k)
        axes.set(title=name, aspect="equal", xlim=(-3.8, 3.8), ylim=(-3.8, 3.8), xticks=[], yticks=[])
        axes.set_xlabel(f"precision {score['precision']:.2f}\nrecall {score['recall']:.2f}")
    return fig


@styled
def bias(
    n: Tensor,
    means: dict[str, Tensor],
    single: dict[int, Sequence[float]],
    at_infinity: Callable[[Tensor, Tensor], float],
) -> Figure:
    """FID over 1/n with straight lines that end at at_infinity(n, fid).

    n: (N,) rising. means: name → (N,) FIDs. single: count → the FIDs of single subsets, as small dots.
    """
    fig, [[axes]] = figure(7.0, 3.2)
    x = 1 / n
    for (name, fid), color in zip(means.items(), COLORS, strict=False):
        end = float(at_infinity(n, fid))
        slope = (fid.mean() - end) / x.mean()  # a line of least squares goes through the two means
        axes.plot([0, x[0]], [end, end + slope * x[0]], "--", color=color, linewidth=1.2)
        axes.plot(x, fid, "o", color=color, label=name)
        axes.plot(0, end, "D", color=color, markersize=7, clip_on=False)
    for count, values in single.items():
        axes.plot([1 / count] * len(values), values, ".", color=BLUE, alpha=0.4)
    axes.set(xlabel="1 / number of images", ylabel="FID", xlim=(0, None), ylim=(0, None))
    axes.set_xticks([0, *x[[0, 1, 3]].tolist()], ["∞", *(f"1/{count:.0f}" for count in n[[0, 1, 3]])])
    axes.legend(loc="upper left", labelcolor="linecolor")
    return fig


@styled
def fid_over_inception_score(table: SweepTable) -> Figure:
    """One curve for each setting, one point for each weight, with the bands as bars; a star is real digits."""
    fig, [[axes]] = figure(8.0, 4.0)
    rightmost = 10.0
    for setting, color in zip(table.settings, COLORS, strict=False):
        score, low, high = (10 - np.array(part) for part in table.band("inception_score", setting, least=-1))
        fid, fid_low, fid_high = map(np.array, table.band("fid", setting, least=-1))
        rightmost = min(rightmost, score.min())
        bars = {"xerr": (score - high, low - score), "yerr": (fid - fid_low, fid_high - fid)}
        axes.errorbar(
            score, fid, **bars, fmt="o-", color=color, markersize=4, linewidth=1.5, elinewidth=1, label=str(setting)
        )
        if setting == table.main:
            for w, *point in zip(table.weights(), score, fid, strict=True):
                if w in (-1, -0.5, 0, 0.2, 0.5, 1, 2, 8):
                    text, place = f"w = {w:g}".replace("-", "−"), (-7, 4 if w > 0 else -12)
                    side, place = ("left", (8, 1)) if w < 0 else ("right", place)
                    axes.annotate(text, point, place, textcoords="offset points", ha=side, color=color, fontsize=9)
    real = 10 - table.real("inception_score"), table.real("fid")
    axes.plot(*real, "*", color=INK, markersize=13)
    axes.annotate("real digits", real, (9, -4), textcoords="offset points")
    axes.axvline(real[0], color=INK, linewidth=1, linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="Inception Score (the scale stretches towards 10)", ylabel="FID")
    axes.set_xlim(6, 0.6 * rightmost)
    ticks = [tick for tick in (5, 8, 9, 9.5, 9.8, 9.9, 9.95, 9.98, 9.99) if 10 - tick > 0.6 * rightmost]
    axes.set_xticks([10 - tick for tick in ticks], ticks)
    axes.minorticks_off()
    axes.set_ylim(bottom=0.6 * axes.get_ylim()[0])
    plain_log_ticks(axes.yaxis)
    axes.legend(loc="lower left", labelcolor="linecolor")
    return fig


# Titles, and an axis that shows a small difference small.
FIDELITY = {
    "agreement with the label": ("agreement", (0.8, 1.01)),
    "precision": ("precision", (0.8, 1.01)),
    "Inception Score": ("inception_score", (8.0, 10.1)),
}
VARIETY = {
    "recall": ("recall", (0, 1.04)),
    "coverage": ("coverage", (0, 1.04)),
    "diversity within a class": ("diversity", (0, 10)),
}


@styled
def scores_over_w(table: SweepTable) -> Figure:
    """Fidelity in the upper row, variety in the lower one, each with its band and the line of real digits."""
    fig, rows = figure(8.6, 4.8, rows=2, columns=3, sharex=True)
    for row, titles in zip(rows, (FIDELITY, VARIETY), strict=True):
        for axes, (title, (name, limits)) in zip(row, titles.items(), strict=True):
            _curve(axes, table, name, least=0)
            lowest = min(table.band(name)[1])
            axes.set(title=title, ylim=(min(limits[0], lowest), limits[1]))
    for axes in rows[1]:
        axes.set_xlabel("guidance weight w")
    return fig


def _curve(axes: Axes, table: SweepTable, name: str, least: float) -> None:
    weights, (mean, low, high) = table.weights(least=least), table.band(name, least=least)
    axes.plot(weights, mean, "o-", color=BLUE, markersize=4, clip_on=False)
    axes.fill_between(weights, low, high, color=BLUE, alpha=0.25, linewidth=0)
    axes.axhline(table.real(name), color=INK, linewidth=1, linestyle="--")


@styled
def beside_the_table(table: SweepTable, live: dict[float, Sequence], live_fid_of_real: float) -> Figure:
    """The stored curves, and your own runs as diamonds: FID, agreement and recall.

    live: w → scores of each seed. live_fid_of_real: of as many real digits as you drew.
    """
    fig, [row] = figure(8.6, 2.9, columns=3)
    titles = {"FID": "fid", "agreement with the label": "agreement", "recall": "recall"}
    for axes, (title, name) in zip(row, titles.items(), strict=True):
        _curve(axes, table, name, least=-1)
        for w, runs in live.items():
            axes.plot([w] * len(runs), [getattr(run, name) for run in runs], "D", color=ORANGE, markersize=5, alpha=0.7)
        axes.set(title=title, xlabel="guidance weight w")
    row[0].axhline(live_fid_of_real, color=ORANGE, linewidth=1, linestyle="--")
    row[0].set_yscale("log")
    plain_log_ticks(row[0].yaxis)
    row[1].set_ylim(0, 1.04)
    row[2].set_ylim(0, 1.04)
    return fig
