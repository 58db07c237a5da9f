// Ratios of coefficients, with intervals from the same resamples and the significance of their being 1.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/setting_internal.h"

// The two coefficients of "eff[a]/eff[b]"; a category may hold a slash, so every one is tried.
static bool parse_ratio(const struct fit *fit, const char *text, struct fit_ratio *ratio, struct error *error) {
  for (const char *slash = strchr(text, '/'); slash; slash = strchr(slash + 1, '/')) {
    int above = fit_find_element(fit, text, (size_t)(slash - text)),
        below = fit_find_element(fit, slash + 1, strlen(slash + 1));
    if (above < 0 || below < 0) continue;
    if (above == below) return error_set(error, EXIT_USAGE_ERROR, "ratio '%s' is 1 by its form", text);
    ratio->above = (size_t)above;
    ratio->below = (size_t)below;
    return true;
  }
  const char *slash = setting_slash(text, error);
  if (!slash) return false;
  bool first = fit_find_element(fit, text, (size_t)(slash - text)) < 0;
  return fit_no_element(fit, "ratio", text, first ? text : slash + 1,
                        first ? (size_t)(slash - text) : strlen(slash + 1), error);
}

bool fit_ratio_read(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  size_t wanted = fit->options->ratio_count;
  result->ratios = arena_array(&result->arena, wanted + 1, sizeof *result->ratios);
  for (size_t i = 0; i < wanted; i++) {
    struct fit_ratio *ratio = &result->ratios[result->ratio_count++];
    *ratio = (struct fit_ratio){.quantity = {.name = arena_string(&result->arena, fit->options->ratios[i]),
                                             .value = NAN,
                                             .low = NAN,
                                             .high = NAN,
                                             .se = NAN,
                                             .outside = NAN},
                                .p = NAN,
                                .p_least = NAN};
    ratio->quantity.intervals = intervals_none;
    if (!parse_ratio(fit, fit->options->ratios[i], ratio, error)) return false;
  }
  return true;
}

static void ratios_of(const struct fit_ratio *ratio, const double *values, size_t count, size_t width, double *out) {
  for (size_t i = 0; i < count; i++) out[i] = values[i * width + ratio->above] / values[i * width + ratio->below];
}

static void measure(struct fit *fit, struct fit_ratio *ratio) {
  struct fit_result *result = fit->result;
  struct fit_derived *quantity = &ratio->quantity;
  size_t n = result->coefficient_count, resamples = result->replicates ? (size_t)result->bootstrap : 0;
  quantity->value = result->coefficients[ratio->above].value / result->coefficients[ratio->below].value;
  double *values =
      memory_get((resamples + result->jackknife_count + fit->choice_count + result->open_count + 1) * sizeof *values);
  double *jackknife = values + resamples, *choice = jackknife + result->jackknife_count,
         *ends = choice + fit->choice_count;
  ratios_of(ratio, result->replicates, resamples, n, values);
  ratios_of(ratio, result->jackknife, result->jackknife_count, n, jackknife);
  ratios_of(ratio, fit->choice, fit->choice_count, n, choice);
  for (size_t k = 0; k < result->open_count; k++) ratios_of(ratio, result->open_ends[k].values, 1, n, &ends[k]);
  if (resamples) {
    struct replicates replicates = {
        values, resamples,         1, jackknife, result->jackknife_count, 1, result->interval_degrees,
        choice, fit->choice_count, 1};
    interval_of(replicates, quantity->value, result->confidence, result->interval, &quantity->intervals, &quantity->low,
                &quantity->high, &quantity->se);
    ratio->p = replicates_p(replicates, quantity->intervals.kind, quantity->value, 1);
    if (quantity->intervals.kind != INTERVAL_T) ratio->p_least = 2 / (double)(resamples + 1);
  }
  fit_settle_open(result, quantity, ends);
  free(values);
}

void fit_ratios(struct fit *fit) {
  for (size_t i = 0; i < fit->result->ratio_count; i++) measure(fit, &fit->result->ratios[i]);
}
