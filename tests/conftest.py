import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests run beside each other: threads of torch that wait for one another take longer than the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The default run draws the same cases each time and needs no deadline: the first example of a test may import torch,
# on a machine that others use too.
settings.register_profile("squeezesim", deadline=None, derandomize=True)
# pytest tests/verify --hypothesis-profile=thorough: 100,000 tiles on the simulated array and in the event simulator.
settings.register_profile("thorough", deadline=None, max_examples=50_000)
# make fuzz: fresh cases; nothing is kept, so that each run of a seed is the same.
settings.register_profile(
    "fuzz", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("squeezesim")


@pytest.fixture(autouse=True)
def _own_draws() -> None:
    """What a test draws beside hypothesis does not depend on the tests before it."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache of traced networks."""
    folder: Path = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("squeezesim.cache.cache_folder", lambda: folder)
