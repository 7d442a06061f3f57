"""A class that hands in right, wrong and untouched answers: `python tests/tools/made_up_class.py FOLDER [LEARNERS]`.

Each learner gets answers by lot from tests/course/answers/, half of them right.
"""

import random
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import marks  # noqa: E402
import run_notebooks  # noqa: E402


def answers_of(number: str) -> dict:
    """RIGHT and WRONG of a notebook's file of answers."""
    names = {}
    exec((ROOT / "tests" / "course" / "answers" / f"n{number}.py").read_text(encoding="utf-8"), names)
    return names


def hand_in(path: Path, target: Path, chosen: dict[str, str]) -> None:
    """Write a notebook with answers. chosen: for a check's name, where its answer is: ["RIGHT"]["rescale"][2]."""
    notebook = nbformat.read(path, 4)
    number = path.name[:2]
    source = (ROOT / "tests" / "course" / "answers" / f"n{number}.py").read_text(encoding="utf-8")
    notebook.cells.insert(2, nbformat.v4.new_code_cell(f"answers = {{}}\nanswers[0] = exec({source!r}, answers)"))
    by_name = {exercise.name: exercise.function for exercise in marks.all_exercises([path])}
    stubs = {cell.source.split("(")[0].removeprefix("def "): cell for cell in notebook.cells
             if "exercise" in cell.metadata.get("tags", [])}  # fmt: skip
    for name, expression in chosen.items():
        stubs[by_name[name]].source = f"{by_name[name]} = answers{expression}"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def make(folder: Path, learners: int, notebooks: list[Path]) -> dict[tuple[str, str], str]:
    """Write the class into folder. Returns the verdict that each (learner, exercise) should get."""
    wanted = {}
    for k in range(learners):
        dice, learner = random.Random(k), f"learner_{k + 1:02}"
        for path in notebooks:
            names, chosen = answers_of(path.name[:2]), {}
            for exercise in marks.all_exercises([path]):
                kind = dice.choices(["RIGHT", "WRONG", ""], [5, 4, 1])[0]
                wanted[learner, exercise.name] = {"RIGHT": "passed", "WRONG": "wrong", "": "not attempted"}[kind]
                if kind:
                    number = dice.randrange(len(names[kind][exercise.name]))
                    chosen[exercise.name] = f"[{kind!r}][{exercise.name!r}][{number}]" + (
                        "[0]" if kind == "WRONG" else ""
                    )
            hand_in(path, folder / learner / path.name, chosen)
    return wanted


if __name__ == "__main__":
    made = Path(sys.argv[1])
    found = make(made, int(sys.argv[2]) if len(sys.argv) > 2 else 30, run_notebooks.find_notebooks([]))
    print(f"{len(found)} answers: {made}")
