"""How long a policy takes to raise p(correct) from ε to ½."""
