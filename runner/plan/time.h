// How long a run will take on this host: from measured tokens per second in the store, or else from a few training
// steps of the plan's own models, timed now.
#pragma once
#include "runner/plan/plan.h"

struct plan_speed;

// Never NULL. Takes well under a second when the store has measurements, else a second or two.
struct plan_speed *plan_speed_new(const struct plan *plan);
void plan_speed_free(struct plan_speed *speed);  // NULL is fine
// Seconds of a whole run, evaluations included; NAN when nothing could be measured.
double plan_seconds(struct plan_speed *speed, const struct run_config *resolved,
                    const struct run_quantities *quantities, const struct corpus_facts *facts);
// Seconds of so many tokens going forward; NAN likewise.
double plan_forward_seconds(struct plan_speed *speed, const struct run_config *resolved,
                            const struct run_quantities *quantities, double tokens);
// Where the estimates come from, one line.
const char *plan_speed_source(const struct plan_speed *speed);
