// What the table of operations (test_cases.c) leaves out: the optimizer's narrow state and masters, memory, scores far
// apart on the tested device, against the CPU's; and what goes wrong.
#include "base/philox.h"
#include "tests/cuda/cuda_check.h"

// How many values are not the same on both devices.
static int64_t differing(struct array *array) {
  double *cpu = malloc(((size_t)array->count + 1) * sizeof *cpu);
  int64_t count = 0;
  array_fetch(array, TESTED, array->values);
  array_fetch(array, REFERENCE, cpu);
  for (int64_t i = 0; i < array->count; i++) count += array->values[i] != cpu[i];
  free(cpu);
  return count;
}

// State, master weights or both in bfloat16. Both backends draw the same noise, so they differ only where the last bit
// of a float32 does, which a rounding to 8 bits seldom shows.
static void narrow_case(enum dtype master, enum dtype state, int64_t count, bool stochastic, int64_t first) {
  enum { STEPS = 4 };
  struct array p = array_random(master, count, 1), g = array_random(DTYPE_FLOAT32, count, 1);
  struct array m = array_random(state, count, 0), v = array_random(state, count, 0);
  struct adamw adamw = {.lr = 3e-3,
                        .beta1 = 0.9,
                        .beta2 = 0.95,
                        .eps = 1e-8,
                        .weight_decay = 0.1,
                        .gradient_scale = 1,
                        .stochastic = stochastic,
                        .seed = 11};
  for (adamw.step = 1; adamw.step <= STEPS; adamw.step++)
    for (int s = 0; s < 2; s++) {
      struct optimizer_tensor tensor = {p.data[s], g.data[s], m.data[s], v.data[s], count, true, state, first, master};
      ops[s]->adamw_step(device[s], &adamw, &tensor, 1, NULL);
    }
  array_check(&p, NULL, master == DTYPE_BFLOAT16 ? 1e-3 : 1e-4, "parameter");
  array_check(&m, NULL, 1e-4, "m");
  array_check(&v, NULL, 1e-4, "v");
  if (master == DTYPE_BFLOAT16 && !CHECK(differing(&p) <= 3)) printf("# %lld\n", (long long)differing(&p));
  struct array *all[] = {&p, &g, &m, &v};
  arrays_free(all, COUNT_OF(all));
}
static void narrow_state(void) {
  for (int stochastic = 0; stochastic < 2; stochastic++)
    for (int64_t first = 0; first < 7; first += 6) narrow_case(DTYPE_FLOAT32, DTYPE_BFLOAT16, 4099, stochastic, first);
}
static void narrow_masters(void) {
  for (enum dtype state = DTYPE_FLOAT32; state <= DTYPE_BFLOAT16; state++)
    for (int stochastic = 0; stochastic < 2; stochastic++) {
      narrow_case(DTYPE_BFLOAT16, state, 4096, stochastic, 64);  // in words
      narrow_case(DTYPE_BFLOAT16, state, 1027, stochastic, 5);   // one by one, from within a block
      narrow_case(DTYPE_BFLOAT16, state, 516, stochastic, 4);
    }
}

// The same of optimizers of one moment: momentum and Lion.
static void narrow_moment_case(enum dtype master, enum dtype state, int64_t count, bool sign, bool stochastic,
                               int64_t first) {
  enum { STEPS = 4 };
  struct array p = array_random(master, count, 1), g = array_random(DTYPE_FLOAT32, count, 1);
  struct array m = array_random(state, count, 0);
  struct momentum momentum = {.lr = 3e-3,
                              .beta1 = 0.9,
                              .share1 = sign ? 0.1 : 1,
                              .beta2 = 0.99,
                              .weight_decay = 0.1,
                              .nesterov = !sign,
                              .sign = sign,
                              .gradient_scale = 1,
                              .stochastic = stochastic,
                              .seed = 11};
  for (momentum.step = 1; momentum.step <= STEPS; momentum.step++)
    for (int s = 0; s < 2; s++) {
      struct optimizer_tensor tensor = {.parameter = p.data[s],
                                        .gradient = g.data[s],
                                        .m = m.data[s],
                                        .count = count,
                                        .decay = true,
                                        .state = state,
                                        .first = first,
                                        .master = master};
      ops[s]->momentum_step(device[s], &momentum, &tensor, 1, NULL);
    }
  array_check(&p, NULL, master == DTYPE_BFLOAT16 ? 1e-3 : 1e-4, "parameter");
  array_check(&m, NULL, 1e-4, "m");
  if (master == DTYPE_BFLOAT16 && !CHECK(differing(&p) <= 3)) printf("# %lld\n", (long long)differing(&p));
  if (state == DTYPE_BFLOAT16 && !CHECK(differing(&m) <= 3)) printf("# %lld\n", (long long)differing(&m));
  struct array *all[] = {&p, &g, &m};
  arrays_free(all, COUNT_OF(all));
}
static void narrow_moment(void) {
  for (int which = 0; which < 12; which++) {
    bool sign = which % 2, stochastic = which / 2 % 2;
    enum dtype master = which / 4 > 0 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32;
    enum dtype state = which / 4 == 1 ? DTYPE_FLOAT32 : DTYPE_BFLOAT16;
    narrow_moment_case(master, state, 4096, sign, stochastic, 64);
    narrow_moment_case(master, state, 1027, sign, stochastic, 5);
  }
}

// A second moment that grows by less than half a step of bfloat16: rounded to nearest it stands still, stochastically
// it moves by what it should, on average.
static void stochastic_mean(void) {
  enum { COUNT = 20000, STEPS = 20 };
  const double beta2 = 0.999, g2 = 3;
  for (int stochastic = 0; stochastic < 2; stochastic++) {
    struct array p = array_empty(DTYPE_FLOAT32, COUNT), g = array_empty(DTYPE_FLOAT32, COUNT);
    struct array m = array_random(DTYPE_BFLOAT16, COUNT, 0), v = array_empty(DTYPE_BFLOAT16, COUNT);
    for (int64_t i = 0; i < COUNT; i++) {
      p.values[i] = v.values[i] = 1;
      g.values[i] = sqrt(g2);
    }
    array_write(&p), array_write(&g), array_write(&v);
    struct adamw adamw = {.lr = 1e-6,
                          .beta1 = 0.9,
                          .beta2 = beta2,
                          .eps = 1e-8,
                          .gradient_scale = 1,
                          .stochastic = stochastic,
                          .seed = 5};
    double want = 1;
    for (adamw.step = 1; adamw.step <= STEPS; adamw.step++) {
      want = want * beta2 + g2 * (1 - beta2);
      for (int s = 0; s < 2; s++) {
        struct optimizer_tensor tensor = {p.data[s], g.data[s], m.data[s], v.data[s], COUNT, false, DTYPE_BFLOAT16, 0};
        ops[s]->adamw_step(device[s], &adamw, &tensor, 1, NULL);
      }
    }
    for (int s = 0; s < 2; s++) {
      double mean = 0;
      array_fetch(&v, s, v.values);
      for (int64_t i = 0; i < COUNT; i++) mean += v.values[i] / COUNT;
      // A step of bfloat16 at 1 is 2^-7; the mean of so many has a standard error below 2^-7 * sqrt(STEPS / 4 / COUNT).
      if (stochastic)
        CHECK_NEAR(mean, want, 5 * 0x1p-7 * sqrt(STEPS / 4.0 / COUNT));
      else
        CHECK_NEAR(mean, 1, 1e-9);
    }
    struct array *all[] = {&p, &g, &m, &v};
    arrays_free(all, COUNT_OF(all));
  }
}

// Master weights that each step should lower by an eighth of a step of bfloat16: to nearest they stand still. With
// stochastic rounding each of STEPS draws lowers a weight by a whole step with probability 1/8, so that they are
// binomial: mean and variance are those, to five standard errors.
static void stochastic_drift(void) {
  enum { COUNT = 20000, STEPS = 20 };
  const double ulp = 0x1p-8, chance = 0.125;  // below 1
  for (int stochastic = 0; stochastic < 2; stochastic++) {
    struct array p = array_empty(DTYPE_BFLOAT16, COUNT), g = array_empty(DTYPE_FLOAT32, COUNT);
    struct array m = array_random(DTYPE_FLOAT32, COUNT, 0), v = array_random(DTYPE_FLOAT32, COUNT, 0);
    for (int64_t i = 0; i < COUNT; i++) p.values[i] = g.values[i] = 1;
    array_write(&p), array_write(&g);
    // Of constant gradients AdamW's step is the learning rate.
    struct adamw adamw = {.lr = ulp * chance,
                          .beta1 = 0.9,
                          .beta2 = 0.95,
                          .eps = 1e-12,
                          .gradient_scale = 1,
                          .stochastic = stochastic,
                          .seed = 7};
    for (adamw.step = 1; adamw.step <= STEPS; adamw.step++)
      for (int s = 0; s < 2; s++) {
        struct optimizer_tensor tensor = {p.data[s], g.data[s],     m.data[s], v.data[s],     COUNT,
                                          false,     DTYPE_FLOAT32, 0,         DTYPE_BFLOAT16};
        ops[s]->adamw_step(device[s], &adamw, &tensor, 1, NULL);
      }
    for (int s = 0; s < 2; s++) {
      double mean = 0, variance = 0;
      array_fetch(&p, s, p.values);
      for (int64_t i = 0; i < COUNT; i++) mean += (1 - p.values[i]) / ulp / COUNT;
      for (int64_t i = 0; i < COUNT; i++) variance += pow((1 - p.values[i]) / ulp - mean, 2) / COUNT;
      double want = STEPS * chance * (1 - chance);
      if (stochastic) {
        CHECK_NEAR(mean, STEPS * chance, 5 * sqrt(want / COUNT) / (STEPS * chance));
        CHECK_NEAR(variance, want, 5 * sqrt(2.2 / COUNT));  // of the variance's estimate; 2 for a normal variable
      } else {
        CHECK(mean == 0 && variance == 0);
      }
    }
    CHECK(differing(&p) == 0);
    struct array *all[] = {&p, &g, &m, &v};
    arrays_free(all, COUNT_OF(all));
  }
}

static void values(void) {
  enum { COUNT = 2003 };
  struct array x = array_empty(DTYPE_FLOAT32, COUNT), half = array_empty(DTYPE_BFLOAT16, COUNT);
  struct array back = array_empty(DTYPE_FLOAT32, COUNT);
  for (int s = 0; s < 2; s++) ops[s]->fill_normal(device[s], x.data[s], COUNT, 0.02, 7, 3);
  // A GPU's logarithm may differ from the host's in the last bit of a double.
  array_check(&x, NULL, strcmp(TEST_BACKEND, "cuda") == 0 ? 1e-7 : 0, "normals");
  double pair[2];
  random_normal_pair(7, RANDOM_STREAM_INIT, 3, 1000, pair);
  CHECK_NEAR(x.values[2000], 0.02 * pair[0], 1e-8);
  for (int64_t i = 0; i < COUNT; i++) x.values[i] = random_number() * pow(10, 30 * random_number());
  x.values[0] = 1 + 0x1p-8, x.values[1] = 1 + 3 * 0x1p-8, x.values[2] = INFINITY, x.values[3] = -0.0;
  array_write(&x);
  for (int s = 0; s < 2; s++) {
    ops[s]->convert(device[s], COUNT, DTYPE_FLOAT32, x.data[s], DTYPE_BFLOAT16, half.data[s]);
    ops[s]->convert(device[s], COUNT, DTYPE_BFLOAT16, half.data[s], DTYPE_FLOAT32, back.data[s]);
  }
  double got[COUNT], want[COUNT];
  array_fetch(&back, TESTED, got);
  array_fetch(&back, REFERENCE, want);
  CHECK(memcmp(got, want, sizeof got) == 0);
  for (int s = 0; s < 2; s++) ops[s]->fill_constant(device[s], back.data[s], COUNT, 0.5f);
  array_check(&back, NULL, 0, "constants");
  for (int s = 0; s < 2; s++) {
    ops[s]->clear(device[s], back.data[s], 40);
    ops[s]->copy(device[s], (char *)back.data[s] + 80, back.data[s], 40);
  }
  array_check(&back, NULL, 0, "cleared and copied");
  struct array *all[] = {&x, &half, &back};
  arrays_free(all, COUNT_OF(all));
}

// Scores far apart, as a model's own are not: nothing overflows, and the softmax picks one key.
static void attention_extremes(void) {
  struct attention shape = {1, 70, 1, 1, 16, DTYPE_BFLOAT16};
  int64_t count = shape.context * shape.head_dim;
  struct array q = array_random(DTYPE_BFLOAT16, count, 1), k = array_random(DTYPE_BFLOAT16, count, 1);
  struct array v = array_random(DTYPE_BFLOAT16, count, 1), o = array_empty(DTYPE_BFLOAT16, count);
  struct array log_sum = array_empty(DTYPE_FLOAT32, shape.context);
  for (int64_t i = 0; i < count; i++) {
    q.values[i] = 40;
    k.values[i] = 40 * (double)(i / shape.head_dim);  // each key above all before it
  }
  array_write(&q), array_write(&k);
  struct op_shape op = {.rows = shape.context, .context = shape.context, .heads = 1, .kv_heads = 1, .head_dim = 16};
  op.dtype = shape.dtype;
  workspaces_for(OP_ATTENTION, op);
  for (int s = 0; s < 2; s++)
    ops[s]->attention_forward(device[s], &shape, q.data[s], k.data[s], v.data[s], o.data[s], log_sum.data[s]);
  array_check(&o, v.values, 1e-6, "o is the last value");
  array_check(&log_sum, NULL, 3e-6, "log_sum");
  struct array *all[] = {&q, &k, &v, &o, &log_sum};
  arrays_free(all, COUNT_OF(all));
}

// A device of its own for what goes wrong: the first error stays and comes out, later entries do nothing.
static void failures(void) {
  const struct ops *o = ops[TESTED];
  struct error error = {0};
  struct device *d = o->open(&(struct device_options){0}, &error);
  float *memory = o->allocate(d, 4096, &error);
  int32_t tokens[] = {3, -1};
  o->clear(d, memory, 4096);
  o->upload(d, memory + 512, tokens, sizeof tokens);
  o->embedding_forward(d, 2, 32, 4, (int32_t *)(memory + 512), memory, memory + 128);
  float value;
  CHECK(!o->download(d, &value, memory, sizeof value, &error));
  CHECK(error.code == EXIT_USAGE_ERROR);
  CHECK_TEXT(error.text, "token -1 in row 1 is not below the vocabulary of 4");
  o->free(d, memory);
  o->close(d);
  error = (struct error){0};
  d = o->open(&(struct device_options){0}, &error);
  o->rmsnorm_backward(d, 1, 64, DTYPE_FLOAT32, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  CHECK(!o->synchronize(d, &error));
  CHECK(strstr(error.text, "needs a workspace of 256 bytes and has 0") != NULL);
  error = (struct error){0};
  CHECK(o->allocate(d, (size_t)1 << 60, &error) == NULL);
  CHECK(error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "cannot allocate") != NULL && strstr(error.text, "are free") != NULL);
  struct op_shape shape = {.heads = 3, .kv_heads = 3, .head_dim = 7};
  error = (struct error){0};
  CHECK(!o->shape_supported(d, OP_ATTENTION, &shape, &error));
  CHECK_TEXT(error.text, "model.head_dim 7: must be even, 2 to 128 on CUDA");
  o->close(d);
  error = (struct error){0};
  CHECK(o->open(&(struct device_options){.number = 1000}, &error) == NULL);
  CHECK(error.code == EXIT_ENVIRONMENT);
}

int main(void) {
  devices_begin();
  RUN(values);
  RUN(narrow_state);
  RUN(narrow_moment);
  RUN(narrow_masters);
  RUN(stochastic_mean);
  RUN(stochastic_drift);
  RUN(attention_extremes);
  devices_end();
  devices_begin();
  RUN(failures);
  devices_end();
  return check_end();
}
