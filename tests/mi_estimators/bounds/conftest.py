"""Small laws and critics near their log-ratios."""

import pytest
import torch

import mi_estimators as mi
from tests.mi_estimators.shared import seeded


def law_of(seed: int) -> mi.laws.Finite:
    logits = 2 * torch.randn(12, generator=seeded(seed))
    return mi.laws.Finite(logits.log_softmax(0).reshape(3, 4))


def critic_of(
    seed: int,
    law: mi.laws.Finite,
    scale: float = 1.0,
) -> torch.Tensor:
    generator = seeded(seed + 999)
    return law.log_ratio_matrix + scale * torch.randn(law.log_joint.shape, generator=generator)


@pytest.fixture(scope="session")
def random_law():
    return law_of


@pytest.fixture(scope="session")
def random_critic():
    return critic_of


@pytest.fixture(params=range(4))
def law(request):
    return law_of(request.param)
