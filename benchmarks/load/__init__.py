"""What load the service holds.

    python -m benchmarks.load [--only PART ...] [--jobs 100000] [--seconds 10] [--json FILE]

Fills a SQLite database, starts `paka-server up` on it, and lets clients in a process of their own
ask, each for the next answer as soon as it has one. Who is refused (429 or 503) waits a tenth of a
second. Times are from the request to the answer's last byte. Server, clients and database share
this machine, so every figure is what is left of it.
"""
