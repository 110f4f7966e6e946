import os
from pathlib import Path

import pytest
from hypothesis import settings

# Tests run beside each other: threads of torch that wait for one another take longer than the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The default run draws the same cases each time and needs no deadline: the first example of a test may import torch,
# on a machine that others use too.
settings.register_profile("squeezesim", deadline=None, derandomize=True)
# pytest tests/verify --hypothesis-profile=thorough: 100,000 tiles on the simulated array and in the event simulator.
settings.register_profile("thorough", deadline=None, max_examples=50_000)
settings.load_profile("squeezesim")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache of traced networks."""
    folder: Path = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("squeezesim.cache.cache_folder", lambda: folder)
