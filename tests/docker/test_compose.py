"""docker-compose.yml, as far as it can be checked without a Docker engine."""

import json
import os
import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import jsonschema
import pytest
import typer
import yaml

from service.cli import app
from service.doctor.settings import unknown
from service.local import MARGIN_SECONDS
from service.store.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if "build" in s}
WORKERS = {name: s for name, s in OURS.items() if name.startswith("worker-")}
EXAMPLE = (ROOT / ".env.example").read_text()


def schema_errors(compose):
    schema = json.loads((Path(__file__).parent / "compose_spec.json").read_text())
    return [e.message for e in jsonschema.Draft7Validator(schema).iter_errors(compose)]


def test_the_file_follows_the_compose_specification():
    assert schema_errors(COMPOSE) == []


def test_the_specification_would_notice_a_slip():
    services = SERVICES | {"api": SERVICES["api"] | {"stop_grace_perod": "60s"}}
    assert schema_errors(COMPOSE | {"services": services})


def test_docker_compose_itself_accepts_the_file_with_the_example_settings(tmp_path):
    try:
        subprocess.run(["docker", "compose", "version"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no docker compose here")
    settings = re.sub(r"^(\w+)=$", r"\1=/x", EXAMPLE, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(settings)
    command = ["docker", "compose", "--env-file", tmp_path / ".env", "-f", FILE]
    for profiles in ({"gpu"}, {"cpu", "tls", "observability"}):
        result = subprocess.run(
            [*command, "config", "--services"],
            capture_output=True,
            text=True,
            env=os.environ | {"COMPOSE_PROFILES": ",".join(profiles)},
        )
        assert result.returncode == 0, result.stderr
        wanted = {n for n, s in SERVICES.items() if profiles & {*s.get("profiles", profiles)}}
        assert set(result.stdout.split()) == wanted


@pytest.mark.parametrize("name", OURS)
def test_commands_and_health_checks_of_our_services_exist(name):
    commands = [OURS[name]["command"]]
    if "test" in OURS[name].get("healthcheck", {}):
        mark, *check = OURS[name]["healthcheck"]["test"]
        assert mark == "CMD"
        commands.append(check)
    for program, command, *arguments in commands:
        assert program == "paka-server"
        # Raises for an unknown command, option or value; nothing is run.
        group = typer.main.get_command(app)
        group.commands[command].make_context(command, list(arguments))


@pytest.mark.parametrize("name", OURS)
def test_the_environment_holds_only_settings_that_exist(name):
    assert list(unknown(OURS[name]["environment"])) == []


@pytest.mark.parametrize("name", OURS)
def test_a_container_may_stop_for_longer_than_its_process_needs(name):
    stop_seconds = float(OURS[name]["environment"]["PAKA_STOP_SECONDS"])
    assert seconds(OURS[name]["stop_grace_period"]) > stop_seconds + MARGIN_SECONDS


@pytest.mark.parametrize("name", OURS)
def test_data_cannot_be_written_and_files_are_built_from_the_root(name):
    assert next(v for v in OURS[name]["volumes"] if ":/data" in v).endswith(":/data:ro")
    build = OURS[name]["build"]
    assert build["context"] == "."
    assert (ROOT / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_gpus_exactly_in_the_profile_of_gpus(name):
    service = WORKERS[name]
    reservations = service["deploy"].get("resources", {}).get("reservations", {})
    gpus = [device for device in reservations.get("devices", ()) if "gpu" in device["capabilities"]]
    assert service["profiles"] == (["gpu"] if gpus else ["cpu"])
    assert name.endswith("-cpu") is not bool(gpus)


def test_each_profile_has_one_worker_for_each_queue():
    for profile in ("gpu", "cpu"):
        queues = [s["command"][-1] for s in WORKERS.values() if s["profiles"] == [profile]]
        assert sorted(queues) == ["embed", "jobs"]


def test_workers_of_jobs_have_more_shared_memory_than_the_64_mb_of_a_container():
    for name in ("worker-jobs", "worker-jobs-cpu"):
        assert WORKERS[name]["shm_size"] == "${PAKA_SHM_SIZE:-8gb}"


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_and_volumes_are_declared(name):
    for dependency, terms in SERVICES[name].get("depends_on", {}).items():
        other = SERVICES[dependency]
        if terms["condition"] == "service_healthy":
            assert dependency == "api" or other["healthcheck"]["test"]  # its image has one
        else:
            assert (terms["condition"], other["restart"]) == (
                "service_completed_successfully",
                "no",
            )
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.rsplit(":/", 1)[0]
        ours = source.startswith("./docker/") and volume.endswith(":ro")
        assert source in COMPOSE["volumes"] or ours or source.startswith("${PAKA_DATA:?")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_images_of_others_have_a_full_version(name):
    assert re.search(r":v?\d+\.\d+", SERVICES[name]["image"])


def test_redis_drops_nothing_that_waits_and_does_not_wait_for_the_disk():
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly no" in command
    assert "--maxmemory-policy noeviction" in command


def test_other_machines_reach_the_proxy_only():
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published.pop("proxy") == ["80:80", "443:443", "443:443/udp"]
    assert published.pop("api") == ["${PAKA_BIND:-127.0.0.1}:${PAKA_PORT:-8000}:8000"]
    assert set(published) == {"prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_api_believes_the_proxy_and_nobody_else_about_addresses():
    (network,) = COMPOSE["networks"]["proxy"]["ipam"]["config"]
    address = SERVICES["proxy"]["networks"]["proxy"]["ipv4_address"]
    assert OURS["api"]["environment"]["PAKA_TRUSTED_PROXIES"] == address
    assert ip_address(address) in ip_network(network["subnet"])
    # Docker gives other containers, such as the API, their addresses from another part.
    assert ip_address(address) not in ip_network(network["ip_range"])
    assert {n for n, s in SERVICES.items() if "proxy" in s.get("networks", ())} == {"api", "proxy"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_write_to_their_volume_only(name):
    assert OURS[name]["read_only"] is True
    assert OURS[name]["cap_drop"] == ["ALL"]
    writable = [volume for volume in OURS[name]["volumes"] if not volume.endswith(":ro")]
    assert writable == ["home:/var/lib/paka"]
    assert OURS[name]["tmpfs"] == ["/tmp"]


def test_prometheus_and_the_api_have_the_same_token():
    token = "${PAKA_METRICS_TOKEN:?run docker/setup.sh}"
    assert OURS["api"]["environment"]["PAKA_METRICS_TOKEN"] == token
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert COMPOSE["secrets"][secret] == {"environment": "PAKA_METRICS_TOKEN"}


def test_everything_starts_after_what_it_needs():
    needs = {n: set(s.get("depends_on", ())) for n, s in SERVICES.items()}
    assert needs["migrate"] == {"postgres"}
    assert needs["api"] == {"migrate", "redis"}
    assert all(needs[name] == {"migrate", "redis"} for name in WORKERS)
    assert needs["proxy"] == needs["prometheus"] == {"api"}
    assert needs["grafana"] == {"prometheus"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_what_runs_is_watched_comes_back_and_fills_no_disk_with_its_log(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}
    assert "healthcheck" in service or name == "api"  # whose image has one


def test_the_published_api_asks_for_keys():
    host = re.search(
        r"PAKA_HOST=(\S+)", (ROOT / SERVICES["api"]["build"]["dockerfile"]).read_text()
    )
    assert Settings(host=host[1]).needs_keys
    for name in ("migrate", "api"):  # so that the former makes the first admin
        assert not {"PAKA_AUTH", "PAKA_HOST"} & OURS[name]["environment"].keys()


def test_every_variable_of_the_file_is_in_the_example_settings():
    used = set(re.findall(r"\$\{(\w+)", TEXT))
    offered = set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))
    assert used | {"COMPOSE_PROFILES"} == offered


def test_the_example_settings_hold_the_defaults_of_the_file_and_no_secret():
    values = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", TEXT):
        assert values[name] == default
    for name in re.findall(r"\$\{(\w+):\?", TEXT):
        assert values[name] == ""


def seconds(duration):
    assert duration.endswith("s")
    return float(duration[:-1])
