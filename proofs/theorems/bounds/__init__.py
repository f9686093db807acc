"""What each bound bounds, where it is tight, and by how much it misses."""
