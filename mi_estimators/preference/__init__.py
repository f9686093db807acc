"""Preference losses: a bound on the mixed product law, and the losses of others to compare with."""
