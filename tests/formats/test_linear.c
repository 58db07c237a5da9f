// Linear layers with formats through the ops table: every recipe with a quantizer that changes nothing equals the plain
// layer; QuEST's forward and backward pass against their formulas; randomness by step and
// row.
#include "tests/formats/layer.h"

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
      "g(noise(1e-12)[signed-hadamard])[requantize]",
      "w(noise(1e-12))a(noise(1e-12))g(noise(1e-12)[signed-hadamard(16)])[tokens]",
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

// ---- QuEST against its formulas ----

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

// ---- reproducibility ----

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
                     // The published kernel's scale is smaller than the best, and its error twice that.
                     : strcmp(preset->name, "quartet-code") == 0 ? 0.45
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
  RUN(every_recipe);
  RUN(accumulation);
  RUN(reproducible);
  return check_end();
}
