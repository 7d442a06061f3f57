"""Scores whose answer is known, and the two files that they rest on."""

import json
import math

import pytest
import torch

from ddpm_lib import evaluation, load_mnist
from ddpm_lib.evaluation import (
    CHUNK,
    DigitClassifier,
    K,
    bootstrap,
    classify,
    diversity,
    evaluate,
    floors,
    frechet_distance,
    inception_score,
    kernel_distance,
    load_classifier,
    load_test_features,
    nearest_neighbours,
    prdc,
    prdc_per_class,
)
from ddpm_lib.files import read_tensors

SCORES = [
    "fid", "kid", "inception_score", "agreement", "precision", "recall", "density", "coverage", "diversity",
]  # fmt: skip


@pytest.fixture(scope="module")
def held_out():
    """Images and labels of the 500 embedded digits that are held out, 50 of each class."""
    _, test_set = load_mnist(source="embedded")
    return test_set.tensors


@pytest.fixture
def fresh_caches():
    """Nothing is loaded yet, and what the test loads is forgotten."""

    def clear():
        load_classifier.cache_clear()
        load_test_features.cache_clear()

    clear()
    yield
    clear()


@pytest.fixture
def provenance():
    _, header = read_tensors(evaluation.CLASSIFIER, "classifier")
    return json.loads(header["metadata"])


# The classifier and its files


def test_classifier_reads_held_out_digits(held_out):
    images, labels = held_out
    logits, features = classify(load_classifier(), images)
    assert logits.shape == (500, 10)
    assert features.shape == (500, DigitClassifier.D)
    assert logits.dtype == features.dtype == torch.float32
    assert (logits.argmax(dim=1) == labels).float().mean() >= 0.99


def test_classifier_reads_the_test_images(provenance):
    """On the images where they are found; the features that ship say the same without them."""
    labels = load_test_features()[1]
    from_features = load_classifier().logits(load_test_features()[0]).argmax(dim=1)
    accuracy = (from_features == labels).double().mean().item()
    assert accuracy >= 0.994
    assert accuracy == pytest.approx(provenance["test_accuracy"], abs=3e-4)  # features are rounded to float16

    train_set, test_set = load_mnist(source="auto")
    images, labels = test_set.tensors
    if len(images) == 10_000:
        logits, features = classify(load_classifier(), images)
        assert (logits.argmax(dim=1) == labels).double().mean() >= 0.994
        assert torch.equal(labels, load_test_features()[1])
        assert (features - load_test_features()[0]).abs().max() < 0.01
        assert frechet_distance(load_test_features()[0], features) <= 1e-3
        # At random: MNIST's order is that of its writers, and each sixth image is a biased choice (FID 0.22).
        chosen = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))[:10_000]
        images, labels = (tensor[chosen] for tensor in train_set.tensors)
        assert evaluate(images, labels).fid == pytest.approx(floors(10_000)["fid"], rel=0.8)


def test_files_are_small_and_say_where_they_come_from(provenance):
    assert evaluation.CLASSIFIER.stat().st_size <= 1_000_000
    assert evaluation.TEST_FEATURES.stat().st_size <= 1_500_000
    tensors, header = read_tensors(evaluation.TEST_FEATURES, "test features")
    assert json.loads(header["metadata"]) == provenance, "the two files come from two trainings"
    assert provenance.keys() >= {"command", "commit", "data_sha256", "steps", "seconds", "test_accuracy", "torch"}
    assert not provenance["commit"].endswith("-dirty")
    assert tensors["features"].shape == (10_000, DigitClassifier.D)
    assert tensors["labels"].bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_features_are_on_a_known_scale():
    features = load_test_features()[0]
    assert features.mean(dim=0).abs().max() < 0.3
    assert features.var(dim=0).mean() == pytest.approx(1, abs=0.2)


def test_loading_twice_gives_the_same_object():
    assert load_classifier() is load_classifier()
    assert not load_classifier().training
    assert not any(parameter.requires_grad for parameter in load_classifier().parameters())


@pytest.mark.usefixtures("fresh_caches")
@pytest.mark.parametrize(("load", "name"), [(load_classifier, "CLASSIFIER"), (load_test_features, "TEST_FEATURES")])
def test_missing_and_damaged_files_are_refused(load, name, tmp_path, monkeypatch):
    content = bytearray(getattr(evaluation, name).read_bytes())
    copy = tmp_path / "copy.safetensors"
    monkeypatch.setattr(evaluation, name, copy)
    with pytest.raises(FileNotFoundError, match=r"copy\.safetensors"):
        load()
    copy.write_bytes(content)
    load()
    load.cache_clear()
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(ValueError, match=r"copy\.safetensors"):
        load()


@pytest.mark.usefixtures("fresh_caches")
def test_one_file_is_not_taken_for_the_other(monkeypatch):
    monkeypatch.setattr(evaluation, "CLASSIFIER", evaluation.TEST_FEATURES)
    with pytest.raises(ValueError, match=evaluation.TEST_FEATURES.name):
        load_classifier()


def test_images_go_through_in_chunks(held_out):
    images, _ = held_out
    classifier = load_classifier()
    seen = []
    hook = classifier.register_forward_hook(lambda module, inputs, outputs: seen.append(len(inputs[0])))
    try:
        logits, _ = classify(classifier, torch.cat([images, images[:101]]))
    finally:
        hook.remove()
    assert seen == [CHUNK, 101]
    torch.testing.assert_close(logits[CHUNK:], logits[:101], atol=1e-4, rtol=1e-4)
    logits += 1  # an ordinary tensor, not one of inference mode


# FID


def whitened(n, width, generator):
    """n rows whose sample mean is exactly 0 and whose sample covariance is exactly the identity."""
    x = torch.randn(n, width, generator=generator, dtype=torch.float64)
    x -= x.mean(dim=0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T


def test_fid_of_features_with_themselves_is_0():
    features = load_test_features()[0]
    assert 0 <= frechet_distance(features, features) <= 1e-3
    few = features[:20]  # fewer than dimensions: the covariance is singular
    assert 0 <= frechet_distance(few, few) <= 1e-3


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 2.0), (0.0, 0.5), (-1.5, 0.1)])
def test_fid_of_gaussians_is_the_known_one(shift, scale, generator):
    real = whitened(1000, 64, generator)
    generated = whitened(3000, 64, generator) * scale + shift
    want = 64 * shift**2 + 64 * (1 - scale) ** 2
    assert frechet_distance(real, generated) == pytest.approx(want, rel=1e-6)
    assert frechet_distance(real.float(), generated.float()) == pytest.approx(want, rel=1e-3)


def test_fid_of_random_gaussians_is_within_two_percent(generator):
    real, generated = torch.randn(2, 20_000, 64, generator=generator)
    assert frechet_distance(real, 1.5 * generated + 1) == pytest.approx(64 * 0.25 + 64, rel=0.02)


def test_fid_where_the_covariances_do_not_commute(generator):
    first = whitened(500, 2, generator) @ torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
    mix = torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
    second = whitened(500, 2, generator) @ mix
    product = torch.diag(torch.tensor([9.0, 1.0], dtype=torch.float64)) @ (mix.T @ mix)
    # The root of a 2×2 matrix has the trace √(tr + 2√det).
    root = math.sqrt(product.trace() + 2 * math.sqrt(torch.linalg.det(product)))
    want = 10 + (mix.T @ mix).trace().item() - 2 * root
    assert frechet_distance(first, second) == pytest.approx(want, rel=1e-6)


# KID


def test_kid_of_four_numbers():
    # One dimension: (0·0 + 1)³ = 1, (1·1 + 1)³ = 8, (0·1 + 1)³ = 1.
    assert kernel_distance(torch.zeros(2, 1), torch.ones(2, 1)) == pytest.approx(1 + 8 - 2 * 1)


def test_kid_is_its_equation(generator):
    real, generated = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)  # one subset: all rows
    generated = generated + 0.5

    def kernel(x, y):
        return (x @ y.T / 3 + 1) ** 3

    between_others = ~torch.eye(7, dtype=torch.bool)
    want = kernel(real, real)[between_others].mean() + kernel(generated, generated)[between_others].mean()
    want -= 2 * kernel(real, generated).mean()
    assert kernel_distance(real, generated) == pytest.approx(want.item(), rel=1e-9)


def test_kid_of_gaussians_is_the_known_one(generator):
    """N(0, I) against N(μ, I): E k = 1 + 3 E s + 3 E s² + E s³ with s = x·y/D, by the moments of a Gaussian."""
    width, m = 64, 64.0  # m = ‖μ‖²
    within_real = 1 + 3 * width / width**2
    between = 1 + 3 * (width + m) / width**2
    within_generated = 1 + 3 * m / width + 3 * (m**2 + 2 * m + width) / width**2
    within_generated += (m**3 + 3 * m * (2 * m + width) + 6 * m) / width**3
    real, generated = torch.randn(2, 10_000, width, generator=generator)
    found = kernel_distance(real, generated + 1)
    assert found == pytest.approx(within_real + within_generated - 2 * between, rel=0.02)


def test_kid_has_no_bias_where_fid_has(generator):
    pairs = torch.randn(40, 2, 50, 8, generator=generator)
    found = torch.tensor([kernel_distance(*pair) for pair in pairs])
    assert found.mean().abs() < 3 * found.std() / 40**0.5
    assert found.min() < 0 < found.max()
    assert min(frechet_distance(*pair) for pair in pairs) > 0.2


def test_kid_takes_the_same_subsets_each_time(generator):
    real, generated = torch.randn(2, 1100, 8, generator=generator)
    first = kernel_distance(real, generated)
    torch.rand(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert kernel_distance(real, generated) == first


# Precision, recall, density, coverage


def column(*values):
    return torch.tensor(values)[:, None]


def test_prdc_of_seven_numbers():
    real = column(0.0, 1.0, 10.0, 12.0)  # to the nearest neighbour: 1, 1, 2, 2
    generated = column(0.5, 0.75, 20.0)  # 0.25, 0.25, 19.25
    assert prdc(real, generated, k=1) == pytest.approx(
        {"precision": 2 / 3, "recall": 3 / 4, "density": 4 / 3, "coverage": 2 / 4}
    )


def test_the_edge_of_a_ball_is_in_it_and_a_single_image_is_a_point():
    scores = prdc(column(0.0, 1.0), column(2.0), k=1)
    assert scores == {"precision": 1, "recall": 0, "density": 1, "coverage": 0.5}
    assert prdc(column(0.0, 1.0), column(1.0), k=1)["recall"] == 0.5


def test_prdc_of_a_set_with_itself(generator):
    features = torch.randn(300, 8, generator=generator)
    scores = prdc(features, features[torch.randperm(300, generator=generator)])
    assert scores["precision"] == scores["recall"] == scores["coverage"] == 1
    assert 1 <= scores["density"] <= 1 + 1 / K  # k neighbours and the row itself; rounding may drop the k-th
    assert prdc(torch.ones(9, 3), torch.ones(7, 3)) == pytest.approx(
        {"precision": 1, "recall": 1, "density": 9 / K, "coverage": 1}
    )


def test_prdc_of_far_sets_is_0(generator):
    real, generated = torch.randn(2, 100, 8, generator=generator)
    assert prdc(real, generated + 100) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_density_and_coverage_of_the_same_distribution_are_the_known_ones(n, generator):
    """Whatever the distribution: density 1, and the coverage of Naeem et al., for M = 1,000 real features."""
    found = [prdc(torch.randn(1000, 4, generator=generator), torch.randn(n, 4, generator=generator)) for _ in range(5)]
    coverage = 1 - math.prod((1000 - i) / (1000 + n - i) for i in range(1, K + 1))
    assert sum(scores["coverage"] for scores in found) / 5 == pytest.approx(coverage, abs=0.02)
    assert sum(scores["density"] for scores in found) / 5 == pytest.approx(1, abs=0.1)


def test_outliers_fool_precision_and_recall_but_not_density_and_coverage(generator):
    real, generated = torch.randn(2, 200, 8, generator=generator)
    bad = generated + 20
    outlier = torch.full((1, 8), 40.0)  # as far from the bad ones as these are from the rest
    assert prdc(real, bad)["precision"] == 0
    fooled = prdc(torch.cat([real, outlier]), bad)
    assert fooled["precision"] == 1
    assert fooled["density"] <= 1 / K
    fooled = prdc(bad, torch.cat([real, outlier]))
    assert fooled["recall"] == 1
    assert fooled["coverage"] == 0


def test_prdc_needs_more_real_features_than_k():
    with pytest.raises(ValueError, match=r"^real\b.*5"):
        prdc(torch.zeros(5, 2), torch.zeros(5, 2))


def test_per_class_compares_a_digit_with_real_ones_of_that_digit():
    features, labels = load_test_features()[:2]
    half = labels < 5
    scores = prdc_per_class(features, labels, features[half], labels[half])
    assert scores["precision"] == 1
    assert scores["recall"] == scores["coverage"] == 0.5
    assert scores["density"] >= 1
    scores = prdc_per_class(features, labels, features, (labels + 1) % 10)
    assert scores["precision"] < 0.05
    assert scores["density"] < 0.01
    assert scores["coverage"] < 0.05


def test_digits_with_few_images_have_scores(generator):
    real, real_labels = torch.randn(40, 3, generator=generator), torch.arange(40) % 4
    chosen = torch.tensor([0, 1, 5])  # of digit 0 one image, of 1 two, of 2 and 3 none
    scores = prdc_per_class(real, real_labels, real[chosen], real_labels[chosen])
    zero, one = (prdc(real[real_labels == digit], real[chosen][real_labels[chosen] == digit]) for digit in (0, 1))
    assert zero["recall"] == 0.1  # the image itself
    assert one["recall"] >= 0.2
    assert scores == pytest.approx(
        {
            "precision": 1,
            "density": (zero["density"] + one["density"]) / 2,
            "recall": (zero["recall"] + one["recall"]) / 4,
            "coverage": (zero["coverage"] + one["coverage"]) / 4,
        }
    )


# Diversity


def test_diversity_of_a_set_made_by_hand():
    images = torch.zeros(6, 1, 28, 28)
    images[1, 0, 3, 4] = 0.6
    images[3, 0, :3, :3] = 1  # 3 from the two others of its class
    labels = torch.tensor([7, 7, 2, 2, 2, 9])  # a single 9 has no pair
    assert diversity(images, labels) == pytest.approx((0.6 + (3 + 3 + 0) / 3) / 2)
    assert diversity(images[:1], labels[:1]) == 0
    assert diversity(images[2:].repeat(2, 1, 1, 1)[::2], labels[2:].repeat(2)[::2]) == 0


def test_diversity_is_blind_to_the_distance_between_classes(held_out):
    images, labels = held_out
    by_hand = sum(torch.pdist(images[labels == d].flatten(1)).mean().item() for d in range(10)) / 10
    assert diversity(images, labels) == pytest.approx(by_hand)
    assert diversity(images, torch.zeros_like(labels)) > by_hand + 1


# Nearest training neighbour


def test_copies_of_training_images_are_found(held_out):
    train_images, _ = held_out
    chosen = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    images = train_images[chosen].repeat(2, 1, 1, 1)  # two chunks
    images[7, 0, 14, 14] += torch.where(images[7, 0, 14, 14] > 0.5, -0.3, 0.3)
    distances, indices = nearest_neighbours(images, train_images)
    assert torch.equal(indices, chosen.repeat(2))
    assert distances[7] == pytest.approx(0.3, rel=1e-5)
    assert distances.sum() == distances[7]


def test_nearest_neighbours_are_those_of_all_distances(held_out, generator):
    train_images, _ = held_out
    images = torch.rand(20, 1, 28, 28, generator=generator, dtype=torch.float64)
    images[10:] = train_images[:10].flip(3)
    distances, indices = nearest_neighbours(images.requires_grad_(), train_images)
    want = torch.cdist(images.detach().flatten(1), train_images.double().flatten(1)).min(dim=1)
    assert torch.equal(indices, want.indices)
    torch.testing.assert_close(distances, want.values.float(), atol=1e-4, rtol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_neighbours(images, train_images)[1], indices)


def test_held_out_digits_are_no_copies(held_out):
    train_set, _ = load_mnist(source="embedded")
    distances, indices = nearest_neighbours(held_out[0], train_set.tensors[0])
    assert distances.min() > 0.5
    assert (train_set.tensors[1][indices] == held_out[1]).float().mean() > 0.9  # a 1-NN classifier


# Scores of real digits


def test_inception_score_of_the_test_images_is_high():
    assert inception_score(load_classifier().logits(load_test_features().features)) >= 9.7


def test_floors_are_interpolated_between_counts():
    measured = load_test_features().floors
    assert list(measured) == SCORES
    for name, pairs in measured.items():
        counts, means = zip(*pairs, strict=True)
        assert counts == (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000)
        assert [floors(count)[name] for count in counts] == pytest.approx(means, rel=1e-12)
        assert floors(10**6)[name] == means[-1]
    middle = round(1 / ((1 / 1000 + 1 / 2000) / 2))  # in 1/n
    assert floors(middle)["fid"] == pytest.approx((floors(1000)["fid"] + floors(2000)["fid"]) / 2, rel=1e-3)
    coverage = (floors(100)["coverage"] + floors(10_000)["coverage"]) / 2
    assert floors(1000)["coverage"] != pytest.approx(coverage)
    middle = round((1000 * 2000) ** 0.5)  # in log n
    assert floors(middle)["coverage"] == pytest.approx(
        (floors(1000)["coverage"] + floors(2000)["coverage"]) / 2, rel=1e-3
    )


def test_floors_are_those_of_real_digits():
    measured = {name: [mean for _, mean in pairs] for name, pairs in load_test_features().floors.items()}
    assert measured["fid"] == sorted(measured["fid"], reverse=True)
    assert measured["fid"][-1] > 0
    assert measured["coverage"] == sorted(measured["coverage"])
    real = floors(1000)
    assert abs(real["kid"]) < 0.01
    assert real["inception_score"] >= 9.7
    assert real["agreement"] > 0.995
    assert 0.9 < real["precision"] < 1
    assert 0.9 < real["recall"] < 1
    assert real["density"] == pytest.approx(1, abs=0.1)
    expected = 1 - math.prod((1000 - i) / (1100 - i) for i in range(1, K + 1))  # of 1,000 real ones and 100 more
    assert real["coverage"] == pytest.approx(expected, abs=0.05)


def test_halves_are_those_of_one_distribution():
    halves = load_test_features().halves
    assert list(halves) == SCORES
    assert 0 < halves["fid"] < 0.2
    assert abs(halves["kid"]) < 0.002
    assert halves["inception_score"] >= 9.7
    assert halves["density"] == pytest.approx(1, abs=0.02)
    assert halves["coverage"] == pytest.approx(1 - 2**-K, abs=0.01)


# Inception Score


def test_inception_score_of_clear_and_balanced_digits_is_10():
    logits = torch.eye(10).repeat(1000, 1) * 50
    assert inception_score(logits[:1000]) == pytest.approx(10, rel=1e-6)
    assert 9.9 < inception_score(logits) < 10  # ten parts of 1,000, which chance does not balance quite


def test_inception_score_of_one_digit_or_of_doubt_is_1():
    assert inception_score(torch.eye(10)[:1].repeat(2000, 1) * 300) == pytest.approx(1)
    assert inception_score(torch.zeros(2000, 10)) == pytest.approx(1)


def test_inception_score_is_its_equation(generator):
    logits = 3 * torch.randn(150, 10, generator=generator, dtype=torch.float64)  # one part
    p = logits.softmax(dim=1)
    want = (p * (p / p.mean(dim=0)).log()).sum(dim=1).mean().exp()
    assert inception_score(logits) == pytest.approx(want.item(), rel=1e-9)


def test_inception_score_takes_the_same_parts_each_time(generator):
    logits = 3 * torch.randn(2000, 10, generator=generator)  # two parts
    first = inception_score(logits)
    torch.rand(3)  # what the caller draws meanwhile has no say
    assert inception_score(logits) == first


# evaluate


def all_finite(scores):
    return all(math.isfinite(value) for name, value in vars(scores).items() if name != "judge")


def test_real_digits_score_well(held_out):
    scores = evaluate(*held_out)
    assert scores.n == 500
    assert scores.agreement >= 0.99
    assert {name: getattr(scores, f"{name}_floor") for name in SCORES} == floors(500)
    assert {name: getattr(scores, f"{name}_halves") for name in SCORES} == load_test_features().halves
    assert 0.5 * scores.fid_floor < scores.fid < 2 * scores.fid_floor
    assert abs(scores.kid) < 0.03
    assert 9 < scores.inception_score <= 10
    for name in ("precision", "recall", "density", "coverage", "diversity"):
        assert getattr(scores, name) == pytest.approx(getattr(scores, f"{name}_floor"), rel=0.15)


def test_one_prototype_of_each_digit_is_caught_by_coverage(held_out):
    """The most typical image of each digit, again and again: all that asks for quality is content."""
    images, labels = held_out
    _, features = classify(load_classifier(), images)
    reference = load_test_features()
    prototypes = []
    for digit in range(10):
        real = reference.features[reference.labels == digit]
        typical = torch.cdist(features[labels == digit], real).mean(dim=1).argmin()
        prototypes.append(images[labels == digit][typical])
    asked_for = torch.arange(10).repeat(20)
    scores = evaluate(torch.stack(prototypes)[asked_for], asked_for)
    assert scores.agreement >= 0.99
    assert scores.inception_score > 9.8
    assert scores.precision == 1
    assert scores.density > 1
    assert scores.coverage < 0.1
    assert scores.coverage < 0.5 * scores.coverage_floor
    assert scores.recall < 0.01
    assert scores.diversity == 0


def test_digits_drawn_without_regard_to_the_label_agree_by_chance(held_out, generator):
    images, labels = held_out
    right, chance = evaluate(images, labels), evaluate(images, labels[torch.randperm(500, generator=generator)])
    assert chance.agreement == pytest.approx(0.1, abs=0.04)
    assert chance.precision < 0.2
    assert chance.density < 0.2
    assert chance.coverage < 0.5 * right.coverage
    assert chance.diversity > right.diversity + 1
    assert (chance.fid, chance.kid, chance.inception_score) == (right.fid, right.kid, right.inception_score)


def test_missing_digits_are_not_covered(held_out):
    images, labels = held_out
    half = labels < 5
    whole, scores = evaluate(images, labels), evaluate(images[half], labels[half])
    assert scores.recall < 0.5
    assert scores.recall == pytest.approx(whole.recall / 2, rel=0.1)
    assert scores.coverage == pytest.approx(whole.coverage / 2, rel=0.2)
    assert scores.precision == pytest.approx(whole.precision, abs=0.05)
    assert scores.inception_score < 5.1  # five digits, not ten
    assert scores.fid > 10 * whole.fid


def test_noise_scores_badly(generator):
    scores = evaluate(torch.rand(500, 1, 28, 28, generator=generator), torch.arange(500) % 10)
    assert scores.fid > 50 * scores.fid_floor
    assert scores.kid > 1
    assert scores.agreement < 0.3
    assert scores.inception_score < 5
    assert scores.precision < 0.01
    assert scores.density < 0.01
    assert scores.coverage < 0.01


def test_fid_sees_a_missing_digit_and_a_little_noise(held_out, generator):
    images, labels = held_out
    real = evaluate(images, labels)
    no_ones = labels != 1
    assert evaluate(images[no_ones], labels[no_ones]).fid > 2 * real.fid
    noisy = (images + 0.2 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    assert evaluate(noisy, labels).fid > 2 * real.fid


def test_agreement_is_with_the_digits_that_were_asked_for(held_out):
    images, labels = held_out
    wrong = labels.clone()
    wrong[:250] = (wrong[:250] + 1) % 10
    right = evaluate(images, labels)
    assert evaluate(images, (labels + 1) % 10).agreement < 0.01
    assert evaluate(images, wrong).agreement == pytest.approx(right.agreement - 0.5, abs=0.01)
    assert evaluate(images, wrong).fid == right.fid


def test_same_scores_each_time_and_whatever_the_caller_does(held_out):
    images, labels = held_out
    images, labels = images[::5], labels[::5]
    want = evaluate(images, labels)
    torch.rand(3)
    assert evaluate(images, labels) == want
    assert evaluate(images.double(), labels.to(torch.uint8)) == want
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert evaluate(images, labels) == want
    assert evaluate(images.clone().requires_grad_(), labels) == want


@pytest.mark.usefixtures("fresh_caches")
def test_nothing_is_drawn_from_global_generators(held_out, global_rng_untouched):
    images, labels = held_out
    with global_rng_untouched():
        evaluate(images[:250], labels[:250])


def test_mode_and_statistics_of_the_classifier_are_kept(held_out):
    images, labels = held_out
    classifier = load_classifier()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    want = evaluate(images[:100], labels[:100])
    classifier.features.train()
    try:
        assert evaluate(images[:100], labels[:100]) == want
        assert classifier.features.training
        assert all(module.training for module in classifier.features)
        assert not classifier.training
        assert not classifier.convolutions.training
    finally:
        classifier.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())


@pytest.mark.parametrize("n", [2, 3, 99, 199, 250])
def test_few_images_have_finite_scores(n, held_out):
    images, labels = held_out
    scores = evaluate(images[:n], labels[:n])
    assert scores.n == n
    assert all_finite(scores)


def test_two_images_of_one_digit_and_of_two_have_finite_scores(held_out):
    images, labels = held_out
    same = evaluate(images[labels == 3][:2], [3, 3])
    two = evaluate(torch.stack([images[labels == 3][0], images[labels == 4][0]]), [3, 4])
    for scores in (same, two):
        assert all_finite(scores)
    assert same.diversity > 1
    assert two.diversity == 0  # no pair
    assert same.recall <= 0.1


@pytest.mark.parametrize(
    ("images", "train_images", "message"),
    [
        (torch.zeros(2, 28, 28), torch.zeros(2, 1, 28, 28), r"^images\b.*1, 28, 28"),
        (torch.zeros(2, 1, 28, 28) - 1, torch.zeros(2, 1, 28, 28), r"^images\b.*\[0, 1\]"),
        (torch.zeros(2, 1, 28, 28), torch.zeros(0, 1, 28, 28), r"^train_images\b"),
        (torch.zeros(2, 1, 28, 28), torch.zeros(2, 1, 28, 28, dtype=torch.uint8), r"^train_images\b.*float"),
        (torch.zeros(2, 1, 28, 28), torch.zeros(2, 1, 28, 28) + 2, r"^train_images\b.*\[0, 1\]"),
    ],
)
def test_bad_images_for_nearest_neighbours_are_named(images, train_images, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbours(images, train_images)


IMAGES, LABELS = torch.zeros(4, 1, 28, 28), torch.zeros(4, dtype=torch.long)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, 0], LABELS, r"^images\b.*1, 28, 28"),
        (IMAGES.numpy(), LABELS, r"^images\b.*1, 28, 28"),
        (IMAGES.to(torch.uint8), LABELS, r"^images\b.*float"),
        (IMAGES[:0], LABELS[:0], r"^images\b"),
        (IMAGES[:1], LABELS[:1], r"^images\b"),
        (IMAGES - 1, LABELS, r"^images\b.*\[0, 1\]"),
        (IMAGES + 1.5, LABELS, r"^images\b.*\[0, 1\]"),
        (IMAGES * torch.nan, LABELS, r"^images\b.*\[0, 1\]"),
        (IMAGES, LABELS[:3], r"^labels\b.*4"),
        (IMAGES, LABELS.float(), r"^labels\b"),
        (IMAGES, LABELS + 10, r"^labels\b.*0…9"),
        (IMAGES, torch.eye(10)[:4], r"^labels\b.*\(4,\)"),
        (IMAGES, torch.tensor(3), r"^labels\b"),
        (IMAGES, [[1.0] + [0.0] * 9] * 4, r"^labels\b.*\(4,\)"),
        (IMAGES, None, r"^labels\b"),
    ],
)
def test_bad_arguments_are_named(images, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate(images, labels)


# ---------------------------------------------------------------------------- bootstrap


def test_bootstrap_of_a_mean_is_the_textbooks_interval(generator):
    x = torch.randn(400, generator=generator).double()
    low, high = bootstrap(lambda rows: x[rows].mean().item(), torch.zeros(400, dtype=torch.long), 2000, generator)
    half = 1.96 * x.std().item() / 400**0.5
    assert low == pytest.approx(x.mean().item() - half, abs=0.1 * half)
    assert high == pytest.approx(x.mean().item() + half, abs=0.1 * half)


def test_bootstrap_covers_a_score_that_is_biased_as_fid_is(generator):
    """‖mean‖², the first part of FID, is too high by D/n, and a resampled one by 2D/n.

    The interval contains what the score is at this n at least as often as it says, and is less than half as wide again
    as it had to be. The quantiles of the resampled scores themselves fail in every third case or more.
    """
    n, D, mean, cases = 50, 40, 0.15, 150
    expected, std = mean**2 * D + D / n, (4 * mean**2 * D / n + 2 * D / n**2) ** 0.5
    covered, naive, widths = 0, 0, []
    for _ in range(cases):
        x, resampled = torch.randn(n, D, generator=generator) + mean, []

        def score(rows, x=x, resampled=resampled):
            resampled.append(x[rows].mean(dim=0).square().sum().item())
            return resampled[-1]

        low, high = bootstrap(score, torch.zeros(n, dtype=torch.long), 100, generator)
        assert low < resampled[0] < high
        covered += low <= expected <= high
        widths.append((high - low) / (2 * 1.96 * std))
        quantiles = torch.tensor(resampled[1:]).quantile(torch.tensor([0.025, 0.975]))
        naive += bool(quantiles[0] <= expected <= quantiles[1])
    assert covered / cases > 0.92
    assert 1 < sum(widths) / cases < 1.5
    assert naive / cases < 0.67


def test_bootstrap_draws_each_row_from_its_own_class(generator):
    """So the shares of the classes don't move, and where rows of a class are alike the score doesn't either."""
    labels, seen = torch.tensor([2, 0, 2, 1, 0, 2]), []

    def score(rows):
        seen.append(rows)
        return labels[rows].double().mean().item()

    assert bootstrap(score, labels, 20, generator) == pytest.approx((7 / 6, 7 / 6))
    assert seen[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert all(torch.equal(labels[rows], labels) for rows in seen)
    assert len({tuple(rows.tolist()) for rows in seen}) > 5


def test_bootstrap_draws_from_its_generator_only(global_rng_untouched):
    x, labels = torch.arange(9.0), torch.arange(9) % 3

    def ends():
        return bootstrap(lambda rows: x[rows].mean().item(), labels, 20, torch.Generator().manual_seed(4))

    with global_rng_untouched():
        assert ends() == ends()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": torch.rand(4)}, r"^labels\b.*integers"),
        ({"labels": torch.empty(0, dtype=torch.long)}, r"^labels\b.*integers"),
        ({"labels": torch.zeros(2, 2, dtype=torch.long)}, r"^labels\b.*integers"),
        ({"labels": [0, 1]}, r"^labels\b.*integers"),
        ({"resamples": 19}, r"^resamples\b.*20"),
        ({"resamples": 50.0}, r"^resamples\b.*20"),
        ({"resamples": True}, r"^resamples\b.*20"),
        ({"generator": 3}, r"^generator\b.*torch\.Generator"),
    ],
)
def test_bootstrap_refuses(changes, words):
    arguments = {"labels": torch.zeros(4, dtype=torch.long), "resamples": 20, "generator": None} | changes
    with pytest.raises(ValueError, match=words):
        bootstrap(lambda rows: 0.0, **arguments)
