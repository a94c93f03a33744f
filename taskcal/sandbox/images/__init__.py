"""Images: found, pulled, built and baked."""
