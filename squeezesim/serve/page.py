"""The page as it is sent: markup without any network, style and scripts, which are the report's and its own."""

from __future__ import annotations

from pathlib import Path

from squeezesim.report.html import assets
from squeezesim.report.html.page import template

_HERE = Path(__file__).parent
SCRIPTS = tuple(_HERE / "static" / name for name in ("controls.js", "points.js", "serve.js"))
"""In the order in which they run."""
STYLE = _HERE / "static" / "serve.css"


def page(directives: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the page and its content security policy, which has *directives* of the server."""
    style = "\n".join([assets.style({}), STYLE.read_text(encoding="utf-8")])
    script = assets.script(SCRIPTS)
    text = template("serve.html.j2", _HERE / "templates").render(assets=assets, style=style, script=script)
    return text, assets.policy(script, style, *directives)
