"""Letters and folders: what notebook 12 shows, and what it calls until an answer of the learner has passed.

Images    (N, 1, 28, 28) in [0, 1]
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import TensorDataset

from ddpm_lib.course import plots
from ddpm_lib.letters import LETTERS

HALVES = ("A to M", "N to Z")


def show_alphabets(rows: dict[str, Tensor], alt: str) -> None:
    """Display alphabets (26, 1, 28, 28), each in two lines of 13 letters, under their names."""
    lines = torch.stack([alphabet.reshape(2, 13, 1, 28, 28) for alphabet in rows.values()]).flatten(0, 1)
    names = [f"{name}{half}" for name in rows for half in HALVES]
    plots.show(plots.digits(lines, row_labels=names), alt)


def with_one_mirrored(images: Tensor, labels: Tensor, seed: int) -> Tensor:
    """The images, those of one class turned left to right: chance chooses it among the letters that look different."""
    letters = [LETTERS.index(letter) for letter in "BCDEFGJKLNPQRSZ"]
    mirrored = letters[torch.randint(len(letters), (), generator=torch.Generator().manual_seed(seed))]
    return torch.where((labels == mirrored)[:, None, None, None], images.flip(-1), images)


def mirrored_class(images: Tensor, labels: Tensor, read: Callable[[Tensor], Tensor]) -> int:
    """The class that is read as its label more often, by the largest share, once its pictures are turned left to right.

    labels: (N,). read: images → the classes that they are read as (N,).
    """
    gained = (read(images.flip(-1)) == labels).double() - (read(images) == labels).double()
    return int(max(labels.unique(), key=lambda label: gained[labels == label].mean()))


def choose_w(w: Sequence[float], agreement: Sequence[float], coverage: Sequence[float], target: float) -> float:
    """Of the w whose agreement reaches the target, that with the highest coverage; where two have it, the smaller.

    w, agreement, coverage: (W,), in any order. Where no w reaches the target: the w with the highest agreement.
    """
    found = [(a, c, -v) for v, a, c in zip(w, agreement, coverage, strict=True)]
    enough = [(c, v) for a, c, v in found if a >= target]
    return -max(enough or [(a, v) for a, _, v in found])[1]


def share_nearer(real: Tensor, drawn: Tensor, other: Tensor) -> float:
    """The share of the real pictures whose nearest drawn one is nearer than the nearest of the others.

    real: (M, D), drawn and other: (N, D), features or pixels.
    """
    to_drawn, to_other = (torch.cdist(real, x).amin(dim=1) for x in (drawn, other))
    return (to_drawn < to_other).double().mean().item()


def make_folder(folder: str | Path, letters: TensorDataset, few: int = 5, seed: int = 0) -> None:
    """Write class folders A to E, as a person might have them: letters on all sorts of paper, and what is no picture.

    E gets only `few` pictures, the others as many as there are in letters. Sizes and types are by turns those of TYPES.
    """
    chance, root = np.random.default_rng(seed), Path(folder)
    for label, name in enumerate("ABCDE"):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i, letter in enumerate(letters.tensors[0][letters.tensors[1] == label][: few if name == "E" else None]):
            sides = chance.integers(40, 240, 2)
            height, width = sides if 0.6 < sides[0] / sides[1] < 1.6 else sides[:1].repeat(2)
            ending, draw = TYPES[i % len(TYPES)]
            square = Image.fromarray((255 * letter[0]).byte().numpy()).resize((min(height, width),) * 2)
            ink = Image.new("L", (width, height))
            ink.paste(square, ((width - square.width) // 2, (height - square.height) // 2))
            draw(ink).save(root / name / f"{i}.{ending}", **({"exif": SIDEWAYS} if draw is _sideways else {}))
    (root / "A" / "broken.jpg").write_bytes((root / "A" / "1.jpg").read_bytes()[:300])
    (root / "B" / "notes.txt").write_text("what I wrote on Monday", encoding="utf-8")
    Image.new("L", (200, 200), 255).save(root / "C" / "blank.png")
    (root / "C" / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    Image.new("L", (9, 9)).save(root / "D" / "film.gif", save_all=True, append_images=[Image.new("L", (9, 9), 255)])
    (root / "F").mkdir()


def _on(paper: tuple[int, ...], ink: tuple[int, ...]) -> Callable[[Image.Image], Image.Image]:
    """A page in colours."""
    return lambda mask: Image.composite(Image.new("RGB", mask.size, ink), Image.new("RGB", mask.size, paper), mask)


def _sideways(mask: Image.Image) -> Image.Image:
    """A photograph that was taken with a camera on its side, which says so in its EXIF."""
    return _on((235, 230, 220), (40, 40, 60))(mask).transpose(Image.Transpose.ROTATE_90)


def _transparent(mask: Image.Image) -> Image.Image:
    page = Image.new("RGBA", mask.size, (20, 20, 20, 0))
    page.putalpha(mask)
    return page


SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6  # to be turned by a quarter, clockwise
TYPES = (
    ("png", ImageOps.invert),  # black on white
    ("jpg", _on((250, 245, 225), (20, 40, 140))),  # blue on cream
    ("png", _transparent),
    ("gif", lambda mask: _on((255, 255, 255), (170, 20, 20))(mask).convert("P")),
    ("tif", lambda mask: Image.fromarray(257 * (255 - np.asarray(mask)).astype(np.uint16))),  # 16 bits
    ("bmp", _on((25, 45, 35), (240, 240, 235))),  # chalk on a board
    ("webp", _on((240, 240, 240), (30, 110, 60))),
    ("png", lambda mask: ImageOps.invert(mask).convert("1", dither=Image.Dither.NONE)),  # a scan in black and white
    ("jpg", _sideways),
)
