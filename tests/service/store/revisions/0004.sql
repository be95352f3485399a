-- An uploaded data set.

INSERT INTO datasets (name, user_id, visibility, images, bytes, created_at)
VALUES ('birds', 'usr_1', 'private', 3, 7000000000, '2026-11-23 10:00:00.000000');
