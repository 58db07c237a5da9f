-- From version 7: accuracies on small suites, of evaluations.
ALTER TABLE runs ADD COLUMN copy_accuracy REAL;
ALTER TABLE runs ADD COLUMN copy_error REAL;
ALTER TABLE runs ADD COLUMN copy_chance REAL;
ALTER TABLE runs ADD COLUMN copy_recovery REAL;
ALTER TABLE runs ADD COLUMN induction_accuracy REAL;
ALTER TABLE runs ADD COLUMN induction_error REAL;
ALTER TABLE runs ADD COLUMN induction_chance REAL;
ALTER TABLE runs ADD COLUMN induction_recovery REAL;
ALTER TABLE runs ADD COLUMN sums_accuracy REAL;
ALTER TABLE runs ADD COLUMN sums_error REAL;
ALTER TABLE runs ADD COLUMN sums_chance REAL;
ALTER TABLE runs ADD COLUMN sums_recovery REAL;
ALTER TABLE runs ADD COLUMN suites_note TEXT;
