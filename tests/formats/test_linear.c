// Linear layers with formats through the ops table: every recipe with a quantizer that changes nothing equals the plain
// layer; QuEST's forward and backward pass against their formulas; sparse weights; randomness by step and row.
#include <stdlib.h>

#include "kernels/formats/apply.h"
#include "kernels/formats/grid.h"
#include "kernels/kernels.h"
#include "tests/check.h"

enum { ROWS = 64, INPUTS = 96, OUTPUTS = 160, PARTS = 3 };
static const int64_t part_outputs[PARTS] = {64, 64, 32};

struct layer {
  const struct ops *ops;
  struct device *device;
  struct arena arena;
  struct weight_description description;
  struct weight *weight;
  void *memory, *workspace, *saved;
  float *master, *x, *y, *d_y, *d_x, *d_weight;
};

static float *random_floats(int64_t count, uint64_t seed, double deviation) {
  float *values = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
  for (int64_t i = 0; i < count; i += 2) {
    double pair[2];
    random_normal_pair(seed, RANDOM_STREAM_MONTE_CARLO, 0, (uint64_t)i, pair);
    values[i] = (float)(pair[0] * deviation);
    if (i + 1 < count) values[i + 1] = (float)(pair[1] * deviation);
  }
  return values;
}

static float *layer_learned, *layer_d_learned;  // for formats with learned scales

// A layer with a format, prepared for step `step`; "none" is the plain one. Exits when it cannot be made.
static struct layer layer_make(const char *format, enum isa_level isa, int threads, int64_t step) {
  struct error error = {0};
  struct layer l = {.ops = ops_find("cpu", &error)};
  struct device_options options = {.threads = threads, .isa = isa_name(isa), .gemm = "onednn"};
  l.device = l.ops->open(&options, &error);
  l.description = (struct weight_description){
      .outputs = OUTPUTS, .inputs = INPUTS, .parts = PARTS, .seed = 3, .number = 5, .steps = 100};
  memcpy(l.description.part_outputs, part_outputs, sizeof part_outputs);
  l.description.format = format_parse(format, &l.arena, &error);
  struct op_shape shape = {.rows = ROWS, .weight = &l.description, .training = true};
  if (l.description.format && l.device && l.ops->shape_supported(l.device, OP_LINEAR, &shape, &error)) {
    size_t bytes = l.ops->workspace_bytes(l.device, OP_LINEAR, &shape);
    l.workspace = l.ops->allocate(l.device, bytes, &error);
    l.ops->set_workspace(l.device, l.workspace, bytes);
    l.memory = l.ops->allocate(l.device, l.ops->weight_bytes(l.device, &l.description), &error);
    l.saved = l.ops->allocate(l.device, l.ops->linear_saved_bytes(l.device, &l.description, ROWS), &error);
    l.weight = l.ops->weight_create(l.device, &l.description, l.memory, &error);
  }
  if (!l.weight) {
    printf("# %s: %s\nBail out!\n", format, error.text);
    exit(1);
  }
  l.master = random_floats(OUTPUTS * INPUTS, 1, 0.05);
  l.x = random_floats(ROWS * INPUTS, 2, 1);
  l.d_y = random_floats(ROWS * OUTPUTS, 3, 0.1);
  l.y = random_floats(ROWS * OUTPUTS, 4, 1);
  l.d_x = random_floats(ROWS * INPUTS, 5, 1);
  l.d_weight = random_floats(OUTPUTS * INPUTS, 6, 1);
  if (layer_learned) l.ops->weight_learned(l.device, l.weight, layer_learned, layer_d_learned);
  l.ops->weight_prepare(l.device, l.weight, l.master, step);
  return l;
}
static void layer_run(struct layer *l, int64_t first_row) {
  struct linear linear = {.weight = l->weight, .rows = ROWS, .first_row = first_row};
  l->ops->linear_forward(l->device, &linear, l->x, l->saved, l->y);
  l->ops->linear_input_gradient(l->device, &linear, l->saved, l->d_y, l->d_x);
  l->ops->linear_weight_gradient(l->device, &linear, l->x, l->saved, l->d_y, l->d_weight, false);
  l->ops->weight_gradient_finish(l->device, l->weight, l->d_weight);
  struct error error = {0};
  if (!CHECK(l->ops->synchronize(l->device, &error))) printf("# %s\n", error.text);
}
static void layer_free(struct layer *l) {
  l->ops->weight_free(l->device, l->weight);
  l->ops->free(l->device, l->memory);
  l->ops->free(l->device, l->saved);
  l->ops->free(l->device, l->workspace);
  l->ops->close(l->device);
  free(l->master);
  free(l->x);
  free(l->y);
  free(l->d_y);
  free(l->d_x);
  free(l->d_weight);
  arena_free(&l->arena);
}

// Root mean square of the difference over that of `b`.
static double distance(const float *a, const float *b, int64_t count) {
  double difference = 0, square = 0;
  for (int64_t i = 0; i < count; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    square += (double)b[i] * (double)b[i];
  }
  return sqrt(difference / square);
}

static void identity_equals_plain(void) {
  // Noise of relative deviation 1e-6 stands for a quantizer that changes nothing, with all that goes around it.
  static const char *const formats[] = {
      "w(noise(1e-12)[hadamard])",
      "a(noise(1e-12)[hadamard])",
      "w(noise(1e-12)[hadamard])a(noise(1e-12)[hadamard])",
      "w(noise(1e-12)[hadamard(32)])a(noise(1e-12)[hadamard(16)])",
      "w(noise(1e-12)[random-hadamard])a(noise(1e-12)[random-hadamard])",
      "w(noise(1e-12))a(noise(1e-12)[hadamard])",
      "g(noise(1e-12))",
      "g(noise(1e-12)[random-hadamard])",
      "w(noise(1e-12)[hadamard])a(noise(1e-12)[hadamard])g(noise(1e-12)[random-hadamard-up-to(32)])[requantize]",
      "w(noise(1e-12)[random-hadamard])a(noise(1e-12)[random-hadamard])g(noise(1e-12))[requantize]",
      "g(noise(1e-12)[random-hadamard])[requantize]",
      "w(noise(1e-12)[hadamard])a(noise(1e-12)[hadamard])g(noise(1e-12))[original]",
      "w(noise(1e-12)[hadamard])a(noise(1e-12)[hadamard])g(noise(1e-12))[original,token-hadamard]",
      "w(noise(1e-12)[hadamard])a(noise(1e-12)[hadamard])[original]",
      "w(sparse(0))",
      "w(sparse(0,pass))a(sparse(0))",
      "w(8:8)a(4:4)",
      "w(sparse(0)+noise(1e-12)[hadamard])a(noise(1e-12)[hadamard])"};
  struct layer plain = layer_make("none", isa_best(), 1, 7);
  layer_run(&plain, 0);
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    struct layer l = layer_make(formats[i], isa_best(), 1, 7);
    layer_run(&l, 0);
    double y = distance(l.y, plain.y, ROWS * OUTPUTS), d_x = distance(l.d_x, plain.d_x, ROWS * INPUTS),
           d_w = distance(l.d_weight, plain.d_weight, OUTPUTS * INPUTS);
    if (!(y < 1e-5 && d_x < 1e-5 && d_w < 1e-5)) {
      printf("# %s: y differs by %.2g, d_x by %.2g, d_weight by %.2g\n", formats[i], y, d_x, d_w);
      check_failures++;
    }
    layer_free(&l);
  }
  layer_free(&plain);
}

// --- QuEST against its formulas --------------------------------------------------------------------------------------

// Represented rows and mask bits through the passes of the portable level, in the transformed domain.
static void represent(const char *text, int64_t rows, const float *from, float *to, uint8_t *mask) {
  struct arena arena = {0};
  struct error error = {0};
  struct representation r;
  struct quantizer q;
  CHECK(representation_parse(text, &r, &arena, &error) && quantizer_make(&q, &r, INPUTS, &arena, &error));
  float *scratch = arena_array(&arena, (size_t)quantize_scratch(INPUTS), sizeof *scratch);
  struct quantize_call call = {.quantizer = &q, .from = from, .to = to, .mask = mask, .scratch = scratch};
  format_level_find(ISA_PORTABLE)->quantize(&call, 0, rows, 0);
  arena_free(&arena);
}
static bool bit(const uint8_t *mask, int64_t row, int64_t column) {
  return mask[row * mask_stride(INPUTS) + column / 8] >> column % 8 & 1;
}
// Rows times the block Hadamard matrix (its own inverse), in double.
static void turn(double *rows, int64_t count, int block) {
  for (int64_t at = 0; at < count; at += block) {
    double out[256];
    for (int a = 0; a < block; a++) {
      out[a] = 0;
      for (int b = 0; b < block; b++)
        out[a] += __builtin_popcount((unsigned)(a & b)) % 2 ? -rows[at + b] : rows[at + b];
    }
    for (int a = 0; a < block; a++) rows[at + a] = out[a] / sqrt(block);
  }
}

static void check_quest(const char *format, const char *w_text, const char *a_text, int block) {
  struct layer l = layer_make(format, ISA_PORTABLE, 1, 0);
  layer_run(&l, 0);
  static float wq[OUTPUTS * INPUTS], xq[ROWS * INPUTS];
  static uint8_t w_mask[OUTPUTS * (INPUTS / 8)], x_mask[ROWS * (INPUTS / 8)];
  represent(w_text, OUTPUTS, l.master, wq, w_mask);
  represent(a_text, ROWS, l.x, xq, x_mask);
  static float y[ROWS * OUTPUTS], d_x[ROWS * INPUTS], d_w[OUTPUTS * INPUTS];
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUTPUTS; j++) {
      double sum = 0;
      for (int k = 0; k < INPUTS; k++) sum += (double)xq[i * INPUTS + k] * (double)wq[j * INPUTS + k];
      y[i * OUTPUTS + j] = (float)sum;
    }
  double row[INPUTS];
  for (int i = 0; i < ROWS; i++) {
    for (int k = 0; k < INPUTS; k++) {
      row[k] = 0;
      for (int j = 0; j < OUTPUTS; j++) row[k] += (double)l.d_y[i * OUTPUTS + j] * (double)wq[j * INPUTS + k];
      if (!bit(x_mask, i, k)) row[k] = 0;
    }
    turn(row, INPUTS, block);
    for (int k = 0; k < INPUTS; k++) d_x[i * INPUTS + k] = (float)row[k];
  }
  for (int j = 0; j < OUTPUTS; j++) {
    for (int k = 0; k < INPUTS; k++) {
      row[k] = 0;
      for (int i = 0; i < ROWS; i++) row[k] += (double)l.d_y[i * OUTPUTS + j] * (double)xq[i * INPUTS + k];
      if (!bit(w_mask, j, k)) row[k] = 0;
    }
    turn(row, INPUTS, block);
    for (int k = 0; k < INPUTS; k++) d_w[j * INPUTS + k] = (float)row[k];
  }
  double at_y = distance(l.y, y, ROWS * OUTPUTS), at_x = distance(l.d_x, d_x, ROWS * INPUTS),
         at_w = distance(l.d_weight, d_w, OUTPUTS * INPUTS);
  if (!(at_y < 1e-5 && at_x < 1e-5 && at_w < 1e-5)) {
    printf("# %s: y is off by %.2g, d_x by %.2g, d_weight by %.2g\n", format, at_y, at_x, at_w);
    check_failures++;
  }
  layer_free(&l);
}
static void quest_formulas(void) {
  check_quest("w4a4", "int4", "int4", 32);
  check_quest("w1a1", "int1", "int1", 32);
  check_quest("w(paired-4:8+int4)a(int4)", "paired-4:8+int4", "int4", 32);
  check_quest("w4a4[no-hadamard]", "int4[no-hadamard]", "int4[no-hadamard]", 1);
  check_quest("quest-mxfp4", "quest-mxfp4", "quest-mxfp4", 32);
  check_quest("clip-w2a3", "clip-int2", "clip-int3", 1);
}

// Weights alone are represented where they are: activations stay, d_x is of the represented weights, and the gradient
// is masked in the transformed domain.
static void weights_alone(void) {
  struct layer l = layer_make("w2", isa_best(), 1, 0), plain = layer_make("none", isa_best(), 1, 0);
  layer_run(&l, 0);
  CHECK(l.ops->linear_saved_bytes(l.device, &l.description, ROWS) == 0);
  static float wq[OUTPUTS * INPUTS];
  static uint8_t mask[OUTPUTS * (INPUTS / 8)];
  represent("int2", OUTPUTS, l.master, wq, mask);
  static double values[OUTPUTS * INPUTS];
  for (int i = 0; i < OUTPUTS * INPUTS; i++) values[i] = (double)wq[i];
  for (int j = 0; j < OUTPUTS; j++) turn(values + j * INPUTS, INPUTS, 32);
  for (int i = 0; i < OUTPUTS * INPUTS; i++) plain.master[i] = (float)values[i];
  plain.ops->weight_prepare(plain.device, plain.weight, plain.master, 0);
  layer_run(&plain, 0);
  CHECK(distance(l.y, plain.y, ROWS * OUTPUTS) < 1e-5);
  CHECK(distance(l.d_x, plain.d_x, ROWS * INPUTS) < 1e-5);
  static float wanted[OUTPUTS * INPUTS];
  int masked = 0;
  for (int j = 0; j < OUTPUTS; j++) {
    double row[INPUTS];
    for (int k = 0; k < INPUTS; k++) row[k] = (double)plain.d_weight[j * INPUTS + k];
    turn(row, INPUTS, 32);
    for (int k = 0; k < INPUTS; k++)
      if (!bit(mask, j, k)) {
        row[k] = 0;
        masked++;
      }
    turn(row, INPUTS, 32);
    for (int k = 0; k < INPUTS; k++) wanted[j * INPUTS + k] = (float)row[k];
  }
  CHECK(masked > 100);
  CHECK(distance(l.d_weight, wanted, OUTPUTS * INPUTS) < 1e-5);
  layer_free(&l);
  layer_free(&plain);
}

// --- sparsity --------------------------------------------------------------------------------------------------------

// Densities follow the schedule, part by part; the gradient of what is pruned is 0.
static void schedules(void) {
  static const int64_t steps[] = {0, 30, 50, 70, 99};
  for (int i = 0; i < 5; i++) {
    struct layer l = layer_make("sparse(0.75,cubic(0.2,0.6),every(1))", isa_best(), 1, steps[i]);
    layer_run(&l, 0);
    double density = format_density(l.description.format, steps[i], 100);
    // d_y = rows of the identity gives back the represented weights as d_x.
    memset(l.d_y, 0, ROWS * OUTPUTS * sizeof(float));
    int64_t first = 0;
    for (int part = 0; part < PARTS; part++) {
      for (int j = 0; j < part_outputs[part] && j < ROWS; j++) {
        memset(l.d_y + j * OUTPUTS, 0, OUTPUTS * sizeof(float));
        l.d_y[j * OUTPUTS + first + j] = 1;
      }
      struct linear linear = {.weight = l.weight, .rows = ROWS};
      l.ops->linear_input_gradient(l.device, &linear, l.saved, l.d_y, l.d_x);
      int64_t kept = 0, alive = 0;
      for (int64_t j = 0; j < part_outputs[part]; j++)
        for (int k = 0; k < INPUTS; k++) {
          kept += l.d_x[j * INPUTS + k] != 0;
          alive += l.d_weight[(first + j) * INPUTS + k] != 0;
        }
      CHECK(kept == llround(density * (double)(part_outputs[part] * INPUTS)));
      CHECK(alive == kept);
      first += part_outputs[part];
    }
    layer_free(&l);
  }
}

// --- reproducibility -------------------------------------------------------------------------------------------------

static void same(const char *format, int64_t step, int64_t first_row, int threads, const struct layer *other,
                 bool wanted) {
  struct layer l = layer_make(format, isa_best(), threads, step);
  layer_run(&l, first_row);
  bool equal = memcmp(l.y, other->y, ROWS * OUTPUTS * 4) == 0 && memcmp(l.d_x, other->d_x, ROWS * INPUTS * 4) == 0 &&
               memcmp(l.d_weight, other->d_weight, OUTPUTS * INPUTS * 4) == 0;
  if (equal != wanted) {
    printf("# %s: step %lld, row %lld, %d threads: %s\n", format, (long long)step, (long long)first_row, threads,
           equal ? "the same" : "differs");
    check_failures++;
  }
  layer_free(&l);
}
static void reproducible(void) {
  static const char *const formats[] = {"w4a4",      "quartet-sr",       "halo2-int8",
                                        "fp8-mixed", "sparse(0.5)+int4", "w(int4)a(int4[stochastic])"};
  for (int i = 0; i < 6; i++) {
    struct layer l = layer_make(formats[i], isa_best(), 1, 3);
    layer_run(&l, 0);
    bool random = i == 1 || i == 5;
    same(formats[i], 3, 0, 1, &l, true);
    same(formats[i], 4, 0, 1, &l, !random);
    same(formats[i], 3, ROWS, 1, &l, !random);
    layer_free(&l);
  }
}

// LSQ: scales start at the best ones for the data and get the gradient of the represented values over
// sqrt(values * high), as the paper has it.
static double slope(double x, double scale, double high) {
  double z = x / scale, q = floor(z) + 0.5;
  if (z < -high) return -high;
  return z > high ? high : q - z;
}
static void learned_scales(void) {
  struct layer l = layer_make("none", isa_best(), 1, 0), lsq = layer_make("w3", isa_best(), 1, 0);
  layer_free(&lsq);
  struct error error = {0};
  static float learned[LEARNED_SCALES], d_learned[LEARNED_SCALES];
  memset(learned, 0, sizeof learned);
  memset(d_learned, 0, sizeof d_learned);
  layer_learned = learned;
  layer_d_learned = d_learned;
  lsq = layer_make("lsq-w3a2", isa_best(), 1, 0);
  layer_learned = layer_d_learned = NULL;
  layer_run(&lsq, 0);
  struct grid grids[2] = {grid_mid_rise(3), grid_mid_rise(2)};
  static float wq[OUTPUTS * INPUTS];
  int64_t first = 0;
  double g_x = 0, scale_x = (double)learned[WEIGHT_PARTS], square_x = 0;
  for (int i = 0; i < ROWS * INPUTS; i++) square_x += (double)lsq.x[i] * (double)lsq.x[i];
  CHECK_NEAR(scale_x, grid_gaussian_scale(&grids[1]) * sqrt(square_x / (ROWS * INPUTS)), 1e-5);
  static float xq[ROWS * INPUTS];
  for (int i = 0; i < ROWS * INPUTS; i++) {
    double z = fmin(fmax(floor((double)lsq.x[i] / scale_x) + 0.5, -1.5), 1.5);
    xq[i] = (float)(z * scale_x);
  }
  for (int part = 0; part < PARTS; first += part_outputs[part++]) {
    double scale = (double)learned[part], square = 0, gradient = 0;
    for (int64_t i = first * INPUTS; i < (first + part_outputs[part]) * INPUTS; i++) {
      square += (double)lsq.master[i] * (double)lsq.master[i];
      wq[i] = (float)(fmin(fmax(floor((double)lsq.master[i] / scale) + 0.5, -3.5), 3.5) * scale);
    }
    CHECK_NEAR(scale, grid_gaussian_scale(&grids[0]) * sqrt(square / (double)(part_outputs[part] * INPUTS)), 1e-5);
    for (int64_t j = first; j < first + part_outputs[part]; j++)
      for (int k = 0; k < INPUTS; k++) {
        double d = 0;
        for (int i = 0; i < ROWS; i++) d += (double)lsq.d_y[i * OUTPUTS + j] * (double)xq[i * INPUTS + k];
        gradient += d * slope((double)lsq.master[j * INPUTS + k], scale, 3.5);
      }
    CHECK_NEAR(d_learned[part], gradient / sqrt((double)(part_outputs[part] * INPUTS) * 3.5), 1e-4);
  }
  for (int i = 0; i < ROWS; i++)
    for (int k = 0; k < INPUTS; k++) {
      double d = 0;
      for (int j = 0; j < OUTPUTS; j++) d += (double)lsq.d_y[i * OUTPUTS + j] * (double)wq[j * INPUTS + k];
      g_x += d * slope((double)lsq.x[i * INPUTS + k], scale_x, 1.5);
    }
  CHECK_NEAR(d_learned[WEIGHT_PARTS], g_x / sqrt(INPUTS * 1.5), 1e-4);
  CHECK(fabsf(d_learned[WEIGHT_PARTS]) > 1e-3f && fabsf(d_learned[0]) > 1e-5f);
  layer_free(&lsq);
  // Without parameters it says so.
  lsq = layer_make("lsq-w3", isa_best(), 1, 0);
  CHECK(!lsq.ops->synchronize(lsq.device, &error) && strstr(error.text, "learned scale"));
  layer_free(&lsq);
  layer_free(&l);
}

// Masks that stay, and one threshold for several weights.
static void pruning(void) {
  static const char *const formats[] = {"sparse(0.6,global)", "sparse(0.6,monotone)", "sparse(0.6,global,monotone)",
                                        "sparse(0.6,cubic(0,1),every(1),global,monotone)"};
  for (int f = 0; f < 4; f++) {
    struct layer a = layer_make(formats[f], isa_best(), 1, 0), b = layer_make(formats[f], isa_best(), 1, 0);
    for (int i = 0; i < OUTPUTS * INPUTS; i++) b.master[i] = 3 * a.master[(i * 7) % (OUTPUTS * INPUTS)];
    bool monotone = f > 0, global = f != 1;
    float *m = random_floats(OUTPUTS * INPUTS, 7, 1);
    for (int64_t step = 0; step < 100; step += 33) {
      struct pruned_weight weights[2] = {{a.weight, a.master, m, NULL}, {b.weight, b.master, NULL, NULL}};
      a.ops->weights_prune(a.device, weights, 2, step);
      int64_t zero[2] = {0, 0}, total = OUTPUTS * INPUTS;
      double density = format_density(a.description.format, step, 100);
      for (int i = 0; i < total; i++) {
        zero[0] += a.master[i] == 0;
        zero[1] += b.master[i] == 0;
        if (a.master[i] == 0 && monotone) CHECK(m[i] == 0);
      }
      if (monotone && global) {
        CHECK(llabs(zero[0] + zero[1] - (2 * total - llround(density * (double)(2 * total)))) <= 0);
        CHECK(zero[0] > zero[1]);  // the other's weights are three times as large
      }
      if (monotone && !global) CHECK(llabs(zero[0] - (total - llround(density * (double)total))) <= PARTS);
      if (!monotone) CHECK(zero[0] == 0 && zero[1] == 0);
      // The represented weights have the same zeroes: an identity as d_y shows rows of them.
      a.ops->weight_prepare(a.device, a.weight, a.master, step);
      memset(a.d_y, 0, ROWS * OUTPUTS * sizeof(float));
      for (int j = 0; j < ROWS; j++) a.d_y[j * OUTPUTS + j] = 1;
      struct linear linear = {.weight = a.weight, .rows = ROWS};
      a.ops->linear_input_gradient(a.device, &linear, a.saved, a.d_y, a.d_x);
      int64_t pruned = 0, wrong = 0;
      for (int i = 0; i < ROWS * INPUTS; i++) {
        pruned += a.d_x[i] == 0;
        wrong += a.d_x[i] != 0 && a.d_x[i] != a.master[i];
      }
      CHECK(wrong == 0 && pruned > (int64_t)((1 - density) * 0.7 * ROWS * INPUTS));
    }
    free(m);
    layer_free(&a);
    layer_free(&b);
  }
}

// Every preset and some more run and give finite results near the plain ones.
static void every_recipe(void) {
  struct layer plain = layer_make("none", isa_best(), 1, 1);
  layer_run(&plain, 0);
  for (const struct format_preset *preset = format_presets; preset->name; preset++) {
    struct layer l = layer_make(preset->name, isa_best(), 1, 1);
    layer_run(&l, 0);
    double y = distance(l.y, plain.y, ROWS * OUTPUTS), d_x = distance(l.d_x, plain.d_x, ROWS * INPUTS),
           d_w = distance(l.d_weight, plain.d_weight, OUTPUTS * INPUTS);
    // Two operands of 4 bits with relative errors near 0.116 each, and half of that again for gradients.
    double allowed = strstr(preset->name, "int8")   ? 0.03
                     : strstr(preset->name, "fp8")  ? 0.07
                     : strstr(preset->name, "int6") ? 0.12
                                                    : 0.35;
    if (!(y < allowed && d_x < allowed && d_w < allowed && y > 1e-4)) {
      printf("# %s: y differs by %.3g, d_x by %.3g, d_weight by %.3g\n", preset->name, y, d_x, d_w);
      check_failures++;
    }
    layer_free(&l);
  }
  layer_free(&plain);
}

// A micro-batch adds to what is there.
static void accumulation(void) {
  static const char *const formats[] = {"none", "w4a4", "quartet", "halo1-int8", "g8"};
  for (int i = 0; i < 5; i++) {
    struct layer l = layer_make(formats[i], isa_best(), 1, 1);
    layer_run(&l, 0);
    struct linear linear = {.weight = l.weight, .rows = ROWS};
    static float once[OUTPUTS * INPUTS], twice[OUTPUTS * INPUTS];
    l.ops->linear_weight_gradient(l.device, &linear, l.x, l.saved, l.d_y, once, false);
    memcpy(twice, once, sizeof twice);
    l.ops->linear_weight_gradient(l.device, &linear, l.x, l.saved, l.d_y, twice, true);
    for (int k = 0; k < OUTPUTS * INPUTS; k++) once[k] *= 2;
    CHECK(distance(twice, once, OUTPUTS * INPUTS) < 1e-6);
    layer_free(&l);
  }
}

int main(void) {
  RUN(identity_equals_plain);
  RUN(quest_formulas);
  RUN(weights_alone);
  RUN(schedules);
  RUN(learned_scales);
  RUN(pruning);
  RUN(every_recipe);
  RUN(accumulation);
  RUN(reproducible);
  return check_end();
}
