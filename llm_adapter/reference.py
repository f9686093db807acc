"""The reference's log-probabilities, computed once with the model as given, so that there is never a second copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from accelerate.utils import gather_object
from torch import Tensor
from tqdm import tqdm

from .data import TokenizedExample


@torch.no_grad()
def with_reference(
    examples: Sequence[TokenizedExample],
    log_probs: Callable[[Sequence[TokenizedExample]], tuple[Tensor, Tensor]],
    args,
) -> list[TokenizedExample]:
    """Return the examples with the model's present log-probabilities; the processes share the work.

    Args:
        examples: tokenised examples.
        log_probs: gives the summed log-probabilities of a batch's responses, (B,) and (B, K).
        args: the run's arguments (batch size, processes, progress bar).
    """
    longest_first = sorted(range(len(examples)), key=lambda i: -max(map(len, examples[i].completions)))
    mine = longest_first[args.process_index :: args.world_size]
    size = args.per_device_eval_batch_size
    found = []
    for start in tqdm(range(0, len(mine), size), "reference", disable=args.disable_tqdm, leave=False):
        indices = mine[start : start + size]
        chosen, rejected = log_probs([examples[i] for i in indices])
        for i, first, rest in zip(indices, chosen.tolist(), rejected.tolist(), strict=True):
            found.append((i, (first, *rest[: len(examples[i].completions) - 1])))
    references = dict(gather_object(found))
    return [replace(example, reference=references[i]) for i, example in enumerate(examples)]
