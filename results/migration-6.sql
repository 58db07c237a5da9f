-- From version 5: runs that began from the checkpoint of a longer one.
ALTER TABLE runs ADD COLUMN trunk TEXT;
ALTER TABLE runs ADD COLUMN trunk_step INTEGER;
ALTER TABLE runs ADD COLUMN trunk_seconds REAL;
