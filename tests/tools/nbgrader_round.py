"""A round with nbgrader: release, hand in, autograde; its points must be what `grade` says. noxfile.py runs it."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import made_up_class
import marks
import run_notebooks

CONFIG = "c = get_config()\nc.CourseDirectory.course_id = 'course'\nc.ExecutePreprocessor.timeout = 600\n"


def main() -> None:
    bin_folder = Path(sys.executable).parent
    os.environ["PATH"] = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic by its name
    notebooks = run_notebooks.find_notebooks(["01"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def nbgrader(*arguments: str) -> None:
            subprocess.run([bin_folder / "nbgrader", *arguments], cwd=folder, check=True)

        (folder / "nbgrader_config.py").write_text(CONFIG)
        marks.release(notebooks, folder / "source" / "diffusion", nbgrader=True)
        nbgrader("generate_assignment", "diffusion")
        released = folder / "release" / "diffusion" / notebooks[0].name
        assert "HIDDEN TESTS" not in released.read_text(encoding="utf-8")
        wanted = made_up_class.make(folder / "handed_in", 2, [released])
        for learner in sorted((folder / "handed_in").iterdir()):
            shutil.copytree(learner, folder / "submitted" / learner.name / "diffusion")
        nbgrader("autograde", "diffusion")
        nbgrader("export")
        with open(folder / "grades.csv", newline="", encoding="utf-8") as file:
            points = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
        for learner, score in points.items():
            passed = sum(verdict == "passed" for (who, _), verdict in wanted.items() if who == learner)
            print(f"{learner}: {score:.0f} points of nbgrader, {passed} right answers")
            assert score == passed
        assert len(points) == 2
        for mark in marks.grade(notebooks, folder / "handed_in"):
            assert mark.verdict == wanted[mark.learner, mark.exercise.name]


if __name__ == "__main__":
    main()
