"""Checkpoints: exact round trips, and no file that is wrong in any way becomes a model."""

import dataclasses
import errno
import json
import os
import pickle
import random

import pytest
import safetensors.torch
import torch

from ddpm_lib import (
    DDPM,
    NoiseSchedule,
    UNet,
    UNetConfig,
    console,
    guards,
    load_checkpoint,
    load_mnist,
    read_metadata,
    save_checkpoint,
    student_of,
)
from ddpm_lib import checkpoint as checkpoint_module
from ddpm_lib.files import write_tensors


@pytest.fixture
def saved(tmp_path, tiny_ddpm):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, tiny_ddpm, {"command": "train --steps 3"})
    return path


def forge(path, tensors=None, signed=True, **header):
    """Rewrite a checkpoint with other tensors or header entries (None removes one), by default with a right digest."""
    with safetensors.safe_open(path, framework="pt") as file:
        old_header = file.metadata()
        old_tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    tensors = {name: tensor for name, tensor in (old_tensors | (tensors or {})).items() if tensor is not None}
    header = {name: value for name, value in (old_header | header).items() if value is not None}
    if signed:
        header.pop("sha256", None)
        write_tensors(path, "checkpoint", tensors, header)
    else:
        safetensors.torch.save_file(tensors, path, header)


def assert_refused(path):
    for read in (load_checkpoint, read_metadata):
        with pytest.raises(ValueError, match=path.name):
            read(path)


# ---------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("prediction", ["eps", "x_0", "v", "flow"])
@pytest.mark.parametrize(
    "schedule", [NoiseSchedule.linear(T=1000), NoiseSchedule.cosine(T=50, shift=1.5)], ids=["linear", "cosine"]
)
def test_a_round_trip_is_exact(prediction, schedule, tmp_path):
    config = UNetConfig(widths=(3, 5, 4), embedding_width=6, num_classes=7)
    ddpm = DDPM(UNet(config), schedule, prediction)
    ddpm.train().loss(torch.rand(8, 1, 28, 28), torch.arange(7).repeat(2)[:8])  # moves BatchNorm's statistics
    save_checkpoint(tmp_path / "a.safetensors", ddpm)
    loaded = load_checkpoint(tmp_path / "a.safetensors")

    assert loaded.unet.config == config
    assert loaded.prediction == prediction
    assert loaded.schedule.T == schedule.T
    want = dict(ddpm.named_parameters()) | dict(ddpm.named_buffers())
    got = dict(loaded.named_parameters()) | dict(loaded.named_buffers())
    assert want.keys() == got.keys()
    assert any(name.endswith("running_var") for name in got)
    assert "schedule.log_snr" in got
    for name in want:
        assert got[name].dtype == want[name].dtype
        assert torch.equal(got[name], want[name]), name

    assert not any(module.training for module in loaded.modules())
    assert all(module.training for module in ddpm.modules())  # saving changes no mode


def test_a_loaded_model_is_an_ordinary_one(saved, images):
    ddpm = load_checkpoint(saved).train()
    ddpm.loss(images(4), torch.arange(4)).backward()
    assert all(p.requires_grad and p.grad is not None and p.device.type == "cpu" for p in ddpm.parameters())
    with torch.no_grad():
        ddpm.unet.head.weight.zero_()
    assert load_checkpoint(saved).unet.head.weight.any()


def test_weights_beyond_float16_are_refused_and_the_old_file_stays(saved, tiny_ddpm):
    before = saved.read_bytes()
    with torch.no_grad():
        tiny_ddpm.unet.head.weight.fill_(1e5)
    with pytest.raises(ValueError, match=r"^dtype\b.*head\.weight"):
        save_checkpoint(saved, tiny_ddpm, dtype=torch.float16)
    assert saved.read_bytes() == before
    save_checkpoint(saved, tiny_ddpm, dtype=torch.bfloat16)


def test_a_file_that_changes_later_does_not_change_what_was_loaded(saved):
    ddpm = load_checkpoint(saved)
    before = {name: tensor.clone() for name, tensor in ddpm.state_dict().items()}
    with open(saved, "r+b") as file:  # in place: a mapping of the file would show it
        file.seek(-saved.stat().st_size // 2, 2)
        file.write(b"\x3f" * (saved.stat().st_size // 2))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ddpm.state_dict().items())


def test_channels_last_weights_are_saved_as_what_they_are(tmp_path, make_ddpm):
    ddpm = make_ddpm()
    ddpm.unet.to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "a", ddpm)
    loaded = load_checkpoint(tmp_path / "a").unet.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in make_ddpm().unet.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_halves_the_file_and_only_rounds_the_weights(dtype, tmp_path, tiny_ddpm):
    save_checkpoint(tmp_path / "full", tiny_ddpm)
    save_checkpoint(tmp_path / "half", tiny_ddpm, dtype=dtype)
    weights = 4 * sum(tensor.numel() for tensor in tiny_ddpm.unet.state_dict().values())
    saving = (tmp_path / "full").stat().st_size - (tmp_path / "half").stat().st_size
    assert saving == pytest.approx(weights / 2, rel=0.05)

    loaded = load_checkpoint(tmp_path / "half")
    for name, tensor in tiny_ddpm.unet.state_dict().items():
        got = loaded.unet.state_dict()[name]
        assert got.dtype == tensor.dtype
        assert torch.equal(got, tensor.to(dtype).float() if tensor.is_floating_point() else tensor)
    assert torch.equal(loaded.schedule.alpha_bar, tiny_ddpm.schedule.alpha_bar)  # the schedule keeps its digits


def test_metadata_comes_back(tmp_path, tiny_ddpm):
    metadata = {"command": "make weights", "fid": 1.25, "nested": {"ε": [1, None, True]}}
    save_checkpoint(tmp_path / "a", tiny_ddpm, metadata)
    assert read_metadata(tmp_path / "a") == metadata
    save_checkpoint(tmp_path / "a", tiny_ddpm)
    assert read_metadata(tmp_path / "a") == {}


def test_missing_folders_are_made_and_text_paths_are_fine(tmp_path, tiny_ddpm):
    path = tmp_path / "not" / "there" / "model.safetensors"
    save_checkpoint(str(path), tiny_ddpm)
    assert isinstance(load_checkpoint(str(path)), DDPM)
    assert os.listdir(path.parent) == ["model.safetensors"]


def test_without_a_path_the_shipped_weights_are_meant(saved, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "SHIPPED", saved)
    assert isinstance(load_checkpoint(), DDPM)
    assert read_metadata() == {"command": "train --steps 3"}


def test_the_student_is_loaded_by_its_name(tmp_path, tiny_ddpm, monkeypatch):
    student = student_of(tiny_ddpm, w_max=3)
    save_checkpoint(tmp_path / "shipped", student, {"command": "make distil"})
    monkeypatch.setattr(checkpoint_module, "STUDENT", tmp_path / "shipped")
    loaded = load_checkpoint("student")
    assert loaded.unet.config == student.unet.config
    assert loaded.w_max == 3.0
    assert all(torch.equal(tensor, student.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    assert read_metadata("student") == {"command": "make distil"}
    monkeypatch.chdir(tmp_path)
    save_checkpoint("student", tiny_ddpm)  # a file of the user's: its path says so
    assert load_checkpoint("./student").w_max == 0
    assert load_checkpoint(tmp_path / "student").w_max == 0
    assert load_checkpoint("student").w_max == 3


def test_a_file_from_before_w_max_is_loaded(saved, tiny_config):
    config = dataclasses.asdict(tiny_config)
    del config["w_max"]
    forge(saved, unet=json.dumps(config))
    assert load_checkpoint(saved).unet.config == tiny_config


# ---------------------------------------------------------------------------- all or nothing


def disk_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("failing", ["os.replace", "os.fsync"])
def test_a_failed_write_leaves_the_old_file_and_no_litter(failing, saved, make_ddpm, monkeypatch):
    before = saved.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(failing, disk_full)
        with pytest.raises(OSError, match="No space") as error:
            save_checkpoint(saved, make_ddpm(seed=1))
    why = "No space left on device; nothing was lost, and nothing is half-written"
    assert console.reason(error.value) == f"{saved}: {why}"  # what a command prints
    assert error.value.errno == errno.ENOSPC
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
    save_checkpoint(saved, make_ddpm(seed=1))
    assert saved.read_bytes() != before


def test_a_write_that_ends_half_way_leaves_the_old_file_and_no_litter(saved, make_ddpm):
    """A real one: the operating system refuses all bytes past the first 5,000."""
    resource = pytest.importorskip("resource", reason="limits of file size are Unix only")
    before, limits = saved.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large; nothing was lost.*{saved}"):
            save_checkpoint(saved, make_ddpm(seed=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(before) > 5000
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_others_may_read_a_checkpoint_as_any_file_of_this_user(saved, tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    assert saved.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_an_interrupt_while_writing_leaves_the_old_file_and_no_litter(saved, make_ddpm, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, make_ddpm(seed=1))
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_the_file_appears_under_its_name_only_when_it_is_whole_and_on_the_disk(tmp_path, tiny_ddpm, monkeypatch):
    path, seen, replace = tmp_path / "a", [], os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(("synced", path.exists())))

    def watch(source, target):
        seen.append(("whole", isinstance(load_checkpoint(source), DDPM)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    save_checkpoint(path, tiny_ddpm)
    assert seen == [("synced", False), ("whole", True)]


def test_a_folder_is_not_overwritten(tmp_path, tiny_ddpm):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        save_checkpoint(tmp_path / "folder", tiny_ddpm)
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"ddpm": None}, "ddpm"),
        ({"ddpm": torch.nn.Linear(1, 1)}, "ddpm"),
        ({"dtype": torch.int8}, "dtype"),
        ({"dtype": "float16"}, "dtype"),
        ({"metadata": {"x": torch.zeros(1)}}, "metadata"),
        ({"metadata": {"x": float("nan")}}, "metadata"),
        ({"metadata": "text"}, "metadata"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(arguments, what, tmp_path, tiny_ddpm):
    with pytest.raises(ValueError, match=what):
        save_checkpoint(**{"path": tmp_path / "a", "ddpm": tiny_ddpm} | arguments)
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------------- files that are refused


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    for read in (load_checkpoint, read_metadata):
        with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
            read(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, 0.5, 0.99, -1], ids=lambda size: f"{size}")
def test_a_truncated_file_is_refused(size, saved):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(size * len(content)) if isinstance(size, float) else size])
    assert_refused(saved)


def test_bytes_at_the_end_are_refused(saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    assert_refused(saved)


def test_a_flipped_bit_anywhere_is_refused(saved):
    content = saved.read_bytes()
    header_end = 8 + int.from_bytes(content[:8], "little")
    metadata = range(content.index(b"__metadata__"), content.index(b"}", content.index(b'"sha256"')))
    chance = random.Random(0)
    places = [*range(8), *metadata[::7], *chance.choices(range(header_end), k=80), header_end, len(content) - 1]
    places += chance.choices(range(header_end, len(content)), k=60)
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << chance.randrange(8)
        saved.write_bytes(flipped)
        with pytest.raises(ValueError, match=saved.name):
            load_checkpoint(saved)
    saved.write_bytes(content)
    load_checkpoint(saved)


def test_a_readable_change_of_the_header_is_refused(saved):
    """Swapped entries and new values make valid safetensors files: only the digest can tell."""
    for change in (
        {"prediction": "v"},
        {"metadata": '{"command": "other"}'},
        {"extra": "1"},
        {"sha256": None},
        {"sha256": "0" * 64},
    ):
        content = saved.read_bytes()
        forge(saved, **change, signed=False)
        assert_refused(saved)
        saved.write_bytes(content)
    forge(saved, {"unet.head.bias": torch.ones(1)}, signed=False)
    assert_refused(saved)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    assert_refused(path)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path, {"format": "pt"})
    assert_refused(path)


class Exploit:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))], ids=["torch", "pickle"]
)
def test_a_pickle_is_refused_and_never_executed(write, tmp_path):
    path, trace = tmp_path / "evil.safetensors", tmp_path / "executed"
    write(Exploit(str(trace)), path)
    assert_refused(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Exploit(str(trace))))  # the trap is real
    assert trace.exists()


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    assert_refused(tmp_path / "folder")


def test_other_files_are_refused(tmp_path):
    for content in (b"hello", b"\x00" * 5000, b"\xff" * 5000, os.urandom(5000), b"PK\x03\x04" + b"\0" * 100):
        (tmp_path / "other.bin").write_bytes(content)
        assert_refused(tmp_path / "other.bin")


# ---------------------------------------------------------------------------- forgeries with a right digest


def test_forge_makes_loadable_files(saved):
    """Else the forgeries below would be refused for the wrong reason."""
    forge(saved, metadata='{"command": "forged"}', prediction="v")
    assert load_checkpoint(saved).prediction == "v"
    assert read_metadata(saved) == {"command": "forged"}


@pytest.mark.parametrize("width", [10**5, 10**9, 10**18, 10**40])
@pytest.mark.parametrize("field", ["widths", "embedding_width", "num_classes"])
def test_a_forged_huge_config_is_refused_without_eating_the_memory(field, width, saved, tiny_config):
    config = dataclasses.asdict(tiny_config) | {field: [width] * 3 if field == "widths" else width}
    forge(saved, unet=json.dumps(config))
    with pytest.raises(ValueError, match=saved.name):
        load_checkpoint(saved)


def test_a_network_is_only_given_memory_once_its_weights_fit(saved, monkeypatch):
    """A forged config of a few hundred megabytes could be had: no error of the memory would stop it."""
    devices, init = set(), UNet.__init__

    def watch(self, config):
        init(self, config)
        devices.update(p.device.type for p in self.parameters())

    monkeypatch.setattr(UNet, "__init__", watch)
    forge(saved, unet='{"widths": [4, 8, 8], "embedding_width": 100}')
    with pytest.raises(ValueError, match=saved.name):
        load_checkpoint(saved)
    assert devices == {"meta"}


FORGED_HEADERS = [
    {"unet": None},
    {"unet": "not json"},
    {"unet": "[1, 2]"},
    {"unet": "3"},
    {"unet": "[" * 100_000},
    {"unet": '{"widths": [4, 8]}'},
    {"unet": '{"widths": [4, 8, 16], "embedding_width": 8}'},
    {"unet": '{"widths": [4, 8, 8], "embedding_width": 8, "surprise": 1}'},
    {"prediction": None},
    {"prediction": "x_T"},
    {"format": "ddpm_lib checkpoint 0"},
    {"format": ""},
]


@pytest.mark.parametrize("header", FORGED_HEADERS, ids=lambda header: str(header)[:40])
def test_forged_configs_are_refused(header, saved):
    forge(saved, **header)
    with pytest.raises(ValueError, match=saved.name):
        load_checkpoint(saved)


@pytest.mark.parametrize("metadata", [None, "not json", "[" * 100_000])
def test_forged_metadata_is_refused(metadata, saved):
    forge(saved, metadata=metadata)
    with pytest.raises(ValueError, match=saved.name):
        read_metadata(saved)


FORGED_TENSORS = [
    {"schedule.beta": None},
    {"schedule.beta": torch.tensor([0.5, 2.0])},
    {"schedule.beta": torch.zeros(2, 2)},
    {"unet.head.bias": None},
    {"unet.head.bias": torch.zeros(2)},
    {"unet.head.bias": torch.zeros(1, dtype=torch.complex64)},
    {"unet.surprise": torch.zeros(2)},
    {"surprise": torch.zeros(2)},
    {"schedule.alpha": torch.zeros(20)},
    {"schedule.beta": torch.full((20,), float("nan"))},
    {"schedule.beta": torch.full((guards.LARGEST_T + 1,), 1e-6)},
    {"schedule.beta": torch.ones(20, dtype=torch.long)},
    {"unet.head.bias": torch.tensor([float("nan")])},
    {"unet.head.weight": torch.full((1, 4, 3, 3), float("inf"))},
    {"unet.head.weight": torch.full((1, 4, 3, 3), -1e9).half()},  # -inf
    {"unet.encoder_28.1.running_var": torch.tensor([1.0, 1.0, -1e-6, 1.0])},
    {"unet.encoder_28.1.running_mean": torch.tensor([1.0, 1.0, 1.0, float("-inf")])},
    {"unet.encoder_28.1.num_batches_tracked": torch.tensor(1.0)},
]


@pytest.mark.parametrize("tensors", FORGED_TENSORS, ids=lambda tensors: str(tensors)[:40])
def test_forged_tensors_are_refused(tensors, saved):
    forge(saved, tensors)
    with pytest.raises(ValueError, match=saved.name):
        load_checkpoint(saved)


def test_a_tilde_is_the_home_folder(tiny_ddpm, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # its name on Windows
    save_checkpoint("~/mine.safetensors", tiny_ddpm, {"from": "home"})
    assert (tmp_path / "mine.safetensors").exists()
    assert read_metadata("~/mine.safetensors") == {"from": "home"}
    assert load_checkpoint("~/mine.safetensors").schedule.T == tiny_ddpm.schedule.T


@pytest.mark.parametrize("call", ["save", "load", "data"])
def test_a_tilde_and_a_name_that_nobody_has_is_one_sentence_and_no_folder(call, tiny_ddpm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = {
        "save": lambda path: save_checkpoint(path, tiny_ddpm),
        "load": load_checkpoint,
        "data": lambda path: load_mnist(path, source="full"),
    }
    with pytest.raises(ValueError, match="got '~nobody-is-called-so/x', whose home folder is not known"):
        calls[call]("~nobody-is-called-so/x")
    assert list(tmp_path.iterdir()) == []
