"""What the tested claims draw: finite laws, critics, scores, mixes, all in numbers that make a witness readable."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Law = tuple[float, ...]


def scores(bound: int = 8) -> SearchStrategy[float]:
    """Draw a score in nats: a multiple of 1/8 in [−bound, bound]."""
    return st.integers(-8 * bound, 8 * bound).map(lambda k: k / 8)


def vectors(size: int, bound: int = 8) -> SearchStrategy[tuple[float, ...]]:
    """Draw `size` scores."""
    return st.tuples(*[scores(bound)] * size)


def laws(size: int, zeros: bool = False) -> SearchStrategy[Law]:
    """Draw a law on `size` atoms, weights 1 … 20 or 10² … 10⁶; with `zeros` some atoms may have no mass."""
    weight = st.one_of(st.integers(0 if zeros else 1, 20), st.integers(2, 6).map(lambda k: 10**k))
    return st.tuples(*[weight] * size).filter(any).map(lambda w: tuple(x / sum(w) for x in w))


def joint_laws(rows: int, columns: int, zeros: bool = False) -> SearchStrategy[tuple[Law, ...]]:
    """Draw a joint law p(x, y) as a table; with `zeros` some cells, rows or columns may have no mass."""

    def table(law: Law) -> tuple[Law, ...]:
        return tuple(law[i * columns : (i + 1) * columns] for i in range(rows))

    return laws(rows * columns, zeros).map(table)


def tables(
    rows: int, columns: int, bound: int = 8
) -> SearchStrategy[tuple[tuple[float, ...], ...]]:
    """Draw a critic T(x, y) as a table."""
    return st.tuples(*[vectors(columns, bound)] * rows)


def one_of(values: Iterable[str]) -> SearchStrategy[str]:
    """Draw one of the values."""
    return st.sampled_from(sorted(values))


def counts(most: int) -> SearchStrategy[int]:
    """Draw a number of samples, 1 … most."""
    return st.integers(1, most)


def mixes() -> SearchStrategy[float]:
    """Draw a share α of true negatives in (0, 1): a multiple of 1/64, or up to 1 − 10⁻⁶."""
    return st.one_of(
        st.integers(1, 63).map(lambda k: k / 64),
        st.integers(2, 6).map(lambda k: 1 - 10.0**-k),
    )


def temperatures() -> SearchStrategy[float]:
    """Draw β in [1/8, 4]."""
    return st.integers(1, 32).map(lambda k: k / 8)


def rates(most: float = 0.5) -> SearchStrategy[float]:
    """Draw a probability in (0, most], down to 10⁻⁶."""
    return st.one_of(
        st.integers(1, 32).map(lambda k: most * k / 32),
        st.integers(1, 6).map(lambda k: most * 10.0**-k),
    )


PAIR = {"chosen": scores(), "rejected": scores()}
"""The scores of a chosen and of a rejected response."""

MIX = {"mix": mixes()}


def law_pairs(size: int = 3) -> dict[str, SearchStrategy[Law]]:
    """Draw two laws p and q on `size` atoms, each with mass at every atom."""
    return {"p": laws(size), "q": laws(size)}
