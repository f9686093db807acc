"""What a bound's gradient and value cost: score weights, effective sample size, tails, gradient noise and bias."""
