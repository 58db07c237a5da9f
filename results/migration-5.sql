-- From version 4: what people asked of runs.
CREATE TABLE marks (
  run TEXT PRIMARY KEY NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  mark TEXT NOT NULL CHECK (mark IN ('paused', 'cancelled', 'retry')),
  marked_by TEXT NOT NULL,
  marked_at REAL NOT NULL
) WITHOUT ROWID;
