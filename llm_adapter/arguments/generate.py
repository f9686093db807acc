"""Write generated.json, by which --help knows the fields of transformers without importing it.

Run `python -m llm_adapter.arguments.generate` after an upgrade of transformers.
"""

from __future__ import annotations

import json
from argparse import Action
from typing import Any

from .names import GENERATED

KINDS = {"string_to_bool": "bool", "int": "int", "float": "float"}
OBJECTS = ("liger_kernel_config", "parallelism_config")  # no text can stand for them


def content() -> dict[str, Any]:
    """Return what the file holds: `transformers`, the version, and `fields`."""
    import transformers

    kind: Any = transformers.TrainingArguments
    actions = {action.dest: action for action in transformers.HfArgumentParser(kind)._actions}
    names = actions.keys() - {"help", *OBJECTS}
    fields = {name: _row(action) for name, action in actions.items() if name in names}

    return {"transformers": transformers.__version__, "fields": fields}


def _row(action: Action) -> dict[str, Any]:
    """Return the fields of a `Flag`."""
    sentence = " ".join((action.help or "").split()).split(". ")[0].rstrip(".")
    row: dict[str, Any] = {
        "help": f"{sentence}.",
        "kind": KINDS.get(getattr(action.type, "__name__", ""), "str"),
    }
    if action.nargs == "?" and row["kind"] == "str":
        row["kind"] = "switch"
    if action.choices is not None:
        row["choices"] = list(action.choices)
    if action.nargs == "+":
        row["several"] = True

    return row


if __name__ == "__main__":
    GENERATED.write_text(f"{json.dumps(content(), indent=1)}\n", "utf-8")
