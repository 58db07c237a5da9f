// Native products (kernels/cuda/native_sizes.h): a layer's products of FP8 and FP4 codes against the same device's
// products of values, against double precision, and against the values that the codes stand for; which products are
// native where; what happens where the library has none; and mistakes that must be found.
#include "kernels/cuda/format_sizes.h"
#include "kernels/cuda/native_sizes.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/scale_value.h"
#include "tests/cuda/format_layer.h"

#if defined(TEST_ON_GPU)
enum { EMULATED = 0 };
static void isoloss_emulator_capability(int capability) { (void)capability; }
static unsigned long long isoloss_emulator_narrow_products(void) { return 0; }
#else
enum { EMULATED = 1 };
extern void isoloss_emulator_capability(int capability);
extern unsigned long long isoloss_emulator_narrow_products(void);
extern void isoloss_emulator_refuse_narrow(int refuse);
extern void isoloss_emulator_scales_by_rows(int by_rows);
extern float isoloss_emulator_number(int exponent_bits, int code);
extern int isoloss_emulator_code(int exponent_bits, float value);
extern int isoloss_emulator_scale_code(float value, int up);
#endif

// ---- the two devices ----

// Both are the tested backend, at a compute capability: TESTED with native products, REFERENCE with or without. A GPU
// is what it is: false where it is another one.
static bool devices_with(int capability, bool both) {
  setenv("ISOLOSS_TRIALS", "off", 1);
  isoloss_emulator_capability(capability);
  for (int s = 0; s < 2; s++) {
    struct error error = {0};
    struct device_options options = {.threads = 1};
    setenv("ISOLOSS_NATIVE", s == TESTED || both ? "on" : "off", 1);
    ops[s] = ops_find(TEST_BACKEND, &error);
    device[s] = ops[s] ? ops[s]->open(&options, &error) : NULL;
    if (!device[s]) give_up(&error);
  }
  unsetenv("ISOLOSS_NATIVE");
  struct text about = {0};
  ops[TESTED]->describe(device[TESTED], &about);
  int major = 0, minor = 0;
  const char *at = strstr(text_string(&about), "compute capability ");
  bool fits = at && sscanf(at, "compute capability %d.%d", &major, &minor) == 2 && major * 10 + minor == capability;
  text_free(&about);
  if (!fits) devices_end();
  return fits;
}

static bool devices_of(int capability) { return devices_with(capability, false); }

// ---- layers ----
enum { Y = 1, D_X = 2, D_W = 4, ALL = Y | D_X | D_W };
struct layer_case {
  const char *format;
  int64_t rows, inputs, parts[3];  // 0: none
  enum dtype dtype;
  int native;      // which products are
  int64_t window;  // 0: all rows
};
struct layer_result {
  struct array master, x, y, d_y, d_x, d_w;
  unsigned long long native[3];  // products of codes
};
static struct layer case_layer(const struct layer_case *c) {
  int parts = c->parts[2] ? 3 : c->parts[1] ? 2 : 0;
  layer_window = c->window;
  return layer_make_parts(c->format, c->rows, c->inputs, c->parts, parts, c->dtype, DTYPE_FLOAT32);
}
// Activations differ a hundredfold between columns and gradients between rows, so that scales of blocks do.
static struct layer_result case_run(struct layer *l) {
  int64_t rows = l->rows, inputs = l->description.inputs, outputs = l->description.outputs;
  enum dtype dtype = l->description.dtype;
  struct layer_result r = {.master = array_normal(DTYPE_FLOAT32, outputs * inputs, 0.1),
                           .x = array_normal(dtype, rows * inputs, 1),
                           .y = array_empty(dtype, rows * outputs),
                           .d_y = array_normal(dtype, rows * outputs, 0.5),
                           .d_x = array_empty(dtype, rows * inputs),
                           .d_w = array_empty(DTYPE_FLOAT32, outputs * inputs)};
  for (int64_t i = 0; i < rows * inputs; i++) r.x.values[i] *= pow(100, (double)(i % inputs) / (double)inputs);
  for (int64_t i = 0; i < rows * outputs; i++) r.d_y.values[i] *= pow(100, (double)(i / outputs) / (double)rows);
  for (int64_t i = 0; i < outputs * inputs; i++) r.master.values[i] *= pow(30, (double)(i / inputs % 7) / 7);
  array_write(&r.x), array_write(&r.d_y), array_write(&r.master);
  layer_prepare(l, &r.master, 17);
  for (int s = 0; s < 2; s++) {
    struct linear linear = {
        .weight = l->weight[s], .rows = rows, .first_row = 3 * rows, .window = l->window, .dtype = dtype};
    unsigned long long made[4] = {isoloss_emulator_narrow_products()};
    ops[s]->linear_forward(device[s], &linear, r.x.data[s], l->saved[s], r.y.data[s]);
    made[1] = isoloss_emulator_narrow_products();
    ops[s]->linear_input_gradient(device[s], &linear, l->saved[s], r.d_y.data[s], r.d_x.data[s]);
    made[2] = isoloss_emulator_narrow_products();
    for (int again = 0; again < 2; again++)
      ops[s]->linear_weight_gradient(device[s], &linear, r.x.data[s], l->saved[s], r.d_y.data[s], r.d_w.data[s], again);
    made[3] = isoloss_emulator_narrow_products();
    if (s == REFERENCE) CHECK(made[3] == made[0]);
    for (int i = 0; i < 3 && s == TESTED; i++) r.native[i] = made[i + 1] - made[i];
  }
  return r;
}
static void result_free(struct layer_result *r) {
  struct array *all[] = {&r->master, &r->x, &r->y, &r->d_y, &r->d_x, &r->d_w};
  arrays_free(all, COUNT_OF(all));
}
// Root mean square of what differs between the two devices over that of the values; NaN is far away.
static double apart(const struct array *array) {
  double *got = malloc(((size_t)array->count + 1) * sizeof *got), off = 0, square = 0;
  array_fetch(array, TESTED, got);
  array_fetch(array, REFERENCE, array->values);
  for (int64_t i = 0; i < array->count; i++) {
    off += (got[i] - array->values[i]) * (got[i] - array->values[i]);
    square += array->values[i] * array->values[i];
  }
  free(got);
  return square > 0 ? sqrt(off / square) : off > 0 ? INFINITY : 0;
}

// y of the native device against the product of the represented operands, in double precision. What represents weights
// comes first in their memory, and activations in what is saved.
static void check_exact(const struct layer_case *c, struct layer *l, struct layer_result *r) {
  int64_t outputs = l->description.outputs, inputs = l->description.inputs, rows = l->rows;
  struct array w = {c->dtype, outputs * inputs, {l->memory[0], l->memory[1]}, calloc((size_t)(outputs * inputs), 8)};
  struct array x = {c->dtype, rows * inputs, {l->saved[0], l->saved[1]}, calloc((size_t)(rows * inputs), 8)};
  double *want = calloc((size_t)(rows * outputs), sizeof *want);
  array_fetch(&w, REFERENCE, w.values);
  array_fetch(&x, REFERENCE, x.values);
  array_fetch(&r->y, TESTED, r->y.values);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t i = 0; i < inputs; i++)
        want[row * outputs + o] += x.values[row * inputs + i] * w.values[o * inputs + i];
  values_check(r->y.values, want, rows * outputs, EMULATED ? 1e-6 : 2e-3, 1e-7, c->format);
  free(want), free(w.values), free(x.values);
}

static void layer_check(const struct layer_case *c) {
  struct layer l = case_layer(c);
  struct layer_result r = case_run(&l);
  // In float32 a represented value is its code times its scale, rounded once. In bfloat16 values are rounded to 8 bits,
  // codes are not, and so is the result.
  double tolerance = c->dtype == DTYPE_FLOAT32 ? 1e-6 : 6e-3;
  if (!EMULATED) tolerance = 2 * tolerance + 1e-3;  // tensor cores add FP8 products in fewer bits than float32 has
  double off[3] = {apart(&r.y), apart(&r.d_x), apart(&r.d_w)};
  static const char *const names[] = {"y", "d_x", "d_weight"};
  for (int i = 0; i < 3; i++) {
    bool native = c->native >> i & 1;
    // What is not native is the same to the bit, where what went into it is.
    if (!CHECK(native ? off[i] <= tolerance : off[i] == 0) || (EMULATED && !CHECK((r.native[i] > 0) == native)))
      printf("# %s, %lld x %lld, %lld rows: %s is off by %.3g, %llu native products\n", c->format,
             (long long)l.description.outputs, (long long)c->inputs, (long long)c->rows, names[i], off[i], r.native[i]);
  }
  if (c->dtype == DTYPE_FLOAT32 && c->native & Y) check_exact(c, &l, &r);
  layer_free(&l);
  result_free(&r);
}
static void layers_check(int capability, const struct layer_case *cases, size_t count) {
  if (!devices_of(capability)) {
    printf("# not at compute capability %d.%d\n", capability / 10, capability % 10);
    return;
  }
  for (size_t i = 0; i < count; i++) layer_check(&cases[i]);
  devices_end();
}

#define FP8 "fp8-e4m3[absmax,tensor,no-hadamard,ste]"
#define MXFP8_ALL "w(mxfp8)a(mxfp8)g(mxfp8)[requantize]"
#define NVFP4_ALL "w(nvfp4)a(nvfp4)g(nvfp4[stochastic,random-hadamard(16)])[requantize]"

static void scales_of_tensors(void) {
  static const struct layer_case cases[] = {
      {"fp8-mixed", 48, 64, {48}, DTYPE_FLOAT32, ALL},
      {"fp8-mixed", 16, 32, {32, 16, 16}, DTYPE_FLOAT32, ALL},
      {"fp8-mixed", 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, ALL},
      {"fp8-mixed", 37, 16, {16, 32}, DTYPE_BFLOAT16, Y | D_X},
      {"fp8-mixed", 48, 24, {48}, DTYPE_FLOAT32, 0},
      {"fp8-mixed", 48, 32, {24, 8}, DTYPE_FLOAT32, 0},
      {"halo0-fp8", 32, 48, {32, 16}, DTYPE_FLOAT32, ALL},
      {"halo1-fp8", 32, 64, {48}, DTYPE_BFLOAT16, ALL},
      {"halo2-fp8", 32, 64, {32, 32}, DTYPE_FLOAT32, ALL},
      {"w(" FP8 ")a(" FP8 ")", 20, 32, {32}, DTYPE_FLOAT32, Y},
      {"w(" FP8 ")g(" FP8 ")", 32, 32, {32, 16}, DTYPE_FLOAT32, D_X},
      {"a(" FP8 ")g(" FP8 ")", 32, 32, {32}, DTYPE_FLOAT32, D_W},
      {"w(" FP8 ")a(" FP8 ")g(fp8-e5m2[absmax,tensor,stochastic,no-hadamard,ste])", 32, 32, {48}, DTYPE_FLOAT32, ALL},
      {"w(fp8-e5m2[absmax,tensor,no-hadamard,ste])a(fp8-e5m2[absmax,tensor,no-hadamard,ste])",
       32,
       32,
       {32},
       DTYPE_FLOAT32,
       0},
      {"w(int4-tread[static(0.02),tensor,no-hadamard,ste])a(int4[absmax,tensor,no-hadamard,clip])",
       32,
       32,
       {16, 16},
       DTYPE_FLOAT32,
       Y},
      {"w(int6-tread[absmax,tensor,no-hadamard,ste])a(" FP8 ")", 32, 32, {32}, DTYPE_FLOAT32, 0},
      {"w(2:4+" FP8 ")a(" FP8 ")", 32, 32, {32}, DTYPE_FLOAT32, 0},
      {"lsq-w4a4", 32, 32, {32, 16}, DTYPE_FLOAT32, Y},
      {"w4a4", 32, 32, {32}, DTYPE_FLOAT32, 0},
      {MXFP8_ALL, 32, 64, {32}, DTYPE_FLOAT32, 0},
  };
  layers_check(89, cases, COUNT_OF(cases));
}
static void scales_of_rows(void) {
  static const struct layer_case cases[] = {
      {"w4a4", 40, 64, {32, 16}, DTYPE_FLOAT32, Y},
      {"w4a4", 20, 288, {48}, DTYPE_BFLOAT16, Y},
      {"w(int2)a(fp8-e5m2[absmax,row,hadamard-up-to(128),ste])", 33, 32, {32}, DTYPE_FLOAT32, Y},
      {"w4a8", 40, 64, {32}, DTYPE_FLOAT32, 0},
      {"w(int4)a(int4[random-hadamard])", 32, 32, {32}, DTYPE_FLOAT32, 0},
      {"fp8-mixed", 32, 32, {32}, DTYPE_FLOAT32, ALL},
      {MXFP8_ALL, 32, 64, {32}, DTYPE_FLOAT32, 0},
  };
  layers_check(90, cases, COUNT_OF(cases));
}
static void scales_of_blocks(void) {
  // More than one tile of scales, and ends within one, along both axes.
  static const struct layer_case cases[] = {
      {MXFP8_ALL, 160, 160, {96, 64}, DTYPE_FLOAT32, ALL},
      {MXFP8_ALL, 32, 64, {32}, DTYPE_BFLOAT16, ALL},
      {MXFP8_ALL, 48, 64, {32}, DTYPE_FLOAT32, Y | D_X},
      {MXFP8_ALL, 32, 64, {48}, DTYPE_FLOAT32, Y | D_W},
      {MXFP8_ALL, 32, 48, {32}, DTYPE_FLOAT32, D_X | D_W},
      {"w(mxfp8)a(mxfp8-e5m2)", 17, 32, {32}, DTYPE_FLOAT32, Y},
      {"w(mxfp8)a(mxfp8)", 20, 288, {32, 16}, DTYPE_FLOAT32, Y},
      {"mxfp8", 32, 32, {32}, DTYPE_FLOAT32, 0},
      {"quest-mxfp4", 20, 64, {32, 16}, DTYPE_FLOAT32, Y},
      {"quartet-rtn", 64, 160, {64, 32}, DTYPE_FLOAT32, ALL},
      {"quartet-sr", 32, 64, {32, 32}, DTYPE_BFLOAT16, ALL},
      {"w(mxfp6-e2m3)a(mxfp6-e3m2)", 16, 32, {32}, DTYPE_FLOAT32, Y},
      {"w(fp8-e4m3[absmax,group(64),power-ceil,no-hadamard,ste])a(mxfp8)", 16, 128, {32}, DTYPE_FLOAT32, Y},
      {"w(mxfp8)a(mxint8)", 16, 32, {32}, DTYPE_FLOAT32, 0},
      {"w(nvfp4)a(nvfp4)", 150, 160, {80, 64, 16}, DTYPE_FLOAT32, Y},
      {NVFP4_ALL, 64, 96, {64}, DTYPE_FLOAT32, ALL},
      {NVFP4_ALL, 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, ALL},
      {NVFP4_ALL, 48, 32, {32}, DTYPE_FLOAT32, Y | D_X},
      {"w(nvfp4[four-over-six])a(nvfp4[four-over-six])", 150, 160, {80, 64, 16}, DTYPE_FLOAT32, Y},
      {"w(nvfp4[square(16)])a(nvfp4)", 150, 160, {80, 64, 16}, DTYPE_FLOAT32, Y},
      {"w(mxfp4[power-even])a(mxfp4[power-ceil])", 16, 64, {32}, DTYPE_FLOAT32, Y},
      {"w(nvfp4[e4m3-floor])a(nvfp4[e4m3-ceil])", 16, 64, {32}, DTYPE_FLOAT32, Y},
      {"tetrajet2", 64, 96, {64}, DTYPE_FLOAT32, ALL},
      {"quartet2", 64, 96, {64}, DTYPE_FLOAT32, ALL},
      {"quartet2", 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, ALL},
      {"nvidia-nvfp4", 64, 96, {64}, DTYPE_FLOAT32, Y | D_W},
      {"nvidia-nvfp4", 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, Y | D_W},
      {"quest-nvfp4", 16, 32, {32}, DTYPE_FLOAT32, 0},
      {"w(quest-nvfp4)a(quest-nvfp4)", 16, 64, {32, 32}, DTYPE_FLOAT32, Y},
      {"w(ternary[absmax,group(32),e4m3-scale,no-hadamard,ste])a(nvfp4)", 16, 64, {32}, DTYPE_FLOAT32, Y},
      {"w(nvfp4)a(mxfp4)", 16, 64, {32}, DTYPE_FLOAT32, 0},
      {"fp8-mixed", 32, 64, {32, 16, 16}, DTYPE_FLOAT32, ALL},
      {"w4a4", 32, 64, {32}, DTYPE_FLOAT32, 0},
  };
  layers_check(100, cases, COUNT_OF(cases));
}
// Sequences with numbers of their own: a product each, where codes and scales can be cut so.
static void scales_of_sequences(void) {
  static const struct layer_case of_tensors[] = {
      {"fp8-mixed", 48, 64, {48}, DTYPE_FLOAT32, ALL, 16},
      {"fp8-mixed", 96, 64, {32, 16, 16}, DTYPE_BFLOAT16, ALL, 32},
      {"fp8-mixed", 48, 64, {32, 16, 16}, DTYPE_FLOAT32, Y | D_X, 24},
      {"halo0-fp8", 32, 48, {32, 16}, DTYPE_FLOAT32, ALL, 16},
      {"halo2-fp8", 64, 64, {32, 32}, DTYPE_FLOAT32, ALL, 32},
      {"w(" FP8 ")a(" FP8 ")g(fp8-e5m2[absmax,tensor,stochastic,no-hadamard,ste])",
       48,
       32,
       {48},
       DTYPE_FLOAT32,
       ALL,
       16},
      {"w(" FP8 ")a(fp8-e4m3[static(0.02),tensor,no-hadamard,ste])", 48, 32, {32}, DTYPE_FLOAT32, Y, 12},
      {"lsq-w4a4", 32, 32, {32, 16}, DTYPE_FLOAT32, Y, 16},
      {"w4a4", 40, 64, {32, 16}, DTYPE_FLOAT32, Y, 10},
  };
  static const struct layer_case of_blocks[] = {
      {MXFP8_ALL, 96, 64, {32}, DTYPE_FLOAT32, ALL, 32},
      {MXFP8_ALL, 320, 64, {32, 32}, DTYPE_BFLOAT16, ALL, 160},
      {MXFP8_ALL, 96, 64, {32}, DTYPE_FLOAT32, Y | D_X, 48},
      {"quartet-rtn", 64, 64, {64, 32}, DTYPE_FLOAT32, ALL, 32},
      {"quartet-sr", 128, 64, {32, 32}, DTYPE_BFLOAT16, ALL, 64},
      {NVFP4_ALL, 256, 64, {32, 32}, DTYPE_FLOAT32, Y | D_X, 128},
      {NVFP4_ALL, 64, 64, {64}, DTYPE_FLOAT32, 0, 32},
      {NVFP4_ALL, 64, 64, {64}, DTYPE_FLOAT32, ALL, 64},
  };
  layers_check(90, of_tensors, COUNT_OF(of_tensors));
  layers_check(100, of_blocks, COUNT_OF(of_blocks));
}
static void consumer_gpus(void) {
  static const struct layer_case cases[] = {{"fp8-mixed", 32, 64, {32, 16, 16}, DTYPE_FLOAT32, ALL},
                                            {MXFP8_ALL, 32, 64, {32}, DTYPE_FLOAT32, ALL},
                                            {NVFP4_ALL, 32, 64, {32}, DTYPE_FLOAT32, ALL}};
  layers_check(120, cases, COUNT_OF(cases));
}
// Before 8.9 there is nothing, and the results are those without.
static void no_native(void) {
  static const struct layer_case cases[] = {{"fp8-mixed", 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, 0},
                                            {NVFP4_ALL, 32, 64, {32}, DTYPE_FLOAT32, 0},
                                            {"w4a4", 32, 32, {32}, DTYPE_FLOAT32, 0}};
  layers_check(80, cases, COUNT_OF(cases));
}

// A device says what it has, and afterwards what of it was used.
static void told(void) {
  static const struct {
    int capability;
    const char *has, *used;
  } cases[] = {{80, "no native products of formats", ""},
               {90, "native products of FP8", "native y, native d_x, native d_W"},
               {120, "native products of FP8, MXFP8 and NVFP4", "native y, native d_x, native d_W"}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    if (!devices_of(cases[i].capability)) continue;
    struct layer_case c = {"fp8-mixed", 16, 32, {32}, DTYPE_FLOAT32, ALL};
    struct layer l = case_layer(&c);
    struct layer_result r = case_run(&l);
    for (int s = 0; s < 2; s++) {
      struct text has = {0}, used = {0};
      ops[s]->describe(device[s], &has);
      ops[s]->choices(device[s], &used);
      const char *want = s == TESTED ? cases[i].has : "native products off", *at = text_string(&has);
      size_t length = strlen(at), wanted = strlen(want);
      CHECK(length > wanted && strcmp(at + length - wanted, want) == 0);
      CHECK(strcmp(text_string(&used), s == TESTED ? cases[i].used : "") == 0);
      text_free(&has), text_free(&used);
    }
    layer_free(&l);
    result_free(&r);
    devices_end();
  }
}

// Recorded and replayed, with other activations and gradients each time, a layer gives the bits of single calls: scales
// and what multiplies a product are on the device.
static void recorded_case(const char *format, int capability) {
  struct layer_case c = {format, 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, ALL};
  if (!devices_with(capability, true)) return;
  struct layer l = case_layer(&c);
  struct array master = array_normal(DTYPE_FLOAT32, 64 * 64, 0.1), x = array_empty(DTYPE_BFLOAT16, 32 * 64);
  struct array y = array_empty(DTYPE_BFLOAT16, 32 * 64), d_y = array_empty(DTYPE_BFLOAT16, 32 * 64);
  struct array d_x = array_empty(DTYPE_BFLOAT16, 32 * 64), d_w = array_normal(DTYPE_FLOAT32, 64 * 64, 1);
  uint16_t host[2][32 * 64];
  unsigned long long before = isoloss_emulator_narrow_products();
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 32 * 64; i++)
      for (int which = 0; which < 2; which++) host[which][i] = bfloat16_nearest((float)((round + 1) * random_number()));
    for (int s = 0; s < 2; s++) {
      struct linear linear = {.weight = l.weight[s], .rows = 32, .dtype = DTYPE_BFLOAT16};
      if (s == TESTED) ops[s]->repeat_begin(device[s], 0);
      ops[s]->upload(device[s], x.data[s], host[0], sizeof host[0]);
      ops[s]->upload(device[s], d_y.data[s], host[1], sizeof host[1]);
      ops[s]->weight_prepare(device[s], l.weight[s], master.data[s], round);
      ops[s]->linear_forward(device[s], &linear, x.data[s], l.saved[s], y.data[s]);
      ops[s]->linear_input_gradient(device[s], &linear, l.saved[s], d_y.data[s], d_x.data[s]);
      ops[s]->linear_weight_gradient(device[s], &linear, x.data[s], l.saved[s], d_y.data[s], d_w.data[s], true);
      if (s == TESTED) ops[s]->repeat_end(device[s]);
    }
    CHECK(apart(&y) == 0 && apart(&d_x) == 0 && apart(&d_w) == 0);
  }
  if (EMULATED) CHECK(isoloss_emulator_narrow_products() >= before + 2 * 5 * 3);
  ops[TESTED]->repeat_forget(device[TESTED]);
  layer_free(&l);
  struct array *all[] = {&master, &x, &y, &d_y, &d_x, &d_w};
  arrays_free(all, COUNT_OF(all));
  devices_end();
}
static void recorded(void) {
  recorded_case("fp8-mixed", 90);
  recorded_case(NVFP4_ALL, 100);
}

#if !defined(TEST_ON_GPU)
// A library that proposes nothing: products of values, to the bit.
static void refused(void) {
  static const struct layer_case cases[] = {{"fp8-mixed", 32, 64, {32, 16, 16}, DTYPE_BFLOAT16, 0},
                                            {"halo2-fp8", 32, 64, {32, 32}, DTYPE_FLOAT32, 0},
                                            {NVFP4_ALL, 32, 64, {32}, DTYPE_FLOAT32, 0}};
  isoloss_emulator_refuse_narrow(1);
  layers_check(100, cases, COUNT_OF(cases));
  isoloss_emulator_refuse_narrow(0);
}

// ---- what codes stand for ----

// The offset of a block's scale, from cuBLAS's pseudocode.
static int64_t scale_offset(int64_t outer, int64_t inner, int64_t inner_count) {
  int64_t tile_outer = outer % 128, tile_inner = inner % 4, padded = (inner_count + 3) / 4 * 4;
  return tile_outer % 32 * 16 + tile_outer / 32 * 4 + tile_inner + (inner - tile_inner + outer / 128 * padded) * 128;
}
// The weights' codes times their scales are their values, bit for bit in float32 (the tensor's number of NVFP4 goes
// into the scale first).
static void code_values(const char *format, int64_t inputs, int64_t first, int64_t second) {
  struct layer_case c = {format, 16, inputs, {first, second}, DTYPE_FLOAT32, ALL};
  struct layer l = case_layer(&c);
  struct array master = array_normal(DTYPE_FLOAT32, (first + second) * inputs, 0.3);
  for (int64_t i = 0; i < (first + second) * inputs; i++)
    master.values[i] *= i % inputs < 40 ? 0 : pow(10, (double)(i % 97 - 50) / 10);
  array_write(&master);
  layer_prepare(&l, &master, 3);
  struct error error = {0};
  struct cuda_weight_layout layout = cuda_weight_layout_of(&l.description);
  struct cuda_native_weight native = cuda_native_weight_of(&l.description);
  struct native_operand operand = cuda_native_layer(&l.description).products[NATIVE_FORWARD].a;
  char *memory = calloc(1, layout.total);
  const uint8_t *codes = (uint8_t *)memory + layout.total - layout.native, *scales = codes + native.codes;
  // What no kernel wrote cannot be read: the parts of it apart.
  int64_t blocks = (inputs + cuda_native_block(&operand) - 1) / cuda_native_block(&operand), differ = 0;
  const char *at = l.memory[TESTED];
  size_t count = (size_t)((first + second) * inputs), code_bytes = operand.type == NATIVE_E2M1 ? count / 2 : count;
  CHECK(ops[TESTED]->download(device[TESTED], memory, at, count * sizeof(float), &error));
  at += layout.total - layout.native;
  CHECK(ops[TESTED]->download(device[TESTED], memory + (codes - (uint8_t *)memory), at, code_bytes, &error));
  float numbers[2] = {0};
  for (int part = 0; part < 2; part++) {
    int64_t rows = part ? second : first, before = part ? first : 0;
    size_t skipped = part ? cuda_native_scale_bytes(&operand, first, inputs) : 0;
    size_t bytes = cuda_native_scale_bytes(&operand, rows, inputs);
    bool of_part = operand.scaling != NATIVE_BLOCK32;
    if (!of_part && part) break;
    if (!of_part) bytes = cuda_native_scale_bytes(&operand, rows = first + second, inputs);
    CHECK(ops[TESTED]->download(device[TESTED], (uint8_t *)memory + (scales - (uint8_t *)memory) + skipped,
                                at + native.codes + skipped, bytes, &error));
    if (of_part)
      CHECK(ops[TESTED]->download(device[TESTED], &numbers[part],
                                  at + native.codes + native.scales + part * 4 * sizeof(float), sizeof(float), &error));
    for (int64_t row = 0; row < rows; row++)
      for (int64_t i = 0; i < inputs; i++) {
        int64_t place = (before + row) * inputs + i;
        float value, level, scale = numbers[part];
        memcpy(&value, memory + place * (int64_t)sizeof value, sizeof value);
        int code = operand.type == NATIVE_E2M1 ? codes[place / 2] >> (place % 2 ? 4 : 0) & 0xf : codes[place];
        level = isoloss_emulator_number(operand.type == NATIVE_E2M1 ? 2 : operand.type == NATIVE_E4M3 ? 4 : 5, code);
        if (operand.scaling == NATIVE_BLOCK32)
          scale = isoloss_emulator_number(8, scales[scale_offset(row, i / 32, blocks)]) * operand.factor;
        if (operand.scaling == NATIVE_BLOCK16)
          scale *= isoloss_emulator_number(4, scales[skipped + (size_t)scale_offset(row, i / 16, blocks)]);
        float product = level * scale;
        if (memcmp(&product, &value, sizeof value) != 0) {
          if (!differ++)
            printf("# %s: row %lld, column %lld is %.9g, its code %.9g times %.9g\n", format, (long long)(before + row),
                   (long long)i, value, level, scale);
        }
      }
  }
  CHECK(differ == 0);
  free(memory);
  layer_free(&l);
  array_free(&master);
}
static void codes_are_values(void) {
  if (!devices_of(100)) return;
  code_values("w(" FP8 ")a(" FP8 ")", 48, 32, 16);
  code_values("w(fp8-e5m2[absmax(1.5),tensor,no-hadamard,ste])a(" FP8 ")", 48, 32, 16);
  code_values("w(int4[rms,tensor,no-hadamard,clip])a(" FP8 ")", 48, 32, 16);
  code_values("w(mxfp8)a(mxfp8)", 192, 144, 32);
  code_values("w(mxfp8-e5m2)a(mxfp8)", 64, 32, 16);
  code_values("w(mxfp4[absmax(1.3333333333333333)])a(mxfp8)", 288, 32, 16);
  code_values("w(mxfp6-e3m2)a(mxfp8)", 64, 32, 16);
  code_values("w(int3[rms,group(32),power-round,no-hadamard,trust])a(mxfp8)", 64, 32, 16);
  code_values("w(nvfp4)a(nvfp4)", 160, 144, 32);
  code_values("w(nvfp4[stochastic])a(nvfp4)", 64, 32, 16);
  code_values("w(fp4-e2m1[rms,group(64),e4m3-scale,no-hadamard,trust])a(nvfp4)", 128, 32, 16);
  devices_end();
}

// The emulated device's numbers and conversions against the CPU's grids: every code, and every bfloat16 number.
static void conversions_of(const char *text, int exponent_bits, int mantissa_bits) {
  struct grid grid = grid_float(exponent_bits, mantissa_bits);
  double levels[GRID_LEVEL_LIMIT];
  int count = grid_level_list(&grid, levels), sign = 1 << (exponent_bits + mantissa_bits);
  for (int code = 0; code <= count / 2; code++) {
    CHECK(isoloss_emulator_number(exponent_bits, code) == levels[count / 2 + code]);
    CHECK(isoloss_emulator_number(exponent_bits, sign | code) == levels[count / 2 - code]);
    CHECK(isoloss_emulator_code(exponent_bits, (float)levels[count / 2 + code]) == code);
  }
  struct representation representation;
  struct error error = {0};
  struct quantizer quantizer;
  if (!representation_parse(text, &representation, &arena, &error) ||
      !quantizer_make(&quantizer, &representation, 1 << 16, &arena, &error))
    give_up(&error);
  float *from = calloc(1 << 16, sizeof *from), *to = calloc(1 << 16, sizeof *to);
  float *scratch = calloc((size_t)quantize_scratch(1 << 16), sizeof *scratch);
  for (int i = 0; i < 1 << 16; i++) {
    from[i] = bfloat16_value((uint16_t)i);
    if (!isfinite(from[i])) from[i] = 0;
  }
  struct quantize_call call = {.quantizer = &quantizer, .from = from, .to = to, .scratch = scratch};
  format_level_portable.quantize(&call, 0, 1, 0);
  int differ = 0;
  for (int i = 0; i < 1 << 16; i++) {
    float number = isoloss_emulator_number(exponent_bits, isoloss_emulator_code(exponent_bits, from[i]));
    if (number != to[i] && !differ++)
      printf("# %s: %.9g becomes %.9g, on the CPU %.9g\n", text, from[i], number, to[i]);
  }
  CHECK(differ == 0);
  free(from), free(to), free(scratch);
}
static void conversions(void) {
  conversions_of("fp8-e4m3[static(1),no-hadamard,ste]", 4, 3);
  conversions_of("fp8-e5m2[static(1),no-hadamard,ste]", 5, 2);
  conversions_of("fp4-e2m1[static(1),no-hadamard,ste]", 2, 1);
  CHECK(isnan(isoloss_emulator_number(4, 0x7f)) && isnan(isoloss_emulator_number(4, 0xff)));
  CHECK(isnan(isoloss_emulator_number(5, 0x7d)) && isinf(isoloss_emulator_number(5, 0x7c)));
  CHECK(isnan(isoloss_emulator_number(8, 0xff)) && isoloss_emulator_number(8, 127) == 1);
  CHECK(isoloss_emulator_number(4, isoloss_emulator_code(4, -INFINITY)) == -448);
  CHECK(isoloss_emulator_number(5, isoloss_emulator_code(5, INFINITY)) == 57344);
  CHECK(isnan(isoloss_emulator_number(4, isoloss_emulator_code(4, NAN))));
  for (int i = 0x80; i < 0x7f80; i++) {  // positive normal numbers
    float value = bfloat16_value((uint16_t)i);
    CHECK(isoloss_emulator_number(8, isoloss_emulator_scale_code(value, 0)) == power_of_two(value, SCALE_POWER_FLOOR));
    CHECK(isoloss_emulator_number(8, isoloss_emulator_scale_code(value, 1)) == power_of_two(value, SCALE_POWER_CEIL));
  }
}

// ---- mistakes that must be found ----

// Scales of blocks anywhere else than in their tiles make another product.
static void misplaced_scales(void) {
  static const struct layer_case cases[] = {{MXFP8_ALL, 160, 64, {64}, DTYPE_FLOAT32, ALL},
                                            {"w(nvfp4)a(nvfp4)", 32, 160, {64}, DTYPE_FLOAT32, Y}};
  if (!devices_of(100)) return;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct layer l = case_layer(&cases[i]);
    isoloss_emulator_scales_by_rows(1);
    struct layer_result r = case_run(&l);
    isoloss_emulator_scales_by_rows(0);
    CHECK(!(apart(&r.y) < 0.05));
    if (cases[i].native & D_W) CHECK(!(apart(&r.d_w) < 0.05));
    layer_free(&l);
    result_free(&r);
  }
  devices_end();
}
#endif

int main(void) {
  RUN(scales_of_tensors);
  RUN(scales_of_rows);
  RUN(scales_of_blocks);
  RUN(scales_of_sequences);
  RUN(consumer_gpus);
  RUN(no_native);
  RUN(told);
  RUN(recorded);
#if !defined(TEST_ON_GPU)
  RUN(refused);
  RUN(codes_are_values);
  RUN(conversions);
  RUN(misplaced_scales);
#endif
  arena_free(&arena);
  return check_end();
}
