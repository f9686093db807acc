"""Checks of a whole estimate: self-consistency and the permutation test."""
