"""The anchor on a network: its plateau, its interval, its seeds."""

import math

import pytest

from toy.anchor.network import AnchorNetwork, anchor_network


def test_settled_reward():
    """The network's reward settles at the anchor and never leaves the interval."""
    spec = AnchorNetwork(0.5, (1.0, 2.0), prompts=2, replicas=3, steps=300)
    measured, theory = anchor_network(spec, 0)

    assert measured["outside_interval"] == 0

    for b in range(2):
        assert measured["reward"][b][-1][1] == pytest.approx(math.log(2), abs=0.02)
        assert (
            theory["interval"][0]
            < measured["range"][b][0]
            <= 0
            < measured["range"][b][1]
            < theory["interval"][1]
        )


def test_seeds_and_pairs():
    """A network repeats with its seed, and shares its pairs between mixes."""
    spec = AnchorNetwork(0.5, (1.0,), replicas=2, steps=2)
    first, again, other = (anchor_network(spec, seed)[0] for seed in (0, 0, 1))

    assert first == again
    assert first != other

    mixed = anchor_network(AnchorNetwork(0.999, (0.01,), replicas=2, steps=0), 0)[1]["z_chosen"]
    capped = anchor_network(AnchorNetwork(0.99, (0.01,), replicas=2, steps=0), 0)[1]["z_chosen"]

    assert mixed == capped  # −ln π_ref,w of the same responses
