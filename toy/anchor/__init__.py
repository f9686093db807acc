"""Where the JS family holds the chosen response."""
