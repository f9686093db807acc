"""Objective: every cell is the library's loss; batches, smoothing, ragged K and theory's words about them."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp
from torch.nn.functional import logsigmoid, softplus
from torch.testing import assert_close

import mi_estimators as mi
from llm_adapter.loss.objective import LINKS, Objective

Z = (
    torch.tensor([0.4, -0.3, 0.1], dtype=torch.float64),
    torch.tensor([[-0.2, 0.5], [0.1, 0.0], [-0.7, 0.3]], dtype=torch.float64),
)
MASK = torch.tensor([[True, True], [True, False], [True, True]])
ONE = torch.ones(3, 1, dtype=torch.bool)
FIRST = Z[1][:, 0]
PAIRS = (Z[0], FIRST[:, None], ONE)

ALL = [Objective(bound=bound) for bound in mi.preference.PREFERENCE_BOUNDS] + [
    Objective(loss=loss) for loss in mi.preference.ALTERNATIVES
]
objectives = pytest.mark.parametrize("objective", ALL, ids=lambda o: o.name)


@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
@pytest.mark.parametrize("mix", [0.5, 0.9, 1.0])
def test_library_loss(bound, mix):
    """A cell is the library's loss of βz."""
    losses = Objective(bound=bound, mix=mix, beta=0.3).losses(*Z, MASK)
    assert_close(losses, mi.preference_loss(0.3 * Z[0], 0.3 * Z[1], bound, mix, mask=MASK))


@pytest.mark.parametrize("loss", mi.preference.ALTERNATIVES)
def test_compared_loss(loss):
    """A compared loss is the mean over an example's pairs."""
    first = MASK.clone()
    first[:, 1] = False
    pair = mi.preference.ALTERNATIVES[loss]

    if loss in ("kto", "bco"):  # their threshold is the batch's mean reward
        mean = 0.3 * torch.cat([Z[0], FIRST]).mean()
        option = {"kto": "reference_point", "bco": "shift"}[loss]
        threshold = mean.clamp_min(0) if loss == "kto" else mean
        expected = pair(Z[0], FIRST, 0.3, **{option: threshold})
    else:
        expected = pair(Z[0], FIRST, 0.3)
        second = pair(Z[0], Z[1][:, 1], 0.3)
        both = (expected + second) / 2
        losses = Objective(loss=loss, beta=0.3).losses(*Z, torch.ones_like(MASK))
        assert_close(losses, both)

    assert_close(Objective(loss=loss, beta=0.3).losses(*Z, first), expected)


@objectives
def test_absent_negatives(objective):
    """Absent negatives do not count."""
    other = Z[1].clone()
    other[1, 1] = 3.0  # absent in MASK

    assert_close(objective.losses(Z[0], other, MASK), objective.losses(*Z, MASK))

    pull, push = objective.coefficients(*Z, MASK)
    assert pull.shape == (3,)
    assert push[1, 1] == 0


@objectives
def test_coefficients(objective):
    def total(shift_w, shift_l):
        return objective.losses(Z[0] + shift_w, Z[1] + shift_l, MASK).sum().item()

    pull, push = objective.coefficients(*Z, MASK)
    if objective.loss not in ("kto", "bco"):  # their thresholds move with a finite step
        h = 1e-6
        assert -(total(h, 0) - total(-h, 0)) / (2 * h) == pytest.approx(
            objective.beta * pull.sum().item(), abs=1e-4
        )
        assert (total(0, h) - total(0, -h)) / (2 * h) == pytest.approx(
            objective.beta * push.sum().item(), abs=1e-4
        )

    assert pull.isfinite().all()


def test_smoothing():
    """Smoothing turns one label round."""
    smoothed = Objective("dv", beta=0.3, label_smoothing=0.1).losses(*PAIRS)
    margin = 0.3 * (Z[0] - FIRST)
    kept, flipped = (logsigmoid(sign * margin) for sign in (1, -1))
    published = -0.9 * kept - 0.1 * flipped

    assert_close(smoothed, published)  # conservative DPO (Mitchell 2023)

    ragged = Objective("js", label_smoothing=0.1).losses(*Z, MASK)
    chosen, rejected = 0.1 * Z[0][1:2], 0.1 * Z[1][1:2, 0]
    straight = mi.preference_loss(chosen, rejected)
    swapped = mi.preference_loss(rejected, chosen)

    assert_close(ragged[1:2], 0.9 * straight + 0.1 * swapped)


def test_batch_negatives():
    losses = Objective("infonce", beta=0.3, negatives="batch").losses(*Z, MASK)
    flat = 0.3 * Z[1][MASK]
    expected = [torch.cat([0.3 * z[None], flat]).logsumexp(0) - 0.3 * z for z in Z[0]]

    assert_close(losses, torch.stack(expected))

    pure = Objective("dv", mix=1.0, beta=0.3, negatives="batch").losses(*Z, MASK).mean()
    assert_close(pure, -mi.dv(0.3 * Z[0], flat))  # one DV bound of the batch


@objectives
def test_start_and_floor(objective):
    """The theory names the start and a floor below it."""
    theory = objective.theory([2, 1, 2])
    assert theory["loss_start"] == pytest.approx(
        objective.losses(0 * Z[0], 0 * Z[1], MASK).mean().item(), abs=1e-9
    )
    assert theory["loss_floor"] is None or theory["loss_floor"] < theory["loss_start"]


def test_void_theory():
    """The theory says nothing where a setting voids it."""
    theory = Objective(mix=0.75).theory([1])
    assert theory["no_collapse_interval"] == list(mi.no_collapse_interval(0.75))
    assert theory["loss_floor"] == mi.preference_loss_floor(0.75)

    nothing = Objective("dv", mix=1.0).theory([1, 3])
    assert nothing == dict.fromkeys(nothing) | {"loss_start": 0.0}
    assert Objective(label_smoothing=0.1).theory([1])["no_collapse_interval"] is None
    assert Objective("infonce", negatives="batch").theory([1])["loss_start"] is None
    assert "at most ln 2" in Objective("dv").theory([1])["bounds"]
    assert Objective("dv").theory([2])["bounds"] is None
    assert "JSD" in Objective().theory([2])["bounds"]


EVERY = [*ALL, Objective(negatives="batch"), Objective("infonce", negatives="batch")]


EVERY += [Objective(loss=loss, label_smoothing=0.1) for loss in ("kto", "bco")]


@pytest.mark.parametrize("objective", EVERY, ids=lambda o: o.name)
def test_theory_of_one_process(objective, monkeypatch):
    """The theory asks no other process."""

    # Gathering tensors of the CPU under nccl fails, and one process alone would wait for ever
    def asked(*_):
        raise AssertionError("expected no collective call")

    monkeypatch.setattr("llm_adapter.loss.objective.of_all_processes", asked)
    assert objective.theory([1, 2])


@pytest.mark.parametrize(
    "objective", [Objective(negatives="batch", label_smoothing=0.1), *EVERY[-2:]]
)
def test_unequal_processes(objective):
    """Processes of unequal K ask one another equally often."""
    turns_at = 2  # the first is the loss itself, the second asks for the number of turns

    def calls(mask, largest):
        count = []

        def everyone(values):
            count.append(values)
            return values.new_tensor([1.0, largest]) if len(count) == turns_at else values

        losses = objective.losses(Z[0], Z[1][:, : mask.shape[1]], mask, everyone)
        return len(count), losses

    one, own = calls(MASK[:, :1], 2.0)
    two, _ = calls(MASK, 2.0)

    assert one == two
    # The turn of another process changes nothing here
    assert_close(own, calls(MASK[:, :1], 1.0)[1])


@pytest.mark.parametrize("loss", ["kto", "bco"])
def test_lacking_turn(loss):
    """A turn that an example lacks leaves it as it is."""
    objective = Objective(loss=loss, beta=0.3, label_smoothing=0.1)
    means = []

    def everyone(values):
        means.append(values.sum().item())
        return values

    objective.losses(*Z, MASK, everyone)
    # Of the loss, then of each turn: the same responses, so the same threshold
    rewards = [means[0], *means[2:]]

    assert rewards == pytest.approx([rewards[0]] * 3)


T = [z.exp() for z in Z]  # π/π_ref
DERIVATIVES = {  # f'(t) of each divergence
    "reverse_kl": lambda t: t.log() + 1,
    "forward_kl": lambda t: -1 / t,
    "js_divergence": lambda t: (2 * t / (1 + t)).log(),
    "chi_squared": lambda t: t - 1 + t.log() + 1,
    "log_squared": lambda t: t.log() / t,
}


@pytest.mark.parametrize("name", LINKS)
def test_f_dpo(name):
    """Another divergence is f-DPO.

    DPO of the scores β f'(π/π_ref), Wang et al. 2023, eq. 7; a constant of f' cancels.
    """
    objective = Objective("dv", beta=0.3, f_divergence=name)
    scores = [0.3 * DERIVATIVES[name](t) for t in T]
    expected = -logsigmoid(scores[0] - scores[1][:, 0])

    assert_close(objective.losses(*PAIRS), expected)
    assert objective.theory([1])["loss_start"] == pytest.approx(math.log(2))

    far = torch.tensor([1e4, -1e4]), torch.tensor([[-1e4], [1e4]])
    pull, push = objective.coefficients(*far, torch.ones(2, 1, dtype=torch.bool))

    assert pull.isfinite().all()
    assert push.isfinite().all()


@pytest.mark.parametrize(
    ("name", "most", "last"), [("log_squared", 1.1401, 0.7360), ("reverse_kl", 9.82, 9.82)]
)
def test_squared_po(name, most, last):
    """Squared PO lowers the chosen response of a table.

    π_w/π_ref under gradient flow in the logits to t = 10⁵, π_ref = (.1, .1, .8), one pair; DPO's only rises.
    """
    objective = Objective("dv", beta=1.0, f_divergence=name)
    reference = torch.tensor([0.1, 0.1, 0.8], dtype=torch.float64).log()

    def slope(_, values):
        logits = torch.tensor(values, requires_grad=True)
        z = logits.log_softmax(-1) - reference
        loss = objective.losses(z[:1], z[1:2, None], torch.ones(1, 1, dtype=torch.bool))
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        return -gradient.numpy()

    options = {"method": "LSODA", "rtol": 1e-8, "atol": 1e-10}
    path = torch.tensor(solve_ivp(slope, (0, 1e5), reference.numpy(), **options).y)
    ratios = (path.log_softmax(0)[0] - reference[0]).exp()

    assert ratios.max().item() == pytest.approx(most, rel=1e-3)
    assert ratios[-1].item() == pytest.approx(last, rel=1e-3)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_robust_loss(rate):
    """The robust loss is unbiased under flipped labels.

    Its mean over flips of rate ε is the clean loss: Chowdhury et al. 2024 (arXiv 2403.00409), eq. 6.
    """
    pair, swapped = (Z[0], Z[1][:, :1]), (FIRST, Z[0][:, None])
    robust = Objective("dv", beta=0.3, label_smoothing=rate, robust=True)
    mean = (1 - rate) * robust.losses(*pair, ONE) + rate * robust.losses(*swapped, ONE)

    assert_close(mean, Objective("dv", beta=0.3).losses(*pair, ONE))
    assert robust.theory([1])["loss_start"] == pytest.approx(math.log(2))


def test_simpo_margin():
    """SimPO has its margin.

    −ln σ(β(z_w − z_l) − γ), Meng et al. 2024 (arXiv 2405.14734), eq. 6, with z the mean ln π.
    """
    objective = Objective("dv", beta=2.0, reference_free=True, target_margin=0.7, log_ratio="mean")
    margin = Z[0] - FIRST
    expected = -logsigmoid(2 * margin - 0.7)
    assert_close(objective.losses(*PAIRS), expected)


def test_loss_weights():
    """A sum of losses has its weights."""
    terms = {"dv": Objective("dv"), "js@1": Objective("js", mix=1.0), "sft": Objective(loss="sft")}
    weights = {"dv": 0.8, "js@1": 0.2, "sft": 1.0}
    total = Objective("dv", loss="0.8*dv + 0.2*js@1 + sft")
    expected = sum(weights[name] * part.losses(*Z, MASK) for name, part in terms.items())

    assert_close(total.losses(*Z, MASK), expected)

    start = 0.8 * math.log(2) + 0.2 * 2 * math.log(2)
    assert Objective("dv", loss="0.8*dv + 0.2*js@1 + sft").theory([1])["loss_start"] == (
        pytest.approx(start)
    )
    assert total.name == "0.8-dv-0.2-js-1-sft"

    for loss in ("dv", "2*nothing", "x*dv + sft", "js@2 + dv", "js@ + dv"):
        with pytest.raises(ValueError, match=r"^loss: expected "):
            Objective(loss=loss)


@pytest.mark.parametrize("bound", ["dv", "js", "nwj"])
def test_automatic_mix(bound):
    """An automatic mix is that of each example.

    K/(K + 1): one half for a pair, two thirds for two rejected responses; for dv it is infonce.
    """
    losses = Objective(bound, mix="auto", beta=0.3).losses(*Z, MASK)
    for row, mix in enumerate((2 / 3, 1 / 2, 2 / 3)):
        here = slice(row, row + 1)
        alone = Objective(bound, mix=mix, beta=0.3).losses(Z[0][here], Z[1][here], MASK[here])
        assert_close(losses[here], alone)

    if bound == "dv":
        assert_close(losses, Objective("infonce", beta=0.3).losses(*Z, MASK))


def test_mean_theory():
    """The theory of an automatic mix is the mean."""
    theory = Objective("js", mix="auto").theory([1, 3])
    floors = [mi.preference_loss_floor(mix) for mix in (0.5, 0.75)]
    anchors = [mi.preference_anchor(mix) for mix in (0.5, 0.75)]

    assert theory["loss_floor"] == pytest.approx(sum(floors) / 2)
    assert theory["anchor"] == pytest.approx(sum(anchors) / 2)
    assert theory["no_collapse_interval"] == list(mi.no_collapse_interval(0.75))
    assert Objective("js", mix="auto").name == "js-auto"


def test_clipped_chi_po():
    """χPO is clipped.

    −ln σ(clip(β(φ(z_w) − φ(z_l)), ±2 R_max)), φ(z) = z + e^z: Huang et al. 2024 (arXiv 2407.13399), algorithm 1.
    """
    objective = Objective("dv", beta=0.3, f_divergence="chi_squared", clip_margin=0.2)
    scores = [0.3 * (z + z.exp()) for z in (Z[0], FIRST)]
    margins = scores[0] - scores[1]

    assert ((margins.abs() > 0.2).tolist()) == [True, True, True]

    expected = -logsigmoid(margins.clamp(-0.2, 0.2))
    assert_close(objective.losses(*PAIRS), expected)

    pull, push = objective.coefficients(*PAIRS)
    assert pull.tolist() == [0.0] * 3
    assert push[:, 0].tolist() == [0.0] * 3

    wide = Objective("dv", beta=0.3, f_divergence="chi_squared", clip_margin=1e3)
    plain = Objective("dv", beta=0.3, f_divergence="chi_squared")

    assert_close(wide.losses(*Z, MASK), plain.losses(*Z, MASK))

    far = torch.tensor([1e4, -1e4]), torch.tensor([[-1e4], [1e4]])
    losses = objective.losses(*far, torch.ones(2, 1, dtype=torch.bool))
    expected = softplus(torch.tensor([-0.2, 0.2]))

    assert_close(losses, expected)
    assert wide.theory([1])["loss_start"] == pytest.approx(math.log(2))
    assert wide.theory([1])["loss_floor"] is None


@pytest.mark.parametrize("bound", ["dv", "infonce"])
def test_clipped_alone(bound):
    """Each rejected response is clipped alone."""
    clipped = Objective(bound, beta=1.0, clip_margin=0.5).losses(*Z, MASK)
    chosen = Z[0].unsqueeze(-1)
    near = chosen - (chosen - Z[1]).clamp(-0.5, 0.5)
    assert_close(clipped, Objective(bound, beta=1.0).losses(Z[0], near, MASK))


@pytest.mark.parametrize("kl", [-0.3, 0.0, 0.4])
def test_kto(kl):
    """KTO is the paper's at a given reference point.

    λ_y − v, v = σ(β(z_w − z₀)) and σ(β(z₀ − z_l)), z₀ = max(0, KL): Ethayarajh et al. 2024, equations 7 and 8.
    """
    point = max(0.0, kl)
    chosen = torch.sigmoid(0.3 * (Z[0] - point))
    rejected = torch.sigmoid(0.3 * (point - FIRST))
    expected = 2 - chosen - rejected
    objective = Objective(loss="kto", beta=0.3, reference_point=kl)

    assert_close(objective.losses(*PAIRS), expected)

    bco = Objective(loss="bco", beta=0.3)
    other = Objective(loss="bco", beta=0.3, reference_point=kl)  # it has a threshold of its own

    assert_close(other.losses(*Z, MASK), bco.losses(*Z, MASK))


@objectives
def test_split_losses(objective):
    """A loss that splits is a sum of its halves.

    L(z_w, z_l) + L(0, 0) = L(z_w, 0) + L(0, z_l) for the losses that take responses to different prompts.
    """
    zero = torch.zeros(3, dtype=torch.float64)
    points = {"reference_point": 0.1} if objective.loss == "kto" else {}
    if objective.loss == "bco":
        return  # its threshold is the mean of both halves

    objective = Objective(objective.bound, loss=objective.loss, beta=2.0, **points)

    def loss(chosen, rejected):
        return objective.losses(chosen, rejected.unsqueeze(-1), ONE)

    whole = loss(Z[0], FIRST) + loss(zero, zero)
    halves = loss(Z[0], zero) + loss(zero, FIRST)

    assert torch.allclose(whole, halves, atol=1e-6) == objective.splits
