"""What `paka doctor` looks at of the service: found by the entry points `paka.checks`.

`here` is the service of this machine, `remote` one elsewhere, `compose` that of docker-compose.yml.
"""
