"""Right and wrong answers, handed to their checks with several seeds; the shares that the course promises.

answers/ has a file for each notebook: RIGHT[name] is a list of functions, WRONG[name] of pairs of a function and the
words that its verdict must hold (None: the answer must be rejected, and no mistake named).
"""

import importlib.util
import inspect
import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from ddpm_lib.course import chance, checks, exercise

SEEDS = range(int(os.environ.get("DDPM_SEEDS", 2)))  # make stress tries more
FILES = sorted((Path(__file__).parent / "answers").glob("*.py"))


def answers(path):
    spec = importlib.util.spec_from_file_location(f"answers_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdicts(name, attempt):
    with torch.random.fork_rng():
        for seed in SEEDS:
            torch.manual_seed(seed)
            yield getattr(checks, name)(attempt)


def test_the_shares_that_the_course_promises(tried):
    count, trouble = Counter(), []
    for module in map(answers, FILES):
        assert module.RIGHT.keys() == module.WRONG.keys()
        for name in module.RIGHT:
            assert len(module.RIGHT[name]) >= 5, name
            assert len(module.WRONG[name]) >= 10, name
            for i, attempt in enumerate(module.RIGHT[name]):
                got = list(verdicts(name, attempt))
                refused = [verdict for verdict in got if verdict.status != "passed"]
                count.update(right=1, accepted=not refused)
                trouble += [f"{name}, right answer {i}: {refused[0]}"] if refused else []
            for i, (attempt, words) in enumerate(module.WRONG[name]):
                got = list(verdicts(name, attempt))
                is_named = all(words and words in verdict.message for verdict in got)
                other = [v for v in got if v.mistake and not (words and words in v.mistake)]
                count.update(wrong=1, rejected=all(v.status == "wrong" for v in got), named=is_named)
                count.update(other=bool(other), unattempted=any(v.status == "not attempted" for v in got))
                odd = (
                    [verdict for verdict in got if verdict.status != "wrong"]
                    or other
                    or (words and not is_named and got)
                )
                trouble += [f"{name}, wrong answer {i} ({words}): {odd[0]}"] if odd else []
    tried[f"of {count['right']:,} right answers were accepted"] += count["accepted"]
    tried[f"of {count['wrong']:,} wrong answers were rejected with every seed"] += count["rejected"]
    tried[f"of {count['wrong']:,} wrong answers were named"] += count["named"]
    trouble = "\n".join(trouble)
    assert count["accepted"] >= 0.97 * count["right"], trouble
    assert count["rejected"] >= 0.99 * count["wrong"], trouble
    assert count["named"] >= 0.75 * count["wrong"], trouble
    assert count["other"] == count["unattempted"] == 0, trouble


def test_there_are_answers_to_every_exercise():
    assert sorted(name for path in FILES for name in answers(path).RIGHT) == sorted(checks.__all__)


def drawing_from(law):
    """An answer that draws from a law."""

    def attempt(*inputs):
        mean, std, kurtosis = law(*inputs)
        z = torch.randn(mean.shape) if kurtosis != chance.UNIFORM else (torch.rand(mean.shape) - 0.5) * 12**0.5
        return mean + std * z

    return attempt


def choosing_from(law, shape):
    """An answer of this shape that chooses by a law of shares: times, or which rows of the first input become zero."""

    def attempt(first, second):
        chances, (count, *row) = law(first, second), shape(first, second)
        weights = torch.tensor(list(chances.values())).clamp(min=0)
        picks = torch.tensor(list(chances))[torch.multinomial(weights, count, replacement=True)]
        return first * (picks == 0)[:, None] if row else picks

    return attempt


@pytest.mark.parametrize("name", [name for path in FILES for name in answers(path).RIGHT])
def test_each_mistake_of_a_check_is_told_from_all_others(name, monkeypatch):
    module, known = inspect.getmodule(getattr(checks, name).__wrapped__), []

    def spy(judged_by, as_answer):
        def judge(*inputs, **settings):
            mistakes = next(value for value in inputs if isinstance(value, list))  # before the cases
            given = inspect.signature(judged_by).bind(*inputs, **settings).arguments
            shape = [given["shape"]] if "shape" in given else []
            known.extend((as_answer(mistake[0], *shape), mistake[1]) for mistake in mistakes)
            return judged_by(*inputs, **settings)

        return judge

    for place, judge, as_answer in (
        (exercise, "judge", lambda f: f),
        (chance, "judge_draw", drawing_from),
        (chance, "judge_shares", choosing_from),
    ):
        if hasattr(module, judge):
            monkeypatch.setattr(module, judge, spy(getattr(place, judge), as_answer))
    getattr(checks, name)(next(right[name][0] for right in (answers(path).RIGHT for path in FILES) if name in right))
    monkeypatch.undo()
    assert len({diagnosis for _, diagnosis in known}) >= 6
    for attempt, diagnosis in known:
        for verdict in verdicts(name, attempt):
            assert verdict.mistake == diagnosis, verdict
