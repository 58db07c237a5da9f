-- From version 9: losses of a mixture's sources, what kind of solution a training ended at, selections, bytes of the
-- optimizer's state.
ALTER TABLE runs ADD COLUMN loss_source_1 REAL;
ALTER TABLE runs ADD COLUMN loss_source_2 REAL;
ALTER TABLE runs ADD COLUMN loss_source_3 REAL;
ALTER TABLE runs ADD COLUMN loss_source_4 REAL;
ALTER TABLE runs ADD COLUMN loss_source_5 REAL;
ALTER TABLE runs ADD COLUMN loss_source_6 REAL;
ALTER TABLE runs ADD COLUMN loss_source_7 REAL;
ALTER TABLE runs ADD COLUMN loss_source_8 REAL;
ALTER TABLE runs ADD COLUMN weight_stable_rank REAL;
ALTER TABLE runs ADD COLUMN weight_effective_rank REAL;
ALTER TABLE runs ADD COLUMN update_ratio REAL;
ALTER TABLE runs ADD COLUMN activation_stable_rank REAL;
ALTER TABLE runs ADD COLUMN activation_effective_rank REAL;
ALTER TABLE runs ADD COLUMN activation_kurtosis REAL;
ALTER TABLE runs ADD COLUMN activation_outlier REAL;
ALTER TABLE runs ADD COLUMN activation_zero_fraction REAL;
ALTER TABLE runs ADD COLUMN gradient_energy_svd REAL;
ALTER TABLE runs ADD COLUMN gradient_energy_dct REAL;
ALTER TABLE runs ADD COLUMN gradient_energy_random REAL;
ALTER TABLE runs ADD COLUMN gradient_over_noise REAL;
ALTER TABLE runs ADD COLUMN selected_windows INTEGER;
ALTER TABLE runs ADD COLUMN selected_share REAL;
ALTER TABLE runs ADD COLUMN landmark_correlation REAL;
ALTER TABLE runs ADD COLUMN flops_selection REAL;
ALTER TABLE runs ADD COLUMN state_bytes REAL;
CREATE TABLE solutions (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  step INTEGER NOT NULL,
  tokens REAL,
  value REAL NOT NULL,
  PRIMARY KEY (run, name, step)
) WITHOUT ROWID;
