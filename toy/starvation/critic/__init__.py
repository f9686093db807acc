"""A critic trained from scratch on batches that often miss the region that matters."""
