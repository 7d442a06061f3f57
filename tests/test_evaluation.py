"""Scores whose answer is known, and the two files that they rest on."""

import json
import math
import subprocess
import sys

import pytest
import torch

from ddpm_lib import evaluation, load_mnist
from ddpm_lib.checkpoint import read_tensors
from ddpm_lib.evaluation import (
    CHUNK,
    DigitClassifier,
    classify,
    evaluate,
    fid_floor,
    frechet_distance,
    inception_score,
    load_classifier,
    load_test_features,
)


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
        assert evaluate(images, labels).fid == pytest.approx(fid_floor(10_000), rel=0.8)


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
    with pytest.raises(ValueError, match=r"copy\.safetensors is damaged"):
        load()


@pytest.mark.usefixtures("fresh_caches")
def test_one_file_is_not_taken_for_the_other(monkeypatch):
    monkeypatch.setattr(evaluation, "CLASSIFIER", evaluation.TEST_FEATURES)
    with pytest.raises(ValueError, match="not a classifier"):
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


def test_fid_floor_falls_with_n_and_is_linear_in_its_inverse():
    floors = load_test_features()[2]
    counts, means = zip(*floors, strict=True)
    assert {100, 200, 500, 1000, 2000, 5000, 10_000} <= set(counts)
    assert list(means) == sorted(means, reverse=True)
    assert all(mean > 0 for mean in means)
    for count, mean in floors:
        assert fid_floor(count) == pytest.approx(mean, rel=1e-12)
    middle = 1 / ((1 / 1000 + 1 / 2000) / 2)
    assert fid_floor(middle) == pytest.approx((fid_floor(1000) + fid_floor(2000)) / 2)
    assert fid_floor(10**6) == fid_floor(60_000) == means[-1]


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


def test_real_digits_score_well(held_out):
    scores = evaluate(*held_out)
    assert scores.n == 500
    assert scores.agreement >= 0.99
    assert scores.fid_floor == fid_floor(500)
    assert 0.5 * scores.fid_floor < scores.fid < 2 * scores.fid_floor
    assert 9 < scores.inception_score <= 10


def test_noise_scores_badly(generator):
    scores = evaluate(torch.rand(500, 1, 28, 28, generator=generator), torch.arange(500) % 10)
    assert scores.fid > 50 * scores.fid_floor
    assert scores.agreement < 0.3
    assert scores.inception_score < 5


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
    assert all(math.isfinite(value) for value in vars(scores).values())


IMAGES, LABELS = torch.zeros(4, 1, 28, 28), torch.zeros(4, dtype=torch.long)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, 0], LABELS, r"^images .*\(4, 28, 28\)"),
        (IMAGES.numpy(), LABELS, "^images .*ndarray"),
        (IMAGES.to(torch.uint8), LABELS, "^images .*uint8"),
        (IMAGES[:0], LABELS[:0], "^images .*B ≥ 1"),
        (IMAGES[:1], LABELS[:1], "^images .*at least 2, got 1"),
        (IMAGES - 1, LABELS, r"^images .*\[0, 1\], got -1"),
        (IMAGES + 1.5, LABELS, r"^images .*\[0, 1\], got 1\.5"),
        (IMAGES * torch.nan, LABELS, r"^images .*\[0, 1\], got nan"),
        (IMAGES, LABELS[:3], "^labels .*4 images, got 3"),
        (IMAGES, LABELS.float(), "^labels .*float32"),
        (IMAGES, LABELS + 10, "^labels .*0…9, got 10"),
        (IMAGES, torch.eye(10)[:4], r"^labels .*\(4,\), got shape \(4, 10\)"),
        (IMAGES, torch.tensor(3), r"^labels .*shape \(\)"),
        (IMAGES, [[1.0] + [0.0] * 9] * 4, r"^labels .*\(4,\), got list"),
        (IMAGES, None, "^labels .*got None"),
    ],
)
def test_bad_arguments_are_named(images, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate(images, labels)


def test_importing_the_package_leaves_torchmetrics_alone():
    code = "import sys, ddpm_lib; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
