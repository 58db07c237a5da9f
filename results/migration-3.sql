-- From version 2: lines of an event log that are no events; what a run went on under.
ALTER TABLE runs ADD COLUMN log_damaged INTEGER;
ALTER TABLE runs ADD COLUMN log_damaged_line INTEGER;
ALTER TABLE runs ADD COLUMN resumed_under TEXT;
