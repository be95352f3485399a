"""Celery workers: they claim jobs, supervise their processes, and answer embedding requests.

Here `paka` and `service.store` meet; nothing else of `service` is imported. A worker of jobs never
imports torch: what it starts does.
"""
