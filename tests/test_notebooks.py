"""The notebooks run from their sources, and the .ipynb beside each is that source, executed."""

import ast
import base64
import io
import re
import runpy
import sys
import tokenize
import warnings
from itertools import chain, pairwise
from pathlib import Path

import jupytext
import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.image import imread

import mi_estimators as mi
from proofs.ledger import modules

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
from execute import SOURCES, execute  # noqa: E402

SLUGS = set(modules())
TOKENS = 2900
sources = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def cells(source, kind):
    return [cell.source for cell in jupytext.read(source).cells if cell.cell_type == kind]


def sections(source):
    """The cells from each heading `## ` up to the next one, as (heading, list of the code cells)."""
    parts = []
    for cell in jupytext.read(source).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            parts.append((cell.source.splitlines()[0], []))
        elif cell.cell_type == "code" and parts:
            parts[-1][1].append(cell.source)

    return parts


def pictures(cell):
    images = [output.get("data", {}).get("image/png") for output in cell.get("outputs", [])]
    return [base64.b64decode(png) for png in images if png]


def executed(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells


@sources
def test_executed_source(source):
    """The executed notebook is its source."""
    assert [(c.cell_type, c.source, c.metadata.get("tags")) for c in executed(source)] == [
        (c.cell_type, c.source, c.metadata.get("tags")) for c in jupytext.read(source).cells
    ]

    code = [c for c in executed(source) if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    assert not any(
        o.output_type == "error" or o.get("name") == "stderr" for c in code for o in c.outputs
    )
    assert any(map(pictures, code))


@pytest.mark.broad
@sources
def test_run_in_a_kernel(source):
    execute(source)


LONG = {"08_to_a_language_model"}  # its command is tested with the adapter


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.stem not in LONG], ids=lambda path: path.stem
)
def test_run_in_process(source, monkeypatch):
    """In this process, which has imported all; the settings that a notebook changes are put back."""
    if "sklearn" in source.read_text():
        pytest.importorskip(
            "sklearn", reason="the notebook loads its data; it is in the group test"
        )

    monkeypatch.chdir(NOTEBOOKS)
    dtype = torch.get_default_dtype()
    try:
        with matplotlib.rc_context({"backend": "agg"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
            runpy.run_path(str(source))
    finally:
        torch.set_default_dtype(dtype)
        plt.close("all")


@sources
def test_short_sections(source):
    """The code is short, and sections end in assertions."""
    written = io.StringIO("\n".join(cells(source, "code")))
    assert len(list(tokenize.generate_tokens(written.readline))) <= TOKENS
    assert len(sections(source)) >= 3
    for heading, code in sections(source):
        assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code[-1]))), heading


@sources
def test_named_theorems(source):
    text = "\n".join(cells(source, "markdown"))
    linked = re.findall(r"\]\(\.\./docs/THEOREMS\.md#(\w+)\)", text)

    assert set(linked) <= SLUGS

    # A slug, or a name that the code or the library has
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", text))
    known = (
        set(mi.__all__) | set(mi.ESTIMATORS) | set(mi.estimation.READOUTS) | set(mi.laws.__all__)
    )
    code = set(re.findall(r"\w+", "\n".join(cells(source, "code"))))

    assert named - SLUGS <= known | code
    assert named & SLUGS


@sources
def test_legible_figures(source):
    """Figures are legible on light and on dark pages: a figure is opaque, or its ink has a middle tone.

    A figure is opaque, or its ink has a middle tone.
    """
    for png in chain.from_iterable(map(pictures, executed(source))):
        pixels = imread(io.BytesIO(png))  # (height, width, RGBA)
        if pixels[0, 0, 3] == 1:
            continue

        ink = pixels[pixels[..., 3] > 0.9][:, :3]
        linear = np.where(
            ink <= 0.04045,
            ink / 12.92,
            ((ink + 0.055) / 1.055) ** 2.4,
        )
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        # Contrast, WCAG
        faint = (np.minimum(1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05) < 3).mean()

        assert faint < 0.02


@sources
def test_folded_cells(source):
    """Cells that draw are folded."""
    for cell in executed(source):
        if pictures(cell):
            assert cell.metadata.get("tags") == ["hide-input"]


@sources
def test_captions(source):
    """The cell after one that shows a figure is text in italics."""
    for shown, after in pairwise(executed(source)):
        if pictures(shown):
            assert after.cell_type == "markdown"
            assert re.fullmatch(r"\*[^*].*[^*]\*", after.source, re.DOTALL)
