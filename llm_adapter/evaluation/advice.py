"""A line of advice where sampled answers show no contrast: none is right, all are, or no group has both kinds."""

from __future__ import annotations

EASIER = (
    "take an easier task (fewer --operands or --digits, a smaller --max_value), a stronger model"
)
HARDER = "take a harder task (more --operands or --digits, a larger --max_value)"
MIXED = "each group has only right samples, or no right one, or no finished wrong one: draw more --samples"


def uniform(right: int, total: int, finished: float, way_out: str) -> str | None:
    """Return what it means that no sample is right, or every one, and what to do next; None in between.

    Args:
        right: the number of right samples.
        total: the number of samples.
        finished: the share of samples that ended by themselves. A cut one is never right.
        way_out: what else to try where none is right.

    >>> uniform(1, 4, finished=1.0, way_out="or more --samples") is None
    True
    >>> uniform(0, 4, finished=0.0, way_out="or more --samples")
    'base success is 0 of 4 samples, none of which finished: raise --max_new_tokens'
    """
    if 0 < right < total:
        return None
    if right:
        return f"all {total} samples are right, and there is no wrong one beside them: {HARDER}"
    if finished == 0:
        return (
            f"base success is 0 of {total} samples, none of which finished: raise --max_new_tokens"
        )

    reason, first = f"base success is 0 of {total} samples", ""
    if finished < 0.5:
        reason += f", of which {1 - finished:.0%} were cut at --max_new_tokens"
        first = "raise it, "

    return f"{reason}: {first}{EASIER}, {way_out}"


def without_pair(right: int, total: int, finished: float, way_out: str) -> str:
    """Return why no group has a right and a wrong sample to compare, and what to do next.

    >>> without_pair(2, 4, finished=1.0, way_out="or more --samples").split(": ")[-1]
    'draw more --samples'
    """
    return uniform(right, total, finished, way_out) or MIXED
