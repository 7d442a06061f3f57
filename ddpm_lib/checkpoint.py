"""Checkpoints: one safetensors file with weights, schedule, configs and provenance. Never pickle.

The file's metadata holds the configs as JSON, so that loading needs no arguments, and a SHA-256 over
tensors and metadata, so that a damaged file is refused instead of drawing strange digits.
"""

import dataclasses
import json
from pathlib import Path

import torch

from ddpm_lib import guards
from ddpm_lib.ddpm import DDPM
from ddpm_lib.files import first_of, read_tensors, refuse_unusable, write_tensors
from ddpm_lib.precision import unwrapped
from ddpm_lib.schedule import NoiseSchedule
from ddpm_lib.unet import UNet, UNetConfig

KIND = "checkpoint"
SHIPPED = Path(__file__).parent / "checkpoints" / "mnist.safetensors"
STUDENT = SHIPPED.with_name("student.safetensors")
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def save_checkpoint(path: str | Path, ddpm: DDPM, metadata: dict = {}, dtype: torch.dtype | None = None) -> None:
    """Write ddpm to path, all or nothing: a crash leaves the old file or the new one, never half of one.

    path: missing folders are made. metadata: dict that JSON can hold, for people, such as the command that trained it.
    dtype: float type that the weights are stored in, such as torch.float16; None keeps the type. Loading gives float32.
    ddpm: what torch.compile or a data-parallel module wraps is saved, not the wrapper. Its weights must be finite.
    Raises ValueError for bad arguments and OSError where the disk refuses.
    """
    path = guards.path("path", path)
    ddpm = guards.instance("ddpm", unwrapped(ddpm), DDPM, "a DDPM with a UNet")
    unet = guards.instance("ddpm", unwrapped(ddpm.unet), UNet, "a DDPM with a UNet")
    if dtype is not None:
        guards.choice("dtype", dtype, DTYPES, also="None or ")
    provenance = guards.json_dict("metadata", metadata)

    tensors = {"schedule.beta": ddpm.schedule.beta[1:]}
    try:
        refuse_unusable(unet.state_dict())
    except ValueError as error:
        raise ValueError(f"ddpm can't draw, so it is not saved: {error}") from None
    for name, tensor in unet.state_dict().items():
        stored = tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
        if not stored.isfinite().all():
            raise ValueError(f"dtype must hold the weights, but {name} has values beyond {dtype}")
        tensors[f"unet.{name}"] = stored
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {
        "unet": json.dumps(dataclasses.asdict(unet.config), sort_keys=True),
        "prediction": ddpm.prediction,
        "metadata": provenance,
    }
    write_tensors(path, KIND, tensors, header)


def load_checkpoint(path: str | Path | None = None) -> DDPM:
    """The DDPM in path, in eval mode on the CPU; without a path the weights that ship with this package.

    "student" is the name of the shipped weights that draw in few steps and hear w themselves (`distill`); a file of
    yours with this name is "./student".
    Raises FileNotFoundError where there is no such file, and ValueError naming the path for anything else
    that is wrong with it: truncated, altered, not a checkpoint, configs that don't fit the weights.
    """
    path = file_of(path)
    tensors, header = read_tensors(path, KIND)
    try:
        # On the meta device nothing is allocated or initialised: a forged config can't fill the memory.
        with torch.device("meta"):
            unet = UNet(UNetConfig(**json.loads(header["unet"])))
        weights = {
            name.removeprefix("unet."): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
            if name.startswith("unet.")
        }
        types = {name: tensor.dtype for name, tensor in unet.state_dict().items()}
        if other := [name for name, tensor in weights.items() if tensor.dtype != types.get(name, tensor.dtype)]:
            raise ValueError(f"{other[0]} is of type {weights[other[0]].dtype}")  # assign=True would accept it
        if more := tensors.keys() - {"schedule.beta"} - {f"unet.{name}" for name in weights}:
            raise ValueError(f"{min(more)} belongs to nothing")
        refuse_unusable(weights)
        unet.load_state_dict(weights, assign=True)
        unet.to(memory_format=unet.memory_format)  # the layout of the constructor; a file may have another
        ddpm = DDPM(unet, NoiseSchedule(tensors["schedule.beta"]), header["prediction"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} holds configs and weights that make no model: {first_of(error)}") from error
    return ddpm.eval()


def read_metadata(path: str | Path | None = None) -> dict:
    """The metadata that `save_checkpoint` was given; without a path, or for "student", of the weights that ship.

    Raises as `load_checkpoint` does.
    """
    path = file_of(path)
    _, header = read_tensors(path, KIND)
    try:
        return json.loads(header["metadata"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no readable metadata: {error}") from error


def file_of(path: str | Path | None) -> Path:
    """The file that `load_checkpoint` reads for this path: None and "student" are files of this package."""
    if isinstance(path, str) and path == "student":
        return STUDENT
    return SHIPPED if path is None else guards.path("path", path)
