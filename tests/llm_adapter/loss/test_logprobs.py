"""Log-probabilities against a naive float64 computation."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from llm_adapter.data.collate import collate
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss import head, logprobs
from llm_adapter.loss.head import Shape, token_log_probs
from llm_adapter.loss.logprobs import (
    choose_log_probs,
    log_probs_from_head,
    log_probs_from_logits,
    sum_responses,
)
from llm_adapter.models import load_model

EXAMPLES = [
    TokenizedExample(1, [5, 6, 7], ([8, 9], [10], [11, 12, 13])),
    TokenizedExample(2, [5], ([1, 1, 1, 1], [20])),
]


def small_tiles(monkeypatch, chunk):
    monkeypatch.setattr(logprobs, "CHUNK", chunk)
    monkeypatch.setitem(head.TILE, "cpu", chunk)
    monkeypatch.setitem(head.WORDS, "cpu", min(chunk, 100))


@pytest.fixture(scope="module")
def model():
    set_seed(0)
    return load_model("builtin").eval()


@pytest.mark.parametrize("function", [log_probs_from_head, log_probs_from_logits])
@pytest.mark.parametrize("chunk", [logprobs.CHUNK, 1000])
def test_naive_sums(model, function, chunk, monkeypatch, log_prob):
    """Sums equal naive float64 whatever the padding."""
    small_tiles(monkeypatch, chunk)
    batch = collate(EXAMPLES, pad_id=1)  # also the EOS and a response token: masks go by position
    sums = sum_responses(function(model, batch), batch["lengths"])
    order = [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]
    expected = [log_prob(model, EXAMPLES[i].prompt, EXAMPLES[i].completions[j]) for i, j in order]

    assert_close(sums.double(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-5)
    assert "forward" not in vars(model.get_output_embeddings())  # the head is itself again

    for (i, j), value in zip(order, sums, strict=True):
        alone = TokenizedExample(1, EXAMPLES[i].prompt, (EXAMPLES[i].completions[j], [2]))
        assert function(model, collate([alone]))[:-1].sum().item() == pytest.approx(
            value.item(), abs=2e-5
        )


def test_chunked_gradients(model, monkeypatch):
    """Gradients of both ways agree in chunks."""
    batch = collate(EXAMPLES)
    gradients = []
    for function, chunk in ((log_probs_from_logits, logprobs.CHUNK), (log_probs_from_head, 1000)):
        small_tiles(monkeypatch, chunk)
        model.zero_grad()
        function(model, batch).sum().backward()
        gradients.append(model.get_output_embeddings().weight.grad.clone())

    assert_close(*gradients)


def test_bf16_weights():
    """Weights in bf16 give a log-softmax that is accurate in float32."""
    set_seed(0)
    model = load_model("builtin").bfloat16().eval()
    batch = collate(EXAMPLES)
    log_probs = log_probs_from_head(model, batch)
    hidden = model.model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    ).last_hidden_state
    logits = hidden.double() @ model.lm_head.weight.double().T
    exact = (
        logits.flatten(0, 1)[batch["sources"]]
        .log_softmax(-1)
        .gather(-1, batch["targets"][:, None])[:, 0]
    )

    assert_close(log_probs.double(), exact, rtol=0, atol=1e-5)


TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 40}
TINY |= {"num_attention_heads": 2, "num_key_value_heads": 2}
HEADS = {  # what the model does to its logits
    "plain": ("llama", TINY, Shape()),
    "capped": ("gemma2", TINY | {"head_dim": 8, "final_logit_softcapping": 0.5}, Shape(cap=0.5)),
    "multiplied": ("cohere", TINY | {"logit_scale": 0.25}, Shape(0.25)),
    "divided": ("granite", TINY | {"logits_scaling": 4.0}, Shape(0.25)),
}


@pytest.fixture
def shaped():
    """Make a model of the table with outputs that are not small."""

    def make(name):
        kind, settings, _ = HEADS[name]
        set_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).eval()

        with torch.no_grad():
            model.get_output_embeddings().weight.mul_(50)
        return model

    return make


@pytest.mark.parametrize("name", HEADS)
def test_scaled_logits(name, shaped, monkeypatch):
    """Scaled and capped logits are the model's own."""
    model, batch = shaped(name), collate(EXAMPLES)
    before = model.config.to_dict()

    assert head.logit_shape(model)[0] == HEADS[name][2]
    assert choose_log_probs(model, batch) is log_probs_from_head

    values = []
    for function in (log_probs_from_logits, log_probs_from_head):
        small_tiles(monkeypatch, 30)
        model.zero_grad()
        log_probs = function(model, batch)
        (log_probs * torch.linspace(-1, 1, len(log_probs))).sum().backward()
        gradients = (weight.grad.clone() for weight in model.parameters())
        values.append([log_probs.detach(), *gradients])

    for expected, measured in zip(*values, strict=True):
        assert_close(measured, expected, rtol=1e-4, atol=1e-5)

    assert model.config.to_dict() == before


def test_unknown_scale(shaped):
    """A scale that the head does not know is recognised.

    A config says that logits are scaled, and the model does nothing of the kind.
    """
    model = shaped("plain")
    model.config.logits_scaling = 4.0
    assert choose_log_probs(model, collate(EXAMPLES)) is log_probs_from_logits


@given(
    rows=st.integers(1, 9),
    words=st.integers(2, 40),
    tile=st.integers(1, 50),
    piece=st.integers(1, 50),
    shape=st.sampled_from([Shape(), Shape(0.3), Shape(cap=1.5), Shape(2.0, 3.0)]),
    biased=st.booleans(),
    kept=st.sampled_from([0, head.KEPT_LOGITS]),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_tiles(rows, words, tile, piece, shape, biased, kept, seed):
    """Tiles of any size, kept or computed again, give the plain log-softmax."""
    draw = torch.Generator().manual_seed(seed)
    hidden, weight = (
        torch.randn(size, 6, generator=draw, requires_grad=True) for size in (rows, words)
    )
    bias = torch.randn(words, generator=draw, requires_grad=True) if biased else None
    targets = torch.randint(words, (rows,), generator=draw)
    upstream = torch.randn(rows, generator=draw)
    leaves = [hidden, weight, *([bias] if bias is not None else [])]

    logits = shape.scale * torch.nn.functional.linear(hidden, weight, bias)
    if shape.cap is not None:
        logits = shape.cap * torch.tanh(logits / shape.cap)

    expected = logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(head.TILE, "cpu", tile)
        patch.setitem(head.WORDS, "cpu", piece)
        measured = token_log_probs(hidden, weight, bias, targets, shape, kept)
        gradients = torch.autograd.grad(measured, leaves, upstream)

    assert_close(measured, expected)

    for own, other in zip(gradients, torch.autograd.grad(expected, leaves, upstream), strict=True):
        assert_close(own, other, rtol=1e-4, atol=1e-5)


class Largest(TorchDispatchMode):
    """Note the bytes of the largest tensor that an operation makes."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.numel() * tensor.element_size())
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_largest_array(monkeypatch, dtype):
    """No array grows with vocabulary times length.

    The largest one is a tile, or has the size of the weight or of the rows; bf16 weights are not copied whole.
    """
    monkeypatch.setitem(head.TILE, "cpu", 2**12)
    monkeypatch.setitem(head.WORDS, "cpu", 64)
    rows, words, width = 700, 3000, 8
    hidden = torch.randn(rows, width, dtype=dtype, requires_grad=True)
    weight = torch.randn(words, width, dtype=dtype, requires_grad=True)

    with Largest() as largest:
        token_log_probs(hidden, weight, None, torch.arange(rows)).sum().backward()
    size = weight.element_size()

    assert largest.bytes <= max(2**12 * 4, words * width * size, rows * width * 4)
    assert hidden.grad is not None
    assert weight.grad is not None


@pytest.mark.parametrize(("kept", "tiles"), [(20, 0), (21, 3)])
def test_kept_logits(monkeypatch, kept, tiles):
    """The graph keeps the logits of three tiles, or none, and frees them; a retained one gives the same gradient."""
    monkeypatch.setitem(head.WORDS, "cpu", 3)
    hidden = torch.randn(3, 2, requires_grad=True)
    log_probs = token_log_probs(hidden, torch.randn(7, 2), None, torch.arange(3), kept=kept)
    graph: Any = log_probs.grad_fn
    assert len(graph.kept) == tiles

    first, again = (
        torch.autograd.grad(log_probs.sum(), hidden, retain_graph=True)[0] for _ in range(2)
    )
    assert not graph.kept
    assert again.equal(first)


def test_bf16_gradients():
    """Gradients in bf16 are those of float32 to their rounding."""
    set_seed(0)
    hidden, weight = torch.randn(50, 32).bfloat16(), torch.randn(300, 32).bfloat16()
    targets, upstream = torch.randint(300, (50,)), torch.randn(50)

    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [tensor.detach().to(dtype).requires_grad_() for tensor in (hidden, weight)]
        values = token_log_probs(*leaves, None, targets)
        gradients.append(torch.autograd.grad(values, leaves, upstream))

    for exact, rounded in zip(*gradients, strict=True):
        error = (rounded.float() - exact).square().mean().sqrt()
        assert error <= 0.01 * exact.square().mean().sqrt()
