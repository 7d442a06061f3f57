"""Every figure of the course, in one style; the only file that imports matplotlib.

Figures are transparent, with text in a grey that reads on white and on near-black, and with the lines of
the colour-blind-safe palette of Okabe & Ito that keep their contrast on both. No pyplot: it holds global
state, which widget callbacks on other threads corrupt.
"""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

INK = "#767676"  # contrast 4.5 on white, 4.1 on JupyterLab's dark background
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLORS = (BLUE, ORANGE, GREEN, PINK)
STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),
    "grid.color": INK,
    "grid.alpha": 0.2,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}
DPI = 144  # twice what the page asks for, so that it is sharp on dense screens


def figure(
    width: float = 8.0, height: float = 3.0, columns: int = 1, rows: int = 1, **kwargs
) -> tuple[Figure, np.ndarray]:
    """An empty figure in the course's style and its axes as an array (rows, columns). Sizes in inches.

    kwargs go to matplotlib's Figure.subplots.
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        axes = fig.subplots(rows, columns, squeeze=False, **kwargs)
    return fig, axes


def digits(
    images: Tensor,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str = "",
    tile: float = 0.62,
) -> Figure:
    """A table of digits with labelled rows and columns, as one figure.

    images: (R, C, 1, 28, 28) or (R, C, 28, 28) float in [0, 1]; values outside are clipped.
    tile: size of one digit in inches.
    """
    images = images.detach().float().cpu().reshape(*images.shape[:2], *images.shape[-2:]).clamp(0, 1)
    rows, columns, height, width = images.shape
    margin_left = 0.085 * max((len(label) for label in row_labels or [""]), default=0) + 0.1
    margin_top = 0.28 * bool(column_labels) + 0.3 * bool(title) + 0.04
    size = (columns * tile + margin_left, rows * tile + margin_top)
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=size)
        axes = fig.add_axes((margin_left / size[0], 0, columns * tile / size[0], rows * tile / size[1]))
    gap = 2  # pixels of nothing between two digits
    canvas = np.full((rows * (height + gap), columns * (width + gap)), np.nan)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + gap) + gap // 2, column * (width + gap) + gap // 2
            canvas[top : top + height, left : left + width] = images[row, column]
    axes.imshow(canvas, vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xticks((np.arange(columns) + 0.5) * (width + gap) - 0.5, column_labels or [""] * columns)
    axes.set_yticks((np.arange(rows) + 0.5) * (height + gap) - 0.5, row_labels or [""] * rows)
    if title:
        fig.text(margin_left / size[0], 1 - 0.04 / size[1], title, va="top", ha="left", fontsize=10.5, color=INK)
    return fig


def png(fig: Figure) -> bytes:
    """The figure as a PNG with a transparent background."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def show(fig: Figure, alt: str, handle: object | None = None) -> object:
    """Display the figure in a notebook, with `alt` as the text for those who can't see it.

    handle: what an earlier `show` returned; that picture is replaced, which makes a live plot.
    """
    from IPython.display import display

    width, height = (round(inches * 72) for inches in fig.get_size_inches() * 1.2)
    data = {"image/png": png(fig), "text/plain": alt}
    metadata = {"image/png": {"alt": alt, "width": width, "height": height}}
    if handle is None:
        return display(data, metadata=metadata, raw=True, display_id=True)
    handle.update(data, metadata=metadata, raw=True)
    return handle


def lines(
    x: Sequence[float],
    curves: dict[str, Sequence[float]],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    reference: tuple[float, str] | None = None,
) -> Figure:
    """Curves over a shared x, each named at its right end instead of in a legend.

    reference: (value, name) of a dashed horizontal line.
    """
    fig, [[axes]] = figure(7.0, 3.0)
    for (name, y), color, marker in zip(curves.items(), COLORS, "osD^", strict=False):
        axes.plot(x, y, color=color, marker=marker, markersize=4, clip_on=False)
        axes.annotate(name, (x[-1], y[-1]), xytext=(8, 0), textcoords="offset points", va="center", color=color)
    if reference:
        value, name = reference
        axes.axhline(value, color=INK, linewidth=1, linestyle="--")
        axes.annotate(name, (x[0], value), xytext=(0, 4), textcoords="offset points", color=INK)
    axes.set(xlabel=x_label, ylabel=y_label)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    return fig


def two_panels(
    x: Sequence[float], panels: dict[str, Sequence[float]], x_label: str, limits: dict[str, tuple[float, float]] = {}
) -> Figure:
    """Small multiples: one curve for each panel over the same x, the panel's name as its title."""
    fig, axes = figure(8.0, 2.8, columns=len(panels))
    for panel, (name, y), color in zip(axes[0], panels.items(), COLORS, strict=False):
        panel.plot(x, y, color=color, marker="o", markersize=4)
        panel.set(title=name, xlabel=x_label, ylim=limits.get(name))
    return fig


def loss_curves(runs: dict[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Training loss against seconds on a logarithmic axis: each step faint, a running mean on top.

    runs: name → (seconds, losses).
    """
    fig, [[axes]] = figure(7.0, 2.8)
    for (name, (seconds, losses)), color in zip(runs.items(), COLORS, strict=False):
        window = max(1, len(losses) // 30)
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        axes.plot(seconds, losses, color=color, alpha=0.25, linewidth=0.8)
        axes.plot(seconds[window - 1 :], smooth, color=color)
        axes.annotate(
            name, (seconds[-1], smooth[-1]), xytext=(6, 0), textcoords="offset points", va="center", color=color
        )
    axes.set(xlabel="seconds of training", ylabel="loss (log scale)", yscale="log")
    return fig
