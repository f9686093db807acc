"""Sample a causal LM on many prompts: each prompt is read once, and finished responses leave the batch early."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from ..data.examples import Example
from ..data.layouts import common_length
from ..data.positions import check_lengths
from ..data.tokens import Options, prompt_ids, tokenize_example, up_to_end
from ..models import CausalLM

STRIDE = 8  # tokens, after which finished rows are removed


@dataclass(frozen=True)
class Sample:
    """A response; `finished` unless it was cut at the maximum length, before its end-of-text token.

    `ids` are its tokens, with the one that ends it.
    """

    text: str
    finished: bool
    tokens: int
    ids: tuple[int, ...] = field(default=(), compare=False)


def prompt_text(question: str, tokenizer, template: Mapping[str, Any] | None = None) -> str:
    """Return the question in the tokenizer's chat template, or as a plain line if there is none.

    Raises:
        ValueError: the template fails.
    """
    if not tokenizer.chat_template:
        return question + "\n"
    turns = [{"role": "user", "content": question}]

    try:
        return tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False, **(template or {})
        )
    except Exception as error:  # a template is a program: jinja's errors, and Python's
        raise ValueError(
            f"chat_template: expected one that writes a question, got {error} (for {question!r})"
        ) from None


def answered_ids(
    question: str, answer: str, tokenizer, template: Mapping[str, Any] | None = None
) -> list[int]:
    """Return the tokens of a question's prompt with an answer, as training makes them.

    They end where a sampled response ends: at the token that ends the turn, before a line end of the template.

    Raises:
        ValueError: the template does not accept them.
    """
    chat = bool(tokenizer.chat_template)
    example = Example(0, question if chat else prompt_text(question, tokenizer), answer, ())
    options = Options(sys.maxsize, chat=chat, template=dict(template or {}))
    tokens = tokenize_example(example, tokenizer, options)
    (ids,) = tokens.completions

    return tokens.prompt + (up_to_end(ids, tokenizer) or [*ids, tokenizer.eos_token_id])


def beside_answer(
    prompt: list[int], answered: list[int], responses: Sequence[dict[str, Any]]
) -> tuple[list[int], list[dict[str, Any]]]:
    """Return an answer and sampled responses to one prompt, the answer first, from where their tokens part.

    A template may write a prompt otherwise before an answer than while it waits for one.

    >>> beside_answer([1, 2, 3], [1, 2, 4, 5], [{"right": False, "ids": [6]}])
    ([1, 2], [{'right': True, 'ids': [4, 5]}, {'right': False, 'ids': [3, 6]}])
    """
    start = common_length([prompt, answered])
    sampled = [row | {"ids": prompt[start:] + row["ids"]} for row in responses]
    return prompt[:start], [{"right": True, "ids": answered[start:]}, *sampled]


def sample(
    model: CausalLM,
    tokenizer,
    prompts: Sequence[str],
    samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> list[list[Sample]]:
    """Draw `samples` responses to each prompt, a text: see `sample_ids`."""
    rows = [prompt_ids(prompt, tokenizer) for prompt in prompts]
    return sample_ids(model, tokenizer, rows, samples, temperature, max_new_tokens, seed)


@torch.no_grad()
def sample_ids(
    model: CausalLM,
    tokenizer,
    prompts: Sequence[list[int]],
    samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> list[list[Sample]]:
    """Draw `samples` responses to each prompt from softmax(logits / temperature) over all tokens; greedy at 0.

    Each prompt is read once. Its keys and values are copied for its samples, and transformers' generate continues from
    them; after every `STRIDE` tokens the finished rows are removed. A model that keeps a state in place of keys and
    values reads every token again for the next one.

    Returns:
        A list of `samples` responses for each prompt, the same for the same seed, prompts and machine.

    Raises:
        ValueError: a prompt and its response need more positions than the model has.
    """
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    least, most = min(map(len, prompts)), width + max_new_tokens
    where = f"with the longest prompt of {width}"
    check_lengths(model.config, least, most, "max_new_tokens", where)

    rows = [[0] * (width - len(row)) + row for row in prompts]
    seen = [[0] * (width - len(row)) + [1] * len(row) for row in prompts]
    ids, mask = torch.tensor(rows, device=device), torch.tensor(seen, device=device)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    law: dict = {"do_sample": False}
    if temperature:
        law = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}

    end = _end_ids(model, tokenizer)
    try:
        past: Any = model(
            input_ids=ids[:, :-1],
            attention_mask=mask[:, :-1],
            position_ids=positions[:, :-1],
            use_cache=True,
            **_few_logits(model),
        ).past_key_values
        past.batch_repeat_interleave(samples)
        past.get_seq_length()
    except (AttributeError, ValueError):  # a state, in place of keys and values
        drawn = _drawn_without_cache(model, prompts, samples, max_new_tokens, end, law, seed)
        return [[_read(row, end.cpu(), tokenizer) for row in rows] for rows in drawn]

    ids, mask = (rows.repeat_interleave(samples, 0) for rows in (ids, mask))
    responses: dict[int, Tensor] = {}
    alive = torch.arange(len(ids), device=device)
    torch.manual_seed(seed)

    with _no_settings_of_its_own(model):
        while len(alive):
            room = max_new_tokens - (ids.shape[1] - width)
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=past,
                max_new_tokens=min(STRIDE, room),
                return_dict_in_generate=True,
                eos_token_id=end.tolist(),
                pad_token_id=int(end[0]),
                **law,
            )

            ids, past = out.sequences, out.past_key_values

            full = ids.shape[1] - width >= max_new_tokens
            over = torch.isin(ids[:, width:], end).any(-1) | full
            responses |= dict(zip(alive[over].tolist(), ids[over][:, width:].cpu(), strict=True))
            kept = (~over).nonzero()[:, 0]
            alive, ids = alive[kept], ids[kept]
            new = mask.new_ones(len(kept), ids.shape[1] - mask.shape[1])
            mask = torch.cat([mask[kept], new], 1)
            past.batch_select_indices(kept)

    texts = [_read(responses[row], end.cpu(), tokenizer) for row in range(len(responses))]
    return [texts[start : start + samples] for start in range(0, len(texts), samples)]


def _drawn_without_cache(
    model: CausalLM,
    prompts: Sequence[list[int]],
    samples: int,
    max_new_tokens: int,
    end: Tensor,
    law: Mapping[str, Any],
    seed: int,
) -> Iterator[Tensor]:
    """Yield the ids of the responses to each prompt, by itself, so that no state sees padding."""
    torch.manual_seed(seed)
    with _no_settings_of_its_own(model):
        for prompt in prompts:
            ids = torch.tensor([prompt] * samples, device=end.device)
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_new_tokens,
                use_cache=False,
                eos_token_id=end.tolist(),
                pad_token_id=int(end[0]),
                **law,
            )
            yield out[:, len(prompt) :].cpu()


def _few_logits(model: CausalLM) -> dict[str, int]:
    """Ask for the logits of the last place alone, where the model can: only its keys and values are read."""
    return {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}


@contextmanager
def _no_settings_of_its_own(model: CausalLM) -> Iterator[None]:
    """Ignore the model's own generation settings: a repetition penalty, for one, would change the law."""
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _end_ids(model: CausalLM, tokenizer) -> Tensor:
    """Return the ids that end a response: the model's own and the tokenizer's."""
    own = model.generation_config.eos_token_id
    ids = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    return torch.tensor(sorted(ids), device=next(model.parameters()).device)


def _read(ids: Tensor, end: Tensor, tokenizer) -> Sample:
    stops = torch.isin(ids, end).nonzero()
    length = int(stops[0]) if len(stops) else len(ids)
    text = tokenizer.decode(ids[:length], skip_special_tokens=True)
    tokens = length + bool(len(stops))
    return Sample(text, bool(len(stops)), tokens, tuple(ids[:tokens].tolist()))
