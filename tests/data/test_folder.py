"""A folder of one's own pictures: what comes in, how it is made square and dark, and what is refused with a reason."""

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig, load_folder, sample, train


def ink(width=60, height=60, paper=255, dark=0):
    """A picture of paper with a bar of ink in its left half, so that one sees what is turned."""
    pixels = np.full((height, width), paper, np.uint8)
    pixels[height // 4 : 3 * height // 4, width // 4 : width // 2] = dark
    return Image.fromarray(pixels)


def put(root, name, picture, **options):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def only(root, **options):
    """The one picture in the folder, (C, H, W)."""
    data, _, refused = load_folder(root, **options)
    assert refused == []
    assert len(data) == 1
    return data.tensors[0][0]


EXPECTED = torch.zeros(28, 28)
EXPECTED[7:21, 7:14] = 1


def is_expected(x):
    return (x - EXPECTED).abs().mean() < 0.02


# ---------------------------------------------------------------------------- types

SAVED = {
    "white paper": ("a.png", lambda: ink(), {}),
    "black paper": ("a.png", lambda: ink(paper=0, dark=255), {}),
    "grey paper": ("a.png", lambda: ink(paper=180), {}),
    "chalk on a board": ("a.png", lambda: ink(paper=50, dark=255), {}),
    "one bit": ("a.png", lambda: ink().convert("1"), {}),
    "a palette": ("a.png", lambda: ink().convert("P"), {}),
    "colours": ("a.png", lambda: ink().convert("RGB"), {}),
    "JPEG": ("a.JPG", lambda: ink(), {"quality": 95}),
    "a large JPEG": ("a.jpeg", lambda: ink(1200, 1200), {"quality": 95}),
    "CMYK": ("a.jpg", lambda: ink().convert("RGB").convert("CMYK"), {"quality": 95}),
    "GIF": ("a.gif", lambda: ink(), {}),
    "BMP": ("a.bmp", lambda: ink(), {}),
    "TIFF": ("a.tif", lambda: ink(), {}),
    "CMYK TIFF": ("a.tif", lambda: ink().convert("RGB").convert("CMYK"), {}),
    "WebP": ("a.webp", lambda: ink(), {"lossless": True}),
    "PGM": ("a.pgm", lambda: ink(), {}),
    "16 bits": ("a.png", lambda: Image.fromarray(np.asarray(ink()).astype(np.uint16) * 257), {}),
    "12 bits": ("a.tif", lambda: Image.fromarray(np.asarray(ink()).astype(np.uint16) * 16), {}),
    "32 bits": ("a.tif", lambda: Image.fromarray(np.asarray(ink()).astype(np.int32)), {}),
    "floats": ("a.tif", lambda: Image.fromarray(np.asarray(ink(), np.float32) / 255), {}),
    "another suffix": ("a.txt", lambda: ink(), {"format": "PNG"}),
    "small": ("a.png", lambda: ink(8, 8), {}),
    "dark ink on nothing": ("a.png", lambda: Image.merge("LA", [Image.new("L", (60, 60)), ink(paper=0, dark=255)]), {}),
    "light ink on nothing": (
        "a.png",
        lambda: Image.merge("LA", [Image.new("L", (60, 60), 255), ink(paper=0, dark=255)]),
        {},
    ),
    "RGBA": ("a.png", lambda: ink().convert("RGBA"), {}),
    "a transparent colour": ("a.gif", lambda: ink(), {"transparency": 255}),
}


@pytest.mark.parametrize("kind", SAVED)
def test_each_type_becomes_the_same_white_on_black(kind, tmp_path):
    name, picture, options = SAVED[kind]
    put(tmp_path, f"class/{name}", picture(), **options)
    x = only(tmp_path)
    assert x.shape == (1, 28, 28)
    assert 0 <= x.min() <= x.max() <= 1
    assert (x - EXPECTED).abs().mean() < (0.05 if kind in ("small", "CMYK", "CMYK TIFF") else 0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_exif_says(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}.get(orientation, [])
    picture = ink(90, 60)
    for method in back:
        picture = picture.transpose(Image.Transpose(method))
    put(tmp_path, "class/a.jpg", picture, exif=exif, quality=95)
    put(tmp_path, "plain/a.jpg", ink(90, 60), quality=95)
    images = load_folder(tmp_path)[0].tensors[0]
    assert (images[0] - images[1]).abs().mean() < 0.01


@pytest.mark.parametrize("size", [(60, 30), (30, 60), (61, 13), (300, 40)])
def test_a_picture_is_padded_and_not_squeezed(size, tmp_path):
    put(tmp_path, "class/a.png", ink(*size))
    x = only(tmp_path)[0] > 0.5
    rows, columns = x.any(dim=1).sum().item(), x.any(dim=0).sum().item()
    longest = max(size)
    assert columns == pytest.approx(28 * size[0] / longest / 4, abs=1.5)
    assert rows == pytest.approx(max(1, 28 * size[1] / longest / 2), abs=1.5)
    assert not x[[0, -1]].any()  # what is padded is paper


def test_a_grey_photograph_stays_as_it_is(tmp_path):
    put(tmp_path, "class/a.png", ink(paper=90, dark=30))
    x = only(tmp_path)[0]
    assert x[0, 0].item() == pytest.approx(90 / 255)
    assert x[14, 10].item() == pytest.approx(30 / 255)


@pytest.mark.parametrize("size", [16, 28, 64])
def test_colours_stay_as_they_are(size, tmp_path):
    picture = Image.new("RGB", (80, 40), (255, 255, 255))
    picture.paste((200, 20, 60), (20, 10, 60, 30))
    put(tmp_path, "class/a.png", picture)
    x = only(tmp_path, channels=3, size=size)
    assert x.shape == (3, size, size)
    assert x[:, size // 2, size // 2].tolist() == pytest.approx([200 / 255, 20 / 255, 60 / 255], abs=0.01)
    assert x[:, 0, 0].tolist() == [1, 1, 1]


# ---------------------------------------------------------------------------- classes and their order


def test_classes_and_pictures_come_in_natural_order(tmp_path, monkeypatch):
    for k, name in enumerate(["10", "9", "b", "A", "a2", "a10"]):
        put(tmp_path, f"{name}/1.png", ink(dark=10 * k))
    for k in (10, 2, 1):
        put(tmp_path, f"many/{k}.png", ink(paper=0, dark=255 - 10 * k))
    data, classes, refused = load_folder(tmp_path)
    assert classes == ("9", "10", "A", "a2", "a10", "b", "many")
    assert data.tensors[1].tolist() == [0, 1, 2, 3, 4, 5, 6, 6, 6]
    assert data.tensors[0][6:].amax(dim=(1, 2, 3)).mul(255).round().tolist() == [245, 235, 155]
    assert refused == []
    monkeypatch.chdir(tmp_path)
    again = load_folder(".")[0]
    assert torch.equal(data.tensors[0], again.tensors[0])


def test_hidden_files_are_passed_over(tmp_path):
    put(tmp_path, "class/a.png", ink())
    for name in (".DS_Store", "class/._a.png", "class/Thumbs.db", "class/desktop.ini", ".git/a.png", "__MACOSX/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x00")
    data, classes, refused = load_folder(tmp_path)
    assert (len(data), classes, refused) == (1, ("class",), [])


def test_what_was_loaded_trains_a_model_that_knows_the_names(tmp_path):
    for name in ("cat", "dog"):
        for k in range(4):
            put(tmp_path, f"{name}/{k}.png", ink(40 + k, 60))
    data, classes, _ = load_folder(tmp_path, size=16)
    config = UNetConfig((4, 4, 4), 4, num_classes=len(classes), size=16, classes=classes)
    ddpm = DDPM(UNet(config), NoiseSchedule.cosine(20), "v")
    assert len(list(train(ddpm, data, TrainConfig(steps=2)))) == 2
    assert sample(ddpm, [classes.index("dog")], steps=2).shape == (1, 1, 16, 16)


# ---------------------------------------------------------------------------- what is refused


def bomb():
    """A PNG whose header claims 60,000 × 60,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def written(content):
    return lambda path: path.write_bytes(content)


def animated(path, kind):
    ink().save(path, kind, save_all=True, append_images=[ink(dark=90), ink(dark=120)])


def cut(path):
    ink(400, 400).save(path, "PNG")
    path.write_bytes(path.read_bytes()[:-200])


def cut_jpeg(path):
    Image.effect_noise((300, 300), 90).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


REFUSED = {
    "an empty file": (written(b""), "empty"),
    "text": (written(b"a letter to a friend"), "looks like text"),
    "a web page": (written(b"<!doctype html><html></html>"), "web page"),
    "a pointer of Git LFS": (written(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
    "random bytes": (written(bytes(range(256)) * 4), "no picture of a type that is read here: PNG, JPEG"),
    "the beginning of a PNG": (written(b"\x89PNG\r\n\x1a\n" + bytes(40)), "damaged"),
    "a PNG that was cut off": (cut, "damaged"),
    "a JPEG that was cut off": (cut_jpeg, "damaged"),
    "too many pixels": (written(bomb()), "pixels; make it smaller"),
    "an animated GIF": (lambda path: animated(path, "GIF"), "3 pictures"),
    "a TIFF of pages": (lambda path: animated(path, "TIFF"), "3 pictures"),
    "PostScript": (written(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "it "),
    "a folder": (lambda path: path.mkdir(), "folder in a class folder"),
    "a link that leads nowhere": (lambda path: path.symlink_to("nowhere"), "leads nowhere"),
    "one shade": (lambda path: Image.new("L", (30, 30), 200).save(path, "PNG"), "blank"),
    "nothing but transparency": (lambda path: Image.new("RGBA", (30, 30)).save(path, "PNG"), "transparent everywhere"),
    "floats that are NaN": (
        lambda path: Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(path, "TIFF"),
        "must lie in 0 … 65,535, got nan",
    ),
    "numbers below 0": (
        lambda path: Image.fromarray(np.arange(-9, 72, dtype=np.int32).reshape(9, 9)).save(path, "TIFF"),
        "got -9",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_not_be_used_is_named_with_the_reason_and_the_rest_is_loaded(kind, tmp_path):
    put(tmp_path, "class/a.png", ink())
    write, reason = REFUSED[kind]
    path = tmp_path / "class" / "bad"
    write(path)
    data, classes, refused = load_folder(tmp_path)
    assert (len(data), classes) == (1, ("class",))
    [(file, why)] = refused
    assert file == path
    assert reason in why
    assert "\n" not in why


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_opened(tmp_path):
    put(tmp_path, "class/a.png", ink())
    os.mkfifo(tmp_path / "class" / "pipe")
    assert [why for _, why in load_folder(tmp_path)[2]] == ["it is no ordinary file, or a link that leads nowhere"]


def test_heic_and_drawings_are_named_as_what_they_are(tmp_path):
    put(tmp_path, "class/a.png", ink())
    for name in ("IMG_1.HEIC", "b.svg"):
        (tmp_path / "class" / name).write_bytes(b"\x00\x00\x00\x18ftypheic" if "HEIC" in name else b"<svg/>")
    assert [why.split(";")[0] for _, why in load_folder(tmp_path)[2]] == [
        "it is a drawing, not a picture of pixels",
        "Pillow can't read HEIC pictures",
    ]


def test_a_class_without_pictures_and_files_beside_the_classes_are_refused(tmp_path):
    put(tmp_path, "b/a.png", ink())
    (tmp_path / "a").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    data, classes, refused = load_folder(tmp_path)
    assert classes == ("b",)
    assert data.tensors[1].tolist() == [0]
    assert refused == [
        (tmp_path / "notes.txt", "it lies in no class folder"),
        (tmp_path / "a", "it holds no picture that can be used, so it is no class"),
    ]


def test_a_folder_without_class_folders_is_an_error_that_says_what_lies_there(tmp_path):
    with pytest.raises(ValueError, match="holds none, and no class folders"):
        load_folder(tmp_path)
    put(tmp_path, "a.png", ink())
    with pytest.raises(ValueError, match=r"holds none; .*a\.png: it lies in no class folder"):
        load_folder(tmp_path)


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path):
    for path in (tmp_path / "nowhere", put(tmp_path, "a.png", ink())):
        with pytest.raises(FileNotFoundError, match=path.name):
            load_folder(path)


@pytest.mark.parametrize(("name", "value"), [("path", 3), ("path", ""), ("channels", 4), ("size", 30), ("size", 28.0)])
def test_bad_arguments_are_refused_by_name(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"^{name} must be "):
        load_folder(**{"path": tmp_path, name: value})
