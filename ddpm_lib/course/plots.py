"""The tools for every figure of the course, in one style; figures.py has the figures that only one notebook shows.

Figures are transparent, with text in a grey that reads on white and on near-black, and with the lines of
the colour-blind-safe palette of Okabe & Ito that keep their contrast on both. No pyplot: it holds global
state, which widget callbacks on other threads corrupt.
"""

import base64
import io
from collections.abc import Collection, Sequence
from numbers import Integral

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image, ImageColor, ImageDraw, ImageFont
from torch import Tensor

INK = "#767676"  # contrast 4.5 on white, 4.1 on JupyterLab's dark background
BLUE, ORANGE, GREEN, PINK = "#1F83C4", "#D55E00", "#009E73", "#CC79A7"
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
}
# An animation needs the ink and the paper of each of GitHub's themes: GIF has no half-transparent pixels.
THEMES = {"light": ("#1f2328", "#ffffff"), "dark": ("#f0f6fc", "#0d1117")}
LEVELS = 8  # an animation has so many levels of grey: in motion you hardly see more, and they cost disk
DPI = 144  # twice the page's own, so that figures are sharp on dense screens

# Every function that makes a figure uses it: matplotlib reads most of a style when it makes a part, not at the end.
styled = matplotlib.rc_context(STYLE)


@styled
def figure(
    width: float = 8.0, height: float = 3.0, columns: int = 1, rows: int = 1, **kwargs
) -> tuple[Figure, np.ndarray]:
    """An empty figure in the course's style and its axes as an array (rows, columns). Sizes in inches.

    kwargs go to matplotlib's Figure.subplots.
    """
    fig = Figure(figsize=(width, height), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False, **kwargs)
    return fig, axes


def around_grey(x: Tensor) -> Tensor:
    """Numbers around 0 as brightness: 0 is grey, −2 is black, 2 is white."""
    return (x + 2) / 4


@styled
def digits(
    images: Tensor,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    title: str = "",
    tile: float = 0.62,
) -> Figure:
    """A table of digits, or of other pictures, with labelled rows and columns, as one figure.

    images: (R, C, 1 or 3, H, W) or (R, C, H, W) float in [0, 1]; values outside are clipped. MNIST's are 28×28.
    tile: size of one digit in inches, rounded so that each pixel of a digit is a whole number of dots. Then digits
    are crisp, and noise compresses four times better.
    """
    images = images.detach().float().cpu().clamp(0, 1)
    images = (images.unsqueeze(2) if images.ndim == 4 else images).movedim(2, -1)
    rows, columns, height, width, channels = images.shape
    gap = 2  # so many pixels between two digits stay empty
    tile = max(1, round(tile * DPI / (width + gap))) * (width + gap) / DPI
    margin_left = round(DPI * (0.085 * max((len(label) for label in row_labels or [""]), default=0) + 0.1)) / DPI
    label_lines = max((1 + label.count("\n") for label in column_labels or []), default=0)
    margin_top = round(DPI * (0.18 * label_lines + 0.1 * bool(column_labels) + 0.3 * bool(title) + 0.04)) / DPI
    size = (columns * tile + margin_left, rows * tile + margin_top)
    fig = Figure(figsize=size)
    axes = fig.add_axes((margin_left / size[0], 0, columns * tile / size[0], rows * tile / size[1]))
    canvas = np.full((rows * (height + gap), columns * (width + gap), channels), np.nan)
    for row in range(rows):
        for column in range(columns):
            top, left = row * (height + gap) + gap // 2, column * (width + gap) + gap // 2
            canvas[top : top + height, left : left + width] = images[row, column].numpy()
            # A thin line shows where a white tile ends on white paper, and a black tile on black paper.
            axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=INK, linewidth=0.4))
    if channels == 1:
        canvas = canvas[..., 0]
    else:  # matplotlib leaves out NaN of greys; of colours it wants the opacity
        canvas = np.concatenate([np.nan_to_num(canvas), ~np.isnan(canvas[..., :1])], axis=-1)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xticks((np.arange(columns) + 0.5) * (width + gap) - 0.5, column_labels or [""] * columns)
    axes.set_yticks((np.arange(rows) + 0.5) * (height + gap) - 0.5, row_labels or [""] * rows)
    if title:
        fig.text(margin_left / size[0], 1 - 0.04 / size[1], title, va="top", ha="left", fontsize=10.5, color=INK)
    return fig


def png(fig: Figure) -> bytes:
    """The figure as a PNG with a transparent background, in 256 colours: a third of the size, and it looks the same."""
    large, small = io.BytesIO(), io.BytesIO()
    fig.savefig(large, format="png", dpi=DPI)
    Image.open(large).quantize(256, method=Image.Quantize.FASTOCTREE).save(small, format="png", optimize=True)
    return small.getvalue()


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


def gif(
    frames: Tensor,
    label_rows: Tensor | None = None,
    ink: str = "#ffffff",
    paper: str = "#000000",
    transparent: bool = False,
    smooth: bool = True,
    scale: int = 5,
    milliseconds: int = 60,
    classes: Sequence[str] = (),
) -> bytes:
    """Digits in motion, as an animated GIF that repeats for ever. Equal frames in a row become one longer frame.

    frames: (F, 1 or 3, H, W), or (F, N, 1 or 3, H, W) for N digits side by side, float; clipped to [0, 1].
    label_rows: (F, K) class weights in [0, 1], shown as bars below the digits; None leaves them out. Of more than ten
    classes only those have a bar whose weight is somewhere above 0. classes: the K names below the bars; (): 0 … K − 1.
    ink, paper: colours of 1 and 0, of grey pictures. transparent: the page shows through in the place of their paper.
    smooth: True shows the outline of a stroke, as of a pen, and hides single pixels; False shows each pixel as a
    square, which is what noise needs. scale: int ≥ 1, dots per pixel. milliseconds: of one frame, a multiple of 10.
    Raises ValueError.
    """
    if frames.ndim not in (4, 5) or frames.shape[-3] not in (1, 3) or 0 in frames.shape:
        raise ValueError(
            f"frames must be (F, C, H, W) or (F, N, C, H, W) with C 1 or 3, such as (F, 1, 28, 28), got "
            f"{tuple(frames.shape)}"
        )
    if label_rows is not None and (label_rows.ndim != 2 or len(label_rows) != len(frames)):
        raise ValueError(f"label_rows must be one row for each of {len(frames)} frames, got {tuple(label_rows.shape)}")
    if transparent and frames.shape[-3] == 3:
        raise ValueError("transparent must be False for colours, which are drawn on no paper")
    if classes and (label_rows is None or len(classes) != label_rows.shape[1]):
        raise ValueError(f"classes must be one name for each column of label_rows, got {len(classes)}")
    if not isinstance(scale, Integral) or scale < 1:
        raise ValueError(f"scale must be an integer ≥ 1, got {scale!r}")
    if not isinstance(milliseconds, Integral) or milliseconds < 10 or milliseconds % 10:
        raise ValueError(f"milliseconds must be a multiple of 10, the unit of a GIF's clock, got {milliseconds!r}")
    ink, paper, blue = (np.array(ImageColor.getrgb(color)[:3]) for color in (ink, paper, BLUE))

    # Index 0 is paper, 1 … LEVELS − 1 are mixtures of paper and ink, LEVELS is blue.
    palette = [*(paper + (ink - paper) * level / (LEVELS - 1) for level in range(LEVELS)), blue]
    palette = np.concatenate(palette).round().astype(int).tolist()
    names = list(classes) or [str(k) for k in range(0 if label_rows is None else label_rows.shape[1])]
    shown = range(len(names)) if len(names) <= 10 else label_rows.amax(dim=0).nonzero()[:, 0].tolist() or [0]
    frames = frames if frames.ndim == 5 else frames[:, None]
    pictures = []
    for i, digits in enumerate(frames.detach().float().cpu().clamp(0, 1).movedim(-3, -1).numpy()):  # (N, H, W, C)
        picture = np.concatenate(list(digits), axis=1)
        if picture.shape[2] == 1:
            picture = Image.fromarray(_enlarge(picture[..., 0], scale, smooth))
        else:
            picture = Image.fromarray((picture * 255).round().astype(np.uint8))
            how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
            picture = picture.resize((picture.width * scale, picture.height * scale), how)
        if label_rows is not None:
            bars = _bars(picture.width, {names[k]: label_rows[i, k].item() for k in shown})
            bars.putpalette(palette)
            picture = _above(picture, bars)
        if picture.mode == "L":
            picture.putpalette(palette)
        pictures.append(picture.quantize() if picture.mode == "RGB" else picture)
    animation = io.BytesIO()
    # Transparency needs frames that are cleared before the next frame (2). Frames that stay (1) take less room.
    clear = {"transparency": 0, "disposal": 2} if transparent else {"disposal": 1}
    more = {"save_all": True, "append_images": pictures[1:], "duration": milliseconds, "loop": 0, "optimize": False}
    pictures[0].save(animation, format="gif", **more, **clear)
    return animation.getvalue()


def _enlarge(image: np.ndarray, scale: int, smooth: bool) -> np.ndarray:
    """Levels of grey as uint8, `scale` times as large as image, which lies in [0, 1]."""
    height, width = image.shape
    if smooth:
        large = Image.fromarray(image).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
        edge = np.clip((np.asarray(large) - 0.2) / 0.6, 0, 1)
        large = edge**2 * (3 - 2 * edge)  # the enlargement blurs the edge; this makes it steep again
    else:
        large = image.repeat(scale, axis=0).repeat(scale, axis=1)
    return (large * (LEVELS - 1)).round().astype(np.uint8)


def _above(picture: Image.Image, bars: Image.Image) -> Image.Image:
    """A picture above bars. bars: indices of a palette; a picture of greys is such indices, too, and stays it."""
    whole = Image.new(picture.mode, (picture.width, picture.height + bars.height))
    whole.paste(picture, (0, 0))
    whole.paste(Image.fromarray(np.asarray(bars)) if picture.mode == "L" else bars.convert("RGB"), (0, picture.height))
    return whole


def _bars(width: int, weights: dict[str, float], tall: int = 36) -> Image.Image:
    """A bar for each weight and its class's name below it, as a palette's indices; where names are wide, only one.

    That is the name of the largest weight.
    """
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 13)
    strip = Image.new("L", (width, tall + 24), 0)
    pen = ImageDraw.Draw(strip)
    all_fit = max(map(font.getlength, weights)) < width / len(weights)
    for k, (name, weight) in enumerate(weights.items()):
        middle = round((k + 0.5) * width / len(weights))
        half = max(2, round(0.3 * width / len(weights)))
        pen.rectangle((middle - half, tall - round(weight * tall), middle + half, tall + 1), fill=LEVELS)
        if all_fit or name == max(weights, key=weights.get):
            word = Image.new("L", (max(2 * half + 16, round(font.getlength(name)) + 2), 20), 0)
            ImageDraw.Draw(word).text((word.width / 2, 10), name, fill=LEVELS - 1, font=font, anchor="mm")
            left = middle - word.width // 2
            strip.paste(word, (left if all_fit else max(0, min(left, width - word.width)), tall + 4))
    return strip


def show_gif(animation: bytes, alt: str) -> None:
    """Display an animated GIF in a notebook, with `alt` as the text for those who can't see it."""
    from IPython.display import display

    data = {"image/gif": base64.b64encode(animation).decode(), "text/plain": alt}
    display(data, metadata={"image/gif": {"alt": alt}}, raw=True)


def label_ends(axes: Axes, x: float, ends: dict[str, float], colors: Sequence[str]) -> None:
    """Name curves beside their right ends, moved apart where two lie too close. Call it last, with final limits."""
    # How high a line of text is, as a share of the axes' height.
    line = 14 / 72 / (axes.figure.get_figheight() * axes.get_position().height)
    to_share = axes.transData + axes.transAxes.inverted()
    lowest = -np.inf
    for (name, y), color in sorted(zip(ends.items(), colors, strict=False), key=lambda end: end[0][1]):
        x_share, y_share = to_share.transform((x, y))
        lowest = max(y_share, lowest + line)
        axes.annotate(
            name,
            (x_share, lowest),
            xycoords="axes fraction",
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )


@styled
def lines(
    x: Sequence[float],
    curves: dict[str, Sequence[float]],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    reference: tuple[float, str] | None = None,
    y_limits: tuple[float, float] | None = None,
) -> Figure:
    """Curves over a shared x, each named at its right end instead of in a legend.

    reference: (value, name) of a dashed horizontal line. y_limits: of the axis; None fits the curves.
    """
    fig, [[axes]] = figure(7.0, 3.0)
    for y, color, marker in zip(curves.values(), COLORS, "osD^", strict=False):
        axes.plot(x, y, color=color, marker=marker, markersize=4, clip_on=False)
    if reference:
        value, name = reference
        axes.axhline(value, color=INK, linewidth=1, linestyle="--")
        axes.annotate(name, (x[0], value), xytext=(0, 4), textcoords="offset points", color=INK)
    axes.set(xlabel=x_label, ylabel=y_label)
    for axis, is_log, set_scale in ((axes.xaxis, log_x, axes.set_xscale), (axes.yaxis, log_y, axes.set_yscale)):
        if is_log:
            set_scale("log")
            plain_log_ticks(axis)
    axes.set_ylim(y_limits)
    label_ends(axes, x[-1], {name: y[-1] for name, y in curves.items()}, COLORS)
    return fig


@styled
def small_multiples(
    x: Sequence[float],
    panels: dict[str, dict[str, Sequence[float]]],
    x_label: str,
    log_x: bool = False,
    log_y: Collection[str] = (),
    references: dict[str, tuple[float, str]] = {},
    limits: dict[str, tuple[float, float]] = {},
    bands: dict[str, dict[str, tuple[Sequence[float], Sequence[float]]]] = {},
) -> Figure:
    """Small multiples over one x: the same curves in each panel, named at their right ends in the last one.

    panels: title → (name → y). log_y: titles of panels with a logarithmic axis. references: title → (value, name) of
    a dashed line. limits: title → (lowest, highest). bands: title → (name → (lows, highs)) around curves.
    """
    fig, [row] = figure(8.6, 2.9, columns=len(panels))
    for axes, (title, curves) in zip(row, panels.items(), strict=True):
        for (name, y), color, marker in zip(curves.items(), COLORS, "osD^", strict=False):
            axes.plot(x, y, color=color, marker=marker, markersize=4, clip_on=False)
            if name in bands.get(title, {}):
                axes.fill_between(x, *bands[title][name], color=color, alpha=0.25, linewidth=0)
        axes.set(title=title, xlabel=x_label)
        if title in limits:  # set_ylim(None) would freeze the limits as they are now
            axes.set_ylim(limits[title])
        if log_x:
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
        if title in log_y:
            axes.set_yscale("log")
            plain_log_ticks(axes.yaxis)
        if title in references:
            value, name = references[title]
            axes.axhline(value, color=INK, linewidth=1, linestyle="--")
            above = _has_room_above(axes, value, x, curves.values())
            axes.annotate(
                name,
                (1, value),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3 if above else -4),
                textcoords="offset points",
                ha="right",
                va="baseline" if above else "top",
            )
    if len(curves) > 1:
        label_ends(row[-1], x[-1], {name: y[-1] for name, y in curves.items()}, COLORS)
    return fig


def _has_room_above(axes: Axes, value: float, x: Sequence[float], curves: Collection[Sequence[float]]) -> bool:
    """Whether a name at the right end of a line at value has more room above it than below."""
    axes.get_ylim()  # this brings transData up to date
    to_axes = axes.transData - axes.transAxes
    line = to_axes.transform((x[0], value))[1]
    points = to_axes.transform([point for y in curves for point in zip(x, y, strict=True)])
    heights = [0.0, 1.0, *points[points[:, 0] > 0.5, 1]]  # and the ends of the axes
    return min(y - line for y in heights if y >= line) > min(line - y for y in heights if y < line)


def plain_log_ticks(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times each power of ten, as plain numbers: 0.2, not 2 × 10⁻¹."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


@styled
def histograms(panels: dict[str, dict[str, Tensor]], x_label: str) -> Figure:
    """Small multiples over one x axis: two overlapping histograms in each panel, named once, in the first panel.

    panels: title → (name → (N,) values), two names.
    """
    fig, axes = figure(8.6, 2.7, columns=len(panels), sharex=True, sharey=True)
    everything = np.concatenate([values.numpy() for panel in panels.values() for values in panel.values()])
    edges = np.linspace(*np.quantile(everything, (0.001, 0.999)), 50)
    for panel, (title, groups) in zip(axes[0], panels.items(), strict=True):
        for values, color in zip(groups.values(), COLORS, strict=False):
            panel.hist(values.numpy(), edges, density=True, color=color, alpha=0.45)
            panel.hist(values.numpy(), edges, density=True, color=color, histtype="step", linewidth=1.6)
        panel.set(title=title, xlabel=x_label, yticks=[])
        panel.spines["left"].set_visible(False)
        panel.grid(False)
    axes[0, 0].set_ylim(top=axes[0, 0].get_ylim()[1] * 1.15)  # this leaves room for the two names
    medians = {name: values.median().item() for name, values in next(iter(panels.values())).items()}
    middle = sum(medians.values()) / len(medians)
    for (name, median), color in zip(medians.items(), COLORS, strict=False):
        side = 1 if median > middle else -1
        axes[0, 0].annotate(
            name,
            (middle, 1),
            xycoords=("data", "axes fraction"),
            xytext=(6 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="top",
            color=color,
        )
    return fig


@styled
def bars(panels: dict[str, dict[str, float]]) -> Figure:
    """Small multiples of horizontal bars over the same names, each bar with its value behind it.

    panels: title → (name → value).
    """
    names = list(next(iter(panels.values())))
    fig, axes = figure(8.6, 0.6 + 0.25 * len(names), columns=len(panels), sharey=True)
    for panel, (title, values), color in zip(axes[0], panels.items(), COLORS, strict=False):
        panel.barh(names, list(values.values()), color=color, height=0.68)
        for row, value in enumerate(values.values()):
            text = "< 0.01" if value < 0.01 else f"{value:.2g}" if value < 100 else f"{value:,.0f}"
            panel.annotate(text, (value, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
        panel.set(title=title, xticks=[], xlim=(0, 1.22 * max(values.values())))
        panel.spines["bottom"].set_visible(False)
        panel.tick_params(left=False)
        panel.grid(False)
    axes[0, 0].invert_yaxis()
    return fig


@styled
def dots(
    panels: dict[str, dict[str, Sequence[float]]],
    references: dict[str, tuple[float, str]] = {},
    log_x: Collection[str] = (),
) -> Figure:
    """Small multiples of dots over the same names: one dot for each repetition; a line joins the dots of a name.

    panels: title → (name → values), the same names in each. references: title → (value, name) of a dashed line.
    log_x: titles of panels with a logarithmic axis.
    """
    names = list(next(iter(panels.values())))
    fig, axes = figure(8.6, 0.9 + 0.27 * len(names), columns=len(panels), sharey=True)
    for panel, (title, values), color in zip(axes[0], panels.items(), COLORS, strict=False):
        for row, name in enumerate(names):
            panel.plot(values[name], [row] * len(values[name]), "o-", color=color, markersize=5, linewidth=1.2)
        if title in references:
            value, text = references[title]
            panel.axvline(value, color=INK, linewidth=1, linestyle="--")
            panel.annotate(text, (value, -0.85), xytext=(3, 0), textcoords="offset points", va="center", fontsize=9)
        panel.set(title=title, yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -1.2))
        if title in log_x:
            panel.set_xscale("log")
            plain_log_ticks(panel.xaxis)
        panel.spines["left"].set_visible(False)
        panel.tick_params(left=False)
    return fig
