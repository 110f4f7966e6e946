"""Models of other libraries; the tests of a library that is not installed are skipped."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from squeezesim.frontends.hubs import import_torchvision
from squeezesim.frontends.trace import trace

torchvision = pytest.mark.skipif(not find_spec("torchvision"), reason="torchvision is not installed")


@torchvision
def test_torchvision_is_imported_beside_a_cpu_torch() -> None:
    library = import_torchvision()
    assert import_torchvision() is library
    with torch.device("meta"):
        module = library.models.resnet18(weights=None)
    assert trace(module, (1, 3, 224, 224)).macs == 1_814_073_344
