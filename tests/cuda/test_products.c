// Linear layers, the output head, the optimizer, initial values and memory on the tested device, against the CPU's and
// double precision; and what goes wrong.
#include "base/philox.h"
#include "tests/cuda/cuda_check.h"

static void weights_of(const struct weight_description *description, struct array *master, struct weight *weight[2],
                       void *memory[2]) {
  for (int s = 0; s < 2; s++) {
    struct error error = {0};
    memory[s] = both_allocate(s, ops[s]->weight_bytes(device[s], description));
    weight[s] = ops[s]->weight_create(device[s], description, memory[s], &error);
    if (!weight[s]) give_up(&error);
    ops[s]->weight_prepare(device[s], weight[s], master->data[s], 1);
  }
}
static struct array master_of(enum dtype dtype, int64_t count) {  // rounding it loses nothing
  struct array master = array_random(DTYPE_FLOAT32, count, 1);
  for (int64_t i = 0; i < count; i++) master.values[i] = rounded(dtype, master.values[i]);
  array_write(&master);
  return master;
}

static void layer_case(int64_t rows, int64_t inputs, int64_t outputs, enum dtype dtype) {
  struct array x = array_random(dtype, rows * inputs, 1), d_y = array_random(dtype, rows * outputs, 1);
  struct array w = master_of(dtype, outputs * inputs), y = array_empty(dtype, rows * outputs);
  struct array d_x = array_empty(dtype, rows * inputs), d_w = array_empty(DTYPE_FLOAT32, outputs * inputs);
  double *want_y = calloc((size_t)y.count, sizeof *want_y), *want_x = calloc((size_t)d_x.count, sizeof *want_x);
  double *want_w = calloc((size_t)d_w.count, sizeof *want_w);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t i = 0; i < inputs; i++) {
        want_y[row * outputs + o] += x.values[row * inputs + i] * w.values[o * inputs + i];
        want_x[row * inputs + i] += d_y.values[row * outputs + o] * w.values[o * inputs + i];
        want_w[o * inputs + i] += 2 * d_y.values[row * outputs + o] * x.values[row * inputs + i];
      }
  struct weight *weight[2];
  void *memory[2];
  struct weight_description description = {.outputs = outputs, .inputs = inputs, .dtype = dtype};
  weights_of(&description, &w, weight, memory);
  for (int s = 0; s < 2; s++) {
    struct linear linear = {.weight = weight[s], .rows = rows, .dtype = dtype};
    ops[s]->linear_forward(device[s], &linear, x.data[s], NULL, y.data[s]);
    ops[s]->linear_input_gradient(device[s], &linear, NULL, d_y.data[s], d_x.data[s]);
    ops[s]->linear_weight_gradient(device[s], &linear, x.data[s], NULL, d_y.data[s], d_w.data[s], false);
    ops[s]->linear_weight_gradient(device[s], &linear, x.data[s], NULL, d_y.data[s], d_w.data[s], true);
  }
  array_check(&y, want_y, tolerance_of(dtype), "y");
  array_check(&d_x, want_x, tolerance_of(dtype), "d_x");
  array_check(&d_w, want_w, 3e-6, "d_weight, twice");
  for (int s = 0; s < 2; s++) ops[s]->weight_free(device[s], weight[s]);
  both_free(memory);
  free(want_y), free(want_x), free(want_w);
  struct array *all[] = {&x, &d_y, &w, &y, &d_x, &d_w};
  arrays_free(all, COUNT_OF(all));
}
static void linear(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    layer_case(1, 16, 1, dtype);
    layer_case(3, 20, 257, dtype);
    layer_case(70, 33, 48, dtype);
  }
}

static void head_case(int64_t rows, int64_t width, int64_t vocabulary, enum dtype dtype, bool masked) {
  struct array x = array_random(dtype, rows * width, 1), w = master_of(dtype, vocabulary * width);
  struct array row_nats = array_empty(DTYPE_FLOAT32, rows), d_x = array_empty(dtype, rows * width);
  struct array d_w = array_random(DTYPE_FLOAT32, vocabulary * width, 1);
  int32_t *targets = malloc((size_t)rows * sizeof *targets);
  uint8_t *mask = malloc((size_t)rows);
  double *want = calloc((size_t)rows, sizeof *want), *logits = calloc((size_t)vocabulary, sizeof *logits), total = 0;
  int64_t counted = 0;
  for (int64_t row = 0; row < rows; row++) {
    targets[row] = (int32_t)((row * 7919 + vocabulary - 1) % vocabulary);
    mask[row] = row % 3 != 1;
    if (masked && !mask[row]) continue;
    double maximum = -INFINITY, sum = 0;
    for (int64_t token = 0; token < vocabulary; token++) {
      logits[token] = 0;
      for (int64_t i = 0; i < width; i++) logits[token] += x.values[row * width + i] * w.values[token * width + i];
      if (logits[token] > maximum) maximum = logits[token];
    }
    for (int64_t token = 0; token < vocabulary; token++) sum += exp(logits[token] - maximum);
    total += want[row] = maximum + log(sum) - logits[targets[row]];
    counted++;
  }
  struct loss_sum start = {100, 10};  // sums are added to
  void *ids[2], *masks[2], *sums[2], *memory[2];
  both_upload(ids, targets, (size_t)rows * sizeof *targets);
  both_upload(masks, mask, (size_t)rows);
  both_upload(sums, &start, sizeof start);
  struct weight *weight[2];
  struct weight_description description = {.outputs = vocabulary, .inputs = width, .dtype = dtype};
  weights_of(&description, &w, weight, memory);
  struct op_shape shape = {
      .rows = rows, .width = width, .vocabulary = vocabulary, .dtype = dtype, .weight = &description, .training = true};
  workspaces_for(OP_HEAD, shape);
  for (int s = 0; s < 2; s++) {
    struct head head = {.weight = weight[s], .rows = rows, .dtype = dtype, .gradient_scale = 0.25f};
    ops[s]->head_loss(device[s], &head, x.data[s], ids[s], masked ? masks[s] : NULL, sums[s], row_nats.data[s],
                      d_x.data[s], d_w.data[s], true);
    ops[s]->head_evaluate(device[s], &head, x.data[s], ids[s], masked ? masks[s] : NULL, sums[s], NULL);
  }
  array_check(&row_nats, want, 3e-6, "row_nats");
  array_check(&d_x, NULL, 2 * tolerance_of(dtype), "d_x");
  array_check(&d_w, NULL, 2 * tolerance_of(dtype), "d_weight");
  struct loss_sum sum;
  struct error error = {0};
  CHECK(ops[TESTED]->download(device[TESTED], &sum, sums[TESTED], sizeof sum, &error));
  CHECK_NEAR(sum.nats, 100 + 2 * total, 3e-6);
  CHECK(sum.targets == 10 + 2 * counted);
  for (int s = 0; s < 2; s++) ops[s]->weight_free(device[s], weight[s]);
  both_free(ids), both_free(masks), both_free(sums), both_free(memory);
  free(targets), free(mask), free(want), free(logits);
  struct array *all[] = {&x, &w, &row_nats, &d_x, &d_w};
  arrays_free(all, COUNT_OF(all));
}
static void head(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    head_case(1, 16, 2, dtype, false);
    head_case(7, 20, 33, dtype, true);
    head_case(40, 12, 700, dtype, true);
  }
  head_case(300, 8, 5, DTYPE_FLOAT32, false);
}

static void optimizer(void) {
  enum { COUNT = 5003, PARTS = 2 };
  struct array p[PARTS], g[PARTS], m[PARTS], v[PARTS];
  double zero = 0, want = 0;
  void *sums[2];
  both_upload(sums, &zero, sizeof zero);
  for (int t = 0; t < PARTS; t++) {
    int64_t count = COUNT - t * 3;  // one odd, one a multiple of four
    p[t] = array_random(DTYPE_FLOAT32, count, 1);
    g[t] = array_random(DTYPE_FLOAT32, count, 1);
    m[t] = array_random(DTYPE_FLOAT32, count, 0);
    v[t] = array_random(DTYPE_FLOAT32, count, 0);
    for (int64_t i = 0; i < count; i++) want += g[t].values[i] * g[t].values[i];
  }
  workspaces_for(OP_OPTIMIZER, (struct op_shape){.rows = COUNT});
  struct adamw adamw = {.lr = 3e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
  adamw.gradient_scale = 0.5;
  for (int step = 1; step <= 3; step++) {
    adamw.step = step;
    adamw.clip_norm = step == 3 ? 0 : 1.5;
    for (int s = 0; s < 2; s++) {
      struct tensor_span spans[PARTS];
      struct adamw_tensor tensors[PARTS];
      for (int t = 0; t < PARTS; t++) {
        spans[t] = (struct tensor_span){g[t].data[s], g[t].count};
        tensors[t] = (struct adamw_tensor){p[t].data[s], g[t].data[s], m[t].data[s], v[t].data[s], p[t].count, t == 0};
      }
      ops[s]->square_sum(device[s], spans, PARTS, sums[s]);
      ops[s]->adamw_step(device[s], &adamw, tensors, PARTS, sums[s]);
    }
  }
  double sum;
  struct error error = {0};
  CHECK(ops[TESTED]->download(device[TESTED], &sum, sums[TESTED], sizeof sum, &error));
  CHECK_NEAR(sum / want, 1, 1e-13);
  for (int t = 0; t < PARTS; t++) {
    array_check(&p[t], NULL, 1e-6, "parameter");
    array_check(&m[t], NULL, 1e-6, "m");
    array_check(&v[t], NULL, 1e-6, "v");
    struct array *all[] = {&p[t], &g[t], &m[t], &v[t]};
    arrays_free(all, COUNT_OF(all));
  }
  both_free(sums);
}

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
      struct adamw_tensor tensor = {p.data[s], g.data[s], m.data[s], v.data[s], count, true, state, first, master};
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
        struct adamw_tensor tensor = {p.data[s], g.data[s], m.data[s], v.data[s], COUNT, false, DTYPE_BFLOAT16, 0};
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
        struct adamw_tensor tensor = {p.data[s], g.data[s],     m.data[s], v.data[s],     COUNT,
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
  RUN(linear);
  RUN(head);
  RUN(optimizer);
  RUN(narrow_state);
  RUN(narrow_masters);
  RUN(stochastic_mean);
  RUN(stochastic_drift);
  devices_end();
  devices_begin();
  RUN(failures);
  devices_end();
  return check_end();
}
