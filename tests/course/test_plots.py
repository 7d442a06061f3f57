"""Figures: what is in them, that both themes can read them, and that no global state of matplotlib is touched."""

import base64
import io
from types import SimpleNamespace

import IPython.display
import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from ddpm_lib import NoiseSchedule
from ddpm_lib.course import figures, plots

WHITE, DARK = "#ffffff", "#111111"  # GitHub's and JupyterLab's pages


def luminance(color):
    channels = np.array(matplotlib.colors.to_rgb(color))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def contrast(color, background):
    """WCAG 2's contrast ratio."""
    dark, light = sorted((luminance(color), luminance(background)))
    return (light + 0.05) / (dark + 0.05)


def pixels(fig):
    """The figure as an array of red, green, blue, alpha."""
    return np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGBA"))


def texts(fig):
    return " ".join(text.get_text() for text in fig.findobj(matplotlib.text.Text))


FIGURES = {
    "figure": lambda: plots.figure(3, 2, columns=2)[0],
    "digits": lambda: plots.digits(torch.rand(2, 3, 1, 28, 28), ["a", "b"], ["1", "2", "3"], "title"),
    "lines": lambda: plots.lines([1, 2, 4], {"one": [3, 2, 1], "two": [1, 1.5, 2]}, "x", "y", reference=(2, "floor")),
    "lines, logarithmic": lambda: plots.lines([1, 10, 100], {"one": [3.0, 2.0, 1.0]}, "x", "y", log_x=True, log_y=True),
    "small_multiples": lambda: plots.small_multiples(
        [1, 10, 100],
        {"left": {"one": [3, 2, 1], "two": [2, 2, 1]}, "right": {"one": [1, 2, 3], "two": [1, 1, 2]}},
        "steps",
        log_x=True,
        log_y={"left"},
        references={"left": (1.5, "floor")},
        limits={"right": (0, 4)},
    ),
    "small_multiples, bands": lambda: plots.small_multiples(
        [0, 1, 8],
        {"left": {"": [3, 2, 1]}, "right": {"one": [1, 2, 3], "two": [1, 1, 2]}},
        "w",
        bands={"right": {"two": ([0.5, 0.8, 1.5], [1.5, 1.2, 2.5])}},
    ),
    "dots": lambda: plots.dots(
        {"FID": {"a": [1.0, 2.0], "b": [3.0]}, "agreement": {"a": [0.5, 0.6], "b": [0.9]}},
        references={"FID": (0.5, "real digits")},
        log_x={"FID"},
    ),
    "loss_curves": lambda: figures.loss_curves({"run": (np.arange(1, 200), 1 / np.arange(1, 200))}),
    "loss_curves, short": lambda: figures.loss_curves({"run": ([0.1], [0.5])}),
    "schedules": lambda: figures.schedules({"linear": NoiseSchedule.linear(), "cosine": NoiseSchedule.cosine()}),
    "pixel_walks": lambda: figures.pixel_walks(
        {"a pixel": torch.randn(50, 11)}, {"a pixel": (torch.zeros(11), torch.ones(11))}, times=[0, 5, 10]
    ),
    "histograms": lambda: plots.histograms({"one": {"a": torch.randn(99)}, "two": {"b": torch.rand(99)}}, "x"),
}
every_figure = pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())


# ---------------------------------------------------------------------------- every figure


@every_figure
def test_a_figure_is_a_transparent_png(make):
    fig = make()
    assert isinstance(fig, Figure)
    picture = pixels(fig)
    assert picture[0, 0, 3] == 0
    assert picture[-1, -1, 3] == 0
    assert (picture[..., 3] > 0).any()
    want = np.round(np.array(fig.get_size_inches()) * plots.DPI)
    assert np.abs(np.array(picture.shape[1::-1]) - want).max() <= 1


@every_figure
def test_making_a_figure_changes_no_setting_of_matplotlib(make):
    before = dict(matplotlib.rcParams)
    plots.png(make())
    assert dict(matplotlib.rcParams) == before


@every_figure
def test_every_text_can_be_read_on_white_and_on_dark(make):
    fig = make()
    fig.canvas.draw()
    for text in fig.findobj(matplotlib.text.Text):
        if text.get_text():
            assert min(contrast(text.get_color(), WHITE), contrast(text.get_color(), DARK)) > 3, text


def test_the_palette_can_be_told_from_both_backgrounds_and_colour_by_colour():
    assert contrast(plots.INK, WHITE) > 4.5  # text
    assert contrast(plots.INK, DARK) > 4
    for color in plots.COLORS:
        assert contrast(color, WHITE) > 3  # lines
        assert contrast(color, DARK) > 3
    assert len(set(plots.COLORS)) == len(plots.COLORS)


# ---------------------------------------------------------------------------- digits


@pytest.mark.parametrize("shape", [(2, 3, 1, 28, 28), (2, 3, 28, 28)])
def test_digits_stand_in_the_order_of_rows_and_columns(shape):
    images = torch.rand(shape)
    fig = plots.digits(images)
    (image,) = fig.axes[0].get_images()
    canvas = np.asarray(image.get_array().filled(np.nan))
    tiles = canvas.reshape(2, canvas.shape[0] // 2, 3, canvas.shape[1] // 3).swapaxes(1, 2)
    for row in range(2):
        for column in range(3):
            shown = tiles[row, column][~np.isnan(tiles[row, column])]
            assert len(shown) == 28 * 28
            np.testing.assert_allclose(shown, images[row, column].flatten(), atol=1e-6)


def test_digits_outside_0_to_1_are_clipped_and_shown_on_one_scale():
    fig = plots.digits(torch.stack([torch.full((28, 28), value) for value in (-3.0, 0.5, 7.0)])[None])
    (image,) = fig.axes[0].get_images()
    assert image.get_clim() == (0, 1)
    assert (image.get_array().min(), image.get_array().max()) == (0, 1)


def test_a_single_grey_digit_stays_grey():
    """On an automatic scale, a flat image would turn black."""
    picture = pixels(plots.digits(torch.full((1, 1, 28, 28), 0.5)))
    opaque = picture[picture[..., 3] == 255]
    assert ((opaque[:, 0] > 100) & (opaque[:, 0] < 155)).mean() > 0.9


def test_digits_carry_their_labels_and_are_not_changed():
    images = torch.randn(2, 3, 1, 28, 28, requires_grad=True)
    before = images.detach().clone()
    fig = plots.digits(images, ["w = 0", "w = 3"], ["seven", "eight", "nine"], "guidance")
    assert all(word in texts(fig) for word in ("w = 0", "w = 3", "seven", "eight", "nine", "guidance"))
    assert torch.equal(images, before)


@pytest.mark.parametrize("tile", [0.4, 0.62, 1.0])
def test_a_pixel_of_a_digit_is_a_whole_number_of_dots(tile):
    """On a board of black and white pixels, all are equally wide: none got a dot more than its neighbour."""
    board = (torch.arange(28)[:, None] + torch.arange(28)).remainder(2).float()
    picture = pixels(plots.digits(board[None, None], tile=tile))[..., 0].astype(int)
    across, down = picture[len(picture) // 2], picture[:, picture.shape[1] // 2]
    for cut in (across, down):
        widths = np.diff(np.flatnonzero(np.diff(cut)))[3:-3]  # without the frame
        assert len(widths) > 18
        assert len(set(widths)) == 1


# ---------------------------------------------------------------------------- curves


def test_curves_hold_the_numbers_and_are_named_at_their_ends():
    curves = {"ours": [3.0, 2.0, 1.0], "seed": [4.0, 4.5, 5.0]}
    fig = plots.lines([1, 2, 4], curves, "seconds", "FID", reference=(0.5, "real digits"))
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in fig.axes[0].lines]
    for values in curves.values():
        assert ([1, 2, 4], values) in drawn
    assert all(word in texts(fig) for word in ("ours", "seed", "seconds", "FID", "real digits"))


# ---------------------------------------------------------------------------- in the notebook


@pytest.fixture
def displayed(monkeypatch):
    """What reaches the notebook, as (data, metadata), first shows and updates alike."""
    seen = []
    handle = SimpleNamespace(update=lambda data, metadata, raw: seen.append((data, metadata)))

    def display(data, metadata, raw, display_id):
        assert raw
        assert display_id
        seen.append((data, metadata))
        return handle

    monkeypatch.setattr(IPython.display, "display", display)
    return seen


def test_show_gives_a_picture_with_alt_text_at_half_the_dots(displayed):
    fig = FIGURES["lines"]()
    plots.show(fig, "Two curves that cross.")
    ((data, metadata),) = displayed
    assert Image.open(io.BytesIO(data["image/png"])).format == "PNG"
    assert data["text/plain"] == "Two curves that cross."
    assert metadata["image/png"]["alt"] == "Two curves that cross."
    picture = Image.open(io.BytesIO(data["image/png"]))
    shown = metadata["image/png"]["width"], metadata["image/png"]["height"]
    assert shown[0] / shown[1] == pytest.approx(picture.width / picture.height, rel=0.01)
    assert shown[0] < picture.width  # dense screens have dots to spare


def test_show_with_a_handle_replaces_the_picture(displayed):
    handle = plots.show(FIGURES["lines"](), "first")
    assert plots.show(FIGURES["lines"](), "second", handle) is handle
    assert [data["text/plain"] for data, _ in displayed] == ["first", "second"]


def test_a_live_loss_is_drawn_when_it_is_time_and_at_the_end(displayed):
    live = figures.LiveLoss("a tiny model", every=2.0)
    live.show()
    assert displayed == []  # nothing to draw yet
    for step in range(1, 100):
        live.update(SimpleNamespace(seconds=step / 10, loss=1 / step))
    drawn = len(displayed)
    assert 4 <= drawn <= 6  # 9.9 seconds, one drawing every 2
    live.show()
    assert len(displayed) == drawn + 1
    assert "a tiny model" in displayed[-1][0]["text/plain"]
    assert f"{np.mean(1 / np.arange(50, 100)):.3f}" in displayed[-1][0]["text/plain"]


def test_small_multiples_have_a_panel_for_each_title_with_its_own_scale_and_reference():
    fig = FIGURES["small_multiples"]()
    left, right = fig.axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("left", "right")
    assert (left.get_yscale(), right.get_yscale()) == ("log", "linear")
    assert [line.get_ydata()[0] for line in left.get_lines()][-1] == 1.5
    assert right.get_ylim() == (0, 4)
    assert [text.get_text() for text in left.get_xticklabels()] == ["1", "10", "100"]
    assert "floor" in texts(fig)
    assert texts(fig).count("one") == 1, "curves are named once"


def test_a_band_lies_around_its_curve_and_no_other():
    left, right = FIGURES["small_multiples, bands"]().axes
    assert not left.collections
    [band] = right.collections
    [outline] = band.get_paths()
    corners = {(x, y) for x, y in outline.vertices.tolist()}
    assert {(0, 0.5), (1, 0.8), (8, 1.5), (0, 1.5), (1, 1.2), (8, 2.5)} <= corners
    assert matplotlib.colors.same_color(band.get_facecolor()[0, :3], plots.COLORS[1])


def test_dots_show_every_repetition_in_the_row_of_its_name():
    fid, agreement = FIGURES["dots"]().axes
    assert [text.get_text() for text in fid.get_yticklabels()] == ["a", "b"]
    assert [list(line.get_xdata()) for line in fid.get_lines()] == [[1, 2], [3], [0.5, 0.5]]
    assert [list(line.get_ydata()) for line in agreement.get_lines()] == [[0, 0], [1]]
    assert (fid.get_xscale(), agreement.get_xscale()) == ("log", "linear")
    assert fid.get_ylim()[0] > fid.get_ylim()[1], "the first name is at the top"
    assert "real digits" in texts(fid)


# ---------------------------------------------------------------------------- animations


def frames_of(animation):
    """The frames as RGBA arrays, and how long each stays, in milliseconds."""
    picture = Image.open(io.BytesIO(animation))
    assert picture.format == "GIF"
    frames, durations = [], []
    for i in range(picture.n_frames):
        picture.seek(i)
        frames.append(np.asarray(picture.convert("RGBA")))
        durations.append(picture.info["duration"])
    return frames, durations


@pytest.fixture
def moving():
    """Five frames of a square on its way to the right."""
    frames = torch.zeros(5, 1, 28, 28)
    for i in range(5):
        frames[i, :, 8:16, 4 + i : 12 + i] = 1
    return frames


def test_a_gif_holds_the_frames_pixel_by_pixel(moving):
    frames, durations = frames_of(plots.gif(moving, smooth=False, scale=3, milliseconds=50))
    assert durations == [50] * 5
    for frame, image in zip(frames, moving, strict=True):
        assert frame.shape == (84, 84, 4)
        assert (frame[..., 3] == 255).all()
        want = image[0].numpy().repeat(3, 0).repeat(3, 1) * 255
        for channel in range(3):
            assert (frame[..., channel] == want).all()


def test_a_gif_repeats_for_ever_and_says_so_before_its_first_frame(moving):
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in plots.gif(moving)


def test_frames_that_are_held_become_one_that_stays(moving):
    held = moving.repeat_interleave(torch.tensor([4, 1, 1, 1, 3]), dim=0)
    _, durations = frames_of(plots.gif(held, torch.eye(10)[[2] * len(held)], milliseconds=60))
    assert durations == [240, 60, 60, 60, 180]
    assert len(plots.gif(held)) < 1.01 * len(plots.gif(moving))


@pytest.mark.parametrize("theme", plots.THEMES)
@pytest.mark.parametrize("smooth", [True, False])
def test_a_transparent_gif_shows_ink_on_the_page_and_leaves_no_trace_of_earlier_frames(theme, smooth, moving):
    ink, paper = plots.THEMES[theme]
    frames, _ = frames_of(plots.gif(moving, None, ink, paper, transparent=True, smooth=smooth))
    for i, frame in enumerate(frames):
        assert frame[60, 5 * (8 + i)].tolist() == [*(round(255 * c) for c in matplotlib.colors.to_rgb(ink)), 255]
        assert frame[0, 0, 3] == 0
        assert frame[60, 5 * (i + 2), 3] == 0  # where the square was
        assert (frame[..., 3] > 0).mean() == pytest.approx(64 / 784, rel=0.1)
    assert contrast(ink, paper) > 12


def test_smooth_is_an_outline_without_single_grey_pixels():
    frames = torch.zeros(2, 1, 28, 28)
    frames[:, 0, 4:24, 10:15] = 1
    frames[:, 0, 2, 2] = 0.15  # a grain of noise
    frames[1, 0, 20:24, 15:20] = 1
    smooth, square = (frames_of(plots.gif(frames, smooth=smooth, scale=6))[0][0][..., 0] for smooth in (True, False))
    assert square[15, 15] > 0
    assert smooth[15, 15] == 0
    assert smooth[84, 75] == square[84, 75] == 255
    assert ((smooth > 0) != (square > 0)).mean() < 0.05


def test_digits_stand_side_by_side_above_the_bars_of_their_label_row(moving):
    rows = torch.zeros(5, 10)
    rows[:, 3], rows[:, 8] = torch.linspace(1, 0, 5), torch.linspace(0, 1, 5)
    frames, _ = frames_of(plots.gif(torch.stack([moving, moving.flip(0)], dim=1), rows, smooth=False))
    blue = np.array([round(255 * c) for c in matplotlib.colors.to_rgb(plots.BLUE)])
    for i, frame in enumerate(frames):
        assert frame.shape[1] == 2 * 140
        assert frame[60, 5 * (8 + i), 0] == 255
        assert frame[60, 140 + 5 * (8 + 4 - i), 0] == 255
        is_blue = (frame[..., :3] == blue).all(axis=-1)
        assert not is_blue[:140].any()
        tall = [is_blue[:, round((k + 0.5) * 28)].sum() for k in range(10)]
        assert tall[3] - tall[0] == round(36 * rows[i, 3].item())
        assert tall[8] - tall[0] == round(36 * rows[i, 8].item())
        assert len({tall[k] for k in (0, 1, 2, 4, 5, 6, 7, 9)}) == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("frames", {"frames": torch.rand(3, 28, 28)}),
        ("frames", {"frames": torch.rand(0, 1, 28, 28)}),
        ("frames", {"frames": torch.rand(2, 2, 28, 28)}),
        ("transparent", {"frames": torch.rand(2, 3, 28, 28), "transparent": True}),
        ("classes", {"classes": tuple("ab")}),
        ("classes", {"frames": torch.rand(2, 1, 28, 28), "label_rows": torch.eye(10)[:2], "classes": tuple("ab")}),
        ("label_rows", {"label_rows": torch.eye(10)[:3]}),
        ("label_rows", {"label_rows": torch.ones(5)}),
        ("scale", {"scale": 0}),
        ("scale", {"scale": 1.5}),
        ("milliseconds", {"milliseconds": 0}),
        ("milliseconds", {"milliseconds": 66}),
        ("color", {"ink": "a colour"}),
    ],
)
def test_a_gif_of_what_it_cannot_show_is_refused(name, arguments, moving):
    with pytest.raises(ValueError, match=name):
        plots.gif(**({"frames": moving} | arguments))


def test_a_gif_of_colours_shows_them_and_bars_below():
    red, rows = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(2, 3, 16, 16).clone(), torch.eye(26)[[4, 25]]
    red[1] = red[1].flip(0)  # blue
    frames, _ = frames_of(plots.gif(red, rows, classes=[chr(65 + k) for k in range(26)], scale=4))
    blue = np.array(matplotlib.colors.to_rgb(plots.BLUE)) * 255
    for i, (frame, colour) in enumerate(zip(frames, ([255, 0, 0], [0, 0, 255]), strict=True)):
        assert frame.shape[:2] == (4 * 16 + 60, 4 * 16)
        assert abs(frame[:60, :, :3] - colour).max() <= 8
        is_blue = abs(frame[64:, :, :3] - blue).max(axis=-1) < 16
        columns = is_blue.sum(axis=0)
        assert columns[16] > 30 or i == 1  # of 26 classes two occur, so two bars share the width
        assert columns[48] > 30 or i == 0


def test_of_names_too_wide_to_stand_side_by_side_the_heaviest_is_shown(moving):
    names = ("a rather long name", "another long name")
    frames = [
        frames_of(plots.gif(moving[:1], torch.tensor([row]), classes=names))[0][0] for row in ([1.0, 0.0], [0.4, 0.6])
    ]
    below = [frame[140 + 38 :, :, 0] > 0 for frame in frames]
    assert all(ink.any() for ink in below)
    assert not np.array_equal(*below)


def test_digits_shows_colours_and_leaves_the_gaps_empty():
    red = torch.tensor([1.0, 0, 0]).view(1, 1, 3, 1, 1).expand(1, 2, 3, 16, 16)
    picture = pixels(plots.digits(red))
    middle = picture[picture.shape[0] // 2]
    assert abs(middle[len(middle) // 4, :3].astype(int) - [255, 0, 0]).max() < 8
    assert (middle[:, 3] == 0).any()


def test_show_gif_gives_the_animation_with_alt_text(monkeypatch, moving):
    seen = []
    monkeypatch.setattr(IPython.display, "display", lambda data, metadata, raw: seen.append((data, metadata)))
    animation = plots.gif(moving)
    plots.show_gif(animation, "A square on its way to the right.")
    ((data, metadata),) = seen
    assert base64.b64decode(data["image/gif"]) == animation
    assert data["text/plain"] == "A square on its way to the right."
    assert metadata["image/gif"]["alt"] == "A square on its way to the right."
