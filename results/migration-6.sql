-- From version 5: what compressions with a Hessian say over all matrices.
ALTER TABLE runs ADD COLUMN output_error REAL;
ALTER TABLE runs ADD COLUMN error_over_bound REAL;
ALTER TABLE runs ADD COLUMN pivot_trace REAL;
ALTER TABLE runs ADD COLUMN clipped REAL;
