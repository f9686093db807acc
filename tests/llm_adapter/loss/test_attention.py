"""Shared rows under every way of attention: the values and gradients of padded rows, for models of many styles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from llm_adapter.data.collate import collate, collate_shared
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.attention import BLOCK, block_mask, dense_mask, use_way
from llm_adapter.loss.logprobs import choose_log_probs, log_probs_from_head, sum_responses
from llm_adapter.models import disable_dropout
from llm_adapter.training.layouts import Layout, choose_layout
from llm_adapter.training.recompute import recompute_between_products

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 16}
SIZES |= {"num_attention_heads": 4}
GROUPED = SIZES | {"num_key_value_heads": 2}
STYLES = {
    "llama": ("llama", GROUPED),
    "qwen2": ("qwen2", GROUPED),
    "qwen3": ("qwen3", GROUPED | {"head_dim": 4}),
    "mistral": ("mistral", GROUPED),
    "mistral, a short window": ("mistral", GROUPED | {"sliding_window": 7}),
    "gemma2": ("gemma2", GROUPED | {"head_dim": 4, "attn_logit_softcapping": 1.0}),
    "gemma2, a short window": ("gemma2", GROUPED | {"head_dim": 4, "sliding_window": 6}),
    "gemma3": ("gemma3_text", GROUPED | {"head_dim": 4, "sliding_window": 6}),
    "gpt_neox": ("gpt_neox", SIZES),
}


def text(length, draw):
    return torch.randint(1, 32, (length,), generator=draw).tolist()


def made(shapes, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [
        TokenizedExample(line, text(prompt, draw), tuple(text(size, draw) for size in sizes))
        for line, (prompt, sizes) in enumerate(shapes)
    ]


RAGGED = made([(9, (4, 7)), (14, (9, 1, 5)), (3, (6, 6, 2, 8)), (1, (2, 3, 1, 4, 5)), (5, (12, 3))])


def network(style, **options):
    kind, sizes = STYLES[style]
    set_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes), **options)
    disable_dropout(model)

    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4 if weight.ndim > 1 else 1)  # so that the past matters

    return model.train()


def values(model, batch):
    """Return the log-probabilities, and the gradients of a weighted sum of the responses."""
    model.zero_grad()
    log_probs = log_probs_from_head(model, batch)
    sums = sum_responses(log_probs, batch["lengths"])
    (sums * torch.linspace(-1, 1, len(sums))).sum().backward()
    return [log_probs.detach(), *(weight.grad.clone() for weight in model.parameters())]


@pytest.mark.parametrize("checkpointing", ["none", "layers", "selective"])
@pytest.mark.parametrize("style", STYLES)
def test_segments(style, checkpointing):
    """Segments give the values and gradients of padded rows."""
    # padded rows are read by the plainest attention, which knows windows and caps by itself
    expected = values(network(style, attn_implementation="eager"), collate(RAGGED))
    model = network(style)
    if checkpointing == "layers":
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if checkpointing == "selective":
        recompute_between_products(model)

    use_way([model.config], "segments")
    for rows in (None, float("inf")):
        measured = values(model, collate_shared(RAGGED, row_length=rows, multiple=4))
        for own, other in zip(measured, expected, strict=True):
            scale = max(1.0, other.abs().max().item())
            assert_close(own, other, rtol=0, atol=1e-4 * scale)

    padded = values(model, collate(RAGGED))  # and the same attention takes padded rows
    assert_close(padded[0], expected[0], rtol=0, atol=1e-4)
    assert "branches" not in str(model.config.to_dict())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("padded", [False, True])
def test_cached_generation(style, padded):
    """Generation with a cache is the model's own.

    A new token sees all keys of the cache, whatever way the model was left in.
    """
    model = network(style).eval()
    ids = torch.randint(1, 32, (2, 5), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, :2] = 0 if padded else 1
    kinds = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    own = model.generate(ids, attention_mask=mask, **kinds)
    use_way([model.config], "segments")

    assert model.generate(ids, attention_mask=mask, **kinds).equal(own)


@pytest.mark.parametrize("style", STYLES)
def test_probe(style, capsys):
    """The probe takes segments."""
    model = network(style).eval()
    log_probs = choose_log_probs(model, collate(RAGGED[:1]))
    chosen = choose_layout(
        "shared",
        [model.config],
        RAGGED,
        lambda batch: log_probs(model, batch),
        ("segments", "dense"),
    )

    assert chosen == Layout("shared", "segments")
    assert capsys.readouterr().out == ""


def test_fallback(capsys):
    """A model that ignores its attention function falls back.

    ALiBi comes with the mask of padded rows: neither way can add it.
    """
    set_seed(0)
    config = AutoConfig.for_model("bloom", vocab_size=32, n_layer=2, n_head=2, hidden_size=16)
    model = AutoModelForCausalLM.from_config(config).eval()
    chosen = choose_layout(
        "shared",
        [model.config],
        RAGGED,
        lambda batch: log_probs_from_head(model, batch),
        ("segments", "dense"),
    )

    assert chosen == Layout()
    assert "using padded rows" in capsys.readouterr().out
    assert not model.config._attn_implementation.startswith("branches")


def blocks_as_mask(mask, length):
    """Return the (R, T, T) mask that a BlockMask means: full blocks, and partial ones position by position."""
    rows, count = mask.kv_num_blocks.shape[0], length // BLOCK
    dense = torch.zeros(rows, length, length, dtype=torch.bool)
    places = torch.arange(length)

    for row in range(rows):
        allowed = mask.mask_mod(torch.tensor(row), None, places[:, None], places[None, :])
        for q in range(count):
            span = slice(q * BLOCK, (q + 1) * BLOCK)
            for counts, indices, whole in (
                (mask.kv_num_blocks, mask.kv_indices, False),
                (mask.full_kv_num_blocks, mask.full_kv_indices, True),
            ):
                for k in indices[row, 0, q, : counts[row, 0, q]].tolist():
                    part = slice(k * BLOCK, (k + 1) * BLOCK)
                    dense[row, span, part] = True if whole else allowed[span, part]

    return dense


@given(
    shapes=st.lists(
        st.tuples(
            st.integers(1, 300), st.lists(st.integers(1, 300), min_size=2, max_size=5).map(tuple)
        ),
        min_size=1,
        max_size=4,
    ),
    window=st.sampled_from([None, 5, 200]),
    one_row=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_blocks(shapes, window, one_row):
    """Blocks mean the dense mask."""
    examples = made(shapes)
    batch = collate_shared(examples, row_length=float("inf") if one_row else None, multiple=BLOCK)
    length = batch["input_ids"].shape[1]
    mask = block_mask(batch["branches"], window)
    expected = dense_mask(batch["branches"], window)[:, 0]

    assert torch.equal(blocks_as_mask(mask, length), expected)


def test_skipped_blocks():
    """Blocks that nobody needs are left out.

    Two examples of two long responses each: of all pairs of blocks under the diagonal most are skipped.
    """
    batch = collate_shared(made([(256, (512, 512))] * 2), row_length=float("inf"))
    mask = block_mask(batch["branches"])
    asked = int(mask.kv_num_blocks.sum() + mask.full_kv_num_blocks.sum())
    blocks = batch["input_ids"].shape[1] // BLOCK

    # an example: 2 + 2 · 4 blocks; prompt 3 pairs, a response 4 · 2 with the prompt and 10 with itself
    assert (blocks, asked) == (20, 2 * (3 + 2 * (8 + 10)))
    assert int(mask.full_kv_num_blocks.sum()) == 2 * (1 + 2 * (8 + 6))
