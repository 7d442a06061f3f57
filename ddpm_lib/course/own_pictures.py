"""Letters and folders: what notebook 12 shows, and what it calls until an answer of the learner has passed.

Images    (N, 1, 28, 28) in [0, 1]
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import TensorDataset

from ddpm_lib.course import plots
from ddpm_lib.course.one_step import SCORES, four_scores
from ddpm_lib.evaluation import Scores, nearest_neighbours
from ddpm_lib.letters import LETTERS, in_fonts

TILES = 13  # pictures in a row

# ------------------------------------------------------- what the notebook uses until the learner's answers have passed


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


# ------------------------------------------------------------------------------------------------------- what it shows


def show_alphabets(rows: dict[str, Tensor], alt: str) -> None:
    """Display alphabets (26, 1, 28, 28), each in two lines of 13 letters, under their names."""
    lines = torch.stack(list(rows.values())).reshape(-1, 13, 1, 28, 28)
    names = [f"{name}{half}" for name in rows for half in ("A … M", "N … Z")]
    plots.show(plots.digits(lines, row_labels=names), alt)


def show_classes(pictures: TensorDataset, classes: Sequence[str], alt: str) -> None:
    """Display the first pictures of each class, a row for each of at most ten classes."""
    x, y = pictures.tensors
    rows = torch.zeros(min(10, len(classes)), TILES, *x.shape[1:])
    for label, row in enumerate(rows):
        of_class = x[y == label][:TILES]
        row[: len(of_class)] = of_class
    plots.show(plots.digits(rows, row_labels=[name[:12] for name in classes[:10]]), alt)


def score_table(scores: dict[object, Scores]) -> str:
    """The scores of each guidance weight, or of each name, and below them what as many real letters reach."""
    first, found = next(iter(scores.values())), {}
    for name, of in scores.items():
        name = f"w = {name:g}".replace("-", "−") if isinstance(name, int | float) else name
        found[name] = [getattr(of, key) for key in SCORES.values()]
    floors = [getattr(first, f"{key}_floor") for key in SCORES.values()]
    return four_scores("", found | {f"{first.n} real letters": floors})


def over_w(scores: dict[float, Scores]) -> Figure:
    """Agreement and coverage over the guidance weight, with those of real letters."""
    w, shown = sorted(scores), ("agreement", "coverage")
    first = scores[w[0]]
    return plots.small_multiples(
        w,
        {name: {name: [getattr(scores[x], name) for x in w]} for name in shown},
        x_label="w",
        references={name: (getattr(first, f"{name}_floor"), "real letters") for name in shown},
        limits={"agreement": (0, 1.15), "coverage": (0, 1.15 * max(s.coverage_floor for s in scores.values()))},
    )


@plots.styled
def read_in_the_mirror(images: Tensor, labels: Tensor, read: Callable[[Tensor], Tensor]) -> Figure:
    """For each letter the share that is read right, as it is and mirrored."""
    fig, [[axes]] = plots.figure(8.6, 2.2)
    for offset, name, color, x in (
        (-0.2, "as it is", plots.BLUE, images),
        (0.2, "mirrored", plots.ORANGE, images.flip(-1)),
    ):
        right = (read(x) == labels).double()
        shares = [right[labels == k].mean().item() for k in range(len(LETTERS))]
        axes.bar([k + offset for k in range(len(LETTERS))], shares, width=0.38, color=color, label=name)
    axes.set(xticks=range(len(LETTERS)), xticklabels=LETTERS, ylim=(0, 1.02), ylabel="share read right")
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return fig


# ----------------------------------------------------------------------------------------------------- faults and fonts


def with_one_mirrored(images: Tensor, labels: Tensor, seed: int) -> Tensor:
    """The images, those of one class turned left to right: chance chooses it among the letters that look different."""
    letters = [LETTERS.index(letter) for letter in "BCDEFGJKLNPQRSZ"]
    mirrored = letters[torch.randint(len(letters), (), generator=torch.Generator().manual_seed(seed))]
    return torch.where((labels == mirrored)[:, None, None, None], images.flip(-1), images)


def of_each(pictures: TensorDataset, n: int, skip: int = 0) -> TensorDataset:
    """n pictures of each class, those after the first `skip`."""
    x, y = pictures.tensors
    chosen = torch.cat([(y == label).nonzero()[skip : skip + n, 0] for label in y.unique()])
    return TensorDataset(x[chosen], y[chosen])


def letters_in(fonts: Sequence[str], n: int, seed: int) -> TensorDataset:
    """n letters of each class in some of the fonts; chance draws others than for `load_letters`."""
    return in_fonts(fonts, n, (seed, 2))


def mean_over_classes(share_nearer: Callable, real: TensorDataset, drawn: TensorDataset, other: TensorDataset) -> float:
    """The mean over classes of share_nearer(real, drawn, other), each (n, pixels)."""
    shares = [
        float(share_nearer(*(x[y == label].flatten(1) for x, y in (part.tensors for part in (real, drawn, other)))))
        for label in real.tensors[1].unique()
    ]
    return sum(shares) / len(shares)


def cut_out(images: Tensor, margin: int = 3) -> list[Tensor]:
    """Each image cut at its ink, with a margin: (1, H, W), each in a shape of its own."""
    pages = []
    for image in images:
        ink = (image[0] > 0.1).nonzero()
        (top, left), (bottom, right) = ink.amin(dim=0), ink.amax(dim=0) + 1
        pages.append(F.pad(image[:, top:bottom, left:right], (margin,) * 4))
    return pages


def squeezed(pages: Sequence[Tensor]) -> Tensor:
    """What a plain resize makes of them: (N, 1, 28, 28), whatever their shapes were."""
    small = [F.interpolate(page[None], (28, 28), mode="bilinear", antialias=True) for page in pages]
    return torch.cat(small).clamp(0, 1)


def padded(pages: Sequence[Tensor]) -> Tensor:
    """The same, but each page is first made a square by black margins."""
    squares = []
    for page in pages:
        height, width = page.shape[1:]
        more_h, more_w = max(0, width - height), max(0, height - width)
        squares.append(F.pad(page, (more_w // 2, more_w - more_w // 2, more_h // 2, more_h - more_h // 2)))
    return squeezed(squares)


def by_class(pictures: TensorDataset, classes: Sequence[str], drawn: TensorDataset, read: Callable) -> str:
    """For each class: its pictures, the share of drawn ones that a judge of LETTERS reads as its name, and distances.

    They are medians, from drawn pictures, and from real ones, to the nearest (other) training picture of the class.
    """
    (x, y), (x_drawn, y_drawn) = pictures.tensors, drawn.tensors
    lines = [f"{'class':<13}{'pictures':>9}{'read as asked':>15}{'drawn to nearest':>18}{'real to nearest':>17}"]
    for label, name in enumerate(classes):
        real, mine = x[y == label], x_drawn[y_drawn == label]
        share = f"{(read(mine) == LETTERS.index(name)).float().mean():.2f}" if name in LETTERS else "–"
        to_real, _ = nearest_neighbours(mine, real)
        among_real = torch.cdist(real.flatten(1), real.flatten(1)).fill_diagonal_(torch.inf).amin(dim=1)
        lines.append(f"{name[:12]:<13}{len(real):>9}{share:>15}{to_real.median():>18.1f}{among_real.median():>17.1f}")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------- a folder


def make_folder(folder: Path, letters: TensorDataset, n: int, few: int, seed: int = 0) -> None:
    """Write class folders A to E, as a class might hand them in: letters on all sorts of paper, and what is no picture.

    n: pictures of A to D, each of a size of its own, their types by turns those of TYPES. few: pictures of E.
    """
    chance, (images, labels) = np.random.default_rng(seed), letters.tensors
    for label, name in enumerate("ABCDE"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, letter in enumerate(images[labels == label][: few if name == "E" else n]):
            sides = chance.integers(40, 240, 2)
            height, width = sides if 0.6 < sides[0] / sides[1] < 1.6 else sides[:1].repeat(2)
            ending, draw = TYPES[i % len(TYPES)]
            square = Image.fromarray((255 * letter[0]).byte().numpy()).resize((min(height, width),) * 2)
            ink = Image.new("L", (width, height))
            ink.paste(square, ((width - square.width) // 2, (height - square.height) // 2))
            exif = {"exif": SIDEWAYS} if draw is _sideways else {}
            draw(ink).save(folder / name / f"{i + 1}.{ending}", **exif)
    (folder / "A" / "broken.jpg").write_bytes((folder / "A" / "2.jpg").read_bytes()[:300])
    (folder / "B" / "notes.txt").write_text("what I wrote on Monday", encoding="utf-8")
    Image.new("L", (200, 200), 255).save(folder / "C" / "blank.png")
    (folder / "C" / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    film = [Image.new("L", (9, 9), shade) for shade in (0, 255)]
    film[0].save(folder / "D" / "film.gif", save_all=True, append_images=film[1:])
    (folder / "F").mkdir(exist_ok=True)


def listing(folder: Path) -> str:
    """What lies in each class folder: how many files, of which types."""
    lines = []
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        endings = [file.suffix.removeprefix(".").lower() for file in part.iterdir()]
        kinds = ", ".join(f"{endings.count(kind)} {kind}" for kind in sorted(set(endings)))
        lines.append(f"{part.name}/  {len(endings)} files" + f": {kinds}" * bool(kinds))
    return "\n".join(lines)


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
