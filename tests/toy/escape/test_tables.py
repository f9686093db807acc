"""Exponents of the escape times."""

from mi_estimators.display import strict
from toy.escape import run as escape
from toy.escape.run import EscapeFlow, EscapeSampled
from toy.escape.tables import exponents, sampled_label
from toy.rows import identity


def test_exponents():
    """Exponents of samples and flows, and none for what stops."""
    eps = (1e-2, 1e-3, 1e-4)
    rows = []
    for spec, run in (
        (EscapeSampled(eps, 8, replicas=200), escape.escape_sampled),
        (EscapeFlow("mio", eps, (1.0,)), escape.escape_flow),
    ):
        measured, theory = run(spec, 0)
        rows.append(
            identity("escape", spec, "x", 0) | strict({"measured": measured, "theory": theory})
        )

    ((name, _, fitted, theory, limit),) = exponents(rows).body
    assert name == sampled_label(rows[0]["spec"]) == "RLHF, n = 8, η = 0.5"

    low, high = (float(end) for end in fitted.split("[")[1].rstrip("]").split(", "))
    assert low < float(theory) < high
    assert high - low < 0.1
    assert limit == "1"
