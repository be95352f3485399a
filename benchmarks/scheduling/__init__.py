"""A month of a lab with 20 users on 8 GPUs, in virtual time: `python -m benchmarks.scheduling`.

The service's own policy (`service.store.scheduling`) against two plain queues, on the same jobs.
"""
