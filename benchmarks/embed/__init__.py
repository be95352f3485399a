"""How close embedding comes to the bare model: over HTTP, of a folder, and with the cache.

    python -m benchmarks.embed PHOTOS [--repeats 3] [--seconds 7] [--json FILE]

PHOTOS is a folder of JPEG files, of which 64 are used. The bare model is the encoder's forward pass
on the same pixels, decoded beforehand, in this process: float32, inference mode, as many threads as
the worker has. It takes turns with the service, on the same cores; the clients are a process of
their own. Processor time is user and system time of all processes of a part together.
"""
