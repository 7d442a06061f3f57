"""JupyterLab as a test starts it: from empty settings, on the loopback only, ended with all that it started."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]

# Every cell that was waiting has a number. (A collapsed one shows neither.)
DONE = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent);
  return prompts.some(text => /\\d/.test(text)) && !prompts.some(text => text.includes('*'));
}"""


@contextlib.contextmanager
def running_jupyterlab(folder, root):
    """JupyterLab on a free port that shows the folder `root`, with nothing of this user's: (url, token).

    folder: for settings and logs. The settings of `make lab` hold here, too.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
             "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "HOME")  # fmt: skip
    environment = os.environ | {name: str(folder / name.lower()) for name in names}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = folder / "jupyterlab_settings_dir"
    write_setting(settings, "notebook-extension/tracker", {"windowingMode": "none"})
    for name, values in json.loads((ROOT / "tools" / "overrides.json").read_text(encoding="utf-8")).items():
        plugin, _, setting = name.partition(":")
        write_setting(settings, f"{plugin}/{setting}", values)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
               f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
               f"--ServerApp.root_dir={root}"]  # fmt: skip
    log = folder / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/api?token={token}", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield url, token
    finally:
        started = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
        process.terminate()  # the server then ends its kernels
        _, alive = psutil.wait_procs([psutil.Process(p.pid) for p in started if psutil.pid_exists(p.pid)], timeout=20)
        for survivor in alive:
            survivor.kill()
        process.wait(20)


def write_setting(settings, plugin, values):
    """plugin: such as @jupyterlab/apputils-extension/themes; the first part may be left out."""
    owner, name = ("", plugin) if plugin.startswith("@") else ("@jupyterlab", plugin)
    file = settings / owner / f"{name}.jupyterlab-settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values))
