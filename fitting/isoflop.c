// Compute-optimal sizes: options, and the power laws of the optima in compute with their spread over the copies.
#include "fitting/isoflop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit.h"
#include "fitting/isoflop_internal.h"

const struct isoflop_noise isoflop_default_noise = {0.002, 0.05, 3, 7};

static const char *const method_names[] = {"parabola", "akima", "envelope"};

bool isoflop_method_parse(const char *text, enum isoflop_method *method, struct error *error) {
  for (int i = 0; i < 3; i++)
    if (strcmp(text, method_names[i]) == 0) {
      *method = (enum isoflop_method)i;
      return true;
    }
  const char *near = nearest_name(text, method_names, 3);
  return error_set(error, EXIT_USAGE_ERROR, "method '%s' is none of parabola, akima, envelope%s%s%s", text,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const char *isoflop_method_name(enum isoflop_method method) { return method_names[method]; }

bool isoflop_noise_parse(const char *text, struct isoflop_noise *noise, struct error *error) {
  char copy[200];
  double numbers[4];
  snprintf(copy, sizeof copy, "%s", text);
  char *comma = strchr(copy, ',');
  bool fine = strlen(text) < sizeof copy;
  if (!comma && fine) {
    fine = number_parse(copy, &numbers[0]);
    numbers[2] = numbers[0];
    numbers[1] = numbers[3] = 1;
  } else if (fine) {
    *comma = 0;
    char *parts[] = {copy, comma + 1};
    for (int i = 0; i < 2 && fine; i++) {
      char *at = strchr(parts[i], '@');
      fine = at != NULL;
      if (!fine) break;
      *at = 0;
      fine = number_parse(parts[i], &numbers[2 * i]) && number_parse(at + 1, &numbers[2 * i + 1]);
    }
    fine = fine && numbers[3] > numbers[1] && numbers[1] > 0;
  }
  for (int i = 0; i < 4 && fine; i++) fine = numbers[i] > 0 && isfinite(numbers[i]);
  if (!fine)
    return error_set(error, EXIT_USAGE_ERROR,
                     "noise '%s' is neither a standard deviation of the loss (0.002) nor two at two losses "
                     "(0.002@3,0.05@7)",
                     text);
  *noise =
      (struct isoflop_noise){.low = numbers[0], .low_loss = numbers[1], .high = numbers[2], .high_loss = numbers[3]};
  return true;
}

double isoflop_noise_at(const struct isoflop_noise *noise, double loss) {
  if (!(loss > noise->low_loss) || !(noise->high_loss > noise->low_loss)) return noise->low;
  if (loss >= noise->high_loss) return noise->high;
  double share = log(loss / noise->low_loss) / log(noise->high_loss / noise->low_loss);
  return noise->low * pow(noise->high / noise->low, share);
}

void isoflop_warn(struct isoflop *result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = arena_vformat(&result->arena, format, arguments);
  va_end(arguments);
  result->warnings = arena_grow(&result->arena, result->warnings, result->warning_count, result->warning_count + 1,
                                sizeof *result->warnings);
  result->warnings[result->warning_count++] = text;
}

void exponent_interval(const double *copies, size_t count, double confidence, struct isoflop_exponent *exponent) {
  struct intervals both;
  interval_of((struct replicates){.values = copies, .count = count, .stride = 1}, NAN, confidence, INTERVAL_PERCENTILE,
              &both, &exponent->low, &exponent->high, &exponent->se);
}

// The power law of one quantity's optima, and its exponent for every copy that has enough optima.
static void regress(struct isoflop *result, enum isoflop_quantity quantity, struct error *error) {
  static const char *const names[] = {"parameters", "tokens", "loss"};
  struct isoflop_exponent *exponent = &result->exponents[quantity];
  double *x = memory_get(3 * (result->used + 1) * sizeof *x), *y = x + result->used, *w = y + result->used;
  const struct isoflop_budget **used = memory_get((result->used + 1) * sizeof(struct isoflop_budget *));
  size_t n = 0;
  bool spreads = true;
  for (size_t b = 0; b < result->budget_count; b++) {
    const struct isoflop_budget *budget = &result->budgets[b];
    if (budget->rejected) continue;
    used[n] = budget;
    x[n] = budget->flops;
    y[n] = budget->optimum[quantity].value;
    w[n] = 1 / (budget->optimum[quantity].spread * budget->optimum[quantity].spread);
    spreads &= isfinite(w[n]) && w[n] > 0;
    n++;
  }
  *exponent = (struct isoflop_exponent){.name = names[quantity], .low = NAN, .high = NAN, .se = NAN};
  bool fine = power_regression(x, y, NULL, n, result->confidence, &exponent->plain, error);
  if (fine && spreads) fine = power_regression(x, y, w, n, result->confidence, &exponent->weighted, error);
  if (!spreads) exponent->weighted.points = 0;
  double *replicates = memory_get(((size_t)result->copies + 1) * sizeof *replicates);
  for (int copy = 0; fine && copy < result->copies; copy++) {
    double *u = memory_get(3 * n * sizeof *u), *v = u + n, *weight = v + n;
    size_t kept = 0;
    for (size_t b = 0; b < n; b++) {
      if (!isfinite(used[b]->copies[quantity][copy])) continue;
      u[kept] = x[b];
      v[kept] = used[b]->copies[quantity][copy];
      weight[kept++] = spreads ? w[b] : 1;
    }
    struct power_regression one;
    struct error few = {0};
    replicates[copy] = power_regression(u, v, weight, kept, result->confidence, &one, &few) ? one.exponent : NAN;
    exponent->copies += isfinite(replicates[copy]);
    free(u);
  }
  if (fine && result->copies) exponent_interval(replicates, (size_t)result->copies, result->confidence, exponent);
  free(replicates);
  free(used);
  free(x);
}

static bool solve(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                  struct error *error) {
  struct isoflop_rows rows;
  if (!isoflop_read(table, options, result, &rows, error)) return false;
  if (options->method == ISOFLOP_ENVELOPE) return isoflop_envelope(options, result, &rows, error);
  if (!isoflop_budgets(table, options, result, &rows, error)) return false;
  isoflop_minima(options, result);
  for (size_t b = 0; b < result->budget_count; b++) result->used += !result->budgets[b].rejected;
  result->regressed = result->used >= 3;
  if (!result->regressed)
    isoflop_warn(result, "%zu of %zu budgets have an optimum inside their sizes; a power law needs 3", result->used,
                 result->budget_count);
  for (int q = 0; q < ISOFLOP_QUANTITIES && result->regressed; q++) {
    regress(result, (enum isoflop_quantity)q, error);
    if (error->code) return false;
  }
  return true;
}

bool isoflop_run(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                 struct error *error) {
  struct isoflop_options given = *options;
  if (given.tolerance <= 0) given.tolerance = 0.1;
  if (given.minimum_spread <= 0) given.minimum_spread = 0.33;
  if (given.confidence <= 0) given.confidence = 0.95;
  if (given.copies < 0) given.copies = 1000;
  *result = (struct isoflop){.method = given.method, .confidence = given.confidence, .copies = given.copies};
  result->source = arena_string(&result->arena, table->source);
  int parameters = table_find(table, "parameters");
  if (parameters >= 0)
    result->parameter_count =
        arena_format(&result->arena, "as in column %s of %s", table->columns[parameters].original, table->source);
  return solve(table, &given, result, error);
}

void isoflop_free(struct isoflop *result) {
  arena_free(&result->arena);
  *result = (struct isoflop){0};
}
