"""Rows, templates and commands that the tests of the data share."""

import json

from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments

GOOD = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}
LONG = {"prompt": "abcd", "chosen": "12345678", "rejected": ["12", "987654321"]}


def said(role, content):
    return {"role": role, "content": content}


ASKED = [said("user", "2 + 2?")]
RIGHT, WRONG = [said("assistant", "4")], [said("assistant", "5")]
SPOKEN = {"prompt": ASKED, "chosen": RIGHT, "rejected": WRONG}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ALTERNATING = (  # a template of a model whose conversations alternate
    "{% for m in messages %}{% if m.role != ['user', 'assistant'][loop.index0 % 2] %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def lines(path, *rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    )
    return path


def without(key):
    return {name: value for name, value in GOOD.items() if name != key}


def arguments(folder, flags=""):
    """Return the arguments of a run that writes into a folder."""
    out = f"--output_dir {folder / 'out'} --token_cache {folder / 'cache'} --disable_tqdm true"
    return parse_arguments(f"--model builtin {out} {flags}".split())


def refused(capsys, flags):
    """Return the one line of a command that is refused."""
    assert main(f"{flags} --disable_tqdm true".split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("llm_adapter.train: error: ").rstrip("\n")
