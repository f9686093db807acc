"""The adapter's tests keep their token caches to themselves."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def assets_of_their_own(tmp_path_factory):
    """Point Hugging Face's folder of assets, the default place of the token cache, to a temporary one."""
    folder = str(tmp_path_factory.mktemp("assets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ASSETS_CACHE", folder)
        patch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", folder)
        yield
