"""Self-checks of the exercises, a file for each notebook: is the answer right, and if not, what is the mistake?

Each check calls the learner's function on fresh random inputs and compares what comes back with the right
answer and with the mistakes that people make. It never raises: it returns a `Verdict`, which prints itself.
"""

from ddpm_lib.course.checks.n00_welcome import rescale
from ddpm_lib.course.checks.n01_forward_process import add_noise, half_noise_time, shift_log_snr
from ddpm_lib.course.checks.n02_unet import conv_parameters, label_rows, resize_and_concatenate
from ddpm_lib.course.checks.n03_training import eps_from_v, label_dropout, training_times
from ddpm_lib.course.checks.n04_guided_sampling import ancestral_step, ddim_step, guided_noise
from ddpm_lib.course.checks.n05_guidance_lab import guidance_push, smallest_w, w_of_scale
from ddpm_lib.course.checks.n06_morphing import birthday_rows, noise_between, soft_label
from ddpm_lib.course.checks.n07_fast_sampling import time_steps, weight_at, x_0_middle
from ddpm_lib.course.checks.n08_measuring_guidance import coverage, fid_infinity, inception_score
from ddpm_lib.course.checks.n09_museum_of_bugs import (
    dropout_test,
    guidance_test,
    repaired_average,
    repaired_config,
    repaired_dropout,
    repaired_step,
    repaired_times,
    sampler_test,
    times_test,
)

__all__ = [
    "add_noise",
    "ancestral_step",
    "birthday_rows",
    "conv_parameters",
    "coverage",
    "ddim_step",
    "dropout_test",
    "eps_from_v",
    "fid_infinity",
    "guidance_push",
    "guidance_test",
    "guided_noise",
    "half_noise_time",
    "inception_score",
    "label_dropout",
    "label_rows",
    "noise_between",
    "repaired_average",
    "repaired_config",
    "repaired_dropout",
    "repaired_step",
    "repaired_times",
    "rescale",
    "resize_and_concatenate",
    "sampler_test",
    "shift_log_snr",
    "smallest_w",
    "soft_label",
    "time_steps",
    "times_test",
    "training_times",
    "w_of_scale",
    "weight_at",
    "x_0_middle",
]
