"""The HTTP API, its contract and its rules. Nothing here imports torch, timm or `worker`."""
