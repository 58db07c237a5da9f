// See evaluate.h.
#include "trainer/stages/evaluate.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/compress/compress.h"
#include "trainer/data/suites.h"
#include "trainer/stages/evaluate_cache.h"
#include "trainer/stages/evaluate_rows.h"
#include "trainer/stages/evaluate_suites.h"
#include "trainer/stages/work.h"

enum { DEFAULT_NEW_TOKENS = 32 };

// ---- settings ----

bool evaluate_stage_skips(const struct run_config *config) {
  (void)config;
  return false;
}

bool evaluate_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                            struct error *error) {
  int64_t context = config->model.context;
  if (config->evaluate.tokens == AUTO_INTEGER) config->evaluate.tokens = config->train.final_eval_tokens;
  if (config->evaluate.new_tokens == AUTO_INTEGER)
    config->evaluate.new_tokens = context / 2 < DEFAULT_NEW_TOKENS ? context / 2 : DEFAULT_NEW_TOKENS;
  if (config->evaluate.prompts > 0 && config->evaluate.new_tokens >= context)
    return error_set(error, EXIT_USAGE_ERROR,
                     "evaluate.new_tokens %" PRId64 " leave no room for a prompt in model.context %" PRId64,
                     config->evaluate.new_tokens, context) ||
           error_about(error, "evaluate.new_tokens", NULL);
  if (facts->known && config->evaluate.prompts * context > facts->validation_tokens)
    return error_set(error, EXIT_USAGE_ERROR,
                     "evaluate.prompts %" PRId64 " are more than the %" PRId64 " windows of the validation split",
                     config->evaluate.prompts, facts->validation_tokens / context) ||
           error_about(error, "evaluate.prompts", NULL);
  if (config->evaluate.suite_symbols == AUTO_INTEGER) config->evaluate.suite_symbols = config->corpus.suites_symbols;
  if (!evaluate_cache_check(config, arena, error)) return false;
  return config->evaluate.suite_tokens == 0 ||
         suite_fits(config->evaluate.suite_symbols, config->model.vocabulary, context, "evaluate.suite_symbols", error);
}

double evaluate_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  double windows = (double)config->evaluate.prompts, most = facts->known ? (double)facts->validation_tokens : INFINITY;
  // Both models; of the prompts the first one every token, the other once.
  return 2 * fmin((double)config->evaluate.tokens, most) + 2 * SUITE_COUNT * (double)config->evaluate.suite_tokens +
         windows * (double)config->model.context * (double)(config->evaluate.new_tokens + 1) +
         evaluate_cache_forward_tokens(config);
}

const char *evaluate_stage_libraries(const struct run_config *config, struct arena *arena) {
  return evaluate_predicts_cache(config) ? compress_library(arena) : NULL;
}

// ---- on the validation tokens ----

static bool compare_windows(struct stage_work *work, struct two_models *two, struct row_sums *sums,
                            struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  int64_t context = c->model.context, at_once = t->model->rows / context;
  int64_t windows = evaluation_windows(t->corpus, c->evaluate.tokens, context);
  for (int64_t first = 0; first < windows; first += at_once) {
    int64_t count = windows - first < at_once ? windows - first : at_once;
    work->stopped = work->stop_asked && *work->stop_asked;
    if (work->stopped ||
        !corpus_validation(t->corpus, first, count, context, t->batch.tokens, t->batch.targets, t->batch.mask, error) ||
        !two_models_forward(two, count * context, t->batch.tokens, error) ||
        !two_models_compare(two, count * context, t->batch.targets, corpus_has_mask(t->corpus) ? t->batch.mask : NULL,
                            sums, error))
      return false;
  }
  return true;
}

// ---- greedy decoding ----

// The first model continues from the windows' first `prompt` tokens; `tokens` [windows, context] gets what it writes.
static bool decode(struct two_models *two, int64_t windows, int64_t prompt, int64_t count, int32_t *tokens,
                   struct error *error) {
  const struct run_config *c = &two->models[0]->config;
  for (int64_t i = 0; i < count; i++) {
    if (!two_models_forward_one(two, 0, windows * c->model.context, tokens, error)) return false;
    for (int64_t w = 0; w < windows; w++) {
      int64_t row = w * c->model.context + prompt + i - 1;
      if (!two_models_logits(two, 0, row, 1, error)) return false;
      tokens[row + 1] = likeliest(two->logits[0], c->model.vocabulary);
    }
  }
  return true;
}

// Up to its first other choice the second model writes the same tokens: one pass over them finds it.
static bool first_difference(struct two_models *two, int64_t window, int64_t prompt, int64_t count,
                             const int32_t *tokens, int64_t *common, struct error *error) {
  const struct run_config *c = &two->models[1]->config;
  for (*common = 0; *common < count; ++*common) {
    int64_t row = window * c->model.context + prompt + *common - 1;
    if (!two_models_logits(two, 1, row, 1, error)) return false;
    if (likeliest(two->logits[1], c->model.vocabulary) != tokens[row + 1]) break;
  }
  return true;
}

static bool compare_decoding(struct stage_work *work, struct two_models *two, double *mean, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  int64_t context = c->model.context, at_once = t->model->rows / context, count = c->evaluate.new_tokens;
  int64_t prompt = context / 2 < context - count ? context / 2 : context - count, sum = 0;
  *mean = NAN;
  if (prompt < 1) prompt = 1;
  for (int64_t first = 0; first < c->evaluate.prompts; first += at_once) {
    int64_t windows = c->evaluate.prompts - first < at_once ? c->evaluate.prompts - first : at_once;
    work->stopped = work->stop_asked && *work->stop_asked;
    if (work->stopped ||
        !corpus_validation(t->corpus, first, windows, context, t->batch.tokens, t->batch.targets, t->batch.mask, error))
      return false;
    for (int64_t w = 0; w < windows; w++)  // attention is causal: what comes later is not seen
      memset(t->batch.tokens + w * context + prompt, 0, (size_t)(context - prompt) * sizeof *t->batch.tokens);
    if (!decode(two, windows, prompt, count, t->batch.tokens, error) ||
        !two_models_forward(two, windows * context, t->batch.tokens, error))
      return false;
    for (int64_t w = 0; w < windows; w++) {
      int64_t common;
      if (!first_difference(two, w, prompt, count, t->batch.tokens, &common, error)) return false;
      sum += common;
    }
  }
  if (c->evaluate.prompts > 0) *mean = (double)sum / (double)c->evaluate.prompts;
  return true;
}

// ---- the whole ----

// The loss of the model that the chain began with, on the same tokens.
static bool root_loss(struct stage_work *work, struct model *root, double *loss, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  struct evaluation evaluation;
  int64_t windows = evaluation_windows(t->corpus, c->evaluate.tokens, c->model.context);
  root->ops->set_workspace(root->device, root->workspace, (size_t)root->memory.workspace);
  bool fine = evaluation_run(root, t->corpus, windows, &t->batch, work->stop_asked, &work->stopped, &evaluation, error);
  t->model->ops->set_workspace(t->model->device, t->model->workspace, (size_t)t->model->memory.workspace);
  *loss = evaluation.loss;
  return fine && !work->stopped;
}

static bool hold_against(struct stage_work *work, struct model *root, struct error *error) {
  struct two_models two = {0};
  struct row_sums sums = {0};
  struct evaluation evaluation;
  struct suite_results suites = {0};
  struct evaluated_cache cache = {0};
  double common = NAN, before = NAN;
  bool fine = root_loss(work, root, &before, error) && evaluate_cache_open(work, &cache, error) &&
              stage_evaluate(work, work->run.file.config.evaluate.tokens, &evaluation, error);
  if (fine) evaluate_cache_seen(work, &cache);
  fine = fine && two_models_make(&two, root, work->run.model, error) && compare_windows(work, &two, &sums, error) &&
         compare_decoding(work, &two, &common, error) && suites_measure(work, &two, &suites, error);
  two_models_free(&two);
  evaluate_cache_close(&cache);
  if (!fine || !evaluate_cache_report(work, &cache, error)) return false;
  double rows = (double)sums.rows, targets = (double)sums.targets;
  struct stage_number numbers[6 + SUITE_COUNT * SUITE_NUMBERS] = {
      {"root_loss", before},
      {"kl", sums.rows ? sums.kl / rows : NAN},
      {"top1_agreement", sums.rows ? (double)sums.same / rows : NAN},
      {"top1_accuracy", sums.targets ? (double)sums.right[1] / targets : NAN},
      {"recovery", sums.right[0] ? 100 * (double)sums.right[1] / (double)sums.right[0] : NAN},
      {"first_divergence", common}};
  size_t count = 6 + suites_tell(&suites, work, numbers + 6);
  return report_stage_done(work, &evaluation, numbers, count, error);
}

bool evaluate_stage_work(struct stage_work *work, struct error *error) {
  struct stage_source source;
  struct model_values own = {0}, first = {0};
  struct model *root = NULL;
  const char *own_format = NULL, *root_format = NULL;
  bool fine = stage_check_tokens(work, error) && stage_find_root(work, &source, error) &&
              stage_values(work, &work->parent, &own, &own_format, error) &&
              stage_values(work, &source, &first, &root_format, error);
  if (fine) root = stage_model_of(work, root_format, &first, error);
  fine = root && stage_make_model_in(work, own_format, &own, error);
  values_free(&own);
  values_free(&first);
  fine = fine && hold_against(work, root, error);
  model_free(root);
  return fine;
}
