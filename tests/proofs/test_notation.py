"""The page of notation: current, and every name in code is one of the library."""

import inspect
from pathlib import Path

import pytest

import mi_estimators as mi
import proofs
from proofs import notation
from proofs.__main__ import NOTATION, PAGE

ROWS = (*notation.ESTIMATION, *notation.PREFERENCE)
ARGUMENTS = {
    name
    for function in (
        mi.dv,
        mi.preference_loss,
        mi.MIEstimator,
        *map(vars(mi.theory).get, mi.theory.__all__),
    )
    for name in inspect.signature(function).parameters
}


@pytest.mark.parametrize("name", [row.code for row in ROWS if row.code])
def test_names_in_code(name):
    """A name in code is an argument or a function."""
    assert name in ARGUMENTS or hasattr(mi, name)


def test_distinct_symbols():
    assert len({row.text for row in ROWS}) == len(ROWS)


def test_current_page():
    page = Path(proofs.__file__).parents[1] / PAGE.parent / NOTATION
    assert page.read_text(encoding="utf-8") == notation.page(), "run python -m proofs --write"
