-- From version 6: what relative errors cost each matrix, and what an allocation of bits should cost the loss.
ALTER TABLE runs ADD COLUMN predicted_increase REAL;
ALTER TABLE layers ADD COLUMN alpha REAL;
ALTER TABLE layers ADD COLUMN alpha_error REAL;
