"""One theorem a module: the module's name is its slug, and `THEOREM` is the theorem.

To add one, write a module of at most 150 lines in this shape: a one-line docstring; the symbols and expressions; the
functions that call the shipped code; `THEOREM = Theorem(slug=…, title=…, statement=…, assumptions=…, proof=…,
by_hand=…, checks=…, false_neighbours=…, uses=…, reference=…)`. The claims to choose from:

* `Identity`, `Sign` and `minimum` (symbolic): for all values of symbols that are real, positive, or positive integers.
* `Certified` (certified): an inequality on a compact box with rational ends; `tail` says what settles the rest.
* `Tested` (tested): a property that Hypothesis tries to refute.
* `Shipped`, or `Tested(…, cross_check=True)`: the library against what was proved. It can fail the theorem only.

A false neighbour is one such claim with one thing changed: a sign, a constant, an assumption left out.
"""
