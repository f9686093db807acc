"""What a finite sample costs: bias, variance, missed mass, effective sample size."""
