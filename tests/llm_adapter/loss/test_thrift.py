"""Results that are left out of a pass: the same numbers from half the activations, and hands off what is not known."""

import copy

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Qwen3Config,
    set_seed,
)

from llm_adapter.data.collate import LAYOUTS
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss import thrift
from llm_adapter.loss.attention import use_way
from llm_adapter.loss.logprobs import log_probs_from_head
from llm_adapter.loss.thrift import Thrift, pack, unpack

SIZES = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
MODELS = {
    "llama": LlamaConfig(**SIZES, num_key_value_heads=2),
    "mistral": MistralConfig(**SIZES, num_key_value_heads=2),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=16),
    "gemma2": Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=16),
    "gpt_neox": GPTNeoXConfig(**SIZES),
}


def example(prompt, *responses):
    draw = torch.Generator().manual_seed(prompt)
    texts = (torch.randint(64, (n,), generator=draw).tolist() for n in (prompt, *responses))
    return TokenizedExample(1, next(texts), tuple(texts))


BATCH = [example(5, 7, 4, 6), example(9, 3, 5)]


def bytes_of(run):
    """Return what a function gives, and the bytes that autograd keeps for it."""
    saved = {}

    def count(tensor):
        kept = pack(tensor)
        if kept is tensor:
            saved[tensor.untyped_storage()._cdata] = tensor
        return kept

    with torch.autograd.graph.saved_tensors_hooks(count, unpack):
        result = run()
    return result, sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


def gradients(model, loss, times=1):
    """Return the gradients of a loss, of the last of several backward passes through its graph."""
    for _ in range(times):
        model.zero_grad()
        loss.backward(retain_graph=True)
    return [weight.grad.clone() for weight in model.parameters()]


def assert_near(one, two):
    for first, second in zip(one, two, strict=True):
        assert (first - second).norm() <= 1e-6 * second.norm()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MODELS)
def test_same_numbers(name, layout):
    """Log-probabilities are the same, gradients but for the order of sums, and so again from a retained graph."""
    set_seed(0)
    model = AutoModelForCausalLM.from_config(MODELS[name]).train()
    use_way([model.config], "segments")
    batch = LAYOUTS[layout](BATCH)
    weights = sum(weight.nbytes for weight in model.parameters())

    plain, plain_bytes = bytes_of(lambda: log_probs_from_head(model, batch))
    with Thrift(model).applied():
        saved, saved_bytes = bytes_of(lambda: log_probs_from_head(model, batch))

    assert saved.equal(plain)
    assert saved_bytes - weights < 0.75 * (plain_bytes - weights)
    expected = gradients(model, plain.square().sum())
    assert_near(gradients(model, saved.square().sum()), expected)
    assert_near(gradients(model, saved.square().sum(), times=2), expected)


class Block(nn.Module):
    """A block with the names of a gated one."""

    def __init__(self, more=0.0):
        super().__init__()
        self.norm, self.act_fn, self.more = nn.LayerNorm(8), nn.SiLU(), more
        self.gate_proj, self.up_proj = nn.Linear(8, 16), nn.Linear(8, 16)
        self.down_proj = nn.Linear(16, 8)

    def forward(self, x, add=0.0):
        y = self.norm(x)
        if add:
            y.add_(add)
        return self.down_proj(self.act_fn(self.gate_proj(y)) * self.up_proj(y) + self.more)


@pytest.mark.parametrize(("more", "add"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("bf16", [False, True])
def test_other_forms(more, add, bf16):
    """Another form under the names, and a result that is changed in place, are kept; autocast is the first run's."""
    set_seed(0)
    block, x = Block(more), torch.randn(5, 8)

    def loss():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return block(x.clone().requires_grad_(), add).float().square().sum()

    expected = gradients(block, loss())
    with Thrift(block).applied():
        saved = loss()

    assert_near(gradients(block, saved), expected)


def test_hooks_of_weights():
    """A weight's own hook is called once."""
    norm, calls = nn.LayerNorm(4), []
    norm.weight.register_hook(lambda gradient: calls.append(1))
    with Thrift(norm).applied():
        result = norm(torch.randn(3, 4, requires_grad=True))
    result.sum().backward()

    assert len(calls) == 1


def test_frozen_weights():
    """Frozen norms, as beside adapters, hand the gradient on."""
    norm = nn.LayerNorm(4).requires_grad_(False)
    x = torch.randn(3, 4, requires_grad=True)
    norm(x).square().sum().backward()
    expected, x.grad = x.grad, None
    with Thrift(norm).applied():
        result = norm(x)
    result.square().sum().backward()

    assert x.grad.equal(expected)
    assert norm.weight.grad is None


def test_nothing_stays():
    """After the context the modules are as they were, and nothing is offered."""
    block = Block()
    with Thrift(block).applied():
        block(torch.randn(5, 8, requires_grad=True))

    assert thrift._offers is None
    assert not any("forward" in vars(module) for module in block.modules())
    assert not block.down_proj._forward_pre_hooks
    assert not block.up_proj._forward_hooks
    copy.deepcopy(block)
