"""TRL as an oracle: the same model, pairs and tokenizer give the same losses, rewards and log-probabilities."""

import importlib.util
import json

import pytest
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from llm_adapter.data.sources import PAIRS
from llm_adapter.train import main
from tests.llm_adapter.data.shared import TEMPLATE
from tests.llm_adapter.data.test_joint import byte_pairs, mistral, needs_sentencepiece, prepending

TRL = importlib.util.find_spec("trl")
pytestmark = pytest.mark.skipif(TRL is None, reason="needs trl (pip install --no-deps trl)")
SETTINGS = {
    "learning_rate": 1e-3,
    "beta": 0.1,
    "max_length": 200,
    "max_steps": 4,
    "per_device_train_batch_size": 4,
    "logging_steps": 1,
    "seed": 0,
    "use_cpu": True,
    "disable_tqdm": True,
    "warmup_steps": 0,
    "report_to": "none",
    "save_strategy": "no",
}
PLAIN = {"lr_scheduler_type": "cosine", "bf16": False, "gradient_checkpointing": False}
LOGGED = {"loss": 1e-4, "rewards/chosen": 1e-4, "rewards/rejected": 1e-4}
LOGGED |= {"logps/chosen": 1e-3, "logps/rejected": 1e-3}


@pytest.fixture
def model(tmp_path):
    """Save a small model for a tokenizer."""

    def make(tokenizer):
        set_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=512,
        )
        LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")

        return tmp_path / "model"

    return make


def rows(chat):
    """Return pairs of the shipped file with their first rejected response."""

    def message(role, text):
        return [{"role": role, "content": text}] if chat else text

    pairs = [json.loads(line) for line in PAIRS.open(encoding="utf-8")][:24]
    return [
        {
            "prompt": message("user", row["prompt"]),
            "chosen": message("assistant", row["chosen"]),
            "rejected": message("assistant", row["rejected"][0]),
        }
        for row in pairs
    ]


def peer(trainer, args, folder, data, tokenizer):
    """Return a trainer of TRL's for the model in a folder."""
    return trainer(
        LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=args,
        train_dataset=Dataset.from_list(data),
        processing_class=type(tokenizer).from_pretrained(folder),
    )


def theirs(trainer):
    """Train, and return the lines that TRL logs."""
    trainer.train()
    return [log for log in trainer.state.log_history if "loss" in log]


def ours(folder, data, settings):
    """Train by our command, TRL's names for its flags, and return the lines that it logs."""
    path, out = folder.parent / "rows.jsonl", folder.parent / "ours"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in data))
    command = f"--model_name_or_path {folder} --dataset_name {path} --output_dir {out}".split()
    for name, value in settings.items():
        command += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]

    assert main(command) == 0
    return [json.loads(line) for line in (out / "metrics.jsonl").open()]


def test_kto_trajectory(model, tmp_path):
    """KTO's trajectory is TRL's.

    Good and bad responses to different prompts, one batch of all; TRL is given our mismatched responses.
    """
    from trl.trainer import kto_config, kto_trainer

    tokenizer = byte_pairs()
    tokenizer.pad_token = tokenizer.eos_token
    folder = model(tokenizer)
    pairs = rows(chat=False)[:16]
    count = len(pairs) // 2
    labelled = [
        {"prompt": pair["prompt"], "completion": pair["rejected" if place % 2 else "chosen"]}
        | {"label": place % 2 == 0}
        for place, pair in enumerate(pairs)
    ]
    settings = SETTINGS | {"max_grad_norm": 0.0, "max_steps": 6}

    args = kto_config.KTOConfig(
        output_dir=str(tmp_path / "trl"),
        **PLAIN | settings | {"per_device_train_batch_size": 2 * count},
    )
    trainer = peer(kto_trainer.KTOTrainer, args, folder, labelled, tokenizer)
    tokens = trainer.train_dataset["completion_ids"]
    other = [tokens[place - 2] for place in range(2 * count)]  # of the same label, before
    trainer.train_dataset = trainer.train_dataset.map(
        lambda _, place: {"KL_completion_ids": other[place]}, with_indices=True
    )
    expected = theirs(trainer)
    flags = {"per_device_train_batch_size": count, "loss": "0.5*kto"}
    measured = ours(folder, labelled, settings | flags)

    assert max(log["kl"] for log in expected) > 0.01  # the reference point has an effect

    for own, log in zip(measured, expected, strict=True):
        for name in ("loss", "rewards/chosen", "rewards/rejected"):
            assert own[name] == pytest.approx(log[name], abs=1e-4)


MISTRAL = {"marks": needs_sentencepiece}


@pytest.mark.parametrize(
    ("make", "loss", "chat"),
    [
        pytest.param(mistral, {"loss_type": ["sigmoid"]}, False, id="sentencepiece", **MISTRAL),
        pytest.param(mistral, {"loss_type": ["nca_pair"]}, True, id="its chat", **MISTRAL),
        pytest.param(prepending, {"loss_type": ["ipo"]}, False, id="prepend and replace"),
        pytest.param(byte_pairs, {"loss_type": ["sigmoid_norm"]}, True, id="byte pairs, chat"),
        pytest.param(
            byte_pairs, {"loss_type": ["robust"], "label_smoothing": 0.1}, False, id="robust"
        ),
        pytest.param(
            byte_pairs,
            {"loss_type": ["sigmoid"], "f_divergence_type": "forward_kl"},
            False,
            id="another divergence",
        ),
        pytest.param(
            byte_pairs,
            {"loss_type": ["sigmoid", "bco_pair"], "loss_weights": [0.8, 0.2]},
            False,
            id="a sum",
        ),
    ],
)
def test_trajectories(make, loss, chat, model, tmp_path):
    """TRL's own names are our flags."""
    import trl

    tokenizer = make()
    tokenizer.pad_token = tokenizer.eos_token
    before, tokenizer.chat_template = tokenizer.chat_template, TEMPLATE if chat else None

    try:
        folder = model(tokenizer)
    finally:
        tokenizer.chat_template = before

    args = trl.DPOConfig(output_dir=str(tmp_path / "trl"), **PLAIN, **SETTINGS, **loss)
    expected = theirs(peer(trl.DPOTrainer, args, folder, rows(chat), tokenizer))
    measured = ours(folder, rows(chat), SETTINGS | loss)
    assert len(measured) == len(expected) == SETTINGS["max_steps"]

    # TRL's rewards are sums all the same
    averaged = loss["loss_type"][0] in ("ipo", "sigmoid_norm")
    names = {name for name in LOGGED if not (averaged and name.startswith("rewards"))}

    for own, other in zip(measured, expected, strict=True):
        for name in names:
            tolerance = LOGGED[name]
            assert own[name] == pytest.approx(other[name], abs=tolerance)
