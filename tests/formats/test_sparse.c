// Sparse weights in a linear layer: values and gradients against their definitions, schedules, masks that stay.
#include "tests/formats/layer.h"

// ---- values and gradients ----

static int larger_first(const void *a, const void *b) {
  double x = fabs((double)*(const float *)a), y = fabs((double)*(const float *)b);
  return x < y ? 1 : x > y ? -1 : 0;
}

// The least magnitude that is kept: of the n largest of `count` values.
static double nth_largest(const float *values, int64_t count, int64_t n) {
  float *sorted = malloc((size_t)count * sizeof *sorted);
  memcpy(sorted, values, (size_t)count * sizeof *sorted);
  qsort(sorted, (size_t)count, sizeof *sorted, larger_first);
  double result = fabs((double)sorted[n - 1]);
  free(sorted);
  return result;
}

// y = x S(W)^T, d_x = d_y S(W) and d_W = M * (d_y^T x) in double precision, with S(W) and M written out from their
// definitions: nothing else is scaled, and what is blocked is exactly 0. `kept` of every `unit` neighbours (0: of every
// stacked matrix, half of it); `passes` says where the gradient does.
static void check_sparse(const char *format, int64_t kept, int64_t unit,
                         bool (*passes)(double size, double threshold, double rms)) {
  struct layer l = layer_make(format, isa_best(), 1, 5);
  layer_run(&l, 0);
  static float y[ROWS * OUTPUTS], d_x[ROWS * INPUTS], d_w[OUTPUTS * INPUTS];
  static double sparse[OUTPUTS * INPUTS];
  static bool mask[OUTPUTS * INPUTS];
  int64_t first = 0, wrong = 0;
  for (int part = 0; part < PARTS; part++) {
    int64_t count = part_outputs[part] * INPUTS;
    double square = 0;
    for (int64_t i = first; i < first + count; i++) square += (double)l.master[i] * (double)l.master[i];
    double rms = sqrt(square / (double)count);
    int64_t each = unit ? unit : count;
    for (int64_t at = first; at < first + count; at += each) {
      double threshold = nth_largest(l.master + at, each, unit ? kept : count / 2);
      for (int64_t i = at; i < at + each; i++) {
        double size = fabs((double)l.master[i]);
        sparse[i] = size >= threshold ? (double)l.master[i] : 0;
        mask[i] = passes(size, threshold, rms);
      }
    }
    first += count;
  }
  for (int i = 0; i < ROWS; i++) {
    for (int j = 0; j < OUTPUTS; j++) {
      double sum = 0;
      for (int k = 0; k < INPUTS; k++) sum += (double)l.x[i * INPUTS + k] * sparse[j * INPUTS + k];
      y[i * OUTPUTS + j] = (float)sum;
    }
    for (int k = 0; k < INPUTS; k++) {
      double sum = 0;
      for (int j = 0; j < OUTPUTS; j++) sum += (double)l.d_y[i * OUTPUTS + j] * sparse[j * INPUTS + k];
      d_x[i * INPUTS + k] = (float)sum;
    }
  }
  for (int j = 0; j < OUTPUTS; j++)
    for (int k = 0; k < INPUTS; k++) {
      double sum = 0;
      for (int i = 0; i < ROWS; i++) sum += (double)l.d_y[i * OUTPUTS + j] * (double)l.x[i * INPUTS + k];
      d_w[j * INPUTS + k] = mask[j * INPUTS + k] ? (float)sum : 0;
      wrong += (l.d_weight[j * INPUTS + k] != 0) != mask[j * INPUTS + k];
    }
  double at_y = distance(l.y, y, ROWS * OUTPUTS), at_x = distance(l.d_x, d_x, ROWS * INPUTS),
         at_w = distance(l.d_weight, d_w, OUTPUTS * INPUTS);
  if (!CHECK(at_y < 1e-5 && at_x < 1e-5 && at_w < 1e-5 && wrong == 0))
    printf("# %s: y is off by %.2g, d_x by %.2g, d_weight by %.2g; %d gradients pass or do not, wrongly\n", format,
           at_y, at_x, at_w, (int)wrong);
  layer_free(&l);
}

static bool where_kept(double size, double threshold, double rms) { return size >= threshold; }
static bool everywhere(double size, double threshold, double rms) { return true; }
static bool above_rms(double size, double threshold, double rms) { return size >= rms * 0.52440051270804; }

static bool outside_band(double size, double threshold, double rms) {
  double other = rms * 1.28155156554460;  // Phi^-1(0.9), above the threshold
  return size < threshold || size >= other;
}

// Half of the probability between 0 and the threshold passes.
static bool outside_share(double size, double threshold, double rms) {
  double probability = erf(size / rms * M_SQRT1_2), below = erf(threshold / rms * M_SQRT1_2);
  return size >= threshold || probability < 0.5 * below;
}

static void formulas(void) {
  check_sparse("sparse(0.5)", 0, 0, where_kept);
  check_sparse("sparse(0.5,pass)", 0, 0, everywhere);
  check_sparse("sparse(0.5,rms(0.2))", 0, 0, above_rms);
  check_sparse("sparse(0.5,b-rms(0.4))", 0, 0, outside_band);
  check_sparse("sparse(0.5,a-b-rms(0.5))", 0, 0, outside_share);
  check_sparse("sparse(0.5,a-b-rms(0))", 0, 0, where_kept);
  check_sparse("sparse(0.5,a-b-rms(1))", 0, 0, everywhere);
  check_sparse("2:4", 2, 4, where_kept);
  check_sparse("1:4(pass)", 1, 4, everywhere);
  check_sparse("4:8", 4, 8, where_kept);
}

// ---- schedules and masks that stay ----

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

// Masks that stay, and one threshold for several weights; moments of what is pruned become 0, of either type, and no
// others do.
static void pruning_with(enum dtype state) {
  static const char *const formats[] = {"sparse(0.6,global)", "sparse(0.6,monotone)", "sparse(0.6,global,monotone)",
                                        "sparse(0.6,cubic(0,1),every(1),global,monotone)"};
  for (int f = 0; f < 4; f++) {
    struct layer a = layer_make(formats[f], isa_best(), 1, 0), b = layer_make(formats[f], isa_best(), 1, 0);
    for (int i = 0; i < OUTPUTS * INPUTS; i++) b.master[i] = 3 * a.master[(i * 7) % (OUTPUTS * INPUTS)];
    bool monotone = f > 0, global = f != 1;
    bool narrow = state == DTYPE_BFLOAT16;
    float *m = random_floats(OUTPUTS * INPUTS, 7, 1);
    // The same values by their upper halves, behind which nothing may be written.
    uint16_t *narrow_m = calloc(2 * OUTPUTS * INPUTS, sizeof *narrow_m);
    for (int i = 0; i < OUTPUTS * INPUTS; i++) {
      uint32_t bits;
      memcpy(&bits, &m[i], sizeof bits);
      narrow_m[i] = (uint16_t)(bits >> 16 | 1);
      narrow_m[OUTPUTS * INPUTS + i] = 1;
    }
    for (int64_t step = 0; step < 100; step += 33) {
      struct pruned_weight weights[2] = {
          {.weight = a.weight, .master = a.master, .m = narrow ? (void *)narrow_m : m, .state = state},
          {.weight = b.weight, .master = b.master}};
      a.ops->weights_prune(a.device, weights, 2, step);
      int64_t zero[2] = {0, 0}, total = OUTPUTS * INPUTS;
      double density = format_density(a.description.format, step, 100);
      for (int i = 0; i < total; i++) {
        zero[0] += a.master[i] == 0;
        zero[1] += b.master[i] == 0;
        bool cleared = narrow ? narrow_m[i] == 0 : m[i] == 0;
        CHECK(cleared == (a.master[i] == 0 && monotone));
        if (narrow) CHECK(narrow_m[total + i] == 1);
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
    free(narrow_m);
    layer_free(&a);
    layer_free(&b);
  }
}

static void pruning(void) { pruning_with(DTYPE_FLOAT32); }
static void pruning_narrow_moments(void) { pruning_with(DTYPE_BFLOAT16); }

int main(void) {
  RUN(formulas);
  RUN(schedules);
  RUN(pruning);
  RUN(pruning_narrow_moments);
  return check_end();
}
