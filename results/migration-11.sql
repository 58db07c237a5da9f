-- From version 10: what searches over layers found, and what they took.
ALTER TABLE runs ADD COLUMN flops_search REAL;
ALTER TABLE runs ADD COLUMN search_fitness REAL;
ALTER TABLE runs ADD COLUMN search_evaluations INTEGER;
ALTER TABLE runs ADD COLUMN search_tokens INTEGER;
ALTER TABLE runs ADD COLUMN rank_correlation REAL;
