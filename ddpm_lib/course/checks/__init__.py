"""Self-checks of the exercises, a file for each notebook: is the answer right, and if not, what is the mistake?

Each check calls the learner's function on fresh random inputs and compares what comes back with the right
answer and with the mistakes that people make. It never raises: it returns a `Verdict`, which prints itself.
"""

from ddpm_lib.course.checks.n00_welcome import rescale
from ddpm_lib.course.checks.n01_forward_process import (
    add_noise,
    forward_chain,
    half_noise_time,
    shift_log_snr,
    straight_log_snr,
)
from ddpm_lib.course.checks.n02_unet import conv_parameters, label_rows, listens, resize_and_concatenate, unet_forward
from ddpm_lib.course.checks.n03_training import eps_from_v, label_dropout, loss, training_times, x_0_from_v
from ddpm_lib.course.checks.n04_guided_sampling import ancestral_step, ddim_step, guided_noise, posterior, reverse_loop
from ddpm_lib.course.checks.n05_guidance_lab import acting_interval, guidance_push, smallest_w, w_of_scale
from ddpm_lib.course.checks.n06_morphing import birthday_rows, keep_known, noise_between, soft_label, whole_morph
from ddpm_lib.course.checks.n07_fast_sampling import second_order_solver, time_steps, weight_at, x_0_middle
from ddpm_lib.course.checks.n08_measuring_guidance import choose_w, coverage, fid_infinity, inception_score
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
from ddpm_lib.course.checks.n10_one_model_many_names import euler_step, guided_u, log_snr, noise_in, score
from ddpm_lib.course.checks.n11_one_step import loss_weight, renoise_step, two_step_target
from ddpm_lib.course.checks.n12_your_own_pictures import choose_w_by_coverage, mirrored_class, share_nearer

__all__ = [
    "acting_interval",
    "add_noise",
    "ancestral_step",
    "birthday_rows",
    "choose_w",
    "choose_w_by_coverage",
    "conv_parameters",
    "coverage",
    "ddim_step",
    "dropout_test",
    "eps_from_v",
    "euler_step",
    "fid_infinity",
    "forward_chain",
    "guidance_push",
    "guidance_test",
    "guided_noise",
    "guided_u",
    "half_noise_time",
    "inception_score",
    "keep_known",
    "label_dropout",
    "label_rows",
    "listens",
    "log_snr",
    "loss",
    "loss_weight",
    "mirrored_class",
    "noise_between",
    "noise_in",
    "posterior",
    "renoise_step",
    "repaired_average",
    "repaired_config",
    "repaired_dropout",
    "repaired_step",
    "repaired_times",
    "rescale",
    "resize_and_concatenate",
    "reverse_loop",
    "sampler_test",
    "score",
    "second_order_solver",
    "share_nearer",
    "shift_log_snr",
    "smallest_w",
    "soft_label",
    "straight_log_snr",
    "time_steps",
    "times_test",
    "training_times",
    "two_step_target",
    "unet_forward",
    "w_of_scale",
    "weight_at",
    "whole_morph",
    "x_0_from_v",
    "x_0_middle",
]
