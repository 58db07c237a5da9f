// See select.h.
#include "trainer/stages/select.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lapack.h"
#include "trainer/data/permutation.h"
#include "trainer/stages/influence.h"
#include "trainer/stages/work.h"

// ---- settings ----

const char *const select_stage_needs[] = {"data.select", NULL};

static bool is(const struct run_config *config, const char *way) { return strcmp(config->data.select, way) == 0; }

bool select_stage_skips(const struct run_config *config) { return is(config, "none"); }

static int64_t pool_windows(const struct run_config *config) {
  return config->data.pool_tokens / config->model.context;
}

static int64_t chosen_windows(const struct run_config *config) {
  if (is(config, "target_only")) return config->data.targets;
  if (is(config, "all")) return pool_windows(config);
  int64_t count = (int64_t)llround(config->data.fraction * (double)pool_windows(config));
  return count < 1 ? 1 : count;
}

static bool check_target(const struct run_config *config, struct error *error) {
  if (!*config->data.target)
    return error_set(error, EXIT_USAGE_ERROR,
                     "data.target is needed for data.select %s: the source of corpus.mixture whose loss is to fall",
                     config->data.select) ||
           error_about(error, "data.target", "data.select", NULL);
  if (corpus_mixture_part(config, config->data.target) >= 0) return true;
  return error_set(error, EXIT_USAGE_ERROR, "data.target: '%s' is no source of corpus.mixture%s%s", config->data.target,
                   *config->corpus.mixture ? ", which is " : "", config->corpus.mixture) ||
         error_about(error, "data.target", NULL);
}

static bool check_gradients(const struct run_config *config, struct error *error) {
  if (*config->from.path || strcmp(config->train.optimizer, "adamw") != 0 || config->plant_outliers.channels)
    return error_set(error, EXIT_USAGE_ERROR,
                     "data.select %s weighs gradients by AdamW's second moments: it follows a training by adamw",
                     config->data.select) ||
           error_about(error, "data.select", NULL);
  if (strcmp(config->data.weights, "linear") == 0 && !is(config, "influence_mean"))
    return error_set(error, EXIT_USAGE_ERROR, "data.weights linear are those of influence_mean, not of %s",
                     config->data.select) ||
           error_about(error, "data.weights", NULL);
  return true;
}

bool select_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                          struct error *error) {
  (void)facts, (void)arena;
  if (config->data.seed == AUTO_INTEGER) config->data.seed = config->seed;
  if (selection_has_target(config) && !check_target(config, error)) return false;
  if (selection_by_influence(config) && !check_gradients(config, error)) return false;
  if (pool_windows(config) < 2)
    return error_set(error, EXIT_USAGE_ERROR, "data.pool_tokens %" PRId64 " hold no two windows of model.context",
                     config->data.pool_tokens) ||
           error_about(error, "data.pool_tokens", NULL);
  if (config->data.landmarks > pool_windows(config)) config->data.landmarks = pool_windows(config);
  return true;
}

// Of the oracle there may be fewer windows in the pool than are asked for.
double select_stage_leaves_tokens(const struct run_config *config) {
  return is(config, "oracle") ? NAN : (double)(chosen_windows(config) * config->model.context);
}

double select_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  (void)facts;
  if (!selection_by_influence(config)) return 0;
  bool predicts = config->data.landmarks < pool_windows(config);
  // Forward and backward are three passes.
  return (double)config->model.context * (3.0 * (double)(config->data.landmarks + config->data.targets) +
                                          (predicts ? (double)pool_windows(config) : 0));
}

const char *select_stage_libraries(const struct run_config *config, struct arena *arena) {
  return selection_by_influence(config) ? lapack_library(arena) : NULL;
}

// ---- windows ----

static uint64_t stream_of(const struct run_config *config, const char *name) {
  return hash64(name, strlen(name), (uint64_t)config->data.seed) >> 11;
}
uint64_t select_pool_stream(const struct run_config *config) { return stream_of(config, "selection pool"); }
uint64_t select_target_stream(const struct run_config *config) { return stream_of(config, "selection targets"); }

bool select_windows(const struct corpus *corpus, uint64_t stream, int part, int64_t count, int64_t context,
                    int64_t *windows, struct error *error) {
  // Every block of a mixture has its parts' shares: the bound is never met by a part that there is.
  for (int64_t i = 0, found = 0; found < count; i++) {
    const struct corpus_batch one = selection_request(stream, i, context);
    if (i > count * 1001 + 1000000)
      return error_set(error, EXIT_USAGE_ERROR, "the mixture has no windows of part %d", part + 1);
    if (part < 0 || corpus_batch_part(corpus, &one, 0) == part) windows[found++] = i;
  }
  return true;
}

// So many of the pool's windows, of this part (-1: of any), by a drawn order; *found with how many there are.
static void draw(const struct stage_work *work, int part, int64_t count, int64_t *windows, int64_t *found) {
  const struct run_config *c = &work->run.file.config;
  const uint64_t stream = select_pool_stream(c);
  struct permutation order = permutation(mix64(stream), (uint64_t)pool_windows(c));
  *found = 0;
  for (int64_t i = 0; i < pool_windows(c) && *found < count; i++) {
    const int64_t window = (int64_t)permute(&order, (uint64_t)i);
    const struct corpus_batch one = selection_request(stream, window, c->model.context);
    if (part < 0 || corpus_batch_part(work->run.corpus, &one, 0) == part) windows[(*found)++] = window;
  }
}

// Share of the windows that are of this part; NAN without one.
static double share_of(const struct stage_work *work, const struct selection *s, int part) {
  int64_t of_part = 0;
  if (part < 0) return NAN;
  for (int64_t i = 0; i < s->count; i++) {
    const struct corpus_batch one = selection_request(s->stream, s->windows[i], work->run.file.config.model.context);
    of_part += corpus_batch_part(work->run.corpus, &one, 0) == part;
  }
  return (double)of_part / (double)s->count;
}

// ---- choosing ----

static bool choose_by_influence(struct stage_work *work, int part, struct selection *s, double *correlation,
                                struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct influences influences;
  bool fine = select_influences(work, part, &influences, error);
  *correlation = influences.correlation;
  if (fine && is(c, "influence_round_robin")) {
    choose_round_robin(influences.p, influences.pool, influences.targets, s->count, select_target_stream(c),
                       s->windows);
  } else if (fine) {
    double *mean = memory_get((size_t)influences.pool * sizeof *mean);
    for (int64_t i = 0; i < influences.pool; i++)
      for (int64_t t = 0; t < influences.targets; t++)
        mean[i] += influences.p[i * influences.targets + t] / (double)influences.targets;
    if (strcmp(c->data.weights, "linear") == 0) {
      s->weights = arena_array(&work->run.arena, (size_t)s->count, sizeof *s->weights);
      linear_weights(mean, influences.pool, s->count, s->windows, s->weights);
    } else {
      choose_largest(mean, influences.pool, s->count, s->windows);
    }
    free(mean);
  }
  influences_free(&influences);
  return fine;
}

static bool choose(struct stage_work *work, int part, struct selection *s, double *correlation, struct error *error) {
  const struct run_config *c = &work->run.file.config;
  s->stream = select_pool_stream(c);
  s->count = chosen_windows(c);
  s->windows = arena_array(&work->run.arena, (size_t)s->count, sizeof *s->windows);
  *correlation = NAN;
  if (is(c, "target_only")) {
    s->stream = select_target_stream(c);
    return select_windows(work->run.corpus, s->stream, part, s->count, c->model.context, s->windows, error);
  }
  if (selection_by_influence(c)) return choose_by_influence(work, part, s, correlation, error);
  draw(work, is(c, "oracle") ? part : -1, s->count, s->windows, &s->count);
  return s->count > 0 || error_set(error, EXIT_USAGE_ERROR, "the pool has no window of %s", c->data.target) ||
         error_about(error, "data.pool_tokens", NULL);
}

bool select_stage_work(struct stage_work *work, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  struct model_values values;
  struct evaluation evaluation;
  struct selection selection = {0};
  double correlation;
  const int part = *c->data.target ? corpus_mixture_part(c, c->data.target) : -1;
  memcpy(selection.corpus, corpus_digest(t->corpus), sizeof selection.corpus);
  if (!stage_check_tokens(work, error) || !choose(work, part, &selection, &correlation, error) ||
      !selection_write(&selection, path_join(&t->arena, t->run_folder, SELECTION_FILE), error))
    return false;
  const struct stage_number numbers[] = {{"selected_windows", (double)selection.count},
                                         {"selected_share", share_of(work, &selection, part)},
                                         {"landmark_correlation", correlation}};
  bool fine = stage_masters(t, &work->parent, &values, error) && stage_make_model(work, &values, error) &&
              stage_write_checkpoint(work, error) &&
              stage_evaluate(work, c->train.final_eval_tokens, &evaluation, error) &&
              report_stage_done(work, &evaluation, numbers, 3, error);
  values_free(&values);
  return fine;
}
