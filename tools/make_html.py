"""Render the stored notebooks into build/html/, a static site that needs no network and no Python: `make html`.

    python tools/make_html.py [FOLDER]

nbconvert turns each cell into HTML, math-core each equation into MathML, which browsers can show. This file adds
the page around them (tools/reader/), links between pages, and the w scrubber: digits that the shipped weights draw now,
from one noise, for every w of the slider. lab_page.py makes the live lab, search_page.py the index of the search.

Every page is one of the repository's files: notebooks, glossary.md, teaching.md, the pages in docs/, README.md, and
each file that one of them links to, such as a module of ddpm_lib. Whoever wrote a notebook can't run code in its page:
what came from the files passes `clean`, and each page names the scripts that it may run.
"""

import base64
import hashlib
import html
import io
import posixpath
import re
import shutil
import sys
import time
import tomllib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from ddpm_lib import console, load_checkpoint, sample
from ddpm_lib.evaluation import classify, diversity, load_classifier
from ddpm_lib.widgets import SAY, say_number, say_w

import hosted
import jinja2
import lab_page
import math_core
import nbformat
import nh3
import numpy as np
import search_page
import torch
from fontTools import subset
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_markdown_cell, new_notebook
from PIL import Image

REPOSITORY = Path(__file__).parent.parent
READER = Path(__file__).parent / "reader"
BUILD = REPOSITORY / "build" / "html"
MADE = b'<meta name="generator" content="tools/make_html.py">'  # so a folder that is emptied is one of this tool's
LAB = "GuidanceLab:"  # the live lab replaces the cell whose text begins like this
LAB_HERE = '<p class="lab-goes-here"></p>'  # until everything that came from the files is clean
LINE_OF_LINKS = re.compile(r"\[[^\]]*\]\([^)]*\)(?: · \[[^\]]*\]\([^)]*\))*")
BACK_OR_ON = re.compile(r"README\.md#the-course|→\]\(")
MATH = math_core.LatexToMathML()
ALLOWED = {key: set(names) for key, names in tomllib.loads((READER / "allowed.toml").read_text()).items()}
PICTURES = (".png", ".gif", ".jpg", ".jpeg", ".webp")  # .svg is a document, which may run scripts when it is opened
LOADED = re.compile(r"(?i)data:image/(png|gif|jpeg|webp|svg\+xml);base64,[\w+/=\s]*$|(?!.*\.\.|[/\\\s])[^:\\]+$")
VALUES = {  # links that run nothing, pictures for which no other host is asked, names that the page itself hasn't
    "href": re.compile(r"(?i)(https?|mailto):|[^:]*([/?#]|$)"), "src": LOADED, "srcset": LOADED,
    "id": re.compile("(?!(contents?|scrub)$)"),
}  # fmt: skip

WEIGHTS = [-1 + 0.5 * i for i in range(19)]  # the slider of the scrubber has these w
NOISES, STEPS, W_AT_FIRST = 5, 8, 1.0
TILE = 30  # a digit and one transparent pixel around it


# ---------------------------------------------------------------------------- text


@dataclass
class Page:
    """A file of the repository on its way to a page of the site."""

    source: str  # path in the repository, with /
    title: str = ""
    goal: str = ""  # what one can do after a notebook, as HTML
    minutes: str = ""
    body: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)  # anchor and HTML of each heading of level two
    anchors: set[str] = field(default_factory=lambda: {"content", "contents"})  # these the page itself has

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
        self.pictures: set[str] = set()  # files that the pages show
        self.exporter, self.rendered = Exporter(self), None  # one for all pages: it compiles nbconvert's templates

    def page(self, source: str) -> Page:
        if source not in self.pages:
            self.pages[source] = Page(source)
            self.waiting.append(self.pages[source])
        return self.pages[source]

    def link(self, url: str, page: Page) -> str:
        """Where a link that stands in page.source leads on the site; "" for a folder and for what is no text."""
        if re.match(r"(?i)[a-z][a-z\d+.-]*:|#", url):
            return url
        path, _, anchor = url.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
        if target == "README.md" and anchor in ("", "the-course"):
            return "index.html" + ("#" + anchor if anchor else "")
        file = (REPOSITORY / target).resolve()
        hidden = re.search(r"(^|/)\.(?!(ci|github|devcontainer)/)", target)
        if hidden or not file.is_relative_to(REPOSITORY.resolve()):
            raise ValueError(f"{page.source} links to {url}, which is none of the course's files")
        if not file.exists():
            raise FileNotFoundError(f"{page.source} links to {url}, which is not there")
        if target.endswith(PICTURES):
            self.pictures.add(target)
            return target
        if file.is_dir() or b"\0" in file.read_bytes():
            return ""
        return self.page(target).name + ("#" + anchor if anchor else "")


class Renderer(IPythonRenderer):
    """nbconvert's Markdown, with MathML, GitHub's anchors, links inside the site, and tables that scroll."""

    def __init__(self, site: Site, page: Page, attachments: dict | None = None):
        super().__init__(escape=False, attachments=attachments)
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
            self.page.title = clean(text)
        elif level <= 2:  # a page has one title
            level = 2
            self.page.sections.append((anchor, clean(text)))
        return f'<h{level} id="{html.escape(anchor)}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        url = self.site.link(url, self.page)
        return super().link(text, url, title) if url else text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match("https?:", url):  # the site asks no other host: a link in the picture's place
            return super().link(text or html.escape(url), url, title)
        return super().image(text, self.site.link(url, self.page), title)

    def table(self, text: str) -> str:
        return f'<div class="table"><table>\n{text}</table></div>\n'


def mathml(latex: str, block: bool) -> str:
    math = MATH.convert_with_local_state(latex.strip(), displaystyle=block)
    return math.replace("<mo>⏟</mo>", '<mo class="brace">⏟</mo>')


class Exporter(HTMLExporter):
    """nbconvert's basic template, which is the cells and nothing around them, with our Markdown."""

    def __init__(self, site: Site):
        super().__init__(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
        self.site = site

    @jinja2.pass_context
    def markdown2html(self, context, source):
        attachments = context.get("cell", {}).get("attachments", {})
        return MarkdownWithMath(renderer=Renderer(self.site, self.site.rendered, attachments)).render(source)


def clean(markup: str) -> str:
    """What a page may show of a file's markup: text, pictures, equations; nothing that runs or asks another host."""

    def attribute(tag: str, name: str, value: str) -> str | None:
        return value if name not in VALUES or VALUES[name].match(value) else None

    return nh3.clean(
        markup, tags=nh3.ALLOWED_TAGS | ALLOWED["tags"], filter_style_properties=ALLOWED["styles"], link_rel=None,
        attributes={"*": ALLOWED["attributes"], "a": {"href"}, "img": {"src"}, "source": {"srcset"}, "input": {"name"}},
        attribute_filter=attribute, tag_attribute_values={"input": {"type": {"radio"}}},
        url_schemes={"http", "https", "mailto", "data"},
    )  # fmt: skip


def with_stills(picture: re.Match) -> str:
    """A film with its last picture beside it, for readers who asked their system for less motion."""

    def still(tag: re.Match) -> str:
        try:
            film = Image.open(io.BytesIO(base64.b64decode(tag[2]) if tag[2] else (REPOSITORY / tag[1]).read_bytes()))
            film.seek(getattr(film, "n_frames", 1) - 1)
            film.convert("RGBA").save(png := io.BytesIO(), "PNG")
        except (OSError, ValueError):  # no picture: the page will show its alt text
            return tag[0]
        theme = re.search('media="([^"]*)"', tag[0])
        media = "(prefers-reduced-motion: reduce)" + (f" and {theme[1]}" if theme else "")
        url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
        return f'<source media="{media}" srcset="{url}">{tag[0]}'

    film = r'<(?:img|source)\b[^>]*?\bsrc(?:set)?="(data:image/gif;base64,([^"]+)|(?!/|[^"]*\.\.)[^":]+\.gif)"[^>]*>'
    markup = re.sub(film, still, picture[0])
    return f"<picture>{markup}</picture>" if markup != picture[0] and picture[0].startswith("<img") else markup


def render(site: Site, page: Page, lab: str) -> None:
    """Fill in the page's title, body and sections."""
    path = REPOSITORY / page.source
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, 4)
    else:
        text = path.read_text(encoding="utf-8").replace('<a id="the-course"></a>\n\n', "")  # the heading has it here
        if path.suffix != ".md":
            text = f"# {page.source}\n\n~~~~~{path.suffix[1:] or 'text'}\n{text}\n~~~~~"
        notebook = new_notebook(cells=[new_markdown_cell(text)])
    notebook.cells = [cell for cell in notebook.cells if "hosted" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":  # the page has other links to previous and next
            lines = cell.source.split("\n")
            cell.source = "\n".join(
                one for one in lines if not (LINE_OF_LINKS.fullmatch(one) and BACK_OR_ON.search(one))
            )
        for output in cell.get("outputs", []):
            if data := output.get("data"):
                output.data = for_a_page(data, output.metadata, cell.get("id", ""))
    site.rendered = page
    markup, _ = site.exporter.from_notebook_node(notebook)
    markup = re.sub(r"(?s)<picture>.*?</picture>|<img\b[^>]*>", with_stills, markup)
    page.body = clean(markup).replace(LAB_HERE, lab)  # cleaned last: nothing changes it afterwards but the lab


def for_a_page(data: dict, metadata: dict, name: str) -> dict:
    """An output's data as a page can show it without a kernel: GIFs as images, widgets as plain HTML."""
    text = data.get("text/plain", "")
    if "image/gif" in data:
        alt = html.escape(str(metadata.get("image/gif", {}).get("alt", "A film.")))
        return {"text/html": f'<img src="data:image/gif;base64,{data["image/gif"].strip()}" alt="{alt}">'}
    if text.startswith(LAB):
        return {"text/html": LAB_HERE}
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
        captions.append(
            f"<b>{say_w(w)}</b> {SAY['scale'].format(scale=say_number(1 + w))} "
            f"<b>{read} of {len(labels)}</b> digits are read as asked (agreement {read / len(labels):.2f}). "
            f"Diversity within a digit: <b>{diversity(x, labels):.2f}</b>."
        )
        grey = (x * 31).round().byte().view(NOISES, 10, 28, 28).numpy()
        tiles = np.full((NOISES, 10, TILE, TILE), 32, np.uint8)  # 32 is transparent
        tiles[:, :, 1:-1, 1:-1] = grey
        frames.append(tiles.transpose(0, 2, 1, 3).reshape(NOISES * TILE, 10 * TILE))
    picture = Image.fromarray(np.concatenate(frames))
    picture.putpalette([round(level * 255 / 31) for level in range(32) for _ in range(3)] + [0, 0, 0])
    return picture, captions


def scrubber_html(captions: list[str], templates: jinja2.Environment) -> str:
    names = [f"w = {say_number(w)}" for w in WEIGHTS]
    return templates.get_template("scrubber.html.j2").render(
        weights=WEIGHTS, at_first=WEIGHTS.index(W_AT_FIRST), noises=NOISES, names=names, captions=captions
    )


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
    small = io.BytesIO()
    subset.save_font(font, small, options)
    font.close()
    return small.getvalue()


def course(site: Site) -> list[Page]:
    """The notebooks' pages in their order, each with its goal and its minutes."""
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        page = site.page(f"notebooks/{path.name}")
        head = "".join(cell.source for cell in nbformat.read(path, 4).cells[:1])
        goal = re.search(r"\*\*After this notebook you can\*\*\s*(.*?)\n>?\s*\n", head, flags=re.DOTALL)
        goal = re.sub(r"\n> ?", " ", goal[1]) if goal else ""
        page.goal = clean(MarkdownWithMath(renderer=Renderer(site, page)).render(goal)).strip()
        page.goal = page.goal.removeprefix("<p>").removesuffix("</p>")
        minutes = re.search(r"\*\*Time\*\*:?\s*(?:about )?(\d+ minutes)", head)
        page.minutes = minutes[1] if minutes else ""
    return list(site.pages.values())


def addresses() -> dict[str, str]:
    """github: OWNER/NAME, address: that of the published site; from [project.urls], "" where that doesn't say."""
    urls = hosted.project_urls(REPOSITORY)
    return {"github": hosted.github(urls), "address": html.escape(urls.get("Documentation", "")).rstrip("/")}


def build(folder: Path = BUILD) -> dict[str, Page]:
    """Write the site into folder, emptied before; the pages by their source. Exits where others' files are in it."""
    first = folder / "index.html"
    made = first.is_file() and MADE in first.read_bytes()
    if folder != BUILD and not made and folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} holds files that no site of this tool has; empty it yourself, or name a new folder")
    site = Site()
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(READER), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    templates.filters["digest"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    frames, captions = scrubber_frames()
    scrubber = scrubber_html(captions, templates)
    lab = lab_page.parts_or_none(scrubber, frames)
    shown = templates.get_template("lab_frame.html.j2").render() if lab else scrubber
    notebooks = course(site)
    more = ("notebooks/sweeps/*.ipynb", "notebooks/glossary.md", "notebooks/teaching.md", "docs/*.md", "README.md")
    files = [file for pattern in more for file in sorted(REPOSITORY.glob(pattern))]
    order = notebooks + [site.page(file.relative_to(REPOSITORY).as_posix()) for file in files]
    while site.waiting:  # rendering a page may add pages
        page = site.waiting.pop(0)
        try:
            render(site, page, shown)
        except Exception as error:
            error.add_note(f"It stands in {page.source}, which can't become a page as it is.")
            raise

    intro, searching = Page("index"), Page("search", "Search")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").split("\n\n")
    start = "\n\n".join([part for part in readme if hosted.MARK not in part][:2])  # title, first paragraph
    intro.body = clean(MarkdownWithMath(renderer=Renderer(site, intro)).render(start)) + shown

    site.pages["README.md"].title = "The repository"
    rest = sorted((one for one in site.pages.values() if one not in order), key=lambda one: one.source)
    index = search_page.index_or_none(order + rest)
    scripts = {path.name: path.read_text(encoding="utf-8") for path in READER.glob("*.js")}
    if index:
        scripts["minisearch.js"] = search_page.library()
    shared = {
        "order": order, "rest": rest, "course": notebooks, "scrubber": scrubber, "js": scripts,
        "lab": lab, "index": index, **addresses(),
    }  # fmt: skip
    template = templates.get_template("page.html.j2")
    files = {"index.html": templates.get_template("index.html.j2").render(page=intro, **shared)}
    files |= {one.name: template.render(page=one, **shared) for one in site.pages.values()}
    if index:
        files["search.html"] = templates.get_template("search.html.j2").render(page=searching, **shared)
    if lab:
        files["lab.html"] = templates.get_template("lab.html.j2").render(**lab, **shared)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    frames.save(folder / "scrubber.png", optimize=True, transparency=32)
    shutil.copy(READER / "style.css", folder)
    (folder / "math.woff").write_bytes(math_font("".join(re.findall("(?s)<math.*?</math>", "".join(files.values())))))
    in_html = re.findall(r'(?:src|srcset)="(figures/[\w.-]+)"', "".join(files.values()))  # as in the README
    for picture in sorted(site.pictures.union(in_html)):
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / picture, folder / picture)
    for one in site.pages.values():
        if one.source.endswith(".ipynb"):
            shutil.copy(REPOSITORY / one.source, folder)
    return site.pages


@console.command
def main() -> None:
    target = Path(sys.argv[1]).expanduser() if len(sys.argv) > 1 else BUILD
    start = time.perf_counter()
    pages = build(target)
    print(f"{len(pages)} pages and an index in {time.perf_counter() - start:.0f} s: {target / 'index.html'}")


if __name__ == "__main__":
    main()
