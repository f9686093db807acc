"""How far MIO lifts the chosen response, and what the mix α changes."""
