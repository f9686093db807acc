"""The table of gradients: what its rows hold, and who starves."""

import pytest
import torch
from torch import nn

import mi_estimators as mi
from mi_estimators.bounds.scores import joint_and_product
from mi_estimators.diagnostics.gradients import gradient_statistics
from mi_estimators.diagnostics.table import gradient_table
from mi_estimators.estimation.critics import Separable

OBJECTIVES = {"dv": mi.dv, **mi.DIVERGENCES, "infonce": mi.infonce, "smile": mi.smile}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, rho: float = 0.6, dim: int = 2, seed: int = 0):
    return mi.laws.Gaussian(rho, dim).sample(n, seeded(seed))


def value(name: str, scores: torch.Tensor) -> torch.Tensor:
    return mi.infonce(scores) if name == "infonce" else OBJECTIVES[name](*joint_and_product(scores))


def test_gradient_table_holds_what_the_functions_say():
    (x, y), critic, names = (
        rows(140),
        Separable(2, 2, hidden=6, zero_start=False),
        ("dv", "nwj", "js", "infonce", "smile"),
    )
    table = gradient_table(critic, x, y, names, batch_size=16)
    assert [row.bound for row in table] == list(names)
    for row in table:
        statistics = gradient_statistics(OBJECTIVES[row.bound], critic, x, y, batch_size=16)
        assert {key: getattr(row, key) for key in vars(statistics)} == vars(statistics)
        scores = [
            critic(a, b).detach() for a, b in zip(x[:128].split(16), y[:128].split(16), strict=True)
        ]
        assert row.value == pytest.approx(sum(float(value(row.bound, s)) for s in scores) / 8)
        assert row.negatives == 16 * 15
    dv = [mi.effective_sample_size(joint_and_product(s)[1]) for s in scores]
    assert table[0].effective_negatives == pytest.approx(float(torch.stack(dv).mean()))


class Tilted(nn.Module):
    """T = ln dP/dQ + θ·(1, x·y), at θ = 0."""

    def __init__(self, law: mi.laws.Gaussian) -> None:
        super().__init__()
        self.law, self.theta = law, nn.Parameter(torch.zeros(2))

    def forward(self, x, y):
        return self.law.log_ratio(x[:, None], y) + self.theta[0] + self.theta[1] * (x @ y.mT)


def test_gradient_table_tells_who_starves():
    """At the log-ratio of 5 nats, fewer negatives carry the gradient of DV and NWJ than that of JS: it is noisier."""
    law = mi.laws.Gaussian.with_information(5.0, 20)
    dv, nwj, js = gradient_table(Tilted(law), *law.sample(6400, seeded()), ("dv", "nwj", "js"))
    assert max(dv.effective_negatives, nwj.effective_negatives) < js.effective_negatives / 3
    assert js.trace_covariance < 0.01 * min(nwj.trace_covariance, dv.trace_covariance)


class Steep(nn.Module):
    """T = θ (y² − 1) at θ = 10⁹: every score is beyond SMILE's clip."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([1e9]))

    def forward(self, x, y):
        return self.theta * (y**2 - 1).mT.expand(len(x), -1)


def test_no_weight_is_no_effective_negative():
    x, y = rows(32, dim=1)
    (row,) = gradient_table(Steep(), x, y, ("smile",), batch_size=16)
    assert row.effective_negatives == 0


def test_gradient_table_prints_every_bound_on_a_line():
    (x, y), critic = rows(64), Separable(2, 2, hidden=6, zero_start=False)
    lines = str(gradient_table(critic, x, y, batch_size=16)).splitlines()
    assert [line.split()[0] for line in lines] == ["bound", "dv", "nwj", "js", "infonce"]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("of 240")


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (("nwj?",), "bounds: expected one of"),
        (("js",), "x, y: expected paired rows for at least 2 batches"),
    ],
)
def test_bad_calls_are_refused_by_name(bounds, message):
    x = torch.zeros(6, 1)
    with pytest.raises(ValueError, match=message):
        gradient_table(Separable(1, 1), x, x, bounds)
