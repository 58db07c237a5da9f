// Rollouts: the law is fitted to the lower part of the rows along a column and predicts the others, which says how far
// off it is by how far outside of the rows it is asked. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

struct rollout {
  const char *column;  // along which the rows were cut: "parameters", "tokens", "flops" (6ND without a column)
  double cut;          // the largest value that was fitted
  size_t fitted_rows, predicted;
  double nearest, farthest;     // how many times outside, along this column, the rows that were predicted lie
  double error, bias, largest;  // mean of |predicted - observed| / |observed|, and signed; the largest, signed
  size_t judged, held;          // rows with an interval; rows that lay within it
  const char *trouble;          // why there is no prediction, or NULL
  const char *no_interval;      // why predictions have no intervals, or NULL
};

// Rows that were predicted, of all cuts along a column, by how many times outside along it they were.
struct rollout_errors {
  const char *column;
  double above, to;  // above < factor <= to; the last ends nowhere
  size_t cuts, rows, judged, held;
  double error, largest;    // mean |predicted - observed| / |observed|; the largest, signed
  const char *no_interval;  // why none has an interval, or NULL
};

struct fit_rollouts {
  struct rollout *cuts;
  size_t cut_count;
  struct rollout_errors *errors;  // those with rows, by column, ascending
  size_t error_count;
  const char *none;  // why there is no error at all, or NULL
};

// The errors at comparable distance: of the bin of this column that holds the factor; else that of its largest factors,
// or NULL, with *there false.
const struct rollout_errors *rollout_errors_at(const struct fit_rollouts *rollouts, const char *column, double factor,
                                               bool *there);
// One object: column, above, to, cuts, rows, judged, held, error, largest; no_interval where none has one.
void rollout_errors_json(const struct rollout_errors *errors, struct json_writer *writer);
