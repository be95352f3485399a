-- A job that runs on two nodes, of which the second has ended.

UPDATE jobs SET nodes = 2, slots = 2 WHERE id = 'job_running';
INSERT INTO job_nodes (job_id, attempt, rank, worker, slot_ids, rendezvous, owner, beats, ending,
    problem)
VALUES ('job_running', 2, 0, 'gpu-a:7', '["GPU-a"]', '10.0.0.5:29500', 'gpu-a:7:0b', 0, NULL, NULL),
    ('job_running', 2, 1, 'gpu-b:9', '["GPU-b"]', '10.0.0.5:29500', 'gpu-b:9:1c', 12, 'failed', 'no disk');
