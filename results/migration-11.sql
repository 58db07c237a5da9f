-- From version 10: what searches over layers found, and what they took; what share of its products' measured peak a
-- training had.
ALTER TABLE runs ADD COLUMN speed_of_light REAL;
ALTER TABLE runs ADD COLUMN flops_search REAL;
ALTER TABLE runs ADD COLUMN search_fitness REAL;
ALTER TABLE runs ADD COLUMN search_evaluations INTEGER;
ALTER TABLE runs ADD COLUMN search_tokens INTEGER;
ALTER TABLE runs ADD COLUMN rank_correlation REAL;
