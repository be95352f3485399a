"""`POST /embed`: images become dense features, at once or as a job."""
