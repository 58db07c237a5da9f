-- From version 8: what runs were trained from, on and by, and their shares of the time and energy of machines.
ALTER TABLE runs ADD COLUMN libraries TEXT;
ALTER TABLE runs ADD COLUMN processor TEXT;
ALTER TABLE runs ADD COLUMN gpu TEXT;
ALTER TABLE runs ADD COLUMN system TEXT;
ALTER TABLE runs ADD COLUMN environment TEXT;
ALTER TABLE runs ADD COLUMN spec_revision TEXT;
ALTER TABLE runs ADD COLUMN spec_dirty INTEGER;
ALTER TABLE runs ADD COLUMN trainer_revision TEXT;
ALTER TABLE runs ADD COLUMN trainer_dirty INTEGER;
ALTER TABLE runs ADD COLUMN machine_seconds REAL;
ALTER TABLE runs ADD COLUMN joules REAL;
ALTER TABLE runs ADD COLUMN joules_seconds REAL;
ALTER TABLE runs ADD COLUMN joules_source TEXT;
