"""The documents: every link leads somewhere, and every theorem that they name exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proofs.ledger import modules

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/**/*.md")})
CLAIMS = ROOT / "docs/what_the_paper_claims.md"
DEFINED = re.compile(r"^\[([^\]]+)\]: (\S+)$", flags=re.M)


def targets(text: str) -> list[str]:
    """Return where the links of a Markdown text lead, inline ones and definitions, apart from the web."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)  # code is no link
    found = [*re.findall(r"\]\(([^)]+)\)", text), *(target for _, target in DEFINED.findall(text))]
    return [target for target in found if not re.match(r"https?:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_figures_exist(page):
    for target in targets(page.read_text()):
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if anchor:
            assert f'<a id="{anchor}"></a>' in linked.read_text(), target


def test_the_site_builds_and_has_every_page(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        folder = tmp_path if name.name == "index" else tmp_path / name
        assert (folder / "index.html").exists(), page


def test_the_theorems_named_exist_and_are_linked():
    text = CLAIMS.read_text()
    defined = dict(DEFINED.findall(text))
    named = set(re.findall(r"\[`(\w+)`\](?!:)", text))
    assert len(named) >= 20
    assert named <= set(modules())
    assert defined == {f"`{slug}`": f"THEOREMS.md#{slug}" for slug in named}
