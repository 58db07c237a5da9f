// Published recipes for training in four bits, against their formulas in double precision: NVIDIA's NVFP4, MS-EDEN, and
// what they promise: the mean of stochastic rounding and of EDEN over steps is the value, blocks of 16 by 16 are the
// same along either axis, some blocks of the model stay as they are, recipes with a new name keep the ids of their
// runs.
#include "kernels/formats/scale_value.h"
#include "tests/formats/layer.h"

// ---- NVFP4 in double precision ----

static double nearest_of(const double *levels, int count, double z) {
  int best = 0;
  for (int i = 1; i < count; i++)
    if (fabs(levels[i] - z) < fabs(levels[best] - z)) best = i;
  return levels[best];
}

static double e2m1_of(double z) {
  static const double levels[] = {-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return nearest_of(levels, 15, z);
}

// The E4M3 numbers that are not negative, ascending.
static double e4m3_number(int code) {
  return code >> 3 ? ldexp(1 + (code & 7) / 8.0, (code >> 3) - 7) : ldexp((code & 7) / 8.0, -6);
}

static double e4m3_of(double v) {
  double numbers[127];
  for (int code = 0; code < 127; code++) numbers[code] = e4m3_number(code);
  return nearest_of(numbers, 127, v);
}

static double absmax_of(const double *x, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
  return most;
}

// Groups of 16 along rows, or squares of 16 by 16, with one number for the whole.
static void nvfp4(double *x, int64_t rows, int64_t columns, bool squares) {
  double unit = absmax_of(x, rows * columns) / (448 * 6);
  int height = squares ? 16 : 1;
  for (int64_t row = 0; row < rows; row += height)
    for (int64_t column = 0; column < columns; column += 16) {
      double size = 0;
      for (int64_t r = row; r < row + height; r++) size = fmax(size, absmax_of(x + r * columns + column, 16));
      double scale = e4m3_of(size / 6 / unit) * unit;
      for (int64_t r = row; r < row + height; r++)
        for (int64_t c = column; c < column + 16; c++) x[r * columns + c] = e2m1_of(x[r * columns + c] / scale) * scale;
    }
}

// [rows, columns] transposed, each row multiplied by NVIDIA's signs and by the Hadamard matrix in blocks of 16.
static void turned_along_tokens(const float *from, int64_t rows, int64_t columns, double *to) {
  static const int signs[16] = {1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1};
  for (int64_t c = 0; c < columns; c++)
    for (int64_t block = 0; block < rows; block += 16)
      for (int a = 0; a < 16; a++) {
        double sum = 0;
        for (int b = 0; b < 16; b++) {
          double value = signs[b] * (double)from[(block + b) * columns + c];
          sum += __builtin_popcount((unsigned)(a & b)) % 2 ? -value : value;
        }
        to[c * rows + block + a] = sum / 4;
      }
}

static void doubles(const float *from, int64_t count, double *to) {
  for (int64_t i = 0; i < count; i++) to[i] = (double)from[i];
}

static bool near(const float *got, const double *want, int64_t count, double tolerance, const char *what) {
  double apart = 0, square = 0;
  for (int64_t i = 0; i < count; i++) {
    apart += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
    square += want[i] * want[i];
  }
  if (sqrt(apart / square) <= tolerance) return true;
  printf("# %s: off by %.3g\n", what, sqrt(apart / square));
  check_failures++;
  return false;
}

// ---- NVIDIA's recipe ----

// a [m, k] b [n, k], transposed: c [m, n].
static void product(const double *a, const double *b, int64_t m, int64_t n, int64_t k, double *c) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < k; l++) sum += a[i * k + l] * b[j * k + l];
      c[i * n + j] = sum;
    }
}

static double w[OUTPUTS * INPUTS], w_turned[INPUTS * OUTPUTS], x[ROWS * INPUTS], g[ROWS * OUTPUTS],
    g_turned[OUTPUTS * ROWS], x_turned[INPUTS * ROWS], y[ROWS * OUTPUTS], d_x[ROWS * INPUTS], d_w[OUTPUTS * INPUTS];

// With nearest rounding of gradients all of it follows from formulas; a value at a tie may go either way.
static void nvidia_formulas(void) {
  struct layer l = layer_make("w(nvfp4[square(16)])a(nvfp4)g(nvfp4[signed-hadamard(16)])[tokens]", isa_best(), 1, 0);
  layer_run(&l, 0);
  doubles(l.master, OUTPUTS * INPUTS, w);
  for (int64_t part = 0, row = 0; part < PARTS; row += part_outputs[part++])
    nvfp4(w + row * INPUTS, part_outputs[part], INPUTS, true);
  doubles(l.x, ROWS * INPUTS, x);
  nvfp4(x, ROWS, INPUTS, false);
  product(x, w, ROWS, OUTPUTS, INPUTS, y);
  near(l.y, y, ROWS * OUTPUTS, 3e-3, "y");
  doubles(l.d_y, ROWS * OUTPUTS, g);
  nvfp4(g, ROWS, OUTPUTS, false);
  for (int i = 0; i < OUTPUTS * INPUTS; i++) w_turned[i % INPUTS * OUTPUTS + i / INPUTS] = w[i];
  product(g, w_turned, ROWS, INPUTS, OUTPUTS, d_x);
  near(l.d_x, d_x, ROWS * INPUTS, 3e-3, "d_x");
  turned_along_tokens(l.d_y, ROWS, OUTPUTS, g_turned);
  turned_along_tokens(l.x, ROWS, INPUTS, x_turned);
  nvfp4(g_turned, OUTPUTS, ROWS, false);
  nvfp4(x_turned, INPUTS, ROWS, false);
  product(g_turned, x_turned, OUTPUTS, INPUTS, ROWS, d_w);
  near(l.d_weight, d_w, OUTPUTS * INPUTS, 3e-3, "d_weight");
  layer_free(&l);
}

// A matrix and its transpose, represented, are each other's transposes, to the bit.
static void squares_turn(void) {
  enum { SIDE = 80, LONG = 112 };
  struct arena arena = {0};
  struct error error = {0};
  struct representation r;
  float *a = random_floats(SIDE * LONG, 8, 1), *b = random_floats(SIDE * LONG, 8, 1), *scratch;
  for (int i = 0; i < SIDE * LONG; i++) b[i % LONG * SIDE + i / LONG] = a[i];
  float *out[2] = {random_floats(SIDE * LONG, 1, 1), random_floats(SIDE * LONG, 1, 1)};
  CHECK(representation_parse("nvfp4[square(16)]", &r, &arena, &error));
  for (int which = 0; which < 2; which++) {
    struct quantizer q;
    int64_t rows = which ? LONG : SIDE, columns = which ? SIDE : LONG;
    CHECK(quantizer_make(&q, &r, columns, &arena, &error));
    scratch = arena_array(&arena, (size_t)quantize_scratch(columns), sizeof *scratch);
    struct tensor_statistics statistics = {.absmax = 4.5f};
    struct quantize_call call = {.quantizer = &q,
                                 .statistics = &statistics,
                                 .rows = rows,
                                 .from = which ? b : a,
                                 .to = out[which],
                                 .scratch = scratch};
    format_level_find(isa_best())->quantize(&call, 0, 7, 0);  // bands are cut anywhere
    format_level_find(isa_best())->quantize(&call, 7, rows, 0);
  }
  int differ = 0;
  for (int i = 0; i < SIDE * LONG; i++) differ += out[0][i] != out[1][i % LONG * SIDE + i / LONG];
  CHECK(differ == 0);
  float *all[] = {a, b, out[0], out[1]};
  for (int i = 0; i < 4; i++) free(all[i]);
  arena_free(&arena);
}

// ---- MS-EDEN ----

static void eden_formulas(void) {
  enum { LINES = 6, COLUMNS = 96, BLOCK = 32 };
  const double factor = 0.988125, most = 255.99;
  struct arena arena = {0};
  struct error error = {0};
  struct representation r;
  struct quantizer q;
  const struct random_place place = {7, 3, 21, 5};
  float *from = random_floats(LINES * COLUMNS, 4, 1), *to = random_floats(LINES * COLUMNS, 1, 1), absmax = 0;
  CHECK(representation_parse("nvfp4[absmax(0.988125),scale-max(255.99),eden,hadamard(32)]", &r, &arena, &error));
  CHECK(quantizer_make(&q, &r, COLUMNS, &arena, &error));
  for (int i = 0; i < LINES * COLUMNS; i++) absmax = fmaxf(absmax, fabsf(from[i]));
  struct tensor_statistics statistics = {.absmax = absmax};
  struct quantize_call call = {.quantizer = &q,
                               .statistics = &statistics,
                               .from = from,
                               .to = to,
                               .transformed = true,
                               .place = place,
                               .scratch = arena_array(&arena, (size_t)quantize_scratch(COLUMNS), sizeof(float))};
  format_level_find(isa_best())->quantize(&call, 0, LINES, 0);
  double unit = factor * (double)absmax / (most * 6);
  int wrong = 0, tested = 0;
  for (int i = 0; i < LINES * COLUMNS; i += BLOCK) {
    double squares = 0, products = 0, codes[BLOCK / 16], levels[BLOCK];
    for (int j = 0; j < BLOCK; j += 16) {
      double size = 0;
      for (int k = j; k < j + 16; k++) size = fmax(size, fabs((double)from[i + k]));
      codes[j / 16] = e4m3_of(factor * size / 6 / unit);
      for (int k = j; k < j + 16; k++) {
        double z = (double)from[i + k] / (codes[j / 16] * unit);
        levels[k] = e2m1_of(z);
        squares += z * z;
        products += z * levels[k];
      }
    }
    for (int j = 0; j < BLOCK; j += 16) {
      int row = i / COLUMNS, column = i % COLUMNS + j, below = 0;
      uint32_t words[4];
      random_words(place.seed, RANDOM_STREAM_ROUNDING, place.step,
                   (place.tensor << 40) + (uint64_t)(((place.first_row + row) * 2 + column / 64) * 16 + column % 16),
                   words);
      double u = (double)(words[column % 64 / 16] >> 8) * 0x1p-24, wanted = codes[j / 16] * squares / products;
      while (e4m3_number(below + 1) <= wanted) below++;
      double low = e4m3_number(below), high = e4m3_number(below + 1), up = (wanted - low) / (high - low);
      if (fabs(u - up) < 1e-3) continue;
      tested++;
      for (int k = j; k < j + 16; k++)
        wrong += fabs((double)to[i + k] - levels[k] * (u < up ? high : low) * unit) > 1e-5 * fabs((double)to[i + k]);
    }
  }
  CHECK(wrong <= 2);  // a value at a tie
  CHECK(tested > 30);
  // The mean of the stochastic scale is the scale, from the least to the largest.
  for (double v = 1e-3; v < 448; v *= 1.37) {
    double sum = 0;
    for (int i = 0; i < 4096; i++) sum += (double)stochastic_e4m3((float)v, ((float)i + 0.5f) / 4096);
    CHECK_NEAR(sum / 4096 / v, 1, 2e-4);
  }
  CHECK(stochastic_e4m3(500, 0) == 448 && stochastic_e4m3(0, 0) == 0);
  free(from);
  free(to);
  arena_free(&arena);
}

// ---- means over steps ----

// How far the means of d_x and d_weight over `steps` steps are from those of exact backward products of the forward's
// operands, in units of a single step's distance over the root of the steps: 1 where nothing is biased.
static void biases(const char *format, const char *forward, int steps, double *of_x, double *of_w) {
  struct layer l = layer_make(format, isa_best(), 1, 0), plain = layer_make(forward, isa_best(), 1, 0);
  static double sums[2][OUTPUTS * INPUTS];
  double apart[2] = {0, 0};
  memset(sums, 0, sizeof sums);
  layer_run(&plain, 0);
  for (int step = 0; step < steps; step++) {
    l.ops->weight_prepare(l.device, l.weight, l.master, step);
    layer_run(&l, 0);
    apart[0] += pow(distance(l.d_x, plain.d_x, ROWS * INPUTS), 2) / steps;
    apart[1] += pow(distance(l.d_weight, plain.d_weight, OUTPUTS * INPUTS), 2) / steps;
    for (int i = 0; i < ROWS * INPUTS; i++) sums[0][i] += (double)l.d_x[i] / steps;
    for (int i = 0; i < OUTPUTS * INPUTS; i++) sums[1][i] += (double)l.d_weight[i] / steps;
  }
  for (int i = 0; i < ROWS * INPUTS; i++) l.d_x[i] = (float)sums[0][i];
  for (int i = 0; i < OUTPUTS * INPUTS; i++) l.d_weight[i] = (float)sums[1][i];
  *of_x = distance(l.d_x, plain.d_x, ROWS * INPUTS) * sqrt(steps / apart[0]);
  *of_w = distance(l.d_weight, plain.d_weight, OUTPUTS * INPUTS) * sqrt(steps / apart[1]);
  printf("# %s: a step is off by %.3f and %.3f, means over %d by %.2f and %.2f times what chance makes\n", format,
         sqrt(apart[0]), sqrt(apart[1]), steps, *of_x, *of_w);
  layer_free(&l);
  layer_free(&plain);
}

static void means_are_unbiased(void) {
  static const struct {
    const char *format, *forward;
  } recipes[] = {{"quartet", "quest-mxfp4"},
                 {"tetrajet2", "w(nvfp4)a(nvfp4)"},
                 {"quartet2", "w(nvfp4[four-over-six])a(nvfp4[four-over-six])"}};
  double of_x, of_w;
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
    biases(recipes[i].format, recipes[i].forward, 300, &of_x, &of_w);
    CHECK(of_x < 1.3 && of_w < 1.3);
  }
  // The same without the correction has a bias that the test sees.
  biases("w(nvfp4)a(nvfp4)g(nvfp4[absmax(1.4),scale-max(448),random-hadamard-up-to(128)])[requantize]",
         "w(nvfp4)a(nvfp4)", 300, &of_x, &of_w);
  CHECK(of_x > 1.3 || of_w > 1.3);
}

// ---- blocks of the model, names ----

static void blocks_in_full_precision(void) {
  struct arena arena = {0};
  struct error error = {0};
  const struct format *nvidia = format_parse("nvidia-nvfp4", &arena, &error);
  static const struct {
    int64_t blocks, first, last;
  } rules[] = {{62, 2, 8}, {12, 0, 2}, {4, 0, 1}, {2, 0, 0}, {1, 0, 0}, {32, 1, 4}};
  CHECK(nvidia != NULL);
  for (size_t i = 0; nvidia && i < sizeof rules / sizeof *rules; i++) {
    int64_t blocks = rules[i].blocks;
    for (int64_t block = 0; block < blocks; block++)
      CHECK(format_in_block(nvidia, block, blocks) == (block >= rules[i].first && block < blocks - rules[i].last));
    CHECK(format_blocks(nvidia, blocks) == blocks - rules[i].first - rules[i].last);
  }
  CHECK(format_in_block(NULL, 0, 4) && format_blocks(NULL, 4) == 4);
  arena_free(&arena);
}

static void renamed_recipes(void) {
  struct arena arena = {0};
  struct error error = {0};
  static const char *const names[][3] = {// now, in ids and files of before, read as
                                         {"quartet", "quartet-sr", "quartet"},
                                         {"quartet-rtn", "quartet", "quartet-rtn"},
                                         {"quartet after 0.9", "quartet-sr after 0.9", "quartet after 0.9"},
                                         {"quartet-rtn after 0.5", "quartet after 0.5", "quartet-rtn after 0.5"},
                                         {"quartet2", "quartet2", "quartet2"},
                                         {"w4a4 after 0.5", "w4a4 after 0.5", "w4a4 after 0.5"},
                                         {"w4a4", "w4a4", "w4a4"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const struct format *format = format_parse(names[i][0], &arena, &error);
    CHECK_TEXT(format ? format->name : error.text, names[i][0]);
    CHECK_TEXT(format_identity(names[i][0], &arena), names[i][1]);
    CHECK_TEXT(format_renamed(names[i][1], &arena), names[i][2]);
  }
  const struct format *other = format_parse("quartet-sr", &arena, &error);
  CHECK_TEXT(other ? other->name : error.text, "quartet");
  CHECK(other && other->operands[OPERAND_GRADIENTS].rounding == ROUND_STOCHASTIC);
  arena_free(&arena);
}

int main(void) {
  RUN(nvidia_formulas);
  RUN(squares_turn);
  RUN(eden_formulas);
  RUN(means_are_unbiased);
  RUN(blocks_in_full_precision);
  RUN(renamed_recipes);
  return check_end();
}
