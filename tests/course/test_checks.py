"""What every check does with answers that are no answers. Right and wrong ones: test_answers.py."""

import math
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddpm_lib.course import checks

NAMES = sorted(name for name, value in vars(checks).items() if hasattr(value, "__wrapped__"))
every_check = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True, params=range(3))
def seed(request):
    torch.manual_seed(request.param)


def test_every_check_is_public_and_nothing_else_is():
    functions = {name for name, value in vars(checks).items() if isinstance(value, types.FunctionType)}
    assert functions == set(NAMES) == set(checks.__all__)


@every_check
def test_an_untouched_stub_is_not_attempted(name):
    verdict = getattr(checks, name)(lambda *inputs: None)
    assert verdict.status == "not attempted"
    assert repr(verdict).startswith("… not attempted")


@every_check
def test_answers_that_are_no_numbers_or_have_another_shape_are_wrong(name):
    for attempt in (lambda *_: "text", lambda *_: object(), lambda *_: torch.zeros(3, 3), lambda *_: {"x": 1}):
        verdict = getattr(checks, name)(attempt)
        assert verdict.status == "wrong"
        assert repr(verdict).startswith("✗ wrong")


@every_check
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_answers_that_are_not_finite_are_wrong(name, value):
    for attempt in (lambda *_: value, lambda first, *_: np.full(np.shape(first), value)):
        assert getattr(checks, name)(attempt).status == "wrong"


@every_check
def test_an_exception_is_a_verdict_that_shows_the_learners_line(name):
    def attempt(*inputs):
        return inputs[0] / undefined_by_the_learner  # noqa: F821

    verdict = getattr(checks, name)(attempt)
    assert verdict.status == "wrong"
    assert "NameError" in verdict.message
    assert "return inputs[0] / undefined_by_the_learner" in verdict.message


@every_check
def test_an_exception_inside_torch_shows_the_learners_line_too(name):
    def attempt(*inputs):
        return F.conv2d(torch.zeros(2, 2), torch.zeros(3))

    verdict = getattr(checks, name)(attempt)
    assert verdict.status == "wrong"
    assert "return F.conv2d(torch.zeros(2, 2), torch.zeros(3))" in verdict.message


@every_check
def test_what_cannot_be_called_at_all_is_a_verdict(name):
    for attempt in (None, 3, lambda: 1):
        assert getattr(checks, name)(attempt).status == "wrong"
