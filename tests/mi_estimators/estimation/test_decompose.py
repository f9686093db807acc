"""Matrices with equal eigenvalues are decomposed, whatever LAPACK makes of them."""

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation.decompose import decomposed
from tests.mi_estimators.shared import seeded

MATRIX = torch.randn(5, 5, generator=seeded()).float()
MATRIX = MATRIX @ MATRIX.T


def failing(times):
    """Return `eigh` that fails at first."""
    calls = []

    def eigh(matrix):
        calls.append(matrix)
        if len(calls) <= times:
            raise torch.linalg.LinAlgError("did not converge")
        return torch.linalg.eigh(matrix)

    return eigh


@pytest.mark.parametrize("times", [0, 1, 2])
def test_parts(times):
    """The parts make up the matrix, after failures, too."""
    values, vectors = decomposed(failing(times), MATRIX)
    assert values.dtype == vectors.dtype == torch.float32
    torch.testing.assert_close(vectors @ values.diag() @ vectors.T, MATRIX, rtol=1e-4, atol=1e-4)
    if times == 0:
        assert torch.equal(values, torch.linalg.eigh(MATRIX)[0])


def test_oblong():
    """A matrix need not be square."""
    left, values, right = decomposed(torch.linalg.svd, MATRIX[:3], full_matrices=False)
    torch.testing.assert_close(left @ values.diag() @ right, MATRIX[:3], rtol=1e-4, atol=1e-4)


def test_hopeless():
    with pytest.raises(ValueError, match="x, y: expected columns whose 5 directions can be told"):
        decomposed(failing(3), MATRIX)


@pytest.mark.parametrize("rows", [200, 300, 500])
def test_identifiers(rows):
    """Identifiers are no crash, and the report says that they are identifiers."""
    identifiers = [f"id{k:03d}" for k in range(rows)]
    labels = np.random.default_rng(0).choice(["a", "b"], rows)
    for pair in ((identifiers, labels), (labels, identifiers)):
        estimate = mi.estimate_mi(*pair, effort="fast")
        assert any("have a label that no other row has" in text for text in estimate.warnings)
        assert estimate.interval[0] <= 0
        assert estimate.verdict != "ok"
