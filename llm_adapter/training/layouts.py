"""Choose the layout of a run's rows: shared, if the model reads shared rows as it reads padded ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from accelerate import PartialState
from torch import Tensor

from ..data.collate import collate, collate_shared
from ..data.tokens import TokenizedExample
from .runlog import say

WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")  # names of a limited attention
STATELESS = {"full_attention", "sliding_attention", "chunked_attention"}
TOLERANCE = 0.1  # nats per token, root mean square
SHARE = 0.1  # of the largest error that a plain causal mask would make

TokenLogProbs = Callable[[Mapping[str, Tensor]], Tensor]


def choose_layout(
    layout: str, config, examples: Sequence[TokenizedExample], log_probs: TokenLogProbs
) -> str:
    """Return `layout`, or padded, with a line that says why, if the model cannot take shared rows.

    Args:
        layout: a key of `collate.LAYOUTS`.
        config: the model's configuration.
        examples: tokenised examples of the run.
        log_probs: gives the model's (S,) token log-probabilities of a collated batch, in evaluation mode.
    """
    reason = reason_against_shared(config, examples, log_probs) if layout == "shared" else None
    if reason and PartialState().is_main_process:
        say(f"row_layout: using padded rows instead of shared ones, because {reason}")
    return "padded" if reason else layout


@torch.no_grad()
def reason_against_shared(
    config, examples: Sequence[TokenizedExample], log_probs: TokenLogProbs
) -> str | None:
    """Return why a model cannot take shared rows, in a few words, or None if it can.

    Layers that pass a state from token to token, and attention windows shorter than the longest example, are known by
    name. For the remaining models the longest and the shortest example are read in both layouts, the shared one in a
    single row. This finds masks that the attention ignores or refuses, and positions from elsewhere (ALiBi). The
    largest error is compared with that of a plain causal mask, so the check works in any precision.

    Args:
        config, examples, log_probs: as in `choose_layout`.
    """
    longest = max(examples, key=lambda example: example.length)
    shortest = min(examples, key=lambda example: example.length)
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    if kinds - STATELESS:
        return f"the model has layers of {', '.join(sorted(kinds - STATELESS))}"
    for name in WINDOWS if kinds != {"full_attention"} else ():
        window = getattr(text, name, None)
        if isinstance(window, int) and window < longest.length:
            return f"the model's {name} is {window} tokens and an example has {longest.length}"

    probe = [longest, shortest]
    length = sum(len(row.prompt) + sum(map(len, row.completions)) for row in probe)
    shared = collate_shared(probe, row_length=length)
    causal = shared | {"attention_mask": torch.ones_like(shared["input_ids"])}
    try:
        expected, measured, wrong = map(log_probs, (collate(probe), shared, causal))
    except Exception as error:  # a model's code may raise anything for an unknown mask or argument
        text = " ".join(str(error).split())[:100]
        return f"the model refuses them ({type(error).__name__}: {text})"

    errors = (measured - expected).abs()
    small = errors.square().mean().sqrt() <= TOLERANCE
    if not (small and errors.max() <= SHARE * (wrong - expected).abs().max()):
        return f"its log-probabilities would be off by up to {errors.max():.2g} nats per token"
    return None
