"""The course against its starting point: both are timed in turns and scored in one run; ratios come with their range.

    python benchmarks/bench.py            speed only, about two minutes, prints; `make bench`
    python benchmarks/bench.py --full     quality, too: hours, results.json, figures/benchmark.png; `make bench FULL=1`

The full form needs all of MNIST (make data). It keeps trained weights and finished stages in build/bench/, so that
you can stop it and go on with the same command. `--stages NAME...` runs these stages again, and takes the results of
all other stages from results.json.
"""

import argparse
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

from ddpm_lib import DDPM, TrainConfig, console, describe_machine, load_checkpoint, load_mnist, sample, to_signed, train
from ddpm_lib.course import plots
from ddpm_lib.distillation import renoise_step
from ddpm_lib.evaluation import evaluate, nearest_neighbours
from ddpm_lib.precision import has_fast_bf16

import starting_point
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import TensorDataset
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

REPOSITORY = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results.json"
WEIGHTS = REPOSITORY / "build" / "bench"
RUNNING = WEIGHTS / "results.json"  # the finished stages of a run that goes on
BUDGETS = (15, 30, 60, 120, 180, 300)  # seconds of training
COMPARED = 500  # samples that are scored of either model: the starting point needs a second or two for each sample
ROUNDS = 7
CPU = torch.device("cpu")  # both models run there, also where there is a GPU


def in_turns(**tasks: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each task in each round. A round runs one task after the other; the first round isn't counted."""
    seconds = {name: [] for name in tasks}
    for _ in range(ROUNDS + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    return {name: taken[1:] for name, taken in seconds.items()}


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """slow/fast, round by round: median, smallest and largest."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def text(ratio: dict[str, float]) -> str:
    """A ratio for people: its median, and the range in brackets."""
    return f"{ratio['median']:.1f}× ({ratio['min']:.1f} … {ratio['max']:.1f})"


# ---------------------------------------------------------------------------- speed


def training_speed(data: TensorDataset) -> dict:
    """Seconds per optimizer step of the starting point (float32) and of ours, and images per second."""
    batch, ours = TrainConfig(steps=1).batch_size, 8  # ours takes eight steps a turn
    theirs = starting_point.training_steps(starting_point.starting_point(), *data.tensors)
    steps = train(DDPM.recommended(), data, TrainConfig(steps=100_000), torch.Generator().manual_seed(0), device=CPU)
    seconds = in_turns(starting_point=lambda: next(theirs), ours=lambda: [next(steps) for _ in range(ours)])
    theirs_per_image = [taken / starting_point.BATCH_SIZE for taken in seconds["starting_point"]]
    ours_per_image = [taken / ours / batch for taken in seconds["ours"]]
    return {
        "starting point: seconds a step": median(seconds["starting_point"]),
        "starting point: images/s": 1 / median(theirs_per_image),
        "ours: images/s": 1 / median(ours_per_image),
        "ratio": ratio(theirs_per_image, ours_per_image),
    }


def sampling_speed(ddpm: DDPM, student: DDPM, steps: int = 8, batch: int = 100) -> dict:
    """Guided images per second (w = 1), batches of 100: T ancestral steps, 8 DPM-Solver++ steps, the student's 1 and 2.

    Each ratio is against the starting point.
    """
    labels = torch.arange(batch) % 10
    theirs = starting_point.starting_point().eval()
    x_t, t = torch.randn(batch, 1, 28, 28), torch.full((batch,), 250)

    def one_step():
        with torch.inference_mode():
            theirs.predict_noise(x_t, t, labels, w=1.0)

    seconds = in_turns(
        starting_point=one_step,
        ours=lambda: sample(ddpm, labels, w=1.0, sampler="dpmpp_2m", steps=steps),
        student_1=lambda: sample(student, labels, w=1.0, steps=1),
        student_2=lambda: sample(student, labels, w=1.0, steps=2, sampler=renoise_step),
    )
    whole = [step * theirs.schedule.T for step in seconds["starting_point"]]  # all steps cost the same
    return {
        "starting point: guided images/s": batch / median(whole),
        f"ours, {steps} steps: guided images/s": batch / median(seconds["ours"]),
        "student, 1 step: guided images/s": batch / median(seconds["student_1"]),
        "student, 2 steps: guided images/s": batch / median(seconds["student_2"]),
        "ratio": ratio(whole, seconds["ours"]),
        "ratio, student, 1 step": ratio(whole, seconds["student_1"]),
        "ratio, student, 2 steps": ratio(whole, seconds["student_2"]),
    }


def latency(ddpm: DDPM, sampler: str, steps: int, calls: int = 50) -> dict:
    """Milliseconds for ten guided digits in a warm process."""
    labels = torch.arange(10)
    milliseconds = []
    for _ in range(calls + 5):
        start = time.perf_counter()
        sample(ddpm, labels, w=1.0, sampler=sampler, steps=steps)
        milliseconds.append(1000 * (time.perf_counter() - start))
    ranked = sorted(milliseconds[5:])
    return {"median ms": median(ranked), "p95 ms": ranked[int(0.95 * calls)], "steps": steps}


def limit(data: TensorDataset) -> dict:
    """FLOPs of our training step, what this machine reaches on a plain matrix product, and the fraction attained."""
    config = TrainConfig(steps=1000)
    x_0, labels = to_signed(data.tensors[0][: config.batch_size]), data.tensors[1][: config.batch_size]
    ddpm = DDPM.recommended()
    with FlopCounterMode(display=False) as counter:
        ddpm.loss(x_0, labels).backward()
    flops = counter.get_total_flops()
    a = torch.randn(2048, 2048).to(torch.bfloat16 if has_fast_bf16(CPU) else torch.float32)
    steps = train(DDPM.recommended(), data, config, device=CPU)
    seconds = in_turns(product=lambda: a @ a, step=lambda: next(steps))
    product, step = 2 * 2048**3 / min(seconds["product"]), flops / median(seconds["step"])
    return {
        "GFLOP of a training step": flops / 1e9,
        "GFLOP/s of a matrix product": product / 1e9,
        "GFLOP/s of a training step": step / 1e9,
        "fraction attained": step / product,
    }


class Unfolded(DDPM):
    """A DDPM that `sample` takes as it is: the library folds BatchNorm for the class DDPM itself only."""


def folding(ddpm: DDPM) -> dict:
    """Milliseconds of one call of `sample` (8 steps) with BatchNorm folded and without, for 10 and 100 digits."""
    unfolded = Unfolded(ddpm.unet, ddpm.schedule, ddpm.prediction).eval()
    result = {}
    for n, calls in ((10, 10), (100, 2)):
        for w in (1.0, 0.0):

            def draw_digits(model: DDPM, n=n, calls=calls, w=w) -> None:
                for _ in range(calls):
                    sample(model, torch.arange(n) % 10, w=w, sampler="dpmpp_2m", steps=8)

            seconds = in_turns(folded=lambda: draw_digits(ddpm), unfolded=lambda: draw_digits(unfolded))
            result[f"{n} digits, w = {w:.0f}"] = {
                "folded: ms": 1000 * median(seconds["folded"]) / calls,
                "not folded: ms": 1000 * median(seconds["unfolded"]) / calls,
                "ratio": ratio(seconds["unfolded"], seconds["folded"]),
            }
    return result


# ---------------------------------------------------------------------------- quality


def keep(ddpm: DDPM, name: str) -> None:
    """Write the weights into build/bench/; no checkpoint, because the starting point's network has no config."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.contiguous() for key, tensor in ddpm.unet.state_dict().items()}
    save_file(tensors, WEIGHTS / f"{name}.safetensors")


def kept(ddpm: DDPM, name: str) -> DDPM:
    """Give ddpm the weights that were kept under this name; return it in eval mode."""
    ddpm.unet.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    return ddpm.eval()


@functools.cache
def test_set() -> TensorDataset:
    """The 10,000 test digits; loading them takes a second, for the digests of all files."""
    return load_mnist(source="full")[1]


def scores_of(images: torch.Tensor, labels: torch.Tensor) -> dict:
    """The scores that the reports show, as results.json has them."""
    scores = evaluate(images, labels)
    return {
        "n": scores.n,
        "fid": scores.fid,
        "fid_floor": scores.fid_floor,
        "agreement": scores.agreement,
        "inception_score": scores.inception_score,
        "coverage": scores.coverage,
        "diversity": scores.diversity,
    }


def sampled_scores(ddpm: DDPM, n: int, w: float, sampler: str | Callable, steps: int) -> dict:
    """Scores of n samples with the first n labels of the test set, so that digits are as frequent as in the data."""
    labels = test_set().tensors[1][:n]
    start, generator = time.perf_counter(), torch.Generator().manual_seed(1)
    images = [sample(ddpm, part, w=w, sampler=sampler, steps=steps, generator=generator) for part in labels.split(500)]
    seconds = time.perf_counter() - start
    name = sampler if isinstance(sampler, str) else sampler.__name__
    how = {"w": w, "sampler": name, "steps": steps, "seconds": seconds}
    return how | scores_of(torch.cat(images), labels)


def starting_point_quality(data: TensorDataset) -> dict:
    """Scores of the starting point after its 15 epochs, at w = 0: with Gaussian noise, and as it was published.

    Where bfloat16 is fast, the training uses it, to save hours. Reports count the float32 steps of `training_speed`.
    """
    ddpm, bf16 = starting_point.starting_point(), has_fast_bf16(CPU)
    ddpm.unet.to(memory_format=torch.channels_last)
    torch.manual_seed(0)
    if not (WEIGHTS / "starting_point.safetensors").exists():
        steps = starting_point.training_steps(ddpm, *data.tensors, bf16=bf16)
        for _ in tqdm(steps, total=starting_point.steps_of(len(data)), mininterval=30):
            pass
        keep(ddpm, "starting_point")
    kept(ddpm, "starting_point")
    labels, result = test_set().tensors[1][:COMPARED], {}
    for name, uniform, part in (("Gaussian", False, labels), ("uniform, as published", True, labels[:100])):
        images = [starting_point.sample(ddpm, few, uniform_noise=uniform, bf16=bf16) for few in part.split(100)]
        result[name] = scores_of(torch.cat(images), part) | {"mean pixel": torch.cat(images).mean().item()}
    return result


def ours_after(data: TensorDataset) -> list[dict]:
    """Scores of our recipe after each budget: at w = 0, as for the starting point, and at w = 1."""
    results = []
    for seconds in BUDGETS:
        torch.manual_seed(0)
        ddpm = DDPM.recommended()
        for record in train(ddpm, data, TrainConfig(seconds=seconds), torch.Generator().manual_seed(0), device=CPU):
            steps = record.step
        keep(ddpm, f"ours_{seconds}")
        at = {f"w={w:.0f}": sampled_scores(ddpm, COMPARED, w, "ancestral", 10) for w in (0.0, 1.0)}
        results.append({"seconds": seconds, "steps": steps, **at})
        print(json.dumps(results[-1]), flush=True)
    return results


def five_minutes(data: TensorDataset) -> list[dict]:
    """Scores of the model of the 300 s budget over w, on 10,000 samples."""
    ddpm = kept(DDPM.recommended(), f"ours_{BUDGETS[-1]}")
    return [sampled_scores(ddpm, 10_000, w, "ancestral", 10) for w in (0.0, 0.2, 0.4)]


def shipped(data: TensorDataset) -> list[dict]:
    """Scores of the shipped weights on 10,000 samples: 8, 30, 60 steps, at w that may be best for FID, and at w = 1."""
    ddpm, points = load_checkpoint(), ((8, 0.0), (8, 0.1), (8, 1.0), (30, 0.15), (60, 0.1))
    return [sampled_scores(ddpm, 10_000, w, "ancestral", steps) for steps, w in points]


def student(data: TensorDataset) -> list[dict]:
    """Scores of the student that ships: on as many samples as the starting point's, and on 10,000."""
    ddpm, points = load_checkpoint("student"), ((1, 0.3), (1, 1.0), (2, 0.3), (2, 1.0), (4, 0.3), (8, 0.2))
    results = []
    for n in (COMPARED, 10_000):
        results += [sampled_scores(ddpm, n, w, renoise_step, steps) for steps, w in points]
    return results


def memorised(data: TensorDataset, n: int = 1000) -> dict:
    """L2 distance to the nearest training digit, of n samples of the shipped weights and of n test digits."""
    images, labels = (tensor[:n] for tensor in test_set().tensors)
    samples = sample(load_checkpoint(), labels, w=0.0, steps=20, generator=torch.Generator().manual_seed(1))
    result = {}
    for name, x in (("samples", samples), ("test digits", images)):
        nearest, _ = nearest_neighbours(x, data.tensors[0])
        result[name] = {
            "median": nearest.median().item(),
            "1 %": nearest.quantile(0.01).item(),
            "closest": nearest.min().item(),
        }
    return result


# ---------------------------------------------------------------------------- report

QUALITY = (starting_point_quality, ours_after, five_minutes, shipped, student, memorised)


def measure_speed(data: TensorDataset) -> dict:
    """All that is timed, and nothing that is scored."""
    ddpm, student = load_checkpoint(), load_checkpoint("student")
    return {
        "training": training_speed(data),
        "sampling": sampling_speed(ddpm, student),
        "latency": latency(ddpm, "dpmpp_2m", 8),
        "latency of the student": latency(student, "ddim", 1),
        "limit": limit(data),
        "folding": folding(ddpm),
    }


def report_speed(speed: dict, machine: str) -> None:
    """Print the speeds, and the machine on which they were measured."""
    training, sampling, top = speed["training"], speed["sampling"], speed["limit"]
    print(f"{machine}; medians of {ROUNDS} rounds in turns, ratios with their range\n")
    print(
        f"training        {training['ours: images/s']:8.0f} images/s, starting point "
        f"{training['starting point: images/s']:.0f}: {text(training['ratio'])}"
    )
    print(
        f"sampling        {sampling['ours, 8 steps: guided images/s']:8.0f} guided images/s, starting point "
        f"{sampling['starting point: guided images/s']:.2f}: {text(sampling['ratio'])}"
    )
    for steps in ("1 step", "2 steps"):
        print(
            f"student, {steps:<7}{sampling[f'student, {steps}: guided images/s']:8.0f} guided images/s: "
            f"{text(sampling[f'ratio, student, {steps}'])} as many as the starting point"
        )
    for name, late in (("ten digits", speed["latency"]), ("of the student", speed["latency of the student"])):
        print(f"{name:<15} {late['median ms']:8.1f} ms with {late['steps']} guided steps (p95 {late['p95 ms']:.1f} ms)")
    print(
        f"limit           {top['GFLOP of a training step']:8.1f} GFLOP a training step at "
        f"{top['GFLOP/s of a training step']:.0f} GFLOP/s, a matrix product reaches "
        f"{top['GFLOP/s of a matrix product']:.0f}: {top['fraction attained']:.0%}"
    )
    for what, ms in speed.get("folding", {}).items():  # results.json may be older than this stage
        print(
            f"{what:<15} {ms['folded: ms']:8.1f} ms with BatchNorm folded, {ms['not folded: ms']:.1f} without: "
            f"{ms['ratio']['median']:.2f}× ({ms['ratio']['min']:.2f} … {ms['ratio']['max']:.2f})"
        )


def report_quality(results: dict) -> None:
    """Print the starting point's quality, the budget after which ours is as good, and the ratio of the two times."""
    theirs = results["starting_point_quality"]["Gaussian"]
    steps = starting_point.steps_of(60_000)
    their_seconds = steps * results["speed"]["training"]["starting point: seconds a step"]
    print(
        f"\nstarting point  {their_seconds:,.0f} s for {steps:,} steps in float32: FID {theirs['fid']:.2f} "
        f"(floor {theirs['fid_floor']:.2f}), agreement {theirs['agreement']:.3f}"
    )
    for ours in results["ours_after"]:
        score = ours["w=0"]
        good = score["fid"] <= theirs["fid"] and score["agreement"] >= theirs["agreement"]
        print(
            f"ours            {ours['seconds']:5} s: FID {score['fid']:.2f}, agreement {score['agreement']:.3f}"
            + f"   as good, {their_seconds / ours['seconds']:.0f}× faster" * good
        )
    for name in ("five_minutes", "shipped", "student"):
        for score in results[name]:
            print(
                f"{name:<15} n = {score['n']:6}, w = {score['w']:3}, {score['steps']:2} × {score['sampler']:<12}: "
                f"FID {score['fid']:.3f} = {score['fid'] / score['fid_floor']:.1f} × floor, "
                f"agreement {score['agreement']:.4f}, coverage {score['coverage']:.3f}"
            )
    for name, nearest in results["memorised"].items():
        print(f"nearest training digit of {name}: " + ", ".join(f"{key} {value:.2f}" for key, value in nearest.items()))


def draw_figure(results: dict) -> None:
    """Draw quality over seconds of training; a dashed line shows the starting point."""
    theirs = results["starting_point_quality"]["Gaussian"]
    seconds = [ours["seconds"] for ours in results["ours_after"]]
    figure = plots.small_multiples(
        seconds,
        {
            "FID at w = 0": {"ours": [ours["w=0"]["fid"] for ours in results["ours_after"]]},
            "agreement at w = 0": {"ours": [ours["w=0"]["agreement"] for ours in results["ours_after"]]},
        },
        x_label="seconds of training on two cores",
        log_x=True,
        log_y={"FID at w = 0"},
        references={
            "FID at w = 0": (theirs["fid"], "starting point"),
            "agreement at w = 0": (theirs["agreement"], "starting point"),
        },
    )
    (REPOSITORY / "figures" / "benchmark.png").write_bytes(plots.png(figure))


@console.command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--stages", nargs="+", choices=["speed", *(stage.__name__ for stage in QUALITY)], default=[])
    arguments = parser.parse_args()
    if not (arguments.full or arguments.stages):
        return report_speed(measure_speed(load_mnist()[0]), describe_machine())
    data, _ = load_mnist(source="full")
    known = RESULTS if arguments.stages else RUNNING
    results = json.loads(known.read_text()) if known.exists() else {}
    for stage in (measure_speed, *QUALITY):
        name = stage.__name__.removeprefix("measure_")
        if name not in results or name in arguments.stages:
            results[name] = stage(data)
            ask = [sys.executable, str(REPOSITORY / "tools" / "commit.py")]
            commit = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
            results.setdefault("provenance", {})[name] = f"{date.today()}, commit {commit}, {describe_machine()}"
            WEIGHTS.mkdir(parents=True, exist_ok=True)
            RUNNING.write_text(json.dumps(results, indent=1) + "\n")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report_speed(results["speed"], results["provenance"]["speed"])
    report_quality(results)
    draw_figure(results)


if __name__ == "__main__":
    main()
