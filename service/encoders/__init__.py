"""Encoders: the known base architectures, and the results of post-training."""
