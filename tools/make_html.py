"""Render the stored notebooks into build/html/, a static site that needs no network and no Python: `make html`.

    python tools/make_html.py [FOLDER]

nbconvert turns each cell into HTML, math-core each equation into MathML, which browsers can show. This file adds
the page around them (tools/reader/), links between pages, and the w scrubber: digits that the shipped weights draw now,
from one noise, for every w of the slider.

Every page is one of the repository's files: notebooks, glossary.md, teaching.md, the pages in docs/, README.md, and
each file that one of them links to, such as a module of ddpm_lib.
"""

import html
import io
import json
import posixpath
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import jinja2
import math_core
import nbformat
import numpy as np
import torch
from fontTools import subset
from fontTools.ttLib import TTFont
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_markdown_cell, new_notebook
from PIL import Image

from ddpm_lib import console, load_checkpoint, sample
from ddpm_lib.evaluation import classify, diversity, load_classifier
from ddpm_lib.widgets import say_number, say_w

REPOSITORY = Path(__file__).parent.parent
READER = Path(__file__).parent / "reader"
BUILD = REPOSITORY / "build" / "html"
LAB = "GuidanceLab:"  # the scrubber replaces the cell whose text begins like this
LINE_OF_LINKS = re.compile(r"\[[^\]]*\]\([^)]*\)(?: · \[[^\]]*\]\([^)]*\))*")
MATH = math_core.LatexToMathML()

WEIGHTS = [round(-1 + 0.25 * i, 2) for i in range(37)]  # the slider of the scrubber has these w
NOISES, STEPS, W_AT_FIRST = 5, 8, 1.0
TILE = 30  # a digit and one transparent pixel around it


# ---------------------------------------------------------------------------- text


@dataclass
class Page:
    """A file of the repository on its way to a page of the site."""

    source: str  # path in the repository, with /
    title: str = ""
    body: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)  # anchor and HTML of each heading of level two
    anchors: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """README.md becomes repository.html, a notebook or page NAME.html, other files keep path and suffix."""
        if self.source == "README.md":
            return "repository.html"
        path = Path(self.source)
        if path.parts[0] in ("notebooks", "docs") and path.suffix in (".ipynb", ".md"):
            return f"{path.stem}.html"
        return self.source.replace("/", ".").lstrip(".") + ".html"


class Site:
    """The pages by their source. A link to a file that is no page yet makes it one."""

    def __init__(self):
        self.pages: dict[str, Page] = {}
        self.waiting: list[Page] = []

    def page(self, source: str) -> Page:
        if source not in self.pages:
            self.pages[source] = Page(source)
            self.waiting.append(self.pages[source])
        return self.pages[source]

    def link(self, url: str, page: Page) -> str:
        """Where a link that stands in page.source leads on the site; "" for a folder, which has no page."""
        if re.match(r"[a-z]+:|#", url):
            return url
        path, _, anchor = url.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
        if target == "README.md" and anchor in ("", "the-course"):
            return "index.html" + ("#" + anchor if anchor else "")
        if (REPOSITORY / target).is_dir():
            return ""
        if not (REPOSITORY / target).is_file():
            raise FileNotFoundError(f"{page.source} links to {url}, which is not there")
        if target.startswith("figures/"):
            return target
        return self.page(target).name + ("#" + anchor if anchor else "")


class Renderer(IPythonRenderer):
    """nbconvert's Markdown, with MathML, GitHub's anchors, links inside the site, and tables that scroll."""

    def __init__(self, site: Site, page: Page):
        super().__init__(escape=False)
        self.site, self.page = site, page

    def inline_math(self, body: str) -> str:
        return mathml(body, block=False)

    def block_math(self, body: str) -> str:
        return f'<span class="equation">{mathml(body, block=True)}</span>'

    def heading(self, text: str, level: int, **attrs) -> str:
        words = re.sub(r"[^\w\- ]", "", html.unescape(re.sub(r"<[^>]+>", "", text)).lower())
        slug = anchor = words.strip().replace(" ", "-")
        number = 0
        while anchor in self.page.anchors:
            anchor = f"{slug}-{(number := number + 1)}"
        self.page.anchors.add(anchor)
        if level == 1 and not self.page.title:
            self.page.title = text
        elif level <= 2:  # a page has one title
            level = 2
            self.page.sections.append((anchor, text))
        return f'<h{level} id="{html.escape(anchor)}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        url = self.site.link(url, self.page)
        return super().link(text, url, title) if url else text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, self.site.link(url, self.page), title)

    def table(self, text: str) -> str:
        return f'<div class="table"><table>\n{text}</table></div>\n'


def mathml(latex: str, block: bool) -> str:
    math = MATH.convert_with_local_state(latex.strip(), displaystyle=block)
    return math.replace("<mo>⏟</mo>", '<mo class="brace">⏟</mo>')


class Exporter(HTMLExporter):
    """nbconvert's basic template, which is the cells and nothing around them, with our Markdown."""

    def __init__(self, site: Site, page: Page):
        super().__init__(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
        self.site, self.page = site, page

    @jinja2.pass_context
    def markdown2html(self, context, source):
        return MarkdownWithMath(renderer=Renderer(self.site, self.page)).render(source)


def render(site: Site, page: Page, scrubber: str) -> None:
    """Fill in the page's title, body and sections."""
    path = REPOSITORY / page.source
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, 4)
    else:
        text = path.read_text(encoding="utf-8").replace('<a id="the-course"></a>\n\n', "")  # the heading has it here
        if path.suffix != ".md":
            text = f"# {page.source}\n\n~~~~~{path.suffix[1:] or 'text'}\n{text}\n~~~~~"
        notebook = new_notebook(cells=[new_markdown_cell(text)])
    for cell in notebook.cells:
        if cell.cell_type == "markdown":  # the page has other links to previous and next
            lines = [line for line in cell.source.split("\n") if not is_navigation(line)]
            cell.source = "\n".join(lines)
        for output in cell.get("outputs", []):
            if data := output.get("data"):
                output.data = for_a_page(data, output.metadata, scrubber, cell.id)
    page.body, _ = Exporter(site, page).from_notebook_node(notebook)


def is_navigation(line: str) -> bool:
    return bool(LINE_OF_LINKS.fullmatch(line)) and ("README.md#the-course" in line or "→](" in line)


def for_a_page(data: dict, metadata: dict, scrubber: str, name: str) -> dict:
    """An output's data as a page can show it without a kernel: GIFs as images, widgets as plain HTML."""
    text = data.get("text/plain", "")
    if "image/gif" in data:
        alt = html.escape(metadata["image/gif"]["alt"])
        return {"text/html": f'<img src="data:image/gif;base64,{data["image/gif"].strip()}" alt="{alt}">'}
    if text.startswith(LAB):
        return {"text/html": scrubber}
    if text and all(line.startswith("○ ") for line in text.splitlines()):  # the options of a guess
        button = f'<label><input type="radio" name="{html.escape(name)}"> '
        options = [f"{button}{html.escape(line[2:])}</label>" for line in text.splitlines()]
        return {"text/html": f"<fieldset><legend>Your guess</legend>{''.join(options)}</fieldset>"}
    if "application/vnd.jupyter.widget-view+json" in data or re.match(r"\w+\((children|description|value)=", text):
        return {"text/html": '<p class="live">Live in JupyterLab: this cell shows controls there.</p>'}
    return data


# ---------------------------------------------------------------------------- the w scrubber


def scrubber_frames() -> tuple[Image.Image, list[str]]:
    """All frames below each other in one picture, and a caption for each frame.

    A frame has a column for each digit and a row for each noise; only w differs between frames.
    """
    ddpm, classifier = load_checkpoint(), load_classifier()
    labels = torch.arange(10).repeat(NOISES)
    x_T = torch.randn(len(labels), 1, 28, 28, generator=torch.Generator().manual_seed(0))
    frames, captions = [], []
    for w in WEIGHTS:
        x = sample(ddpm, labels, w=w, steps=STEPS, x_T=x_T).cpu()
        read = (classify(classifier, x)[0].argmax(1).cpu() == labels).sum().item()
        captions.append(describe(w, read, len(labels), diversity(x, labels)))
        grey = (x * 31).round().byte().view(NOISES, 10, 28, 28).numpy()
        tiles = np.full((NOISES, 10, TILE, TILE), 32, np.uint8)  # 32 is transparent
        tiles[:, :, 1:-1, 1:-1] = grey
        frames.append(tiles.transpose(0, 2, 1, 3).reshape(NOISES * TILE, 10 * TILE))
    picture = Image.fromarray(np.concatenate(frames))
    picture.putpalette([round(level * 255 / 31) for level in range(32) for _ in range(3)] + [0, 0, 0])
    return picture, captions


def describe(w: float, read: int, of: int, spread: float) -> str:
    return (
        f"<b>{say_w(w)}</b> Other texts call it the guidance scale 1 + w = {say_number(1 + w)}. "
        f"<b>{read} of {of}</b> digits are read as asked (agreement {read / of:.2f}). "
        f"Diversity within a digit: <b>{spread:.2f}</b>."
    )


def scrubber_html(captions: list[str], templates: jinja2.Environment) -> str:
    at_first = WEIGHTS.index(W_AT_FIRST)
    names = [f"w = {say_number(w)}" for w in WEIGHTS]
    return templates.get_template("scrubber.html.j2").render(
        weights=WEIGHTS, at_first=at_first, noises=NOISES, steps=STEPS, caption=captions[at_first],
        data=json.dumps({"names": names, "captions": captions}, ensure_ascii=False),
    )  # fmt: skip


# ---------------------------------------------------------------------------- the site


def math_font(text: str) -> bytes:
    """STIX Two Math with the signs of `text`: not every system has a font for equations."""
    options = subset.Options(flavor="woff", layout_features=["ssty"], notdef_outline=True)  # ssty: small letters
    file = Path(find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
    font = subset.load_font(str(file), options)
    chosen = subset.Subsetter(options)
    # MathML needs these without naming them: <mi>x</mi> is italic, <msqrt> has a root.
    implied = {chr(code) for block in (range(0x1D434, 0x1D468), range(0x1D6E2, 0x1D71C)) for code in block} | {"√"}
    chosen.populate(text="".join(set(text) | implied))
    chosen.subset(font)
    narrow_roots(font)
    small = io.BytesIO()
    subset.save_font(font, small, options)
    font.close()
    return small.getvalue()


def narrow_roots(font: TTFont) -> None:
    """Give all sizes of the root sign the width of the smallest, and the second size a height between first and third.

    Browsers leave room for the widest size, whichever they show, so that a gap would follow each root. For a single
    letter with an index they would take a size that hangs far below it.
    """
    variants = font["MATH"].table.MathVariants
    root = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(font.getBestCmap()[ord("√")])]
    smallest, second = root.MathGlyphVariantRecord[:2]
    width, high = font["hmtx"][smallest.VariantGlyph][0], second.AdvanceMeasurement
    for part in [*root.MathGlyphVariantRecord[1:], *root.GlyphAssembly.PartRecords]:
        name = part.VariantGlyph if hasattr(part, "VariantGlyph") else part.glyph
        advance, bearing = font["hmtx"][name]
        flatter = 1.0
        if part is second:
            part.AdvanceMeasurement = (smallest.AdvanceMeasurement + high) // 2
            flatter = part.AdvanceMeasurement / high
        glyph = font["glyf"][name]
        glyph.coordinates.scale((width / advance, flatter))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = width, round(bearing * width / advance)


def course(site: Site) -> list[dict]:
    """What the index shows of each notebook: its page, its goal and its minutes."""
    found = []
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        page = site.page(f"notebooks/{path.name}")
        head = nbformat.read(path, 4).cells[0].source
        goal = re.search(r"\*\*After this notebook you can\*\*\s*(.*?)\n>?\s*\n", head, flags=re.DOTALL)
        minutes = re.search(r"\*\*Time\*\*:?\s*(?:about )?(\d+ minutes)", head)
        goal = re.sub(r"\n> ?", " ", goal[1]) if goal else ""
        found.append({
            "page": page,
            "goal": MarkdownWithMath(renderer=Renderer(site, page)).render(goal).strip(),
            "minutes": minutes[1] if minutes else "",
        })  # fmt: skip
    return found


def build(folder: Path = BUILD) -> dict[str, Page]:
    """Write the site into folder, which is emptied before; the pages by their source."""
    site = Site()
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(READER), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    picture, captions = scrubber_frames()
    scrubber = scrubber_html(captions, templates)
    notebooks = course(site)
    sweeps = [f"notebooks/sweeps/{path.name}" for path in sorted((REPOSITORY / "notebooks/sweeps").glob("*.ipynb"))]
    docs = [f"docs/{path.name}" for path in sorted((REPOSITORY / "docs").glob("*.md"))]
    last = ("notebooks/glossary.md", "notebooks/teaching.md", *docs, "README.md")
    more = [site.page(file) for file in (*sweeps, *last)]
    while site.waiting:  # rendering a page may add pages
        render(site, site.waiting.pop(0), scrubber)

    intro = Page("README.md")
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8").partition("\n## Start")[0]
    intro.body = MarkdownWithMath(renderer=Renderer(site, intro)).render(text)

    site.pages["README.md"].title = "The repository"
    order = [entry["page"] for entry in notebooks] + more
    shared = {"order": order, "course": notebooks, "plain": plain}
    page = templates.get_template("page.html.j2")
    files = {"index.html": templates.get_template("index.html.j2").render(page=intro, home=True, **shared)}
    for one in site.pages.values():
        at = order.index(one) if one in order else None
        previous = order[at - 1] if at else None
        following = order[at + 1] if at is not None and at + 1 < len(order) else None
        files[one.name] = page.render(page=one, home=False, previous=previous, following=following, **shared)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    picture.save(folder / "scrubber.png", optimize=True, transparency=32)
    for name in ("style.css", "scrubber.js"):
        shutil.copy(READER / name, folder)
    (folder / "math.woff").write_bytes(math_font("".join(re.findall("(?s)<math.*?</math>", "".join(files.values())))))
    for figure in sorted(set(re.findall(r'(?:href|src|srcset)="(figures/[^"]+)"', "".join(files.values())))):
        (folder / figure).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / figure, folder / figure)
    return site.pages


def plain(text: str) -> str:
    """HTML without its tags, for a <title>."""
    return html.escape(html.unescape(re.sub(r"<[^>]+>", "", text)))


@console.command
def main() -> None:
    target = Path(sys.argv[1]).expanduser() if len(sys.argv) > 1 else BUILD
    start = time.perf_counter()
    pages = build(target)
    print(f"{len(pages)} pages and an index in {time.perf_counter() - start:.0f} s: {target / 'index.html'}")


if __name__ == "__main__":
    main()
