"""Sampling: greedy is generate's, and samples follow the tempered softmax."""

import pytest
import torch
from transformers import ByT5Tokenizer

from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, prompt_ids, tokenize_example
from llm_adapter.evaluation import sampling
from llm_adapter.evaluation.sampling import (
    Sample,
    answered_ids,
    beside_answer,
    prompt_text,
    sample,
)
from llm_adapter.models import CHATML
from tests.llm_adapter.data.test_joint import TOKENIZERS

pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)


PROMPTS = ["3 * 4 =\n", "What is the greatest common divisor of 12 and 18?\n", "7\n"]


TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def plain(model, tokenizer, prompt, tokens):
    """Return the greedy continuation of one unpadded prompt by one call of generate."""
    ids = tokenizer([prompt], return_tensors="pt", add_special_tokens=False)["input_ids"]
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False
    )
    return out[0, ids.shape[1] :].tolist()


def test_greedy(model, tokenizer, monkeypatch):
    """Greedy is generate's on each prompt alone, and ends at the end token."""
    whole = [plain(model, tokenizer, prompt, 30) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in whole}) == 3

    monkeypatch.setattr(
        model.generation_config, "eos_token_id", [tokenizer.eos_token_id, whole[0][10]]
    )
    ends = [plain(model, tokenizer, prompt, 30) for prompt in PROMPTS]

    assert min(map(len, ends)) < 30  # one row leaves the batch early

    for (output,), ids in zip(sample(model, tokenizer, PROMPTS, 1, 0.0, 30, 0), ends, strict=True):
        stopped = ids[-1] in model.generation_config.eos_token_id
        text = tokenizer.decode(ids[:-1] if stopped else ids, skip_special_tokens=True)
        assert output == Sample(text, stopped, len(ids))

    monkeypatch.setattr(sampling, "_read", lambda ids, *_: ids.tolist())
    for (output,), ids in zip(sample(model, tokenizer, PROMPTS, 1, 0.0, 30, 0), ends, strict=True):
        assert output[: len(ids)] == ids


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_tempered_softmax(scaled, tokenizer, temperature, monkeypatch):
    """Samples follow the tempered softmax over every token."""
    model, read = scaled(4), []
    monkeypatch.setattr(sampling, "_read", lambda ids, *_: read.append(ids))
    draws = 1000
    sample(model, tokenizer, PROMPTS[:2], draws, temperature, 3, seed=0)

    for prompt, start in zip(PROMPTS, (0, draws), strict=False):
        prompt = tokenizer([prompt], return_tensors="pt", add_special_tokens=False)["input_ids"]
        rows = torch.stack([row for row in read[start : start + draws] if len(row) == 3])
        texts = torch.cat([prompt.expand(len(rows), -1), rows], 1)
        with torch.no_grad():
            logits = model(texts).logits[:, -4:-1].double()

        for position in range(3):
            seen, scores = rows[:, position], logits[:, position]
            assert abs(_surprise(seen, scores / temperature)) < 4
            # The other temperature is noticed
            assert abs(_surprise(seen, scores / (1.5 - temperature))) > 8


def test_own_settings(model, tokenizer, monkeypatch):
    """A model's own settings of generation do not bend the law."""

    def drawn():
        ways = ((2, 1.0), (1, 0.0))
        return [sample(model, tokenizer, PROMPTS[:2], *way, 12, 0) for way in ways]

    plain_law = drawn()
    for name, value in {
        "repetition_penalty": 3.0,
        "no_repeat_ngram_size": 1,
        "min_p": 0.9,
        "top_k": 1,
    }.items():
        monkeypatch.setattr(model.generation_config, name, value)

    assert drawn() == plain_law
    assert model.generation_config.repetition_penalty == 3.0  # the model keeps them


def _surprise(seen, logits):
    """Return by how many standard deviations −Σ ln p of the seen tokens exceeds the sum of the entropies."""
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    variance = (log_p.exp() * log_p.square()).sum(-1) - entropy.square()
    surprise = -log_p.gather(-1, seen.unsqueeze(-1)).squeeze(-1)
    return ((surprise - entropy).sum() / variance.sum().sqrt()).item()


def test_template(tokenizer):
    """The prompt goes through the template where there is one."""
    assert prompt_text("2 + 2?", tokenizer) == "2 + 2?\n"
    tokenizer.chat_template = TEMPLATE
    assert prompt_text("2 + 2?", tokenizer) == "<user>2 + 2?</s><assistant>"


ENDS = TEMPLATE.replace("</s>", "</s>\n")
TEMPLATES = {
    "plain": None,
    "end of text": TEMPLATE,
    "a line end after it": ENDS,
    "chatml": CHATML,
    "endless": TEMPLATE.replace("</s>", "\n"),
    "thoughts": ENDS + "{% if add_generation_prompt %}<think>{% endif %}",
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("make", TOKENIZERS)
def test_supplied_tokens(make, name):
    """A supplied answer has the tokens that training makes, up to the one that ends it."""
    tokenizer = make()
    before, tokenizer.chat_template = tokenizer.chat_template, TEMPLATES[name]
    try:
        ids = answered_ids("3 * 4?", "12", tokenizer)
        prompt = prompt_ids(prompt_text("3 * 4?", tokenizer), tokenizer)
        row = {"prompt": "3 * 4?" + "\n" * (name == "plain"), "chosen": "12", "rejected": "17"}
        trained = tokenize_example(
            parse_row(row), tokenizer, Options(200, chat=TEMPLATES[name] is not None)
        )
    finally:
        tokenizer.chat_template = before

    whole = trained.prompt + trained.completions[0]
    assert ids[-1] == tokenizer.eos_token_id
    if name in ("endless", "chatml"):  # no token of these vocabularies ends their turns
        assert ids == [*whole, tokenizer.eos_token_id]
    else:
        assert ids == whole[: len(ids)]
        assert not tokenizer.decode(whole[len(ids) :]).strip()

    shared, (answer, other) = beside_answer(prompt, ids, [{"right": False, "ids": [7]}])
    assert shared + answer["ids"] == ids
    assert shared + other["ids"] == [*prompt, 7]
    assert (shared == prompt) == (name != "thoughts")
    if name != "thoughts":
        assert tokenizer.decode(answer["ids"]).startswith("12")
        assert "▁" not in tokenizer.convert_ids_to_tokens(answer["ids"])


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{{ 1 // 0 }}"])
def test_failing_template(template):
    tokenizer = ByT5Tokenizer(chat_template=template)
    with pytest.raises(ValueError, match=r"^chat_template: expected one .*'3 \* 4\?'"):
        prompt_text("3 * 4?", tokenizer)
