"""One estimate with its interval."""
