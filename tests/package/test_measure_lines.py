"""The measure of the engine that issue 13 sets: its lines, its guards, and what one reads before changing something."""

from pathlib import Path

import measure_lines
import pytest

SOURCE = '''\
"""The file.

It says more.
"""

from ddpm_lib import guards
from ddpm_lib.guards import is_count as counts

LARGEST = 3  # a comment beside work


class Thing:
    """A thing."""

    def __init__(self, x, y):
        # A comment of its own.
        self.x = guards.images(
            "x",

            x,
        )
        if not counts(y):
            raise ValueError(
                "y"
            )
        with guards.inside():
            self.work()

    def work(self):
        for name in "ab":
            if name == "c":
                raise TypeError
        try:
            one = int("1")
        except ValueError as error:
            raise ValueError("no") from error
        if one:
            self.work()
            raise RuntimeError
        try:
            return helper(one)
        finally:
            pass


def helper(one):
    return [other(one), left_out(one)]


def other(one):
    return one


def left_out(one):
    return one


def unread():
    pass
'''


def test_each_line_is_one_of_four_things():
    kinds = dict(zip(SOURCE.splitlines(), measure_lines.kinds_of_lines(SOURCE), strict=True))
    assert len(measure_lines.kinds_of_lines(SOURCE)) == len(SOURCE.splitlines())
    for kind, lines in {
        "documentation": ['"""The file.', "It says more.", '    """A thing."""', "        # A comment of its own."],
        "blank": [""],
        "guard": [
            '            "x",',
            "            x,",
            "        if not counts(y):",
            '                "y"',
            "        with guards.inside():",
            '        for name in "ab":',
            "                raise TypeError",
            "        except ValueError as error:",
            '            raise ValueError("no") from error',
        ],
        "work": [
            "LARGEST = 3  # a comment beside work",
            "            self.work()",
            '            one = int("1")',
            "        if one:",
            "            raise RuntimeError",
            "            return helper(one)",
            "from ddpm_lib import guards",
        ],
    }.items():
        assert {line: kinds[line] for line in lines} == dict.fromkeys(lines, kind)


def test_what_is_called_in_the_same_file_is_read_too():
    assert measure_lines.lines_to_read(SOURCE, ["Thing.__init__"], without=["left_out"]) == {
        "Thing.__init__": 13,
        "Thing.work": 15,
        "helper": 2,
        "other": 2,
    }


@pytest.mark.parametrize("target", measure_lines.TARGETS)
def test_the_engine_can_be_read_in_one_sitting(target):
    """`python tools/measure_lines.py` prints where the lines are; 40 of 880 may serve other sets than MNIST."""
    assert measure_lines.numbers(measure_lines.REPOSITORY / "ddpm_lib")[target] <= measure_lines.TARGETS[target]


@pytest.mark.parametrize("change", measure_lines.TO_READ)
def test_what_has_to_be_read_is_there(change):
    file, start, without = measure_lines.TO_READ[change]
    source = (Path(measure_lines.REPOSITORY) / "ddpm_lib" / file).read_text(encoding="utf-8")
    assert measure_lines.lines_to_read(source, [*start, *without]).keys() >= {*start, *without}
