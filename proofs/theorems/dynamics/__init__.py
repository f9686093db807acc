"""How a policy moves under a loss: collapse, dips, limits and escape times."""
