"""What docs/compression.md shows: its recipe is one, and its table of SqueezeNet's sizes is computed again."""

from __future__ import annotations

import re
from pathlib import Path

from squeezesim import compress, load
from squeezesim.network.compress.recipe import PASSES, read_recipe
from squeezesim.network.compress.storage import Sizes, layer_sizes
from tests.network.compress.test_storage import TABLE_1

PAGE = (Path(__file__).parents[3] / "docs" / "compression.md").read_text(encoding="utf-8")


def test_the_recipe_runs(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("".join(re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)))
    assert tuple(read_recipe(path)) == PASSES
    network = load("squeezenet_1_0")
    compressed = compress(network, path)
    assert compressed.macs < network.macs
    assert compressed.layers[0].weight_bits == 8


def test_the_table_of_sizes() -> None:
    columns = []
    for bits in (6, 8):
        network = compress(load("squeezenet_1_0"), {"prune": TABLE_1, "quantize": f"w{bits}acc{bits}"})
        layers = [layer for layer in network.layers if layer.kind == "mac"]
        sizes = [layer_sizes(layer, bits, bits, layer.weight_density or 1) for layer in layers]
        total = Sizes(*map(sum, zip(*sizes, strict=True)))
        pairs = list(zip(layers, sizes, strict=True))
        indexed = sum(size.dense if layer.weight_density == 1 else size.relative4 for layer, size in pairs)
        biases = sum(layer.params - layer.weight_elements for layer in layers)
        released = total.relative4 + biases * (32 - bits) + len(layers) * (2**bits + 1) * 32
        least = sum(size.least for size in sizes)
        columns.append([total.values, total.bitmap, total.relative4, indexed, least, released])
    rows = re.findall(r"^\| [^|]+ \| ([\d,]{7}) \| ([\d,]{7}) \|$", PAGE, re.MULTILINE)
    assert rows == [tuple(f"{-(-bits // 8):,}" for bits in row) for row in zip(*columns, strict=True)]
