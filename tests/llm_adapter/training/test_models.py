"""Models: what is trained, in which numbers; adapters; what is refused; the reference's values on disk."""

import importlib.util
import json
import math
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from accelerate import DistributedType
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM, set_seed

from llm_adapter import models
from llm_adapter.data.load import check_fit
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.train import main
from llm_adapter.training import precision
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.reference import Cache, Reference, model_digest

QUICK = "--use_cpu true --max_steps 2 --warmup_steps 0 --logging_steps 1 --disable_tqdm true"
QUICK += " --per_device_train_batch_size 4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shipped_pairs):
    """A folder with a tiny model, its tokenizer and eight pairs."""
    folder = tmp_path_factory.mktemp("tiny")
    set_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    LlamaForCausalLM(
        LlamaConfig(vocab_size=384, max_position_embeddings=512, **sizes)
    ).save_pretrained(folder)
    ByT5Tokenizer().save_pretrained(folder)
    (folder / "few.jsonl").write_bytes(shipped_pairs(8).read_bytes())
    return folder


def run(folder, out, flags="", model=None):
    data = f"--model {model or folder} --train_data {folder / 'few.jsonl'}"
    status = main(f"--output_dir {out} {data} {QUICK} {flags}".split())
    lines = (out / "metrics.jsonl").read_text().splitlines() if status == 0 else []
    return status, [
        {name: math.nan if value is None else value for name, value in json.loads(line).items()}
        for line in lines
    ]


def changed(folder, copy, **settings):
    """Copy a model's folder; change settings of the copy."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text()) | settings
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs the optional package {package}")


def test_a_live_reference_is_the_precomputed_one(folder, tmp_path):
    flags = "--learning_rate 1e-3 --save_final_model false"
    _, once = run(folder, tmp_path / "a", flags)
    _, live = run(folder, tmp_path / "b", f"{flags} --precompute_ref_log_probs false")
    assert once[1]["rewards/margins"] != once[0]["rewards/margins"]
    once[0]["rewards/accuracies"] = live[0]["rewards/accuracies"]  # rounding decides
    for one, other in zip(once, live, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5, nan_ok=True)


@needs("peft")
def test_lora_trains_adapters_against_the_model_without_them(folder, tmp_path, capsys):
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


def test_optional_packages_are_named(folder, tmp_path, monkeypatch, capsys):
    for package, flags in {
        "peft": "--lora_rank 4",
        "torch-optimi": "--weights bf16 --rounding kahan",
        "torchao": "--weights bf16 --rounding stochastic",
    }.items():
        for name in ("peft", "optimi", "torchao", "torchao.optim"):
            monkeypatch.setitem(sys.modules, name, None)
        assert run(folder, tmp_path / package, flags)[0] == 2
        assert f"pip install {package})" in capsys.readouterr().err
        assert not (tmp_path / package / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--weights fp16", "weights: expected one of fp32, bf16, got fp16"),
        ("--rounding up", "rounding: expected one of nearest, kahan, stochastic, got up"),
        ("--rounding kahan", "rounding: expected nearest with fp32 weights, got kahan"),
        ("--weights bf16 --bf16 true", "bf16: expected false with bf16 weights, got True"),
        (
            "--weights bf16 --rounding kahan --optim sgd",
            "optim: expected the default, adamw_torch…, with rounding",
        ),
        ("--lora_rank -1", "lora_rank: expected an integer ≥ 0, got -1"),
        ("--lora_rank 2", "lora_rank: expected 0 with the model builtin, got 2"),
        ("--lora_alpha 0", "lora_alpha: expected a finite number > 0, got 0.0"),
        (
            "--enable_jit_checkpoint true",
            "enable_jit_checkpoint: expected false (SIGTERM saves a checkpoint in any case)",
        ),
    ],
)
def test_contradictions_are_refused(flags, message):
    with pytest.raises(ValueError, match=r"^.+$") as caught:
        parse_arguments(["--model", "builtin", *flags.split()])
    assert str(caught.value).startswith(message)


@needs("peft")
def test_lora_targets_are_layers(folder):
    with pytest.raises(
        ValueError, match=r"lora_targets: expected names of layers, got nothing_such"
    ):
        models.with_lora(models.load_model(str(folder)), str(folder), 2, 4, "nothing_such")


def test_no_pickle_is_loaded_and_no_code_of_a_folder_runs(folder, tmp_path):
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
def test_a_damaged_gguf_file_is_one_message_that_names_it(tmp_path, content):
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^model: expected .*, got .*damaged.gguf \("):
        models.load_tokenizer(str(path))


def test_examples_that_the_model_has_no_room_for_are_named(folder):
    model = models.load_model(str(folder))
    rows = [
        TokenizedExample(7, [1] * 500, ([2], [3] * 12)),
        TokenizedExample(9, [1], ([2], [383]), file=1),
    ]
    check_fit(rows, ("a", "b"), model)
    longer = replace(rows[0], completions=([2], [3] * 13))
    with pytest.raises(
        ValueError,
        match=r"^max_length: expected at most the model's 512 positions, got 513 .* in a:7$",
    ):
        check_fit([longer, rows[1]], ("a", "b"), model)
    other = replace(rows[1], completions=([384], [3]))
    with pytest.raises(
        ValueError, match=r"^model: expected token ids below its 384 embeddings, got 384 in b:9 \("
    ):
        check_fit([rows[0], other], ("a", "b"), model)


def test_a_run_checks_both_of_its_data_against_the_model(folder, tmp_path, capsys):
    short = changed(folder, tmp_path / "short", max_position_embeddings=140)
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "2" * 140, "chosen": "4", "rejected": "5"}) + "\n")
    assert run(folder, tmp_path / "out", f"--eval_data {long}", short)[0] == 2
    assert (
        f"max_length: expected at most the model's 140 positions, got 142 tokens in {long}:1"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_bf16_weights_leave_the_angles_of_positions_exact():
    model = models.load_model("builtin", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for buffer in model.buffers()} == {torch.float32}


def test_lost_share_is_what_rounding_does():
    torch.manual_seed(0)
    weights = (0.02 * torch.randn(20_000)).bfloat16()
    for step in (5e-7, 1e-5, 1e-4):
        stays = ((weights.float() + step).bfloat16() == weights) & (
            (weights.float() - step).bfloat16() == weights
        )
        found = precision.lost_share(weights, step)
        assert found == pytest.approx(stays.double().mean().item(), abs=0.01)
    assert precision.lost_share(weights, 5e-7) > 0.98
    assert precision.lost_share(torch.zeros(3), 1e-9) == 0


def test_bf16_weights_at_a_small_rate_are_warned_and_counted(folder, tmp_path, capsys):
    flags = "--learning_rate 5e-7 --save_final_model false"
    _, rounded = run(folder, tmp_path / "bf16", f"--weights bf16 {flags}")
    said = capsys.readouterr().err
    assert "warning: weights: at learning_rate 5e-07, rounding to bf16 loses the steps" in said
    assert "warning: adam_beta2: with bf16 weights" in said
    _, exact = run(folder, tmp_path / "fp32", f"--bf16 true {flags}")
    assert "warning: weights" not in capsys.readouterr().err
    assert rounded[0]["updates/surviving_fraction"] < 0.1
    assert exact[0]["updates/surviving_fraction"] > 0.9
    for lines in (rounded, exact):
        assert abs(lines[0]["loss"] - 2 * math.log(2)) < 1e-3


# torchao is not in the extra `dev`: transformers and peft import it in every process with a model. 0.18.0 passes.
@pytest.mark.parametrize(
    "rounding",
    [
        pytest.param("kahan", marks=needs("optimi")),
        pytest.param("stochastic", marks=needs("torchao")),
    ],
)
def test_kept_updates_add_up(rounding, monkeypatch):
    """200 steps of 5e-7, each below half a spacing: with compensation the weights go where fp32 weights go."""
    monkeypatch.setattr(
        torch, "compile", lambda function, **_: function
    )  # torchao's step, without a compiler
    torch.manual_seed(0)
    start = (0.02 * torch.randn(8192)).bfloat16()
    flags = f"--weights bf16 --rounding {rounding} --learning_rate 5e-7 --adam_beta2 0.99"
    kind, options = precision.optimizer(parse_arguments(["--model", "builtin", *flags.split()]))
    weight, exact = (
        torch.nn.Parameter(start.to(dtype, copy=True)) for dtype in (torch.bfloat16, torch.float32)
    )
    kept = kind([{"params": [weight], "weight_decay": 0.0}], **options)
    plain = torch.optim.AdamW([exact], lr=5e-7, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(200):
        gradient = torch.ones(8192).bfloat16()
        weight.grad, exact.grad = gradient, gradient.float()
        kept.step()
        plain.step()
    moved = (weight.detach().float() - start.float()).mean().item()
    assert moved == pytest.approx((exact.detach() - start.float()).mean().item(), rel=0.1)
    assert moved == pytest.approx(-1e-4, rel=0.1)


def examples():
    return [
        TokenizedExample(1, [1, 2], ([3, 4], [5])),
        TokenizedExample(2, [1], ([6], [7, 8], [9])),
    ]


def test_reference_values_come_back_whole_or_not_at_all(tmp_path, capsys):
    cache, values = Cache(tmp_path / "new", "digest"), [(-1.25, -0.1), (-3.0, -4.5, -1e-3)]
    assert cache.load(examples()) is None
    cache.save(examples(), values)
    assert cache.load(examples()) == values
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


def test_a_second_run_reads_the_reference_from_disk(folder, tmp_path, monkeypatch):
    flags = f"--reference_cache {tmp_path / 'kept'} --save_final_model false"
    _, first = run(folder, tmp_path / "a", flags)
    monkeypatch.setattr(
        "llm_adapter.training.reference._computed", lambda *_: pytest.fail("computed again")
    )
    _, second = run(folder, tmp_path / "b", flags)
    assert second == first
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        run(folder, tmp_path / "c", f"{flags} --bf16 true")


def test_a_digest_is_of_the_content(folder):
    model, settings = models.load_model(str(folder)), {"bf16": False}
    first = model_digest(model, settings)
    assert first == model_digest(models.load_model(str(folder)), settings)
    assert first != model_digest(model, {"bf16": True})
    with torch.no_grad():
        model.get_input_embeddings().weight[0, 0] += 1e-3
    assert first != model_digest(model, settings)


def test_a_digest_is_of_the_code_that_a_model_brings_along(folder, tmp_path):
    digests = []
    for version in (1, 2, 1):
        own = {"AutoModelForCausalLM": "own.Own"}
        brought = changed(folder, tmp_path / f"brought{len(digests)}", auto_map=own)
        own = "from transformers import LlamaForCausalLM\nfrom .beside import VERSION\n"
        own += "class Own(LlamaForCausalLM): pass\n"
        (brought / "own.py").write_text(own)
        (brought / "beside.py").write_text(
            f"VERSION = {version}\n"
        )  # the model's own file stays as it is
        model = models.load_model(str(brought), trust_remote_code=True)
        assert type(model).__name__ == "Own"
        digests.append(model_digest(model, {}))
    assert digests[0] == digests[2] != digests[1]
    assert digests[0] != model_digest(models.load_model(str(folder)), {})


def test_engines_that_round_weights_their_own_way_do_not_share_the_references_values(
    folder, tmp_path
):
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
