"""The generated file against the installed transformers."""

import transformers
from packaging.version import Version

from llm_adapter.arguments.fields import RunFields
from llm_adapter.arguments.flags import flags_of
from llm_adapter.arguments.generate import content
from llm_adapter.arguments.names import REGENERATE, generated


def test_installed_fields():
    """The fields are those of the installed transformers.

    An older release may lack fields, a newer one may not have others; details are compared at one version only.
    """
    kept, installed = generated(), content()
    version = Version(transformers.__version__)

    assert installed["fields"].keys() <= kept["fields"].keys(), f"run {REGENERATE}"

    if version >= Version(kept["transformers"]):
        assert kept["fields"].keys() <= installed["fields"].keys(), f"run {REGENERATE}"
    if version == Version(kept["transformers"]):
        assert kept["fields"] == installed["fields"], f"run {REGENERATE}"


def test_field_types():
    """Our rows of transformers' fields have its types."""
    ours = {entry.name: entry.kind for entry in flags_of(RunFields)}
    theirs = {name: row.get("kind", "str") for name, row in content()["fields"].items()}
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 20
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
