"""A drawn answer starves and a supplied one does not."""

import pytest

from toy.escape.who_samples import WhoSamples, who_samples


def test_who_samples():
    """Who samples meets theory, and a supplied answer does not starve."""
    measured, theory = who_samples(WhoSamples((0.1, 1e-3, 1e-6), groups=20_000), 0)
    for name, expected in theory["exact"].items():
        assert measured["exact"][name] == pytest.approx(expected), name

    for name, expected in theory["sampled"].items():
        for mean, error, value in zip(
            measured["sampled"][name][:2], measured["stderr"][name], expected, strict=False
        ):
            assert abs(mean - value) < 4 * error, name
        for share, value in zip(measured["missed"][name], theory["missed"][name], strict=True):
            assert abs(share - value) < 4 * (value * (1 - value) / 20_000) ** 0.5 + 1e-9, name

    js, dpo = measured["exact"]["js"], measured["exact"]["dpo"]
    assert js[2] == pytest.approx(1.4e-5, rel=0.02)
    assert dpo[0] == dpo[2]
