"""Generate pairs.jsonl: two-step arithmetic problems, each with a right worked answer and 1–3 wrong ones much like it.

`python -m llm_adapter.data.make_pairs > llm_adapter/data/pairs.jsonl`
"""

from __future__ import annotations

import json
import random

NAMES = ("Ada", "Ben", "Chloe", "Dan", "Eve", "Finn", "Grace", "Hugo", "Iris", "Jon")
THINGS = ("apples", "books", "cards", "dice", "eggs", "flags", "gems", "hats")

Worked = tuple[str, list[str]]  # a problem and its worked answers, the right one first


def change(name: str, things: str, rng: random.Random) -> Worked:
    """Multiply, then subtract; mistakes: adding, a slip in the product, stopping after the first step."""
    count, price = rng.randint(2, 9), rng.randint(2, 9)
    cost = count * price
    note = cost + rng.randint(5, 40)
    slip = cost + rng.choice((-2, -1, 1, 2))
    return (
        f"{name} buys {count} {things} at {price} dollars each with {note} dollars. How much is left?",
        [
            f"{count} * {price} = {cost}. {note} - {cost} = {note - cost}. Answer: {note - cost}",
            f"{count} + {price} = {count + price}. {note} - {count + price} = {note - count - price}. "
            f"Answer: {note - count - price}",
            f"{count} * {price} = {slip}. {note} - {slip} = {note - slip}. Answer: {note - slip}",
            f"{count} * {price} = {cost}. Answer: {cost}",
        ],
    )


def share(name: str, things: str, rng: random.Random) -> Worked:
    """Add, then divide; mistakes: forgetting what was found, subtracting it, a slip in the quotient."""
    friends = rng.randint(2, 6)
    found = friends * rng.randint(1, 5)
    had = found + friends * rng.randint(1, 8)
    each, slip = (had + found) // friends, (had + found) // friends + rng.choice((-1, 1))
    return (
        f"{name} has {had} {things}, finds {found} and shares all among {friends} friends. How many each?",
        [
            f"{had} + {found} = {had + found}. {had + found} / {friends} = {each}. Answer: {each}",
            f"{had} / {friends} = {had // friends}. Answer: {had // friends}",
            f"{had} - {found} = {had - found}. {had - found} / {friends} = {(had - found) // friends}. "
            f"Answer: {(had - found) // friends}",
            f"{had} + {found} = {had + found}. {had + found} / {friends} = {slip}. Answer: {slip}",
        ],
    )


def stock(name: str, things: str, rng: random.Random) -> Worked:
    """Multiply, then add; mistakes: adding throughout, a slip in the sum, subtracting."""
    boxes, size, more = rng.randint(3, 9), rng.randint(3, 12), rng.randint(3, 30)
    held = boxes * size
    slip = held + more + rng.choice((-10, -1, 1, 10))
    return f"{name} has {boxes} boxes of {size} {things} and {more} more. How many in all?", [
        f"{boxes} * {size} = {held}. {held} + {more} = {held + more}. Answer: {held + more}",
        f"{boxes} + {size} = {boxes + size}. {boxes + size} + {more} = {boxes + size + more}. "
        f"Answer: {boxes + size + more}",
        f"{boxes} * {size} = {held}. {held} + {more} = {slip}. Answer: {slip}",
        f"{boxes} * {size} = {held}. {held} - {more} = {held - more}. Answer: {held - more}",
    ]


def days(name: str, things: str, rng: random.Random) -> Worked:
    """Subtract, then multiply; mistakes: multiplying before subtracting, adding, a slip in the product."""
    made, week = rng.randint(6, 15), rng.randint(2, 9)
    kept = rng.randint(1, made - 2)
    gone = made - kept
    slip = gone * week + rng.choice((-2, -1, 1, 2))
    return (
        f"{name} makes {made} {things} a day, keeps {kept} and sells the rest. How many sold in {week} days?",
        [
            f"{made} - {kept} = {gone}. {gone} * {week} = {gone * week}. Answer: {gone * week}",
            f"{made} * {week} = {made * week}. {made * week} - {kept} = {made * week - kept}. "
            f"Answer: {made * week - kept}",
            f"{made} + {kept} = {made + kept}. {made + kept} * {week} = {(made + kept) * week}. "
            f"Answer: {(made + kept) * week}",
            f"{made} - {kept} = {gone}. {gone} * {week} = {slip}. Answer: {slip}",
        ],
    )


def pairs(count: int = 200, seed: int = 0) -> list[dict[str, object]]:
    """Return `count` different examples with `prompt`, `chosen` and 1–3 `rejected`, the same for the same seed."""
    rng = random.Random(seed)
    found: dict[str, dict[str, object]] = {}
    while len(found) < count:
        family = (change, share, stock, days)[len(found) % 4]
        prompt, (right, *wrong) = family(rng.choice(NAMES), rng.choice(THINGS), rng)
        rejected = rng.sample(wrong, rng.randint(1, 3))
        answers = [text.rsplit(" ", 1)[1] for text in (right, *rejected)]
        if len(set(answers)) == len(answers) and all(int(answer) > 0 for answer in answers):
            found.setdefault(
                prompt, {"prompt": prompt + "\n", "chosen": right, "rejected": rejected}
            )
    return list(found.values())


def text() -> str:
    """Return the contents of pairs.jsonl."""
    return "".join(json.dumps(pair) + "\n" for pair in pairs())


if __name__ == "__main__":
    print(text(), end="")
