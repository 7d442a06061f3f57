"""The tests that notebook 09 is about tell planted bugs from right code, and so do the checks of a learner's."""

import pytest
import torch
import torch.nn.functional as F

from ddpm_lib import DDPM, NoiseSchedule
from ddpm_lib.course import bug_tests, checks, exhibits, museum

SCHEDULE = NoiseSchedule.cosine(T=500, shift=1.5)


def planted(name):
    return museum.planted(name).DDPM


def codes():
    """(test, further inputs, right codes, codes with a bug) for each of the four."""
    rooms = ("uniform noise", "variance for deviation", "noise at the end")
    films = [exhibits.film_with(bug, SCHEDULE) for bug in rooms]
    repaired = bug_tests.film_of(SCHEDULE, bug_tests.sampler_from(exhibits.noisy_step))
    yield "sampler_test", [SCHEDULE.alpha_bar], [bug_tests.film_of(SCHEDULE), repaired], films
    for name, of, bugs in (
        ("times_test", bug_tests.times_of, ["T is never trained"]),
        ("dropout_test", bug_tests.dropout_of, ["nobody is zero", "whole-batch dropout"]),
        ("guidance_test", bug_tests.guidance_of, ["scale for weight", "sign of guidance"]),
    ):
        yield name, [], [of(DDPM)], [of(planted(bug)) for bug in bugs]


@pytest.mark.parametrize(
    ("name", "more", "right", "buggy"), list(codes()), ids=lambda value: value if type(value) is str else ""
)
def test_a_test_of_the_library_passes_its_check_and_tells_planted_bugs_from_right_code(name, more, right, buggy):
    test = getattr(bug_tests, name)
    for seed in range(3):
        torch.manual_seed(seed)
        assert getattr(checks, name)(test).status == "passed"
        assert [bool(test(code, *more)) for code in right] == [True] * len(right)
        assert [bool(test(code, *more)) for code in buggy] == [False] * len(buggy)


def test_what_a_test_says_is_printed_for_each_code(capsys):
    bug_tests.say(lambda code, more: code() == more, {"one": lambda: 1, "two": lambda: 2}, 1)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["one", "right"],
        ["two", "a", "bug!"],
    ]


def test_guidance_is_taken_out_of_a_ddpm_for_any_shape():
    for shape in ((), (3,), (2, 1, 28, 28), (200, 1, 28, 28)):
        eps_y, eps_null = torch.randn(2, *shape)
        for w in (-1, 0, 2.5):
            got = bug_tests.guidance_of(DDPM)(eps_y, eps_null, w)
            torch.testing.assert_close(got, (1 + w) * eps_y - w * eps_null)


def test_a_learner_may_use_numpy_numbers_or_1_and_0():
    assert checks.guidance_test(lambda guided: int(bug_tests.guidance_test(guided))).status == "passed"
    assert checks.times_test(lambda draw: torch.tensor(bug_tests.times_test(draw))).status == "passed"


def test_the_stand_ins_for_repairs_are_right():
    for check, repair in {
        "repaired_step": exhibits.noisy_step,
        "repaired_times": bug_tests.times_of(DDPM),
        "repaired_average": exhibits.average_weights,
        "repaired_dropout": exhibits.label_rows,
        "repaired_config": exhibits.widened,
    }.items():
        assert getattr(checks, check)(repair).status == "passed", check
    assert checks.repaired_average(exhibits.average_all).status == "wrong"
    labels = torch.arange(10).repeat(500)
    rows = bug_tests.dropout_from(exhibits.label_rows)(labels, 0.0)
    assert torch.equal(rows, F.one_hot(labels, 10))
