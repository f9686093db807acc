"""What the adapter's tests share: caches of their own, small models and data, and stand-ins for sampling."""

import json
import math
import multiprocessing
import re
import shutil

import pytest
import torch
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM, set_seed

from llm_adapter import pairs
from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.data.sources import PAIRS
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.evaluation import rollouts
from llm_adapter.evaluation.sampling import Sample
from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.precision import WEIGHTS
from llm_adapter.training.trainer import PreferenceTrainer

QUICK = "--use_cpu true --max_steps 2 --warmup_steps 0 --logging_steps 1 --disable_tqdm true"
QUICK += " --per_device_train_batch_size 4"


@pytest.fixture(autouse=True, scope="session")
def assets_of_their_own(tmp_path_factory):
    """Point Hugging Face's folder of assets, the default place of the token cache, to a temporary one."""
    folder = str(tmp_path_factory.mktemp("assets"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ASSETS_CACHE", folder)
        patch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", folder)
        yield


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported the command and computed nothing: quick to start, real to kill."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["llm_adapter.training.run"])
    return context


@pytest.fixture(scope="session")
def log_prob():
    """Return the sum of ln π over a completion by one float64 pass over one unpadded row."""

    def total(model, prompt, completion):
        with torch.no_grad():
            logits = model.double()(input_ids=torch.tensor([prompt + completion])).logits
        model.float()
        log_probs = logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        return log_probs.gather(-1, torch.tensor(completion)[:, None]).sum().item()

    return total


@pytest.fixture(scope="session")
def shipped_pairs(tmp_path_factory):
    """Write the first of the shipped pairs, or the shortest of them, into a file of its own."""

    def write(count, shortest=True):
        lines = PAIRS.read_text().splitlines(keepends=True)
        path = tmp_path_factory.mktemp("pairs") / "few.jsonl"
        path.write_text("".join((sorted(lines, key=len) if shortest else lines)[:count]))
        return path

    return write


@pytest.fixture
def make_trainer(tmp_path):
    """Make a trainer of the built-in model on the first of the shipped pairs."""

    def make(flags="", examples=16):
        command = f"--output_dir {tmp_path} --disable_tqdm true {flags}"
        args, tokenizer = parse_arguments(command.split()), load_tokenizer("builtin")
        rows = tokenize(read_examples(PAIRS, args.max_negatives)[:examples], tokenizer, 512, PAIRS)
        set_seed(0)
        model = load_model("builtin", dtype=WEIGHTS[args.weights])

        return PreferenceTrainer(model, args, rows, None, tokenizer)

    return make


@pytest.fixture(scope="session")
def folder(tmp_path_factory, shipped_pairs):
    """A folder with a tiny model, its tokenizer and eight pairs."""
    folder = tmp_path_factory.mktemp("tiny")
    set_seed(0)
    config = LlamaConfig(
        vocab_size=384,
        max_position_embeddings=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    ByT5Tokenizer().save_pretrained(folder)
    (folder / "few.jsonl").write_bytes(shipped_pairs(8).read_bytes())

    return folder


@pytest.fixture
def run():
    """Train a folder's model on its pairs; return the exit status and the logged lines."""

    def train(folder, out, flags="", model=None):
        data = f"--model {model or folder} --train_data {folder / 'few.jsonl'}"
        status = main(f"--output_dir {out} {data} {QUICK} {flags}".split())
        lines = (out / "metrics.jsonl").read_text().splitlines() if status == 0 else []

        return status, [
            {name: math.nan if value is None else value for name, value in json.loads(line).items()}
            for line in lines
        ]

    return train


@pytest.fixture
def changed():
    """Copy a model's folder; change settings of the copy."""

    def copied(folder, copy, **settings):
        shutil.copytree(folder, copy)
        config = json.loads((copy / "config.json").read_text()) | settings
        (copy / "config.json").write_text(json.dumps(config))
        return copy

    return copied


@pytest.fixture(scope="session")
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


@pytest.fixture
def tokenizer():
    return load_tokenizer("builtin")


@pytest.fixture(scope="session")
def scaled():
    """Return the built-in model with its matrices scaled up: the past hardly matters to small random weights."""

    def grow(factor):
        set_seed(0)
        model = load_model("builtin").eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(factor if weight.ndim > 1 else 1)
        return model

    return grow


@pytest.fixture(scope="module")
def model(scaled):
    return scaled(4)


@pytest.fixture
def policy():
    """Return a stand-in for `sample` that is right with probability ½, cut with 1/8, and notes its prompts."""

    def noting(calls):
        def draw(model, tokenizer, prompts, samples, temperature, max_new_tokens, seed):
            calls.append(list(prompts))
            generator = torch.Generator().manual_seed(seed)

            def response(prompt):
                numbers = [int(number) for number in re.findall(r"\d+", prompt)]
                right, cut, slip = torch.rand(3, generator=generator).tolist()
                answer = numbers[0] * numbers[1] + (0 if right < 0.5 else 1 + int(3 * slip))
                return Sample(f"The answer is {answer}.", cut > 1 / 8, 5)

            return [[response(prompt) for _ in range(samples)] for prompt in prompts]

        return draw

    return noting


@pytest.fixture
def calls(policy, monkeypatch):
    """Put the stand-in into the rollouts; return the prompts it is called with."""
    calls = []
    monkeypatch.setattr(rollouts, "sample", policy(calls))
    return calls


@pytest.fixture
def make():
    """Run a command on products."""

    def ask(out, flags, command=pairs):
        return command.main(f"--task products --samples 6 --batch 4 --out {out} {flags}".split())

    return ask


@pytest.fixture
def contents():
    """Return the files of a folder, without the one that names it."""

    def read(folder):
        paths = [path for path in folder.iterdir() if not path.name.endswith(".stats.json")]
        return {path.name: path.read_bytes() for path in paths}

    return read


@pytest.fixture
def pairs_file(tmp_path):
    """Write preferences, some with given questions."""

    def write(*questions):
        rows = [
            {"prompt": "3 * 4 =\n", "chosen": "12", "rejected": ["13", "1 2", "12 and some"]},
            {"prompt": "7 - 5 =\n", "chosen": "The answer is 2.", "rejected": ["3"]},
            *({"prompt": f"{text}\n", "chosen": "1", "rejected": "2"} for text in questions),
        ]
        path = tmp_path / "rank.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

        return path

    return write
