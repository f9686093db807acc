"""Collapse on a small causal transformer: every loss on pairs of sequences that share a chosen number of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ...models.training import descend
from ...models.transformer import log_likelihood, sample, transformer
from .losses import LOSSES, intervals, repeat, train, tuned


@dataclass(frozen=True)
class Sequences:
    """Every loss on a two-layer causal transformer; rejected responses share `shared` of `response` tokens with chosen.

    Attributes:
        shared: positions at which the two responses of a pair agree.
        losses, betas, rates: as in `Responses`.
        replicas: independent laws, rewards, base policies and pairs.
        pairs, evaluated: training pairs, and prompts whose sampled responses are rewarded, per replica.
        vocabulary, prompt, response, width: sizes.
        imitated: "law": the base policy imitates fresh sequences of the law; "pairs": both responses of the pairs.
        corpus, sft_steps, sft_rate: number of fresh sequences, and how they are imitated.
        steps: of plain descent on the preferences.
    """

    shared: int
    imitated: str = "pairs"
    losses: tuple[str, ...] = tuple(LOSSES)
    betas: tuple[float, ...] = (0.05, 0.2, 1.0)
    rates: tuple[float, ...] = (0.002, 0.01)
    replicas: int = 6
    pairs: int = 16
    evaluated: int = 128
    vocabulary: int = 12
    prompt: int = 2
    response: int = 6
    width: int = 32
    corpus: int = 96
    sft_steps: int = 300
    sft_rate: float = 0.3
    steps: int = 60


def overlapping_pairs(
    spec: Sequences, chain: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw `count` pairs of sequences (R, count, length) from a Markov chain (R, V, V) that agree where they must.

    Both share the prompt and `shared` random positions of the response; elsewhere the second has another token, drawn
    from the chain without the first one's.
    """
    replicas, vocabulary = chain.shape[:2]
    first = torch.randint(vocabulary, (replicas, count, 1), generator=generator)
    rank = torch.rand(replicas, count, spec.response, generator=generator).argsort(-1)
    keep = torch.cat(
        [torch.ones(replicas, count, spec.prompt, dtype=torch.bool), rank < spec.shared], -1
    )
    one, two = first, first

    for k in range(1, spec.prompt + spec.response):
        own = _step(chain, one[..., -1], None, generator)
        other = torch.where(
            keep[..., k],
            own,
            _step(chain, two[..., -1], own, generator),
        )
        one = torch.cat([one, own[..., None]], -1)
        two = torch.cat([two, other[..., None]], -1)

    return one, two


def _step(
    chain: Tensor, token: Tensor, barred: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Draw the next token (R, N) after `token`, other than `barred`."""
    log_p = chain.log().gather(1, token[..., None].expand(-1, -1, chain.shape[-1]))
    if barred is not None:
        log_p = log_p.scatter(-1, barred[..., None], -torch.inf)
    return (log_p - torch.rand(log_p.shape, generator=generator).log().neg().log()).argmax(-1)


def sequences(spec: Sequences, seed: int) -> tuple[dict, dict]:
    """Imitate a law of sequences, prefer those of higher reward, descend every loss; gain: rise of the mean reward."""
    generator = torch.Generator().manual_seed(seed)
    size, length = (spec.replicas, spec.vocabulary), spec.prompt + spec.response
    chain = (1.5 * torch.randn(*size, spec.vocabulary, generator=generator)).softmax(-1)
    worth = torch.randn(*size, generator=generator)

    def reward(tokens: Tensor, value: Tensor) -> Tensor:
        """Return the mean worth of the response's tokens, (R, N)."""
        answer = tokens[..., spec.prompt :]
        return value.gather(1, answer.flatten(1)).view(answer.shape).mean(-1)

    one, two = overlapping_pairs(spec, chain, spec.pairs, generator)
    better = (reward(one, worth) > reward(two, worth))[..., None]
    pairs = torch.cat([torch.where(better, one, two), torch.where(better, two, one)], 1)
    corpus = (
        pairs
        if spec.imitated == "pairs"
        else overlapping_pairs(spec, chain, spec.corpus, generator)[0]
    )

    parameters = descend(
        lambda p: (-log_likelihood(p, corpus, 1).mean(-1) / (length - 1), None),
        transformer(spec.replicas, spec.vocabulary, length, spec.width, generator),
        spec.sft_steps,
        spec.sft_rate,
    )

    fresh = overlapping_pairs(spec, chain, spec.evaluated, generator)[0][..., : spec.prompt]
    noise = int(torch.randint(2**31, (), generator=generator))

    def mean_reward(p: list[Tensor], times: int) -> Tensor:
        drawn = sample(
            p,
            repeat(fresh, times),
            length,
            torch.Generator().manual_seed(noise),
        )
        return reward(drawn, repeat(worth, times)).mean(-1).view(times, -1)

    settings = list(product(spec.betas, spec.rates))
    start = [repeat(p, len(settings)) for p in parameters]
    text, reference = (
        repeat(t, len(settings)) for t in (pairs, log_likelihood(parameters, pairs, spec.prompt))
    )
    before = mean_reward(parameters, 1)

    def log_ratios(p: list[Tensor]) -> tuple[Tensor, Tensor]:
        z_w, z_l = (log_likelihood(p, text, spec.prompt) - reference).chunk(2, -1)
        return z_w, z_l

    measured = {}
    for name in spec.losses:
        rows, last = train(name, log_ratios, start, settings, spec.steps)
        for row, gain in zip(rows, mean_reward(last, len(settings)) - before, strict=True):
            row["gain"] = gain.tolist()
        measured[name] = {"settings": rows, "tuned": tuned(rows)}

    best = worth.max(-1).values.mean()

    return {
        "start": {"reward": float(before.mean()), "best_token": float(best)},
        "losses": measured,
    }, intervals()
