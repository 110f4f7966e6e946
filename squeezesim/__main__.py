"""``python -m squeezesim``."""

from __future__ import annotations

import os
import sys

# Python looks for modules in the working directory first, and there may be a stranger's.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(__file__)):  # noqa: PTH120
    del sys.path[0]

from squeezesim.cli import main

if __name__ == "__main__":
    sys.exit(main())
