"""From a batch to a loss: log-probabilities, the objective, and what is logged about both."""
