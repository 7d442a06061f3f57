"""Several processes: the same weights everywhere, to each its share, and nobody waits for ever."""

import itertools
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import distributed as dist

from ddpm_lib import DDPM, UNet, load_checkpoint, read_metadata, train, training
from ddpm_lib.training import TrainConfig, distributed
from ddpm_lib.training import __main__ as command
from ddpm_lib.training.snapshot import TrainState

WORKER = Path(__file__).with_name("distributed_worker.py")

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch has no distributed engine")


def torchrun(*arguments, processes=2):
    """Run under torchrun on a free port of this machine; a warning is an error in every process."""
    # conftest.py hides GPUs from these, too. USE_LIBUV: torch for Windows may be built without it.
    options = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", "USE_LIBUV": "0"}
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *arguments],
        env=os.environ | options,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder where two processes wrote what they saw (distributed_worker.py), and how that ended."""
    folder = tmp_path_factory.mktemp("ranks")
    return folder, torchrun(str(WORKER), str(folder))


@pytest.fixture(scope="module")
def ranks(run):
    """What each process saw."""
    folder, done = run
    assert sorted(os.listdir(folder)) == ["own", "rank_0.safetensors", "rank_1.safetensors", "snapshot"], done.stderr
    return [safetensors.torch.load_file(folder / f"rank_{rank}.safetensors") for rank in (0, 1)]


# ---------------------------------------------------------------------------- two processes


@pytest.mark.parametrize("weights", ["raw", "average"])
def test_the_replicas_are_identical_after_every_step(ranks, weights):
    """… bit for bit, although they began with different weights; and every step changes them."""
    assert torch.equal(ranks[0][weights], ranks[1][weights])
    steps = ranks[0][weights]
    assert len(steps) == 7
    assert all((before != after).any() for before, after in itertools.pairwise(steps))


def test_each_process_sees_its_own_share_and_an_epoch_is_their_union(ranks):
    """49 images: 24 for each in 3 batches of 8, one left out in each epoch."""
    shares = [rank["ids"] for rank in ranks]  # (7 steps, 8 images)
    for epoch in (slice(0, 3), slice(3, 6)):
        first, second = (set(share[epoch].flatten().tolist()) for share in shares)
        assert len(first) == len(second) == 24
        assert len(first | second) == 48
    assert not torch.equal(shares[0][0:3].sort().values, shares[0][3:6].sort().values)  # another order each epoch


def test_the_noise_differs_between_processes_and_between_steps(ranks):
    draws = torch.cat([rank["eps"] for rank in ranks]).flatten(1)  # (14, …)
    correlation = torch.corrcoef(draws) - torch.eye(14)
    assert correlation.abs().max() < 5 / draws.shape[1] ** 0.5


def test_batch_norm_keeps_the_statistics_of_its_own_process(ranks):
    assert not torch.equal(ranks[0]["running_mean"], ranks[1]["running_mean"])


def test_two_processes_give_the_gradient_of_one_batch_that_is_twice_as_large(ranks):
    """For a network without BatchNorm: one process, both batches in one."""
    assert torch.equal(ranks[0]["gradient"], ranks[1]["gradient"])
    assert not torch.equal(ranks[0]["x_t"], ranks[1]["x_t"])
    x_t, time, y, target = (torch.cat([rank[name] for rank in ranks]) for name in ("x_t", "time", "y", "target"))
    sys.path.insert(0, str(WORKER.parent))
    try:
        from distributed_worker import NoBatchNorm
    finally:
        sys.path.pop(0)
    with torch.random.fork_rng():
        torch.manual_seed(9)
        network = NoBatchNorm()
    assert len(x_t) == 16
    torch.nn.functional.mse_loss(network(x_t, time, y), target).backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    torch.testing.assert_close(ranks[0]["gradient"], gradient, rtol=1e-4, atol=1e-6)


def test_a_budget_of_seconds_ends_on_the_same_step_in_a_slow_and_a_fast_process(ranks):
    assert ranks[0]["steps"] == ranks[1]["steps"] >= 2


def test_a_training_of_two_processes_resumes_bit_for_bit(ranks):
    """Each process gets its own noise back; rank 0 writes the snapshot."""
    for rank in ranks:
        assert torch.equal(rank["resumed"], ranks[0]["raw"][-1])


def test_a_loss_and_an_optimizer_of_ones_own_keep_the_replicas_identical_and_resume(ranks):
    one, other = (rank["own"] for rank in ranks)
    assert torch.equal(one, other)
    assert len(one) == 4 + 4  # the snapshot was taken after the third step
    assert (one[1:4] != one[:3]).any(dim=1).all()


def test_the_loss_goes_down_in_every_process(ranks):
    for rank in ranks:
        assert rank["losses"][-10:].sum() < 0.6 * rank["losses"][:10].sum()
    assert not torch.equal(ranks[0]["losses"], ranks[1]["losses"])


def test_when_one_process_fails_the_others_are_stopped(run):
    """The other is told to go on for a million steps; torchrun came back long before their time-out of minutes."""
    _, done = run
    assert done.returncode != 0
    assert "rank 1 fails on purpose" in done.stderr


def test_the_command_line_trains_in_two_processes_and_writes_one_checkpoint(tmp_path):
    path = tmp_path / "not" / "there" / "mine.safetensors"
    options = ["--steps", "4", "--batch-size", "4", "--data", "embedded", "--out", str(path)]
    # A thread of gloo that is there when Python ends may abort it: "terminate called without an active exception".
    script = tmp_path / "as_a_module_and_count.py"
    script.write_text(
        "import gc, pathlib, runpy, sys\n"
        "gc.disable()\n"
        "runpy.run_module('ddpm_lib.training', run_name='__main__', alter_sys=True)\n"
        "names = [path.read_text() for path in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "sys.exit(f'still there: {names}' if any('gloo' in name for name in names) else 0)\n"
    )
    done = torchrun(str(script), *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("'steps': 4") == 1
    assert os.listdir(path.parent) == [path.name]
    assert load_checkpoint(path).unet.config == DDPM.recommended().unet.config
    metadata = read_metadata(path)
    assert metadata["world_size"] == 2
    assert metadata["steps"] == 4
    assert metadata["seconds"] > 0
    assert metadata["command"].startswith("python -m ddpm_lib.training --steps 4 --batch-size 4")


# ---------------------------------------------------------------------------- the same rules, in one process


@pytest.mark.parametrize(("n", "world", "batch_size"), [(49, 2, 8), (50, 3, 8), (10, 4, 8), (7, 7, 2), (20, 1, 6)])
def test_all_processes_take_equally_many_batches_of_different_images(n, world, batch_size, monkeypatch):
    monkeypatch.setattr(training, "world_size", lambda: world)
    share = n // world
    batches = share // min(batch_size, share)
    epochs = []
    for rank in range(world):
        monkeypatch.setattr(training, "rank", lambda rank=rank: rank)
        state = TrainState(None, None, None, torch.Generator().manual_seed(3))
        taken = []
        for state.step in range(2 * batches):
            taken.append(training._next_batch(state, n, batch_size))
        epochs.append([torch.cat(taken[:batches]), torch.cat(taken[batches:])])
    for epoch in zip(*epochs, strict=True):
        seen = torch.cat(epoch).tolist()
        assert len(set(seen)) == len(seen) == world * batches * min(batch_size, share)


def test_a_train_set_smaller_than_the_number_of_processes_is_refused(tiny_ddpm, few_digits, monkeypatch):
    monkeypatch.setattr(training, "world_size", lambda: 49)
    with pytest.raises(ValueError, match=r"train_set.*49"):
        train(tiny_ddpm, few_digits, TrainConfig(steps=1))


def test_alone_nothing_is_changed(tiny_ddpm, generator):
    with distributed.process_group():
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert not dist.is_initialized()
        assert distributed.own_generator(generator) is generator
        assert distributed.own_generator(None) is None
        called, value = [], torch.tensor(0.5, requires_grad=True)
        loss = distributed.shared_loss(tiny_ddpm, lambda *given: called.append(given) or value)
        assert loss("x_0", "y") is value
        assert called == [(tiny_ddpm, "x_0", "y")]
        assert distributed.from_rank_0(0.3) == 0.3


# ---------------------------------------------------------------------------- the command line, in one process


def test_the_command_line_trains_without_torchrun_too(tmp_path, make_ddpm, monkeypatch, capsys):
    tiny = make_ddpm()  # of which the command line makes new ones, with initial weights from torch's own generator
    monkeypatch.setattr(DDPM, "recommended", lambda: DDPM(UNet(tiny.unet.config), tiny.schedule))
    weights = []
    for seed in (1, 1, 2):
        path = tmp_path / f"{len(weights)}.safetensors"
        options = f"--steps 100 --batch-size 2 --lr 0.001 --data embedded --seed {seed}".split()
        command.main([*options, "--out", str(path)])
        weights.append(load_checkpoint(path).unet.head.weight)
        assert read_metadata(path)["world_size"] == 1
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    printed = capsys.readouterr().out
    assert "step 100: loss 0." in printed or "step 100: loss 1." in printed
    assert "'steps': 100" in printed


def test_the_command_line_goes_on_from_a_snapshot(tmp_path, make_ddpm, monkeypatch):
    """Stopped while it wrote the checkpoint: the same command writes it, without training again."""
    monkeypatch.setattr(DDPM, "recommended", make_ddpm)
    snapshot, out = tmp_path / "snapshot", tmp_path / "out"
    options = f"--steps 3 --batch-size 2 --data embedded --out {out} --resume {snapshot}".split()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "save_checkpoint", killed)
        with pytest.raises(SystemExit, match="130"):
            command.main(options)
    assert os.listdir(tmp_path) == ["snapshot"]
    monkeypatch.setattr(DDPM, "loss", None)
    command.main(options)
    trained = load_checkpoint(out).unet.head.weight
    assert not torch.equal(trained, make_ddpm().unet.head.weight)
    assert "--resume" in read_metadata(out)["command"]


def test_the_command_line_trains_on_a_folder_of_pictures(tmp_path, monkeypatch, capsys):
    for name in ("cats", "dogs"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        Image.new("RGB", (40, 20), "red").save(tmp_path / "mine" / name / "a.png")
    (tmp_path / "mine" / "dogs" / "b.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    options = ["--steps", "1", "--batch-size", "2", "--data", "mine", "--channels", "3", "--size", "16"]
    command.main([*options, "--out", "out"])
    ddpm = load_checkpoint("out")
    assert ddpm.unet.config.classes == ("cats", "dogs")
    assert (ddpm.num_classes, ddpm.image_shape) == (2, (3, 16, 16))
    said = capsys.readouterr()
    assert "mine: 2 pictures of 2 classes: cats, dogs" in said.out
    assert re.search(r"left out: .*b\.txt: ", said.err)
    assert read_metadata("out")["data"] == "mine, 2 pictures"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("--out a", "--steps"),
        ("--out a --steps 1 --data letters --size 32", "--size"),
        ("--out a --steps 1 --data embedded --channels 3", "--channels"),
        ("--out a --steps 1 --seconds 1", "--seconds"),
        ("--out a --steps 0", "steps"),
        ("--out a --steps 1 --lr -1", "lr"),
        ("--out a --steps 1 --data mine", "--data"),
        ("--steps 1", "--out"),
    ],
)
def test_bad_options_are_refused_by_name_before_any_work(options, what, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        command.main(options.split())
    assert what in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("out", "what"),
    [
        ("file/out", "--out can't be written: .*file/out: (Not a directory|File exists)"),
        ("folder", "folder is no file"),
        ("~nobody-is-called-so/out", "home folder is not known"),
        ("x" * 250, "--out can't be written: .*File name too long"),
        pytest.param(
            "/dev/null", "/dev/null is no file", marks=pytest.mark.skipif(os.name != "posix", reason="a device")
        ),
    ],
)
def test_a_checkpoint_that_can_not_be_written_is_refused_before_the_training(
    out, what, tmp_path, make_ddpm, monkeypatch, capsys
):
    monkeypatch.setattr(DDPM, "recommended", make_ddpm)
    monkeypatch.setattr(command, "train", lambda *_, **__: pytest.fail("it trains"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemExit) as stopped:
        command.main(f"--steps 3 --data embedded --out {out}".split())
    assert re.search(what, f"{stopped.value.code} {capsys.readouterr().err}")
    assert set(os.listdir(tmp_path)) == {"file", "folder"}


def test_a_full_disk_is_noticed_before_the_training(tmp_path, make_ddpm, monkeypatch):
    """The file would be made, but it could not be filled."""
    import resource

    monkeypatch.setattr(DDPM, "recommended", make_ddpm)
    monkeypatch.setattr(command, "train", lambda *_, **__: pytest.fail("it trains"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(SystemExit, match=r"--out can't be written: .*: File too large"):
            command.main(f"--steps 3 --data embedded --out {tmp_path / 'out'}".split())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


def test_out_begins_at_home_and_is_another_file_than_the_snapshot(tmp_path, make_ddpm, monkeypatch, capsys):
    monkeypatch.setattr(DDPM, "recommended", make_ddpm)
    monkeypatch.setenv("HOME", str(tmp_path))
    options = ["--steps", "1", "--batch-size", "2", "--data", "embedded", "--out", "~/models/out", "--resume"]
    command.main([*options, "~/snapshot"])
    assert {path.name for path in tmp_path.iterdir()} == {"models", "snapshot"}
    with pytest.raises(SystemExit, match="2"):
        command.main([*options, "~/models/out"])
    assert "two files" in capsys.readouterr().err
    (tmp_path / "snapshot").write_text("damaged")
    with pytest.raises(SystemExit, match=r"stopped: .*snapshot"):
        command.main([*options, "~/snapshot"])


WHOLE = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"WORLD_SIZE": "1"}, "WORLD_SIZE is set, but not RANK, MASTER_ADDR, MASTER_PORT: .* torchrun"),
        ({"RANK": "0"}, "RANK is set, but not WORLD_SIZE, MASTER_ADDR, MASTER_PORT"),
        (WHOLE | {"MASTER_PORT": ""}, "but not MASTER_PORT"),
        (WHOLE | {"WORLD_SIZE": ""}, "RANK, MASTER_ADDR, MASTER_PORT is set, but not WORLD_SIZE: "),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is set, but empty: .* unset them"),
        ({"WORLD_SIZE": "", "RANK": ""}, "WORLD_SIZE, RANK is set, but empty"),
        (WHOLE | {"WORLD_SIZE": "9" * 30}, "WORLD_SIZE must be a whole number, got '999"),
        (WHOLE | {"RANK": "9" * 5000}, "RANK must be a whole number, got '999"),
        (WHOLE | {"WORLD_SIZE": "two"}, "WORLD_SIZE must be a whole number, got 'two'"),
        (WHOLE | {"MASTER_PORT": "http"}, "MASTER_PORT must be a whole number"),
        (WHOLE | {"RANK": "2"}, "RANK must be less than WORLD_SIZE, got 2"),
    ],
)
def test_half_an_environment_is_one_sentence(environment, what, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "train", lambda *_, **__: pytest.fail("it trains"))
    for name in (*WHOLE, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"stopped: .*{what}"):
        command.main(f"--steps 1 --data embedded --out {tmp_path / 'out'}".split())
    with pytest.raises(ValueError, match=what), distributed.process_group():
        pytest.fail("it began")


@pytest.mark.parametrize("error", [RuntimeError, torch.distributed.DistNetworkError])
def test_processes_that_do_not_find_each_other_are_one_sentence(error, monkeypatch, tmp_path):
    def timed_out(*_, **__):
        raise error("The client socket has timed out")

    monkeypatch.setattr(dist, "init_process_group", timed_out)
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=r"stopped: .*127.0.0.1:29511: The client socket has timed out"):
        command.main(f"--steps 1 --data embedded --out {tmp_path / 'out'}".split())


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer"), ConnectionError),
        (RuntimeError("Application timeout caused pair closure"), ConnectionError),
        (dist.DistBackendError("NCCL error"), ConnectionError),
        (RuntimeError("shapes don't fit"), RuntimeError),
    ],
)
def test_a_lost_process_is_one_sentence_and_another_error_stays(error, raised, monkeypatch):
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(raised, match=re.escape(str(error))) as caught, distributed.process_group():
        raise error
    assert ("has ended, or has not answered for 300 s" in str(caught.value)) == (raised is ConnectionError)


def test_after_a_restart_no_process_goes_on_with_what_a_dead_one_left(monkeypatch):
    """The store of torchrun still holds the names and the answers of the first start."""
    store = dist.HashStore()
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setattr(dist, "rendezvous", lambda *_, **__: iter([(store, int(threading.current_thread().name), 2)]))
    found = []
    for _ in range(2):
        prefixes, threads = {}, []
        for number in (0, 1):

            def start(number=number, prefixes=prefixes):
                prefixes[number] = distributed._store_of_this_start()["store"]

            threads.append(threading.Thread(target=start, name=str(number)))
            threads[-1].start()
            time.sleep(0.3)  # the second start is late: the first must not go on alone
            if number == 0:
                assert not prefixes
        for thread in threads:
            thread.join(20)
        prefixes[0].set("address", str(len(found)))
        assert prefixes[1].get("address") == str(len(found)).encode()
        found.append(prefixes)
    assert found[0][0].get("address") == b"0"
