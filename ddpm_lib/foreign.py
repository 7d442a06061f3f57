"""Files of other kinds: what a file looks like by its first bytes, and the line that helps, for error messages."""

import os
import zipfile
from pathlib import Path

UNPACK, OTHER = "unpack it, and give the file that is in it", "give the file with the weights"
AGAIN = "download it again, by the link of the file itself"
TORCH = "if it holds weights of a UNet, ddpm.unet.load_state_dict(torch.load({path!r}, weights_only=True)) reads them"

# How a file may begin, in small letters; what it then looks like; and the line that helps.
KINDS = (
    ((b"version https://git-lfs",), "a pointer of Git LFS, not the file itself", "git lfs pull"),
    ((b"/annex/objects/",), "a pointer of git-annex, not the file itself", "git annex get {path!r}"),
    ((b"<!doctype", b"<html", b"<?xml"), "a web page or a page in XML, not the file itself", AGAIN),
    ((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a pickle, as torch.save once wrote it", TORCH),
    ((b"\x93numpy",), "an array of NumPy", "torch.from_numpy(numpy.load({path!r})) reads it"),
    ((b"\x1f\x8b",), "a file packed by gzip", "gunzip {path!r}"),
    (
        (b"\xfd7zxz", b"bzh", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"rar!"),
        "a file packed by xz, bzip2 or the like",
        UNPACK,
    ),
    ((b"\x89hdf", b"gguf", b"\x89png", b"gif8", b"\xff\xd8\xff", b"%pdf"), "an HDF5 or GGUF file, or a picture", OTHER),
    ((b"{",), "JSON text, such as a notebook or a config", OTHER),
)


def why_no_safetensors(path: Path) -> str:
    """Why a file can't be a safetensors file, and the line that helps; "" for what may be one."""
    if other := what_it_is(path):
        return other
    with open(path, "rb") as file:
        header, size = int.from_bytes(file.read(8), "little"), os.path.getsize(path)
    if 8 + header > size:  # a safetensors file says first how long its header is
        return f"its header should have {header:,} bytes, but the file has {size:,}; it is cut off, or of another kind"
    return ""


def what_it_is(path: Path) -> str:
    """What a file looks like by its first bytes, and the line that helps; "" for safetensors and what is not known."""
    if os.path.isdir(path):
        return "it is a folder; give the path of a file in it"
    if not os.path.isfile(path):
        return "it is no ordinary file"  # to read from a pipe could wait for ever
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    if size == 0:
        return "it is empty; was a download or a copy broken off?"
    if head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size:  # safetensors
        return ""
    if head.startswith(b"PK\x03\x04"):
        what, line = _in_a_zip(path)
    else:
        begin = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        what, line = next(((what, line) for begins, what, line in KINDS if begin.startswith(begins)), ("", ""))
    if head[257:262] == b"ustar":
        what, line = "a tar archive", UNPACK
    if not what and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        what, line = f"text ({head[:30].decode()!r}…)", AGAIN
    if what and head[2:8] != bytes(6):  # a safetensors file that was cut off has zeros there
        return f"it looks like {what}; {line.format(path=str(path))}"
    return ""


def _in_a_zip(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a zip archive that was cut off", AGAIN
    if any(name.endswith("data.pkl") for name in names):
        return "a file of torch.save", TORCH
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of NumPy", "numpy.load({path!r}) reads them"
    return "a zip archive", UNPACK
