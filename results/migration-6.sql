-- From version 5: runs that began from the checkpoint of a longer one; what compressions with a Hessian say over all
-- matrices.
ALTER TABLE runs ADD COLUMN trunk TEXT;
ALTER TABLE runs ADD COLUMN trunk_step INTEGER;
ALTER TABLE runs ADD COLUMN trunk_seconds REAL;
ALTER TABLE runs ADD COLUMN output_error REAL;
ALTER TABLE runs ADD COLUMN error_over_bound REAL;
ALTER TABLE runs ADD COLUMN pivot_trace REAL;
ALTER TABLE runs ADD COLUMN clipped REAL;
