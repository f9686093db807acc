"""Build the web site: python docs/sphinx/build.py --out site. Nothing in it asks for another host."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import reference  # noqa: E402
import theorems  # noqa: E402

LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )([^)\s#]*)(#[\w-]+)?", re.M)
GUIDES = (
    "two_arrays",
    "estimates",
    "rows",
    "classes",
    "images_and_sequences",
    "time_series",
    "big_data",
)
GUIDES += (
    "losses",
    "preferences",
    "data",
    "metrics",
    "from_trl",
    "tasks",
    "scale",
    "diagnostics",
    "kernel",
)
NAVIGATION = {
    "Guides": [f"guides/{name}" for name in GUIDES] + ["contributing", "conduct", "security"],
    "Theory": ["theorems/index", "notation", "papers"],
    "Reference": ["api/index", "api/commands"],
    "Results": ["lab", "tour/index", "benchmarks/index"],
    "Log": [
        "log/negative_results",
        "log/findings",
        "log/experiment",
        "log/lab",
        "log/protocol",
        "log/changelog",
    ],
}


def staged() -> dict[str, str]:
    """Return where each page of the clone stands on the site: path in the clone → path on the site."""
    places = {
        "CHANGELOG.md": "log/changelog.md",
        "CONTRIBUTING.md": "contributing.md",
        "CODE_OF_CONDUCT.md": "conduct.md",
        "SECURITY.md": "security.md",
    }
    for path in sorted(ROOT.glob("llm_adapter/*.md")):
        places[f"llm_adapter/{path.name}"] = f"log/{path.stem.lower()}.md"
    for path in sorted(ROOT.glob("docs/**/*.md")):
        name = path.relative_to(ROOT / "docs").as_posix()
        if name != "THEOREMS.md":
            places[f"docs/{name}"] = name
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        places[f"notebooks/{path.name}"] = f"tour/{path.name}"
    for path in sorted(ROOT.glob("benchmarks/**/*.md")):
        name = path.relative_to(ROOT).as_posix()
        if "/build/" not in name:
            places[name] = name.replace("README.md", "index.md")
    return places


def relinked(
    text: str, home: str, places: dict[str, str], slugs: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield (old, new) targets of the links in a page of the clone that stands elsewhere on the site."""
    here = Path(home).parent
    for match in LINK.finditer(text):
        target, anchor = match[2], match[3] or ""
        if not target or re.match(r"\w+:", target):
            continue
        file = os.path.normpath(here / target)
        if file == "docs/THEOREMS.md":
            new = f"theorems/{slugs[anchor[1:]]}/{anchor[1:]}.md" if anchor else "theorems/index.md"
            anchor = ""
        elif file == "README.md":
            new, anchor = "index.md", ""
        else:
            new = places.get(os.path.join(file, "README.md")) or places.get(file) or file
        yield target + (match[3] or ""), os.path.relpath(new, Path(places[home]).parent) + anchor


def stage(folder: Path) -> None:
    """Write the sources of the site: pages of the clone with their links, the theorems and the API."""
    places = staged()
    slugs = {slug: theorem.chapter for slug, theorem in theorems.read(ROOT).items()}
    texts: dict[str, str] = {}
    for home, place in places.items():
        text = (ROOT / home).read_text(encoding="utf-8")
        texts[place] = text
        if home.endswith(".ipynb"):
            _write(folder / place, _notebook(text, home, places, slugs))
            continue
        new = dict(relinked(text, home, places, slugs))
        linked = LINK.sub(
            lambda m, new=new: m[1] + new.get(m[2] + (m[3] or ""), m[2] + (m[3] or "")), text
        )
        _write(folder / place, re.sub(r'<a id="([\w-]+)"></a>', r"", linked))
        for old, target in new.items():
            _copy(
                home, old.partition("#")[0], folder / Path(place).parent / target.partition("#")[0]
            )

    for name, text in theorems.pages(ROOT, texts).items():
        _write(folder / "theorems" / name, text)
    for name, text in reference.pages().items():
        _write(folder / "api" / name, text)
    _tour(folder, places)
    _lab(folder / "lab.md")
    _benchmarks(folder / "benchmarks/index.md", places)
    _navigation(folder / "index.md")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _copy(home: str, old: str, target: Path) -> None:
    """Copy a figure or another file that a page links to; pages themselves are staged by name."""
    source = ROOT / Path(home).parent / old
    if source.is_file() and target.suffix not in (".md", ".ipynb"):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _notebook(text: str, home: str, places: dict[str, str], slugs: dict[str, str]) -> str:
    notebook = json.loads(text)
    for cell, after in pairwise([*notebook["cells"], {"cell_type": "end"}]):
        if after["cell_type"] == "markdown" and (words := "".join(after["source"])).startswith("*"):
            cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(words.strip("*").split())}}
        if cell["cell_type"] == "markdown":
            source = "".join(cell["source"])
            new = dict(relinked(source, home, places, slugs))
            cell["source"] = LINK.sub(
                lambda m, new=new: m[1] + new.get(m[2] + (m[3] or ""), m[2] + (m[3] or "")), source
            )
    return json.dumps(notebook)


def _tour(folder: Path, places: dict[str, str]) -> None:
    names = sorted(Path(place).stem for place in places.values() if place.startswith("tour/"))
    lines = [
        "# The tour",
        "",
        "Eight notebooks, executed. Their sources lie beside them in `notebooks/`.",
        "",
    ]
    _write(folder / "tour/index.md", "\n".join([*lines, "```{toctree}", "", *names, "```", ""]))


def _lab(page: Path) -> None:
    if not page.exists():
        return
    from toy import explorer

    text = page.read_text(encoding="utf-8")
    for name in ("shared", "flows", "bounds"):
        fragment = explorer.shared() if name == "shared" else explorer.fragment(name)
        text = text.replace(f"<!-- {name} -->", f"```{{raw}} html\n{fragment}\n```")
    if os.environ.get("SITE_EXTRA"):
        link = '<a href="lab/report.html"><code>results/report.html</code></a>'
        text = text.replace("`results/report.html`", link)
    _write(page, text)


def _benchmarks(page: Path, places: dict[str, str]) -> None:
    names = [
        p.removeprefix("benchmarks/")[:-3] for p in places.values() if p.startswith("benchmarks/")
    ]
    names = [name for name in names if name != "index"]
    text = page.read_text(encoding="utf-8")
    _write(page, "\n".join([text, "```{toctree}", ":hidden:", "", *names, "```", ""]))


def _navigation(page: Path) -> None:
    lines = [page.read_text(encoding="utf-8")]
    for caption, names in NAVIGATION.items():
        present = [
            name
            for name in names
            if any((page.parent / f"{name}{end}").exists() for end in (".md", ".ipynb"))
        ]
        lines += ["```{toctree}", ":hidden:", f":caption: {caption}", "", *present, "```", ""]
    _write(page, "\n".join(lines))


def mathjax(static: Path) -> None:
    """Put the one file of MathJax that typesets TeX as pictures where the pages load it."""
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "sphinx-mathjax-offline: not installed; run pip install --group docs"
        )
    (static / "mathjax").mkdir(parents=True, exist_ok=True)
    shutil.copy(
        Path(next(iter(spec.submodule_search_locations))) / "static/mathjax/tex-svg.js",
        static / "mathjax",
    )


class _Anchors(HTMLParser):
    """The names on a page, and what it links to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("id", "name"):
                self.names.add(value)
            elif value and (name == "src" or name == "href"):
                self.targets.append(value)


def dead(site: Path) -> list[str]:
    """Return the links of the site that lead nowhere on it, and what a page loads from another host."""
    pages = {
        path.resolve(): _Anchors(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")
    }
    lost = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            names = pages[file].names if file in pages else set()
            gone = not file.exists() or (
                parts.fragment and file in pages and unquote(parts.fragment) not in names
            )
            if gone:
                lost.append(f"{path.relative_to(site.resolve())}: {target}")
    return lost


def main() -> int:
    """Run the command; return 0 if the site was built without a warning or a dead link."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="folder of the site")
    parser.add_argument(
        "--report",
        type=Path,
        default=ROOT / "results/report.html",
        help="the lab's report, if it was made",
    )
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        source, static, extra = (Path(temporary) / name for name in ("source", "static", "extra"))
        environment = os.environ | {"SITE_STATIC": str(static), "SITE_EXTRA": ""}
        mathjax(static)
        if options.report.is_file():
            (extra / "lab").mkdir(parents=True)
            shutil.copy(options.report, extra / "lab/report.html")
            environment["SITE_EXTRA"] = os.environ["SITE_EXTRA"] = str(extra)
        stage(source)
        command = [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "-c",
            HERE,
            "-d",
            Path(temporary) / "doctrees",
        ]
        status = subprocess.run(
            [*map(str, command), str(source), str(options.out)], env=environment
        ).returncode

    lost = dead(options.out)
    for line in lost:
        print(f"dead link: {line}", file=sys.stderr)
    return int(bool(status or lost))


if __name__ == "__main__":
    sys.exit(main())
