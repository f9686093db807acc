"""What a policy can do after training that its base could not."""
