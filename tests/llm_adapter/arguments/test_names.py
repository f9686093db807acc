"""Names that --help reads from the source of the library, against its tables."""

import mi_estimators as mi
from llm_adapter.arguments import names


def test_bounds_and_losses_are_those_of_the_library():
    assert names.bounds() == mi.preference.PREFERENCE_BOUNDS
    assert names.losses() == tuple(mi.preference.ALTERNATIVES)
