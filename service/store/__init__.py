"""The truth: settings, tables, status rules, queries and the contract between API and worker.

This is all of `service` that a worker may import: no FastAPI and no torch here.
"""
