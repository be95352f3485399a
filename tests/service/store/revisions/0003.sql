-- Jobs with sizes, and a chore.

INSERT INTO jobs (id, user_id, visibility, kind, status, config, request_sha256, pinned, priority,
    slots, queued_at, contract, attempt, lost_attempts, cancel_requested, preempt_requested,
    created_at, started_at, finished_at, files_bytes, collected_at)
VALUES ('job_collected', 'usr_local', 'lab', 'embed', 'succeeded', '{}', 'ff', false, 1,
    1, '2026-11-22 10:00:00.000000', 1, 1, 0, false, false,
    '2026-11-22 10:00:00.000000', '2026-11-22 10:00:01.000000', '2026-11-22 10:10:00.000000',
    6000000000, '2026-11-23 10:00:00.000000');

INSERT INTO chores (name, next_at) VALUES ('collect', '2026-11-23 10:00:00.000000');
