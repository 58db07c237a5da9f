// What a candidate of a search is worth (trainer/stages/search_fitness.h) against the same from the models' logits in
// double precision; and the spaces of a search: what each level is, how many choices there are, what stays.
#include <math.h>
#include <string.h>

#include "tests/trainer/fixture.h"
#include "trainer/stages/calibration.h"
#include "trainer/stages/search.h"
#include "trainer/stages/search_fitness.h"
#include "trainer/stages/search_space.h"

#define SMALL                                                                                          \
  "corpus.source=markov2 corpus.markov2_vocabulary=12 model.layers=2 model.width=32 model.context=16 " \
  "model.vocabulary=12 model.init_std=0.2 train.batch_tokens=64 train.steps=4 "
enum { TOKENS = 320, VOCABULARY = 12, WIDTH = 32, CONTEXT = 16 };

// A stage with a corpus and a device, and a parent without a format.
static struct stage_work open_work(const char *pairs) {
  struct stage_work work = {.run = {.log = {.file = -1}}, .parent_format = "none"};
  struct error error = {0};
  work.run.file.config = fixture_config(&work.run.arena, pairs);
  work.run.corpus = corpus_open(NULL, NULL, &work.run.file.config, &error);
  CHECK(work.run.corpus != NULL);
  CHECK(trainer_device_open("cpu", 1, &work.run.ops, &work.run.device, &error));
  return work;
}

static void close_work(struct stage_work *work) {
  work->run.ops->close(work->run.device);
  corpus_close(work->run.corpus);
  arena_free(&work->run.arena);
}

// Initial values of a model of the work's shape.
static struct model_values values_of(struct stage_work *work, uint64_t seed) {
  struct model_values values;
  struct error error = {0};
  struct model *model = model_create(work->run.ops, work->run.device, &work->run.file.config, MODEL_EVALUATE, &error);
  CHECK(model != NULL);
  model_initialise(model, seed);
  CHECK(values_read(&values, model, &error));
  model_free(model);
  return values;
}

// Log probabilities of every token after the search's first `TOKENS` tokens, [TOKENS, VOCABULARY]; targets, and whether
// they count, which in markov2 the first of a window does not.
static void predict(struct stage_work *work, const struct model_values *values, double *log_p, int32_t *targets,
                    uint8_t *mask) {
  struct error error = {0};
  struct model *model = stage_model_of(work, "none", values, &error);
  struct batch_memory batch = batch_memory(TOKENS);
  const float *head = values->values + values->table.head;
  float x[CONTEXT * WIDTH];
  const struct corpus_batch request = calibration_request(TOKENS / CONTEXT, 0, TOKENS / CONTEXT, CONTEXT);
  CHECK(model != NULL && corpus_batch(work->run.corpus, &request, batch.tokens, batch.targets, batch.mask, &error));
  for (int64_t first = 0; first < TOKENS; first += CONTEXT) {
    CHECK(model_forward(model, CONTEXT, batch.tokens + first, &error));
    CHECK(model->ops->download(model->device, x, model->final_x, sizeof x, &error));
    for (int64_t i = 0; i < CONTEXT; i++) {
      double logits[VOCABULARY], sum = 0;
      for (int v = 0; v < VOCABULARY; v++) {
        logits[v] = 0;
        for (int j = 0; j < WIDTH; j++) logits[v] += (double)x[i * WIDTH + j] * (double)head[v * WIDTH + j];
        sum += exp(logits[v]);
      }
      for (int v = 0; v < VOCABULARY; v++) log_p[(first + i) * VOCABULARY + v] = logits[v] - log(sum);
    }
  }
  memcpy(targets, batch.targets, TOKENS * sizeof *targets);
  memcpy(mask, batch.mask, TOKENS);
  batch_free(&batch);
  model_free(model);
}

// KL over the likeliest `top` of p and the rest as one; all of them: the plain one.
static double divergence(const double *log_p, const double *log_q, int top) {
  bool taken[VOCABULARY] = {false};
  double kl = 0, p_left = 1, q_left = 1;
  for (int i = 0; i < top; i++) {
    int best = -1;
    for (int v = 0; v < VOCABULARY; v++)
      if (!taken[v] && (best < 0 || log_p[v] > log_p[best])) best = v;
    taken[best] = true;
    kl += exp(log_p[best]) * (log_p[best] - log_q[best]);
    p_left -= exp(log_p[best]);
    q_left -= exp(log_q[best]);
  }
  return top < VOCABULARY ? kl + p_left * log(p_left / q_left) : kl;
}

static void worth_is_that_of_the_logits(void) {
  static const struct {
    const char *fitness;
    int top;
  } cases[] = {
      {"search.fitness=kl", VOCABULARY}, {"search.fitness=top_kl search.top=3", 3}, {"search.fitness=loss", 0}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    char pairs[512];
    snprintf(pairs, sizeof pairs, "%s %s", SMALL, cases[c].fitness);
    struct stage_work work = open_work(pairs);
    struct model_values parent = values_of(&work, 1), candidate = values_of(&work, 2);
    struct error error = {0};
    static double log_p[TOKENS * VOCABULARY], log_q[TOKENS * VOCABULARY];
    int32_t targets[TOKENS];
    uint8_t mask[TOKENS];
    struct fitness *fitness = fitness_make(&work, &parent, TOKENS, &error);
    CHECK(fitness != NULL);
    predict(&work, &parent, log_p, targets, mask);
    predict(&work, &candidate, log_q, targets, mask);
    for (int64_t tokens = 64; tokens <= TOKENS; tokens += 128) {  // the first ones of the same order
      double worth, want = 0, same, counted = 0;
      CHECK(fitness_of(fitness, &candidate, tokens, &worth, &error));
      for (int64_t i = 0; i < tokens; i++) {
        if (!mask[i]) continue;
        counted++;
        want += cases[c].top ? divergence(log_p + i * VOCABULARY, log_q + i * VOCABULARY, cases[c].top)
                             : -log_q[i * VOCABULARY + targets[i]];
      }
      want /= counted;
      CHECK(counted > 0 && counted < (double)tokens);
      printf("# %s, %lld tokens: %.8f, in double precision %.8f\n", cases[c].fitness, (long long)tokens, worth, want);
      CHECK(want > 0.01);
      CHECK_NEAR(worth, want, 2e-6);
      CHECK(fitness_of(fitness, &parent, tokens, &same, &error));
      if (cases[c].top) CHECK_NEAR(same, 0, 2e-7);
    }
    CHECK(fitness_tokens(fitness) == TOKENS + 2 * (64 + 192 + 320));
    fitness_free(fitness);
    values_free(&parent);
    values_free(&candidate);
    close_work(&work);
  }
}

// A model that is not finite is worth nothing, and no error.
static void what_is_not_finite_has_no_worth(void) {
  struct stage_work work = open_work(SMALL);
  struct model_values parent = values_of(&work, 1), candidate = values_of(&work, 2);
  struct error error = {0};
  double worth = 0;
  struct fitness *fitness = fitness_make(&work, &parent, 64, &error);
  candidate.values[candidate.table.layers[1].down] = NAN;
  CHECK(fitness != NULL && fitness_of(fitness, &candidate, 64, &worth, &error) && isnan(worth));
  fitness_free(fitness);
  values_free(&parent);
  values_free(&candidate);
  close_work(&work);
}

// ---- spaces ----

static struct layer_space space_of(struct arena *arena, struct run_config *config, const char *pairs) {
  struct layer_space space;
  struct error error = {0};
  struct corpus_facts facts = {0};
  *config = fixture_config(arena, pairs);
  if (!CHECK(search_stage_resolve(config, &facts, arena, &error)) ||
      !CHECK(layer_space_make(config, arena, &space, &error)))
    printf("# %s\n", error.text);
  return space;
}

static void spaces_are_what_they_say(void) {
  struct arena arena = {0};
  struct run_config c;
  struct layer_space s = space_of(&arena, &c, SMALL "search.method=uniform search.bits=2.75");
  // q, k, v, o of 32 x 32 and gate, up, down of 96 x 32, of two blocks: 0.75 of 8 and of 6 units, rounded down.
  CHECK(s.count == 14 && s.groups == 2 && s.units[0] == 6 && s.units[1] == 4 && s.levels[0] == 5);
  CHECK(s.modules[0].count == 1024 && s.modules[6].count == 3072 && s.modules[6].group == 1 && s.modules[7].layer == 1);
  CHECK(layer_space_bits(&c, 0) == 2 && layer_space_bits(&c, 4) == 6);
  s = space_of(&arena, &c,
               SMALL "search.method=uniform search.bits=3 model.heads=2 model.kv_heads=1 model.head_dim=16");
  CHECK(s.groups == 3 && s.modules[1].count == 512);  // keys and values are smaller
  s = space_of(&arena, &c, SMALL "search.method=uniform search.space=sparsity search.sparsity=0.9");
  // 0.05 apart: 0.95 above, four below.
  CHECK(s.levels[0] == 6 && s.units[0] == 8);
  CHECK_NEAR(layer_space_sparsity(&c, 0), 0.95, 1e-12);
  CHECK_NEAR(layer_space_sparsity(&c, 1), 0.9, 1e-12);
  CHECK_NEAR(layer_space_sparsity(&c, 5), 0.7, 1e-12);
  s = space_of(&arena, &c, SMALL "search.method=uniform search.space=drop search.keep=0.5 model.layers=6");
  CHECK(s.count == 12 && s.units[0] == 3 && s.units[1] == 3);
  CHECK_NEAR(layer_space_choices(&s), 400, 0);
  CHECK(config_kept_parameters(&c).non_embedding ==
        config_parameters(&c).non_embedding - config_parameters(&c).prunable / 2);
  s = space_of(&arena, &c, SMALL "search.method=uniform search.space=structure search.keep=0.75 model.head_dim=16");
  // Two heads and 8 parts of the columns in each of two blocks.
  CHECK(s.units[0] == 3 && s.units[1] == 12 && s.levels[0] == 3 && s.levels[1] == 9);
  CHECK_NEAR(layer_space_choices(&s), 2 * 5, 0);
  CHECK(config_kept_parameters(&c).mlp == config_parameters(&c).mlp * 3 / 4);
  CHECK(config_kept_parameters(&c).attention == config_parameters(&c).attention * 3 / 4);
  arena_free(&arena);
}

int main(void) {
  check_run(worth_is_that_of_the_logits, "KL, coarser KL and loss against double precision");
  check_run(what_is_not_finite_has_no_worth, "what is not finite has no worth");
  check_run(spaces_are_what_they_say, "levels, units, numbers of choices, what stays of a model");
  return check_end();
}
