"""The whole service in one file, taken while it runs, and brought back from it.

A plain tar: `about.json` first; `files/artifacts/…` and `files/uploads/…`, which the rows name;
`files/secret.key`; `tables/<name>.jsonl`, the rows of one moment; `checksums.json` last, with size
and sha256 of every other member. So an archive that was cut short is known by its end. Nothing in
it depends on the kind of database.
"""


class BackupError(Exception):
    """A backup cannot be made or restored; the message says why, and what would help."""
