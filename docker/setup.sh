#!/usr/bin/env bash
# Writes .env: passwords, the folder of images, and the workers that fit this machine. What is set
# already stays. From the root of the repository or elsewhere:
#
#   docker/setup.sh [FOLDER-OF-IMAGES]      COMPOSE_PROFILES=cpu,tls docker/setup.sh …
set -euo pipefail
cd "$(dirname "$0")/.."
source docker/common.sh

# Gives a variable of .env a value if it has none yet.
settle() {
    local name=$1 value=$2
    [[ -z $(setting "$name") ]] || return 0
    if grep -q "^$name=" .env; then
        local escaped
        escaped=$(printf '%s' "$value" | sed 's/[\\&|]/\\&/g')
        sed -i "s|^$name=.*|$name=$escaped|" .env
    else
        printf '%s=%s\n' "$name" "$value" >>.env
    fi
    say "set $name in .env"
}

password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

# gpu or cpu. A GPU that containers cannot use is no reason to compute without one in silence.
fitting_workers() {
    if ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
        say cpu
    elif docker info 2>/dev/null | grep -Eq '^ *Runtimes:.*nvidia|nvidia\.com/gpu'; then
        say gpu
    else
        fail "this machine has a GPU, but Docker cannot give it to containers: install the NVIDIA
Container Toolkit, then: nvidia-ctk runtime configure --runtime=docker && systemctl restart docker
To do without the GPU: COMPOSE_PROFILES=cpu docker/setup.sh"
    fi
}

# The folder of images: the one that was given, else asked for.
data_folder() {
    local folder=$1
    if [[ -z $folder && -t 0 ]]; then
        read -rp "Folder of images that jobs may read: " folder
    fi
    [[ -n $folder ]] || fail "which folder of images may jobs read? docker/setup.sh FOLDER, or" \
        "make deploy DATA=FOLDER"
    [[ -d $folder ]] || fail "there is no folder $folder"
    realpath "$folder"
}

check_docker
folder=$(setting PAKA_DATA)
if [[ -z $folder ]]; then
    folder=$(data_folder "${1:-}")
elif [[ -n ${1:-} && $(realpath -m "$1") != "$(realpath -m "$folder")" ]]; then
    fail ".env names another folder of images, $folder: change PAKA_DATA in it"
fi
[[ -d $folder ]] || fail "there is no folder $folder, which .env names as PAKA_DATA"
if [[ ! -e .env ]]; then
    profiles=${COMPOSE_PROFILES:-$(fitting_workers)}
    sed "s/^COMPOSE_PROFILES=.*/COMPOSE_PROFILES=$profiles/" .env.example \
        | install -m 600 /dev/stdin .env
    say "made .env for the profiles $profiles"
fi
settle POSTGRES_PASSWORD "$(password)"
settle GRAFANA_PASSWORD "$(password)"
settle PAKA_METRICS_TOKEN "$(password)"
settle PAKA_DATA "$folder"
if [[ -z $(find "$folder" -maxdepth 0 -perm -o=rx) ]]; then
    say "note: containers read $folder as user 10001; if that user may not: chmod o+rx $folder"
fi
