"""Small modules that show one thing each."""

import torch
from torch import nn


class Residual(nn.Module):
    """Two convolutions, an add of what is before and after, a concat of both, a shared activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.act(self.first(x))
        b = self.act(self.second(a)) + a
        return self.last(torch.cat([a, b], dim=1))


class Tied(nn.Module):
    """A decoder whose weight is the embedding's, and a parameter that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 6)
        self.decode = nn.Linear(6, 10, bias=False)
        self.decode.weight = self.embed.weight
        self.unused = nn.Parameter(torch.zeros(5))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.decode(self.embed(tokens))


class Repeated(nn.Module):
    """One linear layer, three times."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = self.step(x)
        return x


class Counting(nn.Module):
    """Everything that a forward pass can disturb: batch-norm statistics, a counter, the random states, a hook."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.fail = fail

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        y = self.drop(self.norm(x)) + torch.rand_like(x)
        if self.fail:
            raise ValueError("on purpose\nand on two lines")
        return y


class NeedsValue(nn.Module):
    """As many steps as the values of its parameter say: it cannot run without them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.tensor(2.0))
        self.norm = nn.BatchNorm1d(4)
        self.step = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(self.steps.item())):
            x = self.norm(self.step(x))
        return x


class Attention(nn.Module):
    """Self-attention of two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class FirstToken(nn.Module):
    """A classifier of the first of several tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.exp()[:, 0])


class Sorting(nn.Module):
    """An operator without a rule between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.last = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.sort(self.first(x)).values)


class Halves(nn.Module):
    """Writes in place to both halves of a tensor, then reads them apart and together."""

    def __init__(self) -> None:
        super().__init__()
        self.make = nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.make(x)
        left, right = y.chunk(2, dim=1)
        left.sigmoid_()
        right.tanh_()
        return left * right + torch.exp(y)[:, :4]


class Merge(nn.Module):
    """Two inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(4, 2)
        self.right = nn.Linear(6, 2)

    def forward(self, image: torch.Tensor, text: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return self.left(image) + self.right(text) * scale
