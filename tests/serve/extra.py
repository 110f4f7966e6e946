"""What the server needs is an extra. In CI a missing one is a failure, elsewhere a skip that says so."""

from __future__ import annotations

import importlib.util
import os

import pytest


def require() -> None:
    """Skip the module that calls this, or fail in CI, where the extra is not installed."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        message = f"{' and '.join(missing)} not installed: pip install -c constraints.txt -e '.[serve]'"
        if os.environ.get("CI"):
            raise pytest.UsageError(message)
        pytest.skip(message, allow_module_level=True)
