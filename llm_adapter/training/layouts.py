"""Choose how a run's rows are laid out and attended: shared, if the model reads shared rows as it reads padded ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from ..data.collate import collate, collate_shared
from ..data.corpus import Corpus
from ..data.tokens import TokenizedExample
from ..loss.attention import BLOCK, WAYS, use_way
from .runlog import say

LIMITED = ("sliding_window", "attention_chunk_size", "window_size")  # names of a limited attention
STATELESS = {"full_attention", "sliding_attention", "chunked_attention"}
TOLERANCE = 0.1  # nats per token, root mean square
SHARE = 0.1  # of the largest error that a plain causal mask would make
READ = (96, 48, 2)  # tokens of a prompt, of a response, and responses that the probe reads

TokenLogProbs = Callable[[Mapping[str, Tensor]], Tensor]
Collate = Callable[..., dict[str, Tensor]]


@dataclass(frozen=True)
class Layout:
    """How rows are made and attended: a key of `collate.LAYOUTS`, and one of `attention.WAYS`."""

    name: str = "padded"
    way: str = "dense"

    @property
    def collate(self) -> Collate:
        """Makes a batch of examples.

        A dense mask grows with the square of a row, so rows are short; the other ways take one row without padding.
        """
        if self.name == "padded":
            return collate
        if self.way == "dense":
            return collate_shared
        blocks = {"multiple": BLOCK} if self.way == "flex" else {}

        return partial(collate_shared, row_length=math.inf, **blocks)


def choose_layout(
    layout: str,
    configs: Sequence[Any],
    examples: Sequence[TokenizedExample],
    log_probs: TokenLogProbs,
    ways: Sequence[str] = ("dense",),
) -> Layout:
    """Return the layout with the first way that the model takes, or padded, with a line that says why.

    Args:
        layout: a key of `collate.LAYOUTS`.
        configs: of the model, and of its frozen copy if there is one: they are set to the way.
        examples: tokenised examples of the run.
        log_probs: gives the model's (S,) token log-probabilities of a collated batch, in evaluation mode.
        ways: of attention, best first.
    """
    if layout == "padded":
        return Layout()

    reason = None
    for way in ways:
        chosen = Layout(layout, way)
        use_way(configs, way)
        reason = reason_against_shared(configs[0], examples, log_probs, chosen)
        if not reason:
            return chosen

    use_way(configs, "dense")
    if PartialState().is_main_process:
        say(f"row_layout: using padded rows instead of shared ones, because {reason}")

    return Layout()


def ways_for(device: str, attention: str | None, compiled: bool) -> Sequence[str]:
    """Return the ways to try: the models' own attention alone where a run names one, or is compiled.

    >>> ways_for("cpu", None, False), ways_for("cpu", "sdpa", False)
    (('segments', 'dense'), ('dense',))
    """
    return ("dense",) if attention or compiled else WAYS.get(device, ("dense",))


@torch.no_grad()
def reason_against_shared(
    config: Any,
    examples: Sequence[TokenizedExample],
    log_probs: TokenLogProbs,
    layout: Layout,
) -> str | None:
    """Return why a model cannot take shared rows, in a few words, or None if it can.

    Layers that pass a state from token to token are known by name. For the remaining models the beginnings of the
    longest and of the shortest example are read in both layouts, the shared one in a single row. This finds masks that
    the attention ignores or refuses, and positions from elsewhere (ALiBi). The largest error is compared with that of
    a plain causal mask, so the check works in any precision. Where an attention window is shorter than the longest
    example, the examples are read whole; a dense mask knows no windows and is refused.

    Args:
        config, examples, log_probs: as in `choose_layout`.
        layout: the layout to try.
    """
    lengths = Corpus.of(examples).shapes.lengths
    longest, shortest = examples[int(lengths.argmax())], examples[int(lengths.argmin())]
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    if kinds - STATELESS:
        return f"the model has layers of {', '.join(sorted(kinds - STATELESS))}"

    limited = False
    for name in LIMITED if kinds != {"full_attention"} else ():
        window = getattr(text, name, None)
        if isinstance(window, int) and window < longest.length:
            limited = True
            if layout.way == "dense" or name != "sliding_window":
                return f"the model's {name} is {window} tokens and an example has {longest.length}"

    probe = [longest, shortest] if limited else [beginning(longest), beginning(shortest)]
    shared = (partial(layout.collate, row_length=math.inf))(probe)
    causal = {name: value for name, value in shared.items() if name != "branches"}
    causal |= {"attention_mask": torch.ones_like(shared["input_ids"])}

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


def beginning(example: TokenizedExample) -> TokenizedExample:
    """Return the first tokens of an example, which cost little to read."""
    prompt, response, count = READ
    completions = tuple(ids[:response] for ids in example.completions[: count + 1])
    heads = tuple(ids[-prompt:] for ids in example.heads[: count + 1])
    start = example.prompt[-prompt:]
    return replace(example, prompt=start, completions=completions, heads=heads)
