"""Hosted notebooks, such as Colab: python tools/hosted.py, each time that [project.urls] in pyproject.toml changed.

It writes the first code cell of each notebook, which installs the course where `ddpm_lib` isn't there, and the README's
badges, in the line that ends with MARK. Without a Repository in [project.urls] the cell says what to do, and there are
no badges. papermill, nbval and the reader's edition leave the cell out, by its tags; our own tools execute it. Where
`ddpm_lib` is there, it does nothing.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
MARK = "<!-- badges by tools/hosted.py -->"
BADGES = {
    "Open in Colab": (
        "https://colab.research.google.com/assets/colab-badge.svg",
        "https://colab.research.google.com/github/{}/blob/main/notebooks/00_welcome.ipynb",
    ),
    "Open in Binder": (
        "https://mybinder.org/badge_logo.svg",
        "https://mybinder.org/v2/gh/{}/HEAD?labpath=notebooks/00_welcome.ipynb",
    ),
}
CELL = """if not __import__("importlib.util").util.find_spec("ddpm_lib"):  # as on Colab
"""
INSTALLS = """    package = "ddpm_lib[hosted] @ {}"
    get_ipython().run_line_magic("pip", f"install -q '{{package}}'")"""
REFUSES = """    missing = "ddpm_lib is not installed here, and no address to install it from is set"
    raise ModuleNotFoundError(f"{missing}: use `make lab`, or see docs/installing.md")"""


def project_urls(repository: Path = REPOSITORY) -> dict[str, str]:
    """[project.urls] of pyproject.toml, empty where that has none."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})


def github(urls: dict[str, str]) -> str:
    """OWNER/NAME of a repository on GitHub, "" for any other, which neither Colab nor Binder's short address knows."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", urls.get("Repository", ""))
    return found[1] if found else ""


def source(address: str) -> str:
    """The cell's text. address: what pip installs, such as git+https://… or a wheel's file://…; "" for none."""
    return CELL + (INSTALLS.format(address) if address else REFUSES)


def with_cell(text: str, address: str) -> str:
    """A notebook's file with the cell below its title, in the place of an older one."""
    notebook = json.loads(text)
    title, *others = (other for other in notebook["cells"] if other["id"] != "hosted")
    count = next((other["execution_count"] for other in notebook["cells"] if other["id"] == "hosted"), None)
    metadata = {"jupyter": {"source_hidden": True}, "tags": ["hosted", "nbval-skip", "skip-execution"]}
    cell = {"cell_type": "code", "execution_count": count, "id": "hosted", "metadata": metadata, "outputs": []}
    cell["source"] = source(address).splitlines(keepends=True)
    notebook["cells"] = [title, cell, *others]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def with_badges(text: str, name: str) -> str:
    """The README's text with badges for the repository `name` on GitHub, without them where that is ""."""
    badges = [f"[![{alt}]({picture})]({link.format(name)})" for alt, (picture, link) in BADGES.items() if name]
    return re.sub(rf"(?m)^.*{MARK}$", " ".join([*badges, MARK]), text)


if __name__ == "__main__":
    urls = project_urls()
    where = urls.get("Repository", "").rstrip("/")
    if where and not re.fullmatch(r"https://[\w.:/~-]+", where):
        sys.exit(f"Repository in [project.urls] must be an address such as https://github.com/OWNER/NAME, got {where}")
    paths = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    changes = {path: with_cell(path.read_text(encoding="utf-8"), where and f"git+{where}") for path in paths}
    readme = REPOSITORY / "README.md"
    changes[readme] = with_badges(readme.read_text(encoding="utf-8"), github(urls))
    for path, text in changes.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(paths)} notebooks install the course from {where or 'nowhere: pyproject.toml names no repository'}")
