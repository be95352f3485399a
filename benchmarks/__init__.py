"""Measurements of time and memory, each run as `python -m benchmarks.NAME`; none is a test."""

import os

from paka.process import WAIT_ASLEEP

# Read when torch is loaded: what is measured runs as the service and the command run it.
for _name, _value in WAIT_ASLEEP.items():
    os.environ.setdefault(_name, _value)
