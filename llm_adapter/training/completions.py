"""Ask a model for a few completions before and after training, so that a reader sees what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..data.tokens import TokenizedExample
from ..models import CausalLM

COMPLETIONS = "completions.jsonl"  # in a run's folder
TOKENS = 48  # of a completion
SHOWN = 200  # letters of a prompt's end


def complete(model: CausalLM, tokenizer, examples: Sequence[TokenizedExample]) -> list[str]:
    """Return the greedy completions of the examples' prompts; the model's mode and random numbers stay as they are."""
    import torch

    from ..evaluation.sampling import sample_ids

    if not examples:
        return []
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng():
            prompts = [example.prompt for example in examples]
            drawn = sample_ids(model, tokenizer, prompts, 1, 0.0, TOKENS, seed=0)
    finally:
        model.train(was_training)
    return [sample.text + ("" if sample.finished else " …") for (sample,) in drawn]


def write_completions(
    folder: Path,
    tokenizer,
    examples: Sequence[TokenizedExample],
    before: Sequence[str],
    after: Sequence[str],
) -> None:
    """Write a line for each prompt: its end, and the completions."""
    from mi_estimators.display import jsonl

    prompts = [tokenizer.decode(example.prompt, skip_special_tokens=True) for example in examples]
    rows = zip(prompts, before, after, strict=True)
    jsonl.write(
        folder / COMPLETIONS,
        [{"prompt": prompt[-SHOWN:], "before": one, "after": two} for prompt, one, two in rows],
    )
