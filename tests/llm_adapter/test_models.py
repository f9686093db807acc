"""Models: what is loaded, what is refused, and what a cast leaves exact."""

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    set_seed,
)

from llm_adapter import models
from llm_adapter.data.collate import collate
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.logprobs import log_probs_from_head
from llm_adapter.models import disable_dropout
from tests.llm_adapter.shared import needs


@needs("peft")
def test_lora_targets(folder):
    """LoRA targets are layers."""
    with pytest.raises(
        ValueError, match=r"lora_targets: expected names of layers, got nothing_such"
    ):
        models.with_lora(models.load_model(str(folder)), str(folder), 2, 4, "nothing_such")

    adapted = {
        targets: models.with_lora(models.load_model(str(folder)), str(folder), 2, 4, targets)
        for targets in ("default", "q_proj,v_proj", "all-linear")
    }
    names = {
        targets: {name for name, weight in model.named_parameters() if weight.requires_grad}
        for targets, model in adapted.items()
    }

    assert names["default"] == names["q_proj,v_proj"] < names["all-linear"]  # of a Llama


def test_no_pickle(changed, folder, tmp_path):
    """No pickle is loaded and no code of a folder runs."""
    pickled = changed(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save(models.load_model(str(folder)).state_dict(), pickled / "pytorch_model.bin")
    damaged = changed(folder, tmp_path / "damaged")
    content = (folder / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(content[: len(content) // 2])
    brought = {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}
    foreign = changed(folder, tmp_path / "foreign", model_type="foreign", auto_map=brought)
    (foreign / "code.py").write_text("raise SystemExit('ran')\n")

    for wrong, word in ((pickled, "safetensors"), (damaged, "damaged"), (foreign, "trust_remote")):
        with pytest.raises(ValueError, match=rf"model: expected .*{word}"):
            models.load_model(str(wrong))

    with pytest.raises(SystemExit, match="ran"):
        models.load_model(str(foreign), trust_remote_code=True)


@pytest.mark.parametrize("content", [b"", b"GGUF nonsense", b"GGUF" + bytes(60)])
def test_damaged_gguf(tmp_path, content):
    """A damaged GGUF file is one message that names it."""
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^model: expected .*, got .*damaged.gguf \("):
        models.load_tokenizer(str(path))


def test_exact_angles():
    """Weights in bf16 leave the angles of positions exact."""
    model = models.load_model("builtin", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for buffer in model.buffers()} == {torch.float32}


EXAMPLES = [
    TokenizedExample(1, [5, 6, 7], ([8, 9], [10], [11, 12, 13])),
    TokenizedExample(2, [5], ([1, 1, 1, 1], [20])),
]


def test_disable_dropout():
    """--disable_dropout makes training deterministic."""
    set_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    ).train()
    batch = collate(EXAMPLES)

    assert not torch.equal(log_probs_from_head(model, batch), log_probs_from_head(model, batch))

    disable_dropout(model)
    assert torch.equal(log_probs_from_head(model, batch), log_probs_from_head(model, batch))
