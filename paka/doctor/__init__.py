"""`paka doctor`: looks an installation over, and says how to mend what it finds.

One module for each topic, with a `TOPIC`; packages add theirs by the entry-point group
`paka.checks`. A check looks, and changes nothing. Only `probe`, which runs as a process of its own,
imports torch.
"""
