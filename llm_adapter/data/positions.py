"""How many positions a model has, and from which length on it reads all positions otherwise."""

from __future__ import annotations

from typing import Any

NAMES = ("max_position_embeddings", "max_seq_len", "max_sequence_length")
"""What configs call the number of positions; others map their names to the first."""

SWITCHING = ("longrope", "su", "dynamic")
"""Kinds of rotary embedding that are chosen by the longest row of a batch."""


def positions_of(config: Any) -> int | None:
    """Return how many positions a model has; None where nothing limits them.

    RoBERTa and its kin count from behind the padding token.

    >>> from transformers import AutoConfig
    >>> positions_of(AutoConfig.for_model("gpt2", n_positions=8)), positions_of(AutoConfig.for_model("xlnet"))
    (8, None)
    """
    text = config.get_text_config()
    counts = (getattr(text, name, None) for name in NAMES)
    positions = next((count for count in counts if isinstance(count, int) and count > 0), None)
    if positions and "roberta" in text.model_type:
        return positions - (text.pad_token_id or 0) - 1
    return positions


def switch_of(config: Any) -> int | None:
    """Return the length beyond which the longest row changes how a batch is read; None where none does.

    >>> from transformers import AutoConfig
    >>> rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    >>> switch_of(AutoConfig.for_model("llama", max_position_embeddings=64, rope_parameters=rope))
    64
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    kinds = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    for kind in kinds:
        if kind.get("rope_type", kind.get("type")) in SWITCHING:
            name = "original_max_position_embeddings"
            return kind.get(name) or getattr(text, name, None) or text.max_position_embeddings

    return None


def check_lengths(config: Any, least: int, most: int, argument: str, where: str) -> None:
    """Refuse rows that a model has too few positions for, or that change how shorter ones beside them are read.

    Args:
        config: of the model.
        least, most: tokens of the shortest and of the longest row.
        argument: which flag makes rows shorter.
        where: the longest row, in words.

    Raises:
        ValueError: such rows.
    """
    positions, switch = positions_of(config), switch_of(config)
    if positions and most > positions:
        raise ValueError(
            f"{argument}: expected at most the model's {positions} positions, got {most} tokens {where}"
        )
    if switch and least <= switch < most:
        raise ValueError(
            f"{argument}: expected at most {switch} tokens, got {most} {where}: beyond them this model reads all rows "
            "of a batch with other rotary embeddings, the short ones, too"
        )
