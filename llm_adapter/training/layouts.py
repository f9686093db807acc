"""The layout of a run's rows: shared if the model reads them as it reads padded ones, asked of it before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from accelerate import PartialState
from torch import Tensor

from ..data.collate import LAYOUTS, collate, collate_shared
from ..data.tokens import TokenizedExample
from .runlog import say

WINDOWS = (
    "sliding_window",
    "attention_chunk_size",
    "window_size",
)  # names that configs give a limited attention
STATELESS = {"full_attention", "sliding_attention", "chunked_attention"}
TOLERANCE = 0.1  # nats a token, root mean square
SHARE = 0.1  # the most of the largest error that a plain causal mask would make

TokenLogProbs = Callable[[Mapping[str, Tensor]], Tensor]


def choose_collate(
    layout: str, config, examples: Sequence[TokenizedExample], log_probs: TokenLogProbs
):
    """Return the collating function of `layout`; that of padded rows, and a line that says so, where it must be.

    Args:
        layout: a key of `batching.LAYOUTS`.
        config: the model's configuration.
        examples: tokenised examples of the run.
        log_probs: gives the model's (S,) token log-probabilities of a collated batch, in evaluation mode.
    """
    reason = reason_against_shared(config, examples, log_probs) if layout == "shared" else None
    if reason and PartialState().is_main_process:
        say(f"row_layout: padded in place of shared, {reason}")
    return LAYOUTS["padded" if reason else layout]


@torch.no_grad()
def reason_against_shared(
    config, examples: Sequence[TokenizedExample], log_probs: TokenLogProbs
) -> str | None:
    """Return why a model cannot take shared rows, in a few words, or None if it can.

    The longest example and the shortest are read in both layouts, the shared one in a single row; that finds masks that
    the attention ignores or cannot take, and positions that come from elsewhere (ALiBi). The largest error is held
    against that of the same row under a plain causal mask, so that it tells in any precision. Layers that hand a state
    from token to token, and windows of attention shorter than the longest sequence, are known by their names.

    Args:
        config, examples, log_probs: as `choose_collate` takes them.
    """
    sizes = [len(each.prompt) + max(map(len, each.completions)) for each in examples]
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    if kinds - STATELESS:
        return f"the model has layers of {', '.join(sorted(kinds - STATELESS))}"
    for name in WINDOWS if kinds != {"full_attention"} else ():
        window = getattr(text, name, None)
        if isinstance(window, int) and window < max(sizes):
            return f"the model's {name} is {window} tokens and an example has {max(sizes)}"
    probe = [examples[sizes.index(max(sizes))], examples[sizes.index(min(sizes))]]
    batch = collate_shared(
        probe, row_length=sum(len(each.prompt) + sum(map(len, each.completions)) for each in probe)
    )
    causal = batch | {"attention_mask": torch.ones_like(batch["input_ids"])}
    try:
        expected, found, wrong = (log_probs(each) for each in (collate(probe), batch, causal))
    except (
        Exception
    ) as error:  # whatever a model's code says of a mask or an argument that it does not know
        return (
            f"the model refuses them ({type(error).__name__}: {' '.join(str(error).split())[:100]})"
        )
    errors = (found - expected).abs()
    if not (
        errors.square().mean().sqrt() <= TOLERANCE
        and errors.max() <= SHARE * (wrong - expected).abs().max()
    ):
        return (
            f"the model's log-probabilities would be off by up to {errors.max():.2g} nats a token"
        )
    return None
