"""What both parts of the experiment of llm_adapter/PROTOCOL.md share: runners, small model, claims, figures, page."""
