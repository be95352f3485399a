"""Images: finding, decoding, preparing, and the order in which a run sees them.

`folder`, `decode` and `preprocess` import no torch: the HTTP service uses them.
"""
