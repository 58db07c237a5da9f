-- From version 2: lines of an event log that are no events.
ALTER TABLE runs ADD COLUMN log_damaged INTEGER;
ALTER TABLE runs ADD COLUMN log_damaged_line INTEGER;
