"""From rows to a number with an interval and a verdict: critics, their training, and what is read from their scores."""
