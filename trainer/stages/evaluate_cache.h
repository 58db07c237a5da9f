// Evaluations by a cache whose keys and values are stored in few bits (evaluate.kv_cache; trainer/cache): the code and
// what predicts, fitted on calibration tokens, and what is told of it.
#pragma once
#include "trainer/cache/cache.h"
#include "trainer/stages/work.h"

// Whether these settings store anything; of one that predicts.
bool evaluate_stores_cache(const struct run_config *config);
bool evaluate_predicts_cache(const struct run_config *config);
// Whether the model that a chain has come to can have a cache (cache_possible), as far as its format says: false with
// an error about `field`.
bool stage_takes_cache(const struct run_config *config, const char *field, struct arena *arena, struct error *error);
// Checks the settings of a resolved run: false with an error about the fields at fault.
bool evaluate_cache_check(const struct run_config *config, struct arena *arena, struct error *error);
// Tokens that go forward beside the evaluation's own.
double evaluate_cache_forward_tokens(const struct run_config *config);

struct evaluated_cache {
  struct cache_code code;
  struct kv_cache *cache;   // NULL: nothing is stored
  struct cache_sums *sums;  // [layers, CACHED_KINDS] of the evaluation whose loss is told; in the run's arena
};
// Makes the cache of work->run.model and lets its passes go through it; nothing where nothing is stored. False with an
// error, or with work->stopped. evaluate_cache_close in either case.
bool evaluate_cache_open(struct stage_work *work, struct evaluated_cache *cache, struct error *error);
// What was stored since it was opened becomes what is told.
void evaluate_cache_seen(struct stage_work *work, struct evaluated_cache *cache);
void evaluate_cache_close(struct evaluated_cache *cache);
// Reports `layer` events, and gives the stage's results (work->results).
bool evaluate_cache_report(struct stage_work *work, const struct evaluated_cache *cache, struct error *error);
