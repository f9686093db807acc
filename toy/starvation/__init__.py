"""Which samples carry an estimator's gradient."""
