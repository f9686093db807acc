"""The offline experiment: its plan, its readings at equal displacement, and the kernel behind T1's prediction."""

import json
import math
import signal
from pathlib import Path

import pytest
import torch
from transformers import set_seed

from benchmarks import planned
from benchmarks.smollm2_offline import __main__ as runner
from benchmarks.smollm2_offline import compare, data, kernel, measures, plan, tables
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.evaluation.sampling import sample_ids
from llm_adapter.models import load_model
from mi_estimators.display import jsonl
from mi_estimators.theory import freeing_mix, win_rate_score


@pytest.mark.parametrize("size", plan.SIZES.values(), ids=lambda size: size.name)
def test_plan(size):
    """The plan has every arm once, and the main ones at all seeds."""
    runs = list(plan.runs(size))
    keys = [json.dumps(run.key(size)) for run in runs]
    assert len({*keys}) == len(keys)
    assert {run.arm for run in runs} == {*size.main, *size.others}
    for arm in size.main:
        seeds = [run.seed for run in runs if run.arm == arm and run.matching == "gradient"]
        assert {*seeds} == set(range(size.seeds))
    betas = {run.beta for run in runs if run.arm == "DPO"}
    assert betas == {plan.BETA, *size.grid}


def test_slow_size_shares_start_and_data():
    """The slow size differs from its twin in its steps and its runs alone."""
    slow, full = plan.SLOW, plan.FULL
    assert slow.source == full.source == full.name
    assert slow.learning_rate == full.learning_rate / 10
    assert {run.arm for run in plan.runs(slow)} == {"DPO", "MIO"}


def test_betas_are_matched():
    """First gradients are DPO's at β = 0.1; at the matched optimum b = αβ: near w = ½ the score is 4α(w − ½)."""
    zero, mask = torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool)
    for arm, objective in plan.ARMS.items():
        if objective.loss:
            continue
        beta = plan.Run(arm).own_beta(3)
        here = type(objective)(objective.bound, objective.mix, beta)
        pull, _ = here.coefficients(zero[:, 0], zero, mask)
        assert beta * pull.item() == pytest.approx(plan.BETA / 2, rel=1e-4)
        if objective.bound == "js":
            other = plan.Run(arm, "optimum").own_beta(3)
            assert other == pytest.approx(plan.BETA * objective.mix, rel=1e-4)
            slope = (
                win_rate_score(0.5 + 1e-6, objective.mix) - win_rate_score(0.5, objective.mix)
            ) / 1e-6
            assert slope / other == pytest.approx(4 / plan.BETA, rel=1e-4)  # DPO's: logit w over β
    assert plan.ARMS["α-MIO, 1 − ε^β"].mix == pytest.approx(
        float(freeing_mix(plan.EPSILON, plan.BETA)), abs=1e-3
    )


def test_equal_displacement():
    chosen, rejected = [0.0, 1.0, 3.0, 2.0], [0.0, -1.0, -3.0, -2.0]
    assert compare.at_depth(chosen, rejected, 2.0) == pytest.approx(2.0)
    assert compare.at_depth(chosen, rejected, 3.0) == pytest.approx(3.0)
    assert compare.at_depth(chosen, rejected, 3.5) is None
    assert compare.turn([0, 5, 10, 15], chosen, rejected) == (10, 3.0, 6.0, 1.0)
    mean, low, high = compare.paired([1.0, 2.0, 3.0])
    assert (mean, high - mean) == pytest.approx((2.0, 4.302653 / math.sqrt(3)))
    assert low == pytest.approx(4.0 - high)


def row(arm, seed, scale, beta=plan.BETA, far=2.0):
    return {
        **{"size": "tiny", "arm": arm, "seed": seed, "matching": "gradient", "beta": beta},
        **{
            "steps": [0, 5],
            "z_chosen": [0.0, scale],
            "z_rejected": [0.0, -far],
            "kl": [0.0, far / 4],
        },
    }


def test_differences():
    """A difference needs both runs."""
    rows = [row("DPO", seed, 1.0) for seed in (0, 1)] + [row("MIO", s, 3.0) for s in (0, 1, 2)]
    for name, level, half in (("depth", 2.0, 1.0), ("depth", 1.0, 0.5), ("kl", 0.25, 0.5)):
        values = tables.differences(rows, "MIO", "gradient", name, level, "steps")
        assert values == pytest.approx([2.0 * half] * 2)
    assert tables.differences(rows, "MIO", "gradient", "depth", 4.0, "steps") == []


def test_grid():
    """The grid is interpolated in the order of the distance."""
    rows = [
        row("DPO", 0, z, beta, far)
        for z, beta, far in ((1.0, 0.4, 1), (3.0, 0.1, 3), (-1.0, 0.05, 7))
    ]
    assert tables.over_grid(rows, "DPO", 0, "depth", 2.0) == pytest.approx(2.0)
    assert tables.over_grid(rows, "DPO", 0, "depth", 5.0) == pytest.approx(1.0)
    assert tables.over_grid(rows, "DPO", 0, "kl", 1.25) == pytest.approx(1.0)
    assert tables.over_grid(rows, "DPO", 0, "depth", 8.0) is None


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The tiny size's start, data and bench, in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("build")
        patch.setattr(data, "BUILD", folder)
        patch.setattr(runner, "BUILD", folder)
        start = data.start_of(plan.TINY)
        drawn = data.data_of(plan.TINY, start)
        yield start, drawn, measures.Bench(plan.TINY, start, drawn)


def test_one_run(bench):
    """A run leaves every measure, and its start is at zero."""
    start, drawn, measured = bench
    run = plan.Run("MIO")
    here = runner.train(plan.TINY, run, start, drawn, measured)
    assert run.key(plan.TINY).items() <= here.items()
    assert here["steps"] == [0, 2, 4]
    for name in ("z_chosen", "z_rejected", "kl"):
        assert here[name][0] == pytest.approx(0.0, abs=1e-5)
    assert here["kl"][-1] > 0
    assert len(here["pairs_chosen"]) == len(measured.pairs)
    assert len(here["right"]) == len(measured.asked)
    assert run.name in here["command"]
    rows = [here, runner.start_row(plan.TINY, measured, drawn)]
    assert "| MIO | gradient | 1 |" in tables.tables(rows, plan.TINY)


def test_stopped_run(bench, monkeypatch):
    """A run that a signal ends early is no row."""

    def stop(self, args, state, control, **_):
        if state.global_step == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(measures.Probe, "on_step_begin", stop)
    start, drawn, measured = bench
    with pytest.raises(SystemExit, match="stopped before its end"):
        runner.train(plan.TINY, plan.Run("MIO"), start, drawn, measured)


@pytest.mark.parametrize("size", [plan.FULL, plan.SLOW, plan.QUICK], ids=lambda size: size.name)
def test_whole_rows(size):
    """The rows that are kept are of runs that came to their end."""
    rows = jsonl.read(planned.rows_of(Path(runner.__file__).parent, size.name))
    curves = [row["steps"] for row in rows if "steps" in row]
    assert curves
    assert all(steps == list(range(0, size.steps + 1, size.every)) for steps in curves)


@torch.no_grad()
def moved(start):
    """Return the start's model with other weights near by."""
    set_seed(0)
    model = load_model(start).eval()
    for weight in model.parameters():
        weight.add_(0.03 * torch.randn_like(weight))
    return model


def test_sampled_kl(bench):
    """It is the mean log-ratio of responses: both are unbiased for their KL, and 0 at the reference."""
    _, _, measured = bench
    model = moved(measured.start)
    prompts = [prompt for _, prompt, _ in measured.probed[:1]]
    drawn = sample_ids(model, measured.tokenizer, prompts, 800, 1.0, 4, seed=0)
    kl = measures.sampled_kl(model, measured.reference, prompts, drawn)
    examples = [TokenizedExample(0, prompts[0], (list(r.ids), list(r.ids))) for r in drawn[0]]
    base = measures.log_ratios(measured.reference, None, examples)
    values = torch.tensor([one for one, _ in measures.log_ratios(model, base, examples)])
    error = 5 * values.std().item() / len(values) ** 0.5
    assert kl == pytest.approx(values.mean().item(), abs=error)
    assert measures.sampled_kl(measured.reference, measured.reference, prompts, drawn) == 0


def test_kl_of_next_tokens(bench):
    """Responses that share a prompt have the KL of rows of their own, token after token."""
    _, _, measured = bench
    model = moved(measured.start)
    prompts = [prompt for _, prompt, _ in measured.probed]
    drawn = sample_ids(model, measured.tokenizer, prompts, 3, 1.0, 4, seed=0)

    alone = []
    for prompt, several in zip(prompts, drawn, strict=True):
        for response in several:
            row = torch.tensor([prompt + list(response.ids)])
            with torch.no_grad():
                law, base = (
                    net(row).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
                    for net in (model, measured.reference)
                )
            alone.append((law.exp() * (law - base)).sum().item())

    kl = measures.sampled_kl(model, measured.reference, prompts, drawn)
    assert kl == pytest.approx(sum(alone) / len(alone), rel=1e-4)


def test_processes(tmp_path):
    """Processes share the runs, and each run has one."""

    def names(part, *flags):
        options = planned.parser("", "", plan.SIZES).parse_args(["--part", part, *flags])
        book = planned.Book(tmp_path / "rows.jsonl", options)
        runs = list(plan.runs(plan.TINY))
        return [run.name for run in book.missing(runs, lambda run: run.key(plan.TINY))]

    every = names("1/1")
    assert sorted(names("1/3") + names("2/3") + names("3/3")) == sorted(every)
    assert names("1/1", "--only", every[3]) == [every[3]]
    options = planned.parser("", "", plan.SIZES).parse_args([])
    first = next(plan.runs(plan.TINY))
    planned.Book(tmp_path / "rows.jsonl", options).add(first.key(plan.TINY))
    assert names("1/1") == every[1:]
    assert names("1/1", "--hours", "-1") == []


def test_start():
    """The start is taught right answers in the model's own share."""
    import random

    line = {"prompt": "12 + 30 =", "chosen": "42.", "rejected": ["43.", "41.", "It is 6."]}
    law = random.Random(0)
    answers = [answer for _ in range(2000) for answer in data.own_answers(line, law)]
    right = sum(answer["chosen"] == line["chosen"] for answer in answers)
    assert right / len(answers) == pytest.approx(plan.EPSILON, abs=0.02)
    assert all(answer["chosen"] != answer["rejected"] for answer in answers)
    assert {answer["chosen"] for answer in answers} == {"42.", "43.", "41.", "It is 6."}


def test_kernel(monkeypatch):
    """h_y = ⟨∇ln π(y), δ⟩ is how ln π(y) changes along δ = ∇ln π(w) − ∇ln π(l)."""
    set_seed(0)
    model = load_model("builtin").double().eval()
    example = TokenizedExample(1, [5, 6, 7], ([8, 9], [10], [11, 12]))
    asked = []
    monkeypatch.setattr(kernel, "turning_point", lambda law, h: asked.append((law, h)) or 0.5)
    star, margin = kernel.predicted_turn(model, example, [[20, 21], [30]])
    ((law, h),) = asked
    assert sum(law) == pytest.approx(1, abs=1e-6)
    assert margin == pytest.approx(star * (h[0] - h[1]))
    assert h[0] - h[1] > 0

    def log_prob(response):
        ids = torch.tensor([example.prompt + response])
        values = model(input_ids=ids).logits.log_softmax(-1)[0, 2:-1]
        return values.gather(-1, torch.tensor(response)[:, None]).sum()

    weights = list(model.parameters())
    both = [torch.autograd.grad(log_prob(ids), weights) for ids in example.completions[:2]]
    rate = 1e-6
    before = [log_prob(ids).item() for ids in ([8, 9], [10], [20, 21], [30])]
    with torch.no_grad():
        for weight, one, two in zip(weights, *both, strict=True):
            weight.add_(rate * (one - two))
    after = [log_prob(ids).item() for ids in ([8, 9], [10], [20, 21], [30])]
    slopes = [(b - a) / rate for a, b in zip(before, after, strict=True)]
    assert h == pytest.approx(slopes, rel=1e-3, abs=1e-3)


def test_first_steps():
    """A step on the pair itself always parts it; slopes are those of real steps, in units of the margin's."""
    set_seed(0)
    model = load_model("builtin").double().eval()
    pairs = [TokenizedExample(k, [5, 6, k], ([8, 9], [10])) for k in range(1, 7)]
    training, held_out = pairs[:4], pairs[4:]
    moved = kernel.first_steps(model, training, held_out, batch=2)
    for values in moved.values():
        assert values["chosen"] - values["rejected"] == pytest.approx(1)
    assert moved["own"]["parts"] == 1

    def chosen_after(sign):
        """Return how much ln π(chosen) of the held-out pairs moves under a small step."""
        trained = load_model("builtin").double().eval()
        trained.load_state_dict(model.state_dict())
        ways = []
        for start in (0, 2):
            total = kernel.taught(trained, training[start : start + 2])
            ways.append([part.sign() for part in total] if sign else total)
        with torch.no_grad():
            for weight, one, two in zip(trained.parameters(), *ways, strict=True):
                weight.add_(1e-7 * (one + two))

        values = []
        for pair in held_out:
            before, after = (
                [kernel.slopes(net, pair, response)[0] for response in pair.completions]
                for net in (model, trained)
            )
            values.append([new - old for new, old in zip(after, before, strict=True)])
        chosen, rejected = (sum(column) for column in zip(*values, strict=True))
        return chosen / (chosen - rejected)

    before = [weight.clone() for weight in model.parameters()]
    sizes = kernel.step_sizes(model, training, held_out, 2, [1e-7, 1e-6], batches=2)
    slopes = [(chosen / 1e-7, rejected / 1e-7) for chosen, rejected in [sizes["1e-07"]]]
    assert slopes[0][0] / (slopes[0][0] - slopes[0][1]) == pytest.approx(
        moved["adam"]["chosen"], rel=1e-2, abs=1e-3
    )
    assert sizes["1e-06"] == pytest.approx([10 * z for z in sizes["1e-07"]], rel=0.05)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))

    assert chosen_after(sign=False) == pytest.approx(moved["others"]["chosen"], rel=1e-2, abs=1e-3)
    assert chosen_after(sign=True) == pytest.approx(moved["adam"]["chosen"], rel=1e-2, abs=1e-3)
