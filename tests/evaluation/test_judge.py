"""Scores of other sets than MNIST: a judge that is trained on them, and the refusals where there is none."""

import math
import re

import pytest
import torch
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import Subset, TensorDataset

from ddpm_lib import DDPM, NoiseSchedule, UNet, UNetConfig, evaluation, hold_out, judge, load_mnist, make_reference
from ddpm_lib.course import few_steps, flows, live_training, soft_labels, walk_back
from ddpm_lib.evaluation import DIGITS, DigitClassifier, evaluate, floors, judge_of, load_test_features

CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(K=2, C=1, size=28, each=8, seed=0):
    """`each` pictures of each class: a bright bar whose place says the class, in a little noise."""
    y = torch.arange(K).repeat_interleave(each)
    x = 0.2 * torch.rand(len(y), C, size, size, generator=seeded(seed))
    for row, k in enumerate(y.tolist()):
        x[row, k % C, (k * (size - 3)) // K :][: 3 if K > 3 else size // K] += 0.7
    return TensorDataset(x, y)


def reference_of(K=2, C=1, size=28, classes=(), steps=2, each=8, seed=0):
    train_set, test_set = pictures(K, C, size, each), pictures(K, C, size, each, seed=1)
    return make_reference(train_set, test_set, classes, steps=steps, generator=seeded(seed)), test_set


def model_of(**more):
    torch.manual_seed(0)
    return DDPM(UNet(UNetConfig((4, 4, 4), 4, **more)), NoiseSchedule.cosine(20), "v")


@pytest.fixture
def without_kid(monkeypatch):
    """KID is most of the time that a small reference takes."""
    monkeypatch.setattr(evaluation, "kernel_distance", lambda real, generated: 0.0)


@pytest.fixture(scope="module")
def trained():
    """A reference of three colours that has learned them, and its test pictures."""
    return reference_of(3, 3, 16, ("red", "green", "blue"), steps=60, each=16)


# ---------------------------------------------------------------------------- any set is judged


@pytest.mark.parametrize(
    ("K", "C", "size"), [(1, 1, 28), (2, 1, 16), (10, 1, 28), (26, 1, 28), (3, 3, 32), (2, 3, 64), (47, 1, 16)]
)
def test_a_set_of_any_kind_is_judged(K, C, size):
    names = tuple(f"kind {k}" for k in range(K))
    reference, test_set = reference_of(K, C, size, names, each=4)
    assert (reference.num_classes, reference.classes, reference.image_shape) == (K, names, (C, size, size))
    assert not reference.classifier.training
    assert not any(weight.requires_grad for weight in reference.classifier.parameters())
    x, y = test_set.tensors
    scores = evaluate(x, y, reference)
    assert all(math.isfinite(score) for name, score in vars(scores).items() if name != "judge")
    assert 1 <= scores.inception_score <= K + 1e-6
    assert scores.judge_accuracy == reference.accuracy == scores.agreement  # these are the test pictures
    assert scores.coverage == scores.recall == 1
    assert scores.fid < 1e-3
    assert scores.judge.startswith("a classifier of ")
    assert f"{4 * K} held-out pictures" in scores.judge
    assert names[0] in scores.judge
    assert names[-1] in scores.judge
    assert {name: getattr(scores, f"{name}_floor") for name in reference.halves} == floors(len(y), reference)
    assert [n for n, _ in reference.floors["fid"]][-1] == max(2, K)  # a fifth of each four pictures, but at least one
    two = evaluate(x[:2], y[:2], reference)
    assert all(math.isfinite(score) for name, score in vars(two).items() if name != "judge")


def test_a_judge_learns_its_classes(trained):
    reference, test_set = trained
    x, y = test_set.tensors
    assert reference.accuracy >= 0.95
    assert str(reference) == "a classifier of 3 classes (red, green, blue), tested on 48 held-out pictures"
    real, wrong = evaluate(x, y, reference), evaluate(x, (y + 1) % 3, reference)
    noise = evaluate(torch.rand(x.shape, generator=seeded()), y, reference)
    assert real.agreement >= 0.95
    assert wrong.agreement <= 0.05
    assert wrong.coverage < 0.1
    assert real.agreement_floor >= 0.95
    assert noise.fid > 5 * real.fid_floor
    assert noise.agreement < 0.7
    half = evaluate(x[y < 2], y[y < 2], reference)
    assert half.coverage == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.usefixtures("without_kid")
def test_a_judge_depends_on_its_generator_only(global_rng_untouched):
    with global_rng_untouched():
        first, second, other = (reference_of(each=4, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first.features, second.features)
    assert first.floors == second.floors
    assert first.halves == second.halves
    assert not torch.equal(first.features, other.features)


@pytest.mark.usefixtures("without_kid")
def test_the_classifier_sees_neither_test_pictures_nor_those_of_the_floors(monkeypatch):
    seen, compared = {}, []
    fit, measure = judge.fit, judge.measure
    monkeypatch.setattr(judge, "fit", lambda *given: seen.update(fit=given[1]) or fit(*given))
    monkeypatch.setattr(judge, "measure", lambda *given: compared.append(given[0]) or measure(*given))
    train_set, test_set = pictures(3, each=10), pictures(3, each=6, seed=1)
    make_reference(train_set, test_set, steps=1, generator=seeded())

    def rows(x):
        return {row.numpy().tobytes() for row in x}

    learned, test = rows(seen["fit"]), rows(test_set.tensors[0])
    held_out = rows(train_set.tensors[0]) - learned
    assert len(learned) == 24
    assert len(held_out) == 6
    assert [len(x) for x in compared] == [2] * 5 + [5] * 5 + [6] + [9] * 5
    assert all(rows(x) <= held_out for x in compared[:11])
    assert all(rows(x) <= test for x in compared[11:])


@pytest.mark.usefixtures("without_kid")
def test_few_test_pictures_have_fewer_neighbours_and_many_have_five():
    assert reference_of(each=4)[0].k == 1
    assert reference_of(each=8)[0].k == 3
    assert load_test_features().k == evaluation.K == 5


@pytest.mark.usefixtures("without_kid")
def test_a_budget_of_seconds_is_kept(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(judge.time, "perf_counter", lambda: next(clock))
    steps, distort = [], judge.distort
    monkeypatch.setattr(judge, "distort", lambda *given: steps.append(given) or distort(*given))
    train_set, test_set = pictures(each=4), pictures(each=4, seed=1)
    make_reference(train_set, test_set, seconds=5, generator=seeded())
    assert len(steps) == 5


def test_white_paper_stays_white_where_a_picture_is_turned():
    x = torch.ones(50, 3, 16, 16)
    assert torch.allclose(judge.distort(x, seeded()), x)
    dark = torch.zeros(50, 1, 28, 28)
    dark[:, :, 10:18, 10:18] = 1
    moved = judge.distort(dark, seeded())
    assert 0 <= moved.min() <= moved.max() <= 1 + 1e-6
    assert (moved != dark).flatten(1).any(1).all()
    assert moved.sum().item() == pytest.approx(dark.sum().item(), rel=0.1)


# ---------------------------------------------------------------------------- MNIST is what it was

SCORES_OF_99 = {  # measured before there were other judges
    "fid": 0.799555, "kid": -0.0738433, "inception_score": 9.85448, "agreement": 1.0, "precision": 0.948889,
    "recall": 0.962449, "density": 0.944889, "coverage": 0.0467279, "diversity": 8.88043, "fid_floor": 2.33375,
    "coverage_floor": 0.0461899, "fid_halves": 0.0883688,
}  # fmt: skip


def test_digits_are_judged_as_before():
    x, y = (tensor[::5][:99] for tensor in load_mnist(source="embedded")[1].tensors)
    scores = evaluate(x, y)
    assert scores == evaluate(x, y, load_test_features())
    assert scores.judge == "a classifier of MNIST's digits, tested on 10,000 held-out pictures"
    assert scores.judge_accuracy == 0.9963
    assert {name: getattr(scores, name) for name in SCORES_OF_99} == pytest.approx(SCORES_OF_99, rel=1e-4)


@pytest.mark.parametrize("names", [(), DIGITS, CLOTHES])
def test_ten_classes_of_ones_own_are_not_called_mnists(names):
    own = load_test_features()._replace(classifier=DigitClassifier(), classes=names)
    assert "digits" not in str(own)
    assert "10 classes" in str(own)


# ---------------------------------------------------------------------------- who may judge whom


def test_a_model_of_other_pictures_has_no_judge_but_its_own(trained):
    reference, _ = trained
    for model in (model_of(), model_of(classes=DIGITS), object()):
        assert judge_of(model) is load_test_features()
    own = {"num_classes": 3, "channels": 3, "size": 16}
    assert judge_of(model_of(**own), reference) is reference
    assert judge_of(model_of(**own, classes=reference.classes), reference) is reference
    assert judge_of(DDPM(AveragedModel(model_of().unet), NoiseSchedule.cosine(20)))
    for more in ({"classes": CLOTHES}, {"num_classes": 26}, {"channels": 3}, {"size": 32}):
        with pytest.raises(ValueError, match=r"^model must draw") as error:
            judge_of(model_of(**more))
        assert "judges MNIST's digits only" in str(error.value)
        assert str(error.value).endswith("reference = make_reference(train_set, test_set)")
    for more in ({}, own | {"num_classes": 2}, own | {"classes": ("red", "blue", "green")}):
        with pytest.raises(ValueError, match=r"^model must draw") as error:
            judge_of(model_of(**more), reference)
        assert "red, green, blue" in str(error.value)
        assert "MNIST" not in str(error.value)


CALLS = {
    "live_training": lambda ddpm, y: live_training.agreement(ddpm, 10, 0),
    "few_steps": lambda ddpm, y: few_steps.score_samplers(ddpm, ["ddim"], [2], y, 0.0, 0),
    "flows": lambda ddpm, y: flows.score_steps({"one": ddpm}, [2], y, 0.0, 0),
    "walk_back": lambda ddpm, y: walk_back.scores_over_w(ddpm, [0.0], y, 1, seeded),
    "soft_labels": lambda ddpm, y: soft_labels.read(ddpm, torch.eye(10), 0.0, torch.zeros(1, 1, 28, 28)),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_course_judges_no_clothes_as_digits(call):
    with pytest.raises(ValueError, match=r"must draw 0, 1, 2, .* got T-shirt, .* make_reference"):
        CALLS[call](model_of(classes=CLOTHES), torch.arange(10))


# ---------------------------------------------------------------------------- refusals, each with its line


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.rand(4, 1, 32, 32), [0, 1, 2, 3]),
        (torch.rand(4, 1, 16, 16), [0, 1, 2, 3]),
        (torch.rand(4, 1, 28, 28), [0, 1, 2, 25]),
        (torch.rand(4, 1, 28, 28), [-1, 1, 2, 3]),
        (torch.rand(4, 3, 64, 64), [0, 1, 2, 3]),
    ],
)
def test_without_a_reference_evaluate_judges_digits_only_and_says_so(x, y):
    with pytest.raises(ValueError, match=r"^(images|labels) must") as error:
        evaluate(x, torch.tensor(y))
    assert "without a reference, evaluate judges MNIST's digits only" in str(error.value)
    assert str(error.value).endswith("reference = make_reference(train_set, test_set)")


def test_what_can_be_converted_has_both_lines():
    with pytest.raises(ValueError, match=r"MNIST's digits only.*make_reference.*This converts it: ") as error:
        evaluate(torch.rand(4, 3, 28, 28), torch.arange(4))
    images = torch.rand(4, 3, 28, 28)
    assert eval(str(error.value).partition("converts it: ")[2], {"images": images}).shape == (4, 1, 28, 28)


def test_with_a_reference_evaluate_says_what_this_one_judges(trained):
    reference, test_set = trained
    x, y = test_set.tensors
    for images, labels in ((x[:, :1], y), (x.mean(1, keepdim=True)[:, :, :8], y), (x, y + 1), (x, y[:5])):
        with pytest.raises(ValueError, match=r"^(images|labels) must") as error:
            evaluate(images, labels, reference)
        assert "MNIST" not in str(error.value)
    for other in ("letters", (x, y), trained, load_test_features().classifier):
        with pytest.raises(ValueError, match=r"^reference must be what make_reference returns, or None"):
            evaluate(x, y, other)


def one_hot(y):
    return torch.nn.functional.one_hot(y)


FOREIGN = {  # what make_reference takes after the line at the error's end has run
    "bytes": lambda x, y: TensorDataset((x * 255).byte(), y),
    "bytes without a channel": lambda x, y: TensorDataset((x[:, 0] * 255).byte(), y),
    "in [-1, 1]": lambda x, y: TensorDataset(2 * x - 1, y),
    "labels from 1": lambda x, y: TensorDataset(x, y + 1),
    "float labels": lambda x, y: TensorDataset(x, y.float()),
    "one-hot rows": lambda x, y: TensorDataset(x, one_hot(y)),
    "one-hot rows of floats": lambda x, y: TensorDataset(x, one_hot(y).float()),
    "a subset": lambda x, y: Subset(TensorDataset(x, y), range(len(y))),
    "a tuple": lambda x, y: (x, y),
    "arrays": lambda x, y: (x.numpy(), y.numpy()),
}


@pytest.mark.parametrize("size", [16, 28])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_set_is_refused_with_the_line_that_converts_it(kind, size, monkeypatch):
    monkeypatch.setattr(judge, "fit", lambda classifier, *given: classifier)
    monkeypatch.setattr(judge, "measure", lambda *given: {"fid": 0.0})
    given, test_set = FOREIGN[kind](*pictures(size=size).tensors), pictures(size=size, seed=1)
    for name, call in (
        ("train_set", lambda data: make_reference(data, test_set, steps=1)),
        ("data", hold_out),
        ("test_set", lambda data: make_reference(pictures(size=size, seed=2), data, steps=1)),
    ):
        with pytest.raises(ValueError, match=f"^{name}") as error:
            call(given)
        known = {"torch": torch, name: given}
        exec(str(error.value).partition("This converts it: ")[2], known)
        call(known[name])


def of_class(data, k, n):
    """The set with only n pictures of class k."""
    x, y = data.tensors
    keep = (y != k) | ((y == k).cumsum(0) <= n)
    return TensorDataset(x[keep], y[keep])


TWO, OTHERS = pictures(), pictures(seed=1)
HUGE = TensorDataset(torch.rand(4, 1, 28, 28), torch.tensor([0, 0, 0, 10**12]))
BAD = {
    "a class with three test pictures": (TWO, of_class(OTHERS, 1, 3), {}, r"^test_set .*got 3 of class 1\b"),
    "a class with three training pictures": (of_class(TWO, 1, 3), OTHERS, {}, r"^train_set .*got 3 of class 1\b"),
    "a class without pictures": (TWO, OTHERS, {"classes": ("a", "b", "c")}, r"^train_set .*got 0 of class 2\b"),
    "another size": (TWO, pictures(size=32), {}, r"^test_set's images must .*\(B, 1, 28, 28\)"),
    "more classes in the test": (TWO, pictures(3), {}, r"^test_set's labels must lie in 0…1"),
    "a size of no model": (pictures(size=30), pictures(size=30), {}, r"^train_set's images must .*multiple of 4"),
    "a huge label": (HUGE, TWO, {}, r"^train_set's labels"),
    "labels that are no numbers": (
        TensorDataset(TWO.tensors[0], torch.full((16,), math.nan)),
        TWO,
        {},
        r"^train_set's l",
    ),
    "the same set twice": (TWO, TWO, {}, r"^test_set must hold other pictures.*hold_out\(train_set\)$"),
    "too few names": (TWO, OTHERS, {"classes": ("a",)}, r"^train_set's labels must lie in 0…0"),
    "names that are no texts": (TWO, OTHERS, {"classes": (1, 2)}, r"^classes must be"),
    "the same name twice": (TWO, OTHERS, {"classes": ("a", "a")}, r"^classes must be"),
    "one text": (TWO, OTHERS, {"classes": "ab"}, r"^classes must be"),
    "no time": (TWO, OTHERS, {"seconds": 0, "steps": None}, r"^seconds must be"),
    "half a step": (TWO, OTHERS, {"steps": 0.5}, r"^steps must be"),
    "no generator": (TWO, OTHERS, {"generator": 3}, r"^generator must be"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_make_reference_cannot_use_is_named(kind, monkeypatch):
    monkeypatch.setattr(judge, "fit", lambda *given: pytest.fail("it was trained before the refusal"))
    train_set, test_set, more, message = BAD[kind]
    with pytest.raises(ValueError, match=message) as error:
        make_reference(train_set, test_set, **{"steps": 1} | more)
    if "got 3 of class" in str(error.value):
        assert re.search(r"hold_out\(data, share=0.5\)$", str(error.value))


# ---------------------------------------------------------------------------- hold_out


def test_hold_out_divides_each_class():
    data = of_class(pictures(3, each=10), 2, 2)
    train_set, test_set = hold_out(data, generator=seeded())
    assert train_set.tensors[1].bincount().tolist() == [8, 8, 1]
    assert test_set.tensors[1].bincount().tolist() == [2, 2, 1]
    both = torch.cat([train_set.tensors[0], test_set.tensors[0]])
    assert torch.equal(both.flatten(1).sum(1).sort().values, data.tensors[0].flatten(1).sum(1).sort().values)
    again, other = hold_out(data, 0.2, seeded()), hold_out(data, 0.2, seeded(1))
    assert torch.equal(again[1].tensors[0], test_set.tensors[0])
    assert not torch.equal(other[1].tensors[0], test_set.tensors[0])
    assert hold_out(data, 0.99)[0].tensors[1].bincount().tolist() == [1, 1, 1]
    assert hold_out(data, 0.5)[1].tensors[1].bincount().tolist() == [5, 5, 1]


@pytest.mark.parametrize(
    ("data", "share", "message"),
    [
        (of_class(pictures(), 0, 1), 0.2, r"^data must hold at least 2 pictures of each class, got 1 of class 0"),
        (pictures(), 0, r"^share must lie in \(0, 1\)"),
        (pictures(), 1.0, r"^share must lie in \(0, 1\)"),
        ("a folder", 0.5, r"^data must be a TensorDataset"),
    ],
)
def test_what_hold_out_cannot_divide_is_named(data, share, message):
    with pytest.raises(ValueError, match=message):
        hold_out(data, share)
