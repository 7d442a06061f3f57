"""The guidance lab as a learner meets it: JupyterLab's own server, a real browser, notebook 05, mouse and keys.

Starts from an empty profile and empty settings, talks to the loopback only, and stops all that it started.
Runs where a Chromium is installed (Debian: apt-get install chromium); with DDPM_BROWSER_TEST=1 it must run.
DDPM_SCREENSHOTS=figures writes lab_light.png and lab_dark.png there (`make screenshots`).
"""

import os
import re
import shutil
import statistics
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyterlab_server import DONE, running_jupyterlab, write_setting
from PIL import Image
from typed import W_TYPED, said_of

from ddpm_lib import load_checkpoint
from ddpm_lib.widgets import LabState, lab_picture

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

# Notes when a key is pressed, and when the picture that follows is decoded and about to be painted.
WATCH = """() => {
  const image = document.querySelector('.guidance-lab-image');
  window.keys = []; window.pictures = []; window.sources = 0;
  document.addEventListener('keydown', () => window.keys.push(performance.now()), true);
  new MutationObserver(changes => {
    window.sources += changes.length;
    image.decode().then(() => requestAnimationFrame(() => window.pictures.push(performance.now())), () => {});
  }).observe(image, {attributeFilter: ['src']});
}"""
# Texts and parts of controls in the lab that stand out too little from what is behind them: [ratio, what].
FAINT = """() => {
  const lab = document.querySelector('.guidance-lab'), context = new OffscreenCanvas(1, 1).getContext('2d');
  const colour = text => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = text; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const over = (front, back) => [0, 1, 2].map(i => (front[i] * front[3] + back[i] * (255 - front[3])) / 255);
  const behind = element => {
    const own = colour(getComputedStyle(element).backgroundColor);
    return own[3] === 255 || !element.parentElement ? own : [...over(own, behind(element.parentElement)), 255];
  };
  const light = rgb => rgb.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05); };
  const seen = element => element.checkVisibility() && !element.closest('[disabled]');
  const found = [];
  for (const element of [...lab.querySelectorAll('*')].filter(seen)) {
    const style = getComputedStyle(element), back = behind(element);
    if ([...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) {
      const contrast = ratio(over(colour(style.color), back), back);
      if (contrast < 4.5) found.push([contrast, element.textContent]);
    }
    if (element.matches('.noUi-handle, .noUi-target, button, select, input:not([type=checkbox])')) {
      const outside = behind(element.parentElement);
      const edge = ratio(over(colour(style.borderTopColor), outside), outside);
      const contrast = Math.max(edge, ratio(behind(element), outside));
      if (contrast < 3) found.push([contrast, element.className]);
    }
  }
  return found;
}"""
# What of the lab doesn't fit: parts that stick out of it, texts that are cut, and the lab itself in its notebook.
CUT = """() => {
  const lab = document.querySelector('.guidance-lab'), found = [], box = lab.getBoundingClientRect();
  const notebook = lab.closest('.jp-WindowedPanel-outer').getBoundingClientRect();
  if (box.right > notebook.right || lab.scrollWidth > lab.clientWidth) found.push('the lab');
  const parts = 'img, button, label, select, input, summary, p, b, .slider, .widget-readout';
  for (const part of lab.querySelectorAll(parts)) {
    const {left, right, width} = part.getBoundingClientRect();
    if (width && (left < box.left || right > box.right)) found.push(part.outerHTML);
    if (part.matches('button, label, p, b, .widget-readout') && part.scrollWidth > part.clientWidth + 1
        && getComputedStyle(part).display !== 'inline') found.push(part.outerHTML);
  }
  return found;
}"""
PIXELS = """async () => {
  const image = document.querySelector('.guidance-lab-image');
  // decode() fails where the next picture comes in between, as it may while a drag ends.
  for (let left = 20; ; left--) try { await image.decode(); break; } catch (error) { if (!left) throw error; }
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  return [canvas.height, canvas.width, [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab with a copy of notebook 05: (url with token, settings)."""
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "05_guidance_lab.ipynb", folder / "notebooks")
    short = nbformat.read(ROOT / "notebooks" / "05_guidance_lab.ipynb", as_version=4)
    guess = next(cell.source for cell in short.cells if cell.id == "predict-twin-choice")
    code = "from ddpm_lib import load_checkpoint\nfrom ddpm_lib.widgets import GuidanceLab\n"
    code += "GuidanceLab(load_checkpoint(), load_checkpoint('student'))"
    sources = f"from ddpm_lib.course.predict import guess\n{guess}", code
    short.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(short, folder / "notebooks" / "short.ipynb")
    with running_jupyterlab(folder, folder / "notebooks") as (url, token):
        yield f"{url}/lab/tree/NAME.ipynb?token={token}&reset", folder / "jupyterlab_settings_dir"


@pytest.fixture(scope="module")
def context(chromium, tmp_path_factory):
    """One browser with an empty profile; what a test sets, it sets on the server."""
    browser_type, options = chromium
    folder = tmp_path_factory.mktemp("profile")
    context = browser_type.launch_persistent_context(str(folder), headless=True, **options, device_scale_factor=2)
    yield context
    context.close()


@pytest.fixture
def open_lab(context, server):
    """open_lab(theme): a new tab in which all cells of notebook 05 have run, as (page, seconds until usable).

    open_lab(theme, "short"): the same with a notebook that holds a guess and the lab.
    """
    url, settings = server
    pages = []

    def open_page(theme, name="05_guidance_lab"):
        write_setting(settings, "apputils-extension/themes", {"theme": f"JupyterLab {theme}"})
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": 1280, "height": 1100})
        page.set_default_timeout(300_000)  # a busy machine is slow, not broken
        start = time.perf_counter()
        page.goto(url.replace("NAME", name))
        run_all(page)
        seconds = time.perf_counter() - start
        page.wait_for_function(DONE)
        page.get_by_text(re.compile(r"\(ipykernel\) \| Idle")).wait_for()
        page.evaluate("document.querySelector('.guidance-lab').scrollIntoView({block: 'center'})")
        return page, seconds

    yield open_page
    for page in pages:
        page.close()


def run_all(page):
    page.get_by_text(re.compile(r"\(ipykernel\) \| Idle")).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.locator(".guidance-lab-image").wait_for(state="attached")


def type_number(page, label, text):
    """Into the box beside a slider; what it shows then."""
    page.get_by_label(f"{label}, as a number").click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    return page.get_by_label(f"{label}, as a number").inner_text()


def choose(page, item, submenu):
    page.get_by_role("menuitem", name=item, exact=True).click()
    page.get_by_role("menuitem", name=submenu).click()


def pixels(page):
    height, width, data = page.evaluate(PIXELS)
    return np.array(data, np.uint8).reshape(height, width, 4)


def wait_for_picture(page, state, seconds=180):
    """Until the browser shows what the pure function draws for this state, and rests."""
    want = lab_picture(load_checkpoint("student" if state.distilled else None), state).pixels
    deadline = time.monotonic() + seconds
    while True:
        got = pixels(page)
        if got.shape[:2] == want.shape[:2] and not page.locator(".guidance-lab-status").inner_text().strip():
            # Another number of threads adds in another order: a grey may be rounded to its neighbour.
            off = abs(got[..., 0].astype(int) - np.where(want[..., 1] > 0, want[..., 0], 0)).max()
            if off <= 2 and np.array_equal(got[..., 3], want[..., 1]):
                return got
        assert time.monotonic() < deadline, f"the picture of {state} did not come"
        time.sleep(0.05)


def slider_w(page):
    return float(page.locator(".guidance-lab-w .widget-readout").inner_text())


def words(page):
    """The read-out as one line."""
    return " ".join(page.locator(".guidance-lab-readout").inner_text().split())


def where(page):
    """What the arrow keys must not move: the notebook's scroll position and its active cell."""
    return page.evaluate("""() => [
        document.querySelector('.jp-WindowedPanel-outer').scrollTop,
        [...document.querySelectorAll('.jp-Notebook .jp-Cell')].findIndex(cell => cell.matches('.jp-mod-active')),
    ]""")


def save_screenshot(page, theme, tmp_path):
    folder = Path(os.environ.get("DDPM_SCREENSHOTS") or tmp_path)
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    page.locator(".guidance-lab").screenshot(path=tmp_path / "shot.png")
    target = folder / f"lab_{theme}.png"
    Image.open(tmp_path / "shot.png").convert("RGB").quantize(256).save(target, optimize=True)
    assert target.stat().st_size < 300_000
    return np.asarray(Image.open(target).convert("L"))


def test_the_lab_in_a_browser(open_lab, tmp_path, capsys):
    page, opening = open_lab("Light")
    at_first = wait_for_picture(page, LabState())
    page.evaluate(WATCH)

    # Through the read-out.
    type_number(page, "w", "6")
    changed = wait_for_picture(page, LabState(w=6.0))
    assert not np.array_equal(at_first, changed)
    assert "w = 6" in page.locator(".guidance-lab-caption").inner_text()
    assert "w = 6" in page.locator(".guidance-lab-image").get_attribute("title")
    type_number(page, "w", "1")
    wait_for_picture(page, LabState(w=1.0))

    # By key presses, each from rest: the slider moves, the notebook doesn't.
    handle = page.locator(".guidance-lab-w .noUi-handle")
    handle.focus()
    before, latencies = where(page), []
    for key in ["ArrowRight"] * 8 + ["ArrowUp"] * 8 + ["ArrowLeft"] * 4 + ["ArrowDown"] * 4:
        page.evaluate("() => { window.keys = []; window.pictures = []; window.sources = 0; }")
        page.keyboard.press(key)
        page.wait_for_function("window.pictures.length > 0")
        latencies.append(page.evaluate("window.pictures[0] - window.keys[0]"))
        full = f"w {slider_w(page):.2f}".rstrip("0").rstrip(".") + " scale 1 + w"
        page.wait_for_function(
            """full => {
              const text = document.querySelector('.guidance-lab-readout').innerText.replace(/\\s+/g, ' ');
              return text.startsWith(full) && text.trim().endsWith('teacher, 20 steps');
            }""",
            arg=full,
        )
        page.wait_for_timeout(50)
        assert page.evaluate("window.sources") == 2  # the student's and the teacher's, each set once
    assert where(page) == before
    assert slider_w(page) == pytest.approx(1.4)
    wait_for_picture(page, LabState(w=1.4))

    # Quickly through 20 values: the last one wins, and the panel settles.
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(20):
        page.mouse.move(x + 12 * (i + 1), y)
    page.mouse.up()
    page.wait_for_timeout(100)
    last = slider_w(page)
    assert last > 3
    settled = wait_for_picture(page, LabState(w=last))
    page.wait_for_timeout(700)
    assert np.array_equal(pixels(page), settled)

    # A long drag: pictures keep coming.
    box = handle.bounding_box()
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("() => { window.pictures = []; }")
    start, i = time.perf_counter(), 0
    while time.perf_counter() - start < 3 or page.evaluate("window.pictures.length") < 3:
        assert time.perf_counter() - start < 60, "no pictures while dragging"
        i += 1
        page.mouse.move(x - 80 + 80 * np.cos(i / 15), y)
        page.wait_for_timeout(10)
    shown, seconds = page.evaluate("window.pictures.length"), time.perf_counter() - start
    while_dragging = words(page)
    page.mouse.up()
    page.wait_for_timeout(100)
    wait_for_picture(page, LabState(w=slider_w(page)))
    assert while_dragging.endswith("drawn by student, 1 step")
    assert words(page).endswith("drawn by teacher, 20 steps")

    # The switch keeps the student at rest, and back.
    switch = page.get_by_label("steps: 1 (distilled)")
    switch.check()
    wait_for_picture(page, LabState(w=slider_w(page), distilled=True))
    assert words(page).endswith("drawn by student, 1 step")
    switch.uncheck()
    wait_for_picture(page, LabState(w=slider_w(page)))

    # Every view comes, and every control has its visible name.
    for name, state in [
        ("row over w", "row"),
        ("film strip", "film"),
        ("what it adds", "noise"),
        ("mix digits", "mix"),
    ]:
        page.get_by_role("button", name=name).click()
        wait_for_picture(page, LabState(view=state, w=slider_w(page)))
    page.get_by_role("button", name="one w").click()
    for name in ("digit", "seed", "sampler"):
        assert page.locator(".guidance-lab").get_by_label(name, exact=True).count() == 1
    assert not page.get_by_text("Error displaying widget").count()

    show_off(page)
    assert save_screenshot(page, "light", tmp_path)[40, 40] > 230
    with capsys.disabled():
        print(
            f"\nnotebook 05 opened to a usable lab in {opening:.1f} s; key press to changed pixels: median "
            f"{statistics.median(latencies):.0f} ms, p95 {np.quantile(latencies, 0.95):.0f} ms; "
            f"{shown / seconds:.1f} pictures/s in a drag of {seconds:.0f} s"
        )


def show_off(page):
    type_number(page, "w", "2")
    wait_for_picture(page, LabState(w=2.0))


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_every_control_has_a_name_a_focus_and_contrast(open_lab, theme, tmp_path):
    page, _ = open_lab(theme, "short")
    lab = page.locator(".guidance-lab")
    arrow = lab.locator("select").first.evaluate("one => getComputedStyle(one).backgroundImage")
    assert "url(" not in arrow, "a picture that is black in both themes"
    if theme == "Dark":
        page.locator(".guess input").nth(1).focus()  # the prediction above the lab, by keyboard
        page.keyboard.press("Space")
        page.locator(".guess-echo", has_text="You say: w = 0.").wait_for()
        assert page.locator(".guess input").nth(1).is_checked()
        show_off(page)
        assert save_screenshot(page, "dark", tmp_path)[40, 40] < 60
        type_number(page, "w", "1")
    for view in ("film strip", "mix digits", "one w"):
        page.get_by_role("button", name=view).click()
        wait_for_picture(page, LabState(view={"film strip": "film", "mix digits": "mix"}.get(view, "grid")))
        assert lab.get_by_role("group", name="view").get_by_role("button", pressed=True).all_inner_texts() == [view]
        nameless = r"- (slider|button|textbox|combobox|spinbutton|checkbox|img|group)(?! \"\S)"
        assert not re.search(nameless, lab.aria_snapshot().replace("- group: What", ""))
        assert page.evaluate(FAINT) == []
        if view == "mix digits":
            for name in ("play", "stop", "repeat"):
                assert lab.get_by_role("button", name=name, exact=True).is_visible()
    lab.locator("summary").click()
    assert page.evaluate(FAINT) == []
    assert lab.get_by_label("interval, from t").get_attribute("aria-valuetext") == "1"
    assert not lab.locator("[title=null]").count()

    # By Tab through all of it: each one that has the focus shows it.
    page.get_by_role("button", name="one w").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    seen = []
    while page.evaluate("document.querySelector('.guidance-lab').contains(document.activeElement)"):
        look = page.evaluate("""() => {
            const style = getComputedStyle(document.activeElement);
            return [document.activeElement.outerHTML, style.outlineStyle, parseFloat(style.outlineWidth)];
        }""")
        assert look[1:] == ["solid", 3], look
        seen.append(look[0])
        page.keyboard.press("Tab")
    assert len(seen) == 5 + 2 + 4 + 3 + 3 + 1  # views, w, digit … sampler, steps, interval, the words


def test_nothing_is_cut_off_in_narrow_windows(open_lab):
    page, _ = open_lab("Light", "short")
    for width, height in ((1300, 800), (800, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        if width == 390:
            page.keyboard.press("Control+B")  # without the file browser
        page.wait_for_timeout(500)
        for name, view in (("what it adds", "noise"), ("mix digits", "mix"), ("row over w", "row"), ("one w", "grid")):
            page.get_by_role("button", name=name).click()
            page.locator(".guidance-lab-readout", has_text="teacher, 20 steps").wait_for()
            wait_for_picture(page, LabState(view=view))
            assert page.evaluate(CUT) == [], (width, view)
            image = page.locator(".guidance-lab-image").bounding_box()
            assert image["height"] / image["width"] == pytest.approx(
                page.evaluate(
                    "(image => image.naturalHeight / image.naturalWidth)(document.querySelector('.guidance-lab img'))"
                ),
                rel=0.02,
            )
            caption, foot, lab = (
                page.locator(f".guidance-lab{part}").bounding_box() for part in ("-caption", "-foot", "")
            )
            assert 0 <= caption["y"] - image["y"] - image["height"] < 12  # no empty band
            assert 0 <= foot["y"] - caption["y"] - caption["height"] < 12
            assert 0 <= lab["y"] + lab["height"] - foot["y"] - foot["height"] < 16
            if width == 1300:  # the slider and all digits can be seen at once
                slider = page.locator(".guidance-lab-w").bounding_box()
                visible = page.locator(".jp-WindowedPanel-outer").bounding_box()["height"]
                assert image["y"] + image["height"] - slider["y"] < visible


def test_numbers_are_taken_as_people_write_them(open_lab):
    page, _ = open_lab("Light", "short")
    said = page.locator(".guidance-lab-typed")
    now = "1.00"
    for text, w in W_TYPED:
        sentence = said_of(text, now)
        now = now if w is None else f"{w:.2f}".replace("-", "−")
        assert (text, type_number(page, "w", text)) == (text, now)
        assert (text, said.inner_text() if said.count() else "") == (text, sentence)
    assert type_number(page, "w", "2,5") == "2.50"
    assert said.count() == 0
    wait_for_picture(page, LabState(w=2.5))

    assert type_number(page, "steps", "7,0") == "7"
    for text in ("200…400", "400 - 200", "200 to 400"):
        assert type_number(page, "interval", text) == "200 – 400"
    assert type_number(page, "interval", "150") == "200 – 400"
    assert "such as 100 – 400" in said.inner_text()
    state = LabState(w=2.5, steps=7, guidance_interval=(200, 400))
    wait_for_picture(page, state)
    assert "at 3 of 7 steps" in page.locator(".guidance-lab-caption").inner_text()

    # With the mouse: each value of the interval and of the steps has a pixel of its own.
    type_number(page, "interval", "1 – 500")
    for label, value in (("interval, from t", 200), ("interval, to t", 400), ("steps", 55)):
        knob = page.get_by_label(label, exact=True)
        at, track = knob.bounding_box(), knob.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
        least, most = ((1, 500), (1, 100))[label == "steps"]
        page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
        page.mouse.down()
        page.mouse.move(track["x"] + track["width"] * (value - least) / (most - least), at["y"])
        page.mouse.up()
        assert abs(int(knob.get_attribute("aria-valuetext")) - value) <= 1
    knob.focus()
    page.keyboard.press("ArrowRight")
    steps = int(knob.get_attribute("aria-valuetext"))
    low, high = (int(page.get_by_label(f"interval, {end} t").get_attribute("aria-valuetext")) for end in ("from", "to"))
    wait_for_picture(page, LabState(w=2.5, steps=steps, guidance_interval=(low, high)))


def test_a_kernel_that_ended_is_seen_to_have_ended(open_lab):
    page, _ = open_lab("Light", "short")
    ended, unheard = page.locator(".guidance-lab-ended"), page.locator(".guidance-lab-unheard")
    status = page.locator(".guidance-lab-status")
    wait_for_picture(page, LabState())
    type_number(page, "w", "2")  # a restart while something is promised
    choose(page, "Kernel", re.compile("^Restart Kernel…"))
    page.locator(".jp-Dialog .jp-mod-accept").click()
    ended.wait_for()
    assert "Run the cell again" in ended.inner_text()
    assert not status.is_visible()
    assert not unheard.is_visible()
    run_all(page)
    wait_for_picture(page, LabState())
    assert not ended.is_visible()

    choose(page, "Kernel", "Shut Down Kernel")
    page.get_by_text("No Kernel").first.wait_for()
    page.locator(".guidance-lab-w .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    unheard.wait_for()
    assert "does not answer" in unheard.inner_text()
    assert not status.is_visible()
