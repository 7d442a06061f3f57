"""Snapshots: all that a training carries from one step to the next, so that one that was stopped can go on.

A snapshot is a safetensors file with a SHA-256, as a checkpoint is, and is written all or nothing. It also says which
training it belongs to: a snapshot of other data, of another network or config is refused.

None is written when the loop is left: within a step there is no state to keep, and Python closes an abandoned
generator when it likes, perhaps when another has gone on from the file already. What a stop costs is up to EVERY steps
of time, never the result.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ddpm_lib.ddpm import DDPM
from ddpm_lib.files import first_of, read_tensors, write_tensors
from ddpm_lib.training.distributed import from_all, from_rank_0, rank, world_size

KIND = "snapshot"
EVERY = 100  # steps from one snapshot to the next: what a kill can cost


@dataclasses.dataclass
class TrainState:
    """What changes from step to step. order: (N,) long, this epoch's order of the images; seconds: trained so far."""

    network: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    generator: torch.Generator | None
    order: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    step: int = 0
    seconds: float = 0.0


class Snapshot:
    """The snapshot file of one training.

    path: read here where it exists. ddpm, images, labels, config: the training it has to belong to, but for the
    weights of ddpm. Raises ValueError naming the path where the file is damaged, or not that training's.
    """

    def __init__(self, path: str | os.PathLike, ddpm: DDPM, images: Tensor, labels: Tensor, config: object):
        self.path = Path(path)
        self.training = _identity(ddpm, images, labels, config)
        self.tensors = {}
        if self.path.exists():
            self.tensors, header = read_tensors(self.path, KIND)
            other = [
                f"its {k} was {header.get(k)!s:.200}, now {v}" for k, v in self.training.items() if header.get(k) != v
            ]
            if other:
                raise ValueError(f"{self.path} is a snapshot of another training: {'; '.join(other)}")
        step = float(self.tensors.get("step", -1))
        if from_rank_0(step) != step:
            raise ValueError(f"{self.path} must be on a disk that all processes share: rank 0 sees another file there")

    def begin(self, state: TrainState) -> None:
        """Bring a state that has just begun to where the file's was, bit for bit; without a file, write the first."""
        if state.generator is None:  # torch's own is not ours to set back
            state.generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        if not self.tensors:
            self.write(state)  # a disk that refuses does so now; and the same call again begins with the same weights
            return
        try:
            self._restore(state)
        except (KeyError, IndexError, TypeError, RuntimeError) as error:
            raise ValueError(f"{self.path} does not hold what a snapshot must: {first_of(error)}") from error
        self.tensors = {}  # they need not fill the memory while the training runs

    def _restore(self, state: TrainState) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

        state.network.load_state_dict(part("network."))
        state.average.load_state_dict(part("average."))
        for i, parameter in enumerate(state.network.parameters()):
            # Moments have the memory layout of their parameter (channels_last): the fused optimizer relies on it.
            state.optimizer.state[parameter] = {
                name: torch.empty_like(parameter).copy_(saved) if saved.ndim else saved.to(parameter.device)
                for name, saved in part(f"optimizer.{i}.").items()
            }
        state.generator.set_state(self.tensors["generators"][rank()].clone())  # set_state reads from a storage's start
        state.order = self.tensors["order"]
        state.step, state.seconds = int(self.tensors["step"]), float(self.tensors["seconds"])

    def write(self, state: TrainState) -> None:
        """Rank 0 writes the file, all or nothing. Raises OSError where the disk refuses; the old file stays."""
        tensors = {
            "generators": from_all(state.generator.get_state()),  # each process draws noise of its own
            "order": state.order,
            "step": torch.tensor(state.step),
            "seconds": torch.tensor(state.seconds, dtype=torch.float64),
        }
        tensors |= {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
        for i, moments in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in moments.items()}
        if rank() == 0:
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            write_tensors(self.path, KIND, tensors, self.training)


def _identity(ddpm: DDPM, images: Tensor, labels: Tensor, config: object) -> dict[str, str]:
    """What a training is, as text to compare: its config, number of processes, and digests of model and data."""
    shapes = {name: tuple(tensor.shape) for name, tensor in ddpm.unet.state_dict().items()}
    model = json.dumps([shapes, ddpm.prediction, ddpm.schedule.beta.tolist()])
    data = hashlib.sha256()
    for tensor in (images, labels):
        data.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return {
        "config": json.dumps(dataclasses.asdict(config), sort_keys=True, default=float),  # NumPy's numbers, too
        "model": hashlib.sha256(model.encode()).hexdigest(),
        "data": data.hexdigest(),
        "processes": str(world_size()),
    }
