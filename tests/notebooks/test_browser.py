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

import numpy as np
import pytest
from jupyterlab_server import DONE, running_jupyterlab, write_setting
from PIL import Image

from ddpm_lib import load_checkpoint
from ddpm_lib.widgets import LabState, lab_picture

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

# Notes when a key is pressed, and when the picture that follows is decoded and about to be painted.
WATCH = """() => {
  const image = document.querySelector('.guidance-lab-image');
  window.keys = []; window.pictures = [];
  document.addEventListener('keydown', () => window.keys.push(performance.now()), true);
  new MutationObserver(() => image.decode().then(
    () => requestAnimationFrame(() => window.pictures.push(performance.now())), () => {}
  )).observe(image, {attributeFilter: ['src']});
}"""
PIXELS = """async () => {
  const image = document.querySelector('.guidance-lab-image');
  await image.decode();
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
    with running_jupyterlab(folder, folder / "notebooks") as (url, token):
        yield f"{url}/lab/tree/05_guidance_lab.ipynb?token={token}", folder / "jupyterlab_settings_dir"


@pytest.fixture
def open_lab(chromium, server, tmp_path):
    """open_lab(theme): a fresh browser in which all cells of notebook 05 have run, as (page, seconds until usable)."""
    url, settings = server
    browser_type, options = chromium
    contexts = []

    def open_page(theme):
        write_setting(settings, "apputils-extension/themes", {"theme": f"JupyterLab {theme}"})
        context = browser_type.launch_persistent_context(
            str(tmp_path / "profile"),
            headless=True,
            **options,
            viewport={"width": 1280, "height": 1100},
            device_scale_factor=2,
        )
        contexts.append(context)
        page = context.pages[0]
        page.set_default_timeout(300_000)  # a busy machine is slow, not broken
        start = time.perf_counter()
        page.goto(url)
        page.get_by_text(re.compile(r"\(ipykernel\) \| Idle")).wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(".guidance-lab-image").wait_for(state="attached")
        seconds = time.perf_counter() - start
        page.wait_for_function(DONE)
        page.get_by_text(re.compile(r"\(ipykernel\) \| Idle")).wait_for()
        page.evaluate("document.querySelector('.guidance-lab').scrollIntoView({block: 'center'})")
        return page, seconds

    yield open_page
    for context in contexts:
        context.close()


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
    readout = page.locator(".guidance-lab-w .widget-readout")
    readout.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("6")
    page.keyboard.press("Enter")
    changed = wait_for_picture(page, LabState(w=6.0))
    assert not np.array_equal(at_first, changed)
    assert "w = 6" in page.locator(".guidance-lab-caption").inner_text()
    assert "w = 6" in page.locator(".guidance-lab-image").get_attribute("title")
    readout.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    wait_for_picture(page, LabState(w=1.0))

    # By key presses, each from rest: the slider moves, the notebook doesn't.
    handle = page.locator(".guidance-lab-w .noUi-handle")
    handle.focus()
    before, latencies = where(page), []
    for key in ["ArrowRight"] * 8 + ["ArrowUp"] * 8 + ["ArrowLeft"] * 4 + ["ArrowDown"] * 4:
        page.evaluate("() => { window.keys = []; window.pictures = []; }")
        page.keyboard.press(key)
        page.wait_for_function("window.pictures.length > 0")
        latencies.append(page.evaluate("window.pictures[0] - window.keys[0]"))
        full = f"w {slider_w(page):.2f}".rstrip("0").rstrip(".") + " scale 1 + w"
        page.wait_for_function(
            """full => {
              const text = document.querySelector('.guidance-lab-readout').innerText.replace(/\\s+/g, ' ');
              return text.startsWith(full) && text.trim().endsWith('steps 20');
            }""",
            arg=full,
        )
        page.wait_for_timeout(50)
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
    assert while_dragging.endswith("student's steps 1")
    assert words(page).endswith("teacher's steps 20")

    # The switch keeps the student at rest, and back.
    switch = page.get_by_label("steps: 1 (distilled)")
    switch.check()
    wait_for_picture(page, LabState(w=slider_w(page), distilled=True))
    assert words(page).endswith("student's steps 1")
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
    readout = page.locator(".guidance-lab-w .widget-readout")
    readout.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    wait_for_picture(page, LabState(w=2.0))


def test_the_lab_in_the_dark(open_lab, tmp_path):
    page, _ = open_lab("Dark")

    # The prediction above the lab, by keyboard.
    page.locator(".guess input").nth(1).focus()
    page.keyboard.press("Space")
    page.locator(".guess-echo", has_text="You say: w = 0.").wait_for()
    assert page.locator(".guess input").nth(1).is_checked()

    show_off(page)
    assert save_screenshot(page, "dark", tmp_path)[40, 40] < 60
