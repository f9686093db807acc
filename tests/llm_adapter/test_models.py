"""Models: what is loaded, what is refused, and what a cast leaves exact."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForSequenceClassification,
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


def edited(folder, change, file="model.safetensors"):
    """Change the names and weights of a folder."""
    weights = load_file(folder / file)
    change(weights)
    save_file(weights, folder / file, {"format": "pt"})


LAYER = "model.layers.0.mlp.up_proj.weight"
WEIGHTS = {  # settings of the config, a change of the weights, and the message
    "no head": ({}, lambda w: w.pop("lm_head.weight"), "all weights .* none for lm_head.weight"),
    "no matrix": ({}, lambda w: w.pop(LAYER), f"all weights .* none for {LAYER}"),
    "other names": ({}, lambda w: w.update(x=w.pop(LAYER)), f"all weights .* none for {LAYER}"),
    "more layers": ({"num_hidden_layers": 3}, None, r"all weights .* … \(18 in all\)"),
    "fewer layers": (
        {},
        lambda w: w.update({LAYER.replace("0", "7"): w[LAYER] + 0}),
        "many layers",
    ),
    "sizes": ({"intermediate_size": 48}, None, r"sizes .* \(32, 64\) instead of \(32, 48\) for"),
    "vocabulary": ({"vocab_size": 400}, None, r"sizes .* \(384, 32\) instead of \(400, 32\) for"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_foreign_weights(name, changed, folder, tmp_path):
    """Weights that are missing, of another size or of more layers are refused by name: they would be random."""
    settings, change, message = WEIGHTS[name]
    copy = changed(folder, tmp_path / "copy", **settings)
    if change:
        edited(copy, change)
    with pytest.raises(ValueError, match=rf"^model: expected .*{message}"):
        models.load_model(str(copy))


def test_classifier(tmp_path):
    """A classifier has no head for words."""
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"none for lm_head.weight"):
        models.load_model(str(tmp_path))


def test_spare_weights(changed, folder, tmp_path, capsys):
    """Weights that the model does not use are named, and tied weights need not be there."""
    copy = changed(folder, tmp_path / "copy", tie_word_embeddings=True)
    edited(copy, lambda w: (w.pop("lm_head.weight"), w.update(spare=torch.ones(2))))
    models.load_model(str(copy))
    assert re.search(r"warning: .*copy has weights .* not use: spare\n", capsys.readouterr().err)


CONFIGS = {
    "unknown function": ({"hidden_act": "nosuch"}, "nosuch"),
    "heads": ({"num_attention_heads": 5}, "not a multiple"),
    "kind of number": ({"num_attention_heads": "2"}, "num_attention_heads"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_wrong_config(name, changed, folder, tmp_path):
    """A config that no model can be made of is one message that names the folder."""
    settings, word = CONFIGS[name]
    copy = changed(folder, tmp_path / "copy", **settings)
    with pytest.raises(
        ValueError, match=rf"(?s)^model: .*copy \(.*{word}.*; check its config.json"
    ):
        models.load_model(str(copy))


def test_missing_package(folder, monkeypatch):
    """A package that a tokenizer needs is named with the model."""

    def load(name, **options):
        raise ModuleNotFoundError("No module named 'tiktoken'", name="tiktoken.load")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", load)
    with pytest.raises(ValueError, match=rf"packages that {folder} needs.*pip install tiktoken\)"):
        models.load_tokenizer(str(folder))


@pytest.fixture
def adapted(folder, tmp_path):
    """Save an adapter of the folder's model, of rank 2 by default, and change its config."""

    def save(kind="LoraConfig", settings=None, **options):
        import peft

        model = models.load_model(str(folder))
        options = options or {"r": 2, "target_modules": ["q_proj", "v_proj"]}
        config = getattr(peft, kind)(task_type="CAUSAL_LM", **options)
        adapter = peft.get_peft_model(model, config)
        config.base_model_name_or_path = str(folder)
        adapter.save_pretrained(tmp_path)
        path = tmp_path / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | (settings or {})))

        return tmp_path

    return save


@needs("peft")
def test_merged_adapter(folder, adapted):
    """A merged adapter leaves every weight free to train."""
    path = adapted()
    edited(path, lambda w: [part.fill_(0.1) for part in w.values()], "adapter_model.safetensors")
    base, merged = models.load_model(str(folder)), models.load_model(str(path))

    assert all(weight.requires_grad for weight in merged.parameters())
    assert merged.state_dict().keys() == base.state_dict().keys()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(merged.state_dict()[name], base.state_dict()[name])


VIRTUAL = {"num_virtual_tokens": 2}
ADAPTERS = {  # how it is made, the settings that are changed, and the message
    "prefix": (
        {"kind": "PrefixTuningConfig"} | VIRTUAL,
        {},
        "merges into its base .* PREFIX_TUNING",
    ),
    "prompt": (
        {"kind": "PromptTuningConfig"} | VIRTUAL,
        {},
        "merges into its base .* PROMPT_TUNING",
    ),
    "no base": ({}, {"base_model_name_or_path": None}, "a base model in .* got null"),
    "no kind": ({}, {"peft_type": "NOSUCH"}, "an adapter of"),
    "rank": ({}, {"r": 4}, "an adapter of .*size mismatch"),
    "other layers": ({}, {"target_modules": ["k_proj"]}, r"got others: .*k_proj.*"),
}


@needs("peft")
@pytest.mark.parametrize("name", ADAPTERS)
def test_wrong_adapter(name, adapted):
    """An adapter that does not fit is one message."""
    options, settings, message = ADAPTERS[name]
    path = adapted(settings=settings, **options)
    with pytest.raises(ValueError, match=rf"^model: expected .*{message}"):
        models.load_model(str(path))


@needs("peft")
def test_incomplete_adapter(adapted):
    """An adapter without its weights, or with a config that is none, is one message."""
    path = adapted()
    (path / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"expected adapter_model.safetensors in .*, got none"):
        models.load_model(str(path))

    (path / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"expected an adapter_config.json as peft writes it"):
        models.load_model(str(path))


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
