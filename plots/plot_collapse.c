// Loss curves laid on one another by scaling: what is left to lose above the loss that no training gets below, over
// what was left at the end, against the share of the run's tokens. Runs whose curves differ in scale alone fall on one
// curve (Qiu et al. 2025, "Scaling collapse reveals universal dynamics in compute-optimally trained neural networks").
#include <math.h>

#include "plots/build.h"

static const double first_share = 10, last_share = 90;  // in percent: between which the spread is measured
static const double marks[] = {0, 50, 100};
static const double endless = 1e100;  // parameters and tokens

// The loss that is taken off the run's: the law's without end, or the source's own.
static double loss_below(const struct plot_data *data, const struct plot_run *run) {
  const struct plot_fit *fit = data->fit;
  double loss = fit && fit->evaluate ? fit->evaluate(fit->context, run->format, endless, endless) : NAN;
  return isfinite(loss) && loss >= 0 ? loss : data->irreducible_loss;
}

// The run's curve scaled; without points where it cannot be.
static struct plot_curve scaled(struct arena *arena, const struct plot_run *run, double below) {
  const struct plot_curve *curve = &run->validation;
  struct plot_curve out = {0};
  if (curve->count < 2) return out;
  double last = curve->loss[curve->count - 1] - below, end = curve->tokens[curve->count - 1];
  if (!has_loss(run) || !(last > 0) || !(end > 0)) return out;
  double *shares = arena_array(arena, curve->count, sizeof *shares),
         *losses = arena_array(arena, curve->count, sizeof *losses);
  for (size_t i = 0; i < curve->count; i++) {
    double left = (curve->loss[i] - below) / last;
    if (!(left > 0) || !(curve->tokens[i] > 0)) continue;
    shares[out.count] = 100 * curve->tokens[i] / end;
    losses[out.count++] = left;
  }
  out.tokens = shares;
  out.loss = losses;
  return out;
}

// A scaled curve's value at a share; NAN before its first point.
static double value_at(const struct plot_curve *curve, double share) {
  for (size_t i = 1; i < curve->count; i++) {
    double from = curve->tokens[i - 1], to = curve->tokens[i];
    if (share < from || share > to || !(to > from)) continue;
    return curve->loss[i - 1] + (share - from) / (to - from) * (curve->loss[i] - curve->loss[i - 1]);
  }
  return NAN;
}

// The largest standard deviation over the runs at any share, as a share of their mean; NAN with fewer than two.
static double spread_of(const struct plot_data *data, double *at) {
  enum { PLACES = 33 };
  double largest = NAN;
  for (int p = 0; p < PLACES; p++) {
    double share = first_share + (last_share - first_share) * p / (PLACES - 1), first = NAN, sum = 0, squares = 0,
           count = 0;
    for (size_t i = 0; i < data->count; i++) {
      double value = value_at(&data->runs[i].validation, share);
      if (isnan(value)) continue;
      if (isnan(first)) first = value;
      sum += value - first;
      squares += (value - first) * (value - first);
      count++;
    }
    if (count < 2) continue;
    double mean = sum / count, spread = sqrt(fmax(squares - count * mean * mean, 0) / (count - 1)) / (first + mean);
    if (spread <= largest) continue;
    largest = spread;
    *at = share;
  }
  return largest;
}

bool plot_scaling_collapse(struct arena *arena, const struct plot_data *data, struct figure *figure,
                           const char **nothing) {
  struct plot_run *runs = arena_array(arena, data->count + 1, sizeof *runs);
  struct plot_data collapsed = *data;
  size_t known = 0, curves = 0, left_out = 0;
  double highest = 1, lowest = 1;
  if (!of_losses(arena, data, nothing)) return false;
  for (size_t i = 0; i < data->count; i++) {
    double below = loss_below(data, &data->runs[i]);
    runs[i] = data->runs[i];
    runs[i].training = (struct plot_curve){0};
    runs[i].validation = isnan(below) ? (struct plot_curve){0} : scaled(arena, &data->runs[i], below);
    known += !isnan(below);
    curves += runs[i].validation.count > 1;
    left_out += data->runs[i].validation.count > 1 && runs[i].validation.count < 2;
    for (size_t k = 0; k < runs[i].validation.count; k++) {
      double value = runs[i].validation.loss[k];
      lowest = fmin(lowest, value);
      if (runs[i].validation.tokens[k] >= first_share) highest = fmax(highest, value);
    }
  }
  collapsed.runs = runs;
  collapsed.irreducible_loss = NAN;
  if (known == 0 || curves < 2) {
    *nothing = known == 0 ? "no fit says which loss no training gets below"
                          : "fewer than two finished runs have a curve of validation losses above the law's lowest";
    return false;
  }
  if (!plot_loss_curves(arena, &collapsed, figure, nothing)) return false;
  double at = NAN, spread = spread_of(&collapsed, &at);
  figure->x = figure_axis("share of the run's training tokens", "%", SCALE_LINEAR, TICKS_PLAIN);
  figure->x.low = 0;
  figure->x.high = 103;
  figure->x.marks = marks;
  figure->x.mark_count = sizeof marks / sizeof *marks;
  figure->y = figure_axis("reducible loss over that at the end", "", SCALE_LOG, TICKS_PLAIN);
  figure->y.low = lowest * 0.985;
  figure->y.high = fmax(1.02 * highest, 1.05);
  figure->title = "Scaling collapse of the loss curves";
  const char *measured =
      isnan(spread) ? ""
                    : arena_format(arena,
                                   " Between a tenth and nine tenths of the tokens the runs' standard deviation is at "
                                   "most %.2g %% of their mean (at %.0f %%).",
                                   100 * spread, at);
  const char *without = left_out ? arena_format(arena, " %zu run%s without a final loss above that %s left out.",
                                                left_out, left_out == 1 ? "" : "s", left_out == 1 ? "is" : "are")
                                 : "";
  figure->caption = arena_format(
      arena,
      "Validation loss of %zu runs less %s, over what is left of it at the end, against the share of the run's tokens; "
      "what is higher in the first tenth is cut off.%s%s",
      curves, data->fit ? "the law's loss without end" : "the source's irreducible loss", measured, without);
  return true;
}
