-- What a training has measured.

INSERT INTO measurements (job_id, device, config, step_seconds, memory_bytes, measured_at)
VALUES ('job_1', 'NVIDIA H200', '{"dataset": "/data"}', 0.25, 7000000000, '2026-11-23 10:00:00.000000');
UPDATE jobs SET expected_seconds = 3600.5;
