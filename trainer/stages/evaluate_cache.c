// See evaluate_cache.h.
#include "trainer/stages/evaluate_cache.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/stages/calibration.h"

enum { EXACT_BITS = 16 };  // as formats count a value that is kept as it is

bool evaluate_stores_cache(const struct run_config *c) { return strcmp(c->evaluate.kv_cache, "none") != 0; }
bool evaluate_predicts_cache(const struct run_config *c) { return strncmp(c->evaluate.kv_cache, "aqua", 4) == 0; }

static int bits_of(const struct run_config *c) { return c->evaluate.kv_cache[strlen(c->evaluate.kv_cache) - 1] - '0'; }
static int64_t width_of(const struct run_config *c) { return c->model.kv_heads * c->model.head_dim; }

// ---- before anything starts ----

// Positions of a window that are stored before its last token is read: the end of [keep.first, ...).
static int64_t stored_end(const struct run_config *c) {
  int64_t last = (c->model.context - 1) / c->evaluate.stream_tokens * c->evaluate.stream_tokens;
  return last - c->evaluate.keep.recent;
}

bool stage_takes_cache(const struct run_config *c, const char *field, struct arena *arena, struct error *error) {
  struct run_config model = *c;
  if (!stage_model_config(&model, arena, error)) return false;
  const struct format *format = config_format(&model, arena);
  if (format && !representation_is_none(&format->operands[OPERAND_ACTIVATIONS]))
    return error_set(error, EXIT_USAGE_ERROR,
                     "a cache of keys and values goes with activations as they are, and format %s represents them by "
                     "whole windows",
                     model.format) ||
           error_about(error, field, NULL);
  return true;
}

bool evaluate_cache_check(const struct run_config *c, struct arena *arena, struct error *error) {
  if (!evaluate_stores_cache(c)) return true;
  if (stored_end(c) <= c->evaluate.keep.first)
    return error_set(error, EXIT_USAGE_ERROR,
                     "of model.context %" PRId64 " tokens nothing would be stored: the first %" PRId64
                     " and the newest %" PRId64 " stay as they are, and storing is every %" PRId64 " tokens",
                     c->model.context, c->evaluate.keep.first, c->evaluate.keep.recent, c->evaluate.stream_tokens) ||
           error_about(error, "evaluate.keep.recent", "evaluate.keep.first", "evaluate.stream_tokens",
                       "evaluate.kv_cache", NULL);
  if (evaluate_predicts_cache(c) && c->evaluate.calibration_tokens < 2 * width_of(c) + 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "evaluate.calibration_tokens %" PRId64 " are too few to fit predictions from %" PRId64
                     " numbers a token",
                     c->evaluate.calibration_tokens, 2 * width_of(c)) ||
           error_about(error, "evaluate.calibration_tokens", NULL);
  if (evaluate_predicts_cache(c) && c->model.layers < 2)
    return error_set(error, EXIT_USAGE_ERROR, "aqua predicts a layer from the one below: the model has one layer") ||
           error_about(error, "evaluate.kv_cache", NULL);
  return stage_takes_cache(c, "evaluate.kv_cache", arena, error);
}

double evaluate_cache_forward_tokens(const struct run_config *c) {
  return evaluate_predicts_cache(c) ? (double)c->evaluate.calibration_tokens : 0;
}

// ---- what predicts ----

// Keys and values of the calibration windows, without the first tokens of each: of[layer * CACHED_KINDS + kind]
// [rows, width].
static bool read_calibration(struct stage_work *work, struct kv_cache *cache, int64_t windows, float *const *of,
                             struct error *error) {
  struct model *m = work->run.model;
  const struct run_config *c = &work->run.file.config;
  int64_t context = c->model.context, width = width_of(c), skip = c->evaluate.keep.first, kept = context - skip;
  struct batch_memory batch = batch_memory(cache->most * context);
  float *x = memory_get((size_t)(cache->most * context * c->model.width) * sizeof *x);
  bool fine = true;
  for (int64_t first = 0; first < windows && fine; first += cache->most) {
    int64_t count = windows - first < cache->most ? windows - first : cache->most;
    const struct corpus_batch request = calibration_request(windows, first, count, context);
    work->stopped = work->stop_asked && *work->stop_asked;
    cache_clear(cache, count);
    fine = !work->stopped && corpus_batch(work->run.corpus, &request, batch.tokens, batch.targets, NULL, error) &&
           cache_read_tokens(cache, context, batch.tokens, x, error);
    for (int64_t i = 0; i < m->config.model.layers * CACHED_KINDS && fine; i++)
      for (int64_t s = 0; s < count; s++)
        memcpy(of[i] + (first + s) * kept * width,
               cache_recorded(cache, i / CACHED_KINDS, (enum cached)(i % CACHED_KINDS), s) + skip * width,
               (size_t)(kept * width) * sizeof(float));
  }
  free(x);
  batch_free(&batch);
  return fine;
}

static bool fit(struct stage_work *work, struct cache_code *code, struct error *error) {
  struct model *m = work->run.model;
  const struct run_config *c = &work->run.file.config;
  int64_t context = c->model.context, windows = (c->evaluate.calibration_tokens + context - 1) / context;
  int64_t rows = windows * (context - c->evaluate.keep.first), count = code->layers * CACHED_KINDS;
  struct kv_cache *cache = cache_make(m, m->evaluation_rows / context, NULL, NULL, true, error);
  float **of = memory_get((size_t)count * sizeof *of);
  for (int64_t i = 0; i < count; i++) of[i] = memory_get((size_t)(rows * code->width) * sizeof(float));
  bool fine = cache && read_calibration(work, cache, windows, of, error) &&
              cache_code_fit(code, rows, of, c->evaluate.damping, &work->run.arena, error);
  for (int64_t i = 0; i < count; i++) free(of[i]);
  free(of);
  cache_free(cache);
  return fine;
}

// ---- the evaluation's ----

bool evaluate_cache_open(struct stage_work *work, struct evaluated_cache *cache, struct error *error) {
  struct model *m = work->run.model;
  const struct run_config *c = &work->run.file.config;
  const struct cache_keeping keep = {c->evaluate.keep.first, c->evaluate.keep.recent, c->evaluate.stream_tokens};
  bool predicts = evaluate_predicts_cache(c);
  *cache = (struct evaluated_cache){0};
  if (!evaluate_stores_cache(c)) return true;
  if (!cache_possible(m, error) ||
      !cache_code_make(&cache->code, c->model.layers, width_of(c), bits_of(c), predicts,
                       (int)c->evaluate.first_layer_bits, (uint64_t)c->seed, &work->run.arena, error) ||
      (predicts && !fit(work, &cache->code, error)))
    return false;
  cache->cache = cache_make(m, m->evaluation_rows / c->model.context, &cache->code, &keep, false, error);
  if (!cache->cache) return false;
  cache_attach(cache->cache);
  return true;
}

void evaluate_cache_seen(struct stage_work *work, struct evaluated_cache *cache) {
  size_t count = (size_t)(cache->code.layers * CACHED_KINDS);
  if (!cache->cache) return;
  cache->sums = arena_array(&work->run.arena, count, sizeof *cache->sums);
  memcpy(cache->sums, cache->cache->sums, count * sizeof *cache->sums);
}

void evaluate_cache_close(struct evaluated_cache *cache) {
  cache_free(cache->cache);
  cache->cache = NULL;
}

// ---- what is told ----

static bool report_one(struct stage_work *work, int64_t layer, const char *name, int64_t rows, int64_t width,
                       double error_share, double bits, struct error *error) {
  const struct layer_result result = {.layer = layer,
                                      .matrix = name,
                                      .rows = rows,
                                      .columns = width,
                                      .relative_error = error_share,
                                      .output_error = NAN,
                                      .weighted_error = NAN,
                                      .bound = NAN,
                                      .bits = bits,
                                      .sparsity = NAN,
                                      .alpha = NAN,
                                      .alpha_error = NAN};
  return report_layer(work, &result, error);
}

// Of one layer's keys or values: the store's error, and, where something is predicted, the prediction's and that of the
// same code without it.
static bool report_kind(struct stage_work *work, const struct evaluated_cache *cache, int64_t index,
                        struct error *error) {
  static const char *const names[CACHED_KINDS][3] = {
      {"self_attn.keys", "self_attn.keys.predicted", "self_attn.keys.plain"},
      {"self_attn.values", "self_attn.values.predicted", "self_attn.values.plain"}};
  const struct cache_sums *s = &cache->sums[index];
  const char *const *name = names[index % CACHED_KINDS];
  int64_t layer = index / CACHED_KINDS, width = cache->code.width, rows = s->count / width;
  double bits = cache->code.bits[index];
  if (!report_one(work, layer, name[0], rows, width, s->error / s->energy, bits, error)) return false;
  return !cache->code.predicts || layer == 0 ||
         (report_one(work, layer, name[1], rows, width, s->unexplained / s->energy, 0, error) &&
          report_one(work, layer, name[2], rows, width, s->plain_error / s->energy, bits, error));
}

bool evaluate_cache_report(struct stage_work *work, const struct evaluated_cache *cache, struct error *error) {
  const struct run_config *c = &work->run.file.config;
  const struct cache_code *code = &cache->code;
  int64_t count = code->layers * CACHED_KINDS;
  double bits = 0, energy = 0, errors = 0, saved = 0, explained = 0, predicted = 0, rule = 0;
  if (!cache->sums) return true;
  for (int64_t i = 0; i < count; i++) {
    const struct cache_sums *s = &cache->sums[i];
    if (!report_kind(work, cache, i, error)) return false;
    bits += code->bits[i] / (double)count;
    energy += s->energy;
    errors += s->error;
    if (!code->predicts || i < CACHED_KINDS) continue;
    predicted++;
    saved += log2(s->plain_error / s->error) / 2;
    explained += log2(s->energy / s->unexplained) / 2;
    rule += s->error / s->plain_error / (s->unexplained / s->energy);
  }
  double stored = (double)(stored_end(c) - c->evaluate.keep.first) / (double)c->model.context;
  const struct stage_number results[] = {
      {"evaluate.cache_bits", bits},
      {"evaluate.cache_held_bits", stored * bits + (1 - stored) * EXACT_BITS},
      {"evaluate.cache_error", errors / energy},
      {"evaluate.cache_equivalent_bits", -log2(errors / energy) / 2},
      {"evaluate.cache_bits_saved", predicted > 0 ? saved / predicted : NAN},
      {"evaluate.cache_bits_explained", predicted > 0 ? explained / predicted : NAN},
      {"evaluate.cache_rule", predicted > 0 ? rule / predicted : NAN},
  };
  work->result_count = sizeof results / sizeof *results;
  struct stage_number *kept = arena_array(&work->run.arena, work->result_count, sizeof *kept);
  memcpy(kept, results, sizeof results);
  work->results = kept;
  return true;
}
