"""Two hosts: a training and a sweep over both, and what happens when one of them dies. `make hosts` runs it.

The hosts are two network namespaces of this machine, each with a network of its own, a host name and one end of a
cable. They share the disk, as the machines of a cluster do. Root makes them, and needs `ip` and `unshare`.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch

WORKER = Path(__file__).with_name("hosts_worker.py")
REPOSITORY = Path(__file__).parent.parent.parent


class Host:
    """A network namespace. `start` starts a command there, `pids` are its processes."""

    def __init__(self, name: str, address: str):
        self.name, self.address = name, address

    def start(self, *command, log, **environment):
        inside = [
            "ip",
            "netns",
            "exec",
            self.name,
            "unshare",
            "--uts",
            "sh",
            "-c",
            'hostname "$0"; exec "$@"',
            self.name,
        ]
        with open(log, "w") as output:
            return subprocess.Popen(
                [*inside, *command], stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
            )

    def pids(self):
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]

    def kill(self, pids=None):
        for pid in pids or self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def leave_the_network(self):
        run("ip", "-n", self.name, "link", "set", self.name, "down")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def hosts():
    """Two hosts with a cable between them, 10.19.0.1 and 10.19.0.2, which know each other by name."""
    if not (sys.platform == "linux" and os.geteuid() == 0 and shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("network namespaces need Linux, root, ip (apt-get install iproute2) and unshare")
    tag = secrets.token_hex(3)
    one, other = Host(f"h1-{tag}", "10.19.0.1"), Host(f"h2-{tag}", "10.19.0.2")
    try:
        for host in (one, other):
            added = subprocess.run(["ip", "netns", "add", host.name], capture_output=True, text=True, check=False)
            if added.returncode:
                pytest.skip(f"network namespaces can't be made here: {added.stderr.strip()}")
            names = Path("/etc/netns") / host.name  # these files cover those of /etc on that host
            names.mkdir(parents=True)
            lines = ["127.0.0.1 localhost", *(f"{each.address} {each.name}" for each in (one, other))]
            (names / "hosts").write_text("\n".join(lines) + "\n")
        run(*f"ip link add {one.name} netns {one.name} type veth peer name {other.name} netns {other.name}".split())
        for host in (one, other):
            run(*f"ip -n {host.name} addr add {host.address}/24 dev {host.name}".split())
            for device in (host.name, "lo"):
                run(*f"ip -n {host.name} link set {device} up".split())
        yield one, other
    finally:
        for host in (one, other):
            with contextlib.suppress(subprocess.CalledProcessError):
                host.kill()
                run("ip", "netns", "del", host.name)
            shutil.rmtree(Path("/etc/netns") / host.name, ignore_errors=True)


def torchrun(hosts, folder, *arguments, options=()):
    """Start `torchrun --nnodes=2` on both hosts; the first is the meeting point. Their output: folder/NAME.log."""
    return [
        host.start(
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"),
            *("--rdzv_backend=c10d", f"--rdzv_endpoint={hosts[0].name}:29500", *options, str(WORKER), *arguments),
            log=folder / f"{host.name}.log",
            GLOO_SOCKET_IFNAME=host.name,
            OMP_NUM_THREADS="1",
        )
        for host in hosts
    ]


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def step_of(snapshot):
    return int(safetensors.torch.load_file(snapshot)["step"]) if snapshot.exists() else -1


def workers(host):
    """The processes that train, without torchrun."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in host.pids()}
    return [pid for pid, command in commands.items() if b"hosts_worker" in command and b"nnodes" not in command]


def logs(folder):
    return "\n".join(f"{path.name}:\n{path.read_text()}" for path in folder.glob("*.log"))


@pytest.fixture(scope="module")
def on_one_host(tmp_path_factory):
    """The weights after 30 steps of two processes on one host."""
    out = tmp_path_factory.mktemp("one") / "out"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(WORKER)]
    run(*command, "--steps", "30", "--out", str(out))
    return out


def assert_same(out, want):
    got, want = (safetensors.torch.load_file(path) for path in (out, want))
    assert got.keys() == want.keys()
    assert all((got[name] == want[name]).all() for name in want)


@pytest.mark.parametrize("killed", [None, 0, 1])
def test_two_hosts_give_what_two_processes_on_one_host_give(killed, hosts, tmp_path, on_one_host):
    """… bit for bit, also where a worker of one host is killed in the middle: torchrun goes on from the snapshot."""
    out, snapshot = tmp_path / "out", tmp_path / "snapshot"
    arguments = ["--steps", "30", "--out", str(out), "--resume", str(snapshot)]
    both = torchrun(hosts, tmp_path, *arguments, options=["--max-restarts=1"])
    if killed is not None:
        wait_for(lambda: step_of(snapshot) >= 5)
        hosts[killed].kill(workers(hosts[killed]))
        assert step_of(snapshot) < 30
    assert [process.wait(180) for process in both] == [0, 0], logs(tmp_path)
    assert ("exitcode: -9" in logs(tmp_path)) == (killed is not None)
    assert_same(out, on_one_host)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_vanishes_ends_the_training_with_a_sentence(lost, hosts, tmp_path):
    """Its cable is pulled and its processes are dead: nobody says goodbye."""
    out, snapshot = tmp_path / "out", tmp_path / "snapshot"
    # If the meeting point vanishes, torchrun waits until the kernel gives up: a quarter of an hour, without this.
    hosts[1 - lost].start("sh", "-c", "echo 5 > /proc/sys/net/ipv4/tcp_retries2", log=tmp_path / "sysctl.log").wait()
    both = torchrun(hosts, tmp_path, "--steps", "2000", "--out", str(out), "--resume", str(snapshot))
    wait_for(lambda: step_of(snapshot) >= 5)
    hosts[lost].leave_the_network()
    hosts[lost].kill()
    both[lost].wait()
    assert both[1 - lost].wait(240) == 1, logs(tmp_path)
    assert "stopped: one of the 2 processes has ended, or has not answered for 10 s" in logs(tmp_path)
    assert not out.exists()


@pytest.fixture
def ssh(hosts, tmp_path):
    """Both hosts answer ssh; this is the command that reaches them without a question."""
    if not (shutil.which("parallel") and shutil.which("sshd")):
        pytest.skip("a sweep over hosts needs apt-get install parallel openssh-server")
    key = tmp_path / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    Path("/run/sshd").mkdir(exist_ok=True)
    options = {"HostKey": key, "AuthorizedKeysFile": f"{key}.pub", "StrictModes": "no", "PidFile": "none"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    servers = [
        host.start(shutil.which("sshd"), "-D", "-e", "-f", "/dev/null", *words, log=tmp_path / f"{host.name}.log")
        for host in hosts
    ]
    yield f"ssh -i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectionAttempts=9"
    for server in servers:
        server.kill()
        server.wait()


def test_gnu_parallel_spreads_a_sweep_over_two_hosts(hosts, ssh, tmp_path):
    """Every point once, on whichever host is free; then nothing is left, and an empty list runs nothing."""
    for folder in ("ddpm_lib", "tools", "notebooks"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    sweep = f"env PYTHONPATH=. OMP_NUM_THREADS=1 {sys.executable} tools/sweep.py w_sweep"
    changes = "-p w 1 -p seed 5 -p n 60 -p data_source embedded"  # two points: drawn digits, and real ones
    logins = ",".join(f"1/{host.name}" for host in hosts)
    parallel = f"parallel --will-cite --ssh '{ssh}' --sshlogin {logins} --workdir {tmp_path} --joblog jobs"

    def shell(line):
        log = tmp_path / "shell.log"
        assert hosts[0].start("sh", "-c", f"cd {tmp_path} && {line}", log=log).wait(300) == 0, logs(tmp_path)
        return log.read_text()

    shell(f"{sweep} list {changes} | {parallel} {sweep} run {{}} {changes}")
    jobs = [line.split("\t") for line in (tmp_path / "jobs").read_text().splitlines()[1:]]
    assert {job[1] for job in jobs} == {host.name for host in hosts}
    assert len(jobs) == 2
    points = {path.name for path in (tmp_path / "build" / "sweep").glob("*.json")}
    assert len(points) == 2
    assert "2 rows" in shell(f"{sweep} gather {changes}")

    shell(f"{sweep} list {changes} | {parallel} {sweep} run {{}} {changes}")
    assert len((tmp_path / "jobs").read_text().splitlines()) == 1, "only the line of titles"
    assert "no point is named" in shell(f"{sweep} list {changes} | xargs {sweep} run")
