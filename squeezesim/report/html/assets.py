"""What the page carries: styles, scripts and the chart library, each with its hash for the content security policy."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from squeezesim.report.figures.colours import THEMES
from squeezesim.report.figures.tensors import HELD

STATIC = Path(__file__).with_name("static")
LIBRARY = "vendor/d3.min.js"
SCRIPTS = (
    *("format.js", "state.js", "parts.js", "theme.js"),
    *("bars.js", "rows.js", "waterfall.js", "roofline.js", "memory.js", "graph.js", "table.js", "result.js"),
    *("comparison.js", "export.js"),
)
"""What pages share, in the order in which it runs: functions, which a page's own script calls."""
STYLES = ("page.css", "charts.css", "print.css")
PREFIXES = {"cause": "causes", "level": "levels", "operand": "operands", "flow": "dataflows"}
"""Of colours, and the fields of ``Costs`` with the names of what they are of."""
_TEXT_COLOURS = ("paper", "ink", "grid", "band", "faint")


@cache
def charts() -> str:
    """Return the chart library as it was published."""
    return _read(LIBRARY)


PAGE = (STATIC / "page.js",)
"""What runs on the page of reports."""


@cache
def script(own: Sequence[Path] = PAGE) -> str:
    """Return what pages share and, after it, the page's *own* script, in strict mode."""
    return '"use strict";\n' + "\n".join([*map(_read, SCRIPTS), *map(_text, own)])


Names = Mapping[str, Sequence[str]]
"""Names of what has a colour, by the prefix of their colours."""


def style(names: Names) -> str:
    """Return the page's style, with the colours of *names*."""
    return "\n".join([colours(names), *map(_read, STYLES)])


def policy(script: str, style: str, *further: str) -> str:
    """Return a content security policy: nothing runs but the chart library and *script*, and nothing is loaded.

    Even where a text of a stranger got into the page as markup, it could not run. *further* are directives of a page's
    own.
    """
    scripts = " ".join(map(_hash, (charts(), script)))
    own = f"default-src 'none'; script-src {scripts}; style-src {_hash(style)}; img-src data:"
    return "; ".join([own, "base-uri 'none'", "form-action 'none'", *further])


def _class(name: str) -> str:
    """Return *name* as part of an identifier of a style sheet."""
    return re.sub(r"[^\w-]", lambda sign: f"\\{ord(sign[0]):x} ", name, flags=re.ASCII)


def _read(name: str) -> str:
    return _text(STATIC / name)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").rstrip("\n")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def colours(names: Names) -> str:
    """Return the colours that the figures' themes have for *names*, and those of texts, as custom properties.

    They are ``--cause-edge: light-dark(#…, #…);``, with a class ``fill-cause-edge`` for each part.
    """
    light, dark = THEMES["light"], THEMES["dark"]
    pairs = {name: (getattr(light, name), getattr(dark, name)) for name in _TEXT_COLOURS}
    parts: dict[str, tuple[str, str]] = {}
    for prefix, known in {**names, "cause": ("executed", *names.get("cause", ())), "held": HELD}.items():
        found = light.colours(known), dark.colours(known)
        parts |= {f"{prefix}-{_class(name)}": (found[0][name], found[1][name]) for name in known}
    values = "".join(f"--{name}: light-dark({a}, {b});\n" for name, (a, b) in (pairs | parts).items())
    classes = "".join(f".fill-{name} {{ --part: var(--{name}); }}\n" for name in parts)
    return f":root {{\n{values}}}\n{classes}"
