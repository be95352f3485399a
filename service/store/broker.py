"""The Celery application's settings, the same for the API that sends and the worker that runs.

Messages are hints, never the truth: a lost, doubled or late one does no harm (`attempts.claim`). So
a message is acknowledged as soon as it is taken, and hours of work outlive any visibility
timeout of the broker.
"""

import json

from celery import Celery
from redis import Redis

from service.store.contract import EMBED_QUEUE, EMBED_TASK, JOBS_QUEUE, RUN_JOB_TASK
from service.store.settings import Settings


def make_redis(settings: Settings) -> Redis:
    """Return a client for raw bytes; its commands fail after five seconds without an answer."""
    return Redis.from_url(settings.redis, socket_timeout=5, socket_connect_timeout=5)


def make_celery(settings: Settings) -> Celery:
    """Return a Celery application on the settings' Redis; no task is registered yet."""
    app = Celery("paka", broker=settings.redis.replace("unix://", "redis+socket://", 1))
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=False,
        task_default_queue=JOBS_QUEUE,
        task_routes={RUN_JOB_TASK: {"queue": JOBS_QUEUE}, EMBED_TASK: {"queue": EMBED_QUEUE}},
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        result_backend_thread_safe=True,  # there is none, and each thread would look for it
        broker_connection_retry_on_startup=True,
        # A sender must not wait for a broker that is away; the reconciler sends again.
        broker_transport_options={"socket_connect_timeout": 5, "socket_timeout": 30},
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1},
    )
    return app


def waiting_job_ids(redis: Redis) -> set[str]:
    """Return the ids of the jobs whose message waits in the queue (its Celery task id)."""
    messages: list[bytes] = redis.lrange(JOBS_QUEUE, 0, -1)  # type: ignore[assignment]
    return {json.loads(message)["headers"]["id"] for message in messages}
