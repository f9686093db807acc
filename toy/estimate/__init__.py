"""One estimate of a known mutual information, with its interval."""
