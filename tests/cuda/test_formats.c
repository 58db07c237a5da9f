// Formats on the tested device against the CPU's: represented weights, activations and gradients and their masks bit
// for bit where the arithmetic allows it, against levels searched for in double precision, and whole layers of every
// kind of format at odd shapes; pruning; shapes that cannot be.
#include "kernels/formats/apply.h"
#include "kernels/formats/grid.h"
#include "tests/cuda/format_layer.h"

static struct array array_identity(enum dtype dtype, int64_t size) {
  struct array array = array_empty(dtype, size * size);
  for (int64_t i = 0; i < size; i++) array.values[i * size + i] = 1;
  array_write(&array);
  return array;
}

// Normal values, of which some are 0 of either sign, and some so small that only their sign is left.
static struct array array_with_zeroes(int64_t count, double deviation) {
  static const double few[] = {0.0, -0.0, 1e-20, -1e-20};
  struct array array = array_normal(DTYPE_FLOAT32, count, deviation);
  for (int64_t i = 0; i < count; i += 5) array.values[i] = few[i / 5 % 4];
  array_write(&array);
  return array;
}

// How many elements differ between the devices by more than `relative` of themselves and `absolute`; at most `allowed`
// (values that stand at a rounding's edge when the scale's last bit differs).
static void same_values(struct array *array, double relative, double absolute, int64_t allowed, const char *format,
                        const char *what) {
  double *cpu = malloc(((size_t)array->count + 1) * sizeof *cpu);
  array_fetch(array, TESTED, array->values);
  array_fetch(array, REFERENCE, cpu);
  int64_t differ = 0, first = -1;
  for (int64_t i = 0; i < array->count; i++) {
    if (fabs(array->values[i] - cpu[i]) <= relative * fabs(cpu[i]) + absolute) continue;
    if (first < 0) first = i;
    differ++;
  }
  if (differ > allowed) {
    printf("# %s: %s: %lld of %lld differ, the first is %lld: %.9g, on the CPU %.9g\n", format, what, (long long)differ,
           (long long)array->count, (long long)first, array->values[first], cpu[first]);
    check_failures++;
  }
  free(cpu);
}

// ---- representations ----

// With x the identity y^T is the represented weights; a random gradient through weight_gradient_finish shows the mask.
// With the identity as weights y is the represented activations, and d_x shows theirs.
static void representation_case(const char *text, int64_t columns, double relative, int64_t allowed, bool weights,
                                bool activations) {
  enum { OUTPUTS = 9, ROWS = 7 };
  char format[200];
  double absolute = relative;
  if (weights) {
    snprintf(format, sizeof format, "w(%s)", text);
    struct layer l = layer_make(format, columns, columns, OUTPUTS, DTYPE_FLOAT32);
    struct array master = array_with_zeroes(OUTPUTS * columns, 0.7);
    struct array x = array_identity(DTYPE_FLOAT32, columns), y = array_empty(DTYPE_FLOAT32, columns * OUTPUTS);
    struct array d_w = array_normal(DTYPE_FLOAT32, OUTPUTS * columns, 1.3);
    layer_prepare(&l, &master, 41);
    for (int s = 0; s < 2; s++) {
      struct linear linear = {.weight = l.weight[s], .rows = columns};
      ops[s]->linear_forward(device[s], &linear, x.data[s], l.saved[s], y.data[s]);
      ops[s]->weight_gradient_finish(device[s], l.weight[s], d_w.data[s]);
    }
    same_values(&y, relative, absolute, allowed, format, "weights");
    same_values(&d_w, relative, absolute, allowed, format, "their gradient");
    layer_free(&l);
    struct array *all[] = {&master, &x, &y, &d_w};
    arrays_free(all, COUNT_OF(all));
  }
  if (activations) {
    snprintf(format, sizeof format, "a(%s)", text);
    struct layer l = layer_make(format, ROWS, columns, columns, DTYPE_FLOAT32);
    struct array master = array_identity(DTYPE_FLOAT32, columns), x = array_with_zeroes(ROWS * columns, 1.1);
    struct array y = array_empty(DTYPE_FLOAT32, ROWS * columns), d_x = array_empty(DTYPE_FLOAT32, ROWS * columns);
    struct array d_y = array_normal(DTYPE_FLOAT32, ROWS * columns, 1);
    layer_prepare(&l, &master, 41);
    for (int s = 0; s < 2; s++) {
      struct linear linear = {.weight = l.weight[s], .rows = ROWS, .first_row = 1000};
      ops[s]->linear_forward(device[s], &linear, x.data[s], l.saved[s], y.data[s]);
      ops[s]->linear_input_gradient(device[s], &linear, l.saved[s], d_y.data[s], d_x.data[s]);
    }
    same_values(&y, relative, absolute, allowed, format, "activations");
    same_values(&d_x, relative, absolute, allowed, format, "their gradient");
    layer_free(&l);
    struct array *all[] = {&master, &x, &y, &d_x, &d_y};
    arrays_free(all, COUNT_OF(all));
  }
}

// Scales that no order of summation goes into: the same bits.
static void same_bits(void) {
  static const char *const either[] = {
      "int4[absmax,no-hadamard,ste]",
      "int4[absmax,row,clip,no-hadamard,stochastic]",
      "int4-tread[absmax,tensor,no-hadamard,trust]",
      "int3-twos[absmax,group(16),no-hadamard,clip]",
      "int1[absmax,no-hadamard,trust]",
      "int2[static(0.7),no-hadamard,trust]",
      "ternary[absmax,group(24),no-hadamard,trust]",
      "nf4",
      "int4[absmax,group(4),power-round,no-hadamard,trust]",
      "int8-tread[absmax,group(512),power-ceil,no-hadamard,ste]",
      "fp4-e2m1[static(0.4),no-hadamard,trust]",
      "fp8-e4m3[absmax,tensor,no-hadamard,clip]",
      "fp8-e5m2[absmax,row,no-hadamard,stochastic,ste]",
      "fp6-e3m2[absmax,group(8),power-floor,no-hadamard,trust]",
      "mxfp4",
      "mxfp4[stochastic]",
      "mxfp8",
      "mxint8",
      "nvfp4",
      "nvfp4[stochastic]",
      "nvfp4[four-over-six]",
      "nvfp4[four-over-six,group(8)]",
      "nvfp4[e4m3-floor]",
      "nvfp4[e4m3-ceil,scale-max(256)]",
      "mxfp4[power-even]",
      "mxfp8[power-even,stochastic]",
      "mxint8[power-even]",
      "int4-zero-g32",
      "nvfp4[eden]",
      "fp4-e2m1[absmax(0.988125),group(16),e4m3-scale,scale-max(255.99),eden,hadamard(64),ste]",
      "int4[absmax,row,e4m3-scale,no-hadamard,ste]",
      "levels(-1 -0.3 0.2 1)[absmax,no-hadamard,trust]",
      "levels(-1 -0.3 0.3 1)[absmax,no-hadamard,trust]",
      "levels(-1 -0.3 0.2 1)[static(0.9),no-hadamard,stochastic,clip]",
      "levels(-1 0 0.5 1)[absmax,group(40),no-hadamard,ste]",
      "vq2-16[static(0.9),no-hadamard,trust]",
      "vq4-16[static(0.8),no-hadamard,clip]",
      "int4[absmax,hadamard(16),trust]",
      "int4[absmax,tensor,random-hadamard(64),trust]",
      "fp4-e2m1[absmax,group(32),random-hadamard(4),ste]",
      "2:4",
      "3:8",
      "5:16",
      "paired-4:8",
      "paired-2:4",
      "paired-6:16",
      "2:4+int4[absmax,no-hadamard,trust]",
      "2:4(trust)+int4[absmax,no-hadamard,trust]",
      "1:4(pass)+mxfp4",
      "5:16+int4[absmax,hadamard(16),trust]",
      "sparse(0.4,row)",
      "sparse(0.4,row)+int4[absmax,hadamard(16),trust]",
      "sparse(0.4,row,trust)+levels(-1 -0.3 0.2 1)[absmax,no-hadamard,trust]",
  };
  static const char *const of_weights[] = {"nvfp4[square(16)]",
                                           "nvfp4[square(16),four-over-six]",
                                           "int5[absmax,square(16),power-even,no-hadamard,clip]",
                                           "sparse(0.5)",
                                           "sparse(0.31,global)",
                                           "sparse(0.5)+int4[absmax,hadamard(16),trust]",
                                           "sparse(0.5,pass)",
                                           "random-sparse(0.3)",
                                           "random-sparse(0.6)+int4[absmax,no-hadamard,clip]",
                                           "sparse(0.5,cubic(0.1,0.8),every(5),steps)"};
  for (size_t i = 0; i < COUNT_OF(either); i++) {
    representation_case(either[i], 64, 0, 0, true, true);
    // More than a chunk, more than a block's share, octets that are not whole: where the format divides it.
    if (i % 4 == 0) representation_case(either[i], strstr(either[i], "64") ? 1344 : 1072, 0, 0, i % 8 == 0, i % 8 == 4);
  }
  for (size_t i = 0; i < COUNT_OF(of_weights); i++) representation_case(of_weights[i], 80, 0, 0, true, false);
  static const char *const odd[] = {"int4[absmax,no-hadamard,trust]",
                                    "mxfp4[stochastic]",
                                    "nvfp4",
                                    "levels(-1 -0.3 0.2 1)[absmax,no-hadamard,trust]",
                                    "sparse(0.4,row)",
                                    "int3[absmax,group(7),no-hadamard,stochastic,trust]"};
  for (size_t i = 0; i < COUNT_OF(odd); i++) {
    representation_case(odd[i], 37, 0, 0, true, true);
    representation_case(odd[i], 1, 0, 0, true, true);
  }
}

// Scales that sums go into (rms, learned), transforms by other factors than powers of two, logarithms: the last bit.
static void same_up_to_sums(void) {
  static const char *const either[] = {"int4",
                                       "int2",
                                       "int1",
                                       "int4[rms,tensor,no-hadamard,clip]",
                                       "int4[rms,group(32),no-hadamard,trust]",
                                       "int4[rms,group(12),no-hadamard,stochastic,trust]",
                                       "int4[random-hadamard,stochastic]",
                                       "quest-mxfp4",
                                       "quest-nvfp4",
                                       "vq2-64",
                                       "vq4-256[no-hadamard]",
                                       "levels(-1 -0.3 0.2 1)[rms]",
                                       "2:4+int4",
                                       "sparse(0.5,row,rms(0.2))+int4[absmax,no-hadamard,ste]",
                                       "sparse(0.5,row,b-rms(0.2))",
                                       "noise(0.01)",
                                       "noise(0.3)[group(24)]",
                                       "lsq-int4",
                                       "lsq-int2-twos"};
  static const char *const of_weights[] = {"seq-int1",
                                           "seq-int2",
                                           "seq-ternary",
                                           "sparse(0.5,rms(0.2))",
                                           "sparse(0.6,b-rms(0.3))",
                                           "sparse(0.6,a-b-rms(0.4))",
                                           "sparse(0.6,a-b-rms(0.4),global)+int4[no-hadamard]",
                                           "sparse(0.5,trust)+int4"};
  for (size_t i = 0; i < COUNT_OF(either); i++) {
    representation_case(either[i], 96, 2e-6, 2, true, true);
    if (i % 4 == 0) representation_case(either[i], 288, 3e-6, 12, i % 8 == 0, true);
  }
  for (size_t i = 0; i < COUNT_OF(of_weights); i++) representation_case(of_weights[i], 96, 2e-6, 2, true, false);
}

// ---- layers ----

// Root mean squares of differences: rounding's edges move a value by a whole cell, here and there.
static void near_values(struct array *array, double tolerance, const char *format, const char *what) {
  double *cpu = malloc(((size_t)array->count + 1) * sizeof *cpu), off = 0, square = 0;
  array_fetch(array, TESTED, array->values);
  array_fetch(array, REFERENCE, cpu);
  for (int64_t i = 0; i < array->count; i++) {
    off += (array->values[i] - cpu[i]) * (array->values[i] - cpu[i]);
    square += cpu[i] * cpu[i];
  }
  if (!(sqrt(off) <= tolerance * sqrt(square))) {
    printf("# %s: %s differ by %.3g\n", format, what, sqrt(off / square));
    check_failures++;
  }
  free(cpu);
}
static void layer_case(const char *text, int64_t rows, int64_t inputs, int64_t outputs, enum dtype dtype) {
  struct layer l = layer_make(text, rows, inputs, outputs, dtype);
  struct array master = array_normal(DTYPE_FLOAT32, outputs * inputs, 0.1), x = array_normal(dtype, rows * inputs, 1);
  struct array y = array_empty(dtype, rows * outputs), d_y = array_normal(dtype, rows * outputs, 0.5);
  struct array d_x = array_empty(dtype, rows * inputs), d_w = array_empty(DTYPE_FLOAT32, outputs * inputs);
  layer_prepare(&l, &master, 17);
  layer_run(&l, &x, &y, &d_y, &d_x, &d_w);
  double tolerance = dtype == DTYPE_FLOAT32 ? 2e-3 : 1e-2;
  near_values(&y, tolerance, text, "y");
  near_values(&d_x, tolerance, text, "d_x");
  near_values(&d_w, tolerance, text, "d_weight");
  if (format_has_learned_scales(l.description.format)) {
    struct array scales = {DTYPE_FLOAT32, LEARNED_SCALES, {l.learned[0], l.learned[1]}, calloc(LEARNED_SCALES, 8)};
    near_values(&scales, 1e-5, text, "learned scales");
    memcpy(scales.data, l.d_learned, sizeof scales.data);
    near_values(&scales, tolerance, text, "gradients of learned scales");
    free(scales.values);
  }
  layer_free(&l);
  struct array *all[] = {&master, &x, &y, &d_y, &d_x, &d_w};
  arrays_free(all, COUNT_OF(all));
}
static void layers(void) {
  static const char *const texts[] = {"w4a4",
                                      "w(int4)a(int4[random-hadamard])",
                                      "w(int4[random-hadamard])a(int4[random-hadamard])",
                                      "lsq-w4a4",
                                      "w(seq-int2)a(int8)",
                                      "mxfp4",
                                      "quartet-rtn",
                                      "quartet",
                                      "quartet2",
                                      "tetrajet2",
                                      "nvidia-nvfp4",
                                      "w(nvfp4[square(16),four-over-six])a(mxfp4)g(nvfp4[random-hadamard(16)])[tokens]",
                                      "w(int8[absmax,square(16),power-ceil,no-hadamard,clip])a(int4-zero-g32)",
                                      "halo0-int8",
                                      "halo1-int8",
                                      "halo2-int6",
                                      "halo2-fp8",
                                      "fp8-mixed",
                                      "w4a4g8",
                                      "w(2:4+int4)a(sparse(0.3)+int8)g(mxfp4)",
                                      "g(int4[absmax,row,stochastic])",
                                      "w(nvfp4)a(nvfp4)g(nvfp4[stochastic,random-hadamard(16)])[requantize]",
                                      "g(mxfp4[random-hadamard-up-to(32)])[requantize]",
                                      "w(int4[ste])a(int4[ste])[original]",
                                      "w(sparse(0.5,global)+int4)a(int4)",
                                      "a(noise(0.02))"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    layer_case(texts[i], 16, 48, 80, DTYPE_FLOAT32);
    if (i % 2 == 0) layer_case(texts[i], 32, 16, 32, DTYPE_BFLOAT16);
    layer_window = 48;  // three windows, in which groups of 32 are short
    layer_case(texts[i], 144, 48, 80, i % 3 ? DTYPE_FLOAT32 : DTYPE_BFLOAT16);
    layer_window = 0;
  }
}

// ---- master weights in bfloat16 ----

// The same values kept in float32 give the same represented weights and gradients, on each device.
static void master_case(const char *text) {
  enum { INPUTS = 80, OUTPUTS = 11 };
  struct array x = array_identity(DTYPE_BFLOAT16, INPUTS), values = array_normal(DTYPE_BFLOAT16, OUTPUTS * INPUTS, 0.7);
  struct array gradient = array_normal(DTYPE_FLOAT32, OUTPUTS * INPUTS, 1.3);
  struct array y[2], d_w[2];
  for (enum dtype master = DTYPE_FLOAT32; master <= DTYPE_BFLOAT16; master++) {
    struct layer l = layer_make_of(text, INPUTS, INPUTS, OUTPUTS, DTYPE_BFLOAT16, master);
    struct array weights = array_empty(master, OUTPUTS * INPUTS);
    memcpy(weights.values, values.values, OUTPUTS * INPUTS * sizeof *values.values);
    array_write(&weights);
    y[master] = array_empty(DTYPE_BFLOAT16, INPUTS * OUTPUTS);
    d_w[master] = array_empty(DTYPE_FLOAT32, OUTPUTS * INPUTS);
    memcpy(d_w[master].values, gradient.values, OUTPUTS * INPUTS * sizeof *gradient.values);
    array_write(&d_w[master]);
    layer_prepare(&l, &weights, 41);
    for (int s = 0; s < 2; s++) {
      struct linear linear = {.weight = l.weight[s], .rows = INPUTS, .dtype = DTYPE_BFLOAT16};
      ops[s]->linear_forward(device[s], &linear, x.data[s], l.saved[s], y[master].data[s]);
      ops[s]->weight_gradient_finish(device[s], l.weight[s], d_w[master].data[s]);
    }
    layer_free(&l);
    array_free(&weights);
  }
  same_values(&y[DTYPE_BFLOAT16], 1e-2, 1e-2, 2, text, "weights");
  same_values(&d_w[DTYPE_BFLOAT16], 2e-6, 2e-6, 2, text, "their gradient");
  for (int s = 0; s < 2; s++)
    for (int which = 0; which < 2; which++) {
      struct array *pair = which ? d_w : y;
      array_fetch(&pair[0], s, pair[0].values);
      array_fetch(&pair[1], s, pair[1].values);
      if (!CHECK(memcmp(pair[0].values, pair[1].values, (size_t)pair[0].count * sizeof *pair[0].values) == 0))
        printf("# %s: %s on the %s\n", text, which ? "gradients" : "weights", s == TESTED ? "device" : "CPU");
    }
  struct array *all[] = {&x, &values, &gradient, &y[0], &y[1], &d_w[0], &d_w[1]};
  arrays_free(all, COUNT_OF(all));
}
static void masters(void) {
  static const char *const texts[] = {"a(int8)",
                                      "int4",
                                      "w(mxfp4[stochastic])a(mxfp4)",
                                      "w(int4)a(int4)",
                                      "int4[absmax,tensor,random-hadamard,clip]",
                                      "int4[absmax,group(12),hadamard(16),trust]",
                                      "2:4+int4",
                                      "sparse(0.5)",
                                      "sparse(0.31,global,rms(0.2))",
                                      "sparse(0.5)+int4[absmax,hadamard(16),trust]",
                                      "sparse(0.4,row)",
                                      "lsq-w4a4",
                                      "halo1-int8"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) master_case(texts[i]);
  // Float32 products of them would be wider than what is kept: no weight.
  struct error error = {0};
  struct weight_description d = {.outputs = 4, .inputs = 16, .master = DTYPE_BFLOAT16};
  void *memory = both_allocate(TESTED, 4096);
  CHECK(ops[TESTED]->weight_create(device[TESTED], &d, memory, &error) == NULL);
  CHECK_TEXT(error.text, "a master weight in bfloat16 is for products in bfloat16, not in float32");
  ops[TESTED]->free(device[TESTED], memory);
}

// ---- pruning ----

// Masks that stay, with their moments, over one weight or several; ties are kept in order.
static void pruning_case(const char *text, int64_t step, enum dtype master_dtype, enum dtype state) {
  enum { WEIGHTS = 3 };
  static const int64_t outputs[WEIGHTS] = {5, 9, 4}, inputs = 33;
  struct layer l[WEIGHTS];
  struct array master[WEIGHTS], m[WEIGHTS], v[WEIGHTS];
  struct pruned_weight pruned[2][WEIGHTS];
  for (int i = 0; i < WEIGHTS; i++) {
    int64_t count = outputs[i] * inputs;
    l[i] = layer_make_of(text, 4, inputs, outputs[i], master_dtype, master_dtype);
    master[i] = array_normal(master_dtype, count, 1);
    for (int64_t k = 0; k < count; k++)  // many ties
      master[i].values[k] = copysign(ceil(4 * fabs(master[i].values[k])) / 4, master[i].values[k]);
    array_write(&master[i]);
    m[i] = array_normal(state, count, 1);
    v[i] = array_normal(state, count, 1);
    for (int s = 0; s < 2; s++)
      pruned[s][i] = (struct pruned_weight){.weight = l[i].weight[s],
                                            .master = master[i].data[s],
                                            .m = m[i].data[s],
                                            .v = i == 1 ? NULL : v[i].data[s],
                                            .state = state};
  }
  for (int s = 0; s < 2; s++) {
    ops[s]->weights_prune(device[s], pruned[s], WEIGHTS, step);
    for (int i = 0; i < WEIGHTS; i++) ops[s]->weight_prepare(device[s], l[i].weight[s], master[i].data[s], step);
  }
  struct array x = array_identity(master_dtype, inputs);
  for (int i = 0; i < WEIGHTS; i++) {
    struct array y = array_empty(master_dtype, inputs * outputs[i]);
    for (int s = 0; s < 2; s++) {
      struct linear linear = {.weight = l[i].weight[s], .rows = inputs, .dtype = master_dtype};
      ops[s]->linear_forward(device[s], &linear, x.data[s], NULL, y.data[s]);
    }
    same_values(&y, 0, 0, 0, text, "weights");
    same_values(&master[i], 0, 0, 0, text, "masters");
    same_values(&m[i], 0, 0, 0, text, "first moments");
    same_values(&v[i], 0, 0, 0, text, "second moments");
    layer_free(&l[i]);
    struct array *all[] = {&master[i], &m[i], &v[i], &y};
    arrays_free(all, COUNT_OF(all));
  }
  array_free(&x);
}
static void pruning(void) {
  pruning_case("sparse(0.5)", 3, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0.7,global)", 3, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0.7,global,monotone)", 0, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0.4,monotone)", 0, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0.4,monotone)", 1, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0.8,journey,every(10))", 50, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0)", 0, DTYPE_FLOAT32, DTYPE_FLOAT32);
  pruning_case("sparse(0.7,global,monotone)", 0, DTYPE_FLOAT32, DTYPE_BFLOAT16);
  pruning_case("sparse(0.4,monotone)", 0, DTYPE_FLOAT32, DTYPE_BFLOAT16);
  pruning_case("sparse(0.7,global)", 3, DTYPE_BFLOAT16, DTYPE_FLOAT32);
  pruning_case("sparse(0.7,global,monotone)", 0, DTYPE_BFLOAT16, DTYPE_BFLOAT16);
  pruning_case("sparse(0.4,monotone)", 0, DTYPE_BFLOAT16, DTYPE_FLOAT32);
}

// ---- what cannot be ----
static void refusals(void) {
  static const struct {
    const char *text;
    int64_t rows, inputs, outputs;
    const char *message;
  } cases[] = {
      {"int4[hadamard(64)]", 8, 48, 8, "a Hadamard block of 64 does not divide an axis of 48"},
      {"2:4", 8, 42, 8, "groups of 4 do not divide an axis of 42"},
      {"a(vq4-16)", 8, 42, 8, "vectors of 4 do not divide an axis of 42"},
      {"g(mxfp4[hadamard(32)])", 48, 64, 64, "a Hadamard block of 32 does not divide an axis of 48"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct error error = {0};
    struct weight_description d = {
        .outputs = cases[i].outputs, .inputs = cases[i].inputs, .format = format_parse(cases[i].text, &arena, &error)};
    struct op_shape shape = {.rows = cases[i].rows, .weight = &d, .training = true};
    CHECK(!ops[TESTED]->shape_supported(device[TESTED], OP_LINEAR, &shape, &error));
    CHECK(error.code == EXIT_USAGE_ERROR);
    if (!CHECK(strstr(error.text, cases[i].message) != NULL)) printf("# %s\n", error.text);
  }
}

int main(void) {
  devices_begin();
  RUN(same_bits);
  RUN(same_up_to_sums);
  RUN(layers);
  RUN(masters);
  RUN(pruning);
  RUN(refusals);
  devices_end();
  arena_free(&arena);
  return check_end();
}
