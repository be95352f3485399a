"""Every kind of fault once, on real processes; `make chaos` does it by the hundred."""

import random

import pytest

from tests.chaos import campaign, faults
from tests.chaos.servers import PostgresServer, SqliteFile
from tests.chaos.system import Service
from tests.fixtures.servers import short_folder

STEPS = 120
ON_SQLITE = (
    faults.images_harmed,
    faults.messages_doubled,
    faults.training_killed_in_checkpoint,
    faults.messages_lost,
    faults.disk_full,
    faults.worker_deployed,
    faults.training_killed,
)
ON_POSTGRES = (
    faults.redis_lost,
    faults.postgres_restarted,
    faults.clock_jumps,
    faults.worker_killed,
    faults.postgres_crashed,
    faults.api_killed,
    faults.worker_hangs,
)


@pytest.fixture(scope="module")
def reference(photos, tmp_path_factory):
    """The sha256 of the weights that nobody disturbed."""
    return campaign.undisturbed(tmp_path_factory.mktemp("reference"), photos, STEPS)


@pytest.fixture
def service(photos, server):
    """A service with two workers, which share two slots."""
    with short_folder() as folder:
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own where the tests run as root
        service = Service(folder, server(folder), photos)
        try:
            for name in ("api", "w1", "w2"):
                service.start(name)
            yield service
        finally:
            service.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("server", "kinds"),
    [(SqliteFile, ON_SQLITE), (PostgresServer, ON_POSTGRES)],
    ids=["sqlite", "postgresql"],
)
def test_whatever_happens_every_job_ends_once_with_the_same_weights(service, kinds, reference):
    report = campaign.run(
        service, kinds, reference, steps=STEPS, at_once=1, chance=random.Random(7), pause=0.2
    )
    assert report.sound, report
    assert {row["fault"] for row in report.rows()} == {fault.__name__ for fault in kinds}
    assert report.compared
