"""A run checks its data and its model before it begins."""

import json

import pytest
from transformers import BertConfig, BertLMHeadModel, ByT5Tokenizer, GPT2Config, GPT2LMHeadModel

from llm_adapter import evaluate
from llm_adapter.models import load_model
from tests.llm_adapter.shared import needs


def test_both_data(run, changed, folder, tmp_path, capsys):
    """A run checks both of its data against the model."""
    short = changed(folder, tmp_path / "short", max_position_embeddings=140)
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "2" * 140, "chosen": "4", "rejected": "5"}) + "\n")

    assert run(folder, tmp_path / "out", f"--eval_data {long}", short)[0] == 2
    assert (
        f"max_length: expected at most the model's 140 positions, got 142 tokens in {long}:1"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_completions(run, folder, tmp_path):
    """Completions before and after are kept and change nothing."""
    data = f"--eval_data {folder / 'few.jsonl'}"
    status, lines = run(folder, tmp_path / "some", f"{data} --completions 2 --learning_rate 0.1")

    assert status == 0

    rows = [json.loads(row) for row in (tmp_path / "some" / "completions.jsonl").open()]
    assert [sorted(row) for row in rows] == [["after", "before", "prompt"]] * 2

    asked = [json.loads(row)["prompt"] for row in (folder / "few.jsonl").open()]
    assert [row["prompt"] for row in rows] == asked[:2]
    assert any(row["before"] != row["after"] for row in rows)

    _, none = run(folder, tmp_path / "none", f"{data} --completions 0 --learning_rate 0.1")
    assert not (tmp_path / "none" / "completions.jsonl").exists()
    assert [line["loss"] for line in lines if "loss" in line] == [
        line["loss"] for line in none if "loss" in line
    ]


BERT = BertConfig(
    vocab_size=384, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
)


def test_lookahead(run, folder, tmp_path, capsys):
    """A model that is not causal is neither trained nor evaluated."""
    BertLMHeadModel(BERT).save_pretrained(tmp_path / "bert")
    ByT5Tokenizer().save_pretrained(tmp_path / "bert")
    results = ["--pairs", str(folder / "few.jsonl"), "--out", str(tmp_path / "results.json")]

    assert run(folder, tmp_path / "out", model=tmp_path / "bert")[0] == 2
    assert evaluate.main(["--model", str(tmp_path / "bert"), *results]) == 2

    message = f"error: model: expected a causal LM, got BertLMHeadModel in {tmp_path / 'bert'}"
    assert capsys.readouterr().err.count(message) == 2
    assert not [*tmp_path.glob("results*"), *tmp_path.glob("out/*")]


@pytest.mark.parametrize("known", [True, False])
def test_random_layers(known, run, folder, tmp_path, capsys, monkeypatch):
    """A run does not begin where a layer stays random."""
    config = GPT2Config(vocab_size=384, n_embd=32, n_layer=1, n_head=2, resid_pdrop=0.5)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    ByT5Tokenizer().save_pretrained(tmp_path / "gpt2")
    if not known:
        monkeypatch.setattr("llm_adapter.models.RATES", ())

    assert run(folder, tmp_path / "out", model=tmp_path / "gpt2")[0] == (0 if known else 2)
    assert ("GPT2LMHeadModel" in capsys.readouterr().err) is not known
    assert any(tmp_path.glob("out/*")) is known


@needs("peft")
def test_adapter_as_start(run, folder, tmp_path):
    """All weights of a run's adapter, merged, are trained by the next run."""
    assert run(folder, tmp_path / "adapter", "--lora_rank 2")[0] == 0
    assert run(folder, tmp_path / "whole", "--learning_rate 0.1", tmp_path / "adapter")[0] == 0

    first, last = (load_model(str(tmp_path / name)).state_dict() for name in ("adapter", "whole"))
    assert all((first[name] != last[name]).any() for name in first)
