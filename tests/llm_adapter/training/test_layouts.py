"""The layouts: the same loss, and models that cannot read shared rows."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from llm_adapter.data.collate import collate, collate_shared
from llm_adapter.loss.logprobs import log_probs_from_head, log_probs_from_logits, sum_responses
from llm_adapter.models import disable_dropout, load_model
from llm_adapter.training.layouts import Layout, choose_layout

SIZES = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


SIZES |= {"intermediate_size": 16}


SMALL = {"vocab_size": 32, "n_layer": 2, "n_head": 2}


@pytest.fixture(scope="module")
def model():
    set_seed(0)
    return load_model("builtin").eval()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("function", [log_probs_from_head, log_probs_from_logits])
def test_padded_rows(model, examples, function, checkpointing):
    """Log-probabilities and gradients are those of padded rows."""
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train(checkpointing)
    weights = torch.linspace(-1, 1, 14)  # each response pulls its own way

    results = []
    for make in (collate, collate_shared):
        model.zero_grad()
        batch = make(examples, pad_id=1)
        log_probs = function(model, batch)
        (sum_responses(log_probs, batch["lengths"]) * weights).sum().backward()
        gradients = (parameter.grad.clone() for parameter in model.parameters())
        results.append([log_probs.detach(), *gradients])

    model.gradient_checkpointing_disable()
    model.eval()
    for padded, shared in zip(*results, strict=True):
        torch.testing.assert_close(
            shared, padded, rtol=0, atol=2e-5 * max(1.0, padded.abs().max().item())
        )


def test_bf16_rounding(examples):
    """Bf16 is off by its rounding only."""
    set_seed(0)
    exact = load_model("builtin").eval()
    rounded = load_model("builtin").eval()
    rounded.load_state_dict(exact.state_dict())
    rounded.bfloat16()

    with torch.no_grad():
        expected = log_probs_from_head(exact, collate(examples))
        off = [
            (log_probs_from_head(rounded, make(examples)) - expected).abs().max()
            for make in (collate, collate_shared)
        ]

        with torch.autocast("cpu", torch.bfloat16):
            off.append(
                (log_probs_from_head(exact, collate_shared(examples)) - expected).abs().max()
            )

    assert 0 < off[1] <= 2 * off[0]
    assert 0 < off[2] <= 2 * off[0]


GROUPED = SIZES | {"num_key_value_heads": 2}


CONV = {"layer_types": ["conv", "full_attention"]}


MODELS = {  # what the line that is said must contain; nothing where the model reads shared rows
    "plain": ("llama", SIZES, None),
    "learned positions": ("gpt2", SMALL | {"n_positions": 64, "n_embd": 16}, None),
    "wide window": ("mistral", GROUPED, None),
    "window": (
        "mistral",
        GROUPED | {"sliding_window": 8},
        "sliding_window is 8 tokens and an example has 31",
    ),
    "state": ("lfm2", GROUPED | CONV, "layers of conv"),
    "mask added": ("llama", SIZES | {"attn_implementation": "eager"}, "off by up to"),
    "alibi by mask": ("bloom", SMALL | {"hidden_size": 16}, "refuses them (ValueError"),
    "alibi": (
        "mpt",
        {"vocab_size": 32, "d_model": 16, "n_layers": 2, "n_heads": 2},
        "off by up to",
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_unable_models(examples, name, dtype, capsys):
    """Models that cannot read shared rows are found."""
    kind, settings, reason = MODELS[name]
    set_seed(0)
    config = AutoConfig.for_model(kind, **settings)
    model = AutoModelForCausalLM.from_config(config).to(dtype).eval()
    disable_dropout(model)
    chosen = choose_layout(
        "shared", [model.config], examples, lambda batch: log_probs_from_logits(model, batch)
    )

    assert chosen.name == ("padded" if reason else "shared")

    line = capsys.readouterr().out
    expected = "row_layout: using padded rows instead of shared ones, because " if reason else ""

    assert line.startswith(expected)
    assert (reason or "") in line
    assert bool(line) == bool(reason)
    assert choose_layout("padded", [model.config], examples, None) == Layout()


def test_same_run(make_trainer):
    """A run in shared rows is the run in padded rows."""
    logs = {}
    flags = "--max_steps 3 --learning_rate 1e-3 --warmup_steps 0 --logging_steps 1"
    flags += " --diagnostics_steps 1 --reference_cache none --bound infonce --save_strategy no"

    for layout in ("padded", "shared"):
        trainer = make_trainer(f"{flags} --row_layout {layout}", examples=24)
        trainer.train()
        logs[layout] = [log for log in trainer.state.log_history if "loss" in log]

    assert abs(logs["shared"][-1]["rewards/margins"]) > 0.01  # it moved

    names = ["loss", "rewards/margins", "logps/rejected", "gradient_noise/variance", "grad_norm"]
    for one, other in zip(logs["padded"], logs["shared"], strict=True):
        expected = {name: one[name] for name in names}
        assert {name: other[name] for name in names} == pytest.approx(expected, rel=1e-3, abs=1e-4)
