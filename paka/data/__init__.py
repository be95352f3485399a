"""Images: finding, decoding, preparing, and the order in which a run sees them.

`images` opens a data set of any kind; `source` says what they have in common, and `folder`, `tar`,
`zip` and `arrow` are the kinds. Only `sampling` imports torch: the HTTP service uses the others.
"""
