"""Whether the service is alive, and whether it can do all of its work."""
