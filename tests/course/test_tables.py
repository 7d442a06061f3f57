"""Tables that ship with the course: a written table is read back, and the shipped ones are whole."""

import json

import pytest

from ddpm_lib.course import tables


def test_a_table_is_read_as_it_was_written(tmp_path):
    rows = [
        {"w": -1.0, "sampler": "ddim", "steps": 10, "commit": "1234567", "checkpoint": None},
        {"w": None, "sampler": "real", "steps": None, "commit": "1e5", "checkpoint": "mnist, again"},
    ]
    tables.write_table(tmp_path / "a folder" / "table.csv", rows)
    assert tables.read_table(tmp_path / "a folder" / "table.csv") == rows
    assert tables.read_table(str(tmp_path / "a folder" / "table.csv")) == rows


def test_a_float_keeps_six_decimals(tmp_path):
    tables.write_table(tmp_path / "table.csv", [{"fid": 1 / 3}])
    assert (tmp_path / "table.csv").read_text() == "fid\n0.333333\n"


def test_a_table_may_lie_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # its name on Windows
    tables.write_table(tmp_path / "mine.csv", [{"w": 1.0}])
    assert tables.read_table("~/mine.csv") == [{"w": 1.0}]


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tables.read_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("path", [tables.W_SWEEP, tables.WHAT_MATTERED], ids=lambda path: path.stem)
def test_the_shipped_tables_are_whole_and_say_where_they_come_from(path, tmp_path):
    rows = tables.read_table(path)
    assert len({row["seed"] for row in rows}) > 1
    assert all(row["fid"] > 0 and row["fid_floor"] > 0 for row in rows)
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert said["commits"] == sorted({row["commit"] for row in rows})


def test_measured_seconds_are_read_as_they_were_written(tmp_path, monkeypatch):
    images_per_s, rows = tables.read_measured()
    assert images_per_s > 0
    assert all(row.seconds > row.fixed_seconds and row.peak_mib > 0 and row.title for row in rows.values())
    monkeypatch.setattr(tables, "MEASURED", tmp_path / "measured.json")
    tables.write_measured(images_per_s, dict(reversed(rows.items())))
    assert tables.read_measured() == (images_per_s, rows)
    assert list(tables.read_measured()[1]) == sorted(rows)


def test_course_times_scale_what_is_not_fixed(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MEASURED", tmp_path / "measured.json")
    rows = {"01_a": tables.Measured("One", 10, 0.0, 300), "03_c": tables.Measured("Three", 85, 60.0, 1000)}
    tables.write_measured(900, rows)
    head, _, _, *lines = tables.course_times(450.0).splitlines()
    assert "900" in head
    assert "2.0 times" in head
    assert [line.split() for line in lines] == [
        ["01_a", "10", "s", "20", "s", "300", "MiB"],
        ["03_c", "85", "s", "110", "s", "1000", "MiB"],
    ]
