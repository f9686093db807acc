"""The reference: live or precomputed, on disk, with adapters and engines."""

from types import SimpleNamespace

import pytest
import torch
from accelerate import DistributedType

from llm_adapter import models
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.reference import Cache, Reference, model_digest
from tests.llm_adapter.shared import needs


def test_live_reference(run, folder, tmp_path):
    """A live reference is the precomputed one."""
    flags = "--learning_rate 1e-3 --save_final_model false"
    _, once = run(folder, tmp_path / "a", flags)
    _, live = run(folder, tmp_path / "b", f"{flags} --precompute_ref_log_probs false")

    assert once[1]["rewards/margins"] != once[0]["rewards/margins"]

    once[0]["rewards/accuracies"] = live[0]["rewards/accuracies"]  # rounding decides
    for one, other in zip(once, live, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5, nan_ok=True)


@needs("peft")
def test_lora(run, folder, tmp_path, capsys):
    """LoRA trains adapters against the model without them."""
    flags = "--lora_rank 4 --learning_rate 1e-2 --gradient_accumulation_steps 2"
    for live in ("false", "true"):
        status, lines = run(folder, tmp_path / live, f"{flags} --precompute_ref_log_probs {live}")
        assert status == 0, capsys.readouterr().err
        assert f"{lines[0]['loss']:.4f}" == "1.3863"
        assert abs(lines[1]["rewards/chosen"]) > 1e-3

    names = {path.name for path in (tmp_path / "true").iterdir()}
    assert "adapter_model.safetensors" in names
    assert "model.safetensors" not in names

    base, merged = models.load_model(str(folder)), models.load_model(str(tmp_path / "true"))
    moved = {
        name
        for name, value in merged.state_dict().items()
        if not value.equal(base.state_dict()[name])
    }

    assert moved
    assert all("_proj" in name for name in moved)


def examples():
    return [
        TokenizedExample(1, [1, 2], ([3, 4], [5])),
        TokenizedExample(2, [1], ([6], [7, 8], [9])),
    ]


def test_whole_values(tmp_path, capsys):
    """Reference values come back whole or not at all."""
    cache = Cache(tmp_path / "new", "digest")
    values = torch.tensor([-1.25, -0.1, -3.0, -4.5, -1e-3], dtype=torch.float64)
    assert cache.load(examples()) is None

    cache.save(examples(), values)
    assert cache.load(examples()).equal(values)
    assert Cache(tmp_path / "new", "other").load(examples()) is None
    assert cache.load(examples()[:1]) is None

    (path,) = (tmp_path / "new").iterdir()
    content = path.read_bytes()
    for damaged in (content[:-9], content[:-1] + bytes([content[-1] ^ 1]), b""):
        path.write_bytes(damaged)
        assert cache.load(examples()) is None
        assert "cache: warning: expected a complete file" in capsys.readouterr().err

    (tmp_path / "file").write_text("")
    Cache(tmp_path / "file", "digest").save(examples(), values)

    assert "cache: warning: expected a folder to write to" in capsys.readouterr().err


def test_second_run(run, folder, tmp_path, monkeypatch):
    """A second run reads the reference from disk."""
    flags = f"--reference_cache {tmp_path / 'kept'} --save_final_model false"
    _, first = run(folder, tmp_path / "a", flags)
    monkeypatch.setattr(
        "llm_adapter.training.reference._computed", lambda *_: pytest.fail("computed again")
    )
    _, second = run(folder, tmp_path / "b", flags)

    assert second == first
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        run(folder, tmp_path / "c", f"{flags} --bf16 true")


def test_digest_of_content(folder):
    """A digest is of the content."""
    model, settings = models.load_model(str(folder)), {"bf16": False}
    first = model_digest(model, settings)

    assert first == model_digest(models.load_model(str(folder)), settings)
    assert first != model_digest(model, {"bf16": True})

    with torch.no_grad():
        model.get_input_embeddings().weight[0, 0] += 1e-3

    assert first != model_digest(model, settings)


def test_digest_of_code(changed, folder, tmp_path):
    """A digest is of the code that a model brings along."""
    digests = []
    for version in (1, 2, 1):
        own = {"AutoModelForCausalLM": "own.Own"}
        brought = changed(folder, tmp_path / f"brought{len(digests)}", auto_map=own)
        own = "from transformers import LlamaForCausalLM\nfrom .beside import VERSION\n"
        own += "class Own(LlamaForCausalLM): pass\n"
        (brought / "own.py").write_text(own)
        # The model's own file stays as it is
        (brought / "beside.py").write_text(f"VERSION = {version}\n")
        model = models.load_model(str(brought), trust_remote_code=True)

        assert type(model).__name__ == "Own"
        digests.append(model_digest(model, {}))

    assert digests[0] == digests[2] != digests[1]
    assert digests[0] != model_digest(models.load_model(str(folder)), {})


def test_rounding_engines(folder, tmp_path):
    """Engines that round weights their own way do not share the reference's values."""
    model = models.load_model(str(folder))
    args = parse_arguments(f"--reference_cache {tmp_path} --bf16 true --use_cpu true".split())
    kinds = (
        DistributedType.NO,
        DistributedType.MULTI_CPU,
        DistributedType.FSDP,
        DistributedType.DEEPSPEED,
    )
    names = [
        Reference(model, args, SimpleNamespace(distributed_type=kind)).cache.model for kind in kinds
    ]

    assert names[0] == names[1]  # both are autocast
    assert len(set(names)) == 3
