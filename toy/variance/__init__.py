"""How noisy values and gradients become as the information grows."""
