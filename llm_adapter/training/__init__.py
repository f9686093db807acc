"""The trainer: precision, references, checkpoints, and the files that a run leaves."""
