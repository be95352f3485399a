"""`GET /cluster`: workers and their slots, what runs where, and who waits for what."""
