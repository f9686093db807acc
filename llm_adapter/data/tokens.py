"""Turn checked examples into token ids.

A prompt is tokenised together with each response, because tokenizers may read a text otherwise where it begins: those
of SentencePiece put a space there. The prompt's tokens are the longest beginning that the prompt alone and all its
texts with a response have in common, so all responses of a prompt follow the same tokens. No id is special afterwards:
masks come from lengths, never from a pad id.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .control import has_control_text
from .examples import Example, Fault, Sampled, Unusable
from .layouts import common_length
from .round_trip import lost_text
from .templates import check_template_arguments, render

CHUNK = 64  # examples that a worker process takes at a time
_worker: dict = {}  # in a worker process: the tokenizer and the options


@dataclass(frozen=True)
class TokenizedExample:
    """Token ids of one example.

    `completions` holds the chosen response, then the rejected ones; `reference` their log-probabilities under the
    reference, in nats. `truncated` counts the sequences that were cut: responses, or the prompt under `left_prompt`.
    `notes` are keys of `examples.NOTES`. Where the responses have prompts of their own, they are `heads`, and `prompt`
    is empty. A response alone has a `label`. `mismatched` are responses of another
    example after the prompts of this one, from which KTO estimates its reference point. `ignored` are fields of
    messages that the chat template does not write.
    """

    line: int
    prompt: list[int]
    completions: tuple[list[int], ...]
    truncated: int = 0
    reference: tuple[float, ...] = ()
    file: int = 0
    notes: tuple[str, ...] = ()
    heads: tuple[list[int], ...] = ()
    label: bool | None = None
    mismatched: TokenizedExample | None = None
    ignored: tuple[str, ...] = ()

    @property
    def continuations(self) -> list[tuple[list[int], list[int]]]:
        """What follows `prompt`: for each response the prompt of its own, if it has one, and its tokens."""
        heads = self.heads or ([],) * len(self.completions)
        return list(zip(heads, self.completions, strict=True))

    @property
    def context(self) -> list[int]:
        """The tokens before the first response."""
        return self.prompt + self.continuations[0][0]

    @property
    def length(self) -> int:
        """The tokens of the longest response, with those before it."""
        return len(self.prompt) + max(len(head) + len(ids) for head, ids in self.continuations)

    @property
    def content(self) -> list:
        """The tokens, for a hash of them."""
        return [self.prompt, self.completions, *([self.heads] if self.heads else [])]

    @property
    def size(self) -> int:
        """The tokens of the prompt with all its responses: what a shared row takes."""
        return len(self.prompt) + sum(len(head) + len(ids) for head, ids in self.continuations)


@dataclass(frozen=True)
class Options:
    """How text becomes tokens.

    The default cuts responses on the right: the log-ratio of a response's beginning still answers the same prompt.
    Dropping long examples would prefer short responses, and a cut prompt asks a different question.
    """

    max_length: int
    truncation: str = "right"
    chat: bool = False
    template: dict[str, Any] = field(default_factory=dict)  # arguments of the chat template


def check_tokenizer(tokenizer, examples: Sequence[Example], options: Options) -> list[Fault]:
    """Return a fault for the first example that needs a chat template or an EOS token that the tokenizer lacks.

    Raises:
        ValueError: arguments of the chat template that it does not read.
    """
    check_template_arguments(options.template, tokenizer.chat_template)
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
    if workers == 1 or len(chunks) < 2:
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
    except Exception as error:  # a tokenizer may be a program of its own, as a template is
        return Fault.of(example, error)


def tokenize_example(example: Example, tokenizer, options: Options) -> TokenizedExample:
    """Turn one checked example into token ids.

    A plain response ends with the tokenizer's EOS. A conversation (messages anywhere in the example, or `options.chat`)
    goes through the tokenizer's chat template, which writes all special tokens itself. Ids that a model sampled stand
    for themselves, if they are of this vocabulary.

    Raises:
        Unusable: the template refuses the turns or does not begin with the prompt; a prompt or response has no tokens
            or no room; responses have the same tokens after the cut.
        ValueError: the example does not fit and `truncation` is refuse.
    """
    prefix, chat = _prefix(tokenizer), _is_chat(example, options)
    notes, ignored = list(example.notes), []
    if _is_own(example.sampled, tokenizer):
        assert example.sampled is not None
        prompt, whole = example.sampled.prompt, list(example.sampled.completions)
        notes.append("sampled")
    else:
        prompt, whole, more, ignored = _tokens(example, tokenizer, options, chat, prefix)
        notes += ["retokenised", *more] if example.sampled else more

    beginning = "".join(tokenizer.convert_ids_to_tokens(prefix))
    if has_control_text(example, tokenizer, chat, beginning):
        notes.append("control_text")
    if not prompt:
        raise Unusable("no_tokens", "prompt: expected at least one token, got none")
    if not all(whole):
        raise Unusable("no_tokens", "chosen, rejected: expected at least one token each, got none")

    # By the tokenizer, the template or the text
    begun = int(prompt[0] == tokenizer.bos_token_id)
    begun = max(begun, common_length([prompt, prefix]))
    prompt, cut, truncated = _fit(prompt, whole, options, keep=begun)

    if cut[0] in cut[1:]:
        raise Unusable(
            "identical",
            "chosen: expected tokens that differ from those of each rejected response, got the same "
            f"{len(cut[0])} (max_length={options.max_length} leaves room for {options.max_length - len(prompt)})",
        )

    return TokenizedExample(
        example.line,
        prompt,
        cut,
        truncated,
        file=example.file,
        notes=tuple(notes),
        label=example.label,
        ignored=tuple(ignored),
    )


def _tokens(
    example: Example, tokenizer, options: Options, chat: bool, prefix: list[int]
) -> tuple[list[int], list[list[int]], list[str], list[str]]:
    """Return the tokens of the prompt and of the responses, notes, and the fields of messages that are ignored."""
    head, texts, notes, ignored = (
        render(example, tokenizer, options.template) if chat else _plain(example, tokenizer)
    )
    rows = _encode([head, *texts], tokenizer)
    notes += lost_text(texts, rows[1:], tokenizer)
    open_ids, *ids = (_begun(row, chat, prefix) for row in rows)
    length = common_length([open_ids, *ids])
    if open_ids and not length:
        other = next(row for row in ids if row[:1] != open_ids[:1])
        begins = [tokenizer.decode(row[:1]) for row in (open_ids, other)]
        raise Unusable(
            "no_boundary",
            "prompt: expected a first token that stays the same when a response follows, got {!r} alone and {!r} "
            "with a response (end the prompt with a space or a line break, or take --chat true)".format(
                *begins
            ),
        )

    if length < len(open_ids) and "template" not in notes:
        notes.append("merged")

    responses = [row[length:] for row in ids]
    end = tokenizer.eos_token_id
    if not chat:
        responses = [row if row[-1:] == [end] else [*row, end] for row in responses]
    elif not all(up_to_end(row, tokenizer) for row in responses):
        notes.append("endless")

    return open_ids[:length], responses, notes, [f"message.{name}" for name in ignored]


def _plain(example: Example, tokenizer) -> tuple[str, list[str], list[str], list[str]]:
    """Return what `render` does, without a template."""
    head = f"{example.system}\n\n{example.prompt}" if example.system else f"{example.prompt}"
    texts = [f"{head}{response}" for response in (example.chosen, *example.rejected)]
    unused = {
        "plain": tokenizer.chat_template,
        "kwargs_ignored": example.template,
        "tools_ignored": example.tools,
    }
    return head, texts, [note for note, value in unused.items() if value], []


def prompt_ids(text: str, tokenizer) -> list[int]:
    """Return the tokens of a prompt that a model is to continue: a chat template's output, or plain text.

    Training on the sampled ids and on the text gives the same prompt, as far as no token spans its end.
    """
    (ids,) = _encode([text], tokenizer)
    return _begun(ids, bool(tokenizer.chat_template), _prefix(tokenizer))


def _encode(texts: list[str], tokenizer) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]


def _begun(ids: list[int], chat: bool, prefix: list[int]) -> list[int]:
    """Return the tokens with the prefix once: plain text gets one, and neither text nor template adds a second."""
    if not chat:
        ids = prefix + ids[common_length([ids, prefix]) :]
    while prefix and ids[: 2 * len(prefix)] == prefix * 2:
        ids = ids[len(prefix) :]
    return ids


def up_to_end(ids: list[int], tokenizer) -> list[int]:
    """Return a response up to the special token at its end, white space aside; nothing where it has none."""
    while ids and not tokenizer.decode(ids[-1:]).strip() and ids[-1] not in _special(tokenizer):
        ids = ids[:-1]
    return ids if ids and ids[-1] in _special(tokenizer) else []


@lru_cache(maxsize=4)
def _special(tokenizer) -> frozenset[int]:
    """Return the ids of the special and of the added tokens, such as the marks of turns, but not of unknown text."""
    ids = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    # GPT-2's token of unknown text is its end token
    return frozenset(ids - {tokenizer.unk_token_id} | {tokenizer.eos_token_id})


def vocabulary_digest(tokenizer) -> str:
    """Return a short hash of which token each id stands for."""
    words = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


_digest = lru_cache(maxsize=4)(vocabulary_digest)


def _is_own(sampled: Sampled | None, tokenizer) -> bool:
    """Return whether ids that a model sampled are ids of this tokenizer."""
    return sampled is not None and sampled.vocabulary == _digest(tokenizer)


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


def _prefix(tokenizer) -> list[int]:
    """Return the special tokens that the tokenizer writes before a text, such as BOS."""
    (bare,), whole = _encode(["a"], tokenizer), tokenizer("a")["input_ids"]
    count = len(whole) - len(bare)
    places = (place for place in range(count + 1) if whole[place : place + len(bare)] == bare)
    return whole[: next(places, 0)]
