"""Tables of the effective sample size and of the gradient's variance, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Table, number

from ..rows import Row, of


def sample_sizes(rows: list[Row]) -> Table:
    """ESS/M beside e^{−2I}."""
    body = []
    for row in of(rows, "EffectiveSampleSize"):
        spec, theory = row["spec"], row["theory"]["fraction"]
        quartiles = row["measured"]["fraction_quartiles"]
        for nats, (low, middle, high), limit in zip(spec["nats"], quartiles, theory, strict=True):
            body.append(
                (
                    str(spec["dim"]),
                    f"{spec['negatives']:,}",
                    f"{nats:g}",
                    f"{number(middle, 3)} [{number(low, 3)}, {number(high, 3)}]",
                    number(limit, 3),
                    f"×{number(middle / limit, 3)}",
                    number(middle * spec["negatives"], 3),
                )
            )

    return Table(
        ("d", "M", "I, nats", "ESS/M, median [quartiles]", "e^(−2I)", "overstated", "ESS"), body
    )


def variances(rows: list[Row]) -> Table:
    """Gradient and value variance beside theory's lines."""
    body = []
    for row in of(rows, "GradientVariance"):
        parts = (row["measured"], row["theory"])
        for k, nats in enumerate(row["spec"]["nats"]):
            cells = [part["trace"][name][k] for name in ("nwj", "dv", "js") for part in parts]
            cells += [part["nwj_value_variance"][k] for part in parts]
            body.append((f"{nats:g}", *(number(cell, 3) for cell in cells)))

    head = ("I, nats", "NWJ ∇", "exact", "DV ∇", "large-N", "JS ∇", "at most", "NWJ value", "exact")
    return Table(head, body)


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the line of the report's head: the last law's effective sample size at its highest information."""
    lines = []
    for row in of(rows, "EffectiveSampleSize")[-1:]:
        spec = row["spec"]
        law = f"{spec['nats'][-1]:g} nats, d = {spec['dim']}, M = {spec['negatives']:,}"
        median = row["measured"]["fraction_quartiles"][-1][1]
        limit = row["theory"]["fraction"][-1]
        lines.append(
            (f"ESS/M at {law}", number(median, 2), f"{number(limit, 2)} in the population")
        )

    return lines
