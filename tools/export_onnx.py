"""Export the shipped networks to ONNX, so that other programs than torch can run them, a browser for example.

    python tools/export_onnx.py [FOLDER]      writes teacher.onnx and student.onnx, by default into build/onnx/

A file is one call of the network, `UNet.forward`: x_t (B, 1, 28, 28), t_over_T (B,), y (B, 10) and, for the student,
w (B,) go in, "out" (B, 1, 28, 28) comes out, all float32, for any B ≥ 1. What out means is in the file's metadata
("prediction"), with T; noise schedule, guidance and sampler stay with the caller. torch's exporter folds each BatchNorm
into the convolution before it, as ddpm_lib/folding.py does.
"""

import sys
import warnings
from pathlib import Path

from ddpm_lib import DDPM, console, load_checkpoint
from ddpm_lib.files import write_atomically

import torch

REPOSITORY = Path(__file__).parent.parent
BUILD = REPOSITORY / "build" / "onnx"
NETWORKS = {"teacher": None, "student": "student"}  # the name here, and what load_checkpoint calls it
INPUTS = ("x_t", "t_over_T", "y", "w")


def export(ddpm: DDPM, path: Path) -> None:
    """Write ddpm's network to path, with the inputs that it hears: w only where ddpm.w_max > 0."""
    B = 2  # an example of a batch; 1 would be taken for a constant
    example = [torch.zeros(B, 1, 28, 28), torch.full((B,), 0.5), torch.zeros(B, ddpm.num_classes), torch.zeros(B)]
    example = tuple(example if ddpm.w_max else example[:3])
    batch = torch.export.Dim("B", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own code
        program = torch.onnx.export(
            ddpm.eval().unet,
            example,
            dynamo=True,
            verbose=False,
            input_names=INPUTS[: len(example)],
            output_names=["out"],
            dynamic_shapes=tuple({0: batch} for _ in example),
        )
    program.model.metadata_props.update(prediction=ddpm.prediction, T=str(ddpm.schedule.T))
    write_atomically(path, program.model_proto.SerializeToString())


def exported(folder: Path = BUILD) -> dict[str, Path]:
    """The files of both networks in folder, written where they are missing or older than this package's files."""
    paths = {name: folder / f"{name}.onnx" for name in NETWORKS}
    sources = [__file__, *REPOSITORY.glob("ddpm_lib/*.py"), *REPOSITORY.glob("ddpm_lib/checkpoints/*")]
    newest = max(Path(source).stat().st_mtime for source in sources)
    for name, path in paths.items():
        if not path.is_file() or path.stat().st_mtime < newest:
            export(load_checkpoint(NETWORKS[name]), path)
    return paths


@console.command
def main() -> None:
    for path in exported(Path(sys.argv[1]).expanduser() if len(sys.argv) > 1 else BUILD).values():
        print(f"{path.stat().st_size / 1e6:.1f} MB: {path}")


if __name__ == "__main__":
    main()
