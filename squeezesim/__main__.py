"""``python -m squeezesim``."""

from __future__ import annotations

import sys

from squeezesim.cli import main

if __name__ == "__main__":
    sys.exit(main())
