"""One look at noisy digits, by any model."""

import pytest
import torch

from ddpm_lib import load_mnist
from ddpm_lib.course import one_look


@pytest.mark.parametrize("T", [2, 20, 37, 500])
def test_any_schedule_is_looked_at(T, make_ddpm, images):
    noisy, guessed = one_look.under_noise(make_ddpm(T=T), images(3))
    assert noisy.shape == guessed.shape == (3, 1, 28, 28)
    assert not noisy.equal(images(3))


@pytest.mark.parametrize("which", [0, 3])
def test_one_digit_of_each_kind_is_that_number_of_its_kind(which):
    images, labels = load_mnist(source="embedded")[1].tensors
    expected = torch.stack([images[labels == digit][which] for digit in range(10)])
    assert torch.equal(one_look.real_digits(which), expected)
