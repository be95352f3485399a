-- One job in each status, with what belongs to it.

INSERT INTO jobs (id, kind, name, status, config, idempotency_key, request_sha256, attempt,
    lost_attempts, lease_owner, lease_expires_at, cancel_requested, enqueued_at, progress, error,
    created_at, started_at, finished_at)
VALUES
    ('job_queued', 'train', 'größer', 'queued', '{"seed": 7, "deep": [1.5, null]}', 'mine',
    'aa', 0, 0, NULL, NULL, false, '2026-11-20 10:00:00.000000', NULL, NULL,
    '2026-11-20 10:00:00.000000', NULL, NULL),
    ('job_running', 'embed', NULL, 'running', '{}', NULL,
    'bb', 2, 1, 'host:1:ab', '2026-11-20 10:00:30.000000', true, NULL, '{"step": 20}', NULL,
    '2026-11-20 10:00:00.000000', '2026-11-20 10:00:01.000000', NULL),
    ('job_succeeded', 'train', 'done', 'succeeded', '{"seed": 1}', NULL,
    'cc', 1, 0, NULL, NULL, false, NULL, '{"step": 60, "loss": 0.25}', NULL,
    '2026-11-20 10:00:00.000000', '2026-11-20 10:00:01.000000', '2026-11-20 11:00:00.000000'),
    ('job_failed', 'evaluate', NULL, 'failed', '{}', NULL,
    'dd', 3, 3, NULL, NULL, false, NULL, NULL, '{"code": "attempts_exhausted", "message": "gone"}',
    '2026-11-20 10:00:00.000000', '2026-11-20 10:00:01.000000', '2026-11-20 11:00:00.000000'),
    ('job_cancelled', 'train', NULL, 'cancelled', '{}', NULL,
    'ee', 1, 0, NULL, NULL, false, NULL, NULL, NULL,
    '2026-11-20 10:00:00.000000', '2026-11-20 10:00:01.000000', '2026-11-20 11:00:00.000000');

INSERT INTO job_events (job_id, attempt, time, level, type, step, message, data)
VALUES
    ('job_succeeded', 0, '2026-11-20 10:00:00.000000', 'info', 'status', NULL, 'queued', NULL),
    ('job_succeeded', 1, '2026-11-20 10:30:00.000000', 'info', 'metrics', 60, '', '{"loss": 0.25}'),
    ('job_succeeded', 1, '2026-11-20 10:30:00.000000', 'info', 'checkpoint', 60, 'checkpoint at step 60', NULL),
    ('job_failed', 3, '2026-11-20 11:00:00.000000', 'error', 'status', NULL, 'failed', NULL);

INSERT INTO checkpoints (job_id, step, path, files, created_at)
VALUES ('job_succeeded', 60, 'jobs/job_succeeded/checkpoints/step-00000060',
    '{"encoder.safetensors": {"sha256": "ab", "bytes": 7}, "state.pt": {"sha256": "cd", "bytes": 9}}',
    '2026-11-20 10:30:00.000000');

INSERT INTO encoders (id, job_id, name, architecture, base, path, sha256, bytes, steps, created_at)
VALUES ('enc_1', 'job_succeeded', 'done', 'vit_tiny_patch16_224', 'vit_tiny_patch16_224',
    'jobs/job_succeeded/final/encoder.safetensors', 'ab', 5000000000, 60,
    '2026-11-20 11:00:00.000000');
