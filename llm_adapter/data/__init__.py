"""From files to batches: sources, examples, tokens, their cache, and rows of a batch."""
