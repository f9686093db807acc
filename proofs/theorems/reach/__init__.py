"""What sampling from the policy can and cannot reach."""
