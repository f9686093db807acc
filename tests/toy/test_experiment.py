"""Every experiment that is found: its suites run, and its section draws every figure with a caption."""

import pytest

from mi_estimators.display import Page, theme
from toy import suite
from toy.experiment import abouts, experiments

FIGURES = {
    "escape": ("escape", "escape_sampled", "who_samples", "lift"),
    "collapse": (
        *("collapse", "lazy", "collapse_kernel", "collapse_plane"),
        *("collapse_verdicts", "collapse_curves", "collapse_tuned"),
    ),
    "starvation": ("ess", "variance", "critic_starvation", "critic_starvation_training"),
    "anchor": ("anchor", "plateau", "alpha"),
    "reach": ("reach", "pass_at_k", "overtaking"),
    "variance": ("noise_exact", "noise_gaussian", "noise_scaling", "noise_training"),
    "staircase": ("staircase", "staircase_control"),
    "estimate": (),
    "decline": ("decline",),
    "rounds": ("rounds", "label_noise", "parts"),
}
"""Files of figures by experiment, in the report's order; one that is not here may draw what it likes."""


def test_order():
    """The folders with a row are found, in the report's order."""
    places = [row.order for row in experiments().values()]
    assert places == sorted(set(places)), "two experiments have one place"
    assert [name for name in experiments() if name in FIGURES] == list(FIGURES)
    assert abouts().keys() == experiments().keys()
    assert all(about.endswith(".") for about in abouts().values())


@pytest.mark.parametrize("row", experiments().values(), ids=experiments())
def test_kinds_of_spec(row):
    """Both suites have every kind of spec."""
    for specs in (row.full, row.quick):
        assert {type(spec) for spec in specs} == set(row.runs)
    assert set(row.demo) <= set(row.full)


@pytest.mark.parametrize("name", experiments())
def test_quick_suite(name, tmp_path):
    """The quick suite fills its section."""
    row = experiments()[name]
    rows = suite.run({name: row.quick}, "quick", 0, tmp_path, bar=False)
    page = Page("test")

    with theme():
        for section in row.sections:
            section(page, rows)

    captions = [part.split("<figcaption>")[1] for part in page.parts if "<figcaption>" in part]
    assert tuple(page.figures) == FIGURES.get(name, tuple(page.figures))
    assert len(captions) == len(page.figures)
    assert all(len(caption) > 300 for caption in captions)
    assert page.headings
    assert all(len(line) == 3 for line in row.summary(rows))


@pytest.mark.parametrize("row", experiments().values(), ids=experiments())
def test_silence(row):
    """An experiment without rows is silent."""
    page = Page("test")
    for section in row.sections:
        section(page, [{"kind": "Another", "spec": {}}])
    assert not page.parts
    assert row.summary([]) == []
