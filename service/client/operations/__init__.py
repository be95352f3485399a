"""What the client can do, each operation once: see `service.client.call`."""

from service.client.operations import cluster, datasets, embedding, encoders, jobs, training

__all__ = ["cluster", "datasets", "embedding", "encoders", "jobs", "training"]
