"""Telling the API that a worker is alive: a Redis key that expires when nobody renews it."""

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from redis import Redis, RedisError

from service.store.contract import CONTRACT_VERSION, WORKER_ALIVE_SECONDS, worker_key
from service.store.workers import worker_name

log = logging.getLogger(__name__)
_RENEW_SECONDS = WORKER_ALIVE_SECONDS / 3


class Announcement:
    """Keeps the key of one worker alive from a thread, until it is closed.

    Args:
        kind: `jobs` or `embed`.
        device: what the worker computes on, for people to read.
        problem: asked at every renewal why the worker takes no work; None if it does.
        resources: asked at every renewal what it has, as in `service.store.workers.Announced`.
    """

    def __init__(
        self,
        redis: Redis,
        kind: str,
        device: str,
        problem: Callable[[], str | None] = lambda: None,
        resources: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.redis, self.problem, self.resources = redis, problem, resources
        self.name = worker_name()
        self.key = worker_key(kind, self.name)
        self.about = {
            "name": self.name,
            "kind": kind,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "version": version("paka-service"),
            "contract": CONTRACT_VERSION,
            "device": device,
            "started_at": datetime.now(UTC).isoformat(),
        }
        self._closed, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._renew, name="announce", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Say at once how things are: they have just changed."""
        self._wake.set()

    def close(self) -> None:
        """Take the key away; the worker is leaving."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        try:
            self.redis.delete(self.key)
        except RedisError as error:
            log.warning("could not sign off at Redis: %s", error)

    def _renew(self) -> None:
        while True:
            self._wake.clear()
            if self._closed:
                return
            value = json.dumps(self.about | {"problem": self.problem()} | self.resources())
            try:
                self.redis.set(self.key, value, ex=WORKER_ALIVE_SECONDS)
            except RedisError as error:
                log.warning("could not announce this worker: %s", error)
            self._wake.wait(_RENEW_SECONDS)
