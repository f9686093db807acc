"""The notebooks run from their sources, and the .ipynb beside each is that source, executed."""

import ast
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
from execute import SOURCES, execute  # noqa: E402

sources = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@sources
def test_the_executed_notebook_is_its_source(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert [(c.cell_type, c.source) for c in notebook.cells] == [
        (c.cell_type, c.source) for c in jupytext.read(source).cells
    ]
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(c.execution_count for c in code)
    assert not any(o.output_type == "error" for c in code for o in c.outputs)
    assert any("image/png" in o.get("data", {}) for c in code for o in c.outputs)


@sources
def test_the_source_runs(source):
    execute(source)


@sources
def test_sections_end_in_assertions_and_the_code_is_short(source):
    code = [c.source for c in jupytext.read(source).cells if c.cell_type == "code"]
    assert sum(isinstance(node, ast.Assert) for text in code for node in ast.walk(ast.parse(text))) >= 5
    assert sum(len(text.splitlines()) for text in code) <= 120
