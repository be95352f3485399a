"""What load the service holds: a real server, filled with jobs, asked by clients of its own."""
