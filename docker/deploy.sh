#!/usr/bin/env bash
# Starts the service on this machine, or brings it up to the code that is here. Again and again.
#
#   docker/deploy.sh [FOLDER-OF-IMAGES]
set -euo pipefail
cd "$(dirname "$0")/.."
source docker/common.sh

docker/setup.sh "${1:-}"
docker compose build
start || fail "not everything is healthy: docker compose ps says what, docker compose logs SERVICE why"
say "
ready: $(address)   (reference: $(address)/docs)"
# Only the start that made the first user has shown a key.
if key=$(docker compose logs --no-log-prefix migrate | grep -oE 'paka_[0-9a-f]{64}' | tail -n 1); then
    say "key of the user admin: $key"
    say "Make yourself another, and revoke that one, which the container's log keeps."
fi
say "another key: docker compose exec api paka-server user key admin"
