"""When the chosen response loses probability, and which losses prevent it."""
