"""`POST /train`: a post-training run becomes a job."""
