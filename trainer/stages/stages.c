// The table of stages, and what holds for each of them. See stage.h.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "trainer/stages/compress.h"
#include "trainer/stages/elsa.h"
#include "trainer/stages/evaluate.h"
#include "trainer/stages/from.h"
#include "trainer/stages/hogwild.h"
#include "trainer/stages/plant.h"
#include "trainer/stages/search.h"
#include "trainer/stages/select.h"
#include "trainer/stages/stage.h"
#include "trainer/stages/tune.h"

static const char *const compress_needs[] = {"compress.method", NULL};

// In the order in which a spec may ask for them, roots first.
const struct stage stages[] = {
    {.name = ROOT_STAGE,
     .one = "model of a folder",
     .several = "models of folders",
     .help = "a model that is there already: a folder in Hugging Face's layout",
     .root = true,
     .version = 1,
     .skips = from_stage_skips,
     .resolve = from_stage_resolve,
     .forward_tokens = from_stage_forward_tokens,
     .work = from_stage_work},
    {.name = "plant_outliers",
     .one = "planting",
     .several = "plantings",
     .help = "for tests: make some channels of the activations outliers, and the model the same function",
     .needs = plant_stage_needs,
     .version = 1,
     .skips = plant_stage_skips,
     .resolve = plant_stage_resolve,
     .forward_tokens = plant_stage_forward_tokens,
     .work = plant_stage_work},
    {.name = SEARCH_STAGE,
     .one = "search",
     .several = "searches",
     .help = "give each layer its part of a budget: bits, zeroes, heads and columns",
     .spends = offsetof(struct run_quantities, flops_search),
     .unplanned = "the weights at every level of a search",
     .needs = search_stage_needs,
     .version = 1,
     .skips = search_stage_skips,
     .resolve = search_stage_resolve,
     .becomes = search_stage_becomes,
     .forward_tokens = search_stage_forward_tokens,
     .libraries = search_stage_libraries,
     .steps = search_stage_steps,
     .resume = search_stage_resume,
     .work = search_stage_work},
    {.name = SELECT_STAGE,
     .one = "selection",
     .several = "selections",
     .help = "choose the windows that the next training goes over",
     .corpus = true,
     .spends = offsetof(struct run_quantities, flops_selection),
     .unplanned = "the gradients' sketches of a selection",
     .needs = select_stage_needs,
     .version = 1,
     .skips = select_stage_skips,
     .resolve = select_stage_resolve,
     .leaves_tokens = select_stage_leaves_tokens,
     .forward_tokens = select_stage_forward_tokens,
     .libraries = select_stage_libraries,
     .work = select_stage_work},
    {.name = TUNE_STAGE,
     .key = "train",
     .one = "further training",
     .several = "further trainings",
     .help = "train the model on: fine-tuning, a quantization-aware finish, recovery",
     .moves = true,
     .corpus = true,
     .needs = tune_stage_needs,
     .version = 1,
     .skips = tune_stage_skips,
     .resolve = tune_stage_resolve,
     .training = tune_stage_training,
     .begins = tune_stage_begins,
     .becomes = tune_stage_becomes,
     .forward_tokens = tune_stage_forward_tokens},
    {.name = "compress",
     .one = "compression",
     .several = "compressions",
     .unplanned = "the Hessians of a compression, or elsa's multipliers",
     .help = "bring the trained weights to a format: one value, a list of them, none for not at all",
     .needs = compress_needs,
     .version = 1,
     .skips = compress_stage_skips,
     .resolve = compress_stage_resolve,
     .training = compress_stage_training,
     .trains = compress_stage_trains,
     .becomes = compress_stage_becomes,
     .forward_tokens = compress_stage_forward_tokens,
     .libraries = compress_stage_libraries,
     .work = compress_stage_work},
    {.name = "evaluate",
     .one = "evaluation",
     .several = "evaluations",
     .unplanned = "the second model and the caches of an evaluation",
     .help = "hold the model against the uncompressed one that its chain began with",
     .corpus = true,
     .version = 1,
     .skips = evaluate_stage_skips,
     .resolve = evaluate_stage_resolve,
     .forward_tokens = evaluate_stage_forward_tokens,
     .libraries = evaluate_stage_libraries,
     .work = evaluate_stage_work},
    {.name = HOGWILD_STAGE,
     .one = "shared decoding",
     .several = "shared decodings",
     .unplanned = "the caches of a shared decoding",
     .help = "several workers write over one shared cache of keys and values, timed next to ordinary decoding",
     .needs = hogwild_stage_needs,
     .version = 1,
     .skips = hogwild_stage_skips,
     .resolve = hogwild_stage_resolve,
     .forward_tokens = hogwild_stage_forward_tokens,
     .work = hogwild_stage_work},
};
const size_t stage_count = sizeof stages / sizeof *stages;

const struct stage *stage_find(const char *name) {
  for (size_t i = 0; name && i < stage_count; i++)
    if (strcmp(stages[i].name, name) == 0) return &stages[i];
  return NULL;
}

bool stage_trains(const struct stage *stage, const struct run_config *config) {
  return stage && stage->training && (!stage->trains || stage->trains(config));
}

bool stage_begins(const struct stage *stage, const struct run_config *config) {
  return stage && stage->begins && stage->begins(config);
}

bool stages_spend(const struct run_config *config) {
  if (*config->from.path) return config->train.steps != AUTO_INTEGER;
  for (size_t i = 0; i < stage_count; i++) {
    const struct stage *stage = &stages[i];
    if (!stage->root && !stage->skips(config) && (stage->spends || stage_trains(stage, config))) return true;
  }
  return false;
}

struct corpus_facts stage_facts(const struct run_config *config, const struct corpus_facts *facts) {
  struct corpus_facts left = *facts;
  for (size_t i = 0; i < stage_count; i++) {
    if (!stages[i].leaves_tokens || stages[i].skips(config)) continue;
    const double tokens = stages[i].leaves_tokens(config);
    left.known = facts->known && isfinite(tokens);
    left.train_tokens = left.known ? (int64_t)tokens : 0;
  }
  return left;
}

const char *stage_key(const struct stage *stage) { return stage->key ? stage->key : stage->name; }

const char *stage_identity(const struct stage *stage, struct arena *arena) {
  return arena_format(arena, "%s version=%d", stage->name, stage->version);
}

struct digest stage_run_id(const struct stage *stage, const struct run_config *config, const char *corpus_digest,
                           const char *parent) {
  struct arena arena = {0};
  struct run_config counted = *config;
  if (stage_trains(stage, config)) stage->training(&counted);  // the trainer's version is that of what it trains
  struct digest id = config_identity(&counted, corpus_digest, stage_identity(stage, &arena), parent);
  arena_free(&arena);
  return id;
}

bool stage_model_config(struct run_config *config, struct arena *arena, struct error *error) {
  bool late = tune_stage_is_after_compress(config);  // behind the next one of the table
  for (size_t i = 0; i < stage_count; i++) {
    if (!stages[i].becomes || (stages[i].moves && late)) continue;
    if (!stages[i].skips(config) && !stages[i].becomes(config, arena, error)) return false;
  }
  return !late || tune_stage_becomes(config, arena, error);
}
