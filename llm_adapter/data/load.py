"""The data of a run: sources → checked examples → tokens, cached; what is unusable is named, counted and limited."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from . import cache as token_cache
from .examples import Example, Fault, check_rows, name_faults, refuse
from .sources import PAIRS, Source, check_source, open_source
from .tokens import Options, TokenizedExample, check_tokenizer, tokenize_examples

LOOKED_AT = 100  # rows that are read before anything else


@dataclass(frozen=True)
class Data:
    """Tokenised examples of one source, what was dropped of it, and the hash that names them: `key`."""

    source: Source
    examples: list[TokenizedExample]
    dropped: list[Fault]
    key: str
    cached: bool

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of dropped rows by reason, most frequent first."""
        return dict(Counter(fault.reason for fault in self.dropped).most_common())


def refuse_unreadable(name: str) -> None:
    """Read the first rows of a path and refuse what `prepare` would refuse; a hub name is left for later.

    Raises:
        ValueError: no such path, no readable file, an empty source, or a row with a fatal fault.
    """
    check_source(name)
    if Path(name).exists():
        _read(open_source(name), None, LOOKED_AT)


def _read(
    source: Source, max_negatives: int | None, rows: int | None = None
) -> tuple[list[Example], list[Fault]]:
    """Return the examples of a source and its unusable rows; refuse fatal faults and an empty source."""
    examples, faults = check_rows(source, max_negatives, rows)
    refuse(source.files, [fault for fault in faults if not fault.reason])
    if not examples and not faults:
        raise ValueError(f"{source.files[0]}: expected at least one example, got an empty file")
    return examples, faults


def read_examples(path: str | Path, max_negatives: int | None = None) -> list[Example]:
    """Read and check a source of preferences, keeping at most the first `max_negatives` rejected responses.

    Raises:
        ValueError: a missing or empty source, or any fatal or unusable row. One message counts and names them.
    """
    source = open_source(path)
    examples, faults = _read(source, max_negatives)
    refuse(source.files, faults)
    return examples


def tokenize(
    examples: Sequence[Example],
    tokenizer,
    max_length: int,
    path: str | Path,
    chat: bool = False,
    truncation: str = "right",
) -> list[TokenizedExample]:
    """Turn checked examples of one file into token ids.

    Raises:
        ValueError: a tokenizer without the template or EOS that they need, or any example that cannot be used.
    """
    options = Options(max_length, truncation, chat)
    files = open_source(path).files if Path(path).is_dir() else (str(path),)
    found = check_tokenizer(tokenizer, examples, options)
    refuse(files, [found] if found else [])
    outcomes = list(tokenize_examples(examples, tokenizer, options))
    refuse(files, [each for each in outcomes if isinstance(each, Fault)])
    return [each for each in outcomes if isinstance(each, TokenizedExample)]


def prepare(
    source: Source,
    tokenizer,
    options: Options,
    max_negatives: int | None = None,
    folder: Path | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Data:
    """Return the tokens of a source, from `folder` where it has them, else made and kept there.

    Raises:
        ValueError: a fatal fault, an empty source, a tokenizer without the template or EOS that the rows need.
    """
    key = token_cache.content_key(source.digest, tokenizer, options, max_negatives)
    found = token_cache.load(folder, key) if folder else None
    if found:
        return Data(source, *found, key, cached=True)
    examples, faults = _read(source, max_negatives)
    lacking = check_tokenizer(tokenizer, examples, options)
    refuse(source.files, [lacking] if lacking else [])
    outcomes = tokenize_examples(examples, tokenizer, options, workers)
    bar = {
        "total": len(examples),
        "unit": " examples",
        "disable": not progress,
        "leave": False,
        "delay": 1,
    }
    done = list(tqdm(outcomes, "tokenising", **bar))
    faults += [each for each in done if isinstance(each, Fault)]
    refuse(source.files, [fault for fault in faults if not fault.reason])
    faults.sort(key=lambda fault: (fault.file, fault.line))
    tokenized = [each for each in done if isinstance(each, TokenizedExample)], faults
    if folder:
        token_cache.save(folder, key, tokenized)
    return Data(source, *tokenized, key, cached=False)


def load_data(args, tokenizer) -> tuple[Data, Data | None]:
    """Return the training data (the shipped pairs if `args.train_data` is unset) and the evaluation data, or None.

    Prints a line for each, and leaves what was dropped in `args.output_dir`/dropped.jsonl: `file`, `line`, `reason`,
    `message` and the row. A process of many waits for the first on its machine and reads its cache.

    Raises:
        ValueError: what `prepare` raises, before anything is written; a share of unusable rows above
            `args.max_dropped`, or no example left, after dropped.jsonl and before anything else.
    """
    names = [(args.train_data or PAIRS, args.dataset_train_split)]
    names += [(args.eval_data, args.dataset_test_split)] if args.eval_data else []
    options = Options(args.max_length, args.truncation, args.chat)
    folder = token_cache.cache_folder(args.token_cache)
    with args.main_process_first(desc="tokenised data"):
        found = [
            prepare(
                open_source(name, args.dataset_config, split),
                tokenizer,
                options,
                args.max_negatives,
                folder,
                args.tokenize_workers,
                progress=not args.disable_tqdm and args.local_process_index == 0,
            )
            for name, split in names
        ]
    dropped = Path(args.output_dir) / "dropped.jsonl"
    if args.process_index == 0:
        write_dropped(dropped, found)
    for data in found:
        check_share(data, args.max_dropped, dropped)
    if args.process_index == 0:
        for data in found:
            print(report(data, args), flush=True)
    return found[0], found[1] if args.eval_data else None


def write_dropped(path: Path, found: Sequence[Data]) -> None:
    """Write the dropped rows, one JSON object a line, or remove the file of an earlier run if there are none.

    Raises:
        ValueError: a folder that cannot be written.
    """
    try:
        if not any(data.dropped for data in found):
            path.unlink(missing_ok=True)
            return

        from mi_estimators.display import whole_file

        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            for data in found:
                file.writelines(_dropped_lines(data))
    except OSError as error:
        said = error.strerror or error
        raise ValueError(
            f"output_dir: expected a folder to write to, got {path.parent} ({said})"
        ) from None


def _dropped_lines(data: Data) -> Iterator[bytes]:
    wanted = {(fault.file, fault.line): fault for fault in data.dropped}
    for row in data.source.rows() if wanted else ():
        if fault := wanted.get((row.file, row.line)):
            value = json.loads(row.value) if isinstance(row.value, bytes) else row.value
            named = {"file": data.source.files[row.file], "line": row.line, "reason": fault.reason}
            yield (
                json.dumps({**named, "message": fault.message, "row": value}, default=str).encode()
                + b"\n"
            )


def check_share(data: Data, max_dropped: float, listed: Path) -> None:
    """Raise if more than the share `max_dropped` of the rows was dropped, or all of them."""
    rows = len(data.examples) + len(data.dropped)
    if len(data.dropped) > max_dropped * rows or not data.examples:
        limit = f"at most {max_dropped:g} of the rows" if data.examples else "at least one row left"
        named = name_faults(data.source.files, data.dropped)
        raise ValueError(
            f"max_dropped: expected {limit}, got {len(data.dropped)} of {rows} dropped ({_by_reason(data)}; "
            f"all in {listed}): {named}"
        )


def check_fit(examples: Sequence[TokenizedExample], files: Sequence[str], model) -> None:
    """Refuse examples that a causal LM has no positions or no embeddings for, before its own code trips over them.

    Raises:
        ValueError: the longest such example, or that with the largest token id, by file and line.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = max(examples, key=_length)
    if positions and _length(longest) > positions:
        raise ValueError(
            f"max_length: expected at most the model's {positions} positions, got {_length(longest)} tokens in "
            f"{files[longest.file]}:{longest.line}"
        )
    vocabulary, largest = len(model.get_input_embeddings().weight), max(examples, key=_largest_id)
    if _largest_id(largest) >= vocabulary:
        raise ValueError(
            f"model: expected token ids below its {vocabulary} embeddings, got {_largest_id(largest)} in "
            f"{files[largest.file]}:{largest.line} (the tokenizer is another model's)"
        )


def _length(example: TokenizedExample) -> int:
    return len(example.prompt) + max(map(len, example.completions))


def _largest_id(example: TokenizedExample) -> int:
    return max(map(max, (example.prompt, *example.completions)))


def report(data: Data, args) -> str:
    """Return one line: what is kept, dropped, cut, and where from."""
    negatives = [len(each.completions) - 1 for each in data.examples]
    low, high = min(negatives), max(negatives)
    cut = sum(each.truncated for each in data.examples)
    what = "prompts" if args.truncation == "left_prompt" else "responses"
    return "; ".join(
        (
            f"data {data.source.name}: {len(negatives)} examples",
            f"negatives each: {low if low == high else f'{low} to {high}'}",
            f"{len(data.dropped)} dropped" + (f" ({_by_reason(data)})" if data.dropped else ""),
            f"{cut} {what} cut to max_length={args.max_length}",
            "tokens from the cache" if data.cached else "tokenised now",
        )
    )


def _by_reason(data: Data) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in data.counts.items())
