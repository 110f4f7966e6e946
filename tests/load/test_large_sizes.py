"""Sizes of real inputs: audio, flattened images, token ids, points, and the largest that is taken."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from squeezesim.load import load


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(100, 8)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids)


@pytest.mark.parametrize(
    ("module", "shape", "macs", "vector_ops"),
    [
        (nn.Conv1d(1, 8, 10, stride=5, bias=False), (1, 1, 160_000), 31_999 * 8 * 10, 0),
        (nn.Sequential(nn.Flatten(), nn.Linear(150_528, 10, bias=False)), (1, 3, 224, 224), 1_505_280, 0),
        (nn.Linear(150_528, 10, bias=False), (1, 150_528), 1_505_280, 0),
        (nn.Linear(3, 64, bias=False), (100_000, 3), 19_200_000, 0),
        (nn.ReLU(), (1, 2**31), 0, 2**31),
        (nn.Linear(2**31, 1, bias=False, device="meta"), (1, 2**31), 2**31, 0),
    ],
)
def test_sizes_of_real_inputs(module: nn.Module, shape: tuple[int, ...], macs: int, vector_ops: int) -> None:
    found = load(module, input_shape=shape)
    assert (found.macs, found.vector_ops) == (macs, vector_ops)
    assert load(module, input_shape="x".join(map(str, shape[1:])), batch=shape[0]) == found


def test_ids_of_a_long_text() -> None:
    found = load(Tokens(), inputs={"ids": torch.zeros((), dtype=torch.int64).expand(1, 131_072)})
    assert found.inputs == (("ids", (1, 131_072)),)
    assert found.vector_ops == 131_072 * 8
