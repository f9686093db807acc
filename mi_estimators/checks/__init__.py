"""Checks of an estimate on your own rows: laws that mutual information must obey, and a test of independence."""

from .consistency import Check, SelfConsistency, independence, self_consistency
from .permutation import PermutationTest, permutation_test

__all__ = [
    "Check",
    "PermutationTest",
    "SelfConsistency",
    "independence",
    "permutation_test",
    "self_consistency",
]
