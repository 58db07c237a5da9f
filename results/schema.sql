-- The tables of an isoloss store, version 12. A change of this file needs a file migration-N.sql that brings a store of
-- version N-1 there, and the new number in migrate.c; one of table runs also needs a line in columns.c. Times are
-- seconds since 1970; losses are natural-log cross-entropy per token; what is not known is NULL.

-- A spec that was run. spec_text is the file as it was then.
CREATE TABLE experiments (
  name TEXT PRIMARY KEY NOT NULL,
  about TEXT,
  spec_path TEXT NOT NULL,
  spec_text TEXT NOT NULL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL
);

-- A run is its configuration: id is the hash of what can change its result, so a run is trained once, in whichever
-- experiments it appears.
CREATE TABLE runs (
  id TEXT PRIMARY KEY NOT NULL,
  stage TEXT NOT NULL,                -- train, ...; for a trainer of the user's own its command too
  parent TEXT,                        -- id of the stage before this one
  state TEXT NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'running', 'done', 'diverged', 'failed', 'killed')),
  parameters INTEGER,                 -- N: non-embedding
  parameters_total INTEGER,
  parameters_embedding INTEGER,
  parameters_head INTEGER,
  parameters_attention INTEGER,
  parameters_mlp INTEGER,
  parameters_norms INTEGER,
  parameters_prunable INTEGER,
  parameters_active REAL,             -- non-embedding ones not pruned, at the end
  parameters_active_average REAL,     -- the same, mean over training steps
  tokens INTEGER,                     -- D: training tokens seen
  targets REAL,                       -- of these, unmasked targets
  steps INTEGER,
  epochs REAL,
  flops REAL,                         -- C: counted per operation
  flops_6nd REAL,
  loss REAL,                          -- final, on validation tokens
  bits_per_byte REAL,
  oracle_loss REAL,                   -- of the source itself, on the same validation tokens
  irreducible_loss REAL,              -- of the source, in closed form
  weight_error REAL,                  -- of a compression: squared error of all its matrices over their squares
  stored_bits REAL,                   -- ... and its stored bits a weight, scales and positions included
  output_error REAL,                  -- of layers' outputs on calibration tokens, mean over matrices
  error_over_bound REAL,              -- of gptq and babai, mean over matrices
  pivot_trace REAL,                   -- tr(D) over the damped Hessian's trace, mean over matrices
  clipped REAL,                       -- share of weights beyond the grid's ends, mean over matrices
  predicted_increase REAL,            -- of a compression with allocated bits: sum of alpha t^2 over matrices
  root_loss REAL,                     -- of an evaluation: the loss of the model that its chain began with
  kl REAL,                            -- KL divergence a token from that model to this one
  top1_agreement REAL,                -- share of tokens where both hold the same one likeliest
  top1_accuracy REAL,                 -- share of targets that the model holds likeliest
  recovery REAL,                      -- in percent: top1_accuracy over that model's
  first_divergence REAL,              -- tokens that greedy decoding has in common, mean over prompts
  copy_accuracy REAL,                 -- share of the answers of the suite copy that the model holds likeliest
  copy_error REAL,                    -- its standard error, over windows
  copy_chance REAL,                   -- what the best guess gets that does not read the record
  copy_recovery REAL,                 -- in percent: (accuracy - chance) over that of the model the chain began with
  induction_accuracy REAL,            -- the same of the suite induction
  induction_error REAL,
  induction_chance REAL,
  induction_recovery REAL,
  sums_accuracy REAL,                 -- and of sums
  sums_error REAL,
  sums_chance REAL,
  sums_recovery REAL,
  suites_note TEXT,                   -- why recoveries are missing, in words
  loss_source_1 REAL,                 -- of a mixture: the loss on windows of its source 1
  loss_source_2 REAL,                 -- ... of its source 2
  loss_source_3 REAL,                 -- ... of its source 3
  loss_source_4 REAL,                 -- ... of its source 4
  loss_source_5 REAL,                 -- ... of its source 5
  loss_source_6 REAL,                 -- ... of its source 6
  loss_source_7 REAL,                 -- ... of its source 7
  loss_source_8 REAL,                 -- ... of its source 8
  weight_stable_rank REAL,            -- last of the run's metrics
  weight_effective_rank REAL,
  update_ratio REAL,
  activation_stable_rank REAL,
  activation_effective_rank REAL,
  activation_kurtosis REAL,
  activation_outlier REAL,
  activation_zero_fraction REAL,
  gradient_energy_svd REAL,
  gradient_energy_dct REAL,
  gradient_energy_random REAL,
  gradient_over_noise REAL,
  selected_windows INTEGER,           -- of a selection: how many it chose
  selected_share REAL,                -- ... share of them that are of the target's source
  landmark_correlation REAL,          -- ... of predicted with measured influence, on landmarks that were left out
  flops_selection REAL,               -- of flops, those that a chain's selection took
  flops_search REAL,                  -- ... those that its search took
  search_fitness REAL,                -- of a search: what its choice is worth on the last round's tokens
  search_evaluations INTEGER,         -- ... how many models it held against the one before
  search_tokens INTEGER,              -- ... tokens forward for these, those trained on three times
  rank_correlation REAL,              -- ... of random choices: of summed layer errors and worth
  state_bytes REAL,                   -- of the optimizer's state, as it was allocated
  train_loss REAL,                    -- last one reported
  step INTEGER,                       -- where the run is
  wall_seconds REAL,
  train_seconds REAL,
  trunk TEXT,                         -- id of the run from whose checkpoint this one began
  trunk_step INTEGER,                 -- of this run's steps, those that were trained there
  trunk_seconds REAL,                 -- of wall_seconds, those that were spent there
  tokens_per_second REAL,
  speed_of_light REAL,                -- the time of the products at the measured peak over the time taken
  peak_memory REAL,                   -- bytes
  backend TEXT,
  device TEXT,                        -- in words: processor, library of the matrix products and what it ran
  dtype TEXT,
  gemm TEXT,                          -- library of the matrix products
  kernel TEXT,                        -- what that library ran
  isa TEXT,
  threads INTEGER,
  host TEXT,
  libraries TEXT,                     -- versions that the trainer reports
  processor TEXT,
  gpu TEXT,
  system TEXT,                        -- versions of isoloss, kernel, C library, driver
  environment TEXT,                   -- JSON: variables of the trainer's environment that can matter
  spec_revision TEXT,                 -- git commit of the spec's folder
  spec_dirty INTEGER,                 -- 1: files there were not as in that commit
  trainer_revision TEXT,              -- the same of a custom trainer's folder
  trainer_dirty INTEGER,
  machine_seconds REAL,               -- share of the machine's time, by threads among the runs at work
  joules REAL,                        -- share of its energy, likewise
  joules_seconds REAL,                -- of the run's time, during which energy was read
  joules_source TEXT,
  trainer TEXT,                       -- program and version
  commit_id TEXT,                     -- of the trainer's source, where it reports it
  message TEXT,                       -- why it failed, diverged or was stopped
  attempts INTEGER NOT NULL DEFAULT 0, -- times a worker was started
  pid INTEGER,                        -- of the last worker, on `host`
  checkpoint TEXT,                    -- newest one, relative to the run's folder
  corpus_digest TEXT,
  bytes_per_token REAL,
  created_at REAL NOT NULL,
  started_at REAL,
  finished_at REAL,
  canonical TEXT NOT NULL,            -- JSON: the fields that count in the id
  config TEXT NOT NULL,               -- JSON: every field
  command TEXT,                       -- JSON array: the user's own trainer, or NULL
  log_offset INTEGER NOT NULL DEFAULT 0, -- bytes of events.jsonl that are in the store
  log_check INTEGER NOT NULL DEFAULT 0,  -- hash of the last of these bytes: a log that was cut is read again
  resumed_under TEXT,                 -- where it went on under another instruction set, library, ..., and which
  log_damaged INTEGER,                -- lines of it that are no events and were passed over
  log_damaged_line INTEGER,           -- the first of them (from 1)
  halved_at REAL                      -- share of its steps at which successive halving stopped it
);
CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX runs_by_parent ON runs (parent);

-- What follows from a format, by its canonical name: known once, for all runs of it. Errors are of Gaussian data (as
-- `isoloss capacity` prints them; 0: exact), NULL until they are measured.
CREATE TABLE formats (
  format TEXT PRIMARY KEY NOT NULL,
  forward TEXT,                       -- the format's part in the forward pass, as a format of its own
  backward TEXT,                      -- ... in the backward pass
  weight_bits REAL,                   -- stored bits a value; 16: not represented
  activation_bits REAL,
  gradient_bits REAL,
  gmse_weights REAL,
  gmse_activations REAL,
  gmse_gradients REAL
) WITHOUT ROWID;

CREATE TABLE experiment_runs (
  experiment TEXT NOT NULL REFERENCES experiments (name) ON DELETE CASCADE,
  position INTEGER NOT NULL,          -- in the spec's order
  run TEXT NOT NULL REFERENCES runs (id),
  PRIMARY KEY (experiment, position)
) WITHOUT ROWID;
CREATE INDEX experiments_by_run ON experiment_runs (run);

-- What people asked of runs that are not finished (`isoloss pause`, `cancel`, `retry`), at most one thing a run. Written
-- by these commands, also while a coordinator is at work: it reads them, and removes what it has done.
CREATE TABLE marks (
  run TEXT PRIMARY KEY NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  mark TEXT NOT NULL CHECK (mark IN ('paused', 'cancelled', 'retry')),
  marked_by TEXT NOT NULL,            -- user@host
  marked_at REAL NOT NULL
) WITHOUT ROWID;

-- Points of a run's curves: exactly those of its event log.
CREATE TABLE metrics (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('train', 'eval')),
  step INTEGER NOT NULL,
  tokens REAL,
  loss REAL,
  lr REAL,
  gradient_norm REAL,
  tokens_per_second REAL,
  seconds REAL,
  oracle_loss REAL,
  active_parameters REAL,
  PRIMARY KEY (run, kind, step)
) WITHOUT ROWID;

-- What kind of solution a training is at, step by step: the numbers of its `metrics` events, by name.
CREATE TABLE solutions (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  name TEXT NOT NULL,                 -- weight_stable_rank, ...
  step INTEGER NOT NULL,
  tokens REAL,
  value REAL NOT NULL,
  PRIMARY KEY (run, name, step)
) WITHOUT ROWID;

-- What a stage made of one matrix of the model: from its `layer` events. A number that the method does not know is NULL.
CREATE TABLE layers (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  layer INTEGER NOT NULL,             -- block, from 0
  matrix TEXT NOT NULL,               -- self_attn.q_proj, mlp.down_proj, ...
  rows INTEGER,                       -- outputs
  columns INTEGER,                    -- inputs
  relative_error REAL,                -- t^2: squared error of the weights over their squares
  output_error REAL,                  -- the same of the layer's outputs on the calibration tokens
  weighted_error REAL,                -- tr(D H D^T): that of the outputs, damping included, not over anything
  bound REAL,                         -- what the method promises for weighted_error
  bits REAL,                          -- stored, a weight
  sparsity REAL,                      -- share of zeroes
  alpha REAL,                         -- nats of loss or KL divergence per t^2, where bits were allocated
  alpha_error REAL,                   -- its standard error
  PRIMARY KEY (run, layer, matrix)
) WITHOUT ROWID;

-- source: the experiment, imported table or file that was fitted; document: JSON, as `isoloss fit --json` prints it.
CREATE TABLE fits (
  source TEXT NOT NULL,
  name TEXT NOT NULL,
  law TEXT NOT NULL,
  document TEXT NOT NULL,
  created_at REAL NOT NULL,
  PRIMARY KEY (source, name)
);

-- Decisions of successive halving, a row for each run that competed at a rung: made once, and the same whatever the
-- order in which the runs came there. `place`: from 1, by the loss.
CREATE TABLE halvings (
  experiment TEXT NOT NULL REFERENCES experiments (name) ON DELETE CASCADE,
  competition TEXT NOT NULL,          -- hash of the competitors and of what the spec says of halving
  rung INTEGER NOT NULL,              -- from 1
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  over TEXT NOT NULL,                 -- axes in which the competitors differ
  share REAL NOT NULL,                -- of a run's steps, as the spec says
  step INTEGER NOT NULL,              -- of the rung
  loss_step INTEGER,                  -- of the evaluation that was compared; NULL: there was none
  loss REAL,                          -- there; NULL: the run had ended without one
  place INTEGER NOT NULL,
  kept INTEGER NOT NULL,              -- 1: goes on, 0: stopped
  decided_at REAL NOT NULL,
  PRIMARY KEY (experiment, competition, rung, run)
) WITHOUT ROWID;

CREATE TABLE claims (
  experiment TEXT NOT NULL,
  position INTEGER NOT NULL,
  claim TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('held', 'not held', 'undecided')),
  detail TEXT,
  checked_at REAL NOT NULL,
  PRIMARY KEY (experiment, position)
);

-- Tables from elsewhere. mapping: JSON object, store's name -> column of the file; document: JSON object of a row.
CREATE TABLE imports (
  name TEXT PRIMARY KEY NOT NULL,
  path TEXT NOT NULL,
  digest TEXT NOT NULL,
  mapping TEXT,
  created_at REAL NOT NULL
);
CREATE TABLE import_rows (
  import TEXT NOT NULL REFERENCES imports (name) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (import, position)
);

-- Measured speed of one run by host and shape: from finished runs and from `isoloss bench`.
CREATE TABLE throughput (
  host TEXT NOT NULL,
  backend TEXT NOT NULL,
  source TEXT NOT NULL CHECK (source IN ('run', 'bench')),
  dtype TEXT NOT NULL,
  format TEXT NOT NULL,
  settings TEXT NOT NULL,  -- of the run that change its speed and are not as by default
  threads INTEGER NOT NULL,
  layers INTEGER NOT NULL,
  width INTEGER NOT NULL,
  heads INTEGER NOT NULL,
  kv_heads INTEGER NOT NULL,
  mlp_width INTEGER NOT NULL,
  vocabulary INTEGER NOT NULL,
  context INTEGER NOT NULL,
  batch_tokens INTEGER NOT NULL,
  flops_per_token REAL NOT NULL,
  tokens_per_second REAL NOT NULL,
  measured_at REAL NOT NULL,
  PRIMARY KEY (host, backend, source, dtype, format, settings, threads, layers, width, heads, kv_heads, mlp_width,
               vocabulary, context, batch_tokens)
) WITHOUT ROWID;
CREATE TABLE benchmarks (
  host TEXT NOT NULL,
  suite TEXT NOT NULL,
  document TEXT NOT NULL,
  measured_at REAL NOT NULL,
  PRIMARY KEY (host, suite)
);
