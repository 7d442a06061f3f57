"""Whether this machine is ready: missing packages by name, and a line for each thing that must be there."""

from importlib import metadata

import pytest

from ddpm_lib.course import machine


def test_no_package_is_missing_here():
    assert machine.missing_packages() == []


def test_a_package_is_missing_that_is_not_there_or_too_old(monkeypatch):
    lines = ["numpy>=1", "numpy>=99", "nowhere-to-be-found>=2; extra == 'hosted'", "another; extra == 'course'"]
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert machine.missing_packages() == ["numpy>=99", "nowhere-to-be-found>=2"]


def test_the_course_itself_is_missing_where_nobody_installed_it(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert machine.missing_packages() == ["ddpm_lib"]


@pytest.mark.parametrize(("gibibytes", "verdict"), [(8, "enough"), (0.5, "tight")])
def test_readiness_judges_the_memory(gibibytes, verdict, monkeypatch):
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: type("", (), {"available": gibibytes * 2**30}))
    lines = dict(line.split(maxsplit=1) for line in machine.readiness().splitlines())
    assert list(lines) == ["Python", "computes", "data", "memory", "disk"]
    assert lines["memory"].startswith(f"{gibibytes:.1f} GiB free: {verdict}")
