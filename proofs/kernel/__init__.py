"""The proof kernel: theorems that Coq checks, and what ties them to the theorem objects.

`coq/` holds the proofs by hand, one file a theorem; `words.v` is the vocabulary that a reader of a statement needs.
`goals` prints claims of the theorem objects as goals of Coq, with certificates; `build` compiles, gates and records;
`record` reads what was recorded, without Coq. `python -m proofs.kernel` (`make kernel`) runs all of it.
"""
