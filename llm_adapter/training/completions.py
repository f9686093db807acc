"""Ask a model for a few completions before and after training, so that a reader sees what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import GenerationConfig

from ..data.tokens import TokenizedExample
from ..models import CausalLM
from .page import COMPLETIONS

TOKENS = 48  # of a completion
SHOWN = 200  # letters of a prompt's end


def complete(model: CausalLM, tokenizer, examples: Sequence[TokenizedExample]) -> list[str]:
    """Return the greedy completions of the examples' prompts; the model stays as it is."""
    own, was_training = model.generation_config, model.training
    ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    first = ends[0] if isinstance(ends, list) else ends
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=first)
    model.eval()

    try:
        return [_complete(model, tokenizer, example.context) for example in examples]
    finally:
        model.generation_config = own
        model.train(was_training)


@torch.no_grad()
def _complete(model: CausalLM, tokenizer, prompt: list[int]) -> str:
    ids = torch.tensor([prompt], device=next(model.parameters()).device)
    mask = torch.ones_like(ids)
    drawn = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=TOKENS, do_sample=False
    )[0, len(prompt) :]
    text = tokenizer.decode(drawn, skip_special_tokens=True)

    return text + (" …" if len(drawn) == TOKENS else "")


def write_completions(
    folder: Path,
    tokenizer,
    examples: Sequence[TokenizedExample],
    before: Sequence[str],
    after: Sequence[str],
) -> None:
    """Write a line for each prompt: its end, and the completions."""
    from mi_estimators.display import jsonl

    prompts = [tokenizer.decode(example.context, skip_special_tokens=True) for example in examples]
    rows = zip(prompts, before, after, strict=True)
    jsonl.write(
        folder / COMPLETIONS,
        [{"prompt": prompt[-SHOWN:], "before": one, "after": two} for prompt, one, two in rows],
    )
