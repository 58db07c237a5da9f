// See hogwild.h.
#include "trainer/stages/hogwild.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/philox.h"
#include "trainer/cache/shared.h"
#include "trainer/draw.h"
#include "trainer/readout.h"
#include "trainer/stages/evaluate_cache.h"
#include "trainer/stages/evaluate_rows.h"
#include "trainer/stages/work.h"

enum { DEFAULT_NEW_TOKENS = 16, LEAST_PROMPT = 1 };

const char *const hogwild_stage_needs[] = {"hogwild.workers", NULL};

// ---- settings ----

bool hogwild_stage_skips(const struct run_config *config) { return config->hogwild.workers == 0; }

bool hogwild_stage_resolve(struct run_config *c, const struct corpus_facts *facts, struct arena *arena,
                           struct error *error) {
  int64_t context = c->model.context, room = (context - LEAST_PROMPT) / (c->hogwild.workers ? c->hogwild.workers : 1);
  if (c->hogwild.new_tokens == AUTO_INTEGER)
    c->hogwild.new_tokens = room < DEFAULT_NEW_TOKENS ? room : DEFAULT_NEW_TOKENS;
  int64_t written = c->hogwild.workers * c->hogwild.new_tokens;
  if (c->hogwild.prompt_tokens == AUTO_INTEGER)
    c->hogwild.prompt_tokens = context / 4 < context - written ? context / 4 : context - written;
  if (c->hogwild.new_tokens < 1 || c->hogwild.prompt_tokens < LEAST_PROMPT ||
      c->hogwild.prompt_tokens + written > context)
    return error_set(error, EXIT_USAGE_ERROR,
                     "a prompt of %" PRId64 " tokens and %" PRId64 " new ones of each of %" PRId64
                     " workers do not fit in model.context %" PRId64,
                     c->hogwild.prompt_tokens, c->hogwild.new_tokens, c->hogwild.workers, context) ||
           error_about(error, "hogwild.workers", "hogwild.new_tokens", "hogwild.prompt_tokens", NULL);
  if (facts->known && c->hogwild.prompts * context > facts->validation_tokens)
    return error_set(error, EXIT_USAGE_ERROR,
                     "hogwild.prompts %" PRId64 " are more than the %" PRId64 " windows of the validation split",
                     c->hogwild.prompts, facts->validation_tokens / context) ||
           error_about(error, "hogwild.prompts", NULL);
  return stage_takes_cache(c, "hogwild.workers", arena, error);
}

double hogwild_stage_forward_tokens(const struct run_config *c, const struct corpus_facts *facts) {
  (void)facts;
  return (double)c->hogwild.prompts *
         (double)(c->hogwild.prompt_tokens + c->hogwild.repeats * (c->hogwild.workers + 1) * c->hogwild.new_tokens);
}

// ---- one prompt ----

struct hogwild {
  struct stage_work *work;
  struct model *model;
  struct kv_cache *common;
  struct shared_cache *shared;
  struct two_models head;  // of one model: its logits
  int32_t *window, *targets, *prompt;
  uint8_t *mask;
  float *x;                              // [most rows, width]
  double *logits;                        // [vocabulary]
  int32_t *plain, *written;              // [new_tokens], [workers, new_tokens]
  double plain_seconds, shared_seconds;  // of all prompts together, the fastest repeat of each
  int64_t same, compared;
  double score_difference;
};

static const struct run_config *config_of(const struct hogwild *h) { return &h->work->run.file.config; }

// Of the process: what others on the machine do adds nothing.
static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The next token of `count` rows of x, the workers' from 0 on, that have read `read` tokens.
static bool draw(struct hogwild *h, int64_t count, const float *x, int64_t read, int32_t *tokens, struct error *error) {
  const struct run_config *c = config_of(h);
  int64_t known = corpus_vocabulary(h->work->run.corpus), vocabulary = c->model.vocabulary;
  memcpy(h->head.x[0], x, (size_t)(count * c->model.width) * sizeof *x);
  if (!two_models_logits(&h->head, 0, 0, count, error)) return false;
  for (int64_t w = 0; w < count; w++) {
    const float *logits = h->head.logits[0] + w * vocabulary;
    double uniform = random_uniform((uint64_t)c->seed, RANDOM_STREAM_TEXT, (uint64_t)read, (uint64_t)w);
    for (int64_t v = 0; v < vocabulary; v++) h->logits[v] = (double)logits[v];
    tokens[w] = token_draw(h->logits, known < vocabulary ? known : vocabulary, c->hogwild.temperature, 0, uniform);
  }
  return true;
}

// Ordinary decoding behind the prompt, whose last row of the final norm is `last`: seconds of its steps.
static bool decode_plainly(struct hogwild *h, const float *last, double *seconds, struct error *error) {
  const struct run_config *c = config_of(h);
  double begun = processor_seconds();
  for (int64_t i = 0; i < c->hogwild.new_tokens; i++) {
    if (!draw(h, 1, i ? h->x : last, c->hogwild.prompt_tokens + i, &h->plain[i], error) ||
        !cache_read_tokens(h->common, 1, &h->plain[i], h->x, error))
      return false;
  }
  *seconds = processor_seconds() - begun;
  cache_cut(h->common, c->hogwild.prompt_tokens);
  return true;
}

// The workers' decoding; every worker's first token is drawn behind the prompt, too.
static bool decode_together(struct hogwild *h, const float *last, double *seconds, struct error *error) {
  const struct run_config *c = config_of(h);
  int64_t workers = c->hogwild.workers, width = c->model.width, count = c->hogwild.new_tokens;
  int32_t *tokens = memory_get((size_t)workers * sizeof *tokens);
  bool fine = true;
  shared_cache_clear(h->shared);
  double begun = processor_seconds();
  for (int64_t w = 0; w < workers; w++) memcpy(h->x + w * width, last, (size_t)width * sizeof *last);
  for (int64_t i = 0; i < count && fine; i++) {
    fine = draw(h, workers, h->x, c->hogwild.prompt_tokens + i, tokens, error) &&
           shared_cache_step(h->shared, tokens, h->x, error);
    for (int64_t w = 0; w < workers; w++) h->written[w * count + i] = tokens[w];
  }
  *seconds = processor_seconds() - begun;
  free(tokens);
  return fine;
}

// The identity of scores on the queries and keys of the last step's last block, as the model made them.
static bool compare_scores(struct hogwild *h, struct error *error) {
  const struct run_config *c = config_of(h);
  struct model *m = h->model;
  int64_t workers = c->hogwild.workers, dim = c->model.head_dim, length = h->shared->length;
  int64_t query = c->model.heads * dim, row = query + 2 * c->model.kv_heads * dim;
  float *qkv = memory_get((size_t)(workers * row) * sizeof *qkv);
  double *values = memory_get((size_t)(workers * row) * sizeof *values);
  bool fine = model_read(m, m->qkv, m->dtype, workers * row, qkv, error);
  for (int64_t i = 0; i < workers * row; i++) values[i] = (double)qkv[i];
  for (int64_t w = 0; w < workers && fine; w++)
    for (int64_t other = 0; other < workers; other++)
      for (int64_t head = 0; head < c->model.heads; head++) {
        const double *q = values + w * row + head * dim;
        const double *k = values + other * row + query + head / (c->model.heads / c->model.kv_heads) * dim;
        int64_t a = shared_cache_offset(h->shared, w, w, length) + length - 1, b = length - 1;
        int64_t offset = shared_cache_offset(h->shared, w, other, length);
        double by_key = rotated_score(q, k, dim, c->model.rope_theta, a, b + offset);
        double by_query = rotated_score(q, k, dim, c->model.rope_theta, a - offset, b), squares[2] = {0};
        for (int64_t i = 0; i < dim; i++) squares[0] += q[i] * q[i], squares[1] += k[i] * k[i];
        double size = sqrt(squares[0] * squares[1]);
        if (size > 0) h->score_difference = fmax(h->score_difference, fabs(by_key - by_query) / size);
      }
  free(qkv);
  free(values);
  return fine;
}

static bool take_prompt(struct hogwild *h, int64_t number, struct error *error) {
  const struct run_config *c = config_of(h);
  int64_t context = c->model.context, prompt = c->hogwild.prompt_tokens, width = c->model.width;
  double fastest[2] = {INFINITY, INFINITY};
  float *last = memory_get((size_t)width * sizeof *last);
  cache_clear(h->common, 1);
  bool fine = corpus_validation(h->work->run.corpus, number, 1, context, h->window, h->targets, h->mask, error) &&
              cache_read_tokens(h->common, prompt, h->window, h->x, error);
  memcpy(last, h->x + (prompt - 1) * width, (size_t)width * sizeof *last);
  if (fine && !h->shared)
    fine = (h->shared = shared_cache_make(h->common, c->hogwild.workers, c->hogwild.new_tokens, error)) != NULL;
  // The very first round finds caches cold and memory not yet touched, which would count against whoever goes first.
  const int64_t untimed = number == 0 ? 1 : 0;
  for (int64_t i = 0; i < untimed + c->hogwild.repeats && fine; i++) {
    double plain, together;
    fine = decode_plainly(h, last, &plain, error) && decode_together(h, last, &together, error);
    if (!fine) break;
    if (i < untimed) continue;
    fastest[0] = fmin(fastest[0], plain);
    fastest[1] = fmin(fastest[1], together);
  }
  free(last);
  h->plain_seconds += fastest[0];
  h->shared_seconds += fastest[1];
  for (int64_t i = 0; i < c->hogwild.new_tokens; i++) h->same += h->plain[i] == h->written[i];
  h->compared += c->hogwild.new_tokens;
  return fine && compare_scores(h, error);
}

// ---- the whole ----

static void tell(struct hogwild *h) {
  const struct run_config *c = config_of(h);
  double steps = (double)(c->hogwild.prompts * c->hogwild.new_tokens);
  double rate = (double)c->hogwild.workers * steps / h->shared_seconds, plain = steps / h->plain_seconds;
  const struct stage_number results[] = {
      {"hogwild.tokens_per_second", rate},
      {"hogwild.step_seconds", h->shared_seconds / steps},
      {"hogwild.plain_tokens_per_second", plain},
      {"hogwild.speedup", rate / plain},
      {"hogwild.same_tokens", c->hogwild.workers == 1 ? (double)h->same / (double)h->compared : NAN},
      {"hogwild.score_difference", h->score_difference},
  };
  struct stage_number *kept = arena_array(&h->work->run.arena, sizeof results / sizeof *results, sizeof *kept);
  memcpy(kept, results, sizeof results);
  h->work->results = kept;
  h->work->result_count = sizeof results / sizeof *results;
}

static bool run_prompts(struct hogwild *h, struct error *error) {
  const struct run_config *c = config_of(h);
  int64_t context = c->model.context, workers = c->hogwild.workers;
  int64_t rows = context > workers ? context : workers;
  h->model = h->work->run.model;
  h->window = memory_get((size_t)context * sizeof *h->window);
  h->targets = memory_get((size_t)context * sizeof *h->targets);
  h->mask = memory_get((size_t)context);
  h->x = memory_get((size_t)(rows * c->model.width) * sizeof *h->x);
  h->logits = memory_get((size_t)c->model.vocabulary * sizeof *h->logits);
  h->plain = memory_get((size_t)c->hogwild.new_tokens * sizeof *h->plain);
  h->written = memory_get((size_t)(workers * c->hogwild.new_tokens) * sizeof *h->written);
  h->common = cache_make(h->model, 1, NULL, NULL, false, error);
  bool fine = h->common && two_models_make(&h->head, h->model, NULL, error);
  for (int64_t i = 0; i < c->hogwild.prompts && fine; i++) {
    h->work->stopped = h->work->stop_asked && *h->work->stop_asked;
    fine = !h->work->stopped && take_prompt(h, i, error);
  }
  if (fine) tell(h);
  void *memory[] = {h->window, h->targets, h->mask, h->x, h->logits, h->plain, h->written};
  for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) free(memory[i]);
  shared_cache_free(h->shared);
  cache_free(h->common);
  two_models_free(&h->head);
  return fine;
}

bool hogwild_stage_work(struct stage_work *work, struct error *error) {
  struct model_values values = {0};
  struct hogwild hogwild = {.work = work};
  const char *format = NULL;
  bool fine = stage_check_tokens(work, error) && stage_values(work, &work->parent, &values, &format, error) &&
              stage_make_model_in(work, format, &values, error);
  values_free(&values);
  return fine && run_prompts(&hogwild, error) && report_stage_done(work, NULL, NULL, 0, error);
}
