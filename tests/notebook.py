"""The notebook in examples/; ``python -m tests.notebook`` runs it and writes its outputs again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "allocation.ipynb"


def stored() -> Any:
    """The notebook as it is in the repository."""
    return nbformat.read(NOTEBOOK, as_version=4)


def executed(folder: Path) -> Any:
    """The notebook after all cells have run in *folder*, which holds the caches too; a cell that fails raises."""
    notebook = stored()
    own = {name: str(folder / "cache") for name in ("XDG_CACHE_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    with patch.dict(os.environ, {**own, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}):
        NotebookClient(
            notebook, timeout=120, record_timing=False, resources={"metadata": {"path": str(folder)}}
        ).execute()
    notebook.metadata.pop("language_info", None)  # names the version of Python
    return notebook


def texts(notebook: Any) -> list[list[str]]:
    """What each cell of code prints and returns, as text; pictures have the size of their axes alone."""
    return [
        [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def main() -> None:
    """Run the notebook and write it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(Path(folder)), NOTEBOOK)


if __name__ == "__main__":
    main()
