// LSQ in a linear layer: scales and their gradients against the paper's formulas in double precision, and a layer that
// has to grow.
#include "tests/formats/layer.h"

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

// A scale that the optimizer carried below 0 stands for its magnitude: the same layer, and the gradient turns round.
static void below_zero(void) {
  static float learned[2][LEARNED_SCALES], d_learned[2][LEARNED_SCALES];
  struct layer layers[2];
  for (int side = 0; side < 2; side++) {
    for (int i = 0; i <= WEIGHT_PARTS; i++) learned[side][i] = (i < WEIGHT_PARTS ? 0.03f : 0.7f) * (side ? -1 : 1);
    layer_learned = learned[side];
    layer_d_learned = d_learned[side];
    layers[side] = layer_make("lsq-w3a2", isa_best(), 1, 0);
    layer_run(&layers[side], 0);
  }
  layer_learned = layer_d_learned = NULL;
  CHECK(memcmp(layers[0].y, layers[1].y, ROWS * OUTPUTS * sizeof(float)) == 0);
  CHECK(memcmp(layers[0].d_weight, layers[1].d_weight, OUTPUTS * INPUTS * sizeof(float)) == 0);
  for (int i = 0; i <= WEIGHT_PARTS; i++) CHECK(d_learned[0][i] == -d_learned[1][i]);
  CHECK(d_learned[0][0] != 0 && d_learned[0][WEIGHT_PARTS] != 0);
  for (int side = 0; side < 2; side++) layer_free(&layers[side]);
}

// Weights start fifty times too small and grow at the optimizer's pace; the scale has to keep up, as it does when it is
// itself the parameter: the layer ends as near to its target as three bits allow. (Moved by the optimizer as a
// logarithm, it would need hundreds of steps more.)
static void keeps_up_with_growth(void) {
  static float learned[LEARNED_SCALES], gradients[LEARNED_SCALES], m[LEARNED_SCALES], v[LEARNED_SCALES];
  static float m_w[OUTPUTS * INPUTS], v_w[OUTPUTS * INPUTS];
  layer_learned = learned;
  layer_d_learned = gradients;
  struct layer l = layer_make("lsq-w3", isa_best(), 1, 0), target = layer_make("none", isa_best(), 1, 0);
  layer_learned = layer_d_learned = NULL;
  for (int i = 0; i < OUTPUTS * INPUTS; i++) target.master[i] *= 20;  // of deviation 1
  target.ops->weight_prepare(target.device, target.weight, target.master, 0);
  layer_run(&target, 0);
  memset(learned, 0, sizeof learned);
  for (int i = 0; i < OUTPUTS * INPUTS; i++) l.master[i] *= -0.4f;  // of deviation 0.02
  l.ops->weight_prepare(l.device, l.weight, l.master, 0);
  enum { STEPS = 250 };
  for (int step = 0; step < STEPS; step++) {
    struct linear linear = {.weight = l.weight, .rows = ROWS};
    l.ops->linear_forward(l.device, &linear, l.x, l.saved, l.y);
    for (int i = 0; i < ROWS * OUTPUTS; i++) l.d_y[i] = (l.y[i] - target.y[i]) / ROWS;
    memset(gradients, 0, sizeof gradients);
    l.ops->linear_weight_gradient(l.device, &linear, l.x, l.saved, l.d_y, l.d_weight, false);
    l.ops->weight_gradient_finish(l.device, l.weight, l.d_weight);
    struct adamw adamw = {.lr = 0.02 * (1 - (double)step / STEPS),
                          .beta1 = 0.9,
                          .beta2 = 0.95,
                          .eps = 1e-8,
                          .step = step + 1,
                          .gradient_scale = 1};
    struct optimizer_tensor tensors[2] = {
        {.parameter = l.master, .gradient = l.d_weight, .m = m_w, .v = v_w, .count = OUTPUTS * INPUTS},
        {.parameter = learned, .gradient = gradients, .m = m, .v = v, .count = LEARNED_SCALES}};
    double no_clipping = 0;
    l.ops->adamw_step(l.device, &adamw, tensors, 2, &no_clipping);
    l.ops->weight_prepare(l.device, l.weight, l.master, step + 1);
  }
  layer_run(&l, 0);
  double off = distance(l.y, target.y, ROWS * OUTPUTS);
  if (!CHECK(off < 0.25)) printf("# after %d steps the output is off by %.3f\n", (int)STEPS, off);
  layer_free(&l);
  layer_free(&target);
}

// ParetoQ's SEQ, by its formulas: w_q = a (round(clip(w / a, -.99, .99) n - s) + s) / n, with n = 2 and s = 1/2 in two
// bits, n = 1.5 and s = 0 ternary, and a sign(w) in one; a starts at the largest magnitude (in one bit near the mean
// one). The learned number here is the step, a / n.
static void check_seq(const char *format, double n, double s, double high) {
  static float learned[LEARNED_SCALES], d_learned[LEARNED_SCALES], wq[OUTPUTS * INPUTS], y[ROWS * OUTPUTS],
      d_w[OUTPUTS * INPUTS];
  memset(learned, 0, sizeof learned);
  memset(d_learned, 0, sizeof d_learned);
  layer_learned = learned;
  layer_d_learned = d_learned;
  struct layer l = layer_make(format, isa_best(), 1, 0);
  layer_learned = layer_d_learned = NULL;
  bool one = n == 1;
  double step = 0;
  int64_t first = 0;
  // Scales of training: some values lie beyond the range.
  for (int part = 0; part < PARTS; first += part_outputs[part++]) {
    double largest = 0;
    for (int64_t i = first * INPUTS; i < (first + part_outputs[part]) * INPUTS; i++)
      largest = fmax(largest, fabs((double)l.master[i]));
    if (!one) CHECK_NEAR((double)learned[part] * n / largest, 1, 1e-6);
    learned[part] *= one ? 1.0f : 0.45f;
  }
  l.ops->weight_prepare(l.device, l.weight, l.master, 1);
  layer_run(&l, 0);
  first = 0;
  for (int part = 0; part < PARTS; first += part_outputs[part++]) {
    // In one bit the levels are half a step from 0.
    step = (double)learned[part];
    double a = one ? step / 2 : step * n, gradient = 0;
    for (int64_t j = first; j < first + part_outputs[part]; j++)
      for (int k = 0; k < INPUTS; k++) {
        double w = (double)l.master[j * INPUTS + k], z = w / a, of_a, d = 0;
        double q = one ? (w > 0 ? 1 : -1) : (nearbyint(fmin(fmax(z, -0.99), 0.99) * n - s) + s) / n;
        bool inside = fabs(z) <= (one ? 1 : 0.99);
        of_a = one ? q : inside ? q - z : z < 0 ? -(n - s) / n : (n - s) / n;
        if (!one && s == 0 && !inside) of_a = z < 0 ? -1 / n : 1 / n;  // ternary's levels are a / 1.5
        for (int i = 0; i < ROWS; i++) d += (double)l.d_y[i * OUTPUTS + j] * (double)l.x[i * INPUTS + k];
        wq[j * INPUTS + k] = (float)(q * a);
        d_w[j * INPUTS + k] = inside ? (float)d : 0;
        gradient += d * of_a * (one ? 0.5 : n);
      }
    CHECK_NEAR((double)d_learned[part], gradient / sqrt((double)(part_outputs[part] * INPUTS) * high), 2e-3);
  }
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < OUTPUTS; j++) {
      double sum = 0;
      for (int k = 0; k < INPUTS; k++) sum += (double)l.x[i * INPUTS + k] * (double)wq[j * INPUTS + k];
      y[i * OUTPUTS + j] = (float)sum;
    }
  CHECK(distance(l.y, y, ROWS * OUTPUTS) < 1e-5);
  CHECK(distance(l.d_weight, d_w, OUTPUTS * INPUTS) < 1e-5);
  layer_free(&l);
}

static void stretched_elastic(void) {
  check_seq("seq-w2", 2, 0.5, 1.5);
  check_seq("seq-ternary", 1.5, 0, 1);
  check_seq("seq-w1", 1, 0.5, 0.5);
  static const char *const refused[] = {"seq-w3", "seq-w2a8", "a(seq-int2)", "seq-fp4-e2m1", "int2[seq]"};
  for (int i = 0; i < 5; i++) {
    struct arena arena = {0};
    struct error error = {0};
    CHECK(!format_parse(refused[i], &arena, &error) && error.code == EXIT_USAGE_ERROR);
    arena_free(&arena);
  }
}

int main(void) {
  RUN(learned_scales);
  RUN(below_zero);
  RUN(keeps_up_with_growth);
  RUN(stretched_elastic);
  return check_end();
}
