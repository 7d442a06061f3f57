"""Answers that draw random numbers, judged as that: new in each call, for each picture and pixel, by the right law.

Every limit lies six standard deviations away, so that a right answer is refused about once in a hundred million tests.
"""

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ddpm_lib.course.exercise import Mistake, answer_of, fitting, listed, named, wrong
from ddpm_lib.course.sandbox import Judged, Verdict

SIGMAS = 6
UNIFORM = 1.8  # E[z⁴] of uniform numbers of variance 1


class Law(NamedTuple):
    """What numbers are drawn from: mean + std·z, with independent z of mean 0 and variance 1.

    mean: (B, …) array. std: number, or array that broadcasts with mean; where it is 0 nothing is drawn.
    kurtosis: E[z⁴], 3 for a Gaussian and 1.8 for uniform numbers.
    """

    mean: object
    std: object
    kurtosis: float = 3.0


def draws(attempt: Callable, inputs: Sequence[object], shape: tuple, calls: int = 2, case: str = "") -> np.ndarray:
    """(calls, *shape) float64: what the answer returns in several calls. Ends the check at another shape, or nan."""
    got = []
    for _ in range(calls):
        answer = answer_of(attempt, inputs, case, finite=True)
        if list(answer) != [None]:
            raise Judged(wrong(f"the answer should be numbers of shape {shape}, got a dict"))
        if answer[None].shape != shape:
            raise Judged(wrong(f"the answer should have shape {shape}, got {answer[None].shape}"))
        got.append(np.asarray(answer[None]))
    return np.stack(got)


def judge_draw(
    attempt: Callable,
    law: Callable[..., Law],
    mistakes: Sequence[Mistake | tuple],
    cases: Sequence[tuple],
    along: Callable[..., Sequence[object]] = lambda *inputs: (),
) -> Verdict:
    """Judge an answer that draws every pixel from a law: mean, standard deviation and shape of its noise.

    cases, mistakes: as for `judge`, but a mistake's function gives its Law. along: pictures in whose direction a wrong
    mean would lie, such as the inputs; z must have no part of them.
    """
    laws = [law(*copy.deepcopy(inputs)) for _, *inputs in cases]
    drawn = [
        draws(attempt, inputs, tuple(np.shape(want.mean)), case=name if i else "")
        for i, ((name, *inputs), want) in enumerate(zip(cases, laws, strict=True))
    ]
    ways = [along(*inputs) for _, *inputs in cases]
    for got in drawn:
        _same_for_all(got)
    problems = [_unlike(*three) for three in zip(drawn, laws, ways, strict=True)]
    if not any(problems):
        if any(
            np.any(np.asarray(want.std) > 0) and np.array_equal(*got) for got, want in zip(drawn, laws, strict=True)
        ):
            return _says("two calls give the same noise: draw new random numbers each time")
        return Verdict("passed", f"mean, size and kind of the noise are right {listed(name for name, *_ in cases)}")

    def fits(mistake: Mistake) -> bool:
        others = [mistake.answer(*copy.deepcopy(inputs)) for _, *inputs in cases]
        return not any(_unlike(*three) for three in zip(drawn, others, ways, strict=True))

    if found := fitting(mistakes, fits):
        return named(found)
    fine = listed(case[0] for case, problem in zip(cases, problems, strict=True) if not problem)
    first = next(i for i, problem in enumerate(problems) if problem)
    return wrong(f"right {fine}, but {cases[first][0]}: {problems[first]}" if fine else problems[first])


def _same_for_all(drawn: np.ndarray) -> None:
    """Ends the check where all pictures, or all pixels of one, share their noise: what differs between two calls."""
    noise = (drawn[1] - drawn[0]).reshape(drawn.shape[1], -1)
    size = np.linalg.norm(noise, axis=1)
    noise = noise[size > 1e-6 * (1 + abs(drawn).max())]
    if noise.size and noise.shape[1] > 1 and noise.std(axis=1).max() < 1e-3 * abs(noise).max():
        raise Judged(_says("all pixels of a picture get the same noise: draw it in the shape of the pictures"))
    unit = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    if len(unit) > 1 and abs(unit - unit[:1]).max() < 1e-2:
        raise Judged(_says("every picture gets the same noise: draw it in the shape of the pictures"))


def _unlike(drawn: np.ndarray, law: Law, ways: Sequence[object]) -> str:
    """What speaks against this law in the first call, or ""."""
    got, mean = drawn[0].reshape(len(drawn[0]), -1), np.asarray(law.mean, np.float64)
    std = np.broadcast_to(np.asarray(law.std, np.float64), mean.shape).reshape(got.shape)
    mean, random = mean.reshape(got.shape), (std > 0).all(axis=1)
    off = abs(got - mean)[~random].max(initial=0)
    if off > 1e-3:
        return f"nothing should be drawn where the standard deviation is 0, and your answer is off by up to {off:.3g}"
    if not random.any():
        return ""
    z = (got - mean)[random] / std[random]
    n, m = z.size, z.shape[1]  # m pixels of a picture
    middle = max(abs(z.mean()) * n**0.5, abs(z.mean(axis=1)).max() * m**0.5)
    for way in ways:
        way = np.asarray(way, np.float64).reshape(got.shape)[random]
        parts, size = (z * way).sum(axis=1), np.linalg.norm(way, axis=1)
        middle = max(middle, abs(parts / size).max(), abs(parts.sum()) / np.linalg.norm(way))
    if middle > SIGMAS + 1:
        bias = np.sqrt(np.mean((drawn.mean(axis=0).reshape(got.shape) - mean)[random].mean(axis=1) ** 2))
        return f"the mean of your draw is off by about {bias:.2g}"
    spread = np.sqrt((law.kurtosis - 1) / n), np.sqrt((law.kurtosis - 1) / m)
    if abs((z**2).mean() - 1) > SIGMAS * spread[0] or abs((z**2).mean(axis=1) - 1).max() > (SIGMAS + 2) * spread[1]:
        return f"your noise has {z.std():.2f} of the standard deviation asked for"
    if n > 20_000 and abs((z**4).mean() - law.kurtosis) > 0.6:  # its own deviation is below 0.07
        return "mean and standard deviation are right, but the noise isn't Gaussian: that takes randn, not rand"
    return ""


def judge_shares(
    attempt: Callable,
    outcomes: Callable,
    law: Callable[..., dict[int, float]],
    mistakes: Sequence[Mistake | tuple],
    cases: Sequence[tuple],
    what: str,
    each: str,
    shape: Callable[..., tuple],
    calls: int = 200,
) -> Verdict:
    """Judge an answer that draws one of several things for each picture, such as a time, or whether a row is dropped.

    outcomes(answer, *inputs): (B,) whole numbers, from the answer as an array; may end the check by Judged.
    law(*inputs): the probability of each number. cases, mistakes: as for `judge`, but a mistake's function gives its
    law. what, each: such as "times", "picture". shape(*inputs): of the answer.
    """
    drawn = [
        np.stack(
            [outcomes(answer, *inputs) for answer in draws(attempt, inputs, shape(*inputs), calls, name * bool(i))]
        )
        for i, (name, *inputs) in enumerate(cases)
    ]
    laws = [law(*inputs) for _, *inputs in cases]
    for got, want in zip(drawn, laws, strict=True):
        (_, batch), chance = got.shape, max(want.values())
        if chance ** (batch * (calls - 1)) < 1e-9 and (got == got[:1]).all():
            return _says(f"two calls give the same {what}: draw new random numbers each time")
        if chance ** (calls * (batch - 1)) < 1e-9 and (got == got[:, :1]).all():
            return _says(f"the whole batch gets the same {what}: draw one for each {each}")
    problems = [_uneven(got, want, what) for got, want in zip(drawn, laws, strict=True)]
    if not any(problems):
        return Verdict("passed", f"new {what} in each call, for each {each}, in the shares asked for")

    def fits(mistake: Mistake) -> bool:
        others = [mistake.answer(*inputs) for _, *inputs in cases]
        return not any(_uneven(got, other, what) for got, other in zip(drawn, others, strict=True))

    found = fitting(mistakes, fits)
    return named(found) if found else wrong(next(filter(None, problems)))


def _uneven(drawn: np.ndarray, law: dict[int, float], what: str) -> str:
    """What speaks against these shares, or ""."""
    values, counts = np.unique(drawn, return_counts=True)
    strange = set(values.tolist()) - {value for value, share in law.items() if share > 0}
    if strange:
        return f"your {what} run from {values.min():g} to {values.max():g}, asked for {min(law):g} to {max(law):g}"
    counted, n = dict(zip(values.tolist(), counts.tolist(), strict=True)), drawn.size
    for value, share in law.items():
        if abs(counted.get(value, 0) - n * share) > SIGMAS * (n * share * (1 - share)) ** 0.5 + 3:
            return f"{value:g} comes in {counted.get(value, 0) / n:.1%} of the {what}, asked for {share:.1%}"
    return ""


def _says(text: str) -> Verdict:
    return Verdict("wrong", text, text)
