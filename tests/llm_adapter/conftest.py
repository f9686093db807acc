"""The adapter's tests keep their token caches to themselves, and share the processes that real commands run in."""

import multiprocessing

import pytest


@pytest.fixture(autouse=True, scope="session")
def assets_of_their_own(tmp_path_factory):
    """Point Hugging Face's folder of assets, the default place of the token cache, to a temporary one."""
    folder = str(tmp_path_factory.mktemp("assets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ASSETS_CACHE", folder)
        patch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", folder)
        yield


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported the command and computed nothing: quick to start, real to kill."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["llm_adapter.training.run"])
    return context
