"""Selective checkpointing: the same numbers from half the activations, and a word where a model has none."""

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from llm_adapter.loss import head
from llm_adapter.training.memory import Setting, activations
from llm_adapter.training.recompute import logits_kept, recompute_between_products, thrift_of

CONFIG = LlamaConfig(
    vocab_size=64,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
)


def pass_of(model):
    """Return the output, the gradients and the operations that both passes took in products."""
    tokens = torch.arange(24).view(2, 12)
    with FlopCounterMode(display=False) as counter:
        logits = model(tokens).logits
        logits.square().mean().backward()

    gradients = [weight.grad for weight in model.parameters()]
    return logits.detach(), gradients, counter.get_total_flops()


def test_same_numbers():
    """Values and gradients are the same bit by bit, and no product is taken twice."""
    set_seed(0)
    model = LlamaForCausalLM(CONFIG).train()
    other = copy.deepcopy(model)
    recompute_between_products(other)

    logits, gradients, operations = pass_of(model)
    again, same_gradients, same_operations = pass_of(other)

    assert again.equal(logits)
    assert all(one.equal(two) for one, two in zip(gradients, same_gradients, strict=True))
    assert same_operations == operations


def test_half_of_a_layer():
    """The products of a layer, with its input, are about half of what it saves."""
    kept = activations(CONFIG, Setting(), tokens=300)

    assert 0.4 < (kept.products + 300 * 64 * 4) / kept.layer < 0.65


def test_model_without_checkpoints(monkeypatch):
    """A model that cannot be computed again is refused by the flag's name."""
    monkeypatch.setattr(LlamaForCausalLM, "supports_gradient_checkpointing", False)
    with pytest.raises(ValueError, match="selective_checkpointing: expected false"):
        recompute_between_products(LlamaForCausalLM(CONFIG))


@pytest.mark.parametrize(
    ("setting", "device", "thrifty"),
    [
        (Setting(), "cpu", True),
        (Setting(selective_checkpointing=True), "cpu", True),
        (Setting(gradient_checkpointing=True), "cpu", False),
        (Setting(), "cuda", False),
    ],
)
def test_thrift_of(setting, device, thrifty):
    """On a CPU cheap results are left out, unless whole layers are computed again."""
    assert bool(thrift_of(LlamaForCausalLM(CONFIG), setting, device).cheap) == thrifty


def test_thrift_without_gates():
    """A model without known gates is recomputed between products where that is asked for."""
    model = torch.nn.Sequential(torch.nn.LayerNorm(4), torch.nn.Linear(4, 4))
    assert thrift_of(model, Setting(), "cpu").cheap
    assert not thrift_of(model, Setting(selective_checkpointing=True), "cpu").cheap


@pytest.mark.parametrize("whole", [False, True, None])
@pytest.mark.parametrize("between", [False, True])
def test_logits_kept(whole, between):
    """Logits are kept where nothing is computed again."""
    setting = Setting(gradient_checkpointing=whole, selective_checkpointing=between)
    assert logits_kept(setting) == (0 if whole or between else head.KEPT_LOGITS)


def test_trainer_recomputes_logits(make_trainer):
    """A trainer that computes activations again keeps no logits either."""
    assert make_trainer("--selective_checkpointing true --max_steps 1").log_probs.keywords == {
        "kept": 0
    }
