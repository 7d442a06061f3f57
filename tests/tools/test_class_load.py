"""tools/class_load.py: what a learner of a full class waits for, and what is said where a kernel fails."""

import sys

import class_load
import nbformat
import pytest

from ddpm_lib.widgets import GuidanceLab

TINY = """\
import torch
from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig
from ddpm_lib.widgets import GuidanceLab
lab = GuidanceLab(DDPM(UNet(UNetConfig(widths=(4, 8, 8), embedding_width=8)), NoiseSchedule.linear(T=20)).eval())"""


@pytest.fixture
def load(tmp_path, monkeypatch, capsys):
    """load(source, N, …): the exit code and the lines for N learners whose notebook has this code before the lab."""

    def load(source, *numbers):
        cells = [nbformat.v4.new_code_cell(text) for text in (source, "raise SystemError('below the lab')")]
        cells[0].id = class_load.LAST
        monkeypatch.setattr(class_load, "NOTEBOOK", tmp_path / "tiny.ipynb")
        nbformat.write(nbformat.v4.new_notebook(cells=cells), class_load.NOTEBOOK)
        monkeypatch.setattr(class_load, "SECONDS", 0.1)
        monkeypatch.setattr(sys, "argv", ["class_load.py", *map(str, numbers)])
        with pytest.raises(SystemExit) as stop:
            class_load.main()
        return stop.value.code, capsys.readouterr().out.splitlines()

    return load


def test_a_person_waits_for_every_picture(tiny_ddpm):
    lab = GuidanceLab(tiny_ddpm)
    taken = class_load.move_like_a_person(lab, 0.1, seed=0)
    assert len(taken["finished"]) == 1
    assert 3 <= len(taken["first"]) <= 10
    assert len(taken["pictures"]) >= 2  # at least one on the way, and the finished one
    assert 0 < max(taken["first"]) < 10
    assert lab.status.value == ""


def test_a_lab_that_draws_nothing_is_an_error(tiny_ddpm):
    lab = GuidanceLab(tiny_ddpm)
    lab.ddpm = None
    with pytest.raises(RuntimeError, match="no picture of w"):
        class_load.move_like_a_person(lab, 0.1, seed=0)


@pytest.mark.parametrize("numbers", [["0"], ["-1"], ["two"], ["1", ""]])
def test_numbers_of_learners_are_checked(load, numbers):
    code, lines = load(TINY, *numbers)
    assert code.startswith("numbers of learners must be whole numbers above 0")
    assert lines == []


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")  # Jupyter's own
def test_two_learners_at_once_are_a_line_with_numbers(load):
    code, (header, line) = load(TINY, 2)
    assert code == 0
    assert header == class_load.HEADER
    n, rate, first, finished, opening, memory, of_one = map(float, line.split())
    assert n == 2
    assert rate > 0
    assert 0 < first < 20_000
    assert finished > 120  # the lab's patience
    assert opening > 0
    assert sys.platform != "linux" or 100 < of_one < memory < 2 * of_one + 1


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
def test_kernels_that_fail_are_lines_and_the_exit_code(load):
    dies_second = "import os, pathlib\ntry:\n    pathlib.Path('one').mkdir()\nexcept FileExistsError:\n    {}\n" + TINY
    code, lines = load(dies_second.format("os._exit(3)"), 2)
    assert code == 1
    assert len(lines) == 3
    assert float(lines[1].split()[1]) > 0  # the other learner's pictures
    assert "a learner's kernel failed: " in lines[2]
    assert "died" in lines[2].lower()
