"""Load the data of a run: read a source, check its rows, tokenise them, and limit how many are dropped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..arguments.command import complain
from . import cache as token_cache
from .checking import check_rows
from .corpus import LABELS, Corpus
from .examples import (
    NOTES,
    WARNED,
    Example,
    Fault,
    count_notes,
    name_faults,
    refuse,
)
from .noted import unused
from .pairing import left_out, pair, with_both_labels
from .positions import check_lengths
from .sources import PAIRS, Source, check_source, open_source
from .tokens import Options, TokenizedExample, check_tokenizer, tokenize_examples

ALONE = (
    "label: expected a row of the other label with the same prompt, got none (bound js, or loss kto, trains on such "
    "rows; dv, DPO's, compares responses of one prompt)"
)
LOOKED_AT = 100  # rows that are read before anything else


@dataclass(frozen=True)
class Data:
    """Tokenised examples of one source, and its rows that were dropped; `cached` if they were tokenised before.

    `ignored` counts, for each key that nothing reads, the rows that have it; a field of messages is `message.FIELD`,
    and counts the examples. `rows` counts the rows that were read.
    """

    source: Source
    examples: Corpus
    dropped: list[Fault]
    ignored: dict[str, int]
    rows: int
    cached: bool = False

    @property
    def reasons(self) -> str:
        """The reasons with their counts, as text."""
        return ", ".join(f"{count} {reason}" for reason, count in self.counts.items())

    @property
    def counts(self) -> dict[str, int]:
        """The number of dropped rows for each reason, most frequent first."""
        return dict(Counter(fault.reason for fault in self.dropped).most_common())

    @property
    def notes(self) -> dict[str, int]:
        """The number of examples for each note (`examples.NOTES`)."""
        kinds = (self.examples.notes[place] for place in self.examples.rows["notes"])
        return count_notes(note for kind in kinds for note in kind)


def refuse_unreadable(name: str) -> None:
    """Read the first rows of a path and refuse what `prepare` would refuse; a hub name is left for later.

    Raises:
        ValueError: no such path, no readable file, an empty source, or a row with a fatal fault.
    """
    check_source(name)
    if Path(name).exists():
        read_rows(open_source(name), None, LOOKED_AT)


def read_rows(
    source: Source, max_negatives: int | None = None, rows: int | None = None
) -> tuple[list[Example], list[Fault]]:
    """Return the examples of a source and its unusable rows; refuse fatal faults and an empty source."""
    examples, faults = _checked(source, max_negatives, rows)
    examples, more = pair(examples, max_negatives)
    return examples, sorted(faults + more, key=lambda fault: (fault.file, fault.line))


def _checked(
    source: Source, max_negatives: int | None, rows: int | None = None
) -> tuple[list[Example], list[Fault]]:
    """Return what `read_rows` does, before rows of one response are paired."""
    examples, faults = check_rows(source, max_negatives, rows)
    refuse(source.files, [fault for fault in faults if not fault.reason])
    if not examples and not faults:
        raise ValueError(f"{source.files[0]}: expected at least one example, got an empty file")
    return examples, faults


def read_examples(path: str | Path, max_negatives: int | None = None) -> list[Example]:
    """Read and check a source of preferences, keeping at most the first `max_negatives` rejected responses.

    Raises:
        ValueError: a missing or empty source, or any fatal or unusable row. One message counts and lists them.
    """
    source = open_source(path)
    examples, faults = read_rows(source, max_negatives)
    refuse(source.files, faults)
    return examples


def tokenize(
    examples: Sequence[Example],
    tokenizer,
    max_length: int,
    path: str | Path,
    chat: bool = False,
    truncation: str = "right",
) -> Corpus:
    """Turn checked examples of one source into token ids.

    Raises:
        ValueError: the tokenizer lacks the template or EOS that they need, or an example cannot be used.
    """
    files = open_source(path).files if Path(path).is_dir() else (str(path),)
    tokenized, faults, _ = _tokenize(
        files, examples, tokenizer, Options(max_length, truncation, chat)
    )
    refuse(files, faults)
    return tokenized


def _tokenize(
    files: Sequence[str],
    examples: Sequence[Example],
    tokenizer,
    options: Options,
    workers: int = 1,
    progress: bool = False,
) -> tuple[Corpus, list[Fault], Counter[str]]:
    """Return the tokens of the examples, the unusable ones, and how many examples have each ignored field of messages.

    Refuses a tokenizer that lacks what they need.
    """
    refuse(files, check_tokenizer(tokenizer, examples, options))
    outcomes = tokenize_examples(examples, tokenizer, options, workers)
    style = {"unit": " examples", "disable": not progress, "leave": False, "delay": 1}
    faults: list[Fault] = []
    ignored: Counter[str] = Counter()

    def usable() -> Iterator[TokenizedExample]:
        for outcome in tqdm(outcomes, "tokenising", total=len(examples), **style):
            if isinstance(outcome, Fault):
                faults.append(outcome)
            else:
                ignored.update(outcome.ignored)
                yield outcome

    corpus = Corpus.of(usable())
    refuse(files, [fault for fault in faults if not fault.reason])
    return corpus, faults, ignored


def prepare(
    source: Source,
    tokenizer,
    options: Options,
    max_negatives: int | None = None,
    folder: Path | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Data:
    """Return the tokens of a source: those that `folder` keeps, or new ones, which it keeps from then on.

    Raises:
        ValueError: a fatal fault, an empty source, or a tokenizer without the template or EOS that the rows need.
    """
    key = token_cache.content_key(source.digest, tokenizer, options, max_negatives)
    if folder and (kept := token_cache.load(folder, key)):
        return Data(source, *kept, cached=True)

    examples, dropped = _checked(source, max_negatives)
    count = len(examples) + len(dropped)
    usable = partial(_tokenize, tokenizer=tokenizer, options=options, workers=workers)

    if meeting := with_both_labels(examples):  # each by itself, before they are paired
        _, faults, _ = usable(source.files, meeting)
        dropped += faults
        faulty = {(fault.file, fault.line) for fault in faults}
        examples = [row for row in examples if (row.file, row.line) not in faulty]

    examples, faults = pair(examples, max_negatives)
    dropped += faults

    tokenized, faults, ignored = usable(source.files, examples, progress=progress)
    dropped += faults + left_out(faults, examples)
    dropped.sort(key=lambda fault: (fault.file, fault.line))
    ignored.update(key for example in examples for key in example.ignored)
    made = tokenized, dropped, dict(ignored.most_common()), count
    if folder:
        token_cache.save(folder, key, made)
        made = token_cache.load(folder, key) or made  # mapped, as other processes have them

    return Data(source, *made)


def load_data(args, tokenizer) -> tuple[Data, Data | None]:
    """Return the training data (the shipped pairs by default) and the evaluation data, or None.

    Prints a line for each. Dropped rows are listed in `args.output_dir`/dropped.jsonl with `file`, `line`, `reason`,
    `message` and `row`. Of several processes on a machine, the first one tokenises and the others read its cache.

    Raises:
        ValueError: what `prepare` raises, before anything is written; more unusable rows than `args.max_dropped`
            allows, or no usable one, after dropped.jsonl is written.
    """
    names = [(args.train_data or PAIRS, args.dataset_train_split)]
    names += [(args.eval_data, args.dataset_test_split)] if args.eval_data else []
    with args.main_process_first(desc="tokenised data"):
        parts = [
            prepare(
                open_source(name, args.dataset_config, split),
                tokenizer,
                options_of(args),
                args.max_negatives,
                token_cache.cache_folder(args.token_cache),
                args.tokenize_workers,
                progress=not args.disable_tqdm and args.local_process_index == 0,
            )
            for name, split in names
        ]

    across = args.objective().splits
    parts = [with_counterparts(part, across) for part in parts]
    settle(parts, args, Path(args.output_dir) / "dropped.jsonl", args.process_index == 0)

    return parts[0], parts[1] if args.eval_data else None


def with_counterparts(data: Data, across: bool) -> Data:
    """Return the data with each response alone set against one of the other label, or dropped.

    The rows of the rarer label are repeated, so that both labels weigh the same.

    Args:
        data: what `prepare` returns.
        across: whether the loss takes responses to different prompts; else they are dropped as `unpaired`.
    """
    corpus, labels = data.examples, data.examples.rows["label"]
    bad, good = (np.flatnonzero(labels == LABELS.index(label)) for label in (False, True))
    count = max(len(good), len(bad))
    if not count:
        return data

    if across and len(good) and len(bad):
        pairs = corpus.with_pairs(np.resize(good, count), np.resize(bad, count))
        return replace(data, examples=pairs)

    both = f"label: expected rows of both labels, got only {'true' if len(good) else 'false'}"
    reason = ALONE if len(good) and len(bad) else both
    alone = corpus.rows[labels > 0][["file", "line"]].tolist()
    faults = [Fault(file, line, "unpaired", reason) for file, line in alone]
    dropped = sorted([*data.dropped, *faults], key=lambda fault: (fault.file, fault.line))

    return replace(data, examples=replace(corpus, rows=corpus.rows[labels == 0]), dropped=dropped)


def options_of(args) -> Options:
    """Return how text becomes tokens, from the arguments of a command."""
    return Options(args.max_length, args.truncation, args.chat, template_arguments(args))


def template_arguments(args) -> dict:
    """Return the arguments of the chat template, which the command line gives as JSON."""
    return json.loads(args.chat_template_kwargs or "{}")


def settle(parts: Sequence[Data], args, dropped: Path, speaks: bool) -> None:
    """List the dropped rows, refuse too many, and print a line for each source; one process `speaks`.

    Raises:
        ValueError: more unusable rows than `args.max_dropped` allows, or no usable one, after `dropped` is written.
    """
    if speaks:
        write_dropped(dropped, parts)
    for data in parts:
        check_share(data, args.max_dropped, dropped)

    for data in parts if speaks else ():
        print(report(data, args), flush=True)
        for line in surprises(data):
            complain("data", line, "warning")


def surprises(data: Data) -> Iterator[str]:
    """Yield what may surprise a user about the rows in use, with a remedy where there is one."""
    for name, count in data.notes.items():
        if name in WARNED:
            kinds = [place for place, kind in enumerate(data.examples.notes) if name in kind]
            first = data.examples.rows[np.isin(data.examples.rows["notes"], kinds)][0]
            where = f"{data.source.files[first['file']]}:{first['line']}"
            yield f"{name}: {count} of {len(data.examples)} examples, the first in {where}: {NOTES[name]}"

    joined = [fault for fault in data.dropped if fault.reason == "no_boundary"]
    if joined:
        where = name_faults(data.source.files, joined)
        yield f"no_boundary: {len(joined)} of {data.rows} rows dropped: {where}"
    if names := [key for key in data.ignored if unused(key)]:
        yield f"{', '.join(names)}: the rows have them, and neither a loss nor the chat template reads them"


def write_dropped(path: Path, parts: Sequence[Data]) -> None:
    """Write the dropped rows as JSON lines; remove the file of an earlier run if there are none.

    Raises:
        ValueError: the folder cannot be written.
    """
    from mi_estimators.display import whole_file

    lines = [line for data in parts for line in _dropped_lines(data)]
    try:
        if not lines:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.writelines(lines)
    except OSError as error:
        raise ValueError(
            f"output_dir: expected a folder to write to, got {path.parent} "
            f"({error.strerror or error})"
        ) from None


def _dropped_lines(data: Data) -> Iterator[bytes]:
    faults = {(fault.file, fault.line): fault for fault in data.dropped}
    for row in data.source.rows() if faults else ():
        if fault := faults.get((row.file, row.line)):
            value = json.loads(row.value) if isinstance(row.value, bytes) else row.value
            line = {
                "file": data.source.files[row.file],
                "line": row.line,
                "reason": fault.reason,
                "message": fault.message,
                "row": value,
            }
            yield f"{json.dumps(line, default=str)}\n".encode()


def check_share(data: Data, max_dropped: float, path: Path) -> None:
    """Raise if more than the share `max_dropped` of the rows was dropped, or all of them; `path` lists them."""
    count = len(data.dropped)
    if count > max_dropped * data.rows or not data.examples:
        limit = (
            f"at most {max_dropped:g} of the rows" if data.examples else "at least one usable row"
        )
        raise ValueError(
            f"max_dropped: expected {limit}, got {count} of {data.rows} dropped ({data.reasons}; "
            f"all in {path}): {name_faults(data.source.files, data.dropped)}"
        )


def check_fit(examples: Sequence[TokenizedExample], files: Sequence[str], model) -> None:
    """Refuse examples for which a causal LM has too few positions or embeddings.

    Raises:
        ValueError: the longest such example, or the one with the largest token id, by file and line.
    """
    corpus = Corpus.of(examples)
    lengths = corpus.shapes.lengths
    longest = corpus[int(lengths.argmax())]
    where = f"in {files[longest.file]}:{longest.line}"
    check_lengths(model.config, int(lengths.min()), longest.length, "max_length", where)

    vocabulary = len(model.get_input_embeddings().weight)
    if corpus.tokens.max() < vocabulary:
        return

    largest = max(corpus, key=_largest_id)
    if _largest_id(largest) >= vocabulary:
        raise ValueError(
            f"model: expected token ids below its {vocabulary} embeddings, got "
            f"{_largest_id(largest)} in {files[largest.file]}:{largest.line} (the tokenizer is "
            "another model's)"
        )


def _largest_id(example: TokenizedExample) -> int:
    return max(max(example.prompt + head + ids) for head, ids in example.continuations)


def report(data: Data, args) -> str:
    """Return one line on the data: what is used, dropped, cut, worth a note and ignored."""
    negatives = data.examples.negatives
    low, high = min(negatives), max(negatives)
    cut = data.examples.truncated
    parts = "prompts" if args.truncation == "left_prompt" else "responses"
    notes = ", ".join(f"{count} {name}" for name, count in data.notes.items())
    ignored = ", ".join(f"{key} ({count})" for key, count in data.ignored.items())
    skipped = ", ".join(data.source.skipped)

    return "; ".join(
        (
            f"data {data.source.name}: {len(negatives)} examples",
            f"rejected responses each: {low if low == high else f'{low} to {high}'}",
            f"dropped rows: {len(data.dropped)}" + (f" ({data.reasons})" if data.dropped else ""),
            f"cut {parts}: {cut} (max_length {args.max_length})",
            *([f"of these {notes}"] if notes else []),
            *([f"ignored keys: {ignored}"] if ignored else []),
            *([f"skipped files: {skipped}"] if skipped else []),
            "tokens from the cache" if data.cached else "tokenised now",
        )
    )
