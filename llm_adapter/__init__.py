"""Full fine-tuning of causal language models by the preference losses of `mi_estimators`.

`python -m llm_adapter.train` trains a small built-in model on the shipped pairs.
`docs/guides/metrics.md` defines each logged name.
"""
