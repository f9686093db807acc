"""Pairs of sequences agree where they must, and collapse where the base knows them."""

import pytest
import torch

import mi_estimators as mi
from toy.collapse.sweep.sequences import Sequences, overlapping_pairs, sequences


@pytest.mark.parametrize("shared", [0, 3, 5])
def test_agreement(shared):
    generator = torch.Generator().manual_seed(0)
    chain = torch.rand(3, 12, 12, generator=generator).add(0.01)
    one, two = overlapping_pairs(
        Sequences(shared), chain / chain.sum(-1, keepdim=True), 20, generator
    )

    assert (one == two)[..., :2].all()
    assert ((one == two).sum(-1) == 2 + shared).all()


def test_collapse():
    """DPO collapses where the base knows the pairs, and an anchor holds.

    The sign only, at the smallest β: DPO's mean chosen log-ratio falls, MIO's does not.
    """
    spec = Sequences(
        5,
        losses=("dpo", "mio"),
        betas=(0.05,),
        rates=(0.01,),
        replicas=3,
        evaluated=8,
        sft_steps=200,
        steps=25,
    )
    measured, _ = sequences(spec, 0)
    dpo, mio = (measured["losses"][name]["settings"][0]["z_chosen"][-1] for name in spec.losses)
    bound = mi.no_collapse_interval(0.5)[0] / 0.05

    assert min(measured["losses"]["mio"]["settings"][0]["lowest_below_start"]) >= bound
    assert dpo < -1
    assert mio > dpo + 1
