"""What a class got right, and what it gets wrong: marks.csv, and a page of it as class.html and class.png."""

import base64
import html
import io
from collections import Counter
from pathlib import Path

from ddpm_lib.course import plots
from ddpm_lib.files import write_atomically

from marks import Exercise, Mark, write_marks

# What one learner's answer to one exercise counts as, in the order of the bars, and the colour of each.
KINDS = {"passed": plots.GREEN, "named mistake": plots.ORANGE, "wrong, without a name": plots.PINK,
         "not attempted": "#b0b0b0", "not handed in": "#d8d8d8", "damaged": plots.BLUE}  # fmt: skip
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
:root { color-scheme: light dark; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
h2 { margin-top: 2.5rem; } h3 { margin-bottom: .2rem; }
"""


def write(marks: list[Mark], folder: Path) -> None:
    """Write marks.csv, class.html and class.png into folder, and print a line for each learner."""
    write_marks(marks, folder / "marks.csv")
    real = [mark for mark in marks if mark.exercise.name]
    picture = _png(real) if real else b""
    write_atomically(folder / "class.png", picture)
    write_atomically(folder / "class.html", page(marks, picture).encode())
    for learner in dict.fromkeys(mark.learner for mark in marks):
        own = [mark for mark in real if mark.learner == learner]
        passed = sum(mark.verdict == "passed" for mark in own)
        print(f"{learner}: {passed} of {len(own)} exercises passed")
    for mark in marks:
        if mark.verdict == "damaged":
            print(f"damaged, {mark.learner}: {mark.diagnosis}")
    print(f"{folder / 'marks.csv'}, {folder / 'class.html'}, {folder / 'class.png'}")


def kind_of(mark: Mark) -> str:
    """One of KINDS."""
    if mark.verdict == "wrong":
        return "named mistake" if mark.mistake else "wrong, without a name"
    return mark.verdict


def _by_exercise(marks: list[Mark]) -> dict[Exercise, list[Mark]]:
    return {exercise: [mark for mark in marks if mark.exercise == exercise]
            for exercise in dict.fromkeys(mark.exercise for mark in marks)}  # fmt: skip


@plots.styled
def _png(marks: list[Mark]) -> bytes:
    """A bar for each exercise: the shares of all kinds."""
    exercises = _by_exercise(marks)
    fig, axes = plots.figure(8.0, 1.2 + 0.24 * len(exercises))
    [[ax]] = axes
    left = [0.0] * len(exercises)
    for kind, color in KINDS.items():
        shares = [100 * sum(kind_of(mark) == kind for mark in own) / len(own) for own in exercises.values()]
        if any(shares):
            ax.barh(range(len(exercises)), shares, left=left, color=color, label=kind, height=0.75)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    ax.set_yticks(range(len(exercises)), [f"{e.notebook[:2]} {e.name}" for e in exercises])
    ax.invert_yaxis()
    ax.margins(y=0.01)
    ax.set(xlim=(0, 100), xlabel="% of the class")
    ax.grid(False, axis="y")
    fig.legend(loc="outside upper left", ncols=3)
    file = io.BytesIO()
    fig.savefig(file, dpi=plots.DPI, facecolor="white")
    return file.getvalue()


def page(marks: list[Mark], picture: bytes) -> str:
    """The page as HTML: the picture, and for each exercise the shares and the mistakes, the most frequent first."""
    real, learners = [mark for mark in marks if mark.exercise.name], dict.fromkeys(mark.learner for mark in marks)
    parts = [f"<h1>What the class gets wrong</h1><p>{len(learners)} learners, {len(_by_exercise(real))} exercises.</p>"]
    if picture:
        alt = "A bar for each exercise: the shares of the class that passed, made a named mistake, and so on."
        parts.append(f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">')
    notebook = ""
    for exercise, own in _by_exercise(real).items():
        if exercise.notebook != notebook:
            notebook = exercise.notebook
            parts.append(f"<h2>{notebook}</h2>")
        kinds = Counter(kind_of(mark) for mark in own)
        shares = ", ".join(f"{kinds[kind] / len(own):.0%} {kind}" for kind in KINDS if kinds[kind])
        parts.append(f"<h3><code>{exercise.name}</code></h3><p>{shares}</p>")
        found = Counter((mark.mistake or mark.diagnosis, bool(mark.mistake)) for mark in own if mark.verdict == "wrong")
        rows = [
            f'<tr><td class="number">{count / len(own):.0%}</td><td class="number">{count} ×</td>'
            f"<td>{html.escape(text)}{'' if is_named else ' <small>(no named mistake)</small>'}</td></tr>"
            for (text, is_named), count in found.most_common()
        ]
        parts.append(f"<table>{''.join(rows)}</table>" if rows else "")
    damaged = [f"<li>{html.escape(mark.learner)}: {html.escape(mark.diagnosis)}</li>"
               for mark in {mark.diagnosis: mark for mark in marks if mark.verdict == "damaged"}.values()]  # fmt: skip
    parts.append(f"<h2>Files that could not be read</h2><ul>{''.join(damaged)}</ul>" if damaged else "")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f"{head}<title>What the class gets wrong</title><style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
