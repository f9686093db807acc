"""Randomness that the tests of the library share."""

import torch


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sample(law, n, seed=0):
    return law.sample(n, seeded(seed))
