"""A classifier as a critic, for a side that is a label: T(x, c) = ln p(c | x) − ln p(c).

It is normalised: E_Q eᵀ = 1. So it needs no negatives and no calibration. Its mean on held-out rows is H(c) less the
classifier's cross-entropy, a lower bound of I(X; C).
"""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ..decompose import decomposed

# Validation rows choose a shrinkage and a prior count; the mixture weighs both numbers of neighbours.
_SHRINKAGES = (0.001, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9)
_NEIGHBOURS = (8, 24)
_PRIOR_COUNTS = (0.3, 1.0, 3.0, 10.0, 30.0)
# Of the softmax network.
_WIDTH, _BATCH, _RATE, _EVALUATE_EVERY, _PATIENCE = 64, 256, 3e-3, 40, 4
_DECAY = 0.95  # of the average of weights, a step
_ROUNDS = 50  # of expectation–maximisation
_TINY = 1e-12  # variance where all columns are constant


class Codes(nn.Module):
    """The number of each row among the distinct rows of a fitted side; −1 for a row not seen there."""

    values: Tensor

    def __init__(self, rows: Float[Tensor, "n d"]) -> None:
        super().__init__()
        self.register_buffer("values", rows.unique(dim=0))

    def forward(self, rows: Float[Tensor, "*batch n d"]) -> Int[Tensor, "*batch n"]:
        """Return the numbers, shape (..., n)."""
        both = torch.cat([self.values, rows.flatten(0, -2)])
        _, code = both.unique(dim=0, return_inverse=True)
        known = len(self.values)
        places = code.new_full((int(code.max()) + 1,), -1)
        places[code[:known]] = torch.arange(known, device=code.device)
        return places[code[known:]].view(rows.shape[:-1])


class Discriminant(nn.Module):
    """Linear discriminant analysis with the shrunk covariance (1 − λ)S + λ tr(S)/d."""

    values: Tensor
    vectors: Tensor
    means: Tensor
    log_prior: Tensor

    def __init__(
        self,
        x: Float[Tensor, "n d"],
        code: Int[Tensor, " n"],
        log_prior: Float[Tensor, " c"],
    ) -> None:
        super().__init__()
        member = one_hot(code, len(log_prior)).to(x)
        counts = member.sum(0).clamp_min(1)
        means = (member.T @ x) / counts[:, None]
        centred = x - means[code]
        values, vectors = decomposed(torch.linalg.eigh, centred.T @ centred / len(x))
        self.register_buffer("values", values.clamp_min(0))
        self.register_buffer("vectors", vectors)
        self.register_buffer("means", means @ vectors)
        self.register_buffer("log_prior", log_prior)
        self.shrinkage = 0.1

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return ln p(c | x)."""
        level = self.values.mean().clamp_min(_TINY)
        spread = (1 - self.shrinkage) * self.values + self.shrinkage * level
        means = self.means / spread
        sizes = (means * self.means).sum(1)
        scores = (x @ self.vectors) @ means.T - sizes / 2
        return (scores + self.log_prior).log_softmax(-1)


class NearestClasses(nn.Module):
    """The classes of the k nearest training rows, with the prior as one row more."""

    x: Tensor
    code: Tensor
    log_prior: Tensor

    def __init__(
        self,
        x: Float[Tensor, "n d"],
        code: Int[Tensor, " n"],
        log_prior: Float[Tensor, " c"],
        neighbours: int,
    ) -> None:
        super().__init__()
        self.register_buffer("x", x)
        self.register_buffer("code", code)
        self.register_buffer("log_prior", log_prior)
        self.neighbours = min(neighbours, len(x))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return ln p(c | x)."""
        distances = torch.cdist(x, self.x)
        nearest = distances.topk(self.neighbours, largest=False).indices
        counts = one_hot(self.code[nearest], len(self.log_prior)).sum(1)
        shares = (counts + self.log_prior.exp()) / (self.neighbours + 1)
        return shares.log()


class ClassCounts(nn.Module):
    """The classes of the training rows with the same x, with the prior as α rows more."""

    counts: Tensor
    log_prior: Tensor

    def __init__(
        self,
        x: Float[Tensor, "n d"],
        code: Int[Tensor, " n"],
        log_prior: Float[Tensor, " c"],
    ) -> None:
        super().__init__()
        self.codes = Codes(x)
        counts = x.new_zeros(len(self.codes.values) + 1, len(log_prior))
        own = self.codes(x)
        one = torch.ones_like(own, dtype=x.dtype)
        counts.index_put_((own, code), one, accumulate=True)
        self.register_buffer("counts", counts)
        self.register_buffer("log_prior", log_prior)
        self.prior_rows = 1.0

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return ln p(c | x); the prior where x is new."""
        counts = self.counts[self.codes(x)]  # the last row, −1, is empty
        total = counts.sum(-1, keepdim=True) + self.prior_rows
        return ((counts + self.prior_rows * self.log_prior.exp()) / total).log()


class SoftmaxNetwork(nn.Module):
    """A small network with a softmax, stopped on validation rows."""

    log_prior: Tensor

    def __init__(self, columns: int, log_prior: Float[Tensor, " c"]) -> None:
        super().__init__()
        last = nn.Linear(_WIDTH, len(log_prior))
        self.network = nn.Sequential(
            nn.Linear(columns, _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH), nn.SiLU(), last
        )
        self.skip = nn.Linear(columns, len(log_prior), bias=False)
        self.register_buffer("log_prior", log_prior)

        for layer in (last, self.skip):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return ln p(c | x)."""
        return (self.network(x) + self.skip(x) + self.log_prior).log_softmax(-1)


class Classifier(nn.Module):
    """A critic of (x, c) from a mixture of classifiers: T = ln Σ_e w_e p_e(c | x) − ln p(c), shape (..., n, m).

    Args:
        experts: modules x → ln p(c | x).
        weights: of the experts, shape (e,).
        codes: which class a row of the label's side is.
        log_prior: ln p(c), shape (c,).
        label_first: whether x is the label, rather than y.
    """

    pairwise = False
    weights: Tensor
    log_prior: Tensor

    def __init__(
        self,
        experts: list[nn.Module],
        weights: Float[Tensor, " e"],
        codes: Codes,
        log_prior: Float[Tensor, " c"],
        *,
        label_first: bool,
    ) -> None:
        super().__init__()
        self.experts, self.codes, self.label_first = nn.ModuleList(experts), codes, label_first
        self.register_buffer("weights", weights)
        self.register_buffer("log_prior", log_prior)

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix in nats; 0 for a label that was not seen in training."""
        features, label = (y, x) if self.label_first else (x, y)
        flat = features.flatten(0, -2)
        log_p = torch.stack([expert(flat) for expert in self.experts])
        log_weights = self.weights.log()[:, None, None]
        ratios = (log_p + log_weights).logsumexp(0) - self.log_prior
        ratios = torch.cat([ratios, torch.zeros_like(ratios[:, :1])], 1)  # −1: not seen
        ratios = ratios.view(*features.shape[:-1], -1)

        code, unseen = self.codes(label), ratios.shape[-1] - 1
        code = code.where(code >= 0, unseen).unsqueeze(-2)
        code = code.expand(*ratios.shape[:-1], label.shape[-2])
        scores = ratios.gather(-1, code)
        return scores.mT if self.label_first else scores


def fit_classifier(
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    label: int,
    steps: int = 2000,
) -> tuple[Classifier, list[dict[str, float]]]:
    """Fit a mixture of classifiers of the label's side from the other, with weights from validation rows.

    Args:
        train, valid: rows of x and y; the label's side as its own columns.
        label: which side is the label, 0 for x.
        steps: maximum number of optimiser steps of the network.

    Returns:
        The critic, and the history of the network's training.

    Reference: Ledoit & Wolf 2004 (shrinkage); McAllester & Stratos 2020 (a difference of entropies).
    """
    x, valid_x = train[1 - label], valid[1 - label]
    codes = Codes(train[label])
    code, valid_code = codes(train[label]), codes(valid[label])
    seen = valid_code >= 0
    valid_x, valid_code = valid_x[seen], valid_code[seen]

    frequency = torch.bincount(code, minlength=len(codes.values)).to(x)
    log_prior = (frequency / frequency.sum()).log()

    network = SoftmaxNetwork(x.shape[1], log_prior).to(x)
    network, history = _trained(network, (x, code), (valid_x, valid_code), steps)

    experts: list[nn.Module] = [network, Discriminant(x, code, log_prior)]
    _choose(experts[1], "shrinkage", _SHRINKAGES, valid_x, valid_code)
    experts += [NearestClasses(x, code, log_prior, k) for k in _NEIGHBOURS]
    if len(x.unique(dim=0)) * 2 < len(x):  # so many rows repeat that a table says something
        experts.append(ClassCounts(x, code, log_prior))
        _choose(experts[-1], "prior_rows", _PRIOR_COUNTS, valid_x, valid_code)

    with torch.no_grad():
        rows = torch.arange(len(valid_x), device=x.device)
        likelihood = [expert(valid_x)[rows, valid_code] for expert in experts]
        weights = mixture_weights(torch.stack([*likelihood, log_prior[valid_code]]))

    experts.append(_Prior(log_prior))
    return Classifier(experts, weights, codes, log_prior, label_first=label == 0), history


class _Prior(nn.Module):
    """The classes' frequencies, whatever x is."""

    log_prior: Tensor

    def __init__(self, log_prior: Float[Tensor, " c"]) -> None:
        super().__init__()
        self.register_buffer("log_prior", log_prior)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return ln p(c)."""
        return self.log_prior.expand(len(x), -1)


def mixture_weights(log_likelihood: Float[Tensor, "e n"]) -> Float[Tensor, " e"]:
    """Return the weights of the mixture that gives the rows the highest likelihood, by expectation–maximisation.

    >>> mixture_weights(torch.tensor([[0.0, 0.0], [-30.0, -30.0]])).round(decimals=3).tolist()
    [1.0, 0.0]
    """
    weights = log_likelihood.new_full((len(log_likelihood),), 1 / len(log_likelihood))
    for _ in range(_ROUNDS):
        shares = (log_likelihood + weights.log()[:, None]).softmax(0)
        weights = shares.mean(1).clamp_min(_TINY)
    return weights / weights.sum()


@torch.no_grad()
def _choose(
    expert: nn.Module,
    name: str,
    values: tuple[float, ...],
    x: Tensor,
    code: Tensor,
) -> None:
    """Set an attribute to the value that does best on validation rows."""

    def likelihood(value: float) -> float:
        setattr(expert, name, value)
        return -float(cross_entropy(expert(x), code))

    setattr(expert, name, max(values, key=likelihood))


def _trained(
    network: SoftmaxNetwork,
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    steps: int,
) -> tuple[SoftmaxNetwork, list[dict[str, float]]]:
    """Train on the rows and keep the averaged weights that do best on validation rows."""
    (x, code), (valid_x, valid_code) = train, valid
    size = min(_BATCH, len(x))
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps + 1)
    moving_average = torch.optim.swa_utils.get_ema_multi_avg_fn(_DECAY)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=moving_average)

    best, kept, history = math.inf, 0, []
    state = copy.deepcopy(network.state_dict())
    entropy = float(cross_entropy(network.log_prior.expand(len(valid_x), -1), valid_code))
    for step in range(steps + 1):
        rows = torch.randint(len(x), (size,), device="cpu").to(x.device)
        loss = cross_entropy(network(x[rows]), code[rows])
        if step % _EVALUATE_EVERY == 0 or step == steps:
            with torch.no_grad():
                value = float(cross_entropy(average.module(valid_x), valid_code))
            train_gain = entropy - float(loss.detach())
            history.append({"step": step, "train": train_gain, "validation": entropy - value})

            if value < best:
                best, kept = value, step
                state = copy.deepcopy(average.module.state_dict())
            elif step - kept >= _PATIENCE * _EVALUATE_EVERY:
                break

        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(network)

    network.load_state_dict(state)
    return network.eval(), history
