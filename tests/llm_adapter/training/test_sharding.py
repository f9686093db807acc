"""One process reads the weights, the others receive them: every tensor is the file's in all of them."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    ByT5Tokenizer,
    Gemma2Config,
    GPTNeoXConfig,
    LlamaConfig,
    set_seed,
)

from llm_adapter.models import can_be_sent, load_model
from llm_adapter.training.sharding import refuse_missing
from tests.llm_adapter.shared import launched

SIZES = {
    "vocab_size": 384,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
CONFIGS = {
    "tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "untied": LlamaConfig(**SIZES),
    "neox": GPTNeoXConfig(**SIZES),
    "gemma": Gemma2Config(**SIZES, num_key_value_heads=1, head_dim=16),
    "buffer": LlamaConfig(**SIZES),
}
TIED = {"tied", "gemma"}
OWN = """
import torch
from transformers import LlamaForCausalLM

class Own(LlamaForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("scale", torch.ones(3))
"""  # a buffer that is saved, which accelerate does not send


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Write a model of each kind in bf16, and what two processes run it on."""
    root = tmp_path_factory.mktemp("models")
    set_seed(0)

    for name, config in CONFIGS.items():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        with torch.no_grad():
            for weight in model.parameters():  # norms, too
                weight.normal_()
        model.save_pretrained(root / name)
        ByT5Tokenizer().save_pretrained(root / name)

    path = root / "buffer" / "config.json"
    settings = json.loads(path.read_text()) | {"auto_map": {"AutoModelForCausalLM": "own.Own"}}
    path.write_text(json.dumps(settings))
    (path.parent / "own.py").write_text(OWN)
    saved = load_file(path.parent / "model.safetensors") | {"scale": torch.full((3,), 7.0)}
    save_file(saved, path.parent / "model.safetensors", {"format": "pt"})

    return root


def cut(root, names, flags, garbage, variables):
    """In one of two processes: load each model, cut it, gather it, and write down what this process had and has."""
    os.environ.update(variables)
    torch.set_num_threads(1)

    from accelerate import Accelerator

    from llm_adapter.training import reference, resume, sharding
    from llm_adapter.training.arguments import parse_arguments
    from llm_adapter.training.run import read_model

    rank, hashed = variables["RANK"], []
    for module, name in ((resume, "_weights"), (reference, "model_digest")):
        digest = getattr(module, name)
        count = lambda *args, digest=digest: hashed.append(1) or digest(*args)  # noqa: E731
        setattr(module, name, count)

    facts = {}
    for name in names:
        model_name = name if name == "builtin" else str(root / name)
        own = f"--model {model_name} --reference_cache {root / 'cache'} --output_dir {root / 'out'}"
        args = parse_arguments(f"--use_cpu true --disable_tqdm true {own} {flags}".split())
        accelerator = Accelerator()
        accelerator.state.fsdp_plugin.cpu_ram_efficient_loading = True
        model = read_model(args)
        empty = sum(weight.is_meta for weight in model.parameters())
        if garbage and rank == "1":
            with torch.no_grad():
                for weight in model.parameters():
                    weight.fill_(torch.nan)

        settings = resume.settings_of(args, [], model)
        hashed_by = reference.Reference(model, args, accelerator)
        model = sharding.sharded(model, accelerator)

        whole = {
            key: (value.full_tensor() if hasattr(value, "full_tensor") else value).clone()
            for key, value in model.state_dict().items()
        }
        whole |= {key: buffer.clone() for key, buffer in model.named_buffers()}
        save_file(whole, root / f"{name}-{rank}.safetensors")
        facts[name] = {
            "empty": empty,
            "parts": sum(hasattr(weight, "full_tensor") for weight in model.parameters()),
            "weights": len(list(model.parameters())),
            "tied": model.get_input_embeddings().weight is model.get_output_embeddings().weight,
            "hashes": len(hashed),
            "digest": settings["model_weights"],
            "cached": bool(hashed_by.cache),
        }
        hashed.clear()

    (root / f"facts-{rank}.json").write_text(json.dumps(facts))


def by_two(processes, target, root, *args):
    """Call `target` in two processes under the shipped config; return the facts that each writes down."""
    running = [
        processes.Process(target=target, args=(root, *args, variables))
        for variables in launched("fsdp2")
    ]

    for process in running:
        process.start()
    for process in running:
        process.join(100)

    assert [process.exitcode for process in running] == [0, 0]
    return [json.loads((root / f"facts-{rank}.json").read_text()) for rank in (0, 1)]


def test_file_in_all_processes(processes, folders):
    """Each process gathers the file's weights and one process's buffers; one has read them, and one hashed them."""
    first, second = by_two(
        processes, cut, folders, list(CONFIGS), "--trust_remote_code true", False
    )

    for name in CONFIGS:
        one = load_model(str(folders / name), trust_remote_code=True)
        wanted = one.state_dict() | dict(one.named_buffers())
        assert len(wanted) > len(one.state_dict())  # angles of positions, which no file holds

        for rank, facts in enumerate((first[name], second[name])):
            held = load_file(folders / f"{name}-{rank}.safetensors")
            assert held.keys() == wanted.keys()
            assert all(value.equal(held[key]) for key, value in wanted.items()), (name, rank)
            assert facts["tied"] == (name in TIED)
            assert facts["parts"] == facts["weights"] == len(list(one.parameters()))

        received = first[name]["weights"] if name != "buffer" else 0
        assert (first[name]["empty"], second[name]["empty"]) == (0, received)
        assert first[name]["digest"] == second[name]["digest"]
        assert (first[name]["hashes"], second[name]["hashes"]) == (2, 0)
        assert (first[name]["cached"], second[name]["cached"]) == (True, False)

    assert not can_be_sent(load_model(str(folders / "buffer"), trust_remote_code=True))


def test_one_source(processes, tmp_path):
    """The built-in model is that of the first process, whatever the other one holds."""
    by_two(processes, cut, tmp_path, ["builtin"], "", True)
    set_seed(42)
    one = load_model("builtin").state_dict()

    for rank in (0, 1):
        held = load_file(tmp_path / f"builtin-{rank}.safetensors")
        assert all(value.equal(held[key]) for key, value in one.items())


def fail(root, failing, variables):
    """In one of two processes: make something together; the processes whose ranks are `failing` cannot."""
    os.environ.update(variables)

    from llm_adapter.training.arguments import parse_arguments
    from llm_adapter.training.sharding import together

    rank = variables["RANK"]
    args = parse_arguments(f"--use_cpu true --output_dir {root / 'out'}".split())

    def make():
        if rank in failing:
            raise KeyError(f"file {rank}")
        return rank

    try:
        facts = together(make, args)
    except Exception as error:
        facts = f"{type(error).__name__}: {error}"

    (root / f"facts-{rank}.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("failing", "facts"),
    [
        ("", ["0", "1"]),
        ("0", ["KeyError: 'file 0'", "ValueError: 'file 0'"]),
        ("1", ["ValueError: 'file 1'", "KeyError: 'file 1'"]),
        ("01", ["KeyError: 'file 0'", "KeyError: 'file 1'"]),
    ],
)
def test_together(processes, tmp_path, failing, facts):
    """What fails in one process is an error in both, and neither waits for the other."""
    assert by_two(processes, fail, tmp_path, failing) == facts


@pytest.mark.parametrize("tensor", ["weight", "running_mean"])
def test_refuse_missing(tensor):
    """A tensor without numbers is refused by name."""
    model = nn.BatchNorm1d(3)
    refuse_missing(model)
    group = model._buffers if tensor in model._buffers else model._parameters
    group[tensor] = nn.Parameter(torch.ones(3, device="meta"), requires_grad=False)

    with pytest.raises(ValueError, match=rf"got true \(1 of its tensors .* such as {tensor}\)"):
        refuse_missing(model)
