"""Vision transformers: ViT, and DeiT, which is a ViT trained otherwise.

Sources: A. Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", 2020,
arXiv:2010.11929; H. Touvron et al., "Training data-efficient image transformers & distillation through attention",
2020, arXiv:2012.12877.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.errors import ModelError
from squeezesim.zoo.parts import Staged, blocks


class Embedding(nn.Module):
    """Patches of an image as vectors, a class token before them, each with its position added."""

    def __init__(self, dim: int, patch: int, resolution: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, dim, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.zeros(1, (resolution // patch) ** 2 + 1, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return tokens (N, T, dim) of images (N, 3, H, W).

        Raises:
            ModelError: the images are of another resolution.
        """
        patches = self.conv(x).flatten(2).transpose(1, 2)
        known = self.position.shape[1] - 1
        if patches.shape[1] != known:
            raise ModelError(
                f"{patches.shape[1]} patches but {known} positions; for images of another size set option resolution"
            )
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], dim=1)
        return tokens + self.position


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return proj(softmax(q · kᵀ / √d) · v), each head on its own d of the channels."""
        n, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q * (dim // self.heads) ** -0.5 @ k.transpose(-2, -1)
        y: torch.Tensor = self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, tokens, dim))
        return y


class Block(nn.Module):
    """Attention and a perceptron with one hidden layer of four times the channels, each normalised and added."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            OrderedDict(fc1=nn.Linear(dim, 4 * dim), act=nn.GELU(), fc2=nn.Linear(4 * dim, dim))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return *x* plus attention, plus the perceptron of that."""
        x = x + self.attention(self.norm1(x))
        y: torch.Tensor = x + self.mlp(self.norm2(x))
        return y


class Head(nn.Module):
    """The scores that a fully connected layer gives the class token."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return fc(norm(x)) of the first token."""
        scores: torch.Tensor = self.fc(self.norm(x)[:, 0])
        return scores


class ViT(Staged):
    """A vision transformer; its one stage is all of its blocks.

    Args:
        depth: blocks.
        dim: channels of a token.
        heads: heads of the attention; they divide *dim*.
        patch: pixels along each side of a patch.
        resolution: pixels along each side of the image; *patch* divides it.

    Raises:
        ModelError: *heads* does not divide *dim*, or *patch* the *resolution*.
    """

    def __init__(
        self,
        depth: int = 12,
        dim: int = 768,
        heads: int = 12,
        patch: int = 16,
        resolution: int = 224,
        classes: int = 1000,
    ) -> None:
        if dim % heads:
            raise ModelError(f"heads = {heads} must divide dim = {dim}")
        if resolution % patch:
            raise ModelError(f"patch = {patch} must divide resolution = {resolution}")
        stage = blocks(Block(dim, heads) for _ in range(depth))
        super().__init__(Embedding(dim, patch, resolution), [stage], Head(dim, classes))
