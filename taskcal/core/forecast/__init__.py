"""What a design would cost and get wrong, before any rollout is paid for."""
