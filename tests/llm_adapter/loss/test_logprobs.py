"""Log-probabilities against a naive float64 computation."""

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, set_seed

from llm_adapter.data.collate import collate, sum_responses
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss import logprobs
from llm_adapter.loss.logprobs import choose_log_probs, log_probs_from_head, log_probs_from_logits
from llm_adapter.models import load_model

EXAMPLES = [
    TokenizedExample(1, [5, 6, 7], ([8, 9], [10], [11, 12, 13])),
    TokenizedExample(2, [5], ([1, 1, 1, 1], [20])),
]


@pytest.fixture(scope="module")
def model():
    set_seed(0)
    return load_model("builtin").eval()


@pytest.mark.parametrize("function", [log_probs_from_head, log_probs_from_logits])
@pytest.mark.parametrize("chunk", [logprobs.CHUNK, 1000])
def test_sums_equal_naive_float64_whatever_the_padding(
    model, function, chunk, monkeypatch, log_prob
):
    monkeypatch.setattr(logprobs, "CHUNK", chunk)
    batch = collate(EXAMPLES, pad_id=1)  # also the EOS and a response token: masks go by position
    found = sum_responses(function(model, batch), batch["lengths"])
    order = [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]
    expected = [log_prob(model, EXAMPLES[i].prompt, EXAMPLES[i].completions[j]) for i, j in order]
    torch.testing.assert_close(
        found.double(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=2e-5
    )
    assert "forward" not in vars(model.get_output_embeddings())  # the head is itself again
    for (i, j), value in zip(order, found, strict=True):
        alone = TokenizedExample(1, EXAMPLES[i].prompt, (EXAMPLES[i].completions[j], [2]))
        assert function(model, collate([alone]))[:-1].sum().item() == pytest.approx(
            value.item(), abs=2e-5
        )


def test_gradients_of_both_ways_agree_in_chunks(model, monkeypatch):
    batch = collate(EXAMPLES)
    gradients = []
    for function, chunk in ((log_probs_from_logits, logprobs.CHUNK), (log_probs_from_head, 1000)):
        monkeypatch.setattr(logprobs, "CHUNK", chunk)
        model.zero_grad()
        function(model, batch).sum().backward()
        gradients.append(model.get_output_embeddings().weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_bf16_weights_give_float32_accurate_log_softmax():
    set_seed(0)
    model = load_model("builtin").bfloat16().eval()
    batch = collate(EXAMPLES)
    found = log_probs_from_head(model, batch)
    hidden = model.model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    ).last_hidden_state
    logits = hidden.double() @ model.lm_head.weight.double().T
    exact = (
        logits.flatten(0, 1)[batch["sources"]]
        .log_softmax(-1)
        .gather(-1, batch["targets"][:, None])[:, 0]
    )
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5)


def test_heads_with_scaled_or_capped_logits_are_recognised(model):
    probe = collate([TokenizedExample(1, [3], ([5, 8], [13, 21]))])
    assert choose_log_probs(model, probe) is log_probs_from_head
    set_seed(0)
    tiny = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 8,
    }
    config = Gemma2Config(vocab_size=32, num_key_value_heads=2, final_logit_softcapping=0.1, **tiny)
    capped = Gemma2ForCausalLM(config).eval()
    with torch.no_grad():
        capped.get_output_embeddings().weight.mul_(50)
    assert choose_log_probs(capped, probe) is log_probs_from_logits
