-- From version 1: what follows from formats. migrate.c then adds the formats of the runs that are there.
CREATE TABLE formats (
  format TEXT PRIMARY KEY NOT NULL,
  forward TEXT,
  backward TEXT,
  weight_bits REAL,
  activation_bits REAL,
  gradient_bits REAL,
  gmse_weights REAL,
  gmse_activations REAL,
  gmse_gradients REAL
) WITHOUT ROWID;
