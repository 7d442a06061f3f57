"""How good eight steps of ancestral sampling can be with the shipped weights: other times, variance, w and interval.

    python benchmarks/few_steps.py          prints the table of benchmarks/recipe.md, about ten minutes

Two changes are handed to `sample`: times that crowd towards t = 0, and a step function whose noise lies between the
posterior's variance β̃ and the larger β (Improved DDPM, arXiv:2102.09672, eq. 15, where it is learned). The labels are
those of the test set, so that every digit is as frequent as in the data.
"""

from ddpm_lib import NoiseSchedule, console, load_checkpoint, sample
from ddpm_lib.evaluation import evaluate, load_test_features
from ddpm_lib.sampling import Step

import torch
from torch import Tensor

N = 10_000
VARIANTS = (  # steps, crowding of the times, share of β in log-variance, w, guidance interval
    (30, 1.0, 0.0, 0.2, None),
    (8, 1.0, 0.0, 0.0, None),
    (8, 1.0, 0.0, 0.1, None),
    (8, 1.0, 0.0, 0.2, None),
    (8, 1.0, 0.0, 0.3, (1, 260)),
    (8, 1.3, 0.0, 0.0, None),
    (8, 1.3, 0.0, 0.1, None),
    (8, 1.3, 0.0, 0.3, (1, 280)),
    (8, 1.0, 0.3, 0.2, None),
    (8, 1.3, 0.3, 0.2, None),
)


def crowded_times(T: int, steps: int, crowding: float) -> list[int]:
    """steps + 1 times from T to 0. They are evenly spread at crowding = 1; above it they crowd near 0."""
    return [round(T * (1 - i / steps) ** crowding) for i in range(steps + 1)]


def step_with_variance(share: float) -> Step:
    """`ancestral_step` with a log-variance `share` of the way from β̃ to β = 1 − ᾱ_t/ᾱ_s. At s = 0 there is no noise."""

    def step(schedule: NoiseSchedule, x_t: Tensor, x_0_hat: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
        mean, std = schedule.posterior(x_0_hat, x_t, t, s)
        beta = (1 - schedule.alpha_bar[t] / schedule.alpha_bar[s]).view(-1, 1, 1, 1)
        return mean + std ** (1 - share) * beta.sqrt() ** share * z

    return step


@console.command
def main() -> None:
    ddpm, labels = load_checkpoint(), load_test_features().labels[:N]
    print("| steps | crowding | share of β | w | interval | FID | × floor | agreement |")
    print("|---:|---:|---:|---:|---|---:|---:|---:|")
    for steps, crowding, share, w, interval in VARIANTS:
        generator = torch.Generator().manual_seed(1)
        times, step = crowded_times(ddpm.schedule.T, steps, crowding), step_with_variance(share)
        images = [
            sample(ddpm, part, w, step, times, guidance_interval=interval, generator=generator)
            for part in labels.split(500)
        ]
        scores = evaluate(torch.cat(images), labels)
        where = f"{interval[0]} … {interval[1]}" if interval else "all"
        print(
            f"| {steps} | {crowding} | {share} | {w} | {where} | {scores.fid:.3f} | "
            f"{scores.fid / scores.fid_floor:.1f} | {scores.agreement:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
