"""A learner's walk through 00 to 04 in JupyterLab: open your own copy, run all, save, close, and open it again."""

import re

import my_notebooks
import nbformat
import pytest
import run_notebooks
from jupyterlab_server import DONE, running_jupyterlab

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

SPINE = run_notebooks.find_notebooks(["00", "01", "02", "03", "04"])
SHORTER = {"budget_seconds = 30": "budget_seconds = 3", "budget_eps_seconds = 30": "budget_eps_seconds = 3",
           "samples_per_weight = 200": "samples_per_weight = 60"}  # fmt: skip
IDLE = re.compile(r"\(ipykernel\) \| Idle")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    my_notebooks.make(SPINE, [], folder / "my_notebooks")
    for path in (folder / "my_notebooks").iterdir():
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            for before, after in SHORTER.items() if "parameters" in cell.metadata.get("tags", []) else ():
                cell.source = cell.source.replace(before, after)
        nbformat.write(notebook, path)
    with running_jupyterlab(folder, folder / "my_notebooks") as (url, token):
        yield folder / "my_notebooks", url, token


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    browser_type, options = chromium
    context = browser_type.launch_persistent_context(
        str(tmp_path_factory.mktemp("profile")), headless=True, **options, viewport={"width": 1300, "height": 1000}
    )
    context.pages[0].set_default_timeout(300_000)
    yield context.pages[0]
    context.close()


def menu(page, name, entry):
    page.get_by_role("menuitem", name=name, exact=True).click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


@pytest.mark.parametrize("name", [path.name for path in SPINE])
def test_a_learner_runs_all_saves_closes_and_opens_again(name, server, page):
    folder, url, token = server
    page.goto(f"{url}/lab/tree/{name}?token={token}&reset")
    page.get_by_text(IDLE).wait_for()
    assert page.locator(".jp-OutputArea-output").count() == 0, "no answer is in sight"
    menu(page, "Run", "Run All Cells")
    page.wait_for_function(DONE)
    page.get_by_text(IDLE).wait_for()
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0, "nothing in pink"
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    page.keyboard.press("Control+s")
    page.wait_for_function("() => !document.querySelector('.lm-TabBar-tab.lm-mod-current.jp-mod-dirty')")
    saved = nbformat.read(folder / name, 4)
    assert all(cell.execution_count for cell in saved.cells if cell.cell_type == "code")

    menu(page, "Kernel", "Shut Down Kernel")
    page.goto(f"{url}/lab/tree/{name}?token={token}&reset")
    page.get_by_text(IDLE).wait_for()
    page.wait_for_timeout(2000)
    assert page.get_by_text("Error displaying widget").count() == 0
    guesses = [cell for cell in saved.cells if cell.cell_type == "code" and cell.source.startswith("guess(")]
    assert page.locator(".guess input[type=radio]").count() >= 3 * len(guesses)
    menu(page, "Kernel", "Shut Down Kernel")
