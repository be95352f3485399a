"""Making room: what of ended jobs is removed, when, and why; nothing unless a setting says so.

Rows go first, files after them, so nothing is offered that is half gone; files that a crash leaves
without a row are found by the next run. Events and the audit log are never removed here.
"""
