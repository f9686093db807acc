"""What the phenomena share: policies, laws, exact flows, networks, and the one training loop."""
