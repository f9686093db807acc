"""Flags and configs: which overrides which, what is refused, and the shipped configs."""

import re

import pytest
import yaml

from llm_adapter.arguments.training import HERE
from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments


def test_help(capsys):
    """Help is that of the fields that a user sets."""
    with pytest.raises(SystemExit):
        main(["--help"])

    page = capsys.readouterr().out
    for flag in ("--config", "--bound", "--learning_rate", "--trust_remote_code", "--output_dir"):
        assert f"\n  {flag}" in page

    assert "--hub_token" not in page

    for twice in ("--output-dir", "--no_save_final_model", "(default: None)"):
        assert twice not in page

    assert len(page.splitlines()) < 230


def config(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return str(path)


def test_precedence(tmp_path):
    """Flags override the config, which overrides the defaults."""
    path = config(
        tmp_path,
        "bound: dv\nbeta: 0.3\nlearning_rate: 1e-4\nlogging_first_step: false\neval_data: null\nsave_strategy: no\n",
    )
    args = parse_arguments(f"--config {path} --beta 0.7".split())

    # 1e-4 is a string in YAML 1.1
    assert (args.bound, args.beta, args.learning_rate) == ("dv", 0.7, 1e-4)
    assert args.logging_first_step is False
    assert args.save_strategy == "no"
    assert args.mix == 0.5
    assert args.max_steps == -1  # a config of one's own: nothing of the demo's
    assert parse_arguments([]).max_steps > 0
    assert parse_arguments(["--bound", "dv"]).output_dir == "runs/builtin-dv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "beta: 1\nbata: 1\n",
            r"run.yaml:2: expected known fields, got bata \(did you mean beta\?\)",
        ),
        (
            "beta: 1\nmix: 1\nbeta: 2\n",
            r"run.yaml:3: beta: expected it once, got it again \(first in line 1\)",
        ),
        ("model: [a, b]\n", r"run.yaml:1: b: expected a known flag"),
        ("beta: [1\n", r"config: expected a readable YAML file, got .*run.yaml"),
        ("- beta\n", r"run.yaml: expected YAML of 'field: value' lines, got list"),
        ("beta: much\n", r"run.yaml:1: beta: expected a number, got much"),
        ("max_steps: 2.5\n", r"run.yaml:1: max_steps: expected an integer, got 2.5"),
    ],
)
def test_bad_config(tmp_path, text, message):
    """A bad config is named."""
    with pytest.raises(ValueError, match=message):
        parse_arguments(["--config", config(tmp_path, text)])


KINDS = ("demo", "llama3-8b", "mistral-7b", "qwen2.5-7b", "smollm2", "smollm2-arithmetic")


def test_matched_configs():
    """Shipped configs come in matched pairs."""
    names = {path.name for path in (HERE / "configs").glob("*.yaml")}
    assert names == {f"{kind}-{loss}.yaml" for kind in KINDS for loss in ("dpo", "mio")}

    for kind in KINDS:
        dpo, mio = (
            yaml.safe_load((HERE / "configs" / f"{kind}-{loss}.yaml").read_text())
            for loss in ("dpo", "mio")
        )
        assert (dpo.pop("bound"), mio.pop("bound")) == ("dv", "js")
        assert mio.pop("beta") == 2 * dpo.pop("beta")  # equal first gradients
        assert dpo == mio


@pytest.mark.parametrize(
    "path", sorted((HERE / "configs").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_configs(path):
    """Shipped configs are read and say what each key means."""
    if path.parent.name == "configs":
        parse_arguments(f"--config {path} --use_cpu true".split())
    keys = [
        line
        for line in path.read_text().splitlines()
        if not line.startswith("#") and not line.endswith("_config:")
    ]

    assert len(keys) > 5

    for line in keys:
        assert re.fullmatch(r" *\w+: \S+ +# .{9,}", line), line
