"""What notebook 03 takes from course/: pieces of a training, guesses and their errors, pictures and tables."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig
from ddpm_lib.course import figures, guess_errors, live_training, training_pictures, training_pieces


@pytest.fixture
def v_model():
    torch.manual_seed(0)
    return DDPM(UNet(UNetConfig(widths=(4, 4, 4))), NoiseSchedule.cosine(T=50), prediction="v").eval()


@pytest.fixture
def displayed(monkeypatch):
    """The alt texts of all figures that are shown."""
    texts = []
    monkeypatch.setattr(training_pictures, "show", lambda figure, alt: texts.append(alt))
    return texts


def test_the_running_mean_of_a_line_is_the_line_and_of_a_fall_lies_on_it():
    line = np.linspace(3, 1, 50)
    assert np.allclose(figures.running_mean(line, 5)[:45], line[:45])
    fall = np.exp(-np.arange(100.0))
    mean = figures.running_mean(fall, 10)
    assert mean[0] == fall[0]
    assert len(mean) == len(fall)
    assert np.allclose(figures.running_mean([2.0] * 7, 3), 2)
    assert figures.running_mean([5.0], 1) == [5.0]


def test_a_curve_with_a_budget_shows_how_much_of_it_is_spent():
    [axes] = figures.loss_curves({"run": ([1, 2, 3], [3.0, 2.0, 1.0])}, budget=30).axes
    assert axes.get_xlim() == (0, 30)
    [axes] = figures.loss_curves({"run": ([1, 2, 31], [3.0, 2.0, 1.0])}, budget=30).axes
    assert axes.get_xlim() == (0, 31)


def test_noise_by_formula_is_the_noise_that_the_model_predicts(v_model):
    x_t, t = torch.randn(3, 1, 28, 28), torch.tensor([2, 25, 50])
    y = torch.tensor([3, 1, 4])
    by_formula = training_pieces.NoiseFromV(v_model, training_pieces.eps_from_v)
    with torch.no_grad():
        assert torch.allclose(by_formula.predict_noise(x_t, t, y), v_model.predict_noise(x_t, t, y), atol=1e-5)
    with pytest.raises(ValueError, match="w must be 0"):
        by_formula.predict_noise(x_t, t, y, w=1.0)
    assert live_training.draw_digits(by_formula, torch.arange(2), seed=0).shape == (2, 1, 28, 28)


def test_both_formulas_turn_v_back():
    schedule, t = NoiseSchedule.linear(T=20), torch.tensor([1, 10, 20])
    x_0, eps = torch.rand(3, 1, 28, 28), torch.randn(3, 1, 28, 28)
    x_t, v = schedule.add_noise(x_0, t, eps), schedule.velocity(x_0, t, eps)
    alpha_bar = schedule.alpha_bar[t].view(-1, 1, 1, 1)
    assert torch.allclose(training_pieces.x_0_from_v(x_t, alpha_bar, v), x_0, atol=1e-5)
    assert torch.allclose(training_pieces.eps_from_v(x_t, alpha_bar, v), eps, atol=1e-5)


def test_one_batch_is_learned_by_heart_and_a_loss_is_measured_on_many(v_model):
    x_t, eps = torch.randn(2, 4, 1, 28, 28)
    y = torch.arange(4)
    errors = training_pieces.learn_by_heart(v_model.unet.train(), x_t, torch.full((4,), 0.5), y, eps, steps=20)
    assert len(errors) == 20
    assert errors[-1] < errors[0]
    data = TensorDataset(torch.rand(70, 1, 28, 28), torch.arange(70) % 10)
    found = training_pieces.losses_on(DDPM.loss, v_model, data, 0.1)
    assert found.shape == (3,)
    assert not found.requires_grad


def test_guesses_are_clipped_and_their_errors_measured():
    x_0, y = torch.full((2, 1, 28, 28), 0.5), torch.tensor([0, 1])
    guesses = guess_errors.guesses_at(lambda x_t, t, y: 0 * x_t + 9, NoiseSchedule.linear(T=9), x_0, y, [1, 9])
    assert guesses.shape == (2, 2, 1, 28, 28)
    assert guess_errors.errors_of(guesses, x_0) == [0.25, 0.25]


def test_a_watched_training_says_how_far_it_came(monkeypatch, capsys, v_model):
    monkeypatch.setattr(figures.LiveLoss, "show", lambda self: None)
    data = TensorDataset(torch.rand(64, 1, 28, 28), torch.arange(64) % 10)
    last = live_training.train_and_watch(v_model, data, TrainConfig(steps=3))
    assert last.step == 3
    assert capsys.readouterr().out.startswith("3 steps")

    def stopped(self, record):
        raise KeyboardInterrupt

    monkeypatch.setattr(figures.LiveLoss, "update", stopped)
    assert live_training.train_and_watch(v_model, data, TrainConfig(steps=3)).step == 1
    assert "You stopped after" in capsys.readouterr().out
    note = live_training.note_for(v_model, data, "made up", last, 32, samples=20, seed=0)
    assert note["steps"] == 3
    assert len([key for key in note if key.startswith("w=")]) == 2


def test_a_press_before_the_first_step_says_what_to_do(monkeypatch, v_model):
    monkeypatch.setattr(figures.LiveLoss, "show", lambda self: None)
    data = TensorDataset(torch.rand(64, 1, 28, 28), torch.arange(64) % 10)

    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DDPM, "loss", stopped)
        with pytest.raises(KeyboardInterrupt, match="before the first step; run this cell again"):
            live_training.train_and_watch(v_model, data, TrainConfig(steps=3))
    assert live_training.train_and_watch(v_model, data, TrainConfig(steps=3)).step == 3


def test_columns_stand_under_their_names(capsys):
    training_pictures.print_columns({"t": torch.tensor([1, 500]), "error": torch.tensor([0.25, 10.0])}, digits=2)
    assert capsys.readouterr().out == "  t   error\n  1    0.25\n500   10.00\n"


def test_every_picture_has_words(displayed):
    x, t = torch.randn(3, 1, 28, 28), torch.tensor([1, 20, 50])
    training_pictures.show_questions(x, x, x, t, v=x)
    training_pictures.show_drawn({"ε": torch.rand(20, 1, 28, 28)}, "made up")
    training_pictures.show_guesses({"a": torch.rand(2, 3, 1, 28, 28)}, [1, 50], which=2)
    training_pictures.show_errors([1, 50], {"a": [0.1, 0.4]}, {"lazy": 0.3})
    training_pictures.show_circle(torch.tensor([0.9, 0.5, 0.1]), t)
    assert len(displayed) == 5
    assert all(len(alt) > 40 for alt in displayed)
