"""One rollout from start to end, and the loop over many of them."""
