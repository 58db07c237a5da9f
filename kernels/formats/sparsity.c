// Schedules, selection and exact errors of sparsity; see sparsity.h.
#include "kernels/formats/sparsity.h"

#include <math.h>
#include <string.h>

#include "kernels/formats/gaussian.h"
#include "kernels/formats/grid.h"

double sparsity_amount(const struct sparsity *sparsity) {
  switch (sparsity->kind) {
    case SPARSITY_NONE:
      return 0;
    case SPARSITY_N_M:
    case SPARSITY_PAIRED:
      return 1 - (double)sparsity->n / sparsity->m;
    default:
      return sparsity->amount;
  }
}

static bool scheduled(const struct sparsity *sparsity) {
  return (sparsity->kind == SPARSITY_TOP || sparsity->kind == SPARSITY_RANDOM) &&
         sparsity->schedule != SCHEDULE_CONSTANT && sparsity->amount > 0;
}

// Density at `progress` in [0, 1] of the pruning phase.
static double ramp(const struct sparsity *sparsity, double progress) {
  if (sparsity->schedule == SCHEDULE_JOURNEY) return pow(1 - sparsity->amount, progress);
  double left = 1 - progress;
  return 1 - sparsity->amount * (1 - left * left * left);
}

// Mean density of the pruning phase.
static double ramp_mean(const struct sparsity *sparsity) {
  double d = 1 - sparsity->amount;
  return sparsity->schedule == SCHEDULE_JOURNEY ? sparsity->amount / -log(d) : 1 - 0.75 * sparsity->amount;
}

// Shares of the steps that the three phases (dense, pruning, sparse) take.
static void step_shares(const struct sparsity *sparsity, double shares[3]) {
  shares[0] = sparsity->start;
  shares[1] = sparsity->end - sparsity->start;
  shares[2] = 1 - sparsity->end;
  if (sparsity->of_steps) return;
  shares[1] /= ramp_mean(sparsity);
  shares[2] /= 1 - sparsity->amount;
  double sum = shares[0] + shares[1] + shares[2];
  for (int i = 0; i < 3; i++) shares[i] /= sum;
}

void sparsity_span(const struct sparsity *sparsity, int64_t steps, int64_t *first, int64_t *last) {
  *first = *last = 0;
  if (!scheduled(sparsity)) return;
  double shares[3];
  step_shares(sparsity, shares);
  *first = llround(shares[0] * (double)steps);
  *last = llround((shares[0] + shares[1]) * (double)steps);
}

int64_t sparsity_interval(const struct sparsity *sparsity, int64_t steps) {
  int64_t first, last;
  sparsity_span(sparsity, steps, &first, &last);
  int64_t interval = (last - first) / (SPARSITY_FEW_PRUNINGS - 1);
  if (interval > sparsity->every) interval = sparsity->every;
  return interval < 1 ? 1 : interval;
}

int64_t sparsity_prunings(const struct sparsity *sparsity, int64_t steps) {
  if (!scheduled(sparsity)) return 0;
  int64_t first, last;
  sparsity_span(sparsity, steps, &first, &last);
  return (last - first) / sparsity_interval(sparsity, steps) + 1;
}

double sparsity_density(const struct sparsity *sparsity, int64_t step, int64_t steps) {
  if (!scheduled(sparsity)) return 1 - sparsity_amount(sparsity);
  int64_t first, last;
  sparsity_span(sparsity, steps, &first, &last);
  if (step < first) return 1;
  int64_t prunings = sparsity_prunings(sparsity, steps);
  int64_t done = (step - first) / sparsity_interval(sparsity, steps) + 1;
  return done >= prunings ? 1 - sparsity->amount : ramp(sparsity, (double)done / (double)prunings);
}

bool sparsity_prunes(const struct sparsity *sparsity, int64_t step, int64_t steps) {
  double before = step > 0 ? sparsity_density(sparsity, step - 1, steps) : 1;
  return sparsity_density(sparsity, step, steps) != before;
}

double sparsity_average_density(const struct sparsity *sparsity, int64_t steps) {
  if (!scheduled(sparsity)) return 1 - sparsity_amount(sparsity);
  int64_t first, last;
  sparsity_span(sparsity, steps, &first, &last);
  // The density is constant between prunings.
  double sum = (double)(first < steps ? first : steps);
  int64_t step = first, interval = sparsity_interval(sparsity, steps);
  while (step < steps) {
    int64_t next = step + interval;
    if (next > last || next > steps) next = steps;
    sum += sparsity_density(sparsity, step, steps) * (double)(next - step);
    step = next;
  }
  return steps > 0 ? sum / (double)steps : 1;
}

double sparsity_equal_compute_steps(const struct sparsity *sparsity, double dense_steps) {
  if (!scheduled(sparsity)) return dense_steps / (1 - sparsity_amount(sparsity));
  double shares[3];
  step_shares(sparsity, shares);
  return dense_steps / (shares[0] + shares[1] * ramp_mean(sparsity) + shares[2] * (1 - sparsity->amount));
}

// ---- selection ----

static uint32_t magnitude_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7FFFFFFFu;
}

struct selection select_largest(const struct float_span *spans, int count, int64_t keep) {
  // Magnitudes order as their bits do. Each pass counts the next bits of those that share the bits found so far.
  static const int shifts[3] = {20, 9, 0}, widths[3] = {11, 11, 9};
  uint32_t found = 0;
  int64_t wanted = keep;  // how many of those that share the bits found so far
  struct selection selection = {INFINITY, -1, -1};
  if (keep <= 0) return selection;
  for (int pass = 0; pass < 3; pass++) {
    int64_t counts[2048] = {0};
    int above = shifts[pass] + widths[pass];
    uint32_t mask = (1u << widths[pass]) - 1;
    for (int span = 0; span < count; span++)
      for (int64_t i = 0; i < spans[span].count; i++) {
        uint32_t bits = magnitude_bits(spans[span].data[i]);
        if (pass == 0 || bits >> above == found >> above) counts[bits >> shifts[pass] & mask]++;
      }
    int bin = (int)mask;
    while (bin > 0 && counts[bin] < wanted) wanted -= counts[bin--];
    found |= (uint32_t)bin << shifts[pass];
  }
  memcpy(&selection.threshold, &found, sizeof found);
  // `wanted` ties are kept, in order.
  for (int span = 0; span < count; span++)
    for (int64_t i = 0; i < spans[span].count; i++)
      if (magnitude_bits(spans[span].data[i]) == found && wanted-- > 0) {
        selection.last_tie_span = span;
        selection.last_tie = i;
        if (wanted == 0) return selection;
      }
  return selection;
}

// ---- backward ----

struct blocked_band sparsity_blocked_band(const struct sparsity *sparsity, double threshold, double rms) {
  double p = sparsity->backward_parameter, low = 0, high = threshold;
  switch (sparsity->backward) {
    case SPARSE_FORWARD:
      break;
    case SPARSE_RMS:
      high = rms * normal_quantile(0.5 + p);
      break;
    case SPARSE_BAND: {
      double other = rms * normal_quantile(0.5 + p);
      low = fmin(other, threshold);
      high = fmax(other, threshold);
      break;
    }
    case SPARSE_BAND_SHARE:
      // Small magnitudes pass: a share p of the probability below the threshold; 0 is the forward mask, 1 passes all.
      low = rms > 0 ? rms * normal_quantile(0.5 + p * (normal_below(threshold / rms) - 0.5)) : 0;
      break;
    case SPARSE_PASS:
    case SPARSE_TRUST:
      high = 0;
      break;
  }
  return (struct blocked_band){(float)low, (float)high};
}

// ---- exact errors ----

static double binomial(int n, int k) {
  double result = 1;
  for (int i = 1; i <= k; i++) result = result * (n - k + i) / i;
  return result;
}

static double pruned_below(const void *context, double x) { return x < *(const double *)context; }
static double pruned_at_random(const void *context, double x) { return *(const double *)context; }

// At least n of the m - 1 others are larger.
static double pruned_n_m(const void *context, double x) {
  const struct sparsity *sparsity = context;
  double larger = 2 * normal_above(x), sum = 0;
  int others = sparsity->m - 1;
  for (int k = sparsity->n; k <= others; k++) sum += binomial(others, k) * pow(larger, k) * pow(1 - larger, others - k);
  return sum;
}

// A pair's squared norm r exceeds x^2 + y^2 with probability u = exp(-(x^2 + y^2) / 2); averaged over the partner y,
// u^k becomes exp(-k x^2 / 2) / sqrt(1 + k). The polynomial sum_j C(M, j) u^j (1 - u)^(M - j), j from the pairs kept to
// M other pairs, is expanded in powers of u.
static double pruned_paired(const void *context, double x) {
  const struct sparsity *sparsity = context;
  int others = sparsity->m / 2 - 1, kept = sparsity->n / 2;
  double sum = 0;
  for (int j = kept; j <= others; j++)
    for (int i = 0; i <= others - j; i++) {
      int k = j + i;
      double term = binomial(others, j) * binomial(others - j, i) * exp(-0.5 * k * x * x) / sqrt(1.0 + k);
      sum += i % 2 ? -term : term;
    }
  return sum;
}

bool sparsity_gaussian_error(const struct sparsity *sparsity, const struct grid *grid, double scale, double *error) {
  switch (sparsity->kind) {
    case SPARSITY_NONE:
      *error = grid ? grid_gaussian_error(grid, scale) : 0;
      return true;
    case SPARSITY_TOP: {
      double p = sparsity->amount, threshold = p > 0 ? normal_quantile(0.5 * (1 + p)) : 0;
      if (!grid)
        *error = p - 2 * threshold * normal_density(threshold);
      else
        *error = grid_gaussian_error_pruned(grid, scale, pruned_below, &threshold, threshold);
      return true;
    }
    case SPARSITY_RANDOM: {
      double p = sparsity->amount;
      *error = grid_gaussian_error_pruned(grid, scale, pruned_at_random, &p, 0);
      return true;
    }
    case SPARSITY_N_M:
      *error = grid_gaussian_error_pruned(grid, scale, pruned_n_m, sparsity, 0);
      return true;
    case SPARSITY_PAIRED:
      *error = grid_gaussian_error_pruned(grid, scale, pruned_paired, sparsity, 0);
      return true;
  }
  return false;
}
