// trainer_generate: text from a model, token by token. Each token is drawn from the softmax of the logits at the last
// one. Up to the model's context a token goes forward alone, over a cache of keys and values (trainer/cache); behind
// it, where the oldest token falls out and all positions move, or where there can be no cache, the context is computed
// whole for each.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "trainer/cache/cache.h"
#include "trainer/data/tokenizer.h"
#include "trainer/draw.h"
#include "trainer/readout.h"
#include "trainer/training.h"

struct generation {
  struct training *t;
  const struct generate_options *options;
  int32_t *tokens;  // the prompt, then what was drawn
  int64_t count;
  struct kv_cache *cache;  // of the tokens so far; NULL: none is possible, or they are more than the context
  int32_t *window;         // [context]: what the model sees
  float *head;             // [vocabulary, width]
  float *x;                // [context, width], the final norm's rows
  double *logits;          // [vocabulary]
};

// The final norm of the last token, among all of the context.
static const float *last_of_window(struct generation *g, struct error *error) {
  struct model *m = g->t->model;
  int64_t context = m->config.model.context, width = m->config.model.width;
  int64_t seen = g->count < context ? g->count : context;
  memset(g->window, 0, (size_t)context * sizeof *g->window);  // behind the last one: attention is causal
  memcpy(g->window, g->tokens + g->count - seen, (size_t)seen * sizeof *g->window);
  if (!model_forward(m, context, g->window, error)) return NULL;
  const char *row = (const char *)m->final_x + (size_t)((seen - 1) * width) * dtype_bytes(m->dtype);
  return model_read(m, row, m->dtype, width, g->x, error) ? g->x : NULL;
}

// The same, of the tokens that the cache has not read yet.
static const float *last_of_cache(struct generation *g, struct error *error) {
  int64_t fresh = g->count - g->cache->length;
  if (!cache_read_tokens(g->cache, fresh, g->tokens + g->cache->length, g->x, error)) return NULL;
  return g->x + (fresh - 1) * g->t->model->config.model.width;
}

// Logits of the token that follows the last ones.
static bool next_logits(struct generation *g, struct error *error) {
  const struct run_config *c = &g->t->model->config;
  if (g->cache && g->count > c->model.context) {
    cache_free(g->cache);
    g->cache = NULL;
  }
  const float *x = g->cache ? last_of_cache(g, error) : last_of_window(g, error);
  for (int64_t v = 0; x && v < c->model.vocabulary; v++) {
    double sum = 0;
    for (int64_t i = 0; i < c->model.width; i++) sum += (double)x[i] * (double)g->head[v * c->model.width + i];
    g->logits[v] = sum;
  }
  return x != NULL;
}

// The prompt as tokens, without the end that a document would have; the end token alone where it is empty: a document
// begins after one.
static bool read_prompt(struct generation *g, const struct tokenizer *tokenizer, struct error *error) {
  const char *prompt = g->options->prompt ? g->options->prompt : "";
  struct token_buffer buffer = {0};
  bool fine = tokenizer_encode(tokenizer, prompt, strlen(prompt), &buffer, error) || error_context(error, "the prompt");
  bool ended = tokenizer->end_token != TOKENIZER_NO_END;
  size_t count = buffer.count - (ended && buffer.count > 1);
  if (fine && count == 0) fine = error_set(error, EXIT_USAGE_ERROR, "the prompt is empty, and no token ends documents");
  if (fine) {
    g->tokens = memory_get((count + (size_t)g->options->count) * sizeof *g->tokens);
    for (size_t i = 0; i < count; i++) g->tokens[i] = (int32_t)buffer.tokens[i];
    g->count = (int64_t)count;
  }
  token_buffer_free(&buffer);
  return fine;
}

static bool generate(struct generation *g, const struct tokenizer *tokenizer, struct text *out, struct error *error) {
  struct model *m = g->t->model;
  int64_t vocabulary = m->config.model.vocabulary, known = corpus_vocabulary(g->t->corpus), begun;
  struct error why = {0};  // of there being no cache
  g->window = memory_get((size_t)m->config.model.context * sizeof *g->window);
  g->x = memory_get((size_t)(m->config.model.context * m->config.model.width) * sizeof *g->x);
  g->head = memory_get((size_t)(vocabulary * m->config.model.width) * sizeof *g->head);
  g->logits = memory_get((size_t)vocabulary * sizeof *g->logits);
  if (!read_prompt(g, tokenizer, error) || !model_read_head(m, g->head, error)) return false;
  if (cache_possible(m, &why) && !(g->cache = cache_make(m, 1, NULL, NULL, false, error))) return false;
  begun = g->count;
  for (int64_t i = 0; i < g->options->count; i++) {
    if (!next_logits(g, error)) return false;
    if (!isfinite(g->logits[0])) return error_set(error, EXIT_RUNS_FAILED, "the model's logits are not finite");
    double uniform = random_uniform(g->options->seed, RANDOM_STREAM_TEXT, (uint64_t)g->count, 0);
    int32_t token = token_draw(g->logits, known < vocabulary ? known : vocabulary, g->options->temperature,
                               g->options->top, uniform);
    if ((uint64_t)token == tokenizer->end_token) break;
    g->tokens[g->count++] = token;
  }
  return corpus_decode(g->t->corpus, g->tokens + begun, g->count - begun, out, error);
}

bool trainer_generate(const char *config_path, const char *checkpoint_folder, const struct generate_options *options,
                      struct text *out, struct error *error) {
  struct training t = {.log = {.file = -1}};
  struct generation g = {.t = &t, .options = options};
  bool fine = run_file_read(&t.arena, config_path, &t.file, error);
  if (fine) t.file.config.train.batch_tokens = t.file.config.model.context;
  if (fine) t.file.config.train.accumulation = 1;
  if (fine) t.file.config.train.tokens = t.file.config.train.steps * t.file.config.model.context;
  fine = fine && training_open_model(&t, MODEL_EVALUATE, error) &&
         checkpoint_load_weights(t.model, checkpoint_folder, NULL, error);
  const struct tokenizer *tokenizer = fine ? corpus_tokenizer(t.corpus) : NULL;
  if (fine && (!tokenizer || tokenizer->kind == TOKENIZER_NUMBERS))
    fine = error_set(error, EXIT_USAGE_ERROR, "the run's corpus is no text: there is no tokenizer to write with");
  fine = fine && generate(&g, tokenizer, out, error);
  cache_free(g.cache);
  void *memory[] = {g.tokens, g.window, g.head, g.x, g.logits};
  for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) free(memory[i]);
  training_close(&t);
  return fine;
}
