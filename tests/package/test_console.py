"""ddpm_lib/console.py: commands on a narrow console, with broken, full and closed streams, and with signals."""

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_lib import console

REPOSITORY = Path(__file__).parents[2]
# The file alone: without the package, and so without torch, a process starts at once.
LOADED = f"""
import importlib.util, os, signal, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("console", {console.__file__!r})
console = importlib.util.module_from_spec(spec)
spec.loader.exec_module(console)

@console.command
@console.cleans_up
def main():
"""


@pytest.fixture
def script(tmp_path):
    """script(body): a file with a command whose main() has this body; it may write a file `done` into its folder."""

    def write(body):
        path = tmp_path / "script.py"
        lines = [f"    {line}" for line in body.splitlines()]
        path.write_text(LOADED + "\n".join(lines) + "\n\nif __name__ == '__main__':\n    main()\n", encoding="utf-8")
        return path

    return write


PRINTS = """
print("w ≥ 0 …", flush=True)
print("ε̂ in stderr", file=sys.stderr, flush=True)
for _ in range(3):
    print("x" * 100_000, flush=True)
    print("y" * 100_000, file=sys.stderr, flush=True)
os.write(2, b"")
Path(__file__).with_name("done").write_text("all of it")
"""
posix = pytest.mark.skipif(os.name != "posix", reason="a shell's redirections")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_a_letter_that_the_console_lacks_stops_nothing(encoding, script, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    found = subprocess.run([sys.executable, script(PRINTS)], env=environment, capture_output=True)
    assert found.returncode == 0
    assert (tmp_path / "done").exists()
    printed = found.stdout.decode(encoding)
    assert printed.startswith("w ≥ 0 …" if encoding == "utf-8" else "w ")
    assert len(printed) > 300_000
    assert b"Traceback" not in found.stderr


@posix
@pytest.mark.parametrize(
    "redirection",
    ["| true", "2>&1 | true", "2>&1 | head -c 5", ">/dev/full", ">/dev/full 2>&1", ">&-", ">&- 2>&-", "<&- >&- 2>&-"],
)
def test_nobody_who_reads_stops_nothing(redirection, script, tmp_path):
    # The command's own exit code goes into a file, because the shell's is that of the pipe's end.
    command = f"({sys.executable} {script(PRINTS)}; echo $? > {tmp_path}/code) {redirection}"
    subprocess.run(command, shell=True, capture_output=True, timeout=60)
    assert (tmp_path / "code").read_text() == "0\n"
    assert (tmp_path / "done").exists()


@posix
def test_streams_that_were_closed_are_open_for_the_processes_that_a_command_starts(script, tmp_path):
    body = """
import subprocess
child = "import sys; sys.exit(None in (sys.stdin, sys.stdout, sys.stderr))"
code = subprocess.run([sys.executable, "-c", child]).returncode
Path(__file__).with_name("done").write_text(f"{code} {sys.argv[1:]}")
"""
    subprocess.run(f"{sys.executable} {script(body)} 'a b' c <&- >&- 2>&-", shell=True, check=True, timeout=60)
    assert (tmp_path / "done").read_text() == "0 ['a b', 'c']"


SLEEPS = """
try:
    print("begun", flush=True)
    time.sleep(60)
finally:
    Path(__file__).with_name("done").write_text("cleaned up")
"""


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cleans_up_and_says_one_sentence(name, script, tmp_path):
    with subprocess.Popen(
        [sys.executable, script(SLEEPS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + getattr(signal, name)
    assert said.strip() == f"stopped by {'Ctrl-C' if name == 'SIGINT' else name}"
    assert (tmp_path / "done").read_text() == "cleaned up"


@posix
def test_under_nohup_a_closed_terminal_stops_nothing(script, tmp_path):
    body = "os.kill(os.getpid(), signal.SIGHUP)\nPath(__file__).with_name('done').write_text('all of it')"
    command = [sys.executable, script(body)]
    subprocess.run(command, check=True, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("OSError(28, 'No space left on device', 'marks.csv')", "stopped: marks.csv: No space left on device"),
        ("PermissionError(13, 'Permission denied', 'a', None, 'b')", "stopped: b: Permission denied"),
        ("OSError('MNIST could not be downloaded')", "stopped: MNIST could not be downloaded"),
    ],
)
def test_what_the_disk_refuses_is_one_sentence(raised, said, script):
    found = subprocess.run([sys.executable, script(f"raise {raised}")], capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr.strip() == said


def test_other_errors_and_exit_codes_are_left_alone(script):
    found = subprocess.run([sys.executable, script("sys.exit(3)")], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (3, "")
    found = subprocess.run([sys.executable, script("raise KeyError('a mistake of ours')")], capture_output=True)
    assert b"Traceback" in found.stderr


def commands():
    """Whatever may be run as a program: how, and its file."""
    folders = ["tools", "benchmarks"]
    files = [path for folder in folders for path in sorted((REPOSITORY / folder).glob("*.py"))]
    files = {str(path.relative_to(REPOSITORY)): path for path in files if "if __name__ ==" in path.read_text("utf-8")}
    for path in sorted((REPOSITORY / "ddpm_lib").rglob("__main__.py")):
        files["-m " + ".".join(path.relative_to(REPOSITORY).parent.parts)] = path
    return {name: path for name, path in files.items() if not PURE.issuperset(imported(path))}


def imported(path):
    """The packages that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


PURE = sys.stdlib_module_names  # what imports nothing else, such as commit.py, is over at once
COMMANDS = commands()
# What starts other processes. `subprocess.run` waits for the other process, and ends it when it is ended.
STARTS = re.compile(r"Popen\(|import execution|from execution|import marks")


def test_every_command_of_this_repository_is_one():
    assert len(COMMANDS) >= 12
    for name, path in COMMANDS.items():
        text = path.read_text("utf-8")
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        [main] = [function for function in functions if function.name == "main"]
        decorators = [ast.unparse(decorator) for decorator in main.decorator_list]
        assert "console.command" in decorators, name
        assert "console.cleans_up" in decorators or not STARTS.search(text), name


@posix
@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_while_a_command_still_imports_ends_it_without_a_word(name, tmp_path):
    """It comes when the first package from elsewhere is imported: from there on it takes seconds."""
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import importlib.machinery, os, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        elsewhere = name.partition(".")[0] not in {{*sys.stdlib_module_names, "ddpm_lib"}}
        if elsewhere and importlib.machinery.PathFinder.find_spec(name, path):
            os.kill(os.getpid(), signal.SIGINT)
if sys.orig_argv[1] == {name.split()[0]!r}:  # and no process that a command has started
    sys.meta_path.insert(0, Press())
"""
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    command = [sys.executable, *name.split(), "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@posix
@pytest.mark.parametrize("how", [["-m", "mine"], ["mine/__main__.py"]])
def test_a_program_that_imports_a_tool_or_the_package_keeps_its_own_ctrl_c(how, tmp_path):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import ddpm_lib, commit, distil")  # while Python looks for mine
    (tmp_path / "mine" / "__main__.py").write_text(
        "import ddpm_lib, distil, signal\nassert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, REPOSITORY, REPOSITORY / "tools")))}
    subprocess.run([sys.executable, *how], cwd=tmp_path, env=environment, check=True, timeout=60)
