"""What the page carries: styles, scripts and the chart library, each with its hash for the content security policy."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from squeezesim.report.figures.style import THEMES

STATIC = Path(__file__).with_name("static")
LIBRARY = "vendor/d3.min.js"
SCRIPTS = (
    *("format.js", "state.js", "parts.js"),
    *("bars.js", "rows.js", "waterfall.js", "roofline.js", "graph.js", "table.js", "result.js"),
    *("comparison.js", "page.js"),
)
"""In the order in which they run."""
STYLES = ("page.css", "charts.css", "print.css")
_TEXT_COLOURS = ("paper", "ink", "grid", "band", "faint")


@cache
def charts() -> str:
    """Return the chart library as it was published."""
    return _read(LIBRARY)


@cache
def script() -> str:
    """Return the page's own script, in strict mode."""
    return '"use strict";\n' + "\n".join(map(_read, SCRIPTS))


@cache
def style() -> str:
    """Return the page's style, with the colours of the figures' themes as custom properties."""
    return "\n".join([_colours(), *map(_read, STYLES)])


@cache
def policy() -> str:
    """Return the content security policy: nothing runs but the scripts above, and nothing is loaded.

    Even where a text of a stranger got into the page as markup, it could not run.
    """
    scripts = " ".join(map(_hash, (charts(), script())))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hash(style())}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8").rstrip("\n")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _colours() -> str:
    """The colours of figures as ``--cause-edge: light-dark(#…, #…);`` and a class ``fill-cause-edge`` for each part."""
    light, dark = THEMES["light"], THEMES["dark"]
    pairs = {name: (getattr(light, name), getattr(dark, name)) for name in _TEXT_COLOURS}
    kinds = {"cause": "causes", "level": "levels", "operand": "operands", "flow": "dataflows"}
    parts = {
        f"{prefix}-{name}": (colour, getattr(dark, kind)[name])
        for prefix, kind in kinds.items()
        for name, colour in getattr(light, kind).items()
    }
    values = "".join(f"--{name}: light-dark({a}, {b});\n" for name, (a, b) in (pairs | parts).items())
    classes = "".join(f".fill-{name} {{ --part: var(--{name}); }}\n" for name in parts)
    return f":root {{\n{values}}}\n{classes}"
