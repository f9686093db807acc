"""How a theorem is checked: its parts, the provers and refuters, and independent oracles."""
