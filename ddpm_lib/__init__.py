"""Class-guided diffusion on MNIST: the finished code that the course's notebooks import."""

from ddpm_lib.interrupts import undisturbed

with undisturbed():  # torch takes seconds
    from ddpm_lib.checkpoint import load_checkpoint, read_metadata, save_checkpoint
    from ddpm_lib.data import load_mnist, to_signed, to_unit
    from ddpm_lib.ddpm import DDPM
    from ddpm_lib.distillation import DistillConfig, DistillRecord, distill, renoise_step, student_of
    from ddpm_lib.editing import edit, inpaint
    from ddpm_lib.folder import load_folder
    from ddpm_lib.judge import hold_out, make_reference
    from ddpm_lib.letters import load_letters
    from ddpm_lib.morph import morph
    from ddpm_lib.precision import best_device, describe_machine
    from ddpm_lib.sampling import sample, sample_steps
    from ddpm_lib.schedule import NoiseSchedule
    from ddpm_lib.training import TrainConfig, TrainRecord, train
    from ddpm_lib.unet import UNet, UNetConfig

__all__ = [
    "DDPM",
    "DistillConfig",
    "DistillRecord",
    "NoiseSchedule",
    "TrainConfig",
    "TrainRecord",
    "UNet",
    "UNetConfig",
    "best_device",
    "describe_machine",
    "distill",
    "edit",
    "hold_out",
    "inpaint",
    "load_checkpoint",
    "load_folder",
    "load_letters",
    "load_mnist",
    "make_reference",
    "morph",
    "read_metadata",
    "renoise_step",
    "sample",
    "sample_steps",
    "save_checkpoint",
    "student_of",
    "to_signed",
    "to_unit",
    "train",
]
