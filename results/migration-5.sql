-- From version 4: decisions of successive halving, and where it stopped a run.
ALTER TABLE runs ADD COLUMN halved_at REAL;
CREATE TABLE halvings (
  experiment TEXT NOT NULL REFERENCES experiments (name) ON DELETE CASCADE,
  competition TEXT NOT NULL,
  rung INTEGER NOT NULL,
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  over TEXT NOT NULL,
  share REAL NOT NULL,
  step INTEGER NOT NULL,
  loss_step INTEGER,
  loss REAL,
  place INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  decided_at REAL NOT NULL,
  PRIMARY KEY (experiment, competition, rung, run)
) WITHOUT ROWID;
