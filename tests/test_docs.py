"""The documents: every link leads somewhere, and every theorem that they name exists."""

import operator
import re
from pathlib import Path

import pytest

import mi_estimators as mi
from proofs.ledger import modules

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/**/*.md")})
CLAIMS = ROOT / "docs/what_the_paper_claims.md"
DEFINED = re.compile(r"^\[([^\]]+)\]: (\S+)$", flags=re.M)


def targets(text: str) -> list[str]:
    """Return where the links of a Markdown text lead, inline ones and definitions, apart from the web."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)  # code is no link
    links = [*re.findall(r"\]\(([^)]+)\)", text), *(target for _, target in DEFINED.findall(text))]
    return [target for target in links if not re.match(r"https?:", target)]


def anchors(text: str) -> set[str]:
    """Return the names on a page that a link may end in: those given, and those of its headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    slugs = {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"></a>', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_figures(page):
    for target in targets(page.read_text()):
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text()), target


def test_named_theorems():
    """The theorems named exist and are linked."""
    text = CLAIMS.read_text()
    defined = dict(DEFINED.findall(text))
    named = set(re.findall(r"\[`(\w+)`\](?!:)", text))

    assert len(named) >= 20
    assert named <= set(modules())
    assert defined == {f"`{slug}`": f"THEOREMS.md#{slug}" for slug in named}


ENTRY = re.compile(r"^\*\*(.+?)\*\*, \*(.+?)\*\..*\n((?:.+\n)*?)→ (.+) → (.+) → `(.+)`$", re.M)
FLAGS = (ROOT / "llm_adapter/arguments/fields.py").read_text()
PAPERS = ENTRY.findall((ROOT / "docs/papers.md").read_text())


def test_paper_index():
    """The paper index is long and whole."""
    text = (ROOT / "docs/papers.md").read_text()
    assert len(PAPERS) >= 40
    assert len(PAPERS) == text.count("\n→ ")


@pytest.mark.parametrize("entry", PAPERS, ids=lambda entry: entry[0])
def test_paper_entries(entry):
    """A paper's theorem, name and test exist."""
    _, _, _, theorems, names, test = entry
    slugs = re.findall(r"\[`(\w+)`\]\(THEOREMS\.md#\1\)", theorems)

    assert slugs
    assert set(slugs) <= set(modules())
    assert (ROOT / test).is_file()

    for name in re.findall(r"`([^`]+)`", names):
        if name.startswith("--"):
            assert f"{name.split()[0].removeprefix('--')}: " in FLAGS, name
        else:
            assert operator.attrgetter(name.removeprefix("mi."))(mi), name
