"""Rounds, flipped labels and the parts of the loss: flows against their closed forms."""

import numpy as np
import pytest

from toy.rounds import run


def test_two_rounds():
    """A round is best of two, and the next best of four."""
    measured, theory = run.knockout(run.Knockout(rounds=2), 0)
    for policy, law in zip(measured["policy"], theory["policy"], strict=True):
        assert policy == pytest.approx(law, abs=1e-3)
    assert theory["nats"] <= theory["nats_at_most"]


def test_flipped_labels():
    """The rate of flipped labels is read off the plateau."""
    spec = run.FlippedLabels()
    measured, theory = run.flipped_labels(spec, 0)
    assert measured["read_off"] == pytest.approx(spec.rates, rel=1e-3)
    assert measured["chosen"] == pytest.approx(theory["chosen"], abs=1e-3)


@pytest.mark.parametrize("mix", [0.25, 0.5, 0.9])
def test_parts(mix):
    measured, theory = run.parts(run.Parts(mix=mix), 0)
    total = np.array(measured["dpo"]) + theory["wall"] + theory["pin"]
    assert np.allclose(total, measured["loss"], atol=1e-12)
