"""A table of columns, pair by pair: every estimate, with a verdict each, as one square table."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..display.files import strict
from ..display.grid import grid_html
from .arguments import (
    CriticArguments,
    DiscreteSides,
    refuse_unknown,
    shows_arguments_of,
)
from .estimate import MIEstimate
from .estimator import MIEstimator
from .grouping import Groups
from .inputs import progress_bar
from .pairs import repeating_entropy
from .sides import fit_side
from .table import EstimatorName
from .tables import Rows, array_of, guarded, refuse_twins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Columns = Any
"""A table with named columns, a mapping from names to rows, or an array of shape (n, k)."""


@dataclass(frozen=True, repr=False)
class PairwiseMI:
    """The information between every two of k columns; print it for the report.

    Attributes:
        names: of the columns.
        estimates: the estimate of each pair of names; `table[a, b]` takes the two names in either order.
        entropies: of each column, in nats: what it tells of itself. Infinite unless all its values repeat.

    >>> import torch
    >>> from mi_estimators import laws, pairwise_mi
    >>> x, y = laws.Gaussian(0.8).sample(400, torch.Generator().manual_seed(0))
    >>> table = pairwise_mi({"x": x, "y": y, "sign of x": x[:, 0] > 0}, steps=20, folds=2)
    >>> table["y", "x"] is table["x", "y"]
    True
    >>> bool((table.nats == table.nats.T).all()), abs(table.entropies[2] - math.log(2)) < 0.01
    (True, True)
    """

    names: tuple[str, ...]
    estimates: dict[tuple[str, str], MIEstimate]
    entropies: tuple[float, ...]

    def __getitem__(self, pair: tuple[str, str]) -> MIEstimate:
        """Return the estimate of two columns."""
        first, second = map(str, pair)  # names of a table may be numbers
        estimate = self.estimates.get((first, second)) or self.estimates.get((second, first))
        if estimate is None:
            raise KeyError(f"expected two different names of {', '.join(self.names)}, got {pair!r}")
        return estimate

    @property
    def nats(self) -> Float[Tensor, "k k"]:
        """The values, shape (k, k), in nats, symmetric; the diagonal holds the entropies."""
        table = torch.tensor(self.entropies, dtype=torch.float64).diag()
        for i, j, estimate in self._cells():
            table[i, j] = table[j, i] = estimate.nats
        return table

    @property
    def verdicts(self) -> list[list[str]]:
        """The verdicts, k lists of k; empty on the diagonal."""
        table = [["" for _ in self.names] for _ in self.names]
        for i, j, estimate in self._cells():
            table[i][j] = table[j][i] = estimate.verdict
        return table

    @property
    def flagged(self) -> Bool[Tensor, "k k"]:
        """Where the verdict says not to believe the number, shape (k, k)."""
        size = len(self.names)
        table = torch.zeros(size, size, dtype=torch.bool)
        for i, j, estimate in self._cells():
            table[i, j] = table[j, i] = estimate.flagged
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return names, entropies and estimates as plain data that strict JSON can hold; see `MIEstimate.to_dict`."""
        pairs = [
            {"x": a, "y": b, **estimate.to_dict()} for (a, b), estimate in self.estimates.items()
        ]
        return {"names": list(self.names), "entropies": strict(self.entropies), "pairs": pairs}

    def plot(self) -> Figure:
        """Draw the table as a heat map in which flagged cells are marked; needs matplotlib.

        Returns:
            A matplotlib figure: a notebook shows it, and its `savefig` writes it.
        """
        from ..display.panels import heat_map

        return heat_map(self.names, self._off_diagonal(), self.flagged.numpy())

    def __repr__(self) -> str:
        flagged = sum(estimate.flagged for estimate in self.estimates.values())
        return (
            f"PairwiseMI({len(self.names)} columns, {len(self.estimates)} pairs, {flagged} flagged)"
        )

    def __str__(self) -> str:
        rows = [["", *self.names]]
        for name, cells in zip(self.names, self._texts(), strict=True):
            rows.append([name, *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

        def line(row: list[str]) -> str:
            return "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))

        return "\n".join([*map(line, rows), *self._reasons()])

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it, each cell shaded by its value, with the reasons below."""
        values = self._off_diagonal()
        largest = max(1e-3, *(estimate.nats for estimate in self.estimates.values()))
        tips = [["" for _ in self.names] for _ in self.names]

        for i, j, estimate in self._cells():
            tips[i][j] = tips[j][i] = repr(estimate)
        shades = np.nan_to_num(values / largest, posinf=0.0).clip(0, 1)

        return grid_html(self.names, self._texts(), shades.tolist(), tips, self._reasons())

    def _cells(self) -> Iterator[tuple[int, int, MIEstimate]]:
        places = {name: k for k, name in enumerate(self.names)}
        for (a, b), estimate in self.estimates.items():
            yield places[a], places[b], estimate

    def _off_diagonal(self) -> np.ndarray:
        """Return the values with an infinite diagonal, which pictures leave empty."""
        return self.nats.fill_diagonal_(math.inf).numpy()

    def _texts(self) -> list[list[str]]:
        texts = [["" for _ in self.names] for _ in self.names]
        for i, j, estimate in self._cells():
            texts[i][j] = texts[j][i] = f"{estimate.nats:.3f}{'!' if estimate.flagged else ''}"
        return texts

    def _reasons(self) -> list[str]:
        """Return the unit, and a line for each flagged pair."""
        flagged = [
            f"{a}, {b}: {estimate.verdict}: {estimate.warnings[0] if estimate.warnings else ''}"
            for (a, b), estimate in self.estimates.items()
            if estimate.flagged
        ]

        return [
            "in nats; ! marks a number not to believe, and says why:" if flagged else "in nats",
            *flagged,
        ]


@shows_arguments_of(MIEstimator)
def pairwise_mi(
    table: Columns,
    estimator: EstimatorName = "js",
    *,
    groups: Groups = None,
    discrete: Collection[Any] = (),
    **settings: Unpack[CriticArguments],
) -> PairwiseMI:
    """Estimate the information in nats between every two columns of a table, with an interval and a verdict each.

    Args:
        table: a table with named columns (rows are rows); a mapping from names to rows, shape (n,) or (n, d) each; or
            an array or tensor of shape (n, k), whose columns are named "0" to "k − 1". n ≥ 64, k ≥ 2.
        estimator: one of `ESTIMATORS`.
        groups: labels of rows that depend on one another, as for `MIEstimator.fit`.
        discrete: names of columns whose numbers are labels; strings and categories are labels anyway.
        settings: any other argument of `MIEstimator`, such as seed, critic, folds or device; `progress` counts pairs.

    Returns:
        A `PairwiseMI`; print it, or show it in a notebook.

    Raises:
        ValueError: fewer than two columns, two of the same name, or a column or pair that `MIEstimator.fit` would
            refuse. The message names the columns.

    Reference: relevance networks: Butte & Kohane 2000.

    >>> from mi_estimators import laws
    >>> x, y = laws.Gaussian(0.8).sample(400, torch.Generator().manual_seed(0))
    >>> pairwise_mi({"x": x, "y": y}, steps=20, folds=2)["x", "y"].verdict
    'ok'
    """
    refuse_unknown("pairwise_mi", settings, CriticArguments)
    columns = _columns(table)
    labels_of = [] if isinstance(discrete, str) else list(map(str, discrete))
    unknown = [name for name in labels_of if name not in columns]

    if unknown or isinstance(discrete, str):
        raise ValueError(
            f"discrete: expected names of columns ({', '.join(columns)}), got {unknown or discrete!r}"
        )

    entropies = _checked(columns, labels_of)

    quiet: CriticArguments = {**settings, "progress": False}
    estimates: dict[tuple[str, str], MIEstimate] = {}
    pairs = list(combinations(columns, 2))

    wanted = settings.get("progress")
    with progress_bar(wanted, len(pairs), unit="pair", name="pairwise_mi") as bar:
        for a, b in pairs:
            labels = ("x" if a in labels_of else "") + ("y" if b in labels_of else "")
            fitted = MIEstimator(
                estimator,
                discrete=cast("DiscreteSides | None", labels or None),
                **quiet,
            )

            try:
                fitted.fit(columns[a], columns[b], groups)
                estimates[a, b] = fitted.estimate_
            except ValueError as error:
                raise ValueError(f"columns {a!r} (x) and {b!r} (y): {error}") from error

            if bar is not None:
                bar.update(1)

    return PairwiseMI(tuple(columns), estimates, entropies)


def _columns(table: Columns) -> dict[str, Rows]:
    """Return the columns of a table by name."""
    if isinstance(table, Mapping):
        items = cast("Mapping[Any, Rows]", table).items()
        named = [(str(name), rows) for name, rows in items]
    elif hasattr(table, "columns") and hasattr(table, "to_numpy"):
        labels = list(table.columns)
        refuse_twins("table", map(str, labels))
        named = [(str(label), table[label]) for label in labels]
    elif hasattr(table, "to_pandas"):  # Arrow's
        return _columns(table.to_pandas())
    elif (fields := getattr(getattr(table, "dtype", None), "names", None)) is not None:
        named = [(field, table[field]) for field in fields]
    else:
        with guarded("table"):
            array = array_of("table", table)
        if array.ndim != 2:
            raise ValueError(
                f"table: expected named columns or an array of shape (n, k), got shape {array.shape}"
            )
        named = [(str(k), array[:, k]) for k in range(array.shape[1])]

    refuse_twins("table", [name for name, _ in named])
    if len(named) < 2:
        raise ValueError(f"table: expected at least 2 columns, got {len(named)}")

    return dict(named)


def _checked(
    columns: dict[str, Rows],
    discrete: Collection[str],
) -> tuple[float, ...]:
    """Read each column once, so that a bad one is refused before the first fit, and return the entropies."""
    entropies: list[float] = []
    first, count = next(iter(columns)), 0
    for name, value in columns.items():
        _, rows = fit_side(f"column {name!r}", value, discrete=name in discrete)
        count = count or len(rows)
        if len(rows) != count:
            raise ValueError(
                f"column {name!r}: expected as many rows as {first!r} ({count}), got {len(rows)}"
            )
        entropy = repeating_entropy(rows)
        entropies.append(math.inf if entropy is None else entropy[0])

    return tuple(entropies)
