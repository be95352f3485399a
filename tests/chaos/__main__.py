"""`python -m tests.chaos --faults 200 --seed 1`: the long form, on SQLite and on PostgreSQL."""

import argparse
import json
import math
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.chaos import campaign, faults
from tests.chaos.campaign import Fault, Report
from tests.chaos.servers import PostgresServer, SqliteFile
from tests.chaos.system import Service
from tests.fixtures.photos import write_photos

SERVERS = (SqliteFile, PostgresServer)
STEPS = 200


def main() -> int:
    """Run the campaign, print its table, and return 1 if anything was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="how many, on both together")
    parser.add_argument("--seed", type=int, default=1, help="which faults, and when")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop when they are over")
    parser.add_argument("--json", type=Path, default=Path("chaos.json"), help="where to write all")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    reports = _run(options)
    for name, report in reports.items():
        print(f"\n{name}: {len(report.jobs)} jobs, {'sound' if report.sound else 'BROKEN'}")
        print(table(report.rows()))
        for text in report.broken:
            print("broken:", text)
    options.json.write_text(json.dumps(_as_json(reports, options.seed), indent=2) + "\n")
    if len(reports) == len(SERVERS) and all(report.sound for report in reports.values()):
        return 0
    print(f"\nto repeat: make chaos SEED={options.seed} FAULTS={options.faults}")
    return 1


def _run(options: argparse.Namespace) -> dict[str, Report]:
    reports: dict[str, Report] = {}
    with tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "photos").mkdir()
        photos = write_photos(folder / "photos")
        services = []
        for server in SERVERS:
            (folder / server.name).mkdir()
            services.append(Service(folder / server.name, server(folder / server.name), photos))
        reference = campaign.undisturbed(folder / "reference", photos, STEPS)
        threads = [
            threading.Thread(
                target=_campaign, args=(service, options, reference, reports), daemon=True
            )
            for service in services
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for service in services:
                service.close()
    return reports


def _campaign(
    service: Service, options: argparse.Namespace, reference: str, reports: dict[str, Report]
) -> None:
    name = service.server.name
    chance = random.Random(f"{options.seed} {name}")
    for process in ("api", "w1", "w2"):
        service.start(process)
    reports[name] = campaign.run(
        service,
        deck(service, options.faults // 2, chance),
        reference,
        steps=STEPS,
        at_once=3,
        chance=chance,
        seconds=options.minutes * 60,
        say=lambda line: print(f"{name:<10} {line}", flush=True),
    )


def deck(service: Service, count: int, chance: random.Random) -> list[Fault]:
    """So many faults in random order, all kinds equally often."""
    kinds = list(faults.ANYWHERE)
    if isinstance(service.server, PostgresServer):
        kinds += faults.ON_POSTGRES
    drawn: list[Fault] = []
    while len(drawn) < count:
        drawn += chance.sample(kinds, len(kinds))
    return drawn[:count]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    if not rows:
        return "(no faults)"
    lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
    lines += [" | ".join(str(value) for value in row.values()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _as_json(reports: dict[str, Report], seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "databases": {
            name: {
                "rows": report.rows(),
                "jobs": len(report.jobs),
                "lost": report.lost,
                "doubled": {job: sorted(alive) for job, alive in report.doubled.items()},
                "unequal": report.unequal,
                "broken": report.broken,
            }
            for name, report in reports.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
