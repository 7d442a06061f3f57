"""The one place that decides where a model runs and in which precision."""

import torch


def best_device() -> torch.device:
    """cuda if there is one, else mps (Apple), else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there: on a CUDA GPU that has it, and on a CPU with AMX.

    Other CPUs imitate it, or have it (AVX512-BF16) without being faster for it.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("amx_bf16"))
    return False


def autocast(device: torch.device) -> torch.autocast:
    """A context in which convolutions and matrix products run in bfloat16 where that is fast, else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def describe_machine() -> str:
    """One line for people: device, precision and number of threads."""
    device = best_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    precision = "bfloat16 autocast" if has_fast_bf16(device) else "float32"
    return f"{name}, {precision}, {torch.get_num_threads()} threads, torch {torch.__version__}"
