-- Somebody with keys, jobs of theirs, and the accounts of them.

INSERT INTO users (id, name, role, created_at, revoked_at)
VALUES ('usr_1', 'ada', 'member', '2026-11-21 10:00:00.000000', '2026-11-22 10:00:00.000000');

INSERT INTO api_keys (id, user_id, digest, created_at, expires_at, last_used_at, revoked_at)
VALUES ('key_1', 'usr_1', 'abcd', '2026-11-21 10:00:00.000000', '2027-11-21 10:00:00.000000',
    '2026-11-21 11:00:00.000000', '2026-11-22 10:00:00.000000');

INSERT INTO audit_log (time, user_id, user_name, key_id, address, action, target, data)
VALUES ('2026-11-21 10:00:00.000000', 'usr_1', 'ada', 'key_1', '10.0.0.1', 'job.create',
    'job_placed', '{"kind": "train"}');

INSERT INTO jobs (id, user_id, visibility, kind, status, config, request_sha256, pinned, priority,
    slots, memory_bytes, queued_at, worker, slot_ids, attempt, lost_attempts, lease_owner,
    lease_expires_at, cancel_requested, preempt_requested, skipped, created_at, started_at)
VALUES ('job_placed', 'usr_1', 'private', 'train', 'running', '{}', 'ff', true, 2,
    2, 9000000000, '2026-11-21 10:00:00.000000', 'host-1', '["0", "1"]', 1, 0, 'host:2:cd',
    '2026-11-21 10:00:31.000000', false, false, '{"images": 3}', '2026-11-21 10:00:00.000000',
    '2026-11-21 10:00:01.000000');

INSERT INTO attempts (job_id, attempt, user_id, kind, owner, slots, started_at, ended_at, ending)
VALUES
    ('job_placed', 1, 'usr_1', 'train', 'host:2:cd', 2, '2026-11-21 10:00:01.000000', NULL, NULL),
    ('job_gone', 1, 'usr_1', 'train', 'host:2:ef', 1, '2026-11-21 09:00:00.000000',
    '2026-11-21 09:30:00.000000', 'finished');
