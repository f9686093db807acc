"""Questions with verifiable answers: drawing them, answering them, and rates of success."""
