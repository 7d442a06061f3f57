"""The guidance lab without a browser and without an event loop: what the controls say is what the pixels show."""

import dataclasses
import io
import re
import threading
import time

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_lib import DDPM, UNet, load_checkpoint, sample, student_of, widgets
from ddpm_lib.widgets import COARSE_STEPS, SAY, VIEWS, GuidanceLab, LabState, lab_picture, say_number


@pytest.fixture
def lab(tiny_ddpm):
    return GuidanceLab(tiny_ddpm)


@pytest.fixture
def student(make_ddpm):
    """A network that hears w in −1 … 4, and draws other digits than the tiny ddpm."""
    student = student_of(make_ddpm(seed=1)).eval()
    torch.nn.init.normal_(student.unet.bottleneck[0][0].weight, generator=torch.Generator().manual_seed(0))
    return student


@pytest.fixture
def taught_lab(tiny_ddpm, student):
    return GuidanceLab(tiny_ddpm, student)


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.002)


def settle(lab):
    until(lambda: not lab._working)


def pixels(lab):
    return np.asarray(Image.open(io.BytesIO(lab.picture.value)))


def walk(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def shows(lab, state):
    return np.array_equal(pixels(lab), lab_picture(lab.student if state.distilled else lab.ddpm, state).pixels)


def words(lab):
    """The read-out as one line."""
    return " ".join(re.sub("<.*?>", " ", lab.readout.value).split())


# ---------------------------------------------------------------------------- the pure function


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("digit", [None, 3])
def test_the_same_state_gives_the_same_pixels_and_words(tiny_ddpm, view, digit, global_rng_untouched):
    state = LabState(view=view, digit=digit, steps=5, t=10, w=2.0)
    with global_rng_untouched():
        first, second = lab_picture(tiny_ddpm, state), lab_picture(tiny_ddpm, state)
    assert first.pixels.dtype == np.uint8
    assert np.array_equal(first.pixels, second.pixels)
    assert (first.caption, first.agreement, first.distance) == (second.caption, second.agreement, second.distance)
    assert set(np.unique(first.pixels[..., 1])) == {0, 255}  # tiles, and nothing between them
    rows, columns = first.pixels.shape[0] // 30, first.pixels.shape[1] // 30
    assert len(first.columns) in (0, columns)
    assert len(first.rows) in (0, rows)


def test_the_grid_is_what_sample_draws(tiny_ddpm):
    state = LabState(w=1.5, seed=4, steps=6, sampler="dpmpp_2m", guidance_interval=(3, 12))
    x = sample(tiny_ddpm, torch.arange(10), 1.5, "dpmpp_2m", 6, (3, 12), torch.Generator().manual_seed(4))
    tiles = (x * 255).round().byte().view(2, 5, 28, 28)
    shown = lab_picture(tiny_ddpm, state).pixels[..., 0].reshape(2, 30, 5, 30).transpose(0, 2, 1, 3)[:, :, 1:-1, 1:-1]
    assert np.array_equal(shown, tiles)


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
def test_every_column_of_the_row_starts_from_the_noise_of_the_grid(make_ddpm, sampler):
    ddpm = make_ddpm(prediction="v")
    row = lab_picture(ddpm, LabState("row", w=2.0, steps=4, sampler=sampler)).pixels
    if sampler == "ddim":
        grid = lab_picture(ddpm, LabState("grid", w=2.0, steps=4)).pixels
        first = np.concatenate(np.split(row[:, :30], 10)[:5], axis=1), np.concatenate(np.split(row[:, :30], 10)[5:], 1)
        assert abs(np.concatenate(first).astype(int) - grid).max() <= 1
    assert np.array_equal(row[:, :30], row[:, 120:150]) == (sampler == "ddim")  # w = 2, again, as a fixed column


def test_the_film_stops_where_it_is_told(tiny_ddpm):
    first, last = (lab_picture(tiny_ddpm, LabState("film", steps=10, t=t)) for t in (20, 0))
    assert "t = 18" in first.caption
    assert "t = 0" in last.caption
    x = lab_picture(tiny_ddpm, LabState("grid", steps=10)).pixels
    assert np.array_equal(last.pixels[:30], np.concatenate([x[:30], x[30:]], axis=1))  # at t = 0 x_t is the digit
    strip = lab_picture(tiny_ddpm, LabState("film", digit=3, steps=10, t=9))
    assert strip.columns[0] == "▸ t=10"  # of the times 18, 16, … the nearest, the earlier of two
    assert strip.columns[-1] == "0"


def test_the_difference_is_that_of_the_two_predictions(stub_ddpm):
    ddpm = stub_ddpm(lambda x_t, t_over_T, y: x_t * 0.1 - 0.25 * y.sum(1).view(-1, 1, 1, 1))  # ε(∅) − ε(y) = 0.25
    picture = lab_picture(ddpm, LabState("noise", steps=4, t=10))
    difference = picture.pixels[90:120].reshape(30, 10, 30, 2)[1:-1, :, 1:-1, 0]
    assert np.array_equal(np.unique(difference), [191])  # 0.5 + 0.25 of 255


def test_a_mix_is_drawn_from_the_soft_label(stub_ddpm):
    ddpm = stub_ddpm()
    lab_picture(ddpm, LabState("mix", first=3, second=8, share=0.7, w=0.0, steps=1))
    y = ddpm.unet.calls[0][2]
    assert torch.allclose(y[:, [3, 8]], torch.tensor([0.3, 0.7]).expand(10, 2))
    lab_picture(ddpm, LabState("mix", first=3, second=3, share=0.7, w=0.0, steps=1))
    assert torch.allclose(ddpm.unet.calls[-1][2].sum(1), torch.ones(10))


@pytest.mark.parametrize(
    ("interval", "w", "said"),
    [(None, 3.0, "w = 3: the label is exaggerated."),
     ((1, 20), 3.0, "w = 3: the label is exaggerated at 4 of 4 steps."),
     ((6, 15), 3.0, "w = 3: the label is exaggerated at 2 of 4 steps, without guidance at the others."),
     ((6, 15), -1.0, "w = −1: the label is ignored at 2 of 4 steps, without guidance at the others."),
     ((6, 15), 0.0, "w = 0: purely conditional, no guidance."),
     ((6, 9), 3.0, "No step falls into the interval 6 … 9, so w does nothing: there is no guidance.")],
)  # fmt: skip
@pytest.mark.parametrize("view", ["grid", "film", "mix"])
def test_captions_say_where_w_acts(tiny_ddpm, view, interval, w, said):
    state = LabState(view, w=w, steps=4, t=0, guidance_interval=interval)  # at t = 20, 15, 10, 5
    picture = lab_picture(tiny_ddpm, state)
    assert picture.caption.endswith(said)
    unguided = lab_picture(tiny_ddpm, dataclasses.replace(state, w=0.0, guidance_interval=None))
    assert np.array_equal(picture.pixels, unguided.pixels) == ("no guidance." in said)


def test_a_row_over_w_says_where_w_acts(tiny_ddpm):
    row = LabState("row", steps=4)
    captions = [
        lab_picture(tiny_ddpm, dataclasses.replace(row, guidance_interval=at)).caption for at in (None, (6, 15), (6, 9))
    ]
    assert captions[0].endswith("The first column follows the slider.")
    assert captions[1].endswith("The w of a column acts at 2 of 4 steps, without guidance at the others.")
    assert captions[2].endswith("so w does nothing: there is no guidance.")


def test_a_mix_counts_each_digit_once(tiny_ddpm):
    same, other = (lab_picture(tiny_ddpm, LabState("mix", first=3, second=second, steps=2)) for second in (3, 8))
    assert "the label 100 % of 3, each" in same.caption
    assert "the label 50 % of 3 + 50 % of 8, each" in other.caption
    assert re.fullmatch(r"\d+ × 3", same.agreement)
    assert re.fullmatch(r"\d+ × 3, \d+ × 8", other.agreement)


def test_a_number_has_no_minus_zero():
    assert [say_number(x) for x in (-0.001, -0.5, 2.0, 0.125)] == ["0", "−0.5", "2", "0.12"]


def test_drawing_keeps_the_mode_of_the_model(tiny_ddpm):
    tiny_ddpm.train()
    lab_picture(tiny_ddpm, LabState(steps=2))
    assert all(module.training for module in tiny_ddpm.modules())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"view": "x"}, "view"), ({"steps": 0}, "steps"), ({"w": float("nan")}, r"^w\b"), ({"digit": 10}, "labels"),
     ({"sampler": "x"}, "sampler"), ({"view": "noise", "steps": 1}, "steps"),
     ({"guidance_interval": (9, 1)}, "guidance_interval"), ({"view": "mix", "share": 1.5}, "labels"),
     *(({"view": view, "distilled": True}, "view") for view in ("film", "noise", "mix"))],
)  # fmt: skip
def test_states_that_make_no_sense_are_refused(tiny_ddpm, wrong, message):
    with pytest.raises(ValueError, match=message):
        lab_picture(tiny_ddpm, LabState(**({"steps": 3} | wrong)))


def test_a_student_draws_in_one_step_from_the_noise_of_the_seed(student):
    state = LabState(w=2.5, seed=4, steps=6, sampler="ancestral", guidance_interval=(1, 2), distilled=True)
    x = sample(student, torch.arange(10), 2.5, steps=1, generator=torch.Generator().manual_seed(4))
    tiles = (x * 255).round().byte().view(2, 5, 28, 28)
    shown = lab_picture(student, state).pixels[..., 0].reshape(2, 30, 5, 30).transpose(0, 2, 1, 3)[:, :, 1:-1, 1:-1]
    assert np.array_equal(shown, tiles)
    assert not np.array_equal(shown, lab_picture(student, dataclasses.replace(state, w=0.0)).pixels)


@pytest.mark.parametrize(("view", "w", "said"), [("grid", 4.0, False), ("grid", 4.05, True), ("row", 1.0, True)])
def test_a_picture_says_where_its_network_does_not_hear_w(student, tiny_ddpm, view, w, said):
    state = LabState(view, w=w, digit=3, steps=2)
    heard = lab_picture(student, dataclasses.replace(state, distilled=True)).caption
    assert ("hears no w above 4" in heard) == said
    assert "hears" not in lab_picture(tiny_ddpm, state).caption
    if view == "grid":
        pixels = [lab_picture(student, LabState(w=w, distilled=True)).pixels for w in (w, 4.0)]
        assert np.array_equal(*pixels)


# ---------------------------------------------------------------------------- the panel


def test_moving_w_changes_the_picture_within_two_seconds():
    lab = GuidanceLab(load_checkpoint())
    (slider,) = [x for x in walk(lab) if isinstance(x, ipywidgets.FloatSlider) and x.description == "w"]
    (image,) = [x for x in walk(lab) if isinstance(x, ipywidgets.Image)]
    before = bytes(image.value)
    slider.value = 6.0
    until(lambda: bytes(image.value) != before, seconds=2)
    settle(lab)
    assert np.array_equal(pixels(lab), lab_picture(lab.ddpm, lab.state).pixels)
    assert lab.state == LabState(w=6.0)
    assert "<b>6</b>" in lab.readout.value
    assert "<b>7</b>" in lab.readout.value  # the guidance scale 1 + w
    assert "w = 6" in lab.caption.value
    assert "w = 6" in lab.picture.tooltip


def test_the_first_picture_is_there_at_once(lab):
    assert lab.status.value == ""
    assert shows(lab, lab.state)


@pytest.mark.parametrize(
    ("control", "value", "changed"),
    [("w", 3.0, {"w": 3.0}), ("view", "row", {"view": "row"}), ("digit", 7, {"digit": 7}), ("seed", 5, {"seed": 5}),
     ("steps", 9, {"steps": 9}), ("sampler", "ancestral", {"sampler": "ancestral"}),
     ("interval", (4, 9), {"guidance_interval": (4, 9)})],
)  # fmt: skip
def test_every_control_reaches_the_state_and_the_pixels(lab, control, value, changed):
    state = dataclasses.replace(lab.state, **changed)
    getattr(lab, control).value = value
    settle(lab)
    assert lab.state == state
    assert shows(lab, state)


def test_controls_of_a_view_are_shown_with_it_and_act(lab):
    lab.view.value = "film"
    lab.t.value = 3
    settle(lab)
    assert (lab._stop.layout.display, lab._mix.layout.display) == (None, "none")
    assert shows(lab, lab.state)
    lab.view.value = "mix"
    lab.first.value, lab.second.value, lab.share.value = 1, 7, 30
    settle(lab)
    assert (lab._stop.layout.display, lab._mix.layout.display) == ("none", None)
    assert (lab.state.first, lab.state.second, lab.state.share) == (1, 7, 0.3)
    assert shows(lab, lab.state)


def test_new_noise_is_the_next_seed(lab):
    lab.new_noise.click()
    settle(lab)
    assert lab.state.seed == 1
    assert shows(lab, LabState(seed=1, t=lab.t.value))


def test_after_the_largest_seed_comes_the_smallest(lab):
    lab.seed.value = lab.seed.max
    lab.new_noise.click()
    settle(lab)
    assert lab.state.seed == 0
    assert shows(lab, LabState(t=lab.t.value))


def test_every_control_has_a_name_and_says_what_it_does(taught_lab):
    controls = [x for x in walk(taught_lab) if isinstance(x, ipywidgets.ValueWidget | ipywidgets.Button)]
    for widget in controls:
        if not isinstance(widget, ipywidgets.HTML | ipywidgets.Image):
            assert widget.description
        if not isinstance(widget, ipywidgets.HTML | ipywidgets.Image | ipywidgets.Play | ipywidgets.ToggleButtons):
            assert SAY["words"][widget.description] == widget.tooltip
    assert list(taught_lab.view.tooltips) == list(SAY["views"].values())
    assert list(SAY["views"]) == list(VIEWS.values())


def test_every_word_of_the_panel_is_explained_in_it(taught_lab):
    shown = {widget.description for widget in walk(taught_lab) if hasattr(widget, "description")}
    shown |= set(re.findall(r"<span.*?>(.*?) <b>", taught_lab.readout.value)) | set(VIEWS.values())
    (listed,) = [widget.value for widget in walk(taught_lab) if "<dl>" in str(getattr(widget, "value", ""))]
    listed = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", listed))
    assert set(listed) == shown - {"", "view", "scale 1 + w", "play the morph"}
    assert all(text.endswith(".") for text in listed.values())
    assert f"t: {taught_lab.t.max} is noise" in " ".join(str(getattr(x, "value", "")) for x in walk(taught_lab))


def test_formulas_are_set_as_formulas(lab):
    lab.view.value = "film"
    settle(lab)
    assert "<i>x̂</i><sub>0</sub>" in lab.caption.value
    assert lab._rows.value == "<span><i>x</i><sub>t</sub></span><span><i>x̂</i><sub>0</sub></span>"
    assert "x̂₀" in lab.picture.tooltip
    assert "_" not in lab.caption.value + lab.picture.tooltip


def test_the_latest_state_wins_and_dragging_queues_nothing(lab, monkeypatch):
    drawn, gate, entered = [], threading.Event(), threading.Event()

    def slow_draw(ddpm, state, *more):
        drawn.append((state.w, state.steps))
        entered.set()
        gate.wait(10)
        return lab_picture(ddpm, state, *more)

    monkeypatch.setattr(widgets, "lab_picture", slow_draw)
    for i in range(20):
        start = time.monotonic()
        lab.w.value = i / 4
        assert time.monotonic() - start < 0.5, "a control must not wait for a picture"
        entered.wait(10)
    gate.set()
    settle(lab)
    assert drawn == [(0.0, COARSE_STEPS), (4.75, COARSE_STEPS), (4.75, lab.steps.value)]  # of 20 values, first and last
    assert lab.status.value == ""
    assert shows(lab, lab.state)


def test_a_full_picture_gives_way_to_a_newer_state(lab, monkeypatch):
    full = []

    def draw_and_change(ddpm, state, *more):
        if state.steps > COARSE_STEPS and state.w == 2.0:
            full.append(state)
            lab.w.value = 3.0  # while the full picture is being drawn
        return lab_picture(ddpm, state, *more)

    monkeypatch.setattr(widgets, "lab_picture", draw_and_change)
    lab.w.value = 2.0
    settle(lab)
    assert len(full) == 1
    assert shows(lab, lab.state)
    assert lab.state.w == 3.0


def test_the_coarse_picture_comes_first_and_says_so(lab, monkeypatch):
    seen = []
    monkeypatch.setattr(lab, "_present", lambda state, picture: seen.append(state.steps))
    words = []
    lab.status.observe(lambda change: words.append(change["new"]), names="value")
    lab.w.value = 2.0
    settle(lab)
    assert seen == [COARSE_STEPS, lab.steps.value]
    assert words[0].startswith(f"{COARSE_STEPS} of {lab.steps.value} steps")
    assert words[-1] == ""


def test_slow_drawing_says_that_it_computes(lab, monkeypatch):
    words = []
    lab.status.observe(lambda change: words.append(change["new"]), names="value")
    monkeypatch.setattr(widgets, "PATIENCE", 0.01)
    monkeypatch.setattr(widgets, "lab_picture", lambda *arguments: time.sleep(0.1) or lab_picture(*arguments))
    lab.w.value = 2.0
    settle(lab)
    assert "computing…" in words
    assert lab.status.value == ""


def test_an_error_is_one_readable_line_and_the_panel_lives_on(lab):
    lab.steps.value = 1
    settle(lab)
    lab.view.value = "noise"
    settle(lab)
    assert "⚠ There is no picture of this: the number of steps in this view" in lab.status.value
    assert not re.search(r"\n|\bValueError", lab.status.value)
    assert (lab._shown.layout.display, lab.caption.value, lab.readout.value) == ("none", "", "")  # nothing stale
    lab.steps.value = 5
    settle(lab)
    assert lab.status.value == ""
    assert shows(lab, lab.state)
    assert lab._shown.layout.display is None
    assert words(lab).endswith("drawn by model, 5 steps")


def test_a_mistake_in_the_program_is_told_as_one(lab, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("of <memory>")

    monkeypatch.setattr(widgets, "lab_picture", fail)
    lab.w.value = 2.0
    settle(lab)
    assert "an error in the program, RuntimeError(&#x27;of &lt;memory&gt;&#x27;)" in lab.status.value
    assert lab._shown.layout.display == "none"


def test_a_model_of_broken_numbers_draws_nothing(make_ddpm):
    ddpm = make_ddpm(seed=3)
    with torch.no_grad():
        next(ddpm.parameters()).fill_(float("nan"))
    lab = GuidanceLab(ddpm)
    assert "finite" in lab.status.value
    assert lab._shown.layout.display == "none"
    assert "nan" not in lab.readout.value


@pytest.mark.parametrize("part", ["status", "readout", "caption", "picture", "_columns"])
@pytest.mark.parametrize("times", [1, 3])
def test_failed_messages_do_not_stop_the_lab(lab, monkeypatch, part, times):
    """A worker that dies with its flag set would leave a lab that draws nothing ever again."""
    widget, failures = getattr(lab, part), []
    send = widget.send_state

    def lost(*arguments, **more):
        if len(failures) < times:
            failures.append(1)
            raise LookupError("no shell")
        return send(*arguments, **more)

    monkeypatch.setattr(widgets, "PATIENCE", 60)
    lab.view.value = "row" if part == "_columns" else "grid"
    settle(lab)
    monkeypatch.setattr(widget, "send_state", lost)
    for w in (2.0, 3.0, 4.0, 5.0):
        lab.w.value = w
        settle(lab)
    assert len(failures) == times
    assert lab.status.value == ""
    assert shows(lab, lab.state)
    assert lab.state.w == 5.0


def test_a_thread_that_cannot_start_does_not_stop_the_lab(lab, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            lab.w.value = 2.0
    lab.w.value = 3.0
    settle(lab)
    assert shows(lab, LabState(w=3.0, t=lab.t.value))


def test_a_change_tells_the_browser_that_it_was_heard(lab):
    heard = []
    lab._answer.observe(lambda change: heard.append(change["new"]), names="value")
    for value in (1, 2, 2.5):  # the number of steps: a view that is drawn, and one that isn't
        lab.view.value = "noise"
        before = len(heard)
        lab.steps.value, lab.w.value = int(value), value
        settle(lab)
        assert len(heard) > before
    assert len(set(heard)) == len(heard)


def test_a_picture_goes_to_the_browser_once(lab, monkeypatch):
    """Each message makes the browser set the image's source."""
    sent = []
    monkeypatch.setattr(lab.picture, "send_state", lambda key=None: sent.append(set(key)))
    lab.w.value = 2.0
    settle(lab)
    assert len(sent) == 2  # the sketch, and the full picture
    assert all("value" in keys for keys in sent)


def test_no_thread_is_left_when_the_panel_rests(lab):
    lab.w.value = 2.0
    settle(lab)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "guidance lab"])


def test_threads_may_share_the_panel(lab):
    threads = [threading.Thread(target=setattr, args=(lab.w, "value", i / 4)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(lab)
    assert shows(lab, lab.state)


@pytest.mark.parametrize("wrong", [None, 3, torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_refused(wrong):
    with pytest.raises(ValueError, match=r"^ddpm\b.*DDPM"):
        GuidanceLab(wrong)


# ---------------------------------------------------------------------------- the student


def test_while_a_control_moves_the_student_draws_and_at_rest_the_teacher(taught_lab, monkeypatch):
    lab, seen, said = taught_lab, [], []
    present = lab._present
    monkeypatch.setattr(
        lab, "_present", lambda *shown: (present(*shown), seen.append((shows(lab, shown[0]), words(lab))))
    )
    lab.status.observe(lambda change: said.append(change["new"]), names="value")
    lab.w.value = 2.0
    settle(lab)
    (first, drawn_first), (last, drawn_last) = seen
    assert (first, last) == (True, True)
    assert drawn_first.endswith("drawn by student, 1 step")
    assert drawn_last.endswith("drawn by teacher, 20 steps")
    assert [text for text in said if text != "computing…"] == ["the teacher's 20 steps follow…", ""]
    assert shows(lab, LabState(w=2.0, t=lab.t.value))


@pytest.mark.parametrize(
    ("control", "value", "by_student"),
    [("digit", 3, True), ("seed", 1, True), ("view", "row", True), ("view", "film", False), ("view", "noise", False),
     ("view", "mix", False), ("interval", (1, 9), False)],
)  # fmt: skip
def test_where_a_student_was_not_taught_there_is_a_sketch(taught_lab, monkeypatch, control, value, by_student):
    seen = []
    monkeypatch.setattr(taught_lab, "_present", lambda state, picture: seen.append((state.distilled, state.steps)))
    getattr(taught_lab, control).value = value
    settle(taught_lab)
    assert seen == [(by_student, 20 if by_student else COARSE_STEPS), (False, 20)]


def test_the_switch_keeps_the_student_at_rest(taught_lab):
    lab = taught_lab
    lab.distilled.value = True
    lab.w.value = 3.0
    settle(lab)
    assert lab.state == LabState(w=3.0, t=lab.t.value, distilled=True)
    assert shows(lab, lab.state)
    assert words(lab).startswith("w 3 scale")
    assert words(lab).endswith("drawn by student, 1 step")
    assert [lab.steps.disabled, lab.sampler.disabled, lab.interval.disabled] == [True] * 3

    lab.w.value = 6.0
    settle(lab)
    assert words(lab).startswith("w 6 → 4 scale")

    lab.view.value = "film"  # a way has no one step: the teacher draws it, and the switch waits
    settle(lab)
    assert lab.distilled.disabled
    assert not lab.steps.disabled
    assert shows(lab, LabState("film", w=6.0, t=lab.t.value))
    assert words(lab).startswith("w 6 scale")

    lab.view.value = "grid"
    lab.distilled.value = False
    settle(lab)
    assert shows(lab, LabState(w=6.0, t=lab.t.value))
    assert words(lab).endswith("drawn by teacher, 20 steps")


@pytest.mark.parametrize("change", [{"distilled": True}, {"steps": COARSE_STEPS}])
def test_a_quick_picture_is_finished_though_a_newer_state_waits(taught_lab, monkeypatch, change):
    """Otherwise a long drag would show nothing until it ends."""
    for name, value in change.items():
        getattr(taught_lab, name).value = value
    settle(taught_lab)
    shown = []

    def draw_and_change(model, state, *more):
        if state.w < 2:
            taught_lab.w.value = state.w + 0.5  # while this picture is being drawn
        return lab_picture(model, state, *more)

    monkeypatch.setattr(widgets, "lab_picture", draw_and_change)
    monkeypatch.setattr(taught_lab, "_present", lambda state, picture: shown.append(state.w))
    taught_lab.w.value = 0.5
    settle(taught_lab)
    assert shown == [0.5, 1.0, 1.5, 2.0]


def test_without_a_student_there_is_no_switch(lab, taught_lab):
    assert (lab.distilled.layout.display, taught_lab.distilled.layout.display) == ("none", None)
    assert not lab.state.distilled
    assert re.fullmatch(r"w 1 scale .* mean distance [\d.]+ drawn by model, 20 steps", words(lab))


def test_the_shipped_student_draws_what_its_teacher_draws(global_rng_untouched):
    teacher, student = load_checkpoint(), load_checkpoint("student")
    with global_rng_untouched():
        pictures = [lab_picture(model, LabState(distilled=model is student)) for model in (teacher, student)]
        other = lab_picture(teacher, LabState(seed=1))
    assert [picture.agreement for picture in pictures] == ["10 of 10"] * 2
    full, one_step, elsewhere = (picture.pixels[..., 0].astype(float) for picture in (*pictures, other))
    assert abs(full - one_step).mean() < 0.5 * abs(full - elsewhere).mean()  # the digits of this noise, not others


@pytest.mark.parametrize("wrong", [3, "student", torch.nn.Linear(2, 2)])
def test_what_is_no_student_is_refused(tiny_ddpm, wrong):
    with pytest.raises(ValueError, match=r"^student\b.*DDPM"):
        GuidanceLab(tiny_ddpm, student=wrong)


def test_a_model_that_does_not_hear_w_is_no_student(tiny_ddpm):
    with pytest.raises(ValueError, match=r"^student's w_max"):
        GuidanceLab(tiny_ddpm, tiny_ddpm)


def test_a_student_of_other_classes_is_refused(tiny_ddpm, tiny_config):
    config = dataclasses.replace(tiny_config, num_classes=4, w_max=4.0)
    with pytest.raises(ValueError, match=r"^student's number of classes"):
        GuidanceLab(tiny_ddpm, DDPM(UNet(config), tiny_ddpm.schedule))
