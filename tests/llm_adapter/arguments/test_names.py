"""Names that --help reads from the source of the library, against its tables."""

import mi_estimators as mi
from llm_adapter.arguments import names


def test_library_names():
    """Bounds and losses are those of the library."""
    assert names.bounds() == mi.preference.PREFERENCE_BOUNDS
    assert names.losses() == tuple(mi.preference.ALTERNATIVES)
