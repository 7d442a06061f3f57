"""Data and files of other kinds: each refusal ends with a line, and the line works."""

import bz2
import gzip
import json
import lzma
import math
import os
import pickle
import re
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from ddpm_lib import (
    NoiseSchedule,
    TrainConfig,
    edit,
    inpaint,
    load_checkpoint,
    morph,
    sample,
    save_checkpoint,
    to_signed,
    to_unit,
    train,
)
from ddpm_lib.evaluation import evaluate
from ddpm_lib.training.snapshot import Snapshot

TWO_STEPS = TrainConfig(steps=2, batch_size=8)
END = re.compile(r"This converts it: (.+)$", re.DOTALL)


def line_of(error):
    return END.search(str(error.value))[1]


# ---------------------------------------------------------------------------- data


class LikeTorchvisions(Dataset):
    """data: (N, H, W) or (N, H, W, 3) bytes, and targets; its items are pictures that no collate function knows."""

    def __init__(self, data, targets):
        self.data, self.targets = data, targets

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return object(), int(self.targets[i])


class Pairs(Dataset):
    """Somebody's own data set: item after item, nothing else."""

    def __init__(self, x, y):
        self.pairs = list(zip(x, y.tolist(), strict=True))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


def as_bytes(x):
    return (x * 255).round().byte()


FOREIGN = {
    "a loader": lambda x, y: DataLoader(TensorDataset(x, y), batch_size=8),
    "a loader of pairs": lambda x, y: DataLoader(Pairs(x, y), batch_size=8),
    "a subset": lambda x, y: Subset(TensorDataset(x, y), range(3, 40)),
    "a subset of a subset": lambda x, y: Subset(Subset(TensorDataset(x, y), range(40)), [1, 2, 5]),
    "torchvision's": lambda x, y: LikeTorchvisions(as_bytes(x[:, 0]), y),
    "a subset of torchvision's": lambda x, y: Subset(LikeTorchvisions(as_bytes(x[:, 0]), y.tolist()), [0, 9, 20]),
    "colours as arrays": lambda x, y: LikeTorchvisions(
        as_bytes(x).permute(0, 2, 3, 1).repeat(1, 1, 1, 3).numpy(), y.tolist()
    ),
    "own pairs": Pairs,
    "a list of pairs": lambda x, y: list(zip(x, y, strict=True)),
    "a tuple": lambda x, y: (x, y),
    "arrays": lambda x, y: (x.numpy(), y.numpy()),
    "arrays of bytes": lambda x, y: (as_bytes(x[:, 0]).numpy(), y.numpy().astype(np.uint8)),
    "bytes": lambda x, y: TensorDataset(as_bytes(x), y),
    "floats up to 255": lambda x, y: TensorDataset(x * 255, y),
    "in [-1, 1]": lambda x, y: TensorDataset(to_signed(x), y),
    "no channel": lambda x, y: TensorDataset(x[:, 0], y),
    "channel last": lambda x, y: TensorDataset(x.permute(0, 2, 3, 1), y),
    "RGB": lambda x, y: TensorDataset(x.repeat(1, 3, 1, 1), y),
    "black and white": lambda x, y: TensorDataset(x > 0.5, y),
    "labels as a column": lambda x, y: TensorDataset(x, y[:, None]),
    "labels as floats": lambda x, y: TensorDataset(x, y.double()),
    "labels from 1": lambda x, y: TensorDataset(x, y + 1),
    "rows of integers": lambda x, y: TensorDataset(x, torch.nn.functional.one_hot(y, 10)),
    "RGB as bytes, last": lambda x, y: TensorDataset(as_bytes(x.permute(0, 2, 3, 1).repeat(1, 1, 1, 3)), y),
    "all of it": lambda x, y: TensorDataset(as_bytes(x[:, 0]), y[:, None].float()),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_refusal_of_a_foreign_data_set_ends_with_the_line_that_converts_it(kind, few_digits, make_ddpm):
    known = {"torch": torch, "train_set": FOREIGN[kind](*few_digits.tensors)}
    with pytest.raises(ValueError, match=r"^train_set") as error:
        train(make_ddpm(), known["train_set"], TWO_STEPS)
    exec(line_of(error), known)
    losses = [record.loss for record in train(make_ddpm(), known["train_set"], TWO_STEPS)]
    assert len(losses) == 2
    x, y = known["train_set"].tensors
    real, labels = few_digits.tensors
    if len(x) == len(real):  # they are the same digits
        assert torch.corrcoef(torch.stack([x.flatten(), real.flatten()]))[0, 1] > 0.6
        assert torch.equal(y.argmax(1) if y.ndim == 2 else y.long(), labels)


@pytest.mark.parametrize(
    "value",
    [None, 3, "digits", {}, [], TensorDataset(torch.zeros(3)), TensorDataset(torch.zeros(3, 5, 28, 28), torch.zeros(3)),
     TensorDataset(torch.full((3, 1, 28, 28), -7.0), torch.zeros(3).long()),
     TensorDataset(torch.zeros(3).long(), torch.zeros(3, 1, 28, 28)),
     TensorDataset(torch.linspace(0, 3, 3 * 784).view(3, 1, 28, 28), torch.zeros(3).long()),  # 3 of what?
     TensorDataset(torch.zeros(3, 28, 28), torch.tensor([0, 5, 10])),
     TensorDataset(torch.zeros(3, 28, 28), torch.full((3, 10), 1)), [(torch.zeros(28, 28), 7.5)] * 3,
     TensorDataset(torch.full((3, 28, 28), torch.nan), torch.zeros(3).long()),
     Pairs(torch.zeros(0, 1), torch.zeros(0)), (torch.zeros(3, 1, 28, 28) + 1j, torch.zeros(3))],
    ids=lambda value: f"{type(value).__name__}",
)  # fmt: skip
def test_what_nothing_is_known_of_is_refused_without_a_line(value, make_ddpm):
    with pytest.raises(ValueError, match=r"^train_set") as error:
        train(make_ddpm(), value, TWO_STEPS)
    assert "This converts it" not in str(error.value)


ARGUMENTS = {
    "w": [[0.0, 1.0], (0, 2), np.array([0.5, 1.0]), [torch.tensor(1.0), torch.tensor(2.0)], torch.ones(2, 1), [1.5],
          torch.tensor([2.0])],
    "labels": [torch.tensor([1.0, 2.0]), [3.0, 4.0], torch.tensor([[1], [2]]), np.array([[3], [4]]),
               torch.nn.functional.one_hot(torch.tensor([1, 2]), 10)],
    "x_T": [np.zeros((2, 1, 28, 28), np.float32), torch.zeros(2, 28, 28), np.zeros((28, 28)),
            torch.zeros(2, 28, 28, 3)],
    "generator": [0, 7],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ARGUMENTS.items() for value in values])
def test_the_refusal_of_an_argument_ends_with_the_line_that_converts_it(name, value, tiny_ddpm):
    others = {"labels": torch.tensor([1, 2]), "steps": 2}
    with pytest.raises(ValueError, match=f"^{name}") as error:
        sample(tiny_ddpm, **others | {name: value})
    converted = eval(line_of(error), {"torch": torch, name: value})
    assert sample(tiny_ddpm, **others | {name: converted}).shape == (2, 1, 28, 28)


def test_times_and_images_of_the_network_have_a_line_too(tiny_ddpm, images):
    x = images(3)
    for t in ([1, 2, 3], np.array([1, 2, 3]), torch.tensor([1, 2, 3]).int(), torch.tensor([1.0, 2.0, 3.0])):
        with pytest.raises(ValueError, match=r"^t ") as error:
            tiny_ddpm.predict_noise(x, t, [1, 2, 3])
        t = eval(line_of(error), {"torch": torch, "t": t})
        assert tiny_ddpm.predict_noise(x, t, [1, 2, 3]).shape == x.shape
    with pytest.raises(ValueError, match=r"^x_0") as error:
        tiny_ddpm.loss(as_bytes(to_unit(x))[:, 0], torch.arange(3))
    converted = eval(line_of(error), {"torch": torch, "x_0": as_bytes(to_unit(x))[:, 0]})
    assert (converted - x).abs().max() < 0.01


@pytest.mark.parametrize("change", [as_bytes, lambda x: x[:, 0], lambda x: x.numpy(), lambda x: x.repeat(1, 3, 1, 1)])
def test_evaluate_says_how_images_are_converted(change, few_digits):
    x, y = few_digits.tensors
    with pytest.raises(ValueError, match=r"^images") as error:
        evaluate(change(x), y)
    converted = eval(line_of(error), {"torch": torch, "images": change(x)})
    assert (converted - x).abs().max() < 0.01


CALLS = {  # what is called with the value in the place of an argument, whose name is in front of the dot
    "w.sample": lambda ddpm, x, v: sample(ddpm, [1, 2, 3], w=v, steps=2),
    "labels.sample": lambda ddpm, x, v: sample(ddpm, v, steps=2),
    "steps.sample": lambda ddpm, x, v: sample(ddpm, [1, 2, 3], steps=v),
    "x_T.sample": lambda ddpm, x, v: sample(ddpm, [1, 2, 3], steps=2, x_T=v),
    "t.add_noise": lambda ddpm, x, v: ddpm.schedule.add_noise(x, v, x),
    "eps.add_noise": lambda ddpm, x, v: ddpm.schedule.add_noise(x, torch.tensor([3, 4, 5]), v),
    "t.predict_noise": lambda ddpm, x, v: ddpm.predict_noise(x, v, torch.tensor([1, 2, 3])),
    "y.loss": lambda ddpm, x, v: ddpm.loss(x, v),
    "beta.NoiseSchedule": lambda ddpm, x, v: NoiseSchedule(v),
    "images.edit": lambda ddpm, x, v: edit(ddpm, v, [1, 2, 3], t=2),
    "mask.inpaint": lambda ddpm, x, v: inpaint(ddpm, to_unit(x), v, [1, 2, 3], steps=2),
    "generator.sample": lambda ddpm, x, v: sample(ddpm, [1, 2, 3], steps=2, generator=v),
}
VALUES = [
    [math.nan] * 3, torch.full((3, 1), math.inf), [1, 2], [1.0, 2.0, 3.0], torch.tensor([[1], [2], [3]]), (0, 3, 9),
    [1.5, 2.5, 3.5], torch.full((3, 10), 1), torch.eye(10)[:3].long(), torch.full((3, 10), 1.0),
    torch.eye(10)[:3].bool(), torch.linspace(0, 3, 3 * 784).view(3, 28, 28), torch.rand(3, 28, 28) * 255,
    torch.zeros(3, 28, 28).byte(), torch.zeros(3, 28, 28).bool().numpy(), np.zeros((3, 28, 28, 3), np.float32),
    np.full((28, 28), 200, np.uint8), torch.rand(2, 3, 28, 28), np.full((3, 1, 28, 28), np.nan), torch.zeros(3, 784),
    torch.zeros(3, 32, 32), torch.zeros(3, 4, 28, 28), torch.full((3, 28, 28), -1).short(), 0, 7, -1, 2.5,
    True, None, "three", [], [[]], {1}, {}, torch.zeros(0, 28, 28), torch.tensor(3), torch.tensor([20]),
    torch.tensor([1, 20, 21]), torch.tensor([1, 2, 10]), [torch.tensor(1.0)] * 3, [torch.tensor(1), "a"],
    torch.zeros(3, 28, 28).to_sparse(), torch.zeros(3, 28, 28) + 1j, np.array(["a", "b", "c"]), np.arange(3)[::-1],
    range(3), torch.tensor([0.1, 0.2]), np.array([0.1, 0.2]), [0.1, 0.2],
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_every_line_that_is_said_works(call, tiny_ddpm, images, tried):
    name, x, said = call.partition(".")[0], images(3), 0
    for value in VALUES:
        try:
            CALLS[call](tiny_ddpm, x, value)
        except ValueError as error:
            if found := END.search(str(error)):
                said += 1
                CALLS[call](tiny_ddpm, x, eval(found[1], {"torch": torch, name: value}))
    assert said
    tried["lines at the end of an error message were run"] += said


def test_a_path_in_the_place_of_a_model_is_told_how_it_is_loaded(tmp_path):
    for call in (lambda ddpm: sample(ddpm, [1]), lambda ddpm: morph(ddpm, [1, 2])):
        with pytest.raises(ValueError, match=r"^ddpm") as error:
            call(tmp_path / "mine.safetensors")
        assert line_of(error) == "load_checkpoint(ddpm)"


# ---------------------------------------------------------------------------- files


def packed(pack):
    return lambda path, content: path.write_bytes(pack(content))


def a_tar(path, content):
    path.with_name("inside").write_bytes(content)
    with tarfile.open(path, "w") as archive:
        archive.add(path.with_name("inside"), "inside")


def a_zip(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside", content)


def a_numpy(save, array):
    def write(path, _):
        with path.open("wb") as file:
            save(file, array)

    return write


def text(content):
    return lambda path, _: path.write_bytes(content)


FILES = {
    "torch.save": (lambda path, _: torch.save({"a": torch.ones(2)}, path), "file of torch.save", "weights_only=True"),
    "torch.save, old": (
        lambda path, _: torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False),
        "pickle", "weights_only=True"),
    **{f"pickle {n}": (lambda path, _, n=n: path.write_bytes(pickle.dumps({"a": 1}, n)), "pickle", "weights_only")
       for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "page": (text(b"\n<!DOCTYPE html>\n<html lang=en>"), "web page", "download it again"),
    "page, small": (text(b"<html><head>"), "web page", "download it again"),
    "page with a mark": (text(b"\xef\xbb\xbf<!doctype html>"), "web page", "download it again"),
    "error of a store": (text(b'<?xml version="1.0"?><Error>'), "XML", "download it again"),
    "404": (text(b"404: Not Found"), "404: Not Found", "download it again"),
    "LFS": (text(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n"), "Git LFS", "git lfs pull"),
    "annex": (text(b"/annex/objects/SHA256E-s1--2"), "git-annex", "git annex get"),
    "npy": (a_numpy(np.save, np.zeros(3)), "NumPy", "numpy.load"),
    "npz": (a_numpy(np.savez, np.zeros(3)), "NumPy", "numpy.load"),
    "gzip": (packed(gzip.compress), "gzip", "gunzip"),
    "xz": (packed(lzma.compress), "xz", "unpack"),
    "bzip2": (packed(bz2.compress), "bzip2", "unpack"),
    "tar": (a_tar, "tar", "unpack"),
    "zip": (a_zip, "zip", "unpack"),
    "zip, cut": (lambda path, _: path.write_bytes(b"PK\x03\x04" + bytes(90)), "cut off", "download it again"),
    "notebook": (text(b'{\n "cells": []\n}'), "JSON", "the file with the weights"),
    "picture": (text(b"\x89PNG\r\n\x1a\n" + bytes(90)), "picture", "the file with the weights"),
    "empty": (text(b""), "empty", "broken off"),
    "cut in its header": (lambda path, content: path.write_bytes(content[:200]), "has 200", "cut off"),
    "cut in its tensors": (lambda path, content: path.write_bytes(content[:-9]), "cut off", "changed"),
    "a folder": (lambda path, _: path.mkdir(), "folder", "a file in it"),
    "safetensors of others": (
        lambda path, _: safetensors.torch.save_file({"conv.weight": torch.ones(2)}, path), "conv.weight", "load_file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_foreign_file_is_named_with_the_line_that_helps(kind, tmp_path, tiny_ddpm, few_digits):
    write, looks_like, line = FILES[kind]
    save_checkpoint(tmp_path / "good", tiny_ddpm)
    write(path := tmp_path / "foreign", (tmp_path / "good").read_bytes())
    for call in (load_checkpoint, lambda path: train(tiny_ddpm, few_digits, TWO_STEPS, resume=path)):
        with pytest.raises(ValueError, match=re.escape(str(path))) as error:
            call(path)
        assert looks_like in str(error.value)
        assert line in str(error.value)
        assert "header too large" not in str(error.value)
        assert len(str(error.value)) < 400


def test_a_snapshot_and_a_checkpoint_are_told_apart(tmp_path, make_ddpm, few_digits):
    save_checkpoint(tmp_path / "checkpoint", make_ddpm())
    for _ in train(make_ddpm(), few_digits, TWO_STEPS, resume=tmp_path / "snapshot"):
        pass
    with pytest.raises(ValueError, match=r"it is a snapshot.*resume="):
        load_checkpoint(tmp_path / "snapshot")
    with pytest.raises(ValueError, match=r"it is a checkpoint.*load_checkpoint"):
        train(make_ddpm(), few_digits, TWO_STEPS, resume=tmp_path / "checkpoint")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are Unix only")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"pipe.*no ordinary file"):
        load_checkpoint(tmp_path / "pipe")


GIB_3 = 3 * 2**30


def header_of(tensors, **metadata):
    text = json.dumps({"__metadata__": {"format": "ddpm_lib checkpoint 1", **metadata}, **tensors}).encode()
    return struct.pack("<Q", len(text)) + text


HUGE = {
    "header": struct.pack("<Q", GIB_3) + b"{" + b" " * 4000,
    "tensor": header_of({"unet.a": {"dtype": "U8", "shape": [GIB_3], "data_offsets": [0, GIB_3]}}) + bytes(4000),
    "shape": header_of({"unet.a": {"dtype": "U8", "shape": [GIB_3], "data_offsets": [0, 4000]}}) + bytes(4000),
    "product": header_of({"unet.a": {"dtype": "F32", "shape": [2**33, 2**33], "data_offsets": [0, 4000]}})
    + bytes(4000),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_small_file_that_claims_3_gb_is_refused_and_nothing_is_allocated(kind, tmp_path):
    resource = pytest.importorskip("resource", reason="limits of memory are Unix only")
    path = tmp_path / "claims"
    path.write_bytes(HUGE[kind])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, limits[1]))  # 3 GiB more would be a MemoryError
    try:
        with pytest.raises(ValueError, match="claims"):
            load_checkpoint(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_home_folder_that_nobody_has_is_a_value_error(tiny_ddpm, few_digits):
    for call in (
        lambda path: save_checkpoint(path, tiny_ddpm),
        load_checkpoint,
        lambda path: Snapshot(path, tiny_ddpm, *few_digits.tensors, TWO_STEPS, None),
    ):
        with pytest.raises(ValueError, match="nobody-has-this-name"):
            call("~nobody-has-this-name/mine.safetensors")
