"""Ours against the starting point, timed and scored in one run and in turns; ratios with their spread.

    python benchmarks/bench.py            speed only, about two minutes, prints; `make bench`
    python benchmarks/bench.py --full     and quality, hours: results.json, figures/benchmark.png; `make bench FULL=1`

The full form needs all of MNIST (make data). It keeps trained weights and finished stages in build/bench/,
so that it can be stopped and goes on. `--stages NAME...` does some anew, and takes the others from results.json.
"""

import argparse
import functools
import json
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

import starting_point
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import TensorDataset
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from ddpm_lib import DDPM, TrainConfig, describe_machine, load_checkpoint, load_mnist, sample, train
from ddpm_lib.course import plots
from ddpm_lib.evaluation import evaluate, nearest_neighbours
from ddpm_lib.precision import has_fast_bf16

REPOSITORY = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results.json"
WEIGHTS = REPOSITORY / "build" / "bench"
RUNNING = WEIGHTS / "results.json"  # what a run has so far
BUDGETS = (15, 30, 60, 120, 180, 300)  # seconds of training
COMPARED = 500  # samples for which ours and the starting point are scored: it needs a second or two for each
ROUNDS = 7
CPU = torch.device("cpu")  # both run there, also where there is a GPU


def in_turns(**tasks: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each task in each round, one after the other within a round; a first round isn't counted."""
    seconds = {name: [] for name in tasks}
    for _ in range(ROUNDS + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """slow/fast, round by round: median, smallest and largest."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def text(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.1f}× ({ratio['min']:.1f} … {ratio['max']:.1f})"


# ---------------------------------------------------------------------------- speed


def training_speed(data: TensorDataset) -> dict:
    """Seconds per optimizer step of the starting point (float32) and of ours, and images per second."""
    batch, ours = TrainConfig(steps=1).batch_size, 8  # ours takes eight steps a turn
    theirs = starting_point.training_steps(starting_point.starting_point(), *data.tensors)
    steps = train(DDPM.recommended(), data, TrainConfig(steps=100_000), torch.Generator().manual_seed(0), device=CPU)
    seconds = in_turns(starting_point=lambda: next(theirs), ours=lambda: [next(steps) for _ in range(ours)])
    theirs_per_image = [s / starting_point.BATCH_SIZE for s in seconds["starting_point"]]
    ours_per_image = [s / ours / batch for s in seconds["ours"]]
    return {
        "starting point: seconds a step": median(seconds["starting_point"]),
        "starting point: images/s": 1 / median(theirs_per_image),
        "ours: images/s": 1 / median(ours_per_image),
        "ratio": ratio(theirs_per_image, ours_per_image),
    }


def sampling_speed(ddpm: DDPM, steps: int = 8, batch: int = 100) -> dict:
    """Guided images per second (w = 1), batches of 100: T ancestral steps against 8 DPM-Solver++ steps."""
    labels = torch.arange(batch) % 10
    theirs = starting_point.starting_point().eval()
    x_t, t = torch.randn(batch, 1, 28, 28), torch.full((batch,), 250)

    def one_step():
        with torch.inference_mode():
            theirs.predict_noise(x_t, t, labels, w=1.0)

    seconds = in_turns(
        starting_point=one_step, ours=lambda: sample(ddpm, labels, w=1.0, sampler="dpmpp_2m", steps=steps)
    )
    whole = [s * theirs.schedule.T for s in seconds["starting_point"]]  # all steps cost the same
    return {
        "starting point: guided images/s": batch / median(whole),
        f"ours, {steps} steps: guided images/s": batch / median(seconds["ours"]),
        "ratio": ratio(whole, seconds["ours"]),
    }


def latency(ddpm: DDPM, steps: int = 8, times: int = 50) -> dict:
    """Milliseconds for ten guided digits in a warm process."""
    labels = torch.arange(10)
    milliseconds = []
    for _ in range(times + 5):
        start = time.perf_counter()
        sample(ddpm, labels, w=1.0, sampler="dpmpp_2m", steps=steps)
        milliseconds.append(1000 * (time.perf_counter() - start))
    ranked = sorted(milliseconds[5:])
    return {"median ms": median(ranked), "p95 ms": ranked[int(0.95 * times)], "steps": steps}


def limit(data: TensorDataset) -> dict:
    """FLOPs of our training step, what this machine reaches on a plain matrix product, and the fraction attained."""
    config = TrainConfig(steps=1000)
    x_0, labels = data.tensors[0][: config.batch_size] * 2 - 1, data.tensors[1][: config.batch_size]
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


# ---------------------------------------------------------------------------- quality


def keep(ddpm: DDPM, name: str) -> None:
    """The network's weights into build/bench/, also those of the starting point, whose network has no config."""
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.contiguous() for key, tensor in ddpm.unet.state_dict().items()}
    save_file(tensors, WEIGHTS / f"{name}.safetensors")


def kept(ddpm: DDPM, name: str) -> DDPM:
    """ddpm with the weights that were kept under this name, in eval mode."""
    ddpm.unet.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    return ddpm.eval()


@functools.cache
def test_set() -> TensorDataset:
    """The 10,000 test digits; loading them takes a second, for the digests of all files."""
    return load_mnist(source="full")[1]


def scores_of(images: torch.Tensor, labels: torch.Tensor) -> dict:
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


def draw(ddpm: DDPM, n: int, w: float, sampler: str, steps: int) -> dict:
    """Scores of n digits whose labels are the first n of the test set's, so that class shares are those of the data."""
    labels = test_set().tensors[1][:n]
    start, generator = time.perf_counter(), torch.Generator().manual_seed(1)
    images = [sample(ddpm, part, w=w, sampler=sampler, steps=steps, generator=generator) for part in labels.split(500)]
    seconds = time.perf_counter() - start
    how = {"w": w, "sampler": sampler, "steps": steps, "seconds": seconds}
    return how | scores_of(torch.cat(images), labels)


def starting_point_quality(data: TensorDataset) -> dict:
    """The starting point after its 15 epochs: COMPARED samples at w = 0, with Gaussian noise and as it was published.

    Where bfloat16 is fast it is used to afford this; its time is counted in float32, as `training_speed` measures it.
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
    """Our recipe trained for each budget, scored as the starting point is (COMPARED samples, w = 0) and at w = 1."""
    results = []
    for seconds in BUDGETS:
        torch.manual_seed(0)
        ddpm = DDPM.recommended()
        for record in train(ddpm, data, TrainConfig(seconds=seconds), torch.Generator().manual_seed(0), device=CPU):
            steps = record.step
        keep(ddpm, f"ours_{seconds}")
        at = {f"w={w:.0f}": draw(ddpm, COMPARED, w, "ancestral", 10) for w in (0.0, 1.0)}
        results.append({"seconds": seconds, "steps": steps, **at})
        print(json.dumps(results[-1]), flush=True)
    return results


def five_minutes(data: TensorDataset) -> list[dict]:
    """The model of the 300 s budget on 10,000 samples over w."""
    ddpm = kept(DDPM.recommended(), f"ours_{BUDGETS[-1]}")
    return [draw(ddpm, 10_000, w, "ancestral", 10) for w in (0.0, 0.2, 0.4)]


def shipped(data: TensorDataset) -> list[dict]:
    """The shipped weights on 10,000 samples: 30 steps and 8, at the w that may be best for FID and at w = 1."""
    ddpm, points = load_checkpoint(), ((8, 0.0), (8, 0.1), (8, 1.0), (30, 0.0), (30, 0.2))
    return [draw(ddpm, 10_000, w, "ancestral", steps) for steps, w in points]


def memorised(data: TensorDataset, n: int = 1000) -> dict:
    """L2 distance in pixels to the nearest training digit: n samples of the shipped weights beside n test digits."""
    images, labels = (tensor[:n] for tensor in test_set().tensors)
    drawn = sample(load_checkpoint(), labels, w=0.0, steps=20, generator=torch.Generator().manual_seed(1))
    result = {}
    for name, x in (("samples", drawn), ("test digits", images)):
        nearest, _ = nearest_neighbours(x, data.tensors[0])
        result[name] = {
            "median": nearest.median().item(),
            "1 %": nearest.quantile(0.01).item(),
            "closest": nearest.min().item(),
        }
    return result


# ---------------------------------------------------------------------------- report

QUALITY = (starting_point_quality, ours_after, five_minutes, shipped, memorised)


def measure_speed(data: TensorDataset) -> dict:
    ddpm = load_checkpoint()
    return {
        "training": training_speed(data),
        "sampling": sampling_speed(ddpm),
        "latency": latency(ddpm),
        "limit": limit(data),
    }


def report_speed(speed: dict, machine: str) -> None:
    """The speeds, with the machine that they were measured on."""
    training, sampling, late, top = speed["training"], speed["sampling"], speed["latency"], speed["limit"]
    print(f"{machine}; medians of {ROUNDS} rounds in turns, ratios with their range\n")
    print(
        f"training        {training['ours: images/s']:8.0f} images/s, starting point "
        f"{training['starting point: images/s']:.0f}: {text(training['ratio'])}"
    )
    print(
        f"sampling        {sampling['ours, 8 steps: guided images/s']:8.0f} guided images/s, starting point "
        f"{sampling['starting point: guided images/s']:.2f}: {text(sampling['ratio'])}"
    )
    print(
        f"ten digits      {late['median ms']:8.0f} ms with {late['steps']} guided steps (p95 {late['p95 ms']:.0f} ms)"
    )
    print(
        f"limit           {top['GFLOP of a training step']:8.1f} GFLOP a training step at "
        f"{top['GFLOP/s of a training step']:.0f} GFLOP/s, a matrix product reaches "
        f"{top['GFLOP/s of a matrix product']:.0f}: {top['fraction attained']:.0%}"
    )


def report_quality(results: dict) -> None:
    """The starting point's quality, when ours reaches it, and the ratio of the two times."""
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
    for name in ("five_minutes", "shipped"):
        for score in results[name]:
            print(
                f"{name:<15} w = {score['w']:3}, {score['steps']:2} × {score['sampler']:<9}: FID {score['fid']:.3f} = "
                f"{score['fid'] / score['fid_floor']:.1f} × floor, agreement {score['agreement']:.4f}"
            )
    for name, nearest in results["memorised"].items():
        print(f"nearest training digit of {name}: " + ", ".join(f"{key} {value:.2f}" for key, value in nearest.items()))


def draw_figure(results: dict) -> None:
    """Quality against seconds of training, the starting point's as a dashed line."""
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
            commit = ["git", "describe", "--always", "--dirty"]
            commit = subprocess.run(commit, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()
            results.setdefault("provenance", {})[name] = f"{date.today()}, commit {commit}, {describe_machine()}"
            WEIGHTS.mkdir(parents=True, exist_ok=True)
            RUNNING.write_text(json.dumps(results, indent=1) + "\n")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report_speed(results["speed"], results["provenance"]["speed"])
    report_quality(results)
    draw_figure(results)


if __name__ == "__main__":
    main()
