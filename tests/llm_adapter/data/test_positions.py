"""How long rows may be: positions under any name, and embeddings that the longest row of a batch chooses."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from llm_adapter.data.positions import check_lengths, positions_of, switch_of
from llm_adapter.evaluation.sampling import sample_ids

SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}


@pytest.mark.parametrize(
    ("kind", "settings", "positions"),
    [
        ("llama", {"max_position_embeddings": 64}, 64),
        ("gpt2", {"n_positions": 64}, 64),
        ("mpt", {"max_seq_len": 64}, 64),
        ("opt", {"max_position_embeddings": 64}, 64),
        ("roberta", {"max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("bloom", {}, None),
        ("xlnet", {}, None),
        ("mamba", {}, None),
    ],
)
def test_positions(kind, settings, positions):
    """The number of positions is found under the name that the architecture gives it."""
    config = AutoConfig.for_model(kind, **settings)
    assert positions_of(config) == positions
    check_lengths(config, 1, 64, "max_length", "in a file")

    if positions:
        with pytest.raises(
            ValueError, match=r"max_length: expected at most the model's 64 pos.*got 65"
        ):
            check_lengths(config, 1, 65, "max_length", "in a file")


LONG = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
}


@pytest.mark.parametrize(
    ("rope", "switch"),
    [
        ({"rope_type": "default", "rope_theta": 1e4}, None),
        ({"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}, None),
        ({"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}, 64),
        (LONG | {"original_max_position_embeddings": 16}, 16),
    ],
)
def test_switch(rope, switch):
    """Rows on both sides of such a length are refused; rows on one side are not."""
    config = AutoConfig.for_model("llama", max_position_embeddings=64, rope_parameters=rope)
    config.max_position_embeddings = 1000 if switch == 64 else 64
    config.rope_parameters.setdefault("original_max_position_embeddings", 64)
    assert switch_of(config) == switch

    check_lengths(config, 1, switch or 64, "max_length", "in a file")
    if switch:
        check_lengths(config, switch + 1, switch + 2, "max_length", "in a file")
        with pytest.raises(ValueError, match=f"max_length: expected at most {switch} tokens"):
            check_lengths(config, switch, switch + 1, "max_length", "in a file")


class Tokenizer:
    """A tokenizer of one letter a token."""

    eos_token_id = 0

    def decode(self, ids, **options):
        return "".join(chr(97 + token) for token in ids.tolist())


STATES = {
    "mamba": {"state_size": 4},
    "mamba2": {"state_size": 4, "num_heads": 4, "head_dim": 8, "n_groups": 1, "chunk_size": 8},
    "recurrent_gemma": HEADS | {"lru_width": 16, "attention_window_size": 8},
    "lfm2": HEADS | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
}


@pytest.mark.parametrize("kind", STATES)
def test_states(kind):
    """A model with a state in place of keys and values answers as it does without a cache."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind, **SMALL | STATES[kind] | {"eos_token_id": 0, "pad_token_id": 0}
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    prompts = [[5, 6, 7], [8, 9, 10, 11, 12]]
    drawn = sample_ids(model, Tokenizer(), prompts, 2, 0.0, 6, seed=0)

    for prompt, (one, other) in zip(prompts, drawn, strict=True):
        ids = list(prompt)
        while len(ids) < len(prompt) + 6 and ids[-1] != 0:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
        assert list(one.ids) == list(other.ids) == ids[len(prompt) :]


def test_long_samples():
    """A response beyond the model's positions is refused before it is drawn."""
    config = AutoConfig.for_model(
        "gpt2", vocab_size=40, n_embd=16, n_layer=1, n_head=2, n_positions=8
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(
        ValueError, match="max_new_tokens: expected at most the model's 8 positions"
    ):
        sample_ids(model, Tokenizer(), [[1, 2, 3]], 1, 0.0, 6, seed=0)
