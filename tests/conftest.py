"""Shared settings: double precision for the mathematics, no network, deterministic property tests, shared fixtures."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

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
            definitions[-1].scope == "module" for definitions in fixtures.name2fixturedefs.values()
        ):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))


FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browser_path(playwright):
    """Return where a Chromium is: the variable CHROMIUM, the path, Playwright's own; or None."""
    names = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    own = playwright.chromium.executable_path
    return os.environ.get("CHROMIUM") or next(
        filter(None, names), own if Path(own).exists() else None
    )


@pytest.fixture(scope="module")
def browser():
    """A Chromium without network, or a reason to skip."""
    if find_spec("playwright") is None:
        pytest.skip("no playwright; it is in the group test")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = browser_path(playwright)
        if path is None:
            pytest.skip(
                "no browser: install chromium, or say where one is in the variable CHROMIUM"
            )
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
