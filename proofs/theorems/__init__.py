"""One theorem a module, by chapter. The module's name is its permanent slug, and `THEOREM` is the theorem.

To add one, copy `_template.py` to a chapter, under its slug; its comments say what belongs where. `proofs.engine` has
all the words that a theorem needs.
"""
