"""Each mistake that a check knows is handed to it as an answer, with several seeds: it finds this one and no other."""

import inspect

import pytest
import torch
from corpus import FILES, answers, verdicts

from ddpm_lib.course import chance, checks, exercise


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
