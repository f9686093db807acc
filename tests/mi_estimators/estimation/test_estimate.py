"""What an estimate shows: numbers, JSON, one line, a report, pictures; an open end is named as such everywhere."""

import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi

FAST = dict(steps=60, hidden=8, batch_size=64, folds=2)
LAW = mi.laws.Gaussian(0.8)


def sample(n, seed=0):
    return LAW.sample(n, torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def estimate():
    return mi.estimate_mi(*sample(400), **FAST)


def opened(estimate):
    return replace(
        estimate,
        interval=(estimate.interval[0], math.inf),
        verdict="anchor_misfit",
        warnings=("a < b & more",),
        readouts=estimate.readouts | {"nwj": -1.2e107, "dv": math.nan, "smile": math.inf},
    )


def test_bits(estimate):
    assert replace(estimate, nats=math.log(2)).bits == 1


def test_strict_json(estimate):
    """Strict JSON holds every number."""

    def strict(value):
        return json.loads(
            json.dumps(value.to_dict(), allow_nan=False), parse_constant=lambda name: 1 / 0
        )

    plain = strict(estimate)
    assert plain["nats"] == estimate.nats
    assert plain["interval"] == list(estimate.interval)
    assert plain["estimator"] == "js"
    assert plain["history"] == estimate.history

    finite = {name: value for name, value in estimate.diagnostics.items() if math.isfinite(value)}
    assert {n: value for n, value in plain["diagnostics"].items() if value is not None} == finite

    open_end = strict(opened(estimate))
    assert open_end["interval"] == [estimate.interval[0], None]
    assert open_end["readouts"]["dv"] is None
    assert open_end["warnings"] == ["a < b & more"]


def test_one_line(estimate):
    """`repr` is one line that says what matters most."""
    assert re.fullmatch(
        r"MIEstimate\(\d\.\d{3} nats, 95 % \[\d\.\d{3}, \d\.\d{3}\], js, \w+\)", repr(estimate)
    )
    assert repr(opened(estimate)).endswith(", open), js, anchor_misfit)")
    assert ", open)  (js" in str(opened(estimate)).splitlines()[0]


def svg_of(html):
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.S)[0])


@pytest.mark.parametrize("change", [lambda estimate: estimate, opened])
def test_notebook(estimate, change):
    """A notebook shows the report and a picture."""
    formatters = pytest.importorskip("IPython.core.formatters")
    shown, _ = formatters.DisplayFormatter().format(change(estimate))

    assert shown["text/plain"] == repr(change(estimate))

    html = shown["text/html"]
    assert html == change(estimate)._repr_html_()

    text = "".join(ElementTree.fromstring(html).itertext())  # well-formed, and escaped
    assert str(change(estimate)) in text

    words = [part.text for part in svg_of(html).iter() if part.text]
    assert {"estimate", "bridge", "dv", "nwj", "ksg"} <= set(words)
    assert ("open" in words) == (change is opened)


def test_red_flag(estimate):
    """Only a flagged estimate is red."""
    from mi_estimators.display.style import BLUE, RED

    for verdict, colour in (("ok", BLUE), ("nothing_found", BLUE), ("overfit", RED)):
        html = replace(estimate, verdict=verdict)._repr_html_()
        assert {tint for tint in (BLUE, RED) if tint in html} == {colour}


def test_sampled_scores(estimate):
    """Scores are a bounded sample of held-out pairs."""
    joint, product = estimate.scores
    assert joint.shape == product.shape == (400,)
    assert abs(float(joint.mean()) - LAW.mutual_information) < 0.2
    assert float(product.mean()) < float(joint.mean()) - 0.5

    fitted = mi.MIEstimator(**FAST).fit(*sample(5000))
    fresh = fitted.estimate(*sample(4001, seed=1))
    for part in (*fitted.estimate_.scores, *fresh.scores):
        assert part.shape == (2000,)


def test_held_out_scores():
    """Each row is scored by the critic that never saw it."""
    x, y = sample(400)
    fitted = mi.MIEstimator(**FAST).fit(x, y)

    held_out = []
    for maps, critic, index in fitted.folds_:
        rows = (m(values[index].double()) for m, values in zip(maps, (x, y), strict=True))
        with torch.no_grad():
            held_out.append(critic(*rows).diag())

    torch.testing.assert_close(
        fitted.estimate_.scores[0], torch.cat(held_out), rtol=1e-4, atol=1e-5
    )


def test_scores_and_equality(estimate):
    """Scores change neither repr nor equality."""
    bare = replace(estimate, scores=None)
    assert bare == estimate
    assert repr(bare) == repr(estimate)
    assert bare == replace(estimate, scores=(torch.ones(2), torch.ones(3)))


class TestFigure:
    """`plot`, where matplotlib is installed."""

    pytest.importorskip("matplotlib")

    def test_panels(self, estimate, tmp_path):
        """The picture has three panels, which a notebook shows and which touch no state."""
        import matplotlib as mpl

        before = dict(mpl.rcParams)
        figure = estimate.plot()

        assert [axes.get_title() for axes in figure.axes] == [
            "Training (pale: on the batch)",
            "Read-outs and 95 % interval",
            "Scores of held-out pairs",
        ]
        assert figure._repr_png_().startswith(b"\x89PNG")

        figure.savefig(tmp_path / "estimate.svg")
        assert dict(mpl.rcParams) == before

    def test_missing_parts(self, estimate):
        """What is not there is not drawn."""
        bare = replace(opened(estimate), scores=None, history=[])
        (axes,) = bare.plot().axes
        assert " open " in [text.get_text() for text in axes.texts]
        endless = replace(estimate, scores=(torch.full((9,), math.inf), torch.zeros(9)))
        assert "none is finite" in endless.plot().axes[-1].get_title()


ENDS = st.floats(allow_nan=True, width=32)


@given(st.dictionaries(st.sampled_from(["dv", "nwj", "js"]), ENDS), ENDS, ENDS, st.floats(-10, 10))
def test_finite_picture(others, low, high, value):
    """Any numbers make a picture with finite coordinates."""
    picture = mi.display.readings_svg(
        {**others, "value": value},
        (low, high),
        "value",
    )
    for element in ElementTree.fromstring(picture).iter():
        for name in ("cx", "cy", "x", "y", "d"):
            assert not re.search("nan|inf", element.get(name, ""))
