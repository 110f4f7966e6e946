"""Writes a built-in network as an ONNX file, batch 1: ``python -m benchmarks.onnx_file squeezenet_1_0 FILE``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from squeezesim.zoo.registry import build, parse_spec


def write(model: str, path: Path) -> None:
    """Write the built-in network *model* with its weights, as PyTorch's exporter makes it."""
    import torch

    spec = parse_spec(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            build(spec).eval(),
            (torch.zeros(1, *spec.input),),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
