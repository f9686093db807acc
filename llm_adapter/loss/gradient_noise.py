"""Measure the noise of the gradient over examples, at the input of the output head, in training's own backward pass.

For example i, g_i = Σ_t ∂L_i/∂h_t, t over the positions that predict the tokens of its responses. It is the gradient of
one parameter, a bias added to the last hidden state; the backward pass holds it already, so it costs one sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

import mi_estimators as mi

from .head import output_head


class HeadGradients:
    """Collect g_i for the examples of one optimiser step: `watching` the forward passes, `catch` after each loss.

    The gradients of a later step replace those of an earlier one, because the weights have moved.
    """

    def __init__(self) -> None:
        self._hidden: Tensor | None = None
        self._step: int | None = None
        self._gradients: list[Tensor] = []

    @contextmanager
    def watching(self, model: nn.Module, step: int = 0) -> Iterator[None]:
        """Keep the input of the model's head within this context, in a pass of this step."""
        if step != self._step:
            self._gradients.clear()
            self._step = step

        def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._hidden = inputs[0]

        head = output_head(model)
        with nullcontext() if head is None else head.register_forward_pre_hook(keep):
            yield

    def catch(self, loss: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Collect the gradients in the coming backward pass of `loss`, a mean over the batch's examples."""
        scale: list[Tensor] = []  # the trainer's factor of the loss: accumulation steps, fp16
        hidden, self._hidden = self._hidden, None
        if hidden is None or not hidden.requires_grad:
            return

        loss.register_hook(scale.append)

        def hand_over(gradient: Tensor) -> None:
            if not scale:
                return

            # in shared rows the end of a prompt predicts the first tokens of all its responses: it counts once
            sources = batch["sources"]
            _, index, times = sources.unique(return_inverse=True, return_counts=True)
            rows = gradient.flatten(0, -2)[sources].float() / times[index].unsqueeze(-1)
            sums = example_sums(rows, batch)
            self._gradients.append(sums * len(sums) / scale[0].float())

        hidden.register_hook(hand_over)

    def state(self) -> dict[str, Tensor]:
        """Return the gradients collected since `statistics` was called, for `set_state` of a resumed run."""
        return {"head_gradients": torch.cat(self._gradients)} if self._gradients else {}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned, among other tensors."""
        self._gradients = [tensors["head_gradients"]] if "head_gradients" in tensors else []

    def statistics(self, gather) -> dict[str, float]:
        """Return `gradient_noise/…` over the collected examples of all processes, and forget them; {} for fewer than 2.

        Args:
            gather: concatenates a tensor's rows over the processes, such as `accelerator.gather`.
        """
        if not self._gradients:
            return {}

        gradients = gather(torch.cat(self._gradients))
        self._gradients.clear()
        if len(gradients) < 2 or not torch.isfinite(gradients).all():
            return {}

        noise = mi.diagnostics.jackknife_statistics(gradients / len(gradients))
        return {
            "gradient_noise/variance": float(gradients.var(0).sum()),
            "gradient_noise/snr": noise.snr,
            "gradient_noise/scale": noise.noise_scale,
        }


def example_sums(rows: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Sum rows of the S response tokens, shape (S, d), over each example's responses, (B, d).

    >>> rows = torch.ones(6, 1)  # 2 and 1 tokens of the chosen responses, then 3 of the second example's rejected one
    >>> batch = {"lengths": torch.tensor([2, 1, 3]), "negatives": torch.tensor([[False], [True]])}
    >>> example_sums(rows, batch).tolist()
    [[2.0], [4.0]]
    """
    negatives = batch["negatives"]
    of_chosen = torch.arange(len(negatives), device=rows.device)
    example = torch.cat([of_chosen, negatives.nonzero()[:, 0]]).repeat_interleave(batch["lengths"])
    return rows.new_zeros(len(negatives), rows.shape[-1]).index_add(0, example, rows)
