"""The tables of notebook 08: bands, what real digits score, the rule that chooses w; and generators that are known."""

import math

import pytest
import torch

from ddpm_lib.course import known_generators, plots, score_figures
from ddpm_lib.course.sweep_table import SweepTable, change, choose_w, fid_at_infinity
from ddpm_lib.course.tables import write_table
from ddpm_lib.course.what_mattered import VariantTable
from ddpm_lib.evaluation import classify, floors, load_classifier, prdc_per_class, radii_of
from ddpm_lib.evaluation import load_test_features as reference


def row(sampler, w, seed, fid, steps=10):
    """A run as `make sweep` writes it, with made-up scores."""
    given = {"w": w, "seed": seed, "sampler": sampler, "steps": None if w is None else steps, "n": 100}
    scores = {"fid": fid, "fid_low": fid - 0.5, "fid_high": fid + 0.5, "tstr": 0.9}
    return given | scores | {"checkpoint": None if w is None else "mine 1234", "commit": "abc"}


@pytest.fixture
def rows():
    drawn = [row("ancestral", w, seed, 1.0 + w + 0.1 * seed) for w in (-1, 0, 2) for seed in (0, 1)]
    return [
        *drawn,
        row("ddim", 0, 0, 3.0),
        row("ddim", 2, 0, 2.0),
        row("real", None, 0, 0.8),
        row("real", None, 1, 0.9),
    ]


@pytest.fixture
def table(rows, tmp_path):
    write_table(tmp_path / "sweep.csv", rows)
    return SweepTable(tmp_path / "sweep.csv")


def test_the_main_setting_has_the_most_runs(table):
    assert [str(setting) for setting in table.settings] == ["ancestral, 10 steps", "ddim, 10 steps"]
    assert table.weights() == [-1, 0, 2]
    assert "ancestral, 10 steps: 3 weights × 2 seeds, 100 digits a run" in repr(table)
    assert "mine 1234" in repr(table)


def test_a_band_is_of_the_seeds_or_of_the_bootstrap_where_there_is_one(table):
    w, fid = table.scores("fid")
    assert w.tolist() == [0, 2]
    assert fid.tolist() == [pytest.approx([1.0, 1.1]), pytest.approx([3.0, 3.1])]
    assert table.scores("fid", table.settings[1])[1].tolist() == [[2.5, 3.5], [1.5, 2.5]]
    assert table.scores("tstr", table.settings[1])[1].tolist() == [[pytest.approx(0.9)]] * 2, "no interval for this"
    assert table.band("fid", least=0) == tuple(pytest.approx(values) for values in ([1.05, 3.05], [1, 3], [1.1, 3.1]))
    assert table.real("fid") == pytest.approx(0.85)


def test_changes_say_whether_bands_are_apart(table):
    assert "rises" in table.changes({"FID": "fid"}, (0, 2))
    assert change((1, 2), (2, 3)) == "can't tell"
    assert change((1, 2), (2.1, 3)) == "rises"
    assert change((1, 2), (0, 0.9)) == "falls"


def test_a_table_without_real_digits_is_refused(rows, tmp_path):
    write_table(tmp_path / "sweep.csv", rows[:-2])
    with pytest.raises(ValueError, match="real digits"):
        SweepTable(tmp_path / "sweep.csv")


def test_the_rule_on_the_shipped_table():
    table = SweepTable()
    w, fid = table.scores("fid")
    assert choose_w(w, fid, table.real("fid")) == w[fid.mean(dim=1).argmin()]
    w, score = table.scores("inception_score")
    chosen = choose_w(w, -score, -table.real("inception_score"))
    assert chosen < w[score.mean(dim=1).argmax()], "beyond real digits, more is no merit"


def test_the_line_ends_where_the_bias_does():
    n = torch.tensor([100.0, 200, 500, 1000]).double()
    assert fid_at_infinity(n, 0.3 + 120 / n) == pytest.approx(0.3)


def test_known_generators_have_the_scores_that_they_are_known_for():
    scores = {name: known_generators.inception_score(p) for name, p in known_generators.probabilities().items()}
    assert list(scores.values()) == pytest.approx([9.9, 1, 1], abs=0.01)
    real, clouds = known_generators.clouds(torch.Generator().manual_seed(0))
    assert {points.shape for points in clouds.values()} == {real.shape} == {(60, 2)}
    read, _ = classify(load_classifier(), known_generators.prototypes())
    assert read.argmax(dim=1).tolist() == list(range(10))
    images, labels = known_generators.real_digits(200, torch.Generator().manual_seed(0))
    assert labels.bincount().tolist() == [20] * 10
    _, features = classify(load_classifier(), images)
    want = prdc_per_class(reference().features, reference().labels, features, labels)["coverage"]
    assert known_generators.by_digit(known_generators.coverage, features, labels) == pytest.approx(want)
    missing = known_generators.by_digit(known_generators.coverage, features[labels > 0], labels[labels > 0])
    assert missing < want
    text = known_generators.as_text({"real digits": floors(200), "others": floors(200) | {"mine": math.pi}})
    assert text.splitlines()[2].endswith("3.14")


def test_figures_hold_what_they_say(table):
    figure = score_figures.fid_over_inception_score(SweepTable())
    assert {text.get_text() for text in figure.axes[0].texts} >= {"w = −1", "w = 0", "w = 2", "real digits"}
    n, fid = torch.tensor([20.0, 40, 50, 100, 200]).double(), torch.tensor([3.0, 2, 1.8, 1, 0.7]).double()
    figure = score_figures.bias(n, {"drawn": fid}, {20: [2, 4]}, lambda n, fid: 0.25)
    ends = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [float(line.get_ydata()[0]) for line in ends] == [0.25]
    assert len(score_figures.scores_over_w(SweepTable()).axes) == 6
    radii = radii_of(torch.tensor([[0.0], [1.0], [3.0]]), k=1)
    assert radii.tolist() == [1, 1, 2]


def test_the_table_of_variants():
    variants = VariantTable()
    assert variants.names[0] == "recommended"
    assert "no embeddings" in repr(variants)
    assert len(plots.png(variants.figure())) > 10_000
