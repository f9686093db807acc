"""Probes at the start: what is no causal LM, what is random in training, and whose logits are capped."""

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from llm_adapter.data.collate import collate, collate_shared
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss import probes
from llm_adapter.loss.head import replaced_head
from llm_adapter.loss.logprobs import (
    choose_log_probs,
    log_probs_from_head,
    log_probs_from_logits,
)
from llm_adapter.models import disable_dropout

WORDS = 40
EXAMPLES = [
    TokenizedExample(1, list(range(5, 25)), ([8, 9, 10, 11], [30])),
    TokenizedExample(2, [5], ([1], [20])),
]
BATCH = collate(EXAMPLES)
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZE |= {"intermediate_size": 32, "max_position_embeddings": 64}
IDS = {"vocab_size": WORDS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LLAMA = SIZE | {"num_key_value_heads": 2}
GEMMA = LLAMA | {"head_dim": 16}
MIXTURE = LLAMA | {"num_local_experts": 4}
BART = {"d_model": 32, "decoder_layers": 4, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
XGLM = {"d_model": 32, "num_layers": 4, "attention_heads": 2, "ffn_dim": 32}
OPT = SIZE | {"num_hidden_layers": 4, "ffn_dim": 32, "word_embed_proj_dim": 32}
MPT = {"d_model": 32, "n_heads": 2, "n_layers": 2, "max_seq_len": 64}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
GEMMA_3N = GEMMA | {
    "vocab_size_per_layer_input": WORDS,
    "hidden_size_per_layer_input": 8,
    "layer_types": ["sliding_attention", "full_attention"],
    "laurel_rank": 4,
    "num_kv_shared_layers": 0,
    "activation_sparsity_pattern": [0.0, 0.0],
    "altup_num_inputs": 2,
}
REFORMER = SIZE | {
    "attention_head_size": 16,
    "feed_forward_size": 32,
    "axial_pos_embds": False,
    "is_decoder": True,
    "attn_layers": ["local", "lsh"],
    "num_buckets": 4,
    "lsh_attn_chunk_length": 8,
    "local_attn_chunk_length": 8,
}
RECURRENT = SIZE | {"num_hidden_layers": 3, "lru_width": 32}


@pytest.fixture(scope="module")
def tiny():
    """Make a small random model; matrices are scaled up, as the past hardly matters to small ones."""

    def make(kind, dtype=torch.float32, **settings):
        set_seed(0)
        config = AutoConfig.for_model(kind, **IDS | settings)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(4 if weight.ndim > 1 else 1)
        return model.to(dtype)

    return make


TYPES = [torch.float32, torch.bfloat16]
LOOK_AHEAD = {
    "bert": ("bert", SIZE),
    "roberta": ("roberta", SIZE),
    "gemma3": ("gemma3_text", GEMMA | {"use_bidirectional_attention": True}),
    "reformer": ("reformer", REFORMER),
    "xlnet": ("xlnet", {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 32}),
}
CAUSAL = {
    "bert": ("bert", SIZE | {"is_decoder": True}),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 2}),
    "falcon": ("falcon", SIZE | {"alibi": True}),
    "gemma3": ("gemma3_text", GEMMA),
    "gemma3n": ("gemma3n_text", GEMMA_3N),
    "gpt2": ("gpt2", GPT),
    "llama": ("llama", LLAMA),
    "mamba": ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}),
    "mixtral": ("mixtral", MIXTURE),
    "mpt": ("mpt", MPT),
    "recurrent_gemma": ("recurrent_gemma", RECURRENT),
}


@pytest.mark.parametrize("layout", [collate, collate_shared])
def test_short_row(layout):
    """The row is the beginning of one text, however the batch is laid out."""
    prompt, (chosen, _) = EXAMPLES[0].prompt, EXAMPLES[0].completions
    assert probes.short_row(layout(EXAMPLES)).tolist() == [prompt + chosen]

    long = TokenizedExample(1, list(range(100)), ([8], [9]))
    assert probes.short_row(layout([long])).tolist() == [list(range(probes.READ))]


STRONG = [
    ("gemma3", torch.bfloat16),
    ("reformer", torch.bfloat16),
]  # random others differ by less than rounding


@pytest.mark.parametrize(("name", "dtype"), [(name, torch.float32) for name in LOOK_AHEAD] + STRONG)
def test_lookahead(name, dtype, tiny):
    """A model whose tokens see later ones is refused by its name, whatever its config says."""
    kind, settings = LOOK_AHEAD[name]
    model = tiny(kind, dtype, **settings)
    with pytest.raises(ValueError, match=rf"expected a causal LM, got {type(model).__name__}"):
        choose_log_probs(model, BATCH)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CAUSAL)
def test_causal(name, dtype, tiny):
    """A causal model is taken in any precision."""
    kind, settings = CAUSAL[name]
    probes.refuse_lookahead(tiny(kind, dtype, **settings), probes.short_row(BATCH))


def test_unreadable_row(tiny):
    """A model that cannot read the row is one message that names it."""
    with pytest.raises(ValueError, match=r"^model: expected .* a row of 24 tokens, got MptFor"):
        choose_log_probs(tiny("mpt", **MPT | {"max_seq_len": 8}), BATCH)


class Changed(nn.Linear):
    """A head whose logits are changed behind it, as in a model's own code."""

    change: staticmethod

    def __call__(self, hidden):
        return self.change(super().__call__(hidden))


CHANGES = {
    "nothing": (lambda logits: logits, True),
    "cap": (lambda logits: 30 * torch.tanh(logits / 30), False),
    "wide cap": (lambda logits: 150 * torch.tanh(logits / 150), False),
    "scale": (lambda logits: 0.5 * logits, False),
    "clamp": (lambda logits: logits.clamp(-50, 50), False),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CHANGES)
def test_changed_logits(name, dtype, tiny):
    """What a model does to its logits under no known name is seen, however small they are."""
    change, linear = CHANGES[name]
    model = tiny("llama", dtype, **LLAMA)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.1)
    model.lm_head.__class__ = type("Head", (Changed,), {"change": staticmethod(change)})

    wanted = log_probs_from_head if linear else log_probs_from_logits
    assert choose_log_probs(model, BATCH) is wanted


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("recurrent_gemma", RECURRENT | {"logits_soft_cap": 30.0}),
        ("xlstm", {"hidden_size": 64, "num_hidden_layers": 2, "num_heads": 2}),
    ],
)
def test_other_names_of_caps(kind, settings, tiny):
    """Models that name their cap in another way keep their own logits."""
    assert choose_log_probs(tiny(kind, **settings), BATCH) is log_probs_from_logits


def test_strict_config(tiny):
    """A config that refuses None has its cap again after a pass, also after one that fails."""
    model = tiny("gemma3n_text", **GEMMA_3N)
    before = model.config.to_dict()
    assert before["final_logit_softcapping"] == 30
    assert choose_log_probs(model, BATCH) is log_probs_from_head

    with torch.no_grad():
        own, measured = (way(model, BATCH) for way in (log_probs_from_logits, log_probs_from_head))
    torch.testing.assert_close(measured, own, rtol=1e-4, atol=1e-5)

    with pytest.raises(IndexError), replaced_head(model, lambda *_: [][0]):
        model(input_ids=BATCH["input_ids"])
    assert model.config.to_dict() == before
    assert "forward" not in vars(model.get_output_embeddings())


RATES = {
    "bart": ("bart", BART | {"decoder_layerdrop": 0.5, "dropout": 0.0}),
    "biogpt": ("biogpt", SIZE | {"num_hidden_layers": 4, "layerdrop": 0.5}),
    "bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 2, "hidden_dropout": 0.5}),
    "falcon": ("falcon", SIZE | {"hidden_dropout": 0.5}),
    "gpt2": ("gpt2", GPT),
    "mixtral": ("mixtral", MIXTURE | {"router_jitter_noise": 0.5}),
    "gptj": ("gptj", GPT | {"rotary_dim": 8, "resid_pdrop": 0.5}),
    "opt": ("opt", OPT | {"layerdrop": 0.5, "dropout": 0.0}),
    "phimoe": ("phimoe", MIXTURE | {"router_jitter_noise": 0.5, "input_jitter_noise": 0.5}),
    "prophetnet": (
        "prophetnet",
        {
            "hidden_size": 32,
            "num_decoder_layers": 2,
            "num_decoder_attention_heads": 2,
            "decoder_ffn_dim": 32,
        },
    ),
    "xglm": ("xglm", XGLM | {"layerdrop": 0.5, "dropout": 0.0}),
}


@pytest.mark.parametrize("name", RATES)
def test_rates(name, tiny):
    """--disable_dropout makes any model the same at each pass, and the probe sees where it is not."""
    kind, settings = RATES[name]
    model, row = tiny(kind, **settings), probes.short_row(BATCH)
    set_seed(1)
    with pytest.raises(ValueError, match=rf"^disable_dropout: .* got {type(model).__name__}"):
        probes.refuse_random(model, row)

    disable_dropout(model)
    probes.refuse_random(model, row)
    assert not model.training

    model.train()
    with torch.no_grad():
        passes = [probes.read(model, row) for _ in range(4)]
    assert all(torch.equal(passes[0], other) for other in passes[1:])
