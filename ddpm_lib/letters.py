"""Letters: A to Z in the fonts that matplotlib ships, each drawn by a recipe of chance. Nothing is downloaded.

A picture is the letter in one font, then thickened, turned, sheared, scaled, moved and smoothed.
"""

import functools
import importlib.resources
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import guards
from ddpm_lib.extras import needed_by

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# matplotlib's other fonts hold signs of mathematics instead of capitals, or few glyphs at all; cmsy10's are script, and
# cmti10 comes with matplotlib 3.11 only.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmmi10", "cmr10", "cmss10", "cmtt10"),
)
SIDE, FINER = 28, 3  # a picture is drawn with FINER² times as many pixels, then averaged


def load_letters(
    n_per_class: int = 200, seed: int = 0, held_out_font: str | None = None
) -> tuple[TensorDataset, TensorDataset]:
    """Training and test letters: images (N, 1, 28, 28) float in [0, 1], white on black, and labels (N,) long, 0 is A.

    n_per_class: int ≥ 1, the training letters of each class; of test letters, which other chance draws, there are a
    tenth as many, but at least one. seed: int ≥ 0; the same seed draws the same letters, and fewer of them are the
    first ones. held_out_font: one of `FONTS`, for all test letters and no training letter; None: both have all fonts.
    `LETTERS` holds the names of the classes, for `UNetConfig`. Raises ValueError.
    """
    guards.count("n_per_class", n_per_class, most=10_000)
    guards.count("seed", seed, least=0)
    if held_out_font is not None:
        guards.choice("held_out_font", held_out_font, FONTS, also="None or ")
    kept = [font for font in FONTS if font != held_out_font]
    test_fonts = kept if held_out_font is None else [held_out_font]
    return in_fonts(kept, n_per_class, (seed, 0)), in_fonts(test_fonts, max(1, n_per_class // 10), (seed, 1))


def in_fonts(fonts: Sequence[str], n: int, seeds: Sequence[int]) -> TensorDataset:
    """n letters of each class, each in one of the fonts. seeds: ints ≥ 0; the same ones draw the same letters."""
    chances = [np.random.default_rng([*seeds, label]) for label in range(len(LETTERS))]
    images = [
        _draw(letter, fonts[chance.integers(len(fonts))], chance)
        for letter, chance in zip(LETTERS, chances, strict=True)
        for _ in range(n)
    ]
    labels = torch.arange(len(LETTERS)).repeat_interleave(n)
    return TensorDataset(torch.from_numpy(np.stack(images))[:, None].float() / 255, labels)


def _draw(letter: str, font: str, chance: "np.random.Generator") -> np.ndarray:
    """One letter, (28, 28) uint8, by the recipe; each number of it is uniform."""
    glyph, longest = _glyph(letter, font, int(chance.integers(5)))
    from PIL import Image, ImageFilter  # where it is missing, _glyph has said so

    turn, shear = chance.uniform(-0.2, 0.2), chance.uniform(-0.25, 0.25)  # rad; sideways per upwards
    pixels, narrow = chance.uniform(17, 22), chance.uniform(0.85, 1.0)  # the longer side, and the share of the width
    dx, dy = chance.uniform(-1.5, 1.5, 2)
    # From the letter to the picture: shear, turn, scale. Pillow wants the way back, from a pixel to the letter.
    shape = np.array([[narrow, narrow * shear], [0, 1]])
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    back = np.linalg.inv(pixels * FINER / longest * rotation @ shape)
    middle = SIDE * FINER / 2
    start = np.array(glyph.size) / 2 - back @ (middle + FINER * dx, middle + FINER * dy)
    matrix = (*back[0], start[0], *back[1], start[1])
    picture = glyph.transform((SIDE * FINER,) * 2, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    picture = picture.filter(ImageFilter.GaussianBlur(FINER * chance.uniform(0.2, 0.6)))
    return np.asarray(picture.reduce(FINER))


@functools.cache
def _glyph(letter: str, font: str, thicker: int) -> tuple[object, int]:
    """The letter in the middle of a large picture, `thicker` pixels thicker on all sides; and its longer side."""
    with needed_by("load_letters", "data"):
        from PIL import Image, ImageDraw, ImageFont

        file = importlib.resources.files("matplotlib") / "mpl-data" / "fonts" / "ttf" / f"{font}.ttf"
    with importlib.resources.as_file(file) as path:
        drawn = ImageFont.truetype(path, 80)
    left, top, right, bottom = drawn.getbbox(letter, stroke_width=thicker)
    glyph = Image.new("L", (192, 192))
    corner = 96 - (left + right) / 2, 96 - (top + bottom) / 2
    ImageDraw.Draw(glyph).text(corner, letter, fill=255, font=drawn, stroke_width=thicker)
    return glyph, max(right - left, bottom - top)
