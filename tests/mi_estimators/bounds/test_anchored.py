"""The anchored DV bound between DV and NWJ, and the certificate that holds for every law."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mi_estimators import bounds, laws
from tests.mi_estimators.shared import seeded

ANCHORS = (1e-9, 0.1, 1.0, 10.0, 1e6)


def law_and_critic(seed):
    generator = seeded(seed)
    table = torch.randn(3, 4, generator=generator)
    law = laws.Finite(table.flatten().log_softmax(-1).view(3, 4))
    return law, 2 * torch.randn(3, 4, generator=generator)


@given(seed=st.integers(0, 10**6))
def test_order_law(seed):
    """It falls from DV to NWJ as the anchor moves, and stays below the information."""
    law, critic = law_and_critic(seed)
    values = [float(law.exact(bounds.anchored_dv(b), critic)) for b in ANCHORS]

    assert values[0] == pytest.approx(float(law.exact(bounds.dv, critic)), abs=1e-6)
    assert values[-1] == pytest.approx(float(law.exact(bounds.nwj, critic)), abs=1e-3, rel=1e-3)
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(values))
    assert values[0] <= law.mutual_information + 1e-9


@pytest.mark.parametrize("anchor", [0.1, 1.0, 10.0])
def test_tightness(anchor):
    """It is tight at the log-ratio alone."""
    law, _ = law_and_critic(0)
    critic = law.log_ratio_matrix.clone().requires_grad_()
    value = law.exact(bounds.anchored_dv(anchor), critic)
    (gradient,) = torch.autograd.grad(value, critic)

    assert float(value.detach()) == pytest.approx(law.mutual_information)
    assert gradient.abs().max() < 1e-12

    shifted = law.exact(bounds.anchored_dv(anchor), law.log_ratio_matrix + 2)
    assert float(shifted) < law.mutual_information - 0.05


@pytest.mark.parametrize("anchor", [0.0, -1.0, math.inf, math.nan])
def test_anchor_range(anchor):
    """An anchor out of range is refused."""
    with pytest.raises(ValueError, match="anchor: expected"):
        bounds.anchored_dv(anchor)


@pytest.mark.parametrize(("n", "least"), [(64, 0.0), (1024, 0.5), (16_384, 2.0)])
def test_certificate_of_labels(n, least):
    """The certificate is below the information on every draw, and close to it.

    Equal labels of 64 kinds, ln 64 nats, and the true log-ratio; the margin takes the rest.
    """
    generator = seeded()
    for _ in range(10):
        label = torch.randint(64, (n // 64, 64), generator=generator)
        equal = label[:, :, None] == label[:, None]
        scores = torch.where(equal, math.log(64), -30.0)
        joint, product = bounds.joint_and_product(scores)
        value = float(bounds.certificate(joint.flatten(), product.flatten()))
        assert least <= value <= math.log(64)


def test_certificate_of_nothing():
    """Independent rows are certified to hold nothing."""
    joint, product = torch.randn(2, 5000)
    assert float(bounds.certificate(joint, product)) == 0
