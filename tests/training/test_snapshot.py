"""Resuming: a training that was stopped anywhere, in any way, ends as the one that was never stopped."""

import copy
import errno
import itertools
import multiprocessing
import os
import random
import time
import types

import pytest
import safetensors
import torch
from torch.utils.data import TensorDataset

from ddpm_lib import DDPM, NoiseSchedule, TrainConfig, UNet, UNetConfig, checkpoint, precision, save_checkpoint, train
from ddpm_lib import training as training_module
from ddpm_lib.files import write_tensors
from ddpm_lib.training import snapshot

KILLS = int(os.environ.get("DDPM_KILLS", "10"))
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def snapshots_every_5_steps(monkeypatch):
    monkeypatch.setattr(training_module, "EVERY", 5)


def quick(steps=23, **options):
    """48 images in batches of 10: an epoch is 4 steps, so that 5 steps end within one."""
    return TrainConfig(**{"steps": steps, "batch_size": 10, "lr": 0.01, "ema_decay": 0.8} | options)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def everything(ddpm, record, generator):
    """All that a training leaves: average, raw weights, the generator's state."""
    state = {f"ema.{name}": tensor.clone() for name, tensor in ddpm.unet.state_dict().items()}
    state |= {f"raw.{name}": tensor.clone() for name, tensor in record.raw.unet.state_dict().items()}
    return state | {"generator": generator.get_state()}


def assert_same(got, want):
    assert got.keys() == want.keys()
    for name in want:
        assert torch.equal(got[name], want[name]), name


def broken_off(ddpm, train_set, step, path, config=None, generator=None):
    """Leave the loop after so many steps."""
    for record in train(ddpm, train_set, config or quick(), generator or seeded(), device=CPU, resume=path):
        if record.step == step:
            break


@pytest.fixture
def uninterrupted(make_ddpm, few_digits):
    ddpm, generator = make_ddpm(), seeded()
    *_, record = train(ddpm, few_digits, quick(), generator, device=CPU)
    return everything(ddpm, record, generator)


# ---------------------------------------------------------------------------- bit for bit


def test_writing_snapshots_changes_nothing(make_ddpm, few_digits, uninterrupted, tmp_path):
    ddpm, generator = make_ddpm(), seeded()
    *_, record = train(ddpm, few_digits, quick(), generator, device=CPU, resume=tmp_path / "s")
    assert_same(everything(ddpm, record, generator), uninterrupted)
    assert os.listdir(tmp_path) == ["s"]


@pytest.mark.parametrize(("step", "first"), [(3, 1), (5, 6), (12, 11), (20, 21), (22, 21)])
def test_a_resumed_training_ends_as_the_uninterrupted_one(step, first, make_ddpm, few_digits, uninterrupted, tmp_path):
    """… whatever weights and seed the second start comes with: all is in the snapshot."""
    broken_off(make_ddpm(), few_digits, step, tmp_path / "s")
    ddpm, generator = make_ddpm(seed=1), seeded(99)
    records = list(train(ddpm, few_digits, quick(), generator, device=CPU, resume=tmp_path / "s"))
    assert [record.step for record in records] == list(range(first, 24))
    assert_same(everything(ddpm, records[-1], generator), uninterrupted)


def test_the_same_call_again_in_the_same_kernel_does_it_too(make_ddpm, few_digits, uninterrupted, tmp_path):
    """Before the first hundred steps are over as well: model and generator are set back to the very beginning."""
    ddpm, generator = make_ddpm(), seeded()
    for step in (2, 4, 9, 13):
        broken_off(ddpm, few_digits, step, str(tmp_path / "s"), generator=generator)
    *_, record = train(ddpm, few_digits, quick(), generator, device=CPU, resume=str(tmp_path / "s"))
    assert_same(everything(ddpm, record, generator), uninterrupted)


def test_an_interrupt_within_a_step_costs_no_more_than_that(
    make_ddpm, few_digits, uninterrupted, tmp_path, monkeypatch
):
    """Ctrl-C arrives in the optimizer: half of the step is done."""
    ddpm, generator, step = make_ddpm(), seeded(), torch.optim.AdamW.step

    def interrupted(self, *arguments):
        step(self, *arguments)
        if self.state[self.param_groups[0]["params"][0]]["step"] == 13:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(train(ddpm, few_digits, quick(), generator, device=CPU, resume=tmp_path / "s"))
    *_, record = train(ddpm, few_digits, quick(), generator, device=CPU, resume=tmp_path / "s")
    assert_same(everything(ddpm, record, generator), uninterrupted)


def test_the_memory_layout_of_the_moments_comes_back(make_ddpm, few_digits, tmp_path):
    """The fused optimizer walks through weights and moments side by side, in the order they lie in memory."""
    broken_off(make_ddpm(), few_digits, 5, tmp_path / "s")
    ddpm = make_ddpm()
    # As a network of the usual widths is laid out.
    raw = DDPM(copy.deepcopy(ddpm.unet).to(memory_format=torch.channels_last), ddpm.schedule)
    optimizer = torch.optim.AdamW(raw.unet.parameters(), fused=True)
    average = torch.optim.swa_utils.AveragedModel(raw.unet, use_buffers=True)
    state = snapshot.TrainState(raw.unet, average, optimizer, None)
    snapshot.Snapshot(tmp_path / "s", ddpm, *few_digits.tensors, quick(), None).begin(state, torch.device("cpu"))
    assert state.step == 5
    channels_last = [p for p in raw.unet.parameters() if p.ndim == 4 and not p.is_contiguous()]
    assert channels_last
    for parameter in channels_last:
        for name in ("exp_avg", "exp_avg_sq"):
            assert optimizer.state[parameter][name].stride() == parameter.stride()


def test_threads_and_precision_of_the_first_start_are_followed(make_ddpm, few_digits, tmp_path, monkeypatch):
    """… whatever the load and the processor say when the training goes on."""
    monkeypatch.setattr(precision, "users_threads", lambda: None)
    monkeypatch.setattr(precision._load, "free_threads", lambda: 2)
    monkeypatch.setattr(precision, "has_fast_bf16", lambda device: True)
    seen = []

    def loss(ddpm, x_0, y):
        seen.append((torch.get_num_threads(), torch.is_autocast_enabled("cpu")))
        return ddpm.loss(x_0, y, generator=seeded(len(seen)))

    for last in (7, 23):
        for record in train(make_ddpm(), few_digits, quick(), seeded(), device=CPU, resume=tmp_path / "s", loss=loss):
            if record.step == last:
                break
        monkeypatch.setattr(precision._load, "free_threads", lambda: 1)
        monkeypatch.setattr(precision, "has_fast_bf16", lambda device: False)
    assert set(seen) == {(2, True)}
    with safetensors.safe_open(tmp_path / "s", framework="pt") as file:
        assert (file.metadata()["threads"], file.metadata()["precision"]) == ("2", "bfloat16")


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
        lambda parameters: torch.optim.NAdam(parameters, lr=0.01),
        lambda parameters: torch.optim.Adam(
            [{"params": [p], "lr": 0.001 * (1 + i % 3)} for i, p in reversed(list(enumerate(parameters)))]
        ),
    ],
    ids=["SGD with momentum", "NAdam", "Adam, a group for each parameter, backwards"],
)
def test_a_training_with_a_loss_and_an_optimizer_of_your_own_resumes_bit_for_bit(
    optimizer, make_ddpm, few_digits, tmp_path
):
    """The loss draws from a generator of its own, which no snapshot knows; here it goes on where the stop was."""
    noise = seeded(7)

    def squares(ddpm, x_0, y):
        return ddpm.errors(x_0, y, generator=noise)[1].square().mean()

    def run(last, **resume):
        ddpm = make_ddpm()
        for record in train(
            ddpm, few_digits, quick(), seeded(), device=CPU, loss=squares, optimizer=optimizer, **resume
        ):
            if record.step == last:
                break
        return everything(ddpm, record, seeded())

    want = run(23)
    noise.manual_seed(7)
    run(10, resume=tmp_path / "s")
    assert_same(run(23, resume=tmp_path / "s"), want)


def test_without_a_generator_the_noise_is_in_the_snapshot_too(make_ddpm, few_digits, tmp_path):
    states = []
    with torch.random.fork_rng():
        for stop in (False, True):
            torch.manual_seed(3)
            ddpm, path = make_ddpm(), tmp_path / f"{stop}"
            if stop:
                for record in train(ddpm, few_digits, quick(), device=CPU, resume=path):
                    if record.step == 7:
                        break
                torch.manual_seed(4)
            list(train(ddpm, few_digits, quick(), device=CPU, resume=path))
            states.append({name: tensor.clone() for name, tensor in ddpm.unet.state_dict().items()})
    assert_same(*states)


def test_with_a_generator_torchs_own_is_left_alone(make_ddpm, few_digits, tmp_path, global_rng_untouched):
    ddpm = make_ddpm()
    with global_rng_untouched():
        broken_off(ddpm, few_digits, 7, tmp_path / "s")
        broken_off(ddpm, few_digits, 9, tmp_path / "s")


def test_a_training_that_was_over_yields_nothing_and_leaves_its_result(make_ddpm, few_digits, uninterrupted, tmp_path):
    list(train(make_ddpm(), few_digits, quick(), seeded(), device=CPU, resume=tmp_path / "s"))
    content, ddpm = (tmp_path / "s").read_bytes(), make_ddpm(seed=1)
    assert list(train(ddpm, few_digits, quick(), seeded(), device=CPU, resume=tmp_path / "s")) == []
    assert all(
        torch.equal(ddpm.unet.state_dict()[name], uninterrupted[f"ema.{name}"]) for name in ddpm.unet.state_dict()
    )
    assert (tmp_path / "s").read_bytes() == content


def test_a_budget_of_seconds_counts_those_before_the_stop(make_ddpm, few_digits, tmp_path, monkeypatch):
    """… and not those between, on a clock on which every step takes a second."""
    clock = itertools.count()
    monkeypatch.setattr(training_module, "time", types.SimpleNamespace(perf_counter=lambda: float(next(clock))))
    config = quick(steps=None, seconds=9.5)
    broken_off(make_ddpm(), few_digits, 7, tmp_path / "s", config)
    clock = itertools.count(1000)
    records = list(train(make_ddpm(), few_digits, config, seeded(), device=CPU, resume=tmp_path / "s"))
    assert [record.step for record in records] == [record.seconds for record in records] == [6, 7, 8, 9, 10]


# ---------------------------------------------------------------------------- kills


def _model():
    torch.manual_seed(0)
    return DDPM(UNet(UNetConfig((4, 8, 8), 8)), NoiseSchedule.cosine(20))


def _images():
    return TensorDataset(torch.rand(48, 1, 28, 28, generator=seeded(1)), torch.arange(48) % 10)


def _victim(path, steps, pipe):
    """In a process of its own: train, tell of every step, wait to be killed."""
    torch.set_num_threads(1)
    training_module.EVERY = 3
    for record in train(_model(), _images(), quick(steps=steps), seeded(), device=CPU, resume=path):
        pipe.send((record.step, record.seconds))
    pipe.send(None)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and forkserver are Unix")
def test_a_training_that_is_killed_again_and_again_ends_bit_for_bit_as_if_it_had_not_been(tmp_path, tried):
    path, steps, chance = tmp_path / "s", 12 * KILLS + 1, random.Random(0)
    processes = multiprocessing.get_context("forkserver")  # imports once, not for each of them
    processes.set_forkserver_preload(["ddpm_lib", "torch._dynamo", "pytest"])  # the optimizers import _dynamo
    reached = []
    for _ in range(KILLS):
        ours, theirs = processes.Pipe(duplex=False)
        victim = processes.Process(target=_victim, args=(path, steps, theirs))
        victim.start()
        theirs.close()
        for _ in range(chance.randint(1, 12)):
            step, seconds = ours.recv()
        time.sleep(chance.random() * 2 * seconds / step)  # anywhere within a step, or while a snapshot is written
        asked = chance.random() < 0.3  # SIGTERM, as a cluster's queue sends it; else SIGKILL
        victim.terminate() if asked else victim.kill()
        victim.join()
        assert victim.exitcode == (-15 if asked else -9)
        tensors, _ = checkpoint.read_tensors(path, "snapshot")  # what is there is whole
        reached.append(int(tensors["step"]))
        tried["trainings were killed, and their snapshot was whole"] += 1
    assert reached == sorted(reached)
    assert reached[-1] > 2 * KILLS  # they did go on, not begin again

    with torch.random.fork_rng():
        resumed, undisturbed = _model(), _model()
    records = list(train(resumed, _images(), quick(steps=steps), seeded(), device=CPU, resume=path))
    assert records[0].step == reached[-1] + 1
    list(train(undisturbed, _images(), quick(steps=steps), seeded(), device=CPU))
    assert_same(resumed.unet.state_dict(), undisturbed.unet.state_dict())


# ---------------------------------------------------------------------------- full disks


def test_a_full_disk_is_an_error_and_leaves_the_last_snapshot(
    make_ddpm, few_digits, uninterrupted, tmp_path, monkeypatch
):
    path, fsync, calls = tmp_path / "s", os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 3:  # after those of steps 0 and 5
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    ddpm, generator = make_ddpm(), seeded()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            list(train(ddpm, few_digits, quick(), generator, device=CPU, resume=path))
    assert os.listdir(tmp_path) == ["s"]
    records = list(train(ddpm, few_digits, quick(), generator, device=CPU, resume=path))
    assert records[0].step == 6
    assert_same(everything(ddpm, records[-1], generator), uninterrupted)


def test_a_place_that_cannot_be_written_is_found_before_the_first_step(tiny_ddpm, few_digits, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    before = copy.deepcopy(tiny_ddpm.unet.state_dict())
    with pytest.raises(OSError, match="file"):
        next(train(tiny_ddpm, few_digits, quick(), seeded(), device=CPU, resume=tmp_path / "file" / "s"))
    assert_same(tiny_ddpm.unet.state_dict(), before)


# ---------------------------------------------------------------------------- what is refused


def attempt(path, ddpm, train_set, config=None):
    return train(ddpm, train_set, config or quick(), seeded(), device=CPU, resume=path)


@pytest.fixture(scope="module")
def kept():
    """What a training that was stopped after step 12 leaves, once for all tests."""
    return {}


@pytest.fixture
def stopped(make_ddpm, few_digits, tmp_path, kept):
    path = tmp_path / "stopped.safetensors"
    if not kept:
        broken_off(make_ddpm(), few_digits, 12, path)
        kept["bytes"] = path.read_bytes()
    path.write_bytes(kept["bytes"])
    return path


def test_the_same_training_is_not_refused(stopped, make_ddpm, few_digits):
    assert next(attempt(stopped, make_ddpm(), few_digits)).step == 11


@pytest.mark.parametrize(
    "change", [{"steps": 24}, {"steps": None, "seconds": 5.0}, {"lr": 0.02}, {"batch_size": 8}, {"ema_decay": 0.9}]
)
def test_another_config_is_refused(change, stopped, make_ddpm, few_digits):
    with pytest.raises(ValueError, match=r"stopped\.safetensors.*config"):
        attempt(stopped, make_ddpm(), few_digits, quick(**change))


def test_other_data_are_refused(stopped, make_ddpm, few_digits):
    images, labels = few_digits.tensors
    darker = images.clone()
    darker[7, 0, 14, 14] = 0.123
    for other in ((darker, labels), (images, labels.flip(0)), (images[1:], labels[1:])):
        with pytest.raises(ValueError, match=r"stopped\.safetensors.*data"):
            attempt(stopped, make_ddpm(), TensorDataset(*other))


def test_another_model_is_refused(stopped, make_ddpm, tiny_config, few_digits):
    wider = DDPM(UNet(UNetConfig((4, 8, 8), 9)), NoiseSchedule.cosine(20))
    for other in (make_ddpm(T=21), make_ddpm(prediction="v"), wider):
        with pytest.raises(ValueError, match=r"stopped\.safetensors.*model"):
            attempt(stopped, other, few_digits)


def test_another_number_of_processes_is_refused(stopped, make_ddpm, few_digits, monkeypatch):
    monkeypatch.setattr(snapshot, "world_size", lambda: 2)
    with pytest.raises(ValueError, match=r"stopped\.safetensors.*processes"):
        attempt(stopped, make_ddpm(), few_digits)


def test_another_loss_is_refused(stopped, make_ddpm, few_digits):
    def own(ddpm, x_0, y):
        return ddpm.loss(x_0, y)

    with pytest.raises(ValueError, match=r"stopped\.safetensors.*loss"):
        train(make_ddpm(), few_digits, quick(), seeded(), device=CPU, resume=stopped, loss=own)


def test_another_optimizer_is_refused(stopped, make_ddpm, few_digits):
    with pytest.raises(ValueError, match=r"stopped\.safetensors.*optimizer"):
        next(
            train(
                make_ddpm(), few_digits, quick(), seeded(), device=CPU, resume=stopped,
                optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
            )
        )  # fmt: skip


def test_another_number_of_threads_that_the_user_fixed_is_refused(stopped, make_ddpm, few_digits, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.raises(ValueError, match=r"stopped\.safetensors.*1 threads.*7"):
        attempt(stopped, make_ddpm(), few_digits)


def test_processes_that_see_different_files_are_refused(stopped, make_ddpm, few_digits, monkeypatch):
    monkeypatch.setattr(snapshot, "from_rank_0", lambda step: -1.0)
    with pytest.raises(ValueError, match=r"stopped\.safetensors"):
        attempt(stopped, make_ddpm(), few_digits)


def test_damaged_files_are_refused_at_the_call(stopped, make_ddpm, few_digits):
    content, chance = stopped.read_bytes(), random.Random(0)
    flipped = bytearray(content)
    damaged = [b"", content[:100], content[:-1], content + b"\0", os.urandom(5000)]
    for _ in range(20):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(flipped))
    for bad in damaged:
        stopped.write_bytes(bad)
        with pytest.raises(ValueError, match=r"stopped\.safetensors"):
            attempt(stopped, make_ddpm(), few_digits)
        assert stopped.read_bytes() == bad  # it is not overwritten


def test_files_of_another_kind_are_refused(make_ddpm, few_digits, tmp_path):
    save_checkpoint(tmp_path / "checkpoint", make_ddpm())
    torch.save({"step": 3}, tmp_path / "pickle")
    (tmp_path / "folder").mkdir()
    for name in ("checkpoint", "pickle", "folder"):
        with pytest.raises(ValueError, match=name):
            attempt(tmp_path / name, make_ddpm(), few_digits)


@pytest.mark.parametrize("name", ["generators", "order", "seconds", "network.head.weight", "average.n_averaged"])
def test_a_forged_snapshot_that_lacks_something_is_refused(name, stopped, make_ddpm, few_digits):
    tensors, header = checkpoint.read_tensors(stopped, "snapshot")
    del tensors[name]
    checkpoint.write_tensors(stopped, "snapshot", tensors, header)
    with pytest.raises(ValueError, match=r"stopped\.safetensors"):
        next(attempt(stopped, make_ddpm(), few_digits))


@pytest.mark.parametrize("resume", [5, True, b"x".join, ["a"]])
def test_what_is_not_a_path_is_refused(resume, make_ddpm, few_digits):
    with pytest.raises(ValueError, match=r"^resume\b.*path"):
        attempt(resume, make_ddpm(), few_digits)


def test_nothing_is_written_before_the_first_record_is_asked_for(make_ddpm, few_digits, tmp_path):
    attempt(tmp_path / "s", make_ddpm(), few_digits)
    assert os.listdir(tmp_path) == []


def test_a_snapshot_says_what_it_is_and_holds_tensors_only(stopped):
    with safetensors.safe_open(stopped, framework="pt") as file:
        assert file.metadata()["format"] == "ddpm_lib snapshot 1"
        assert '"steps": 23' in file.metadata()["config"]


# ---------------------------------------------------------------------------- forgeries with a right digest


def forge(path, signed=True, header=None, **tensors):
    """Rewrite a snapshot with other tensors or header entries (None removes one), by default with a right digest."""
    with safetensors.safe_open(path, framework="pt") as file:
        old = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        old_header = {name: text for name, text in file.metadata().items() if name != "sha256"}
    changed = {name: tensor(old.get(name)) if callable(tensor) else tensor for name, tensor in tensors.items()}
    new = {name: tensor.contiguous() for name, tensor in (old | changed).items() if tensor is not None}
    write_tensors(path, "snapshot", new, {k: v for k, v in (old_header | (header or {})).items() if v is not None})


def long(number):
    return torch.tensor(number)


FORGED = {
    "over long ago": {"step": long(10**18)},
    "over long ago, and averaged": {"step": long(10**18), "average.n_averaged": long(10**18)},
    "just over": {"step": long(23)},
    "over, and averaged": {"step": long(24), "average.n_averaged": long(24)},
    "before the start": {"step": long(-1), "average.n_averaged": long(-1)},
    "half a step": {"step": torch.tensor(5.5)},
    "two steps": {"step": torch.tensor([5, 5])},
    "a step that is no number": {"step": torch.tensor(float("nan"))},
    "seconds": {"seconds": torch.tensor(float("nan"), dtype=torch.float64)},
    "seconds, infinite": {"seconds": torch.tensor(float("inf"), dtype=torch.float64)},
    "seconds below 0": {"seconds": torch.tensor(-1.0, dtype=torch.float64)},
    "order out of range": {"order": lambda order: order + 1},
    "order below 0": {"order": lambda order: order - 1},
    "order with one twice": {"order": lambda order: torch.cat([order[:1], order[:-1]])},
    "order too short": {"order": lambda order: order[:-1]},
    "order as floats": {"order": lambda order: order.float()},
    "weights": {"network.head.bias": torch.tensor([float("nan")])},
    "averaged weights": {"average.module.head.bias": torch.tensor([float("inf")])},
    "a variance below 0": {"network.encoder_28.1.running_var": torch.full((4,), -1.0)},
    "a shape": {"network.head.bias": torch.zeros(2)},
    "a tensor that nobody asked for": {"surprise": torch.zeros(2)},
    "a weight that nobody asked for": {"network.surprise": torch.zeros(2)},
    "moments of a parameter too much": {"optimizer.999.exp_avg": torch.zeros(2)},
    "a moment missing": {"optimizer.0.exp_avg": None},
    "another moment missing": {"optimizer.3.exp_avg_sq": None},
    "a moment's step missing": {"optimizer.0.step": None},
    "all moments of a parameter missing": {f"optimizer.1.{name}": None for name in ("step", "exp_avg", "exp_avg_sq")},
    "a moment of another shape": {"optimizer.0.exp_avg": torch.zeros(1)},
    "a moment that is no number": {"optimizer.0.exp_avg": lambda moment: moment * float("nan")},
    "a second moment below 0": {"optimizer.0.exp_avg_sq": lambda moment: moment - 1},
    "moments of a later step": {"optimizer.0.step": torch.tensor(10.0**9)},
    "a moment that nobody asked for": {"optimizer.0.bogus": torch.zeros(2)},
    "a moment that Adam keeps with other settings": {"optimizer.0.max_exp_avg_sq": lambda _: torch.zeros(4, 1, 3, 3)},
    "a moment of no number": {"optimizer.first.exp_avg": torch.zeros(2)},
    "a moment's step in float16": {"optimizer.2.step": lambda step: step.half()},
    "a moment's step in double": {"optimizer.2.step": lambda step: step.double()},
    "a moment's step as a row": {"optimizer.2.step": lambda step: step[None]},
    "a moment's step of 0": {"optimizer.2.step": torch.tensor(0.0)},
    "a second moment in double": {"optimizer.1.exp_avg_sq": lambda moment: moment.double()},
    "a first moment in bfloat16": {"optimizer.1.exp_avg": lambda moment: moment.bfloat16()},
    "weights in double": {"network.head.weight": lambda weight: weight.double()},
    "averaged weights in float16": {"average.module.head.weight": lambda weight: weight.half()},
    "counts of batches as floats": {"network.encoder_28.1.num_batches_tracked": lambda count: count.float()},
    "seconds in float32": {"seconds": lambda seconds: seconds.float()},
    "generators as integers": {"generators": lambda states: states.int()},
    "generators of nobody": {"generators": lambda states: states * 0},
    "moments as integers": {"optimizer.0.exp_avg": lambda moment: moment.long()},
    "generators": {"generators": torch.zeros(1, 16, dtype=torch.uint8)},
    "no generators": {"generators": torch.zeros(0, 5056, dtype=torch.uint8)},
    "threads": {"header": {"threads": "1000000"}},
    "no threads": {"header": {"threads": "0"}},
    "threads in words": {"header": {"threads": "many"}},
    "precision": {"header": {"precision": "float8"}},
    "no precision": {"header": {"precision": None}},
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_right_digest_does_not_make_a_snapshot_true(kind, stopped, make_ddpm, few_digits, monkeypatch):
    monkeypatch.setattr(precision, "users_threads", lambda: None)
    forge(stopped, **FORGED[kind])
    content = stopped.read_bytes()
    ddpm = make_ddpm(seed=7)
    before = {name: tensor.clone() for name, tensor in ddpm.state_dict().items()}
    with pytest.raises(ValueError, match=f"^{stopped} does not hold what a snapshot must: "):
        list(train(ddpm, few_digits, quick(), seeded(), device=CPU, resume=stopped))
    assert stopped.read_bytes() == content
    assert_same(ddpm.state_dict(), before)  # all is looked at before anything is loaded


@pytest.mark.parametrize(
    ("optimizer", "forged"),
    [(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), {"optimizer.0.momentum_buffer": lambda x: x.double()}),
     (lambda p: torch.optim.SGD(p, lr=0.1), {"optimizer.0.momentum_buffer": lambda _: torch.zeros(4, 1, 3, 3)}),
     (lambda p: torch.optim.RMSprop(p, lr=0.1), {"optimizer.0.square_avg": lambda x: x - 1}),
     (lambda p: torch.optim.NAdam(p, lr=0.1), {"optimizer.1.mu_product": None})],
    ids=["SGD with momentum", "SGD without", "RMSprop", "NAdam"],
)  # fmt: skip
def test_the_moments_of_other_optimizers_are_looked_at_too(optimizer, forged, make_ddpm, few_digits, tmp_path):
    def run():
        return train(
            make_ddpm(), few_digits, quick(6), seeded(), device=CPU, resume=tmp_path / "s", optimizer=optimizer
        )

    assert len(list(itertools.islice(run(), 5))) == 5
    assert next(run()).step == 6
    forge(tmp_path / "s", **forged)
    with pytest.raises(ValueError, match=f"^{tmp_path / 's'} does not hold what a snapshot must: optimizer"):
        next(run())


def test_weights_that_a_loss_of_your_own_does_not_use_have_no_moments(make_ddpm, few_digits, tmp_path):
    def of_the_labels(ddpm, x_0, y):
        return ddpm.unet.label_mlp(torch.nn.functional.one_hot(y, 10).float()).square().mean()

    def run():
        return train(make_ddpm(), few_digits, quick(), seeded(), device=CPU, resume=tmp_path / "s", loss=of_the_labels)

    list(itertools.islice(run(), 7))
    assert next(run()).step == 6


def test_forge_makes_snapshots_that_are_read(stopped, make_ddpm, few_digits):
    """Else the forgeries above would be refused for the wrong reason."""
    forge(stopped, seconds=torch.tensor(1.0, dtype=torch.float64))
    assert len(list(train(make_ddpm(), few_digits, quick(), seeded(), device=CPU, resume=stopped))) == 23 - 10
