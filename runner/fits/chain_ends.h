// Which rows an experiment with stages gives to a fit or a claim that does not say: the ends of its chains. A training
// that a compression follows and the compression itself are not two observations of one kind; where a stage's values
// hold none, a training is an end besides them.
#pragma once
#include "fitting/fitting.h"
#include "runner/spec/spec.h"

// Whether a condition (NULL: none) names the column `stage`: then it says itself which rows it takes.
bool names_stage(const struct expression *condition);
// Marks the rows that are ends of the spec's chains: ends[row]. All of them where the spec has no stages.
void mark_chain_ends(const struct spec *spec, const struct table *table, bool *ends);
// "rows of 2 stages are in one fit: train 12, compress 24"; false where all rows are of one.
bool tell_stages(const struct table *table, struct text *out);
