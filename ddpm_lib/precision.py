"""The one place that decides where a model runs and in which precision."""

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def best_device() -> torch.device:
    """cuda if there is one, else mps (Apple), else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there: on a CUDA GPU that has it, on a CPU with AMX, or as measured.

    Between CPUs with AVX512-BF16 but no AMX it differs: training took 0.7 times as long on an AMD EPYC, and longer
    than in float32 on a Xeon. So there, and only there, a small matrix product is timed, once per process.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)  # older GPUs say yes, and are slow
    if device.type == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        if capabilities.get("amx_bf16"):
            return True
        return bool(capabilities.get("avx512_bf16")) and _bf16_speedup() > 1.3
    return False


@functools.cache
def _bf16_speedup() -> float:
    """Time of a 512×512 matrix product in float32 over that in bfloat16: the best of eight each, in turns."""
    x = torch.ones(512, 512)  # nothing is drawn from torch's generator
    best = {}
    for _ in range(8):
        for matrix in (x, x.bfloat16()):
            start = time.perf_counter()
            matrix @ matrix
            seconds = time.perf_counter() - start
            best[matrix.dtype] = min(seconds, best.get(matrix.dtype, seconds))
    return best[torch.float32] / best[torch.bfloat16]


def autocast(device: torch.device) -> torch.autocast:
    """A context in which convolutions and matrix products run in bfloat16 where that is fast, else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def describe_machine() -> str:
    """One line for people: device, precision and number of threads."""
    device = best_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    precision = "bfloat16 autocast" if has_fast_bf16(device) else "float32"
    return f"{name}, {precision}, {torch.get_num_threads()} threads, torch {torch.__version__}"


@contextmanager
def eval_mode(model: nn.Module | object) -> Iterator[None]:
    """Eval mode inside; every submodule's own mode again afterwards."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
