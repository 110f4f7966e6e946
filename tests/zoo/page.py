"""The tables of docs/models.md, from the catalogue; ``python -m tests.zoo.page`` writes them again."""

from __future__ import annotations

import re
from pathlib import Path

from squeezesim.markup import Markdown, code, escaped, markdown_table
from squeezesim.zoo.registry import catalogue

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def networks() -> str:
    """Every network with its facts."""
    return markdown_table(
        ("name", "published as", "input", "params", "MACs", "top-1", "top-5", "printed in"),
        (
            (
                code(entry.name),
                entry.published_as,
                "×".join(map(str, entry.input)),
                f"{entry.facts.params:,}",
                f"{entry.facts.macs:,}",
                *("" if value is None else f"{value:.2f}" for value in (entry.facts.top1, entry.facts.top5)),
                entry.facts.printed_in,
            )
            for entry in catalogue().values()
        ),
        left=(0, 1, 2, 7),
    )


def families() -> str:
    """Every family with what its options may be."""
    found = {entry.family.name: entry.family for entry in catalogue().values()}
    return markdown_table(
        ("family", "source", "options"),
        (
            (
                family.name,
                family.source,
                Markdown(
                    "; ".join(f"{code(option.name)} {escaped(option.allowed)}" for option in family.options)
                ),
            )
            for family in found.values()
        ),
        left=range(3),
    )


def write(text: str) -> str:
    """Return the page's *text* with its two tables as they should be."""
    for made in (networks(), families()):
        header = re.escape(made.partition("\n")[0])
        text = re.sub(rf"^{header}\n(\|.*\n)*", made.replace("\\", r"\\"), text, flags=re.MULTILINE)
    return text


if __name__ == "__main__":
    PAGE.write_text(write(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
