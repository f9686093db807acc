"""The progress bar: by itself where someone looks on, after a while; silent elsewhere; forced by True and False."""

import io
import sys

import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation import inputs

FAST = dict(steps=50, hidden=8, folds=2)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def written(monkeypatch, stream, wanted, patience=0.0):
    """Return what a bar over some steps writes to standard error."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(inputs, "_PATIENCE", patience)
    with inputs.progress_bar(wanted, 1000) as bar:
        for _ in range(1000 if bar else 0):
            bar.update()
    return "" if stream is None else stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "wanted", "patience", "shown"),
    [
        (Terminal, None, 0.0, True),
        (Terminal, None, 60.0, False),  # short work shows no bar
        (Terminal, False, 0.0, False),
        (Terminal, True, 60.0, True),
        (io.StringIO, None, 0.0, False),
        (io.StringIO, True, 0.0, True),
        (io.StringIO, False, 0.0, False),
        (lambda: None, None, 0.0, False),
    ],
)
def test_bar(monkeypatch, stream, wanted, patience, shown):
    """A bar shows where it is watched or wanted."""
    assert ("estimate_mi" in written(monkeypatch, stream(), wanted, patience)) is shown


def test_notebook(monkeypatch):
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    assert "estimate_mi" in written(monkeypatch, stream, None)


@pytest.mark.parametrize("call", ["estimate_mi", "permutation_test", "self_consistency"])
def test_progress(monkeypatch, call):
    """Every call that fits shows its progress."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(inputs, "_PATIENCE", 0.0)
    rows = mi.laws.Gaussian(0.9, 2).sample(200, torch.Generator().manual_seed(0))
    settings = FAST if call == "estimate_mi" else {"estimator": mi.MIEstimator(**FAST)}
    getattr(mi, call)(*rows, **settings)

    assert "estimate_mi" in stream.getvalue()
