"""Models of other libraries; the tests of a library that is not installed are skipped."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.frontends.hubs import _suppress, import_torchvision
from squeezesim.frontends.torch.trace import trace

torchvision = pytest.mark.skipif(not find_spec("torchvision"), reason="torchvision is not installed")


@torchvision
def test_torchvision_is_imported_beside_a_cpu_torch() -> None:
    library = import_torchvision()
    assert import_torchvision() is library
    with torch.device("meta"):
        module = library.models.resnet18(weights=None)
    assert trace(module, (1, 3, 224, 224)).macs == 1_814_073_344


CORNERS = st.integers(0, 12)
BOXES = st.lists(
    st.tuples(CORNERS, CORNERS, st.integers(1, 8), st.integers(1, 8), st.integers(0, 5)), max_size=12
)


@given(BOXES, st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_suppression_keeps_what_overlaps_no_better_box(
    boxes: list[tuple[int, ...]], threshold: float
) -> None:
    """Beside its definition, box by box, on pixels counted one by one."""
    pixels = [
        {(x + dx, y + dy) for dx in range(width) for dy in range(height)} for x, y, width, height, _ in boxes
    ]
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: -boxes[index][4]):
        shared = [len(pixels[index] & pixels[other]) / len(pixels[index] | pixels[other]) for other in kept]
        if all(share <= threshold for share in shared):
            kept.append(index)
    corners = [[x, y, x + width, y + height] for x, y, width, height, _ in boxes]
    scores = torch.tensor([float(box[4]) for box in boxes])
    found = _suppress(torch.tensor(corners, dtype=torch.float64).reshape(-1, 4), scores, threshold)
    assert found.tolist() == kept
