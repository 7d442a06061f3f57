"""Which exercises passed on this machine."""

import pytest

from ddpm_lib import course
from ddpm_lib.course import checks, record


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("DDPM_PROGRESS", str(tmp_path / "folder" / "progress.json"))
    return tmp_path / "folder" / "progress.json"


def my_rescale(images):
    return 2 * images - 1


def test_what_passed_is_remembered_until_it_is_forgotten(file):
    assert course.progress()["00_welcome"] == {"rescale": False}
    assert not file.exists()
    assert checks.rescale(my_rescale).status == "passed"
    assert course.progress()["00_welcome"] == {"rescale": True}
    assert repr(course.progress()).splitlines()[0].split() == ["00_welcome", "●"]
    assert repr(course.progress()).endswith(f"1 of {len(checks.__all__)} exercises passed on this machine")
    course.forget_progress()
    assert course.progress()["00_welcome"] == {"rescale": False}
    course.forget_progress()


def test_only_answers_that_passed_count(file):
    def my_wrong_rescale(images):
        return images

    checks.rescale(my_wrong_rescale)
    checks.rescale(lambda images: 2 * images - 1)  # someone else's, in notebook 00
    assert not file.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"rescale": 3}', "{", "\0"])
def test_a_damaged_record_counts_as_none_and_is_written_anew(file, content):
    file.parent.mkdir()
    file.write_text(content)
    assert course.progress()["00_welcome"] == {"rescale": False}
    checks.rescale(my_rescale)
    assert course.progress()["00_welcome"] == {"rescale": True}


def test_a_disk_that_refuses_costs_no_verdict(file):
    file.parent.write_text("a file where the folder should be")
    assert checks.rescale(my_rescale).status == "passed"
    assert course.progress()["00_welcome"] == {"rescale": False}


def test_off(monkeypatch, tmp_path):
    monkeypatch.setenv("DDPM_PROGRESS", "off")
    monkeypatch.chdir(tmp_path)
    checks.rescale(my_rescale)
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("DDPM_PROGRESS")
    assert record.path().name == "progress.json"


def test_a_file_of_the_learners_own_may_lie_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # its name on Windows
    monkeypatch.setenv("DDPM_PROGRESS", "~/mine/progress.json")
    record.note("rescale")
    assert (tmp_path / "mine" / "progress.json").exists()
    assert "rescale" in record.passed()
