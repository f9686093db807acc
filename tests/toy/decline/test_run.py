"""The late decline: the flow of the library's loss against the closed form, and a response that never turns."""

import pytest

from toy.decline import run


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_the_flow_is_the_closed_form_and_turns_in_time(beta):
    measured, theory = run.decline(run.Decline(beta), 0)
    assert measured["dpo"]["z_chosen"] == pytest.approx(theory["z_chosen"], abs=1e-6)
    assert measured["dpo"]["turn"] == pytest.approx(theory["turn"], rel=5e-3)
    assert measured["dpo"]["highest"] == pytest.approx(0.235852, abs=1e-3)


def test_mio_stops_before_it_falls():
    measured, _ = run.decline(run.Decline(1.0, turns=40.0), 0)
    assert measured["mio"]["z_chosen"][-1] == pytest.approx(0.028349, abs=1e-4)
    assert measured["dpo"]["z_chosen"][-1] < -0.5
