"""Our training against the nearest peer's: lightly-train's method `dinov31`, DINOv2 and PaKA.

`setting.py` is what both are given, `ours.py` and `peer.py` each train once by it, in a process of
their own and the peer in an environment of its own; `watch.py` is what they are watched with.
"""
