"""Snapshots: the whole state of a training as a file, so that a training that was stopped can go on.

A snapshot is a safetensors file with a SHA-256, as a checkpoint is, and is written all or nothing. It also says which
training it belongs to: a snapshot of other data, of another network or config is refused.

The last bits of a training depend on the number of threads and on the precision. A snapshot holds both, and a training
that goes on follows them. If the user has fixed another number of threads, the snapshot is refused.

Leaving the loop writes no snapshot. Within a step there is no state to save, and Python may close an abandoned
generator late, when another training has gone on from the file already. So up to EVERY steps are computed again after
a stop; the result is the same.
"""

import contextlib
import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ddpm_lib import guards, precision
from ddpm_lib.ddpm import DDPM
from ddpm_lib.files import first_of, read_tensors, refuse_unusable, write_tensors
from ddpm_lib.training.distributed import from_all, from_rank_0, rank, world_size

KIND, DDPM_LOSS = "snapshot", "DDPM.loss"
EVERY = 100  # a snapshot is written after so many steps; a kill costs no more
MOST_THREADS, MOST_STEPS = 1024, 10**12  # a snapshot that says more was not written by a training


@dataclasses.dataclass
class TrainState:
    """The state of a training: what changes from step to step, and what must stay the same.

    order: (N,) long, this epoch's order of the images. seconds: trained so far. threads, bf16: fixed where a snapshot
    promises the same bits; with None the load and the kind of processor decide.
    """

    network: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    generator: torch.Generator | None
    order: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    step: int = 0
    seconds: float = 0.0
    threads: int | None = None
    bf16: bool | None = None


class Snapshot:
    """The snapshot file of one training.

    path: if the file exists, it is read here. ddpm, images, labels, config, loss: the training that it must belong to;
    only the weights of ddpm may differ. Raises ValueError, which names the path, if the file is damaged or belongs to
    another training, or if the user has fixed another number of threads.
    """

    def __init__(self, path: Path, ddpm: DDPM, images: Tensor, labels: Tensor, config: object, loss: Callable | None):
        self.path = guards.path("resume", path)
        self.training = _identity(ddpm, images, labels, config, loss)
        self.tensors, self.header = {}, {}
        if self.path.exists():
            self.tensors, self.header = read_tensors(self.path, KIND)
            self._refuse_another(self.training)
            with self._named():
                self._refuse_impossible(len(images), config)
            fixed, threads = precision.users_threads(), self.header.get("threads")
            if fixed and threads != str(torch.get_num_threads()):
                raise ValueError(
                    f"{self.path} was written by a training on {threads} threads, which goes on with the same number "
                    f"only; {fixed} says {torch.get_num_threads()}"
                )
        step = float(self.tensors.get("step", -1))
        if from_rank_0(step) != step:
            raise ValueError(f"{self.path} must be on a disk that all processes share: rank 0 sees another file there")

    def _refuse_another(self, training: dict[str, str]) -> None:
        header = self.header
        other = [f"its {k} was {header.get(k)!s:.200}, now {v}" for k, v in training.items() if header.get(k) != v]
        if other:
            raise ValueError(f"{self.path} is a snapshot of another training: {'; '.join(other)}")

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """What is found wrong inside becomes one ValueError, which names the path."""
        try:
            yield
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{self.path} does not hold what a snapshot must: {first_of(error)}") from error

    def _refuse_impossible(self, n: int, config: object) -> None:
        """Raise ValueError for numbers of no training over n images: a right digest does not make them true."""
        refuse_unusable(self.tensors)
        step, seconds, averaged = (self.tensors[name].item() for name in ("step", "seconds", "average.n_averaged"))
        guards.count("step", step, least=0, most=config.steps or MOST_STEPS)
        guards.finite("seconds", seconds, least=0)
        if averaged != step or (step == 0 and config.progress(0, seconds) >= 1):
            raise ValueError(f"step is {step}, but {averaged} steps were averaged")
        if not torch.equal(self.tensors["order"].sort().values, torch.arange(n if step else 0)):
            raise ValueError(f"order is no order of {n} images")
        guards.count("threads", int(self.header["threads"]), most=MOST_THREADS)
        guards.choice("precision", self.header["precision"], ("bfloat16", "float32"))

    def begin(self, state: TrainState, device: torch.device) -> None:
        """Restore the state from the file, bit for bit; without a file, write the first snapshot."""
        if state.generator is None:  # torch's global generator must not be set back
            state.generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        self.training["optimizer"] = _say_optimizer(state.optimizer)
        if not self.tensors:
            with precision.fair_threads():
                state.threads, state.bf16 = torch.get_num_threads(), precision.has_fast_bf16(device)
            self.write(state)  # a full disk fails now; and the same call, made again, begins with the same weights
            return
        self._refuse_another(self.training)
        with self._named():
            self._restore(state)
        self.tensors = {}  # the training needs their memory

    def _restore(self, state: TrainState) -> None:
        """Load the tensors, which must have the names, shapes and dtypes of those that `write` writes."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

        parameters = _parameters(state.optimizer)
        moments = [part(f"optimizer.{i}.") for i in range(len(parameters))]
        wanted = _held(
            dataclasses.replace(state, order=self.tensors["order"].long()), self._moments(state.optimizer, moments)
        )
        for name in sorted(self.tensors.keys() | wanted.keys()):
            found, must = (guards.describe(x[name]) if name in x else "none" for x in (self.tensors, wanted))
            if found != must:
                raise ValueError(f"{name} must be {must}, got {found}")
        state.generator.set_state(self.tensors["generators"][rank()].clone())  # set_state ignores a view's offset
        state.network.load_state_dict(part("network."))
        state.average.load_state_dict(part("average."))
        for parameter, saved in zip(parameters, moments, strict=True):
            # Moments have the memory layout of their parameter (channels_last): the fused optimizer relies on it.
            state.optimizer.state[parameter] = {
                name: torch.empty_like(parameter).copy_(moment)
                if moment.shape == parameter.shape
                else moment.to(parameter.device)
                for name, moment in saved.items()
            }
        state.order = self.tensors["order"]
        state.step, state.seconds = int(self.tensors["step"]), float(self.tensors["seconds"])
        state.threads, state.bf16 = int(self.header["threads"]), self.header["precision"] == "bfloat16"

    def _moments(
        self, optimizer: torch.optim.Optimizer, found: list[dict[str, Tensor]]
    ) -> dict[int, dict[str, Tensor]]:
        """What a step leaves in a copy of torch's optimizer; of an optimizer of your own only the file knows: found."""
        step = int(self.tensors["step"])
        if not step or not type(optimizer).__module__.startswith("torch.optim."):
            return dict(enumerate(found if step else ()))
        probe = copy.deepcopy(optimizer)
        for i, (parameter, has) in enumerate(zip(_parameters(probe), found, strict=True)):
            if parameter.requires_grad and (has or self.training["loss"] == DDPM_LOSS):  # yours may not use all
                parameter.grad = torch.zeros_like(parameter)
            if "step" in has and not ((has["step"] > 0) & (has["step"] <= step)).all():
                raise ValueError(f"optimizer.{i}.step must lie in 1…{step}, got {has['step'].tolist()}")
        probe.step()
        return probe.state_dict()["state"]

    def write(self, state: TrainState) -> None:
        """Rank 0 writes the file, all or nothing. Raises OSError where the disk refuses; the old file stays.

        It also stays where the training has diverged: ValueError for NaN and infinity, which names the step.
        """
        tensors = _held(state, state.optimizer.state_dict()["state"])
        try:
            refuse_unusable(tensors)
        except ValueError as error:
            lr = state.optimizer.param_groups[0]["lr"]
            raise ValueError(
                f"the training diverged at step {state.step} with lr {lr:.3g}, so {self.path} stays as it was before: "
                f"{error}; take a lower lr"
            ) from None
        if rank() == 0:
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            how = {"threads": str(state.threads), "precision": "bfloat16" if state.bf16 else "float32"}
            write_tensors(self.path, KIND, tensors, self.training | how)


def _held(state: TrainState, moments: dict[int, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of a snapshot. moments: what the optimizer keeps, by the number of the parameter."""
    tensors = {
        "generators": from_all(state.generator.get_state()),  # each process has another generator
        "order": state.order,
        "step": torch.tensor(state.step),
        "seconds": torch.tensor(state.seconds, dtype=torch.float64),
    }
    tensors |= {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in state.average.state_dict().items()}
    for i, kept in moments.items():
        tensors |= {f"optimizer.{i}.{name}": _as_tensor(name, moment) for name, moment in kept.items()}
    return tensors


def _identity(ddpm: DDPM, images: Tensor, labels: Tensor, config: object, loss: Callable | None) -> dict[str, str]:
    """Texts that tell trainings apart: config, loss, number of processes, and digests of model and data."""
    shapes = {name: tuple(tensor.shape) for name, tensor in ddpm.unet.state_dict().items()}
    model = json.dumps([shapes, ddpm.prediction, ddpm.schedule.beta.tolist()])
    data = hashlib.sha256()
    for tensor in (images, labels):
        data.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return {
        "config": json.dumps(dataclasses.asdict(config), sort_keys=True, default=float),  # float() for NumPy's numbers
        "loss": DDPM_LOSS if loss is None else getattr(loss, "__qualname__", type(loss).__qualname__),
        "model": hashlib.sha256(model.encode()).hexdigest(),
        "data": data.hexdigest(),
        "processes": str(world_size()),
    }


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _say_optimizer(optimizer: torch.optim.Optimizer) -> str:
    """The class and the settings of an optimizer as text, without the learning rate, which changes."""
    settings = [
        {name: value for name, value in group.items() if name not in ("params", "lr")} | {"of": len(group["params"])}
        for group in optimizer.param_groups
    ]
    return f"{type(optimizer).__name__} {json.dumps(settings, sort_keys=True, default=str)}"


def _as_tensor(name: str, moment: object) -> Tensor:
    """What an optimizer stores for a parameter. Raises ValueError if it is no tensor: a snapshot can't hold it."""
    return guards.instance(f"the optimizer's {name}", moment, Tensor, "a tensor, so that a snapshot can hold it")
