"""Whether the `PAKA_*` variables are known, and can work."""

import difflib
from collections.abc import Iterator, Mapping

from pydantic import ValidationError
from pydantic_settings import SettingsError

from paka.doctor.finding import Finding, ok, problem, warning
from service.store.settings import Settings

OTHERS = frozenset(
    {
        # for people's own commands, and what one part tells another
        *("PAKA_KEY", "PAKA_URL", "PAKA_SILENCE_SECONDS", "PAKA_JOB_ROOTS", "PAKA_ATTEMPT"),
        *("PAKA_NODE_RANK", "PAKA_NODES", "PAKA_RENDEZVOUS", "PAKA_RENDEZVOUS_ID"),
        # for docker-compose.yml and the scripts in docker/
        *("PAKA_DATA", "PAKA_BIND", "PAKA_SITE", "PAKA_TLS", "PAKA_UPSTREAM", "PAKA_SHM_SIZE"),
        *("PAKA_API_IMAGE", "PAKA_BACKUPS", "PAKA_WAIT_SECONDS"),
        # for the tests
        *("PAKA_CAMVID", "PAKA_HUMMINGBIRD"),
    }
)
"""Variables beside the settings that mean something."""


def unknown(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A warning for each variable that nothing reads: most often a slip of the pen."""
    known = {f"PAKA_{name.upper()}" for name in Settings.model_fields} | OTHERS
    for name in sorted(environment):
        if name.startswith("PAKA_") and name.upper() not in known:
            # Without the beginning that all of them share, which would make any two alike.
            ends = [other.removeprefix("PAKA_") for other in known]
            near = difflib.get_close_matches(name.removeprefix("PAKA_"), ends, n=1, cutoff=0.6)
            remedy = f"did you mean PAKA_{near[0]}?" if near else "unset it; see docs/deploy.md"
            yield warning("setting", f"{name} is set, and nothing reads it", remedy)


def read(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Return the settings, None where they cannot work, and what is wrong with them."""
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = [_problem(str(e["loc"][0]), e["msg"]) for e in error.errors()]
        return None, wrong
    except SettingsError as error:
        return None, [problem("settings", str(error), 'lists are JSON: PAKA_DATA_ROOTS=["/data"]')]
    count = sum(f"PAKA_{name.upper()}" in environment for name in Settings.model_fields)
    return settings, [ok("settings", f"valid, {count} of them set")]


def is_used(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether there is, or shall be, a service on this machine."""
    return "PAKA_HOME" in environment or settings.home_folder.exists()


def _problem(field: str, message: str) -> Finding:
    name = f"PAKA_{field.upper()}"
    told = Settings.model_fields[field].description or "docs/deploy.md says what it takes"
    return problem("setting", f"{name}: {message.removeprefix('Value error, ')}", f"{name}: {told}")
