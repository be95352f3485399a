"""Jobs: what they are, how they go, what they made; cancel, resume, delete."""
