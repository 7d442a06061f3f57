"""What a check does with code that misbehaves: it always ends, never raises, and says in plain words what it saw."""

import contextlib
import io
import random
import sys
import threading
import time
import types

import nbformat
import numpy as np
import papermill
import pytest
import torch

from ddpm_lib import NoiseSchedule
from ddpm_lib.course import checks, exercise
from ddpm_lib.course.exercise import Verdict, answer_of, check, judge

EVERY_CHECK = [
    name for name, value in vars(checks).items() if hasattr(value, "__wrapped__") and not name.startswith("_")
]


@check
def double(attempt):
    mistakes = [(lambda x: x**2, "that is the square")]
    return judge(attempt, lambda x: 2 * x, mistakes, [("on random inputs", torch.rand(8) + 0.1)])


@check
def first_t(attempt):
    """A check whose input is a schedule."""
    return judge(attempt, lambda schedule: schedule.T, [], [("on a linear schedule", NoiseSchedule.linear(20))])


@check
def largest(attempt):
    """A check whose input is a list."""
    return judge(attempt, max, [], [("on a list", [3.0, 1.0, 2.5])])


def endless(*inputs):
    while True:
        pass


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(exercise, "SECONDS", 0.3)


@pytest.mark.parametrize("name", EVERY_CHECK)
def test_an_endless_answer_is_given_up_and_its_line_is_shown(name, short):
    threads, start = threading.active_count(), time.monotonic()
    verdict = getattr(checks, name)(endless)
    assert verdict.status == "wrong"
    assert "still running after 0.3 s in line" in verdict.message
    assert "`while True:`" in verdict.message or "`pass`" in verdict.message
    assert time.monotonic() - start < 30
    assert threading.active_count() == threads, "the loop still runs"


def test_an_answer_that_sleeps_is_given_up(short):
    woken = threading.Event()
    verdict = double(lambda x: woken.wait(60))
    woken.set()
    assert "`verdict = double(lambda x: woken.wait(60))`" in verdict.message


def test_an_answer_that_catches_everything_is_given_up(short):
    tries, enough = [], threading.Event()

    def stubborn(x):
        while not enough.is_set():
            with contextlib.suppress(BaseException):
                tries.append(time.sleep(0.001))

    verdict = double(stubborn)
    enough.set()
    assert "is there a loop that never ends?" in verdict.message


def test_a_check_works_off_the_main_thread_and_inside_another_check(short):
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.extend([double(lambda x: x + x), double(endless)]))
    thread.start()
    thread.join(30)
    assert [verdict.status for verdict in verdicts] == ["passed", "wrong"]

    @check
    def twice(attempt):
        assert double(attempt).status == "passed"
        return double(attempt)

    assert twice(lambda x: 2 * x).status == "passed"


def test_leaving_python_is_no_answer():
    verdict = double(lambda x: sys.exit("bye"))
    assert verdict.message.startswith("your code raised SystemExit in line")


def test_an_interrupt_stops_the_check_and_the_learners_code(monkeypatch):
    threads = threading.active_count()
    join = threading.Thread.join

    def interrupted(self, timeout=None):
        if timeout == exercise.SECONDS:
            raise KeyboardInterrupt
        join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        double(endless)
    assert threading.active_count() == threads


def test_an_exception_shows_its_line_and_its_first_words_only():
    def attempt(x):
        rows = x.view(2, 4)
        raise RuntimeError(f"rows {len(rows)}\nand a long story")

    verdict = double(attempt)
    assert verdict.message.startswith("your code raised RuntimeError in line ")
    assert verdict.message.endswith(": rows 2")
    assert '`raise RuntimeError(f"rows {len(rows)}\\nand a long story")`' in verdict.message
    assert double(lambda x: [][0]).message.endswith("list index out of range")
    assert "raised AssertionError in line" in double(lambda x: (_ for _ in ()).throw(AssertionError())).message
    assert "positional argument" in double(lambda: 1).message


@pytest.mark.parametrize(
    ("check_of", "attempt", "words"),
    [
        (double, lambda x: x.mul_(2), "you changed `x` in place"),
        (double, lambda images: images.unsqueeze_(0)[0] * 2, "you changed `images` in place"),
        (largest, lambda weights: weights.sort() or weights[-1], "you changed `weights` in place"),
        (first_t, lambda schedule: schedule.beta.zero_() is None or schedule.T, "you changed `schedule` in place"),
        (double, torch.Tensor.square_, "you changed input 1 in place"),
        (double, lambda x: [1.0, None, 2.0], "entry 1 of your answer is None"),
        (double, lambda x: x / 0, "nan or inf"),
        (double, lambda x: x * 1j, "complex"),
        (double, lambda x: (2 * x)[None], "should have shape (8,), got (1, 8)"),
        (double, lambda x: (2 * x).long(), "torch.int64 holds whole numbers only"),
        (double, lambda x: (2 * x).bfloat16(), "torch.bfloat16 keeps three digits"),
        (double, lambda x: x > 0, "torch.bool holds whole numbers only"),
        (double, lambda x: torch.rand(8), "draw no random numbers here"),
        (double, lambda x: x * torch.ones(8).uniform_(), "draw no random numbers here"),
        (double, lambda x: lambda: x, "got function"),
        (double, lambda x: (2 * value for value in x), "got generator"),
        (double, lambda x: "2x", "got str"),
        (double, lambda x: {}, "got dict"),
        (double, lambda x: [torch.zeros(2), torch.zeros(3)], "got list"),
        (double, lambda x: 2 * x + 0.25, "off by up to 0.25"),
        (double, lambda x: x * x, "that is the square"),
        (double, None, "got NoneType"),
        (double, torch.zeros(8), "got Tensor"),
    ],
)  # fmt: skip
def test_plain_words(check_of, attempt, words):
    verdict = check_of(attempt)
    assert verdict.status == "wrong"
    assert words in verdict.message


@pytest.mark.parametrize(
    "attempt",
    [
        lambda x: (2 * x).double(),
        lambda x: (2 * x).requires_grad_(),
        lambda x: (2 * x).numpy(),
        lambda x: (2 * x).tolist(),
        lambda x: tuple(2 * value for value in x),
        lambda x: torch.nn.Linear(1, 1) and 2 * x,  # draws, but the answer does not depend on it
    ],
)
def test_right_numbers_are_right_whatever_holds_them(attempt):
    assert double(attempt).status == "passed"


@pytest.mark.parametrize("name", EVERY_CHECK)
def test_a_check_takes_one_number_from_the_global_generator_whatever_the_answer(name):
    torch.manual_seed(0)
    torch.randint(2**62, ())
    expected = torch.get_rng_state()
    for attempt in (lambda *_: None, lambda *_: torch.randn(1000), lambda *_: torch.manual_seed(5), lambda *_: 1 / 0):
        torch.manual_seed(0)
        getattr(checks, name)(attempt)
        assert torch.equal(torch.get_rng_state(), expected)


def test_inputs_are_fresh_in_each_call_and_repeat_with_the_seed():
    seen = []
    for seed in (0, None, 0):
        if seed is not None:
            torch.manual_seed(seed)
        double(lambda x: seen.append(x))
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


def test_an_answer_is_made_of_copies():
    x, seen = torch.ones(3), []
    got = answer_of(lambda y: seen.append(y) or y, [x])
    assert got[None].tolist() == x.tolist()
    assert seen[0] is not x


def test_a_verdict_prints_itself():
    assert [repr(Verdict(status, "so")) for status in ("passed", "wrong", "not attempted")] == [
        "✓ passed: so", "✗ wrong: so", "… not attempted: so",
    ]  # fmt: skip


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
def test_in_a_kernel(tmp_path):
    """What the learner's code prints stands below the check's cell; an endless answer does not stop the notebook."""
    cells = [
        "from ddpm_lib.course import checks, exercise\nexercise.SECONDS = 1",
        "def mine(images):\n    print('hello from my code')\n    return 2 * images - 1",
        "checks.rescale(mine)",
        "def forever(images):\n    n = 0\n    while n >= 0:\n        n += 1",
        "checks.rescale(forever)",
        "def crash(images):\n    half = images / 2\n    return half.stretch(2)",
        "checks.rescale(crash)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    executed = papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", progress_bar=False)
    texts = [
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in executed.cells
    ]
    assert texts[2].count("hello from my code") == 1
    assert "✓ passed" in texts[2]
    assert "still running after 1 s in line" in texts[4]
    assert "`n += 1`" in texts[4] or "`while n >= 0:`" in texts[4]
    assert "raised AttributeError in line 3, `return half.stretch(2)`" in texts[6]


def test_the_list_of_checks_is_that_of_the_module():
    functions = {name for name, value in vars(checks).items() if isinstance(value, types.FunctionType)}
    assert set(EVERY_CHECK) == {name for name in functions if not name.startswith("_")}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print(double(lambda x: None))
    assert "not attempted" in out.getvalue()


def test_an_answer_that_prints_and_returns_nothing_is_told_so(capsys):
    def prints(images):
        print("mean", images.mean() * 2 - 1)

    def forgets(images):
        images * 2 - 1

    for attempt in (prints, forgets):
        verdict = checks.rescale(attempt)
        assert verdict.status == "wrong"
        assert "`return`" in verdict.message


def test_a_list_of_tensors_is_told_how_to_become_one():
    assert "torch.stack" in checks.rescale(lambda images: [2 * image - 1 for image in images]).message
    assert "of 2 tensors: return one" in checks.rescale(lambda images: (images, images)).message


def test_what_an_answer_replaces_is_put_back_before_it_is_judged():
    originals = torch.allclose, torch.equal, torch.randn, np.isfinite, random.random, np.random.normal

    def poisons(x):
        torch.allclose = torch.equal = np.isfinite = lambda *inputs, **settings: True
        torch.randn, torch.Tensor.sqrt, random.random = torch.zeros, lambda self: self, lambda: 4
        np.random.normal = np.random.rand
        torch.set_default_dtype(torch.float64)
        random.seed(0)
        np.random.seed(0)
        return x

    states = random.getstate(), np.random.get_state()[1].tolist()
    assert double(poisons).status == "wrong"
    assert (torch.allclose, torch.equal, torch.randn, np.isfinite, random.random, np.random.normal) == originals
    assert torch.tensor(4.0).sqrt() == 2
    assert torch.get_default_dtype() == torch.float32
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states


def test_what_a_notebook_replaced_before_a_check_is_put_back_too(monkeypatch):
    monkeypatch.setattr(torch, "rand", torch.zeros)  # with x = 0 every mistake would look right
    assert double(lambda x: 3 * x).status == "wrong"


def test_a_check_cannot_type_and_cuts_off_endless_printing(capsys):
    assert "a check can't type" in double(lambda x: float(input("factor? ")) * x).message
    assert double(lambda x: print("1234567890" * 10_000) or 2 * x).status == "passed"
    assert double(lambda x: print("1234567890" * 10_000, file=sys.stderr) or 2 * x).status == "passed"
    out, err = capsys.readouterr()
    assert len(out) < 2100
    assert len(err) < 2100
    assert "leaves out the rest" in out


def reads_a_parameter(x):
    x  # noqa: B018
    return None


def handed_out(x):
    """x: (8,) → twice as much."""
    # your code
    return None


def left_below(x):
    print(2 * x)
    return None


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (handed_out, "not attempted"),
        (reads_a_parameter, "`return None`, is still there"),
        (left_below, "`return None`, is still there"),
        (lambda x: print(x), "end it with `return`"),
        (lambda x: 0, "should have shape"),
    ],
)
def test_not_attempted_is_the_stub_as_it_was_handed_out(attempt, words):
    assert words in repr(double(attempt))


def test_an_error_without_a_line_of_the_learner_is_not_called_theirs():
    assert "the check itself failed on this answer with TypeError" in checks.rescale(torch.nn.functional.linear).message
    assert "should take the 1 inputs of the stub" in double(lambda: 1).message


@check
def triple(attempt):
    """A check with two cases, and mistakes that can't always be told apart."""
    mistakes = [
        (lambda x: 2 * x, "twice, not three times"),
        (lambda x: x + x, "added once, not twice"),
        (lambda x: 3 * abs(x), "the sign is lost"),
        (lambda x: x, "nothing is done", "too little is done"),
        (lambda x: x * 1, "multiplied by 1", "too little is done"),
    ]
    return judge(attempt, lambda x: 3 * x, mistakes, [("above 0", torch.rand(3) + 1), ("below 0", -1.0)])


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda x: 3 * x, "right above 0 and below 0"),
        (lambda x: [3 * v for v in x] if isinstance(x, torch.Tensor) else np.float64(-3), "passed"),
        (lambda x: 3 * abs(x), "the sign is lost"),
        (lambda x: x if isinstance(x, float) else 3 * x, "right above 0, but below 0: off by up to 2"),
        (lambda x: 2 * x, "one of 2 mistakes: twice, not three times; or: added once"),
        (lambda x: x, "too little is done"),
        (lambda x: [][0] if isinstance(x, float) else 3 * x, "below 0: list index out of range"),
        (lambda x: None if isinstance(x, float) else 3 * x, "returned None below 0"),
        (lambda x: {"x": x}, "got dict"),
    ],
)
def test_a_mistake_is_named_where_it_fits_all_cases(attempt, words):
    assert words in repr(triple(attempt))


def test_an_answer_is_used_once_it_has_passed_and_only_then(capsys):
    def my_double(x):
        return 2 * x

    def library(x):
        return x + x

    assert exercise.use(my_double, otherwise=library) is library
    assert double(my_double).status == "passed"
    assert exercise.use(my_double, otherwise=library) is not library
    assert torch.equal(exercise.use(my_double, otherwise=library)(torch.ones(2)), 2 * torch.ones(2))

    def my_double(x):  # written again, and not checked again
        return 3 * x

    assert exercise.use(my_double, otherwise=library) is library
    assert double(my_double).status == "wrong"
    assert exercise.use(my_double, otherwise=library) is library
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "`my_double`: the library's, until yours has passed its check"
    assert said[1] == "`my_double`: yours"


@pytest.mark.parametrize(
    ("form", "dtype"),
    [
        (lambda x: x.double().numpy(), torch.float32),
        (lambda x: x.tolist(), torch.float32),
        (lambda x: x, torch.float32),
    ],
)
def test_an_answer_of_any_form_comes_as_the_library_needs_it(form, dtype):
    def my_double(x):
        return form(2 * x)

    double(my_double)
    got = exercise.use(my_double, otherwise=abs)(torch.ones(3))
    assert got.dtype == dtype
    assert torch.equal(got, 2 * torch.ones(3))


def test_an_answer_that_crashes_where_it_is_used_gives_way_to_the_library(capsys):
    def my_double(x):
        return 2 * x.view(8)

    assert double(my_double).status == "passed"
    used = exercise.use(my_double, otherwise=lambda x: 2 * x)
    assert torch.equal(used(torch.ones(3)), 2 * torch.ones(3))
    assert torch.equal(used(torch.ones(8)), 2 * torch.ones(8))
    assert capsys.readouterr().out.count("raised RuntimeError here") == 1


@pytest.mark.parametrize(("got", "plain"), [(3, 3), (2.5, 2.5), (None, None), (np.float64(2.5), 2.5), (True, True)])
def test_numbers_stay_numbers(got, plain):
    assert exercise._plain(got) is plain or exercise._plain(got) == plain


@check
def positive(attempt):
    return judge(attempt, lambda x: x > 0, [], [("at 1", 1), ("at 0", 0)])


def test_a_wrong_yes_or_no_is_said_in_words():
    assert positive(lambda x: True).message == "right at 1, but at 0: the answer should be False, got True"
    assert positive(lambda x: bool(x)).status == "passed"
