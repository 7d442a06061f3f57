"""One look at noisy digits, by any model."""

import pytest

from ddpm_lib.course import one_look


@pytest.mark.parametrize("T", [2, 20, 37, 500])
def test_any_schedule_is_looked_at(T, make_ddpm, images):
    noisy, guessed = one_look.under_noise(make_ddpm(T=T), images(3))
    assert noisy.shape == guessed.shape == (3, 1, 28, 28)
    assert not noisy.equal(images(3))
