"""How long a policy takes from p(correct) = ε to ½."""
