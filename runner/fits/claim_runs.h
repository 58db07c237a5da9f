// What claims say of runs: loss[w4a4], loss["format == 'w4a4' and model.width > 64"]. A term is the mean of a column
// over the finished runs that its condition (or format) selects. Terms of one claim are compared like with like: only
// combinations of the sweep's other axes that every term has take part, with the seeds that all of them have.
//
// How far the means would move with other seeds is learnt from configurations that were run with several: one noise for
// all runs of the experiment, relative to the value where all values are positive. The terms of a comparison share
// their seeds, so what a seed does to all formats alike cancels; the noise is then what is left (two-way: configuration
// and seed). The draws of a term spread by that noise over the root of its number of runs, and by the uncertainty of
// the noise itself (chi-square of its degrees of freedom).
#pragma once
#include "fitting/fitting.h"
#include "runner/spec/spec.h"

struct run_term {
  const char *label;  // "loss[w4a4]"
  int column;
  bool *selected;  // [rows]
  // After claim_runs_match, one of each matched group:
  double *means;  // of the column, or of its logarithm
  size_t *counts;
  double *same;  // the column's value where all of a group have one, NAN: a logarithm's exponential is not always it
  size_t run_count;
  bool logarithm;
  double noise;  // standard deviation of one run, NAN: not known
  size_t degrees;
};

struct claim_runs {
  const struct table *table;  // finished runs of the experiment
  const struct spec *spec;
  const bool *ends;  // [rows]: those that a term takes which does not name `stage` (see chain_ends.h)
  struct arena *arena;
  struct run_term *terms;
  size_t count, capacity;
  const char **asked;  // columns that the conditions name
  size_t asked_count;
  const char **formats;  // canonical names of the table's formats, by code; NULL before the first term
  size_t groups;         // matched ones
};

// Adds the term `name[index]`. False when it is none; `trouble` then says why.
bool claim_runs_add(struct claim_runs *runs, const struct expression_name *name, size_t *term, struct text *trouble);
// Matches the runs of all terms and finds the noise. False when no configuration is common to all.
bool claim_runs_match(struct claim_runs *runs, struct text *trouble);
// The term's mean: as observed (draw -1), or with other seeds (draw 0, 1, ...). NAN where the noise is not known.
double claim_runs_value(const struct claim_runs *runs, size_t term, long draw);
