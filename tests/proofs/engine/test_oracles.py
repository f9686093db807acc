"""The oracles against values by hand, and their independence."""

import ast
import inspect
from math import exp, log, sqrt

import pytest

from proofs.engine import oracles

P, Q = (0.75, 0.25), (0.5, 0.5)


@pytest.mark.parametrize(
    ("value", "by_hand"),
    [
        (oracles.ln(2), 0.6931471805599453),
        (oracles.kl(P, Q), 0.75 * log(1.5) + 0.25 * log(0.5)),
        (oracles.jsd(P, P), 0),
        (oracles.chi2(P, Q), 0.25),
        (oracles.hellinger2((1, 0), Q), (1 - sqrt(0.5)) ** 2 + 0.5),
        (oracles.mean(P, (1, 5)), 2),
        (oracles.log_mean_exp(Q, (0, log(3))), log(2)),
        (oracles.dv(P, Q, (log(1.5) + 3, log(0.5) + 3)), 0.75 * log(1.5) + 0.25 * log(0.5)),
        (oracles.dv((1, 0), (0.5, 0.5), (1000, 0)), log(2)),
        (oracles.bridge(P, Q, (log(1.5) + 3, log(0.5) + 3), 5), oracles.kl(P, Q)),
        (oracles.bridge((1, 0), (0, 1), (2, -2), 1), 2),
        (oracles.smile(Q, Q, (9, 9), 5), 4),
        (oracles.smile(P, Q, (2, -2), 1), 1 - log((exp(1) + exp(-1)) / 2)),
        (oracles.nwj(P, Q, (1, 1)), 2 - exp(1)),
        (oracles.js(P, Q, (0, 0)), 0),
        (oracles.js((1, 0), (0, 1), (50, -50)), 2 * log(2)),
        (oracles.dpo(log(3), 0), log(4 / 3)),
        (oracles.nca_pair(log(2), -100), log(1.5) + log(3) / 2),
        (oracles.nca((1, 0), (log(2), -100)), log(1.5) + log(3) / 2),
        (oracles.nca((0.25, 0.25, 0.5), (0, 0, 0)), 2 * log(2)),
        (oracles.bco_pair(log(3), -log(3)), 2 * log(4 / 3)),
        (oracles.bco_pair(5, 5, 5), 2 * log(2)),
        (oracles.dil_ukl(3, log(2)), -1),
        (oracles.dil_lsif(log(3), log(2)), -1),
        (oracles.infonca(0, (0, 0)), log(3)),
        (oracles.infonca(1, (0,)), oracles.dpo(1, 0)),
        (oracles.mutual_information(((0.4, 0.1), (0.1, 0.4))), 0.8 * log(1.6) + 0.2 * log(0.4)),
        (oracles.infonce(((0.5, 0), (0, 0.5)), ((0, 0), (0, 0)), 3), 0),
        (oracles.mean_over_batches(P, 2, lambda i, j: i * j), 0.0625),
        (oracles.mean_over_batches(P, 3, lambda *atoms: max(atoms)), 1 - 0.75**3),
        (oracles.interpolated(((0.5, 0), (0, 0.5)), ((100, 0), (0, 100)), (0, 0), 1, 2), log(2) / 2),
        (oracles.interpolated(((0.5, 0), (0, 0.5)), ((1, -9), (-9, 1)), (1, 1), 0, 2), 1 - (1 + exp(-10)) / 2),
    ],
)  # fmt: skip
def test_values_by_hand(value, by_hand):
    assert value == pytest.approx(by_hand, abs=1e-12)


def test_tables():
    assert oracles.tilted(Q, (log(3), 0)) == pytest.approx([0.75, 0.25])
    assert oracles.marginals(((0.4, 0.2), (0.1, 0.3))) == (
        pytest.approx([0.6, 0.4]),
        pytest.approx([0.5, 0.5]),
    )
    assert oracles.flat(oracles.independent(((0.25, 0.25), (0.25, 0.25)))) == [0.25] * 4


def test_apart():
    """They share no code with the library."""
    tree = ast.parse(inspect.getsource(oracles))
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert modules == {"__future__", "collections.abc", "functools", "itertools", "mpmath"}
