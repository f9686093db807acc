"""Theorems about estimating mutual information and about preference losses, each as an object that is checked."""

from __future__ import annotations

from typing import Any


def value(slug: str, **parameters: Any) -> tuple[float, float]:
    """Return (computed, theory): a number of a theorem by computation and by what it says, for your parameters.

    Args:
        slug: name of the theorem; `python -m proofs SLUG` shows its parameters.
        parameters: those that are not given have the values of the theorem's example.

    Returns:
        What a simulation or brute force gives, and the closed form, the bound or the leading term of the theorem: its
        page says which.

    Raises:
        ValueError: no such theorem, or a parameter that it does not have.

    >>> [round(number, 4) for number in value("late_decline", beta=1.0)]  # the time at which DPO turns
    [2.3454, 2.3454]
    """
    import difflib
    from importlib import import_module

    from .engine.points import positive_logarithms
    from .theorems import modules

    slugs = modules()
    if slug not in slugs:
        near = difflib.get_close_matches(slug, slugs, n=3)
        raise ValueError(
            f"slug: expected a theorem{f' such as {near}' if near else ''}, got {slug!r}"
        )

    with positive_logarithms():
        theorem = import_module(slugs[slug]).THEOREM
    return theorem.example.value(**parameters)
