"""Which samples carry an estimator's gradient, and what happens when a batch misses them."""
