"""Files of tensors: safetensors with a SHA-256 over all of it, written whole or not at all. Never pickle.

The SHA-256 finds damage: bits that a disk or a download changed. It is no signature: whoever changes a file on purpose
can compute it anew. So what a file says is checked as well, by those who read it.
"""

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ddpm_lib import foreign

VARIANCES = ("running_var", "_avg_sq", "square_avg")  # of BatchNorm, of Adam and its kin, of RMSprop


def write_tensors(path: Path, kind: str, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file whose header names its kind and carries a SHA-256 over all of it.

    tensors: on the CPU, contiguous. Raises OSError where the disk refuses.
    """
    header = {"format": _format(kind), **header}
    header["sha256"] = _digest(tensors, header)
    write_atomically(path, safetensors.torch.save(tensors, header))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a file that `write_tensors` wrote, digest verified.

    Raises FileNotFoundError where there is no such file, and ValueError naming the path where it is
    unreadable, of another kind or damaged.
    """
    if not os.path.exists(path):  # Path.exists raises an error for a name that is too long
        raise FileNotFoundError(f"there is no {kind} at {path}")
    if other := foreign.why_no_safetensors(path):
        raise ValueError(f"{path} is no {kind} of ddpm_lib: {other}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            # get_tensor maps the file. Without a clone the tensors would change if the file did, after the digest.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (
        safetensors.SafetensorError,
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise ValueError(f"{path} is not a readable safetensors file; it was cut off or changed: {error}") from error
    if header.get("format") != _format(kind):
        raise ValueError(f"{path} is a safetensors file, but not a {kind} of ddpm_lib: {_whose(path, header, tensors)}")
    if header.pop("sha256", None) != _digest(tensors, header):
        raise ValueError(f"{path} is damaged: its content does not match its SHA-256")
    return tensors, header


def refuse_unusable(tensors: dict[str, Tensor]) -> None:
    """Raise ValueError where a network or an optimizer with these could only make NaN: NaN, ∞, a variance below 0."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinity")
        if name.endswith(VARIANCES) and (tensor < 0).any():
            raise ValueError(f"{name} holds a variance below 0")


def first_of(error: Exception) -> str:
    """The first two lines of an error as one: load_state_dict may list a hundred weights that don't fit."""
    return " ".join(line.strip() for line in str(error).splitlines()[:2])[:300]


def _format(kind: str) -> str:
    return f"ddpm_lib {kind} 1"


def _whose(path: Path, header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Where a safetensors file of another kind belongs."""
    ours = {"checkpoint": "read it with load_checkpoint(path)", "snapshot": "hand it to train(..., resume=path)"}
    for kind, line in ours.items():
        if header.get("format") == _format(kind):
            return f"it is a {kind}; {line}"
    names = ", ".join(sorted(tensors)[:3]) or "nothing"
    return f"it holds {names}, …; read it with safetensors.torch.load_file({str(path)!r})"


def _digest(tensors: dict[str, Tensor], header: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside path, flush to the disk, then rename over it; after any error, remove the new file.

    path: missing folders are made. Raises OSError, which names path, where the disk refuses.
    """
    # tempfile would make a file that only its owner can read, and the checkpoint would be that file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):  # a full disk names no file
            why = f"{error.strerror or error}; nothing was lost, and nothing is half-written"
            raise OSError(error.errno, why, str(path)) from error
        raise
