"""Noise of the gradient over examples, read at the input of the output head in the backward pass that training makes.

The gradient of example i's loss with respect to a vector added to the head's input at every position is
g_i = Σ_t ∂L_i/∂h_t, t over the positions that predict its responses' tokens. It is what that example says to one real
parameter, a bias of the last hidden state, and a backward pass holds it already: reading it costs a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

import mi_estimators as mi

from .logprobs import output_head


class HeadGradients:
    """Collect g_i of the examples of one optimiser step: `watching` the forward passes, `catch` after each loss.

    A later step's take the place of an earlier one's: the weights have moved in between.
    """

    def __init__(self) -> None:
        self._hidden: Tensor | None = None
        self._step: int | None = None
        self._found: list[Tensor] = []

    @contextmanager
    def watching(self, model: nn.Module, step: int = 0) -> Iterator[None]:
        """Keep what the head of `model` sees within this context, in a pass of this step."""
        if step != self._step:
            self._found.clear()
            self._step = step

        def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._hidden = inputs[0]

        head = output_head(model)
        with (
            nullcontext() if head is None else head.register_forward_pre_hook(keep)
        ):  # without a head, no reading
            yield

    def catch(self, loss: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Let the coming backward pass of `loss`, a mean over the batch's examples, hand over their gradients."""
        scale: list[
            Tensor
        ] = []  # by which the trainer multiplies the loss: accumulation steps, fp16
        hidden, self._hidden = self._hidden, None
        if hidden is None or not hidden.requires_grad:
            return
        loss.register_hook(scale.append)

        def hand_over(gradient: Tensor) -> None:
            if scale:
                # in shared rows the end of a prompt predicts the first tokens of all its responses: it counts once
                _, which, times = batch["sources"].unique(return_inverse=True, return_counts=True)
                rows = gradient.flatten(0, -2)[batch["sources"]].float() / times[which].unsqueeze(
                    -1
                )
                found = example_sums(rows, batch)
                self._found.append(found * len(found) / scale[0].float())

        hidden.register_hook(hand_over)

    def state(self) -> dict[str, Tensor]:
        """Return what was caught since the last call of `statistics`, by name, for `set_state` of a resumed run."""
        return {"head_gradients": torch.cat(self._found)} if self._found else {}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned, among other tensors."""
        self._found = [tensors["head_gradients"]] if "head_gradients" in tensors else []

    def statistics(self, gather) -> dict[str, float]:
        """Return `gradient_noise/…` of the examples caught since the last call, of all processes; {} for fewer than 2.

        Args:
            gather: concatenates a tensor's rows over the processes, such as `accelerator.gather`.
        """
        if not self._found:
            return {}
        gradients = gather(torch.cat(self._found))
        self._found.clear()
        if len(gradients) < 2 or not torch.isfinite(gradients).all():
            return {}
        found = mi.diagnostics.jackknife_statistics(gradients / len(gradients))
        return {
            "gradient_noise/variance": float(gradients.var(0).sum()),
            "gradient_noise/snr": found.snr,
            "gradient_noise/scale": found.noise_scale,
        }


def example_sums(rows: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Sum rows of the S response tokens, shape (S, d), over each example's responses, (B, d).

    >>> rows = torch.ones(6, 1)  # of tokens: 2 and 1 of the chosen, then 3 of the second example's rejected
    >>> batch = {"lengths": torch.tensor([2, 1, 3]), "negatives": torch.tensor([[False], [True]])}
    >>> example_sums(rows, batch).tolist()
    [[2.0], [4.0]]
    """
    negatives = batch["negatives"]
    of_chosen = torch.arange(len(negatives), device=rows.device)
    example = torch.cat([of_chosen, negatives.nonzero()[:, 0]]).repeat_interleave(batch["lengths"])
    return rows.new_zeros(len(negatives), rows.shape[-1]).index_add(0, example, rows)
