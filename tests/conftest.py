"""What holds for all tests; their servers, photographs and browser are in `fixtures/`."""

import gc
import os

import hypothesis

# Until all tests are collected there is a million objects and no garbage.
gc.disable()

# Test processes share the cores; and a developer's own settings must not reach the tests.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
for _name in [name for name in os.environ if name.startswith("PAKA_")]:
    if _name not in ("PAKA_CAMVID", "PAKA_CHROMIUM", "PAKA_HUMMINGBIRD"):
        del os.environ[_name]

# Where tests keep all cores busy, a job that gives way to them would not end in time.
os.environ["PAKA_JOB_NICENESS"] = "0"

# A commit passes or fails every time: the same inputs are tried, and no test has to be quick.
# FUZZ_EXAMPLES=100000 tries new ones, in the tests of the profile `fuzz` so many.
_EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
hypothesis.settings.register_profile(
    "suite",
    derandomize=_EXAMPLES is None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")
hypothesis.settings.register_profile(
    "fuzz",
    max_examples=int(_EXAMPLES or 60),
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain],
)

pytest_plugins = [
    "tests.fixtures.browser",
    "tests.fixtures.buckets",
    "tests.fixtures.hosts",
    "tests.fixtures.mounts",
    "tests.fixtures.mutated",
    "tests.fixtures.next_version",
    "tests.fixtures.photos",
    "tests.fixtures.servers",
    "tests.fixtures.service_at_rest",
]
TOGETHER = (
    "tests/chaos/",
    "tests/docker/test_image_of_api.py",
    "tests/docs/",
    "tests/end_to_end/",
    "tests/paka/starter/",
    "tests/service/store/test_scheduling_month.py",
    "tests/service/test_local.py",
    "tests/service/web/",
    "tests/worker/test_versions.py",
)
"""Places whose tests share what takes seconds to make, as a running service; they begin first."""


def pytest_collection_finish():
    """Never look through what collecting has made: every full search would take half a second."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    """Let the interpreter clear it away in the end, for what it cannot it would name."""
    gc.unfreeze()


def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of one place in `TOGETHER` in one process; others go where it is free.

    xdist's own groups (`--dist loadgroup`) have no effect with pytest 9.2: the mark is read, and
    the name of the group lost.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return next((place for place in TOGETHER if nodeid.startswith(place)), nodeid)

    return Scheduler(config, log)
