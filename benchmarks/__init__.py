"""Measurements of time and memory, each run as `python -m benchmarks.NAME`; none is a test."""
