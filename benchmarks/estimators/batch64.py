"""The published staircase's reading: 20 pairs of normals, each value read from one fresh batch of 64 rows.

    .venv/bin/python -m benchmarks.estimators.batch64

Prints, for every read-out of the same scores, its bias, variance and mean squared error over 200 batches. The critics
are those of one `MIEstimator` fitted to 10 000 other rows.
"""

from __future__ import annotations

import torch

import mi_estimators as mi
from mi_estimators.display import Table

FIT_ROWS, BATCH, BATCHES = 10_000, 64, 200


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    body = []
    for nats in (2.0, 4.0, 6.0, 8.0, 10.0):
        law = mi.laws.Gaussian.with_information(nats, 20)
        generator = torch.Generator().manual_seed(0)
        estimator = mi.MIEstimator().fit(*law.sample(FIT_ROWS, generator))
        readings = [
            estimator.estimate(*law.sample(BATCH, generator)).readouts for _ in range(BATCHES)
        ]

        for name in mi.estimation.READOUTS:
            values = torch.tensor([reading[name] for reading in readings], dtype=torch.float64)
            bias, variance = float(values.mean()) - nats, float(values.var())
            error = float((values - nats).square().mean())
            body.append((name, f"{nats:g}", f"{bias:+.3f}", f"{variance:.3f}", f"{error:.3f}"))

    print(Table(["read-out", "truth", "bias", "variance", "MSE"], body).markdown(left=1))


if __name__ == "__main__":
    main()
