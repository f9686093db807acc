"""The plan of a step's memory: the optimiser's bytes, and the peak that a process of its own measures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from llm_adapter.models import load_config
from llm_adapter.plan import PlanArguments, main, plan, proposal
from llm_adapter.training.memory import Setting, _batch, parts, sizes_of, state_bytes

ROOT = Path(__file__).parents[3]
MODEL = {
    "vocab_size": 8000,
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}
STEP = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
from llm_adapter.loss.attention import use_way
from llm_adapter.loss.logprobs import log_probs_from_head, sum_responses
from llm_adapter.training.memory import Setting, _batch
from llm_adapter.training.recompute import logits_kept, thrift_of
from llm_adapter.training.release import Released
import torch._dynamo

def peak():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) * 1024

torch.set_num_threads(1)
model, tokens, release, checkpointing, selective = json.loads(sys.argv[1])
tiny = torch.nn.Linear(2, 2)  # what the first step imports
small = torch.optim.AdamW(tiny.parameters(), fused=True)
tiny(torch.ones(1, 2)).sum().backward()
small.step()
imports = peak()
model = AutoModelForCausalLM.from_config(LlamaConfig(**model)).train()
if checkpointing:
    model.gradient_checkpointing_enable({"use_reentrant": False})
use_way([model.config], "segments")
options = {"lr": 1e-4, "fused": True}
if release:
    optimizer = Released(model.parameters(), inner=torch.optim.AdamW, **options)
else:
    optimizer = torch.optim.AdamW(model.parameters(), **options)
batch = _batch(tokens, 2)
setting = Setting(gradient_checkpointing=checkpointing, selective_checkpointing=selective)
thrift = thrift_of(model, setting, "cpu")
for _ in range(2):
    with thrift.applied():
        log_probs = log_probs_from_head(model, batch, logits_kept(setting))
    sum_responses(log_probs, batch["lengths"]).mean().backward()
    optimizer.step()
    optimizer.zero_grad()
print(peak() - imports)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak as Linux counts it")
@pytest.mark.parametrize(
    ("release", "checkpointing", "selective"),
    [
        pytest.param(False, False, False, marks=pytest.mark.broad),
        pytest.param(True, False, False, marks=pytest.mark.broad),
        pytest.param(True, True, False, marks=pytest.mark.broad),
        (True, False, True),
    ],
)
def test_planned_peak(release, checkpointing, selective):
    """The planned peak is within a tenth of the measured one."""
    tokens = 600
    job = json.dumps([MODEL, tokens, release, checkpointing, selective])
    variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    variables["MALLOC_MMAP_THRESHOLD_"] = "65536"  # freed memory goes back to the system
    done = subprocess.run(
        [sys.executable, "-c", STEP, job],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]

    setting = Setting(
        release_gradients=release,
        gradient_checkpointing=checkpointing,
        selective_checkpointing=selective,
    )
    planned = parts(LlamaConfig(**MODEL), setting, tokens, device="cpu")["peak"]

    assert planned == pytest.approx(int(done.stdout), rel=0.1)


def test_model_sizes():
    """Sizes are those of the model."""
    config = LlamaConfig(**MODEL)
    with torch.device("meta"):
        from transformers import LlamaForCausalLM

        model = LlamaForCausalLM(config)

    sizes = sizes_of(config)
    assert sizes.total == sum(weight.numel() for weight in model.parameters())
    assert sizes.layer == sum(weight.numel() for weight in model.model.layers[0].parameters())
    assert sizes.largest == 8000 * 512


EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
LAYERS = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "intermediate_size": 32,
    "num_attention_heads": 2,
}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("qwen2_moe", EXPERTS | {"decoder_sparse_step": 4}),
        (
            "deepseek_v3",
            {"first_k_dense_replace": 3, "n_routed_experts": 4, "n_group": 1, "topk_group": 1},
        ),
        ("lfm2", {"layer_types": ["conv", "full_attention"] * 2}),
        ("mamba", {}),
        ("falcon_h1", {}),
    ],
)
def test_unlike_layers(kind, settings):
    """Weights are counted of every layer: the first may be unlike the others."""
    config = AutoConfig.for_model(kind, **LAYERS | settings)
    model = AutoModelForCausalLM.from_config(config)
    assert sizes_of(config).total == sum(weight.numel() for weight in model.parameters())


def test_uncounted_experts():
    """Where activations cannot be counted the message has what is known."""
    config = AutoConfig.for_model("mixtral", **LAYERS | {"num_local_experts": 4})
    total = sizes_of(config).total
    with pytest.raises(ValueError, match=f"model: the activations of mixtral .* {total:,} weights"):
        parts(config, Setting(bf16=True), 64)


def test_optimiser_states():
    """States are those that the optimisers keep."""
    weight = torch.nn.Parameter(torch.zeros(4096))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    held = sum(
        value.numel() * value.element_size()
        for value in optimizer.state[weight].values()
        if value.ndim
    )

    assert held == 4096 * state_bytes(Setting())


EIGHT = LlamaConfig(
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
)


def test_eight_billion():
    """Eight billion weights fit one GPU by the lean recipe."""
    arguments = PlanArguments(model="8b", gpu_memory=139, tokens=2048)
    plans = {candidate.name: candidate for candidate in plan(EIGHT, arguments)}
    before = {
        name: (candidate.parts["weights"] + candidate.parts["optimiser"]) / 2**30
        for name, candidate in plans.items()
    }

    assert before["lean"] < 45
    assert before["lean, 8-bit states"] < 30.5
    assert plans["lean"].fits
    assert plans["exact"].parts["peak"] > plans["balanced"].parts["peak"] * 0.99

    small = PlanArguments(model="8b", gpu_memory=24, tokens=2048)
    assert proposal(plan(EIGHT, small), small).startswith("Nothing fits")


def test_config_alone(tmp_path, capsys):
    """The command reads a config alone."""
    LlamaConfig(**MODEL, architectures=["LlamaForCausalLM"]).save_pretrained(tmp_path)
    assert main(f"--model {tmp_path} --gpu_memory 8 --max_length 128".split()) == 0

    printed = capsys.readouterr().out
    assert "Proposed (exact): --max_tokens_per_batch" in printed
    assert main(f"--model {tmp_path / 'none'} --gpu_memory 8".split()) == 2
    assert load_config("builtin").model_type == "llama"


def test_counted_tokens():
    """Batches of the count have the tokens that are asked for."""
    for tokens in (300, 4096, 20_000):
        assert _batch(tokens, 3)["input_ids"].numel() == pytest.approx(tokens, rel=0.01)
