// What the differences of pairs say: mean, interval, p-value; and the noise of seeds. See paired.h.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <string.h>

#include "runner/fits/paired.h"

enum { FEWEST = 6, MOST_FLIPPED = 16 };

// The share of all sign flips of the differences whose sum is at least as far from 0 (Fisher's randomization test).
static double sign_flip_p(const double *differences, size_t count, double mean) {
  size_t flips = (size_t)1 << count, as_far = 0;
  double observed = fabs(mean) * (double)count * (1 - 1e-12);
  for (size_t flip = 0; flip < flips; flip++) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += flip >> i & 1 ? -differences[i] : differences[i];
    as_far += fabs(sum) >= observed;
  }
  return (double)as_far / (double)flips;
}

// The differences, or of ladders the mean of each cell.
static double *units_of(struct paired *paired) {
  double *units = arena_array(&paired->arena, paired->count, sizeof *units);
  bool cells = paired->request.match != MATCH_ENDS && paired->request.along == ALONG_LADDERS;
  for (size_t i = 0; i < paired->count; i++) {
    double sum = 0, members = 0;
    bool before = false;
    for (size_t j = 0; j < paired->count && cells; j++) {
      if (strcmp(paired->pairs[j].cell, paired->pairs[i].cell) != 0) continue;
      before |= j < i;
      sum += paired->pairs[j].difference;
      members++;
    }
    if (!before) units[paired->units++] = cells ? sum / members : paired->pairs[i].difference;
  }
  return units;
}

// Differences below this are rounding, next to what is compared: of losses relative to them, of logarithms as they are.
static double rounding_of(const struct paired *paired) {
  static const double relative = 1e-9;
  double largest = 0;
  for (size_t i = 0; i < paired->count; i++)
    largest = fmax(largest, fmax(fabs(paired->pairs[i].value_a), fabs(paired->pairs[i].value_b)));
  return relative * (paired->request.match == MATCH_LOSS ? 1 : largest);
}

// Units that do not scatter have no interval: one of no width would say that the difference is known exactly.
static void find_alike(struct paired *paired, const double *units) {
  double least = rounding_of(paired), from = INFINITY, to = -INFINITY;
  for (size_t i = 0; i < paired->units; i++) {
    from = fmin(from, units[i]);
    to = fmax(to, units[i]);
  }
  if (!(to - from <= least)) return;
  bool same = fmax(fabs(from), fabs(to)) <= least;
  if (paired->units < 2 && !same) return;
  paired->low = paired->high = NAN;
  if (same) paired->mean = 0;
  paired->alike = same ? "the two are the same there, so there is no interval"
                       : "all differ by the same, so nothing is known of the scatter and there is no interval";
}

void paired_judge(struct paired *paired) {
  const double *units = units_of(paired);
  size_t count = paired->units;
  double n = (double)count, sum = 0, squares = 0;
  for (size_t i = 0; i < count; i++) sum += units[i];
  paired->mean = sum / n;
  for (size_t i = 0; i < count; i++) squares += (units[i] - paired->mean) * (units[i] - paired->mean);
  paired->deviation = count > 1 ? sqrt(squares / (n - 1)) : NAN;
  double error = paired->deviation / sqrt(n), t = count > 1 ? gsl_cdf_tdist_Pinv(0.975, n - 1) : NAN;
  paired->low = paired->mean - t * error;
  paired->high = paired->mean + t * error;
  paired->p = NAN;
  find_alike(paired, units);
  if (count < FEWEST) {
    paired->p_method =
        arena_format(&paired->arena, "cannot tell: %zu %s, of which even full agreement has p = %.2g; %d are needed",
                     count, count == 1 ? "unit" : "units", fmin(1, 2 / exp2(n)), FEWEST);
  } else if (count <= MOST_FLIPPED) {
    paired->p = sign_flip_p(units, count, paired->mean);
    paired->p_method = "exact sign-flip permutation";
  } else {
    bool flips = paired->alike != NULL;  // all of one sign, of which two flips in 2^n have as much
    paired->p = !flips ? 2 * gsl_cdf_tdist_Q(fabs(paired->mean) / error, n - 1) : paired->mean == 0 ? 1 : 2 / exp2(n);
    paired->p_method = flips ? "exact sign-flip permutation" : "paired t";
  }
}

// ---- seeds ----

static bool alike_but_seed(const struct paired *paired, const struct paired_run *a, const struct paired_run *b) {
  for (size_t i = 0; i < paired->name_count; i++)
    if (!paired->seeds[i] && strcmp(a->settings[i], b->settings[i]) != 0) return false;
  return true;
}

void paired_noise(struct paired *paired) {
  for (int g = 0; g < 2; g++) {
    struct paired_group *group = &paired->groups[g];
    double squares = 0;
    for (size_t i = 0; i < group->count; i++) {
      double sum = 0, members = 0, own = 0;
      bool first = isfinite(group->runs[i].loss);
      for (size_t j = 0; j < group->count && first; j++) {
        const struct paired_run *run = &group->runs[j];
        if (!isfinite(run->loss) || !alike_but_seed(paired, run, &group->runs[i])) continue;
        first = j >= i;
        sum += run->loss;
        members++;
      }
      if (!first || members < 2) continue;
      for (size_t j = i; j < group->count; j++)
        if (isfinite(group->runs[j].loss) && alike_but_seed(paired, &group->runs[j], &group->runs[i]))
          own += pow(group->runs[j].loss - sum / members, 2);
      squares += own;
      group->noise_degrees += (size_t)members - 1;
    }
    group->seed_noise = group->noise_degrees ? sqrt(squares / (double)group->noise_degrees) : NAN;
  }
}
