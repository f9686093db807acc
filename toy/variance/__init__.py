"""The noise of values and gradients against the information."""
