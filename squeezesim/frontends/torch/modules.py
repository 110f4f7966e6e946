"""Which module runs in a forward pass, and its path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of a module: its path and class, its place among all calls, the shapes that it got."""

    path: str
    kind: type[nn.Module]
    serial: int
    shapes: tuple[tuple[int, ...], ...]

    @property
    def is_operator(self) -> bool:
        """Whether the module is, or extends, a class of ``torch.nn`` that computes (no container)."""
        computing = (cls.__module__ for cls in self.kind.__mro__)
        return any(
            name.startswith("torch.nn.modules.") and not name.endswith((".module", ".container"))
            for name in computing
        )


class ModuleStack:
    """A context in which ``current`` is the call that runs, innermost module first.

    The hooks are global and leave with the context, so no module is touched. Modules have their path below *root*, a
    shared one its first. Those without parameters, such as one activation of all blocks, have that below the module
    that calls them; where it does not hold them, and for modules that *root* does not register, that is their name or
    class below the caller.
    """

    def __init__(self, root: nn.Module) -> None:
        self._entered: list[tuple[ModuleCall, nn.Module]] = []
        self._root = root
        self._held: dict[int, dict[int, tuple[str, nn.Module]]] = {}  # of a module, what is below it
        self._known: list[nn.Module] = []  # keeps the identity of a dead module from being used again
        self._calls = 0
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    @property
    def current(self) -> ModuleCall | None:
        """The call that runs, or the one that failed if an exception left it."""
        return self._entered[-1][0] if self._entered else None

    def describe(self) -> str:
        """Return the running module in words: its path, what it was made with, the shapes that it got."""
        if not self._entered:
            return "the module"
        call, module = self._entered[-1]
        name = f"layer {call.path!r}" if call.path else "the module"
        settings = module.extra_repr().replace("\n", " ")
        got = f" got {', '.join('x'.join(map(str, shape)) or 'a scalar' for shape in call.shapes)}"
        return f"{name} {call.kind.__name__}({settings}){got if call.shapes else ''}"

    def __enter__(self) -> ModuleStack:
        self._hooks = [
            register_module_forward_pre_hook(self._enter_module),
            register_module_forward_hook(self._leave_module),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _enter_module(self, module: nn.Module, args: Any) -> None:
        leaves = torch.utils._pytree.tree_leaves(args)
        shapes = tuple(tuple(leaf.shape) for leaf in leaves if isinstance(leaf, torch.Tensor))
        self._calls += 1
        call = ModuleCall(self._path(module), type(module), self._calls, shapes)
        self._entered.append((call, module))

    def _leave_module(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        # A module that failed inside a forward that caught the exception was never left.
        while self._entered and self._entered.pop()[1] is not module:
            pass

    @contextmanager
    def inside(self, part: str) -> Iterator[None]:
        """Name a *part* of the running module, such as a layer of a recurrence, as if it were a module below it."""
        call, module = self._entered[-1]
        self._calls += 1
        path = ".".join(filter(None, (call.path, part)))
        depth = len(self._entered)
        self._entered.append((replace(call, path=path, serial=self._calls), module))
        try:
            yield
        finally:
            del self._entered[depth:]

    def _path(self, module: nn.Module) -> str:
        known = self._below(self._root).get(id(module))
        if not self._entered or (known and any(True for _ in module.parameters())):
            return known[0] if known else type(module).__name__
        call, caller = self._entered[-1]
        held = self._below(caller).get(id(module))
        below = held[0] if held else known[0].rpartition(".")[2] if known else type(module).__name__
        return ".".join(filter(None, (call.path, below)))

    def _below(self, module: nn.Module) -> dict[int, tuple[str, nn.Module]]:
        """The first path below *module* of each module that it holds."""
        held = self._held.get(id(module))
        if held is None:
            held = {id(part): (path, part) for path, part in module.named_modules()}
            self._held[id(module)] = held
            self._known.append(module)
        return held
