"""The adapter's tests keep their token caches to themselves, and share the processes that real commands run in."""

import multiprocessing

import pytest


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
    import torch

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
    from llm_adapter.data.sources import PAIRS

    def write(count, shortest=True):
        lines = PAIRS.read_text().splitlines(keepends=True)
        path = tmp_path_factory.mktemp("pairs") / "few.jsonl"
        path.write_text("".join((sorted(lines, key=len) if shortest else lines)[:count]))
        return path

    return write


@pytest.fixture
def make_trainer(tmp_path):
    """Make a trainer of the built-in model on the first of the shipped pairs."""
    from transformers import set_seed

    from llm_adapter.data.load import read_examples, tokenize
    from llm_adapter.data.sources import PAIRS
    from llm_adapter.models import load_model, load_tokenizer
    from llm_adapter.training.arguments import parse_arguments
    from llm_adapter.training.trainer import PreferenceTrainer

    def make(flags="", examples=16):
        command = f"--output_dir {tmp_path} --disable_tqdm true {flags}"
        args, tokenizer = parse_arguments(command.split()), load_tokenizer("builtin")
        rows = tokenize(read_examples(PAIRS, args.max_negatives)[:examples], tokenizer, 512, PAIRS)
        set_seed(0)
        return PreferenceTrainer(load_model("builtin"), args, rows, None, tokenizer)

    return make
