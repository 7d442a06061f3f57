"""The networks as ONNX files: the same numbers as torch's, for any batch."""

import sys

import export_onnx
import onnx
import onnxruntime
import pytest
import torch

from ddpm_lib import files, load_checkpoint

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return export_onnx.exported(tmp_path_factory.mktemp("onnx"))


@pytest.mark.parametrize("name", export_onnx.NETWORKS)
@pytest.mark.parametrize("batch", [1, 2, 20])
def test_onnxruntime_computes_what_torch_computes(name, batch, paths, generator):
    ddpm = load_checkpoint(export_onnx.NETWORKS[name])
    told = {
        "x_t": torch.randn(batch, 1, 28, 28, generator=generator),
        "t_over_T": torch.rand(batch, generator=generator),
        "y": torch.rand(batch, 10, generator=generator).softmax(1) * (torch.arange(batch) % 2)[:, None],
    }
    if ddpm.w_max:
        told["w"] = torch.rand(batch, generator=generator) * (ddpm.w_max + 1) - 1
    session = onnxruntime.InferenceSession(paths[name])
    assert [put.name for put in session.get_inputs()] == list(told)
    (out,) = session.run(None, {key: tensor.numpy() for key, tensor in told.items()})
    with torch.inference_mode():
        want = ddpm.unet(*told.values())
    assert (torch.from_numpy(out) - want).abs().max() < 1e-4
    # Each input is heard: with another value the answer is another one.
    for key, tensor in told.items():
        changed = told | {key: tensor.roll(1, -1) + 0.1}
        (other,) = session.run(None, {key: tensor.numpy() for key, tensor in changed.items()})
        assert abs(other - out).max() > 1e-3, key


@pytest.mark.parametrize("name", export_onnx.NETWORKS)
def test_a_file_says_what_it_is_and_holds_its_weights(name, paths):
    ddpm = load_checkpoint(export_onnx.NETWORKS[name])
    model = onnx.load(paths[name], load_external_data=False)
    onnx.checker.check_model(model)
    said = {prop.key: prop.value for prop in model.metadata_props}
    assert (said["prediction"], said["T"]) == (ddpm.prediction, str(ddpm.schedule.T))
    assert not [op for op in model.graph.node if op.op_type == "BatchNormalization"]
    assert {path.name for path in paths[name].parent.iterdir()} == {"teacher.onnx", "student.onnx"}  # no file beside


def test_a_file_that_is_new_enough_is_not_written_again(paths):
    before = {name: path.stat().st_mtime_ns for name, path in paths.items()}
    assert export_onnx.exported(paths["teacher"].parent) == paths
    assert {name: path.stat().st_mtime_ns for name, path in paths.items()} == before


def test_a_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    """A full disk, or Ctrl-C: half a file would be newer than its sources, and so be taken for the whole one."""

    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "teacher.onnx"))

    monkeypatch.setattr(files.os, "fsync", full)
    monkeypatch.setattr(sys, "argv", ["export_onnx.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"stopped: .*teacher\.onnx: No space left on device"):
        export_onnx.main()
    assert list(tmp_path.iterdir()) == []
