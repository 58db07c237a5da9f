-- From version 12: measured speeds are of settings. Under which the old ones were measured is not known: they are
-- measured anew.
DROP TABLE throughput;
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
