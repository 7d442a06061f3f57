"""What the rooms of notebooks 09 to 11 show: the code with a bug in it at work, and what the bug does in numbers."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_lib import DDPM, NoiseSchedule, files, load_mnist, sample, sampling, to_signed, to_unit
from ddpm_lib.course import museum, plots
from ddpm_lib.course.bug_tests import Notes, film_of
from ddpm_lib.course.one_look import real_digits
from ddpm_lib.evaluation import evaluate
from ddpm_lib.interrupts import undisturbed

# What each picture shows, for those who can't see it.
ALT = {
    "snow": (
        "Two rows of ten samples. Right: the digits 0 to 9. With the bug: squares that are white nearly everywhere."
    ),
    "threes": (
        "Two rows of sampled threes. Right: threes of different slant and width. With the bug: good threes too, "
        "but smoother and more alike."
    ),
    "root": (
        "Ten noised digits at growing t. The first row is clean on the left. In the second row even the leftmost "
        "digit is grainy. The third row is what the network makes of the second: grain stays on the left."
    ),
    "end": (
        "Three rows of the digits 0 to 9. Right: clean. With the bug and few steps: grain all over. With the bug "
        "and five times as many steps: the grain is next to invisible."
    ),
    "step-draws": (
        "Two rows of the digits 0 to 9, drawn with the course's sampler and with the repaired step: both are "
        "clean, in other shapes."
    ),
    "stale": (
        "Two rows of the digits 0 to 9, drawn with DDIM. Right: clean digits. With the bug: blotches and broken "
        "strokes, some can't be read."
    ),
    "never": (
        "Two rows of four pictures. Right: the blurred mean of all digits four times. With the bug: the mean digit"
        " three times, and at t = T random noise."
    ),
    "average": (
        "Two curves of 1 − ᾱ over t = 1 to 13. Right: it rises smoothly. Averaged with decay 0.9999: stairs around"
        " the right curve, with flat parts where several t share one value."
    ),
    "zero": (
        "Four rows of ten samples. Without a label: right, all sorts of digits; with the bug, ten zeros. With w = "
        "3: the digits 0 to 9 in both rows, in other shapes with the bug, whose 0 is that of two rows above."
    ),
    "batch": (
        "Two squares of 28 by 28 pixels, a column for each batch. Right: single black dots all over. With the bug:"
        " a few whole columns are black, all others white."
    ),
    "scale": (
        "Three rows of the digits 0 to 9. Right at w = 1: clear digits. With the bug at w = 1, and right at w = 0:"
        " the same pictures as each other, a little less clear."
    ),
    "sign": (
        "Two rows of ten samples, asked for 0 to 9. Right: clear digits. With the bug: misshapen digits, and some "
        "are not the digit that was asked for."
    ),
    "backwards": (
        "Two rows of the digits 0 to 9. Right: clear digits. With the bug: a digit can be guessed in most pictures, "
        "under grain and blotches."
    ),
    "clock": (
        "Two rows of ten samples. Right: the digits 0 to 9. With the bug: white dots on black, in nearly the same "
        "pattern ten times, no digit anywhere."
    ),
    "leading": (
        "Four rows of the digits 0 to 9. The teacher in 20 steps, right and with the bug: clear digits. The student "
        "in one step, right: clear digits, and with the bug: black and white snow, no digit anywhere."
    ),
    "swapped": (
        "Three rows of the digits 0 to 9. The teacher in 8 steps and the perfect student in 4: the same clear digits. "
        "With the bug: soft strokes, and plainer shapes of the same digits."
    ),
    "config": (
        "Bars of the number of parameters. Right: each model has as many. With the bug the first has as many as "
        "that, and each further one has more than the one before."
    ),
}

# ---------------------------------------------------------------------------- the course's code with a bug


def model_with(bug: str, ddpm: DDPM) -> DDPM:
    """This trained model, run by the code with the bug, which stands in ddpm.py or in schedule.py."""
    module = museum.planted(bug)
    if museum.bugs()[bug].file == "ddpm.py":
        return module.DDPM(ddpm.unet, ddpm.schedule, ddpm.prediction).eval()
    names = ("add_noise", "posterior")
    broken = type("NoiseSchedule", (NoiseSchedule,), {name: vars(module.NoiseSchedule)[name] for name in names})
    return DDPM(ddpm.unet, broken(ddpm.schedule.beta[1:]), ddpm.prediction).eval()


def draw(ddpm: DDPM, labels: Tensor, seed: int, bug: str = "", **options: object) -> Tensor:
    """Digits of these labels from the noise of this seed, (B, 1, 28, 28) in [0, 1], by the code with this bug.

    options: those of `sample`.
    """
    in_sampler = bug and museum.bugs()[bug].file == "sampling.py"
    model = model_with(bug, ddpm) if bug and not in_sampler else ddpm
    by = museum.planted(bug).sample if in_sampler else sample
    return by(model, labels, generator=torch.Generator().manual_seed(seed), **options)


def film_with(bug: str, schedule: NoiseSchedule) -> Callable:
    """`film_of` for the ancestral sampler with this bug, which stands in sampling.py or in schedule.py."""
    if museum.bugs()[bug].file == "sampling.py":
        return film_of(schedule, sample_steps=museum.planted(bug).sample_steps)
    return film_of(model_with(bug, DDPM(Notes(), schedule)).schedule, sample_steps=sampling.sample_steps)


class NobodyIsZero(DDPM):
    """Hears "0" where nobody says which digit, as a network does that was trained with the bug of room 8."""

    def predict_noise(self, x_t: Tensor, t: Tensor, y: Tensor, w: float = 0.0) -> Tensor:
        eps_y = super().predict_noise(x_t, t, y)
        eps_zero = super().predict_noise(x_t, t, torch.zeros(len(y)).long())
        return (1 + w) * eps_y - w * eps_zero


def nobody_is_zero(ddpm: DDPM) -> DDPM:
    """This trained model, as room 8 shows it."""
    return NobodyIsZero(ddpm.unet, ddpm.schedule, ddpm.prediction).eval()


def noisy_step(mean: Tensor, std: float, s: int) -> Tensor:
    """A step as it should be: Gaussian noise of this standard deviation, but none at s = 0."""
    return mean + (s > 0) * std * torch.randn_like(mean)


def label_rows(labels: Tensor, keep: Tensor) -> Tensor:
    """Labels as rows, all zero where keep is False."""
    return torch.where(keep[:, None], F.one_hot(labels, 10), 0)


# ---------------------------------------------------------------------------- pictures and scores


def hang(rows: dict[str, Tensor], room: str, columns: Sequence[str] | None = None) -> None:
    """The first ten images of each version, one version in a row. columns: what stands above them."""
    plots.show(plots.digits(torch.stack([x[:10] for x in rows.values()]), list(rows), columns), ALT[room])


def compare(versions: dict[str, Tensor], labels: Tensor) -> None:
    """Print the scores of each version of the digits that were asked for."""
    print(f"{'':<12}{'FID':>8}{'agreement':>11}{'diversity':>11}{'mean pixel':>12}")
    for name, x in versions.items():
        scores = evaluate(x, labels)
        print(f"{name:<12}{scores.fid:>8.1f}{scores.agreement:>11.2f}", end="")
        print(f"{scores.diversity:>11.2f}{x.mean().item():>12.2f}")


def one_of_each() -> Tensor:
    """A held-out digit of each class, 0 to 9: (10, 1, 28, 28) in [−1, 1]."""
    return to_signed(real_digits(0))


# ---------------------------------------------------------------------------- room 3: noised digits


def clean(ddpm: DDPM, x_t: Tensor, t: Tensor) -> Tensor:
    """x̂_0 in [−1, 1], the model's guess of the ten digits 0 to 9 behind x_t."""
    with torch.inference_mode():
        return ddpm.schedule.predict_x_0(x_t, t, ddpm.predict_noise(x_t, t, torch.arange(10))).clamp(-1, 1)


def noise_and_clean(ddpm: DDPM, x_0: Tensor, t: Tensor, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The ten digits noised by the course's code and with the bug of room 3, and what the model makes of both."""
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(seed))
    schedules = {"right": ddpm.schedule, "bug": model_with("deviation for variance", ddpm).schedule}
    noised = {name: schedule.add_noise(x_0, t, eps) for name, schedule in schedules.items()}
    return noised, {name: clean(ddpm, x_t, t) for name, x_t in noised.items()}


def hang_noised(noised: dict[str, Tensor], cleaned: dict[str, Tensor], t: Tensor, room: str) -> None:
    """x_t both ways, with 0 as grey so that noise has room, and what the model makes of the one with the bug."""
    rows = {"right $x_t$": plots.around_grey(noised["right"]), "bug: $x_t$": plots.around_grey(noised["bug"])}
    rows |= {r"bug: $\hat{x}_0$": to_unit(cleaned["bug"])}
    hang(rows, room, [f"t={number}" for number in t.tolist()])


def noise_sizes(
    schedule: NoiseSchedule, x_0: Tensor, t: Tensor, noised: dict[str, Tensor], cleaned: dict[str, Tensor]
) -> None:
    """Print, for four times, the size of the noise in each version, and the error of what the network makes of it."""
    signal = schedule.levels(t)[0]
    print(f"{'t':>5}{'std of the noise':>18}{'with the bug':>14}{'error of x̂_0':>16}{'with the bug':>14}")
    for i in (0, 3, 6, 9):
        sizes = [(x_t[i] - signal[i] * x_0[i]).std().item() for x_t in noised.values()]
        errors = [(x[i] - x_0[i]).square().mean().sqrt().item() for x in cleaned.values()]
        print(f"{t[i]:>5}{sizes[0]:>18.3f}{sizes[1]:>14.3f}{errors[0]:>16.3f}{errors[1]:>14.3f}")


def last_noise(schedule: NoiseSchedule, counts: Sequence[int]) -> None:
    """Print the size of the noise that room 4 leaves in the picture, for these numbers of steps."""
    for steps in counts:
        t = sampling.time_steps(schedule.T, steps)[-2]
        _, size = schedule.levels(torch.tensor([t]))
        print(f"{steps:>4} steps: the last one, from t = {t}, adds noise of size {size.item():.3f}")


# ---------------------------------------------------------------------------- room 6: a table


class Table(nn.Module):
    """One picture for each t, whatever it sees: the smallest network that can be trained."""

    def __init__(self, T: int, seed: int):
        super().__init__()
        start = torch.randn(T + 1, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) / 2
        self.T, self.rows = T, nn.Parameter(start)

    def forward(self, x_t: Tensor, t_over_T: Tensor, y: Tensor) -> Tensor:
        return self.rows[(t_over_T * self.T).round().long()]


def train_table(draw_times: Callable, batches: int, seed: int, T: int = 20) -> Tensor:
    """A table trained by the loss of notebook 03 on these times: its guesses of x̂_0 in [0, 1], (T+1, 1, 28, 28)."""

    class Timed(DDPM):
        def _stratified_t(self, batch: int, generator: torch.Generator | None) -> Tensor:
            return draw_times(T, batch)

    table, generator = Table(T, seed), torch.Generator().manual_seed(seed)
    model = Timed(table, NoiseSchedule.cosine(T), prediction="v")
    optimizer = undisturbed()(torch.optim.Adam)(table.parameters(), lr=0.05)
    images, labels = load_mnist(source="embedded")[0].tensors
    for _ in range(batches):
        chosen = torch.randint(len(images), (64,), generator=generator)
        optimizer.zero_grad()
        model.loss(to_signed(images[chosen]), labels[chosen], generator=generator).backward()
        optimizer.step()
    return to_unit(-table.rows.detach())  # at large t, v is −x_0


def last_pictures(tables: dict[str, Tensor], room: str) -> None:
    """The pictures that these tables hold for the last four times."""
    pictures = torch.stack([table[-4:] for table in tables.values()])
    columns = ["t = T−3", "t = T−2", "t = T−1", "t = T"]
    plots.show(plots.digits(pictures, list(tables), columns, tile=0.9), ALT[room])


def apart(tables: dict[str, Tensor]) -> None:
    """Print how far the pictures for the last two times lie apart."""
    for name, table in tables.items():
        distance = (table[-1] - table[-2]).square().mean().sqrt().item()
        print(f"{name:<10} pixels of the pictures at T − 1 and at T differ by {distance:.2f}")


def change_at_the_end(ddpm: DDPM, seed: int) -> None:
    """Print by how much the network's answer changes between T − 1 and T."""
    x_T = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    T, rows = ddpm.schedule.T, torch.eye(10)
    with torch.inference_mode():
        at_T, before = (ddpm.unet(x_T, torch.full((10,), t / T), rows) for t in (T, T - 1))
    change = (at_T - before).square().mean().sqrt() / at_T.square().mean().sqrt()
    print(f"our U-Net is told t/T as a number: between {T - 1} and {T} its answer changes by {change.item():.2%}")


# ---------------------------------------------------------------------------- room 7: averages


def averaged(update: Callable, decay: float, n: int = 5000) -> tuple[Tensor, Tensor, Tensor]:
    """Average a model n times by update(average, model, decay): its schedule never changes, its weights jump.

    Returns ᾱ before and after, and the averages of 1,000 weights, which jump around 0 by ±1.
    """
    alpha_bar, generator = NoiseSchedule.cosine(T=1000).alpha_bar, torch.Generator().manual_seed(0)
    average = {"unet.weight": torch.zeros(1000), "schedule.alpha_bar": alpha_bar.clone()}
    for _ in range(n):
        model = {
            "unet.weight": torch.randn(1000, generator=generator),
            "schedule.alpha_bar": average["schedule.alpha_bar"],
        }
        average = update(average, model, decay)
    return alpha_bar, average["schedule.alpha_bar"], average["unet.weight"]


def average_all(average: dict[str, Tensor], model: dict[str, Tensor], decay: float) -> dict[str, Tensor]:
    """The bug of room 7: everything is averaged."""
    return {name: decay * average[name] + (1 - decay) * model[name] for name in average}


def average_weights(average: dict[str, Tensor], model: dict[str, Tensor], decay: float) -> dict[str, Tensor]:
    """As the course does it: the weights are averaged, and the schedule stays as it is."""
    return average | {k: v for k, v in average_all(average, model, decay).items() if not k.startswith("schedule.")}


def two_tables(tables: dict[str, Tensor], room: str) -> None:
    """Curves of 1 − ᾱ_t for the first times."""
    first = list(range(1, 14))
    curves = {name: table[first].tolist() for name, table in tables.items()}
    plots.show(plots.lines(first, curves, x_label="t", y_label=r"$1 - \bar{\alpha}_t$"), ALT[room])


def drift(update: Callable, decays: Sequence[float] = (0.995, 0.999, 0.9999)) -> None:
    """Print what averaging 5,000 times does to the schedule, and to weights that jump by ±1."""
    print(f"{'decay':>7}{'largest error of 1 − ᾱ_t':>27}{'times with ᾱ_t ≥ ᾱ_(t−1)':>27}{'weights jump by':>18}")
    for decay in decays:
        before, after, weights = averaged(update, decay)
        error = ((after - before).abs() / (1 - before))[1:].max().item()
        print(f"{decay:>7}{error:>26.1%}{(after[1:] >= after[:-1]).sum().item():>27}{weights.std().item():>18.2f}")


# ---------------------------------------------------------------------------- rooms 8, 9 and 11: labels and guidance


def late(schedule: NoiseSchedule, x_0: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Ten digits at t = 0.7·T: x_t and t."""
    t = torch.full((10,), 7 * schedule.T // 10)
    return schedule.add_noise(x_0, t, torch.randn(x_0.shape, generator=torch.Generator().manual_seed(seed))), t


def guess_sizes(models: dict[str, DDPM], x_0: Tensor, seed: int) -> None:
    """Print the size of the noise that each model guesses at w = 1."""
    for name, model in models.items():
        x_t, t = late(model.schedule, x_0, seed)
        with torch.inference_mode():
            size = model.predict_noise(x_t, t, torch.arange(10), w=1.0).std().item()
        print(f"{name:<8} size of the guessed noise at w = 1: {size:.2f}, there is 1.00")


def push_lengths(models: dict[str, DDPM], x_0: Tensor, seed: int) -> None:
    """Print for each digit how long the push ε(y) − ε(∅) is, at t = 0.7·T."""
    print(f"{'digit':<7}", *(f"{k:>5}" for k in range(10)))
    for name, model in models.items():
        (x_t, t), pushes = late(model.schedule, x_0, seed), []
        for k in range(10):
            with torch.inference_mode():
                eps_y, eps_null = (model.predict_noise(x_t, t, torch.full((10,), k), w=w) for w in (0.0, -1.0))
            pushes.append((eps_y - eps_null).square().mean().sqrt().item())
        print(f"{name:<7}", *(f"{push:>5.2f}" for push in pushes))


def deviations(codes: dict[str, Callable], weights: Sequence[float]) -> None:
    """Print how far each guided(eps_y, eps_null, w) is from classifier-free guidance, on random guesses."""
    eps_y, eps_null = torch.randn(2, 10, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    print("\noff by" + " " * 24, *(f"{f'w = {w}':>10}" for w in weights))
    for name, guided in codes.items():
        off = [(guided(eps_y, eps_null, w) - ((1 + w) * eps_y - w * eps_null)).square().mean().sqrt() for w in weights]
        print(f"{name:<30}", *(f"{value:>10.2f}" for value in off))
    print()


def hang_batches(drops: dict[str, Callable], batches: int, room: str) -> None:
    """Squares with a column for each of 28 batches: black where drop(labels, 0.1) has dropped a label.

    Prints how many are dropped in all batches.
    """
    kept = {name: kept_in(drop, max(batches, 28)) for name, drop in drops.items()}
    squares = torch.stack([flags[:28].T.reshape(1, 28, 28) for flags in kept.values()])[None]
    plots.show(plots.digits(squares.float(), column_labels=list(kept), tile=2.4), ALT[room])
    for name, flags in kept.items():
        dropped = 28 - flags.float().sum(dim=1)
        share, spread, none = dropped.mean() / 28, dropped.std(), (dropped == 0).float().mean()
        print(f"{name:<8} dropped {share:.1%}, from batch to batch ±{spread:.1f} of 28;", end="")
        print(f" {none:.0%} of the batches have no unlabelled digit")


def kept_in(drop: Callable, batches: int) -> Tensor:
    """(batches, 28): 1 where drop(labels, 0.1) has kept a label, in batches of 28."""
    return torch.stack([drop(torch.arange(28) % 10, 0.1).sum(dim=1) > 0 for _ in range(batches)])


# ---------------------------------------------------------------------------- rooms 12 and 13: the rest


def four_models(right: ModuleType, bug: ModuleType, room: str) -> None:
    """Bars of the number of parameters: of one U-Net by the right module, and of four of one config by the other."""

    def size(module: ModuleType, config: object) -> int:
        return sum(p.numel() for p in module.UNet(config).parameters())

    config, sizes = bug.UNetConfig(), {"right, each": size(right, right.UNetConfig())}
    sizes |= {f"bug, {which}": size(bug, config) for which in ("first", "second", "third", "fourth")}
    plots.show(plots.bars({"number of parameters": sizes}), ALT[room])


def four_lists(widened: Callable) -> list[list[int]]:
    """What widened(widths, 64) returns in four calls with one list, [16, 32, 64]."""
    widths = [16, 32, 64]
    return [[int(width) for width in widened(widths, 64)] for _ in range(4)]


def widened(widths: list[int], embedding_width: int) -> list[int]:
    """The widths with room for two embeddings at the last one, in a new list."""
    *rest, last = widths
    return [*rest, last + 2 * embedding_width]


def grown(widths: list[int], embedding_width: int) -> list[int]:
    """The bug of room 12."""
    widths[-1] += 2 * embedding_width
    return list(widths)


def save_into_a_new_folder(ddpm: DDPM, bug: str = "") -> str:
    """What happens when a checkpoint is written into a folder that isn't there yet, in words."""
    tensors = {name: tensor.contiguous() for name, tensor in ddpm.state_dict().items()}
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "models" / "night.safetensors"
        try:  # save_checkpoint ends with this call
            (museum.planted(bug) if bug else files).write_tensors(path, "checkpoint", tensors, {})
        except OSError as error:
            return f"{type(error).__name__}; files that are left: {len(list(Path(home).rglob('*')))}"
        return f"saved, {path.stat().st_size / 1024:,.0f} KiB"
