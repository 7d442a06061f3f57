"""What a stranger could use: a server on the network, code in files, more rights than needed, a name in a notebook."""

import getpass
import os
import platform
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SOURCES = [
    *(ROOT / "ddpm_lib").rglob("*.py"),
    *(ROOT / "tools").glob("*.py"),
    *(ROOT / "benchmarks").glob("*.py"),
    ROOT / "noxfile.py",
]
UNSAFE = [
    r"weights_only\s*=\s*False", r"trust_remote_code", r"allow_pickle\s*=\s*True", r"\btorch\.(load|hub)\b",
    r"\bimport (pickle|dill|joblib|cloudpickle)\b", r"shell\s*=\s*True", r"\bos\.system\b", r"yaml\.load\(",
]  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_runs_what_a_file_says(path):
    text = path.read_text(encoding="utf-8")
    assert not [pattern for pattern in UNSAFE if re.search(pattern, text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_runs_what_a_file_says(path):
    code = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
    assert not [pattern for pattern in UNSAFE if re.search(pattern, code)]
    assert not re.search(r"(?m)^\s*[!%]", code), "shell and magics are other things on another machine"


# ---------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_hold_no_scripts_and_nothing_of_who_executed_them(path):
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get("outputs", []):
            kinds = set(output.get("data", {}))
            assert kinds <= {
                "text/plain",
                "text/html",
                "text/markdown",
                "text/latex",
                "image/png",
                "image/gif",
                "image/svg+xml",
            }
            texts = [
                output.get("text", ""),
                *(text for kind, text in output.get("data", {}).items() if kind[:5] == "text/"),
            ]
            texts += [output.get("data", {}).get("image/svg+xml", "")]
            for text in texts:
                assert not re.search(r"<script|javascript:|<iframe|\bon(load|error|click|mouse\w+)\s*=", text, re.I), (
                    cell.id
                )
                assert not re.search(r"(/home/|/root/|/work/|/Users/|/tmp/|[A-Z]:\\)", text), cell.id
                for private in {getpass.getuser(), platform.node()} - {"", "root", "localhost"}:
                    assert not re.search(rf"\b{re.escape(private)}\b", text), cell.id


# ---------------------------------------------------------------------------- the server


def lab_command():
    rule = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlab: ")[1].partition("\n\n")[0]
    [line] = [line for line in rule.splitlines() if ".venv/bin/jupyter lab" in line]
    return line.split()[2:]


def test_the_lab_listens_on_the_loopback_and_keeps_its_token():
    options = " ".join(lab_command())
    assert "--ServerApp.ip=127.0.0.1" in options
    for weaker in (
        "token",
        "password",
        "disable_check_xsrf",
        "allow_origin",
        "allow_remote_access",
        "0.0.0.0",
        "allow-root",
    ):
        assert weaker not in options, weaker


def test_a_stranger_without_the_token_is_turned_away(tmp_path):
    """The real server, with the options of `make lab`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "HOME")
    }
    command = [sys.executable, "-m", "jupyterlab", *lab_command(), "--no-browser", f"--ServerApp.port={port}",
               "--ServerApp.port_retries=0"]  # fmt: skip
    command += ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)
    with open(tmp_path / "log.txt", "w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)
    try:
        codes = {}
        for path in ("api", "api/contents", "api/kernels"):  # api says its version, to everybody
            deadline = time.monotonic() + 120
            while path not in codes:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
                        codes[path] = answer.status
                except urllib.error.HTTPError as error:
                    codes[path] = error.code
                    error.close()
                except OSError:
                    assert server.poll() is None
                    assert time.monotonic() < deadline, (tmp_path / "log.txt").read_text()
                    time.sleep(0.2)
        assert codes == {"api": 200, "api/contents": 403, "api/kernels": 403}
        token = re.search(r"\?token=([0-9a-f]+)", (tmp_path / "log.txt").read_text())
        assert len(token.group(1)) >= 32
        if address := other_address():
            with socket.socket() as outside:
                outside.settimeout(2)
                assert outside.connect_ex((address, port)) != 0
    finally:
        server.terminate()
        server.wait(60)


def other_address():
    """An address of this machine that is not the loopback, or None."""
    import psutil

    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET and not address.address.startswith("127."):
                return address.address
    return None


# ---------------------------------------------------------------------------- the workflow


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_the_least_rights_and_pinned_actions(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        if job["permissions"] != {"contents": "read"}:  # what may publish runs nothing of the repository
            assert job["permissions"] == {"pages": "write", "id-token": "write"}
            assert [step["uses"].partition("@")[0] for step in job["steps"]] == ["actions/deploy-pages"]
        assert job["timeout-minutes"] <= 90
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action), action
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert "pull_request_target" not in text
    assert "secrets." not in text
    assert not re.search(r"run:.*\$\{\{ *github\.event", text), "what a stranger writes would be executed"


def test_workflow_covers_the_systems_and_pythons_that_are_promised():
    jobs = yaml.safe_load((WORKFLOWS[0].parent / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["systems"]["strategy"]["matrix"]
    assert [system.split("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    for step in jobs["systems"]["steps"]:  # what runs on Windows is no bash
        assert not re.search(r"&&|\||\bexport\b|\bsource\b|\.sh\b|\bbash\b", step.get("run", ""))


def test_the_pip_route_is_no_bash():
    page = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    route = page.split("\n## pip\n")[1].split("\n## ")[0]
    commands = re.findall(r"(?m)^    (.+)$", route)
    assert len(commands) >= 5
    for command in commands:
        assert not re.search(r"&&|\$\(|\bexport\b|^make\b|/bin/(?!activate)|\bbash\b", command), command
