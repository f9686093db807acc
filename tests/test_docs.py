"""The documents: every link leads somewhere, and every theorem that they name exists."""

import re
from pathlib import Path

import pytest

from proofs.ledger import load

ROOT = Path(__file__).parents[1]
WRITTEN = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/negative_results.md",
    "docs/what_the_paper_claims.md",
)
CLAIMS = ROOT / "docs/what_the_paper_claims.md"
DEFINED = re.compile(r"^\[([^\]]+)\]: (\S+)$", flags=re.M)


def targets(text: str) -> list[str]:
    """Return where the links of a Markdown text lead, inline ones and definitions, apart from the web."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)  # code is no link
    found = [*re.findall(r"\]\(([^)]+)\)", text), *(target for _, target in DEFINED.findall(text))]
    return [target for target in found if not re.match(r"https?:", target)]


@pytest.mark.parametrize("document", WRITTEN)
def test_links_and_figures_exist(document):
    path = ROOT / document
    for target in targets(path.read_text()):
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), f"{document}: {target}"
        if anchor:
            assert f'<a id="{anchor}"></a>' in linked.read_text(), f"{document}: {target}"


def test_the_theorems_named_exist_and_are_linked():
    text = CLAIMS.read_text()
    defined = dict(DEFINED.findall(text))
    named = set(re.findall(r"\[`(\w+)`\](?!:)", text))
    assert len(named) >= 20
    assert named <= set(load())
    assert defined == {f"`{slug}`": f"THEOREMS.md#{slug}" for slug in named}
