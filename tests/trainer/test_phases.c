// A format that begins after a full-precision phase, and averaged weights, on a device: until the format begins the
// training is one without it, bit by bit; then it is what a model of the format does with the weights and moments that
// are there; and the average is the mean of the weights that a training without it passes through.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/tiny_model.h"
#include "trainer/average.h"
#include "trainer/formats.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/stages/values.h"

static struct arena arena;
static const struct ops *ops;
static struct device *device;

enum { ALL = 12, BEGINS = 7 };  // round(0.6 * 12)

static struct run_config config_with(const char *format, const char *optimizer) {
  struct error error = {0};
  struct corpus_facts facts = {0};
  struct run_config c;
  config_default(&c);
  c.model.layers = 1;
  c.format = format;
  c.model.width = 32;
  c.model.heads = 2;
  c.model.context = CONTEXT;
  c.model.vocabulary = VOCABULARY;
  c.train.batch_tokens = ROWS;
  c.train.steps = ALL;
  c.train.optimizer = optimizer;
  if (!CHECK(config_parse_format(&c, &arena, &error) && config_resolve(&c, &facts, "float32", &error)))
    printf("# %s: %s\n", format, error.text);
  return c;
}

static struct model *model_of(const struct run_config *c) {
  struct error error = {0};
  struct model *model = model_create(ops, device, c, MODEL_TRAIN, &error);
  if (!CHECK(model != NULL)) {
    printf("# %s: %s\n", c->format, error.text);
    exit(check_end());
  }
  return model;
}

// Loss and norm of the step after `step` updates.
static struct loss_and_norm { double loss, norm; } step_of(struct model *m, int64_t step) {
  int32_t tokens[ROWS], targets[ROWS];
  uint8_t mask[ROWS];
  struct loss_sum sum;
  struct error error = {0};
  double square = 0;
  int64_t counted = 0;
  if (step == m->format_begins && !CHECK(model_begin_format(m, &error))) printf("# %s\n", error.text);
  batch_of((int)step % 4, tokens, targets, mask);
  for (int i = 0; i < ROWS; i++) counted += mask[i];
  struct token_batch batch = {ROWS, tokens, targets, mask};
  static const struct model *last;
  if (last != m && ops->repeat_forget) ops->repeat_forget(device);  // a device knows the steps of one model
  last = m;
  ops->set_workspace(device, m->workspace, (size_t)(m->memory.workspace - optimizer_step_scratch_bytes(&m->config)));
  model_step(m, &batch, counted, 2e-3, step, 0);
  CHECK(model_results(m, 1, &sum, &square, &error));
  return (struct loss_and_norm){sum.nats / (double)sum.targets, sqrt(square)};
}

static bool same(struct loss_and_norm a, struct loss_and_norm b) { return memcmp(&a, &b, sizeof a) == 0; }

// The optimizer's state of a tensor in an array; the bytes in *size.
static void *state_of(const struct model *m, int array, const struct parameter_tensor *t, size_t *size) {
  const struct optimizer *optimizer = optimizer_of(&m->config);
  *size = (size_t)t->count * dtype_bytes(m->state_type);
  if (array == STATE_OF_MATRICES)
    *size =
        optimizer->matrix_state ? (size_t)optimizer->matrix_state(&m->config, t->rows, t->columns) * sizeof(float) : 0;
  return model_state(m, array, t->offset);
}

static const struct parameter_tensor *tensor_of(const struct model *m, const char *name) {
  for (int i = 0; i < m->table.tensor_count; i++)
    if (strcmp(m->table.tensors[i].name, name) == 0) return &m->table.tensors[i];
  return NULL;
}

// A model that has had the format from its start, given the weights and moments of one without.
static struct model *transplanted(struct model *from, const char *format, const char *optimizer) {
  struct run_config c = config_with(format, optimizer);
  struct error error = {0};
  struct model *to = model_of(&c);
  model_initialise(to, 99);
  for (int i = 0; i < to->table.tensor_count; i++) {
    const struct parameter_tensor *t = &to->table.tensors[i], *s = tensor_of(from, t->name);
    if (!s) {  // scales, which the weights of the seed have set
      ops->clear(device, model_parameter(to, t->offset), (size_t)t->count * sizeof(float));
      continue;
    }
    float *kept = memory_get((size_t)t->count * sizeof *kept);
    size_t size;
    CHECK(ops->download(device, kept, model_parameter(from, s->offset), (size_t)t->count * sizeof *kept, &error));
    ops->upload(device, model_parameter(to, t->offset), kept, (size_t)t->count * sizeof *kept);
    for (int array = 0; array < STATE_ARRAYS; array++) {
      void *place = state_of(to, array, t, &size);
      if (!place) continue;
      CHECK(ops->download(device, kept, state_of(from, array, s, &size), size, &error));
      ops->upload(device, place, kept, size);
    }
    CHECK(ops->synchronize(device, &error));
    free(kept);
  }
  model_prepare(to, 0);
  return to;
}

// Formats that draw nothing, whose numbers do not depend on what number a step has.
static void begins_from_what_is_there(void) {
  static const char *const formats[] = {"w4a4", "lsq-w4a4", "w(2:4+int4)a(int8)", "sparse(0.5)",
                                        "sparse(0.6,cubic(0,0.5),every(1),monotone)"};
  static const char *const by[] = {"adamw", "sgd", "adamw", "muon", "adamw"};
  bool emulated = strcmp(TEST_BACKEND, "cuda-emulated") == 0;  // which takes its time
  for (size_t i = 0; i < (emulated ? 3 : sizeof formats / sizeof *formats); i++) {
    const char *later = arena_format(&arena, "%s after 0.6", formats[i]);
    struct run_config plain = config_with("none", by[i]), c = config_with(later, by[i]);
    struct model *without = model_of(&plain), *with = model_of(&c);
    CHECK(config_format_begins(&c) == BEGINS && with->format_begins == BEGINS && !with->config.parsed_format);
    CHECK(with->memory.total >= without->memory.total && with->memory.moments >= without->memory.moments);
    model_initialise(without, 5);
    model_initialise(with, 5);
    for (int64_t step = 0; step < BEGINS; step++) CHECK(same(step_of(without, step), step_of(with, step)));
    struct model *from_start = transplanted(without, formats[i], by[i]);
    // A schedule counts the steps from there on: this one would have so many in all.
    bool scheduled = strchr(formats[i], 'c') && strstr(formats[i], "cubic");
    for (int64_t step = BEGINS; step < (scheduled ? BEGINS : ALL); step++) {
      struct loss_and_norm a = step_of(with, step), b = step_of(from_start, step);
      if (!CHECK(same(a, b))) printf("# %s, step %d: %.9g, not %.9g\n", later, (int)step, a.loss, b.loss);
      if (step == BEGINS) CHECK(!same(b, step_of(without, step)));
    }
    double active[2] = {config_active_parameters(&c, BEGINS - 1), config_active_parameters(&c, ALL - 1)};
    CHECK(active[0] == (double)config_parameters(&c).non_embedding);
    CHECK(!strchr(formats[i], ':') && !strstr(formats[i], "sparse") ? active[1] == active[0] : active[1] < active[0]);
    model_free(from_start);
    model_free(without);
    model_free(with);
  }
}

// Back to the phase of an older checkpoint and forward again: the layout, and what a model of it does, are the same.
static void back_and_forth(void) {
  struct run_config c = config_with("lsq-w4a4 after 0.6", "adamw");
  struct error error = {0};
  struct model *m = model_of(&c);
  struct loss_and_norm first[ALL];
  for (int again = 0; again < 2; again++) {
    CHECK(model_take_phase(m, 0, &error) && !m->config.parsed_format && m->table.layers[0].scales < 0);
    model_initialise(m, 5);
    for (int64_t step = 0; step < ALL; step++) {
      struct loss_and_norm now = step_of(m, step);
      if (again)
        CHECK(same(now, first[step]));
      else
        first[step] = now;
    }
    CHECK(m->config.parsed_format && m->table.layers[0].scales >= 0);
    CHECK(model_take_phase(m, BEGINS, &error) && !m->config.parsed_format);
    CHECK(model_take_phase(m, BEGINS + 1, &error) && m->config.parsed_format);
  }
  model_free(m);
}

// In double precision, from weights that are downloaded after each of the steps.
static void average_is_the_mean(void) {
  enum { LAST = 3, EVERY = 2 };
  struct run_config c = config_with("lsq-w4a4", "adamw");
  struct error error = {0};
  c.train.average_checkpoints = LAST;
  c.train.average_every = EVERY;
  struct model *m = model_of(&c);
  CHECK(m->memory.average == config_parameters(&c).total * 4 && average_first(&c) == ALL - (LAST - 1) * EVERY);
  model_initialise(m, 5);
  double *sum = memory_get((size_t)m->table.count * sizeof *sum);
  struct model_values values;
  int taken = 0;
  for (int64_t step = 0; step < ALL; step++) {
    step_of(m, step);
    CHECK(average_takes(&c, step + 1) == (step + 1 == 8 || step + 1 == 10 || step + 1 == 12));
    if (!average_takes(&c, step + 1)) continue;
    CHECK(average_count(&c, step + 1) == ++taken && average_is_pending(&c, step + 1) == (step + 1 < ALL));
    CHECK(values_read(&values, m, &error));
    for (int64_t i = 0; i < m->table.count; i++) sum[i] += values.values[i] / LAST;
    values_free(&values);
    CHECK(average_take(m, step + 1, &error));
  }
  CHECK(values_read(&values, m, &error));
  double worst = 0, moved = 0;
  for (int64_t i = 0; i < m->table.count; i++) {
    worst = fmax(worst, fabs(values.values[i] - sum[i]) / (fabs(sum[i]) + 1e-3));
    moved = fmax(moved, fabs(sum[i]));
  }
  if (!CHECK(worst < 3e-7 && moved > 0.1)) printf("# %g of %g\n", worst, moved);
  values_free(&values);
  free(sum);
  model_free(m);
}

int main(void) {
  struct error error = {0};
  ops = ops_find(TEST_BACKEND, &error);
  device = ops ? ops->open(&(struct device_options){.threads = 1}, &error) : NULL;
  if (!device) {
    printf("# %s\n", error.text);
    return 1;
  }
  RUN(begins_from_what_is_there);
  RUN(back_and_forth);
  RUN(average_is_the_mean);
  ops->close(device);
  arena_free(&arena);
  return check_end();
}
