"""The pictures and tables of notebook 03: questions of the game, the circle of v, drawn and guessed digits, errors."""

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc
from torch import Tensor

from ddpm_lib.course.plots import BLUE, COLORS, INK, ORANGE, around_grey, digits, figure, label_ends, show, styled
from ddpm_lib.data import to_unit


def show_questions(x_0: Tensor, x_t: Tensor, eps: Tensor, t: Tensor, v: Tensor | None = None) -> None:
    """Training examples in columns: digit, noised digit, noise, and v if it is given. x_0, …: (B, 1, 28, 28)."""
    rows = {"digit $x_0$": to_unit(x_0), "network sees $x_t$": around_grey(x_t), "noise ε": around_grey(eps)}
    alt = (
        "Training examples in columns, from small to large t. Top: the clean digit. Middle: the noised digit that the "
        "network sees. Below: the noise."
    )
    if v is not None:
        rows["v"] = around_grey(v)
        alt += " Last row: v, which turns from noise on the left into the digit with black and white swapped."
    show(digits(torch.stack(list(rows.values())), list(rows), [f"t={i}" for i in t.tolist()]), alt)


def show_drawn(drawn: dict[str, Tensor], what: str, classes: Sequence[str] = tuple("0123456789")) -> None:
    """Drawn digits 0 … 9 in rows. drawn: name → (10·rows, 1, 28, 28) in [0, 1]. what: says in words what is seen.

    classes: the names of K other classes, of which pictures (K·rows, C, H, W) were drawn.
    """
    K = len(classes)
    rows = torch.cat([images.unflatten(0, (-1, K)) for images in drawn.values()])
    labels = [name for name, images in drawn.items() for _ in range(len(images) // K)]
    kind = "Digits" if tuple(classes) == tuple("0123456789") else "Pictures"
    alt = f"{kind} drawn for the labels {classes[0]} to {classes[-1]}, in {len(rows)} rows: {what}."
    show(digits(rows, labels, list(classes)), alt)


def show_guesses(guesses: dict[str, Tensor], times: Sequence[int], which: int = 0) -> None:
    """The guess of one digit at each time, a row for each model. guesses: name → (times, B, 1, 28, 28) in [−1, 1]."""
    rows = torch.stack([to_unit(guess[:, which]) for guess in guesses.values()])
    alt = f"The digit that follows from the answers of {len(guesses)} models, for one digit, from small to large t."
    show(digits(rows, [f"$\\hat{{x}}_0$ from {name}" for name in guesses], [f"t={t}" for t in times]), alt)


def show_errors(times: Sequence[int], errors: dict[str, Sequence[float]], lazy: dict[str, float]) -> None:
    """`errors_over_time` with its alt text."""
    ends = ", ".join(f"{name} {curve[-1]:.2f}" for name, curve in errors.items())
    dashed = ", ".join(f"{name} {error:.2f}" for name, error in lazy.items())
    alt = f"Error of the digit that follows over t, from 0 at small t to {ends} at the last t. Dashed lines: {dashed}."
    show(errors_over_time(times, errors, lazy), alt)


def show_circle(alpha_bars: Tensor, t: Tensor) -> None:
    """`circle_of_v` at some times, with its alt text."""
    alt = (
        "Half circles with the digit x_0 to the right and the noise ε upwards. x_t is an arrow at the angle φ, which "
        "grows with t; v is the arrow a right angle further. At small t v nearly points at ε, at large t at minus x_0."
    )
    show(circle_of_v(alpha_bars.tolist(), [f"t = {i}" for i in t.tolist()]), alt)


def print_columns(columns: dict[str, Tensor], digits: int = 3) -> None:
    """A table: under each name its (n,) numbers, whole ones as they are and others with so many digits."""
    cells = {
        name: [f"{value:.{digits}f}" if values.is_floating_point() else f"{value}" for value in values.tolist()]
        for name, values in columns.items()
    }
    widths = {name: max(len(name), *map(len, texts)) for name, texts in cells.items()}
    print("   ".join(f"{name:>{widths[name]}}" for name in cells))
    for row in zip(*cells.values(), strict=True):
        print("   ".join(f"{text:>{width}}" for text, width in zip(row, widths.values(), strict=True)))


@styled
def errors_over_time(times: Sequence[int], errors: dict[str, Sequence[float]], lazy: dict[str, float]) -> Figure:
    """Errors of x̂_0 over t, a curve for each model, and a dashed line for each answer that doesn't look at x_t.

    The axis ends at three times the largest lazy error; the end of a curve that leaves it is a number.
    """
    fig, [[axes]] = figure(7.4, 3.4)
    highest = max(lazy.values())
    top = min(3 * highest, 1.1 * max(highest, *map(max, errors.values())))
    for curve, color, marker in zip(errors.values(), COLORS, "osD^", strict=False):
        axes.plot(times, curve, color=color, marker=marker, markersize=4)
    for name, error in lazy.items():
        axes.axhline(error, color=INK, linewidth=1, linestyle="--")
        offset, side = ((0, 4), "bottom") if error == highest else ((0, -4), "top")
        axes.annotate(name, (times[0], error), xytext=offset, textcoords="offset points", va=side, color=INK)
    axes.set(xlabel="t (clean → noisy)", ylabel="mean squared error of $\\hat{x}_0$", ylim=(0, top))
    ends = {
        (name if curve[-1] <= top else f"{name}: {curve[-1]:.2f} ↑"): min(curve[-1], 0.97 * top)
        for name, curve in errors.items()
    }
    label_ends(axes, times[-1], ends, COLORS)
    return fig


@styled
def circle_of_v(alpha_bars: Sequence[float], titles: Sequence[str]) -> Figure:
    """A panel for each ᾱ_t: the arrows to x_t at (√ᾱ_t, √(1−ᾱ_t)) and to v, with x_0 to the right and ε upwards."""
    fig, [row] = figure(8.6, 2.1, columns=len(alpha_bars))
    for axes, alpha_bar, title in zip(row, alpha_bars, titles, strict=True):
        angle = math.atan2(math.sqrt(1 - alpha_bar), math.sqrt(alpha_bar))
        axes.set(xlim=(-1.45, 1.5), ylim=(-0.26, 1.32), aspect="equal", title=title)
        axes.axis("off")
        axes.add_patch(Arc((0, 0), 2, 2, theta1=0, theta2=180, color=INK, linewidth=1, linestyle=":"))
        axes.add_patch(Arc((0, 0), 0.6, 0.6, theta1=0, theta2=math.degrees(angle), color=INK, linewidth=1.2))
        middle = angle / 2 if angle > 0.5 else angle + 0.3  # in a narrow angle there is no room for its name
        axes.text(0.42 * math.cos(middle), 0.42 * math.sin(middle), "$\\varphi$", ha="center", va="center")
        _square(axes, angle)
        for name, turn, color in (("$x_0$", 0.0, INK), ("$\\varepsilon$", math.pi / 2, INK)):
            _arrow(axes, name, turn, color, width=1.2, near=angle, below=turn == 0)
        _arrow(axes, "$x_t$", angle, BLUE, near=0.0)
        _arrow(axes, "$v$", angle + math.pi / 2, ORANGE, near=math.pi / 2)
    return fig


def _arrow(axes: Axes, name: str, angle: float, color: str, near: float, width: float = 2.2, below: bool = False):
    """An arrow of length 1 at an angle, with its name at its head; further out where another arrow's head is near."""
    x, y = math.cos(angle), math.sin(angle)
    style = {"arrowstyle": "-|>", "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, y), (0, 0), arrowprops=style)
    if below:
        axes.text(x, -0.06, name, color=color, ha="center", va="top", fontsize=12)
        return
    push = 0.16 if abs(angle - near) > 0.3 or width < 2 else 0.2
    side = -0.18 if width < 2 and abs(angle - near) < 0.3 else 0.0
    axes.text(x * (1 + push) + side, y * (1 + push), name, color=color, ha="center", va="center", fontsize=12)


def _square(axes: Axes, angle: float) -> None:
    """The mark of the right angle between x_t and v."""
    size = 0.13
    a = (size * math.cos(angle), size * math.sin(angle))
    b = (-a[1], a[0])
    axes.plot([a[0], a[0] + b[0], b[0]], [a[1], a[1] + b[1], b[1]], color=INK, linewidth=1)
