"""The pad and the drawings of notebook 06, without a browser: its events are sent as the browser sends them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_lib.course import pad, redraw

LINES = [[(9, 7), (20, 7), (20, 21)], [(4, 4)]]


def shown(image):
    return np.asarray(Image.open(io.BytesIO(image.value)))[5::10, 5::10] / 255


def test_a_drawing_is_white_on_its_lines_and_black_elsewhere():
    x = redraw.drawing(LINES)[0, 0]
    assert x.shape == (28, 28)
    assert (x[7, 10:20] == 1).all()
    assert (x[8:21, 20] == 1).all()
    assert x[4, 4] > 0.9  # a line of one point is a dot
    assert x[:, 24:].max() == x[12:, :18].max() == 0
    assert redraw.drawing([]).max() == 0


def test_test_digits_are_of_the_kind_that_was_asked_for(digits):
    images, labels = redraw.some_of_each(2)
    assert labels.tolist() == [i for i in range(10) for _ in range(2)]
    assert torch.equal(redraw.real_digits(7, 2), images[labels == 7])
    assert (redraw.read(images).argmax(1) == labels).float().mean() > 0.9


@pytest.fixture
def without_canvas(monkeypatch):
    monkeypatch.setattr(pad.importlib.util, "find_spec", lambda name: None)


def test_without_ipycanvas_the_pad_shows_the_lines_and_follows_label_and_time(without_canvas, make_ddpm):
    made = pad.Pad(make_ddpm(T=500), LINES)
    assert made.canvas is None
    assert np.allclose(shown(made.drawn), redraw.drawing(LINES)[0, 0], atol=1 / 255)
    before = made.finished.value
    made.label.value = 8
    after = made.finished.value
    made.t.value = 40
    assert len({before, after, made.finished.value}) == 3
    made.label.value, made.t.value = 3, 300
    assert made.finished.value == before  # the same noise
    made.empty.click()
    assert shown(made.drawn).max() == 0
    assert repr(made) == "Pad: run this cell in JupyterLab, and draw"


def test_with_ipycanvas_a_line_of_the_mouse_and_one_of_a_finger_are_drawn_and_finished(make_ddpm):
    pytest.importorskip("ipycanvas")
    made = pad.Pad(make_ddpm(T=500))
    before = made.finished.value

    def event(name, x=0, y=0):
        content = {"event": name, "x": x, "y": y, "touches": [{"x": x, "y": y}]}
        made.canvas._handle_frontend_event(None, content, None)

    event("mouse_move", 10, 10)  # the pen is up
    event("mouse_down", 50, 50)
    event("mouse_move", 200, 50)
    assert made.finished.value == before
    event("mouse_up", 200, 50)
    assert made.lines == [[(5, 5), (20, 5)]]
    finished = made.finished.value
    assert finished != before
    event("mouse_out", 300, 50)
    event("touch_start", 100, 100)
    event("touch_move", 100, 150)
    event("touch_end")
    assert made.lines[1] == [(10, 10), (10, 15)]
    assert made.finished.value != finished
