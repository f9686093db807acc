"""The site: it builds without a warning or a dead link, works from a file without network, and fits a telephone."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from proofs.ledger import modules

pytestmark = pytest.mark.xdist_group("site")  # built once

ROOT = Path(__file__).parents[1]
LOOKED_AT = (
    "index.html",
    "guides/two_arrays.html",
    "guides/tasks.html",
    "theorems/index.html",
    "theorems/dynamics.html",
    "theorems/preference/mio_anchor.html",
    "api/index.html",
    "lab.html",
    "tour/07_estimate_your_data.html",
    "papers.html",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it, without the lab's report."""
    for package in ("sphinx", "myst_nb", "furo", "sphinx_copybutton", "sphinx-mathjax-offline"):
        if find_spec(package) is None:
            pytest.skip(f"no {package}; it is in the group docs")

    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "docs/sphinx/build.py", "--out", out, "--report", out / "none"]
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    assert built.returncode == 0, built.stderr

    return out


def test_pages(site):
    """Every page of the clone and every theorem has a page."""
    pages = {path.stem for path in site.rglob("*.html")}
    documents = {path.stem for path in ROOT.glob("docs/**/*.md")} - {"THEOREMS"}
    notebooks = {path.stem for path in ROOT.glob("notebooks/*.ipynb")}
    assert documents | notebooks | set(modules()) <= pages


def test_other_hosts(site):
    """It asks nothing of another host."""
    assert (site / "_static/mathjax/tex-svg.js").stat().st_size > 1e6
    for path in site.rglob("*.html"):
        loads = r"<(?:script|img|iframe|link rel=.stylesheet.)[^>]+(?:src|href)=.(?:https?:)?//"
        assert not re.search(loads, path.read_text(encoding="utf-8")), path


BROKEN_FLAGS = """() => {
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  const broken = [];
  for (let node; (node = walker.nextNode()); ) {
    if (!node.parentElement.closest("code") || node.parentElement.closest("pre")) continue;
    for (const word of node.textContent.matchAll(/--\\S+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      if (lines.size > 1) broken.push(word[0]);
    }
  }
  return broken;
}"""
"""The flags in running text that are broken over two lines."""


def findings(browser, path, width, scheme):
    """Return what hinders a reader: console, sideways scroll, broken flags, serious findings of axe-core."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe").Axe()
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    hindrances = []
    page.on("console", lambda message: hindrances.append(message.text))
    page.on("pageerror", lambda error: hindrances.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_load_state()
    page.evaluate("window.MathJax?.startup?.promise.then(() => null)")
    page.wait_for_timeout(600)  # then the site's script names what overflows

    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if overflow > 0:
        hindrances.append(f"{overflow} pixels too wide")

    hindrances += [f"broken over two lines: {flag}" for flag in page.evaluate(BROKEN_FLAGS)]

    # preload would fetch the style sheets, which a browser refuses for files
    results = axe.run(page, options={"preload": False, "resultTypes": ["violations"]})
    for rule in results.response["violations"]:
        if rule["impact"] in ("serious", "critical"):
            hindrances.append(f"{rule['id']}: {rule['nodes'][0]['html'][:200]}")

    page.close()
    return hindrances


@pytest.mark.parametrize("name", LOOKED_AT)
def test_narrow_page(site, browser, name):
    """A page fits a telephone at night, its console is silent, and axe-core finds nothing serious."""
    assert findings(browser, site / name, 390, "dark") == []


@pytest.mark.broad
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_all_pages(site, browser, width, scheme):
    """The same of every page, in four settings: half an hour."""
    hindrances = {
        str(path.relative_to(site)): findings(browser, path, width, scheme)
        for path in sorted(site.rglob("*.html"))
    }

    assert {name: lines for name, lines in hindrances.items() if lines} == {}


def test_opened_from_a_file(site, browser):
    """Mathematics and search work from a file."""
    page = browser.new_page()
    page.goto((site / "theorems/preference/mio_anchor.html").as_uri())
    page.wait_for_selector("mjx-container svg")
    page.goto((site / "search.html").as_uri() + "?q=starvation")
    page.wait_for_selector("#search-results li a")
    page.close()
