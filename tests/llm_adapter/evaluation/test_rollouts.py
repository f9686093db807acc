"""The journal: a stopped run continues to the same bytes, and another run's is refused."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from llm_adapter.evaluation import rollouts
from llm_adapter.models import load_tokenizer

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)


TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def test_after_ctrl_c(policy, make, contents, tmp_path, calls, monkeypatch, capsys):
    """After Ctrl-C the same command goes on, and leaves the same bytes."""
    whole, parts, stopped = tmp_path / "whole", tmp_path / "parts", []
    assert make(whole / "a.jsonl", "--count 14") == 0

    draw = policy(stopped)

    def interrupted(*args, **kwargs):
        if len(stopped) == 2:
            raise KeyboardInterrupt
        return draw(*args, **kwargs)

    monkeypatch.setattr(rollouts, "sample", interrupted)
    assert make(parts / "a.jsonl", "--count 14") == 130
    assert "the same command continues from here" in capsys.readouterr().err
    assert list(contents(parts)) == ["a.journal.jsonl"]  # no half-made pairs

    monkeypatch.setattr(rollouts, "sample", draw)
    for _ in range(2):  # nothing is asked twice, and a finished run asks nothing
        assert make(parts / "a.jsonl", "--count 14") == 0
        assert stopped == calls
        assert contents(parts) == contents(whole)


@pytest.mark.parametrize("cut", [1, 300])
def test_after_kill(make, contents, tmp_path, calls, cut):
    """A kill in the middle of a line costs that line alone."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make(whole / "a.jsonl", "--count 10")
    parts.mkdir()
    (parts / "a.journal.jsonl").write_bytes(contents(whole)["a.journal.jsonl"][:-cut])
    make(parts / "a.jsonl", "--count 10")

    assert contents(parts) == contents(whole)


@pytest.mark.parametrize(
    "change",
    ["--seed 1", "--temperature 0.7", "--samples 5", "--count 9", "template", "verifier"],
)
def test_foreign_journal(make, contents, tmp_path, calls, monkeypatch, capsys, change):
    """A journal of another run is refused and left alone."""
    make(tmp_path / "a.jsonl", "--count 10")
    before = contents(tmp_path)
    if change == "template":
        other = load_tokenizer("builtin")
        other.chat_template = TEMPLATE
        monkeypatch.setattr("llm_adapter.models.load_tokenizer", lambda *_: other)
    elif change == "verifier":
        monkeypatch.setattr(rollouts.metadata, "version", lambda name: "0.0.1")

    flags = "--count 10 " + (change if change.startswith("--") else "")
    assert make(tmp_path / "a.jsonl", flags) == 2

    message = "a journal of the same weights, template, questions, settings and verifier, got"
    assert message in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_lookahead(make, tmp_path, monkeypatch, capsys):
    """A model whose tokens see later ones is refused before it is asked, and leaves no journal."""

    def encoder(arguments):
        set_seed(0)
        sizes = {"vocab_size": 384, "hidden_size": 32, "intermediate_size": 32}
        config = AutoConfig.for_model("bert", **sizes, num_hidden_layers=2, num_attention_heads=2)
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for weight in model.parameters():  # the past hardly matters to small ones
                weight.mul_(4 if weight.ndim > 1 else 1)
        return model

    monkeypatch.setattr(rollouts, "load", encoder)
    assert make(tmp_path / "a.jsonl", "--count 2") == 2
    assert "model: expected a causal LM, got BertLMHeadModel" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_fingerprint(scaled):
    """The fingerprint is the weights."""
    model = scaled(4)
    name = rollouts.fingerprint(model)

    assert rollouts.fingerprint(model) == name

    with torch.no_grad():
        model.get_output_embeddings().weight[3, 3] += 1e-3

    assert rollouts.fingerprint(model) != name
