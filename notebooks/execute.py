"""Execute percent-format sources and write the .ipynb beside each: python notebooks/execute.py [FILE.py ...] (or all)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SOURCES = sorted(HERE.glob("[0-9]*.py"))


def execute(source: Path) -> nbformat.NotebookNode:
    """Return the executed notebook of a percent-format source, without anything that changes from run to run."""
    notebook = jupytext.read(source)
    quiet = [
        "--log-level=ERROR"
    ]  # else the kernel warns of unencrypted TCP, which here never leaves the machine
    where = {"metadata": {"path": HERE}}
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources=where,
        extra_arguments=quiet,
        coalesce_streams=True,
    ).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for number, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags")
        cell.metadata, cell.id = {"tags": tags} if tags else {}, f"cell-{number}"
    return notebook


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"  # a bar of a long fit would be written down as output
    for source in [Path(name) for name in sys.argv[1:]] or SOURCES:
        print(source, flush=True)
        nbformat.write(execute(source), source.with_suffix(".ipynb"))
