"""Your own pictures: a folder of class folders becomes a data set. What can't be used is named, with the reason.

Shapes    N pictures · C channels, 1 or 3 · pixels in [0, 1]
"""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import foreign, guards
from ddpm_lib.extras import needed_by
from ddpm_lib.files import first_of

# Pillow reads more, but some of those start another program (EPS starts Ghostscript).
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "TGA")
DARK = 0.25  # a board is as dark as that; what lies on something brighter is no drawing on dark paper
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # how bright red, green and blue are (ITU-R BT.601)
RANGES = (1, 255, 4095, 65_535)  # of floats, and of 8, 12 and 16 bits
NOT_MEANT = ("thumbs.db", "desktop.ini", "__macosx")  # what Windows and macOS put into a folder


def load_folder(
    path: str | os.PathLike, channels: int = 1, size: int = 28
) -> tuple[TensorDataset, tuple[str, ...], list[tuple[Path, str]]]:
    """The pictures in a folder's folders, one for each class; the classes' names; and the files refused, with reasons.

    Pictures may have any size, type and colours. Each is turned as its EXIF says, scaled until its longer side is
    `size`, and padded to a square with the colour of its edge; it is never squeezed. Transparent pixels become paper:
    white below dark ink, black below light ink. In grey pictures the paper becomes 0: on light paper black ink becomes
    1, on dark paper (a board) white chalk does. Colours stay as they are.

    path: the folder. channels: 1 for grey, 3 for colours. size: as in `UNetConfig`. Hidden files are passed over.
    Returns images (N, channels, size, size) float in [0, 1] and labels (N,) long, the place of the class's name among
    the names; both in natural order ("2" before "10"). A class without a usable picture has no name and is refused.
    Raises FileNotFoundError where there is no such folder, and ValueError for bad arguments and where nothing is left.
    """
    root = guards.folder("path", path)
    guards.image_shape(channels, size)
    if not root.is_dir():
        raise FileNotFoundError(f"path must be a folder of class folders, but there is no folder at {root}")
    refused = [(file, "it lies in no class folder") for file in _inside(root) if not file.is_dir()]
    images, labels, classes = [], [], []
    for folder in [folder for folder in _inside(root) if folder.is_dir()]:
        before = len(images)
        for file in _inside(folder):
            try:
                images.append(_read(file, channels, size))
            except ValueError as error:
                refused.append((file, str(error)))
        if len(images) == before:
            refused.append((folder, "it holds no picture that can be used, so it is no class"))
            continue
        labels += [len(classes)] * (len(images) - before)
        classes.append(folder.name)
    if not images:
        why = f"; {refused[0][0]}: {refused[0][1]}" if refused else ", and no class folders"
        raise ValueError(f"path must be a folder of class folders with pictures; {root} holds none{why}")
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return TensorDataset(pixels, torch.tensor(labels)), tuple(classes), refused


def _inside(folder: Path) -> list[Path]:
    """What lies in the folder, but for hidden files, in natural order: numbers in names count as numbers."""

    def natural(file: Path) -> tuple[list, str]:
        parts = re.split("([0-9]+)", file.name.casefold())  # every second part is a number
        return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], file.name

    return sorted(
        (file for file in folder.iterdir() if file.name[0] != "." and file.name.casefold() not in NOT_MEANT),
        key=natural,
    )


def _read(file: Path, channels: int, size: int) -> np.ndarray:
    """(size, size, channels) float32 in [0, 1]. Raises ValueError with the reason, a sentence without the name."""
    with needed_by("load_folder", "data"):
        from PIL import Image

    if file.is_dir():
        raise ValueError("it is a folder in a class folder; put its pictures one level higher")
    if not file.is_file():  # to open a pipe could wait for ever
        raise ValueError("it is no ordinary file, or a link that leads nowhere")
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged metadata of a picture that can be read
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
                picture = _scaled(image, size)
        except Image.UnidentifiedImageError:
            raise ValueError(_no_picture(file)) from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise ValueError(f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller") from None
        except _Refused:
            raise
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            raise ValueError(f"it can't be read, perhaps it is damaged: {first_of(error)}") from None
    if np.ptp(picture) < 0.02:
        raise ValueError("it is blank: all its pixels have one shade")
    return _squared(picture, size) if channels == 3 else _squared(_on_black(picture @ GREY), size)


class _Refused(ValueError):
    """A picture that can be read, but not used."""


def _no_picture(file: Path) -> str:
    if file.suffix.casefold() in (".heic", ".heif"):
        return "Pillow can't read HEIC pictures; save it as JPEG or PNG"
    if file.suffix.casefold() in (".svg", ".pdf", ".eps"):
        return "it is a drawing, not a picture of pixels; save it as PNG"
    what = foreign.what_it_is(file).partition(";")[0]
    if what.endswith("a picture"):
        return "it begins like a picture, but it is damaged, or of a type that is not read here"
    return what or f"it is no picture of a type that is read here: {', '.join(FORMATS)}"


def _scaled(image: object, size: int) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1] whose longer side is `size`, turned as its EXIF says, and with paper below it."""
    from PIL import Image, ImageOps

    if getattr(image, "is_animated", False) and image.format != "MPO":  # some phones' photographs are MPO
        raise _Refused(f"it holds {image.n_frames} pictures; save the one that you mean as a file of its own")
    image.draft(None, (8 * size, 8 * size))  # a large JPEG is decoded at an eighth of its size, if that is enough
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_deep(np.asarray(image, np.float32)))
    elif image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    else:
        image = image.convert("RGB")
    longest = max(image.size)
    small = image.resize([max(1, round(side * size / longest)) for side in image.size], Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32)
    if small.mode == "F":
        return pixels[:, :, None].repeat(3, axis=2)
    pixels = pixels / 255
    return _on_paper(pixels[:, :, :3], pixels[:, :, 3:]) if small.mode == "RGBA" else pixels


def _deep(numbers: np.ndarray) -> np.ndarray:
    """Pixels of more than 8 bits in [0, 1]: their range is the first of RANGES that holds them."""
    low, high = numbers.min(), numbers.max()
    if not (low >= 0 and high <= 65_535):  # written with not, so that NaN is refused, too
        raise _Refused(f"its pixels must lie in 0 … 65,535, got {low:g} … {high:g}")
    return numbers / next(most for most in RANGES if high <= most)


def _on_paper(colours: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    """Transparent pixels become white if what is opaque is dark on the whole, else black."""
    if opaque.sum() == 0:
        raise _Refused("it is transparent everywhere")
    paper = float((colours @ GREY * opaque[:, :, 0]).sum() / opaque.sum() < 0.5)
    return opaque * colours + (1 - opaque) * paper


def _edge(picture: np.ndarray) -> np.ndarray:
    """The colour of the edge: for each channel the median of the outermost pixels."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return np.median(edge, axis=0)


def _on_black(grey: np.ndarray) -> np.ndarray:
    """(h, w, 1): light or dark paper becomes 0 and ink or chalk 1; on grey a picture stays as it is."""
    grey = grey[:, :, None]
    paper = _edge(grey)
    if paper > 0.5:
        return np.clip(1 - grey / paper, 0, 1)
    return np.clip((grey - paper) / (1 - paper), 0, 1) if paper < DARK else grey


def _squared(picture: np.ndarray, size: int) -> np.ndarray:
    """(size, size, C): the picture in the middle, and around it the colour of its edge."""
    height, width, channels = picture.shape
    square = np.empty((size, size, channels), np.float32)
    square[:] = _edge(picture)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = picture
    return square
