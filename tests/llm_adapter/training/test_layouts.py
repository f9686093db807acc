"""Shared rows: the same numbers from fewer positions, and models that cannot read them are found out."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

from llm_adapter.data.collate import collate, collate_shared, sum_responses
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.gradient_noise import HeadGradients
from llm_adapter.loss.logprobs import log_probs_from_head, log_probs_from_logits
from llm_adapter.models import disable_dropout, load_model
from llm_adapter.training.layouts import choose_layout

SIZES = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 16}
SMALL = {"vocab_size": 32, "n_layer": 2, "n_head": 2}


@pytest.fixture(scope="module")
def examples():
    """Ragged K, ragged lengths: two examples fit into the room of the longest."""
    ids = torch.Generator().manual_seed(0)

    def text(length):
        return torch.randint(1, 32, (length,), generator=ids).tolist()

    shapes = [(9, (4, 7, 2)), (20, (9, 11, 5, 8)), (3, (6, 6)), (12, (1, 1)), (5, (10, 3, 3))]
    return [
        TokenizedExample(line, text(p), tuple(text(size) for size in sizes))
        for line, (p, sizes) in enumerate(shapes)
    ]


@pytest.fixture(scope="module")
def model():
    set_seed(0)
    return load_model("builtin").eval()


def test_a_row_by_hand():
    examples = [
        TokenizedExample(1, [5, 6], ([8, 9], [10])),
        TokenizedExample(2, [7], ([11, 12], [13], [14, 15], [16])),
        TokenizedExample(3, [20], ([21], [22])),
    ]
    batch = collate_shared(examples, pad_id=5, row_length=8)
    assert batch["input_ids"].tolist() == [
        [7, 11, 12, 13, 14, 15, 16, 5],
        [5, 6, 8, 9, 10, 20, 21, 22],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 1, 1, 2, 1, 0], [0, 1, 2, 3, 2, 0, 1, 1]]
    for name in ("targets", "lengths", "negatives"):
        assert torch.equal(batch[name], collate(examples)[name]), name


def test_rows_are_packed_into_the_room_of_the_longest(examples):
    shared, padded = collate_shared(examples), collate(examples)
    assert shared["input_ids"].shape == (
        3,
        53,
    )  # 53, 22 + 21, 15 + 14: longest first, each where there is room
    assert padded["input_ids"].shape == (14, 31)
    alone = collate_shared(examples, row_length=1)
    assert alone["input_ids"].shape == (5, 53)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("function", [log_probs_from_head, log_probs_from_logits])
def test_log_probs_and_gradients_are_those_of_padded_rows(model, examples, function, checkpointing):
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train(checkpointing)
    weights = torch.linspace(-1, 1, 14)  # each response pulls its own way
    found = []
    for make in (collate, collate_shared):
        model.zero_grad()
        batch = make(examples, pad_id=1)
        log_probs = function(model, batch)
        (sum_responses(log_probs, batch["lengths"]) * weights).sum().backward()
        gradients = (parameter.grad.clone() for parameter in model.parameters())
        found.append([log_probs.detach(), *gradients])
    model.gradient_checkpointing_disable()
    model.eval()
    for padded, shared in zip(*found, strict=True):
        torch.testing.assert_close(
            shared, padded, rtol=0, atol=2e-5 * max(1.0, padded.abs().max().item())
        )


def test_bf16_is_off_by_its_rounding_only(examples):
    set_seed(0)
    exact = load_model("builtin").eval()
    rounded = load_model("builtin").eval()
    rounded.load_state_dict(exact.state_dict())
    rounded.bfloat16()
    with torch.no_grad():
        expected = log_probs_from_head(exact, collate(examples))
        off = [
            (log_probs_from_head(rounded, make(examples)) - expected).abs().max()
            for make in (collate, collate_shared)
        ]
        with torch.autocast("cpu", torch.bfloat16):
            off.append(
                (log_probs_from_head(exact, collate_shared(examples)) - expected).abs().max()
            )
    assert 0 < off[1] <= 2 * off[0]
    assert 0 < off[2] <= 2 * off[0]


GROUPED = SIZES | {"num_key_value_heads": 2}
CONV = {"layer_types": ["conv", "full_attention"]}
MODELS = {  # what the line that is said must contain; nothing where the model reads shared rows
    "plain": ("llama", SIZES, None),
    "learned positions": ("gpt2", SMALL | {"n_positions": 64, "n_embd": 16}, None),
    "wide window": ("mistral", GROUPED, None),
    "window": (
        "mistral",
        GROUPED | {"sliding_window": 8},
        "sliding_window is 8 tokens and an example has 31",
    ),
    "state": ("lfm2", GROUPED | CONV, "layers of conv"),
    "mask added": ("llama", SIZES | {"attn_implementation": "eager"}, "off by up to"),
    "alibi by mask": ("bloom", SMALL | {"hidden_size": 16}, "refuses them (ValueError"),
    "alibi": (
        "mpt",
        {"vocab_size": 32, "d_model": 16, "n_layers": 2, "n_heads": 2},
        "off by up to",
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_models_that_cannot_read_shared_rows_are_found(examples, name, dtype, capsys):
    kind, settings, said = MODELS[name]
    set_seed(0)
    config = AutoConfig.for_model(kind, **settings)
    model = AutoModelForCausalLM.from_config(config).to(dtype).eval()
    disable_dropout(model)
    chosen = choose_layout(
        "shared", model.config, examples, lambda batch: log_probs_from_logits(model, batch)
    )
    assert chosen == ("padded" if said else "shared")
    line = capsys.readouterr().out
    expected = "row_layout: using padded rows instead of shared ones, because " if said else ""
    assert line.startswith(expected)
    assert (said or "") in line
    assert bool(line) == bool(said)
    assert choose_layout("padded", model.config, examples, None) == "padded"


def test_a_run_in_shared_rows_is_the_run_in_padded_rows(make_trainer):
    logs = {}
    flags = "--max_steps 3 --learning_rate 1e-3 --warmup_steps 0 --logging_steps 1"
    flags += " --diagnostics_steps 1 --reference_cache none --bound infonce --save_strategy no"
    for layout in ("padded", "shared"):
        trainer = make_trainer(f"{flags} --row_layout {layout}", examples=24)
        trainer.train()
        logs[layout] = [log for log in trainer.state.log_history if "loss" in log]
    assert abs(logs["shared"][-1]["rewards/margins"]) > 0.01  # it moved
    names = ["loss", "rewards/margins", "logps/rejected", "gradient_noise/variance", "grad_norm"]
    for one, other in zip(logs["padded"], logs["shared"], strict=True):
        expected = {name: one[name] for name in names}
        assert {name: other[name] for name in names} == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_gradients_of_examples_count_a_shared_position_once(model, examples):
    found = {}
    for make in (collate, collate_shared):
        gradients, batch = HeadGradients(), make(examples)
        with gradients.watching(model):
            log_probs = log_probs_from_head(model, batch)
        loss = (sum_responses(log_probs, batch["lengths"]) * torch.linspace(1, 2, 14)).sum() / 5
        gradients.catch(loss, batch)
        loss.backward()
        found[make] = gradients.state()["head_gradients"]
    assert found[collate].shape == (5, 64)
    torch.testing.assert_close(found[collate_shared], found[collate], rtol=1e-4, atol=1e-4)
