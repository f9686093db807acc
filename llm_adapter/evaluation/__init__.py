"""Ask questions with verifiable answers: draw them, sample responses, and measure rates of success."""
