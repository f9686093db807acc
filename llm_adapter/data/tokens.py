"""Turn checked examples into token ids.

Prompt and responses are tokenised apart and then joined, so all responses of a prompt follow the same tokens. No id is
special afterwards: masks come from lengths, never from a pad id.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from .examples import Example, Fault, Text, Unusable

CHUNK = 64  # examples that a worker process takes at a time
_worker: dict = {}  # in a worker process: the tokenizer and the options


@dataclass(frozen=True)
class TokenizedExample:
    """Token ids of one example.

    `completions` holds the chosen response, then the rejected ones; `reference` their log-probabilities under the
    reference, in nats. `truncated` counts the sequences that were cut: responses, or the prompt under `left_prompt`.
    """

    line: int
    prompt: list[int]
    completions: tuple[list[int], ...]
    truncated: int = 0
    reference: tuple[float, ...] = ()
    file: int = 0

    @property
    def length(self) -> int:
        """The tokens of the prompt with its longest response."""
        return len(self.prompt) + max(map(len, self.completions))


@dataclass(frozen=True)
class Options:
    """How text becomes tokens.

    The default cuts responses on the right: the log-ratio of a response's beginning still answers the same prompt.
    Dropping long examples would prefer short responses, and a cut prompt asks a different question.
    """

    max_length: int
    truncation: str = "right"
    chat: bool = False


def check_tokenizer(tokenizer, examples: Sequence[Example], options: Options) -> list[Fault]:
    """Return a fault for the first example that needs a chat template or an EOS token that the tokenizer lacks."""
    lacks = {
        True: "prompt: expected a tokenizer with a chat template for messages, got one without it",
        False: "tokenizer: expected an EOS token to end a plain response, got none",
    }
    has = {True: bool(tokenizer.chat_template), False: tokenizer.eos_token_id is not None}
    for example in examples:
        chat = _is_chat(example, options)
        if not has[chat]:
            return [Fault(example.file, example.line, "", lacks[chat])]
    return []


def tokenize_examples(
    examples: Sequence[Example], tokenizer, options: Options, workers: int = 1
) -> Iterator[TokenizedExample | Fault]:
    """Yield the tokens or the fault of each example, in order; `workers` processes give the same as one.

    Raises:
        ValueError: a worker process died, for example for lack of memory.
    """
    chunks = [examples[start : start + CHUNK] for start in range(0, len(examples), CHUNK)]
    if workers == 1 or len(chunks) == 1:
        for example in examples:
            yield _outcome(example, tokenizer, options)
        return
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one level of parallelism: the processes
    try:
        with ProcessPoolExecutor(
            min(workers, len(chunks)), initializer=_start, initargs=(tokenizer, options)
        ) as pool:
            for done in pool.map(_tokenize_chunk, chunks):
                yield from done
    except BrokenProcessPool:
        raise ValueError(
            f"tokenize_workers: expected {workers} processes to finish, got one that died (out of memory?)"
        ) from None
    finally:
        os.environ.pop("TOKENIZERS_PARALLELISM")
        if before is not None:
            os.environ["TOKENIZERS_PARALLELISM"] = before


def _start(tokenizer, options: Options) -> None:
    _worker.update(tokenizer=tokenizer, options=options)


def _tokenize_chunk(examples: Sequence[Example]) -> list[TokenizedExample | Fault]:
    return [_outcome(example, **_worker) for example in examples]


def _outcome(example: Example, tokenizer, options: Options) -> TokenizedExample | Fault:
    try:
        return tokenize_example(example, tokenizer, options)
    except ValueError as error:
        return Fault(example.file, example.line, getattr(error, "reason", ""), str(error))


def tokenize_example(example: Example, tokenizer, options: Options) -> TokenizedExample:
    """Turn one checked example into token ids.

    A plain response gets the tokenizer's EOS. A conversation (messages anywhere in the example, or `options.chat`) goes
    through the tokenizer's chat template, which writes all special tokens itself.

    Raises:
        Unusable: the template refuses the turns or does not begin with the prompt; a prompt or response has no tokens
            or no room; responses have the same tokens after the cut.
        ValueError: the example does not fit and `truncation` is refuse.
    """
    responses, bos = (example.chosen, *example.rejected), _bos(tokenizer)
    if _is_chat(example, options):
        head, tails = _render(example.prompt, responses, tokenizer)
        begin, end = [], []
    else:
        head, tails = example.prompt, responses
        begin, end = bos, [tokenizer.eos_token_id]
    ids = tokenizer([head, *tails], add_special_tokens=False, verbose=False)["input_ids"]
    prompt, whole = begin + ids[0], [tail + end for tail in ids[1:]]
    if not prompt:
        raise Unusable("no_tokens", "prompt: expected at least one token, got none")
    if not all(whole):
        raise Unusable("no_tokens", "chosen, rejected: expected at least one token each, got none")
    prompt, cut, truncated = _fit(
        prompt, whole, options, keep=len(bos) if prompt[: len(bos)] == bos else 0
    )
    if cut[0] in cut[1:]:
        raise Unusable(
            "identical",
            "chosen: expected tokens that differ from those of each rejected response, got the same "
            f"{len(cut[0])} (max_length={options.max_length} leaves room for {options.max_length - len(prompt)})",
        )
    return TokenizedExample(example.line, prompt, cut, truncated, file=example.file)


def _fit(
    prompt: list[int], whole: Sequence[list[int]], options: Options, keep: int
) -> tuple[list[int], tuple[list[int], ...], int]:
    """Return prompt, responses and the number of cuts; the first `keep` tokens of the prompt are never cut."""
    longest, limit = max(map(len, whole)), options.max_length
    if len(prompt) + longest <= limit:
        return prompt, tuple(whole), 0
    if options.truncation == "right":
        room = limit - len(prompt)
        if room < 1:
            raise Unusable(
                "too_long",
                f"prompt: expected fewer than max_length={limit} tokens, got {len(prompt)}",
            )
        return prompt, tuple(ids[:room] for ids in whole), sum(len(ids) > room for ids in whole)
    if options.truncation == "left_prompt":
        room = limit - longest - keep
        if room < 1:
            raise Unusable(
                "too_long",
                f"chosen, rejected: expected room for the prompt within max_length={limit}, got {longest} tokens",
            )
        return prompt[:keep] + prompt[-room:], tuple(whole), 1
    message = f"prompt: expected at most max_length={limit} tokens with the response, got {len(prompt) + longest}"
    raise Unusable("too_long", message) if options.truncation == "drop" else ValueError(message)


def _is_chat(example: Example, options: Options) -> bool:
    texts = (example.prompt, example.chosen, *example.rejected)
    return options.chat or any(not isinstance(text, str) for text in texts)


def _bos(tokenizer) -> list[int]:
    """Return [BOS] if the tokenizer begins a text with it, else []."""
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and tokenizer("a")["input_ids"][:1] == [bos] else []


def _render(prompt: Text, responses: Sequence[Text], tokenizer) -> tuple[str, list[str]]:
    """Return the prompt's text and the responses' texts under the tokenizer's chat template."""

    def messages(text: Text, role: str) -> list:
        return [{"role": role, "content": text}] if isinstance(text, str) else text

    asked = messages(prompt, "user")
    try:
        head = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        full = [
            tokenizer.apply_chat_template(asked + messages(response, "assistant"), tokenize=False)
            for response in responses
        ]
    except Exception as error:  # a template is a program: jinja's errors, and Python's
        raise Unusable(
            "conversation", f"prompt: expected turns that the chat template accepts, got: {error}"
        ) from None
    if not all(text.startswith(head) for text in full):
        raise Unusable(
            "conversation",
            "prompt: expected a chat template that begins with the prompt, got one that does not",
        )
    return head, [text[len(head) :] for text in full]
