"""The reader's edition: built once, served on the loopback, opened in Chromium as a reader would."""

import copy
import functools
import http.server
import json
import re
import threading
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import make_html
import nbformat
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from ddpm_lib import load_checkpoint, sample

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SWEEPS = sorted((Path(__file__).parents[2] / "notebooks" / "sweeps").glob("*.ipynb"))
DOCS = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
STEMS = [path.stem for path in NOTEBOOKS + SWEEPS]
PAGES = ["index", *STEMS, "glossary", "teaching", *(path.stem for path in DOCS), "repository"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", autouse=True)
def without_the_lab():
    """test_lab.py opens the lab. Here the scrubber stands in its place, as where npm can't fetch what the lab needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_html.lab_page, "parts_or_none", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("html") / "site"
    make_html.build(folder)
    return folder


@pytest.fixture(scope="module")
def soups(site):
    """Every page of the site, parsed, by its name."""
    return {path.name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in site.glob("*.html")}


@pytest.fixture(scope="module")
def url(site):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser, url):
    """visit(name, viewport, theme): that page, loaded; at the end nothing has gone wrong on it, or left the machine."""
    contexts, trouble = [], []

    def request(sent):
        if not sent.url.startswith((url, "data:")):
            trouble.append(f"request to another host: {sent.url}")

    def open_page(name, viewport=WIDE, theme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda message: message.type in ("error", "warning") and trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", request)
        page.on("requestfailed", lambda failed: trouble.append(f"failed: {failed.url}"))
        page.on("response", lambda got: got.status >= 400 and trouble.append(f"{got.status}: {got.url}"))
        page.goto(f"{url}{name}.html", wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def luminance(color):
    r, g, b = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (float(number) / 255 for number in re.findall(r"[\d.]+", color)[:3])
    )
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


# Each visible piece of text: its colour, and the first background behind it that is not transparent.
TEXTS = """() => {
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest('script')) continue;
    let behind = element;
    while (behind && /^rgba\\(.*, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const background = behind ? getComputedStyle(behind).backgroundColor : 'none';
    found[[getComputedStyle(element).color, background]] ??= text.slice(0, 40);
  }
  return Object.entries(found).map(([colors, text]) => [...colors.split(/,(?=rgb)/), text]);
}"""


# ---------------------------------------------------------------------------- what is written


def test_each_notebook_and_page_is_there_in_order(soups):
    assert {f"{name}.html" for name in PAGES} <= soups.keys()
    contents = soups["index.html"].find(id="contents")
    files = contents.details.extract()
    assert [link["href"] for link in contents.select("a")] == [f"{name}.html" for name in PAGES]
    linked = {link["href"] for link in files.select("a")}
    assert linked == soups.keys() - {f"{name}.html" for name in PAGES} - {"search.html", "lab.html"}
    assert {"ddpm_lib.ddpm.py.html", "LICENSE.html"} < linked
    assert soups["index.html"].find("h1").find_next("p").text.startswith("This is a course in notebooks.")
    cards = [link["href"] for link in soups["index.html"].select(".cards a")]
    assert cards == [f"{path.stem}.html" for path in NOTEBOOKS]
    assert all(card.find("div") for card in soups["index.html"].select(".cards li")), "each says what one can do then"
    for before, after in pairwise(PAGES[1:]):
        assert soups[f"{before}.html"].select_one("[rel=next]")["href"] == f"{after}.html"
        assert soups[f"{after}.html"].select_one("[rel=prev]")["href"] == f"{before}.html"


def test_every_link_and_file_on_the_site_resolves(site, soups):
    for name, soup in soups.items():
        ids = [element["id"] for element in soup.select("[id]")]
        assert len(ids) == len(set(ids)), f"{name}: an id twice"
        for element in soup.select("[href], [src], [srcset]"):
            for attribute in {"href", "src", "srcset"} & element.attrs.keys():
                target = urlsplit(urljoin(f"http://here/{name}", element[attribute]))
                if target.netloc == "here":
                    path = target.path.lstrip("/")
                    assert (site / path).is_file(), f"{name}: {element[attribute]}"
                    if target.fragment:
                        assert soups[path].find(id=target.fragment), f"{name}: {element[attribute]}"
                else:
                    assert element.name == "a" or target.scheme == "data", f"{name} loads {element[attribute][:80]}"


def test_every_page_has_the_meta_of_a_link_that_is_shared(soups):
    descriptions = {name: soup.find("meta", {"name": "description"})["content"] for name, soup in soups.items()}
    assert descriptions["04_guided_sampling.html"].startswith("You can then write the whole way back")
    for name, soup in soups.items():
        assert soup.find("meta", property="og:description")["content"] == descriptions[name]
        assert soup.find("meta", property="og:title")["content"] == soup.title.text
        assert not soup.find("meta", property="og:image"), "an address only where the owner set one"


def test_pages_have_language_title_and_a_way_past_the_navigation(soups):
    titles = [soup.title.text for soup in soups.values()]
    assert len(set(titles)) == len(titles)
    for name, soup in soups.items():
        assert soup.html["lang"] == "en"
        assert "$" not in soup.title.text
        assert len(soup.find_all("h1")) == 1, name
        skip = soup.body.find("a")
        assert soup.find(id=skip["href"].lstrip("#")).name == "main"


def test_equations_are_mathml(soups):
    for name, soup in soups.items():
        soup = copy.copy(soup)
        for element in soup.select("script, pre, code, img"):
            element.extract()
        assert not re.search(r"\$\$|\\(frac|sqrt|bar|varepsilon|text)\b|\$\w", soup.get_text()), name
    for name in ("01_forward_process", "04_guided_sampling", "glossary"):
        assert len(soups[f"{name}.html"].find_all("math")) > 20


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_of_a_notebook_is_shown_with_its_alt_text(path, site):
    soup = BeautifulSoup((site / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser")
    shown = [(image["src"].partition(",")[2], image["alt"]) for image in soup.select("img[src^=data]")]
    stored = [
        (output.data[kind].strip(), output.metadata[kind]["alt"])
        for cell in nbformat.read(path, 4).cells
        for output in cell.get("outputs", [])
        for kind in ("image/png", "image/gif")
        if kind in output.get("data", {})
    ]
    assert shown == stored


def test_no_widget_is_left_empty(soups):
    for name, soup in soups.items():
        for output in soup.select(".output_area"):
            assert not re.match(r"GuidanceLab|\w+\((children|description|value)=", output.get_text().strip()), name
        assert "widget-view" not in str(soup)
        assert not soup.select("script[src^=http]")


def test_a_widget_becomes_a_note_and_a_prediction_radio_buttons():
    note = make_html.for_a_page({"text/plain": "RadioButtons(description='you think', options=())"}, {}, "id")
    assert "JupyterLab" in note["text/html"]
    options = make_html.for_a_page({"text/plain": "○ at t < 5\n○ nowhere"}, {}, "predict-this")
    labels = BeautifulSoup(options["text/html"], "html.parser").select("label")
    assert [label.get_text().strip() for label in labels] == ["at t < 5", "nowhere"]
    assert {label.input["name"] for label in labels} == {"predict-this"}
    plain = {"text/plain": "tensor([1, 2])"}
    assert make_html.for_a_page(plain, {}, "id") == plain


def test_a_link_to_nothing_stops_the_build():
    site, page = make_html.Site(), make_html.Page("notebooks/glossary.md")
    assert site.link("01_forward_process.ipynb#recap", page) == "01_forward_process.html#recap"
    assert site.link("../README.md#the-course", page) == "index.html#the-course"
    assert site.link("../docs/scaling.md#resume", page) == "scaling.html#resume"
    assert site.link("../ddpm_lib/schedule.py", page) == "ddpm_lib.schedule.py.html"
    assert site.link("../benchmarks", page) == ""
    assert site.link("../ddpm_lib/checkpoints/mnist.safetensors", page) == "", "no text"
    assert site.link("../figures/guidance_grid.png", page) == "figures/guidance_grid.png"
    with pytest.raises(FileNotFoundError, match=r"glossary\.md links to 99_nothing\.ipynb"):
        site.link("99_nothing.ipynb", page)


@pytest.mark.parametrize("url", ["../../secret", "/etc/hostname", "../.git/config", "../.env", "away.md"])
def test_a_link_out_of_the_course_publishes_nothing(url, tmp_path, monkeypatch):
    course = tmp_path / "course"
    for name in ("course/notebooks/glossary.md", "course/.git/config", "course/.env", "secret"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    (course / "notebooks" / "away.md").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(make_html, "REPOSITORY", course)
    with pytest.raises(ValueError, match=f"glossary.md links to {url}, which is none of the course's files"):
        make_html.Site().link(url, make_html.Page("notebooks/glossary.md"))


def test_the_site_is_small(site):
    assert (site / "scrubber.png").stat().st_size < 1_500_000
    for page in site.glob("*.html"):
        assert page.stat().st_size < (25_000_000 if page.name == "lab.html" else 1_500_000), page.name
    assert sum(file.stat().st_size for file in site.rglob("*") if file.name != "lab.html") < 20_000_000


@pytest.mark.parametrize("path", NOTEBOOKS + SWEEPS, ids=lambda path: path.stem)
def test_a_notebook_can_be_downloaded_as_it_is_stored(path, site, soups):
    link = soups[f"{path.stem}.html"].select_one("a[download]")
    assert (site / link["href"]).read_bytes() == path.read_bytes()
    assert not soups[f"{path.stem}.html"].select("a[href*=colab], a[href*=mybinder]"), "no address is set"
    assert 'find_spec("ddpm_lib")' not in soups[f"{path.stem}.html"].text, "the cell for hosted notebooks is left out"


def test_only_the_pages_own_scripts_may_run(site, soups):
    for name, soup in soups.items():
        if name == "lab.html":
            continue  # it has a policy of its own
        policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        allowed = set(re.findall(r"'sha256-([^']+)'", policy))
        assert "script-src 'sha256-" in policy
        assert "default-src 'none'" in policy
        run = [script.string for script in soup.select("script:not([type])")]
        assert {b64encode(sha256(script.encode()).digest()).decode() for script in run} == allowed
        assert not soup.select("script[src]")


def build_small_course(folder, monkeypatch, files):
    """A course of one notebook and these files, and its site in folder/site."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Welcome")])
    files = {"README.md": "# A course", "pyproject.toml": "[project]", "notebooks/glossary.md": "# Glossary"} | files
    for name, text in {"notebooks/00_a b.ipynb": nbformat.writes(notebook), **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    picture = Image.new("P", (3, 3))
    monkeypatch.setattr(make_html, "REPOSITORY", folder)
    monkeypatch.setattr(make_html, "scrubber_frames", lambda: (picture, ["caption"] * len(make_html.WEIGHTS)))
    make_html.build(folder / "site")


def test_only_a_folder_that_was_made_here_is_emptied(tmp_path, monkeypatch):
    site = tmp_path / "site"
    site.mkdir()
    build_small_course(tmp_path, monkeypatch, {})  # an empty folder is filled
    (site / "of_an_earlier_run.html").touch()
    build_small_course(tmp_path, monkeypatch, {})
    assert not (site / "of_an_earlier_run.html").exists()
    (site / "index.html").write_text("<h1>My homepage</h1>")
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match=r"site holds files .* new folder"):
        build_small_course(tmp_path, monkeypatch, {})
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("text", ["$\\nosuchcommand$", "[a](nothing.md)"])
def test_a_page_that_cannot_be_made_is_named(text, tmp_path, monkeypatch):
    with pytest.raises(Exception, match=r"nosuchcommand|nothing\.md") as caught:
        build_small_course(tmp_path, monkeypatch, {"notebooks/glossary.md": f"# Glossary\n\n{text}"})
    assert caught.value.__notes__ == ["It stands in notebooks/glossary.md, which can't become a page as it is."]


@pytest.mark.parametrize(
    ("repository", "shown"),
    [
        ("https://github.com/own/na.me", "own/na.me"),
        ("https://github.com/own/name.git", "own/name"),
        ("https://github.com/own/name/", "own/name"),
        ("https://gitlab.com/own/name", None),  # neither Colab nor this form of Binder's address knows it
        ("", None),
    ],
)
def test_links_to_hosted_notebooks_where_the_owner_set_an_address(repository, shown, tmp_path, monkeypatch):
    urls = f"[project.urls]\nRepository = '{repository}'\nDocumentation = 'https://own.example/c/'\n"
    build_small_course(tmp_path, monkeypatch, {"pyproject.toml": f"[project]\n{urls}"})
    soup = BeautifulSoup((tmp_path / "site" / "00_a b.html").read_text(encoding="utf-8"), "html.parser")
    hosted = [link["href"] for link in soup.select(".tools a[href^=http]")]
    if shown:
        colab, binder = hosted
        assert colab == f"https://colab.research.google.com/github/{shown}/blob/main/notebooks/00_a%20b.ipynb"
        assert binder == f"https://mybinder.org/v2/gh/{shown}/HEAD?labpath=notebooks/00_a%20b.ipynb"
    else:
        assert hosted == []
    assert soup.find("meta", property="og:url")["content"] == "https://own.example/c/00_a b.html"
    assert soup.find("meta", property="og:image")["content"].startswith("https://own.example/c/figures/")


# ---------------------------------------------------------------------------- what a reader sees


@pytest.mark.parametrize("name", [*PAGES, "search", "ddpm_lib.schedule.py"])
def test_a_page_in_the_browser(visit, name):
    page = visit(name, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "with solutions open"
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    for width in (800, 1300, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    papers = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        texts = page.evaluate(TEXTS)
        assert len(texts) >= 3
        for color, background, text in texts:
            assert contrast(color, background) >= 4.5, f"{theme}: {color} on {background}: {text}"
    assert luminance(papers[0]) > 0.9
    assert luminance(papers[1]) < 0.05


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_scrubber(visit, theme, tmp_path):
    page = visit("05_guidance_lab", theme=theme)
    slider = page.get_by_label("guidance weight w")
    caption, window = page.locator(".scrubber figcaption"), page.locator(".scrubber .frames")
    assert caption.get_attribute("aria-live") == "polite"

    def seen():
        window.screenshot(path=tmp_path / "frame.png")
        return np.asarray(Image.open(tmp_path / "frame.png").convert("L")).astype(int)

    at_first = seen()
    assert "w = 1:" in caption.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert "w = 1.5:" in caption.inner_text()
    assert slider.get_attribute("aria-valuetext") == "w = 1.5"
    assert page.locator(".scrubber img").get_attribute("alt").endswith("w = 1.5")
    assert abs(seen() - at_first).mean() > 0.1
    page.keyboard.press("Home")
    assert "w = −1:" in caption.inner_text()
    assert "guidance scale s = 1 + w = 0." in caption.inner_text()
    ignored = seen()
    assert abs(ignored - at_first).mean() > 10
    page.keyboard.press("End")
    assert "w = 8:" in caption.inner_text()
    assert abs(seen() - ignored).mean() > 10
    read = {}
    for frame, w in ((0, -1), (4, 1)):
        slider.fill(str(frame))
        read[w] = int(re.search(r"(\d+) of 50 digits", caption.inner_text())[1])
        assert f"agreement {read[w] / 50:.2f}" in caption.inner_text()
    assert read[-1] < 20 < 45 < read[1]


def test_what_the_scrubber_shows_is_what_sample_draws(site):
    """Frame 4 of the picture, w = 1, is a fresh draw from the same noise."""
    picture = Image.open(site / "scrubber.png").convert("LA")
    height = picture.height // len(make_html.WEIGHTS)
    frame = np.asarray(picture)[4 * height : 5 * height].reshape(make_html.NOISES, 30, 10, 30, 2).swapaxes(1, 2)
    assert (frame[:, :, 0, :, 1] == 0).all(), "between digits the page shows"
    assert (frame[:, :, 1:-1, 1:-1, 1] == 255).all()
    x_T = torch.randn(10 * make_html.NOISES, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    x = sample(load_checkpoint(), torch.arange(10).repeat(make_html.NOISES), w=1.0, steps=make_html.STEPS, x_T=x_T)
    want = x.view(make_html.NOISES, 10, 28, 28).numpy()
    assert np.abs(frame[:, :, 1:-1, 1:-1, 0] / 255 - want).mean() < 0.03


def test_solutions_are_folded_and_open_by_key(visit):
    page = visit("04_guided_sampling")
    folds = page.locator("details")
    assert folds.count() >= 5
    assert not page.evaluate("[...document.querySelectorAll('details')].some(one => one.open)")
    solution = page.locator("details", has_text="Solution").first
    assert not solution.locator("pre").is_visible()
    solution.locator("summary").press("Enter")
    assert solution.locator("pre").is_visible()


def test_equations_are_drawn(visit):
    page = visit("01_forward_process")
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Course Math\"', 'x'))")
    # A root takes room beside what stands under it; where a font lacks the sign, browsers draw none.
    rooms = page.evaluate("""() => [...document.querySelectorAll('main msqrt')].map(root => {
        return root.getBoundingClientRect().width - [...root.children].reduce(
            (sum, child) => sum + child.getBoundingClientRect().width, 0);
    })""")
    assert len(rooms) > 5
    assert min(rooms) > 4


def test_the_skip_link_and_the_contents_on_a_phone(visit):
    page = visit("01_forward_process", PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    contents = page.locator("#contents")
    assert not contents.is_visible()
    page.evaluate("scrollTo(0, 3000)")
    before = page.evaluate("scrollY")
    page.locator(".to-contents").dispatch_event(
        "click"
    )  # playwright's own click scrolls, though the header is in sight
    assert page.evaluate("document.activeElement.id") == "contents"
    assert page.evaluate("scrollY") == before, "the contents lie over the page, where it is"
    page.keyboard.press("Escape")
    assert not contents.is_visible()
    page.get_by_role("button", name="Contents").click()
    contents.get_by_role("link", name="02 · The U-Net").click()
    page.wait_for_url("**/02_unet.html")


def test_the_pages_open_from_a_folder_too(browser, site):
    page = browser.new_page()
    trouble = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("requestfailed", lambda failed: trouble.append(failed.url))
    page.goto((site / "05_guidance_lab.html").as_uri())
    page.get_by_label("guidance weight w").press("End")
    assert "w = 8:" in page.locator(".scrubber figcaption").inner_text()
    page.close()
    assert trouble == []


def overflowing(page, selector):
    """The texts in a page whose lines go on beyond their box."""
    return page.evaluate(
        "selector => [...document.querySelectorAll(selector)]"
        ".filter(code => code.scrollWidth > code.clientWidth + 1).map(code => code.textContent.slice(0, 60))",
        selector,
    )


def test_no_line_of_code_runs_out_of_its_cell(visit):
    page = visit("04_guided_sampling")
    assert page.locator(".input_area pre").count() > 10
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (390, 800, 1300):
        page.set_viewport_size({"width": width, "height": 900})
        assert overflowing(page, "main .highlight pre") == [], width
    # At the last width no line of at most 92 signs had to be broken.
    size = "code => [code.clientHeight, code.textContent.trimEnd().split('\\n').length]"
    for height, count in page.locator(".input_area pre").evaluate_all(f"all => all.map({size})"):
        assert height < (count + 0.5) * 20.9 + 28


def test_on_a4_no_code_is_cut_and_an_exercise_stays_with_its_code(visit):
    page = visit("04_guided_sampling", {"width": 680, "height": 960}, "dark")  # 180 mm: A4 without its margins
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert overflowing(page, "main pre") == []
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.9, "white paper"
    assert not page.locator("header, .contents, .tools, main button >> visible=true").count()
    exercise = page.locator(".celltag_exercise").first
    assert exercise.locator(".input_area").evaluate("one => getComputedStyle(one).breakInside") == "avoid"
    assert exercise.evaluate("one => getComputedStyle(one.previousElementSibling).breakAfter") == "avoid"


def test_the_search(visit):
    page = visit("index")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("guidance interval")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=guidance+interval")
    first = page.locator(".results li").first
    assert "05" in first.locator("a").inner_text()
    assert {mark.lower() for mark in first.locator("mark").all_inner_texts()} == {"guidance", "interval"}
    assert re.match(r"\d+ places", page.locator(".found").inner_text())
    target = first.locator("a").get_attribute("href")
    first.locator("a").click()
    page.wait_for_url(f"**/{target}")
    assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top") > 40, "below the header"


def test_what_the_search_finds(visit):
    page = visit("search")
    field, results, found = page.get_by_role("searchbox"), page.locator(".results li"), page.locator(".found")
    for typed, first in [
        ("posteri", "posterior"),  # a word's beginning
        ("KYNKAANNIEMI", "Kynkäänniemi"),  # capitals and accents
        ("Kynkäänniemi", "Kynkäänniemi"),
        ("gudance interwal", "interval"),  # slips of the pen
        ("distilation", "distillation"),
        ("museum of bugs", "museum of bugs"),  # the page whose title it is
        ("predict_noise", "predict_noise"),  # a name in the code
        ("kangaroo", None),  # no word is near
        ("noise_hat nowhere_at_all", None),
        ("(.*[", None),  # no words
    ]:
        field.fill(typed)
        if first is None:
            assert results.count() == 0, typed
            assert "Each word" in found.inner_text()
        else:
            assert first.lower() in results.first.inner_text().lower(), typed
            assert first.lower() in [mark.lower() for mark in results.first.locator("mark").all_inner_texts()] or (
                " " in first
            )
            assert results.count() <= 30
    field.fill("")
    assert found.inner_text().startswith("Each word")


def test_every_result_of_a_search_leads_somewhere(soups):
    index = json.loads(soups["search.html"].select_one("script[type='application/json']").string)
    parts = list(index["storedFields"].values())
    found = {part["file"] for part in parts}
    assert {name for name in soups if re.search(r"^[01]\d_|\.md\.html$|^ddpm_lib\.\w+\.py\.html$", name)} <= found
    assert {"glossary.html", "benchmarks.html", "repository.html"} <= found <= soups.keys()
    assert not [name for name in found if re.search(r"LICENSE|\.(csv|json|txt|toml)\.html$|^tests|\.course\.", name)]
    for part in parts:
        assert part["title"]
        assert not part["anchor"] or soups[part["file"]].find(id=part["anchor"]), part
    assert "limited-interval guidance" in str(parts)


def test_without_npm_the_site_has_no_search_and_says_so(tmp_path, monkeypatch, capsys):
    def fails():
        raise make_html.lab_page.LeftOut("npm could not fetch it")

    monkeypatch.setattr(make_html.lab_page, "node_modules", fails)
    build_small_course(tmp_path, monkeypatch, {})
    assert capsys.readouterr().out == "search.html, the search, was left out: npm could not fetch it.\n"
    assert not (tmp_path / "site" / "search.html").exists()
    assert "search" not in BeautifulSoup((tmp_path / "site" / "index.html").read_text("utf-8"), "html.parser").body.text
    assert 'href="search.html"' not in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_copy_puts_the_code_on_the_clipboard(visit):
    page = visit("01_forward_process")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = page.locator(".input_area").first
    code.get_by_role("button", name="Copy this code").press("Enter")
    page.get_by_text("Copied").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code.locator("pre").inner_text().rstrip()
    assert page.get_by_role("status").inner_text() == "Copied"


def test_the_theme_can_be_chosen_and_is_remembered(visit):
    page = visit("repository", theme="dark")

    def seen():
        paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        shown = page.locator("main picture img").first.evaluate("image => image.currentSrc")
        assert ("light" if paper > 0.5 else "dark") in shown, "the picture for the other theme"
        return paper

    assert seen() < 0.05
    page.get_by_role("button", name="Theme: as your system. Change to light").click()
    assert seen() > 0.9
    page.goto(page.url.replace("repository", "glossary"))
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.9
    page.get_by_role("button", name="Theme: light. Change to dark").click()
    page.get_by_role("button", name="Theme: dark. Change to system").click()
    page.emulate_media(color_scheme="light")
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.9


def test_the_contents_follow_what_is_read(visit):
    page = visit("10_one_model_many_names", {"width": 1300, "height": 600})
    link = page.locator('#contents [aria-current="page"]')
    box = link.bounding_box()
    assert 50 < box["y"] < 600, "the page's own entry is in sight at the start"
    last = page.locator("main h2").last
    last.evaluate("heading => heading.scrollIntoView()")
    marked = page.locator('#contents [aria-current="location"]')
    marked.wait_for()
    assert marked.get_attribute("href") == f"#{last.get_attribute('id')}"
    assert 50 < marked.bounding_box()["y"] < 600


def test_headings_can_be_linked_to(visit):
    page = visit("01_forward_process")
    heading = page.locator("main h2").first
    link = heading.get_by_role("link", name="Link to: ")
    assert link.get_attribute("href") == f"#{heading.get_attribute('id')}"
    link.focus()
    assert link.evaluate("one => getComputedStyle(one).opacity") == "1"


def test_all_solutions_open_and_close(visit):
    page = visit("04_guided_sampling")
    page.get_by_role("button", name="Open all hints and solutions").click()
    assert page.evaluate("[...document.querySelectorAll('main details')].every(one => one.open)")
    page.get_by_role("button", name="Close all hints and solutions").click()
    assert not page.evaluate("[...document.querySelectorAll('main details')].some(one => one.open)")


def test_a_shrunk_figure_can_be_enlarged(visit):
    page = visit("04_guided_sampling", PHONE)
    page.locator("main button >> visible=true", has_text="Enlarge").first.press("Enter")
    large = page.locator("dialog img")
    shown = page.locator("main img").first
    assert large.bounding_box()["width"] > 1.5 * shown.bounding_box()["width"]
    assert large.get_attribute("alt") == shown.get_attribute("alt")
    page.keyboard.press("Escape")
    assert not large.is_visible()
    shown.click()
    assert large.is_visible()
    page.get_by_role("button", name="Close").click()
    assert not large.is_visible()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_films_stop_and_respect_the_wish_for_less_motion(visit, motion):
    page = visit("06_morphing")
    page.emulate_media(reduced_motion=motion)
    page.reload()
    films = page.locator("main picture img")
    assert films.count() == 3
    kinds = {True: "data:image/png", False: "data:image/gif"}
    for still in (motion == "reduce", motion != "reduce"):
        assert films.first.evaluate("film => film.currentSrc").startswith(kinds[still])
        page.get_by_role("button", name="Play the film" if still else "Stop the film").first.click()


def test_the_next_page_says_what_it_is_for(soups):
    following = soups["03_training.html"].select_one("[rel=next]").get_text(" ")
    assert "Next to read, 45 minutes" in following
    assert "You can then write the whole way back" in following


def test_the_first_page_begins_with_the_slider_and_the_course(visit):
    page = visit("index")
    assert page.locator(".scrubber").bounding_box()["y"] < 500
    assert page.locator(".cards li").first.bounding_box()["y"] < 1200
    repeated = page.locator("main p").nth(1).inner_text()
    page.goto(page.url.replace("index", "repository"))
    assert repeated not in page.locator("main").inner_text()
