# What setup.sh, deploy.sh and upgrade.sh share; to be sourced, from the root of the repository.
# shellcheck shell=bash

say() { printf '%s\n' "$@"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The value of a variable in .env; nothing if it is not there.
setting() { [[ ! -e .env ]] || sed -n "s/^$1=//p" .env | tail -n 1; }

has_profile() { [[ ",$(setting COMPOSE_PROFILES)," == *",$1,"* ]]; }

# Fails unless Docker is there, this user may use it, and Compose is new enough.
check_docker() {
    command -v docker >/dev/null \
        || fail "there is no docker: install Docker Engine with the Compose plugin"
    local version reason
    version=$(docker compose version --short 2>/dev/null) \
        || fail "docker has no compose: install the Compose plugin (package docker-compose-plugin)"
    version=${version#v}
    [[ $(printf '%s\n' 2.20 "$version" | sort --version-sort | head -n 1) == 2.20 ]] \
        || fail "Docker Compose is $version; 2.20 or newer is needed"
    reason=$(docker info 2>&1 >/dev/null) \
        || fail "Docker does not answer: ${reason##*$'\n'}
Is it running (systemctl start docker), and may you use it (usermod -aG docker $(id -un), log in anew)?"
}

# Starts or updates all services, and returns when every one of them is healthy.
start() {
    local configured
    local up=(docker compose up --detach --wait --wait-timeout "${PAKA_WAIT_SECONDS:-600}")
    mapfile -t configured < <(docker compose ps --services | grep -xE 'proxy|prometheus|grafana')
    "${up[@]}" --remove-orphans || return
    # Their configuration is mounted: Compose does not see that it has changed, nor do they. Those
    # that have only now been started have read it.
    [[ ${#configured[@]} == 0 ]] || "${up[@]}" --no-deps --force-recreate "${configured[@]}"
}

# Where the service is, as a browser asks for it.
address() {
    if has_profile tls; then
        local site
        site=$(setting PAKA_SITE)
        site=${site:-localhost}
        say "https://${site%%,*}"
    else
        local bind port
        bind=$(setting PAKA_BIND) port=$(setting PAKA_PORT)
        say "http://${bind:-127.0.0.1}:${port:-8000}"
    fi
}
