// The stage `data`: of a pool of windows it chooses those that a further training goes over (trainer/data/selection.h).
// Its model is its parent's, whose weights, and second moments of AdamW, say what a window would do to a target's loss.
// See stage.h for what each function is; docs/data-selection.md is the manual.
#pragma once
#include "trainer/data/selection.h"
#include "trainer/stages/stage.h"

#define SELECT_STAGE "data"

extern const char *const select_stage_needs[];
bool select_stage_skips(const struct run_config *config);
bool select_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                          struct error *error);
double select_stage_leaves_tokens(const struct run_config *config);
double select_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
const char *select_stage_libraries(const struct run_config *config, struct arena *arena);
bool select_stage_work(struct stage_work *work, struct error *error);

// The file of a selection in its run's folder.
#define SELECTION_FILE "selection"

// Seeds of the streams that pool and target examples are windows of (selection_request).
uint64_t select_pool_stream(const struct run_config *config);
uint64_t select_target_stream(const struct run_config *config);
// The windows of a stream that are of this part of the mixture (-1: any), the first `count` of them.
bool select_windows(const struct corpus *corpus, uint64_t stream, int part, int64_t count, int64_t context,
                    int64_t *windows, struct error *error);
// ---- select_gradients.c ----

struct stage_work;
struct influences {
  int64_t pool, targets;
  double *p;           // [pool, targets]: first-order fall of a target's loss by a step on the window, up to a factor
  double correlation;  // of predicted with measured p on landmarks left out; NAN where all windows are landmarks
};
// Measures and predicts them. influences_free in either case. False, with work->stopped and no error, when it was asked
// to stop.
bool select_influences(struct stage_work *work, int target_part, struct influences *influences, struct error *error);
void influences_free(struct influences *influences);
