-- From version 4: what stages that follow training say of a model's matrices, and of all of them.
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
