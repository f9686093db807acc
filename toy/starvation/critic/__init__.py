"""A critic that is trained from scratch while its negatives miss the region that matters."""
