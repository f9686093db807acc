"""Shared settings: double precision for the mathematics, no network, deterministic property tests, shared fixtures."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile(
    "project", deadline=None, derandomize=True, database=None, max_examples=50
)
settings.load_profile("project")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Run the tests that share a module's fixture in one process, or each process would make it anew."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        if fixtures and any(
            found[-1].scope == "module" for found in fixtures.name2fixturedefs.values()
        ):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))
