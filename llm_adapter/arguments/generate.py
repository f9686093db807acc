"""Write generated.json, by which --help knows the fields of transformers without importing it.

Run `python -m llm_adapter.arguments.generate` after an upgrade of transformers.
"""

from __future__ import annotations

import json
from argparse import Action
from typing import Any

from .names import GENERATED

KINDS = {int: "int", float: "float", str: "str"}


def content() -> dict[str, Any]:
    """Return what the file holds: `transformers`, the version, and `fields`."""
    import transformers

    kind: Any = transformers.TrainingArguments
    actions = transformers.HfArgumentParser(kind)._actions
    settable = [
        action
        for action in actions
        if action.dest != "help"
        and not action.option_strings[0].startswith("--no_")
        and action.dest != "parallelism_config"  # an object, not a text
    ]
    return {
        "transformers": transformers.__version__,
        "fields": {action.dest: _row(action) for action in settable},
    }


def _row(action: Action) -> dict[str, Any]:
    """Return the fields of a `Flag` that differ from its defaults."""
    help = " ".join((action.help or "").split()).split(". ")[0].rstrip(".")
    row: dict[str, Any] = {"help": f"{help}."}
    if action.type is not None and getattr(action.type, "__name__", "") == "string_to_bool":
        row |= {"kind": "bool", "bare": True}
    elif action.choices is None and str(action.type).startswith("dict"):
        row["kind"] = "json"
    elif action.type in KINDS:
        row["kind"] = KINDS[action.type]
    if action.nargs == "?":
        row["bare"] = True
    if action.choices is not None:
        row["choices"] = list(action.choices)
    if action.nargs == "+":
        row["several"] = True
    return row


if __name__ == "__main__":
    GENERATED.write_text(f"{json.dumps(content(), indent=1)}\n", "utf-8")
