"""What a message says where token ids or another type of floats were meant."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from squeezesim.errors import ModelError
from squeezesim.load import load


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.table(input_ids) if attention_mask is None else self.table(input_ids) * attention_mask


class Indexed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(10, 4))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table[ids]


class Narrow(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise TypeError(f"expected scalar type BFloat16 but found {x.dtype}")


@pytest.mark.parametrize(
    ("module", "given", "hint"),
    [
        (Tokens(), {"input_shape": "128"}, "; ids are integers: --input input_ids=1x128:int64"),
        (Tokens(), {"inputs": {"input_ids": (2, 8)}}, "; ids are integers: --input input_ids=2x8:int64"),
        (
            Tokens(),
            {"inputs": {"attention_mask": (1, 8)}},
            "; inputs have names, ids are integers: --input input_ids=1x128:int64",
        ),
        (Tokens(), {"input_shape": "1x128"}, "; ids are integers: --input input_ids=1x128:int64"),
        (Tokens(), {"inputs": {"input_ids": (1, 2, 8)}}, "; ids are integers: --input input_ids=1x2x8:int64"),
        (
            Tokens(),
            {"inputs": {"ids": (1, 8)}},
            "; its arguments are input_ids, attention_mask: --input input_ids=1x8:int64",
        ),
        (
            Narrow(),
            {"inputs": {"image": (1, 8)}},
            "; its arguments are x: --input x=1x8",
        ),
        (Indexed(), {"input_shape": "128"}, "; ids are integers: --input ids=1x128:int64"),
        (
            Narrow(),
            {"input_shape": "16"},
            "; for a kernel of bfloat16 make the model with dtype=bfloat16, "
            "and its input as --input x=1x16:bfloat16",
        ),
    ],
)
def test_what_was_meant_is_said(module: nn.Module, given: dict[str, Any], hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(module, **given)
    assert str(caught.value).endswith(hint)
    assert "\n" not in str(caught.value)
