"""The late decline: the flow of the library's loss against the closed form, and a response that never turns."""

import pytest

from toy.decline import run


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_flow(beta):
    """The flow is the closed form, and turns in time."""
    measured, theory = run.decline(run.Decline(beta), 0)
    assert measured["dpo"]["z_chosen"] == pytest.approx(theory["z_chosen"], abs=1e-6)
    assert measured["dpo"]["turn"] == pytest.approx(theory["turn"], rel=5e-3)
    assert measured["dpo"]["highest"] == pytest.approx(0.235852, abs=1e-3)


@pytest.mark.parametrize(("beta", "rest"), [(0.5, 0.028349), (1.0, 0.145273)])
def test_twice_the_temperature(beta, rest):
    """MIO at twice the temperature stops before it falls."""
    measured, _ = run.decline(run.Decline(beta, turns=60.0, points=4), 0)
    assert measured["mio_gradient"]["z_chosen"][-1] == pytest.approx(rest, abs=1e-3)
    assert measured["dpo"]["z_chosen"][-1] < -0.5
