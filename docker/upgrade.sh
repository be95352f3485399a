#!/usr/bin/env bash
# Brings a running service to the newest version: backup, code, images, database, restart.
# Options go to `paka-server backup`; --no-checkpoints and --no-uploads make it small.
#
#   docker/upgrade.sh [--no-pull] [OPTION…]
set -euo pipefail
cd "$(dirname "$0")/.."
source docker/common.sh

backups=$(realpath -m "${PAKA_BACKUPS:-backups}")
archive=paka-$(date -u +%Y%m%dT%H%M%SZ).tar
old=$(git rev-parse --short HEAD 2>/dev/null || true)
stage=preparation

# In a function, so that bash has read all of it before `git pull` brings another.
main() {
    local pull=true
    if [[ ${1:-} == --no-pull ]]; then
        pull=false
        shift
    fi
    check_docker
    [[ -e .env ]] || fail "there is no .env here, so nothing to upgrade: see make deploy"
    docker compose config --quiet
    trap 'report $?' EXIT

    stage=backup
    save "$@"
    stage=code
    if $pull && [[ -n $old ]]; then git pull --ff-only; fi
    docker/setup.sh
    stage=images
    docker compose build --pull
    stage=database
    docker compose run --rm migrate
    stage=start
    start
    docker compose exec -T api paka-server check api
}

# Writes the backup by the version that runs, also where an interrupted upgrade has built another.
save() {
    docker compose up --detach --no-recreate --wait postgres redis
    local container
    container=$(docker compose ps --quiet api)
    if [[ -n $container ]]; then
        docker tag "$(docker inspect --format '{{.Image}}' "$container")" paka-service-api:running
        export PAKA_API_IMAGE=paka-service-api:running
    fi
    mkdir -p "$backups"
    local run=(docker compose run --rm --no-deps --volume "$backups:/backups")
    "${run[@]}" --user 0 --cap-add CHOWN --entrypoint chown api 10001 /backups
    "${run[@]}" api paka-server backup "$@" "/backups/$archive"
    unset PAKA_API_IMAGE
}

# Says how it went, and after a failure how to go on or back.
report() {
    if [[ $1 == 0 ]]; then
        say "" "upgraded${old:+ from $old to $(git rev-parse --short HEAD)}: $(address)" \
            "backup: $backups/$archive"
        return
    fi
    say "" "error: the upgrade has failed at this stage: $stage"
    case $stage in
        backup) say "Nothing was changed. Mend what is said above, and run it again." ;;
        code | images)
            say "The old version still runs. Mend what is said above, and run it again."
            say "${old:+To stay with the old version: git checkout $old}"
            ;;
        *)
            say "Mend what is said above, and run it again; or go back to what was there:" ""
            way_back
            ;;
    esac
} >&2

# The commands that bring the old version back, with the database as the backup has it.
way_back() {
    cat <<END
    ${old:+git checkout $old && }docker compose build
    docker compose stop
    docker compose up --detach --wait postgres redis
    docker compose exec postgres dropdb --username paka --force paka
    docker compose exec postgres createdb --username paka paka
    docker compose run --rm --volume $backups:/backups api \\
        paka-server restore --replace /backups/$archive
    docker compose up --detach --wait
END
}

main "$@"
