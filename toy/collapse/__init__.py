"""When the chosen response sinks, and what holds it."""
