"""Marks that the tests of the adapter share."""

from importlib.util import find_spec

import pytest


def needs(package):
    missing = find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs the optional package {package}")
