"""What the phenomena share: policies, laws, exact flows, networks and one training loop."""
