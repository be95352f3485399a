"""setup.sh, deploy.sh and upgrade.sh, with a `docker` that only writes down what it is asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = """#!/usr/bin/env bash
echo "${PAKA_API_IMAGE:+[$PAKA_API_IMAGE] }$*" >>"$CALLS"
if [[ -n ${FAIL:-} && "$*" =~ $FAIL ]]; then echo "no: $FAIL" >&2; exit 1; fi
case "$*" in
    "compose version --short") echo "${COMPOSE_VERSION:-2.40.3}" ;;
    info) echo " Runtimes: ${RUNTIMES:-runc}" ;;
    "compose ps --services") printf '%s\\n' ${RUNNING:-} ;;
    "compose ps --quiet api") echo "${API_CONTAINER-c0ffee}" ;;
    inspect*) echo sha256:0123 ;;
    "compose logs"*) echo "    ${KEY:-}" ;;
esac
"""
KEY = "paka_" + 64 * "a"
UP = "compose up --detach --wait --wait-timeout 600"
RENEW = f"{UP} --no-deps --force-recreate"


class Checkout:
    """A clone with the scripts, a `docker` on its PATH, and a repository to pull from."""

    def __init__(self, folder):
        self.folder, self.upstream = folder / "clone", folder / "upstream"
        self.calls, self.bin = folder / "calls", folder / "bin"
        self.photos = folder / "my photos"
        for place in (self.upstream, self.bin, self.photos):
            place.mkdir()
        shutil.copytree(ROOT / "docker", self.upstream / "docker")
        for name in (".env.example", ".gitignore", "docker-compose.yml"):
            shutil.copy(ROOT / name, self.upstream)
        self.add_program("docker", DOCKER)
        self.commit("the version that runs", "init", "--quiet")
        self.git(folder, "clone", "--quiet", self.upstream, self.folder)

    def add_program(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def commit(self, message, *first):
        if first:
            self.git(self.upstream, *first)
        self.git(self.upstream, "add", "--all")
        self.git(self.upstream, "commit", "--quiet", "--allow-empty", "--message", message)

    def git(self, folder, *arguments):
        names = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        done = subprocess.run(
            ["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def head(self):
        return self.git(self.folder, "rev-parse", "--short", "HEAD")

    def run(self, script, *arguments, **environment):
        self.calls.write_text("")
        clean = {k: v for k, v in os.environ.items() if k != "COMPOSE_PROFILES"}
        return subprocess.run(
            [self.folder / "docker" / script, *map(str, arguments)],
            env=clean
            | {"PATH": f"{self.bin}:/usr/bin:/bin", "CALLS": str(self.calls)}
            | environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def called(self, *, asking=False):
        """What docker was asked for; questions that change nothing left out."""
        questions = r"(\[.*\] )?(info|inspect|compose (version|ps|config|logs))\b"
        calls = self.calls.read_text().splitlines()
        return [call for call in calls if asking or not re.match(questions, call)]

    def settings(self):
        return dict(re.findall(r"^(\w+)=(.*)$", (self.folder / ".env").read_text(), re.MULTILINE))


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def deployed(checkout):
    assert checkout.run("setup.sh", checkout.photos).returncode == 0
    return checkout


def test_setup_writes_all_that_compose_asks_for(checkout):
    done = checkout.run("setup.sh", checkout.photos)
    assert done.returncode == 0, done.stderr
    settings = checkout.settings()
    assert re.fullmatch("[0-9a-f]{48}", settings["POSTGRES_PASSWORD"])
    assert re.fullmatch("[0-9a-f]{48}", settings["GRAFANA_PASSWORD"])
    assert re.fullmatch("[0-9a-f]{48}", settings["PAKA_METRICS_TOKEN"])
    assert settings["POSTGRES_PASSWORD"] != settings["GRAFANA_PASSWORD"]
    assert settings["PAKA_DATA"] == str(checkout.photos)
    assert settings["COMPOSE_PROFILES"] == "cpu"  # no nvidia-smi here
    assert (checkout.folder / ".env").stat().st_mode & 0o777 == 0o600
    assert settings["POSTGRES_PASSWORD"] not in done.stdout + done.stderr


def test_setup_again_changes_nothing(deployed):
    before = (deployed.folder / ".env").read_text()
    done = deployed.run("setup.sh", deployed.photos)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (deployed.folder / ".env").read_text() == before


def test_setup_keeps_what_is_set_and_adds_what_a_newer_version_asks_for(checkout):
    env = f"POSTGRES_PASSWORD=mine\nPAKA_DATA={checkout.photos}\nCOMPOSE_PROFILES=gpu,tls\n"
    (checkout.folder / ".env").write_text(env)
    assert checkout.run("setup.sh").returncode == 0
    text = (checkout.folder / ".env").read_text()
    added = "GRAFANA_PASSWORD=[0-9a-f]{48}\nPAKA_METRICS_TOKEN=[0-9a-f]{48}\n"
    assert re.fullmatch(re.escape(env) + added, text)


def test_setup_knows_the_folder_by_other_names(deployed):
    link = deployed.folder.parent / "link"
    link.symlink_to(deployed.photos)
    env = deployed.folder / ".env"
    for written in (f"{deployed.photos}/", link):
        text = env.read_text().replace(f"PAKA_DATA={deployed.settings()['PAKA_DATA']}\n", "")
        env.write_text(f"{text}PAKA_DATA={written}\n")
        for given in (deployed.photos, f"{deployed.photos}/", link):
            done = deployed.run("setup.sh", given)
            assert (done.returncode, done.stderr) == (0, "")
        assert deployed.settings()["PAKA_DATA"] == str(written)


def test_setup_asks_for_the_folder_and_refuses_another(checkout):
    done = checkout.run("setup.sh")
    assert done.returncode == 1
    assert "make deploy DATA=FOLDER" in done.stderr
    assert not (checkout.folder / ".env").exists()
    done = checkout.run("setup.sh", "/no/folder")
    assert (done.returncode, done.stderr) == (1, "error: there is no folder /no/folder\n")
    assert checkout.run("setup.sh", checkout.photos).returncode == 0
    done = checkout.run("setup.sh", "/tmp")
    assert done.returncode == 1
    assert f"{checkout.photos}: change PAKA_DATA" in done.stderr


def test_setup_chooses_workers_by_what_containers_can_use(checkout):
    checkout.add_program("nvidia-smi", "#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: GPU-1)'\n")
    done = checkout.run("setup.sh", checkout.photos)
    assert done.returncode == 1
    assert "nvidia-ctk runtime configure" in done.stderr
    assert not (checkout.folder / ".env").exists()
    assert (
        checkout.run("setup.sh", checkout.photos, RUNTIMES="io.containerd nvidia").returncode == 0
    )
    assert checkout.settings()["COMPOSE_PROFILES"] == "gpu"
    (checkout.folder / ".env").unlink()
    assert checkout.run("setup.sh", checkout.photos, COMPOSE_PROFILES="cpu,tls").returncode == 0
    assert checkout.settings()["COMPOSE_PROFILES"] == "cpu,tls"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"COMPOSE_VERSION": "2.3.3"}, "Docker Compose is 2.3.3; 2.20 or newer is needed"),
        ({"FAIL": "^compose version"}, "install the Compose plugin"),
        ({"FAIL": "^info"}, "Docker does not answer: no: ^info"),
    ],
)
def test_what_is_missing_of_docker_is_said_before_anything_is_written(
    checkout, environment, message
):
    done = checkout.run("deploy.sh", checkout.photos, **environment)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (checkout.folder / ".env").exists()
    assert checkout.called() == []


def test_deploy_starts_everything_and_says_where_it_is_and_how_to_get_in(checkout):
    done = checkout.run("deploy.sh", checkout.photos, KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert checkout.called() == [
        "compose build",
        f"{UP} --remove-orphans",
    ]
    assert "ready: http://127.0.0.1:8000 " in done.stdout
    assert KEY in done.stdout


def test_deploy_without_a_first_key_says_how_to_make_one_and_names_the_proxys_site(deployed):
    env = deployed.folder / ".env"
    env.write_text(
        env.read_text()
        .replace("COMPOSE_PROFILES=cpu", "COMPOSE_PROFILES=cpu,tls")
        .replace("PAKA_SITE=localhost", "PAKA_SITE=paka.lab.example, 10.0.0.3")
    )
    done = deployed.run("deploy.sh")
    assert done.returncode == 0, done.stderr
    assert "ready: https://paka.lab.example " in done.stdout
    assert "key of the user admin" not in done.stdout
    assert "paka-server user key admin" in done.stdout


def test_deploy_fails_if_something_stays_unhealthy(checkout):
    done = checkout.run("deploy.sh", checkout.photos, FAIL="^compose up")
    assert done.returncode == 1
    assert "docker compose ps" in done.stderr
    assert "ready" not in done.stdout


def test_what_runs_with_a_mounted_configuration_is_made_anew(deployed):
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounted = {
        name
        for name, service in services.items()
        if any(volume.startswith("./docker/") for volume in service.get("volumes", ()))
    }
    assert mounted == {"proxy", "prometheus", "grafana"}
    running = "api grafana my-proxy prometheus proxy worker-jobs"
    for script in ("deploy.sh", "upgrade.sh"):
        done = deployed.run(script, RUNNING=running)
        assert done.returncode == 0, done.stderr
        calls = deployed.called()
        started = calls.index(f"{UP} --remove-orphans")
        assert calls[started + 1] == f"{RENEW} grafana prometheus proxy"
        done = deployed.run(script, RUNNING=running, FAIL="--force-recreate")
        assert done.returncode == 1
        assert "error: " in done.stderr


def upgrade_calls(backups, *options):
    run = f"compose run --rm --no-deps --volume {backups}:/backups"
    save = " ".join(["api paka-server backup", *options, "/backups/X.tar"])
    return [
        "compose up --detach --no-recreate --wait postgres redis",
        "tag sha256:0123 paka-service-api:running",
        f"[paka-service-api:running] {run} --user 0 --cap-add CHOWN --entrypoint chown "
        "api 10001 /backups",
        f"[paka-service-api:running] {run} {save}",
        "compose build --pull",
        "compose run --rm migrate",
        f"{UP} --remove-orphans",
        "compose exec -T api paka-server check api",
    ]


def in_order(checkout):
    return [re.sub(r"paka-\d{8}T\d{6}Z", "X", call) for call in checkout.called()]


def test_upgrade_saves_builds_migrates_and_restarts_in_this_order(deployed):
    old = deployed.head()
    (deployed.upstream / ".env.example").write_text(
        (ROOT / ".env.example").read_text() + "# the next version\n"
    )
    deployed.commit("the next version")
    for expected in (f"from {old} to ", "from "):  # the second finds nothing new, and no harm
        done = deployed.run("upgrade.sh", "--no-uploads")
        assert done.returncode == 0, done.stderr
        assert in_order(deployed) == upgrade_calls(deployed.folder / "backups", "--no-uploads")
        assert f"upgraded {expected}" in done.stderr
    assert (deployed.folder / ".env.example").read_text().endswith("# the next version\n")


def test_upgrade_saves_with_the_new_images_where_nothing_runs(deployed):
    done = deployed.run("upgrade.sh", "--no-pull", API_CONTAINER="")
    assert done.returncode == 0, done.stderr
    calls = [call.removeprefix("[paka-service-api:running] ") for call in in_order(deployed)]
    expected = [call.removeprefix("[paka-service-api:running] ") for call in upgrade_calls("B")]
    expected.pop(1)
    assert calls == [call.replace("B:", f"{deployed.folder}/backups:") for call in expected]
    assert not any(call.startswith("[") for call in deployed.called())


@pytest.mark.parametrize(
    ("stage", "failing", "later"),
    [
        ("backup", "paka-server backup", 4),
        ("images", "^compose build", 5),
        ("database", "^compose run --rm migrate", 6),
        ("start", "--remove-orphans$", 7),
        ("start", "check api", 8),
    ],
)
def test_upgrade_stops_where_something_fails_and_says_how_to_go_back(
    deployed, stage, failing, later
):
    old = deployed.head()
    deployed.commit("the next version")
    done = deployed.run("upgrade.sh", FAIL=failing)
    assert done.returncode == 1
    assert in_order(deployed) == upgrade_calls(deployed.folder / "backups")[:later]
    assert f"failed at this stage: {stage}" in done.stderr
    assert "upgraded" not in done.stderr
    archive = re.search(r"paka-\d{8}T\d{6}Z\.tar", deployed.calls.read_text())[0]
    if stage in ("database", "start"):
        assert f"git checkout {old} && docker compose build" in done.stderr
        assert f"paka-server restore --replace /backups/{archive}" in done.stderr
    else:
        assert "restore" not in done.stderr
        assert ("git checkout" in done.stderr) is (stage == "images")
    assert (deployed.head() == old) is (stage == "backup")


def test_upgrade_changes_nothing_where_the_code_cannot_be_had(deployed):
    shutil.rmtree(deployed.upstream)
    done = deployed.run("upgrade.sh")
    assert done.returncode == 1
    assert "failed at this stage: code" in done.stderr
    assert in_order(deployed) == upgrade_calls(deployed.folder / "backups")[:4]


def test_upgrade_of_nothing_is_refused(checkout):
    done = checkout.run("upgrade.sh")
    assert done.returncode == 1
    assert "see make deploy" in done.stderr
    assert checkout.called() == []


def test_commands_of_the_scripts_exist():
    import typer

    from service.cli import app

    commands = typer.main.get_command(app).commands
    text = "".join(path.read_text() for path in (ROOT / "docker").glob("*.sh"))
    named = set(re.findall(r"paka-server (\w+)", text))
    assert named == {"backup", "check", "restore", "user"}
    assert named <= set(commands)
