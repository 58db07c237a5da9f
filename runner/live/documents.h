// What the pages of `isoloss serve` show, as JSON: experiments, runs, curves, formats against each other, fits. All
// from the store, which is only read. Each appends one document; false with an error of the store's.
#pragma once
#include "base/base.h"
#include "results/store.h"

// [{"name", "about", "runs", "done", "running", ...}], the newest first.
bool document_experiments(struct store *store, struct text *out, struct error *error);
// {"settings": [names], "colours": {format: CSS variable}, "runs": [{"id", "state", "format", ..., "values": [of the
// settings]}]}, in the spec's order; settings are those in which the runs differ.
bool document_runs(struct store *store, const char *experiment, struct text *out, struct error *error);
// {"run", "train": [[step, tokens, loss], ...], "train_points": in all, "eval": ..., "eval_points"}: of each curve at
// most `most` points, the last one of equal parts of its steps' logarithm and the newest one.
bool document_curve(struct store *store, const char *run, size_t most, struct text *out, struct error *error);
// {"baseline", "formats": [{"format", "pairs", "mean", "error", "least", "most"}]}: the evaluation loss of runs in each
// format less that of the run that is the same but in the baseline format (full precision where the experiment has it),
// their results, or where both last evaluated after the same number of tokens. mean over pairs in nats, its standard
// error (null of one pair), the smallest and largest share of their tokens at which they stand. Null where the runs
// have one format.
bool document_formats(struct store *store, const char *experiment, struct text *out, struct error *error);
// [{"name", "law", "created_at", "document": as isoloss fit --json prints it}].
bool document_fits(struct store *store, const char *experiment, struct text *out, struct error *error);
