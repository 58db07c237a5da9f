-- From version 4: what stages that follow training say of a model's matrices, and of all of them; what people asked of
-- runs; decisions of successive halving, and where it stopped a run.
ALTER TABLE runs ADD COLUMN weight_error REAL;
ALTER TABLE runs ADD COLUMN stored_bits REAL;
ALTER TABLE runs ADD COLUMN root_loss REAL;
ALTER TABLE runs ADD COLUMN kl REAL;
ALTER TABLE runs ADD COLUMN top1_agreement REAL;
ALTER TABLE runs ADD COLUMN top1_accuracy REAL;
ALTER TABLE runs ADD COLUMN recovery REAL;
ALTER TABLE runs ADD COLUMN first_divergence REAL;
CREATE INDEX runs_by_parent ON runs (parent);
CREATE TABLE layers (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  layer INTEGER NOT NULL,
  matrix TEXT NOT NULL,
  rows INTEGER,
  columns INTEGER,
  relative_error REAL,
  output_error REAL,
  weighted_error REAL,
  bound REAL,
  bits REAL,
  sparsity REAL,
  PRIMARY KEY (run, layer, matrix)
) WITHOUT ROWID;
CREATE TABLE marks (
  run TEXT PRIMARY KEY NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  mark TEXT NOT NULL CHECK (mark IN ('paused', 'cancelled', 'retry')),
  marked_by TEXT NOT NULL,
  marked_at REAL NOT NULL
) WITHOUT ROWID;
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
