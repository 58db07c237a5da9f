// The bias of a way to find compute-optimal sizes on the grid at hand. A parabola is no power law, and a grid that is
// wide, or not centred on the optimum, moves its minimum even where nothing is noisy (Czech et al. 2026, arXiv
// 2603.22339). So a law of loss is fitted to the rows, its losses at exactly their sizes and tokens go through the same
// method, and what comes out is held against the law's own optima.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/isoflop_internal.h"

enum {
  SURFACE_ROWS = 2000,  // of training curves no more are needed for five coefficients
  SURFACE_STARTS = 500,
  ENVELOPE_TRUTHS = 100,  // FLOP values at which the envelope's truth is computed
};

// Beyond this the corrected exponent is no nearer to the truth than the measured one, or farther: see
// tests/fitting/bench_isoflop_bias.c, and its table in docs/isoflop.md.
static const double largest_miss = 0.02;

struct surface {
  struct arena arena;
  struct law law;
  struct table table;  // what it is fitted to
  struct fit_result fit;
  struct fitted_law fitted;
};

// ---- the surface ----

static void add_point(struct table *table, size_t row, double parameters, double tokens, double flops, double loss) {
  double values[] = {parameters, tokens, flops, loss};
  for (int c = 0; c < 4; c++) table->columns[c].numbers[row] = values[c];
}

static void make_points(struct table *table, const char *source, size_t rows) {
  static const char *const names[] = {"parameters", "tokens", "flops", "loss"};
  table_init(table, source, rows);
  for (int c = 0; c < 4; c++) table_add_number(table, names[c], ROLE_UNKNOWN);
  for (size_t row = 0; row < rows; row++) {
    char name[40];
    snprintf(name, sizeof name, "point %zu", row + 1);
    table_name_row(table, row, name);
  }
}

// Every size of every budget that the method looks at, or the rows of the training curves, every so many of them.
static void surface_points(struct surface *surface, const struct isoflop_rows *rows, const struct isoflop *result,
                           double window) {
  size_t count = 0, step = (rows->count + SURFACE_ROWS - 1) / SURFACE_ROWS;
  if (result->method == ISOFLOP_ENVELOPE) {
    make_points(&surface->table, result->source, (rows->count + step - 1) / step);
    for (size_t i = 0; i < rows->count; i += step)
      add_point(&surface->table, count++, rows->parameters[i], rows->tokens[i], rows->flops[i], rows->loss[i]);
    return;
  }
  for (int pass = 0; pass < 2; pass++) {
    if (pass) make_points(&surface->table, result->source, count);
    count = 0;
    for (size_t b = 0; b < result->budget_count; b++) {
      const struct isoflop_budget *budget = &result->budgets[b];
      size_t from, sizes;
      if (!budget->sizes) continue;
      window_of(budget, result->method == ISOFLOP_PARABOLA ? window : 0, &from, &sizes);
      for (size_t i = from; i < from + sizes; i++, count++)
        if (pass)
          add_point(&surface->table, count, budget->parameters[i], budget->tokens[i], budget->counted[i],
                    budget->loss[i]);
    }
  }
}

static bool fit_surface(struct surface *surface, const char *law, uint64_t seed, struct error *error) {
  struct diagnostics diagnostics = {0};
  bool fine = law_load(&surface->law, law, &diagnostics, error);
  diagnostics_free(&diagnostics);
  const struct fit_options options = {
      .bootstrap = 0, .bare = true, .group = "none", .starts = SURFACE_STARTS, .seed = seed};
  fine = fine && fit_run(&surface->law, &surface->table, &options, &surface->fit, error);
  if (fine) fitted_law_of(&surface->arena, &surface->law, &surface->table, &surface->fit, true, seed, &surface->fitted);
  return fine;
}

static double surface_loss(const struct surface *surface, double parameters, double tokens, double flops) {
  const struct law_input inputs[] = {{"parameters", {.kind = VALUE_NUMBER, .number = parameters}},
                                     {"tokens", {.kind = VALUE_NUMBER, .number = tokens}},
                                     {"flops", {.kind = VALUE_NUMBER, .number = flops}}};
  return law_evaluate(&surface->law, surface->fit.coefficients, surface->fit.coefficient_count, inputs, 3);
}

static void surface_free(struct surface *surface) {
  fit_result_free(&surface->fit);
  table_free(&surface->table);
  law_free(&surface->law);
  arena_free(&surface->arena);
}

// The law's own optimum of a budget; false where it has none.
static bool true_optimum(struct surface *surface, double flops, double optimum[ISOFLOP_QUANTITIES],
                         struct error *error) {
  struct allocation best;
  if (!fitted_law_allocate(&surface->arena, &surface->fitted, NULL, 0, flops, INFINITY, &best, error)) return false;
  if (best.unbounded > 0)
    return error_set(error, EXIT_USAGE_ERROR, "the fitted %s has no best size for %.3g FLOPs", surface->law.name,
                     flops);
  optimum[ISOFLOP_PARAMETERS] = best.parameters.value;
  optimum[ISOFLOP_TOKENS] = best.tokens.value;
  optimum[ISOFLOP_LOSS] = best.loss.value;
  return true;
}

// ---- the method on it ----

// The result's grid with the surface's losses, solved without noise; in the arena of `shadow`.
static void solve_shadow(const struct isoflop_options *options, const struct surface *surface,
                         const struct isoflop *result, struct isoflop *shadow) {
  shadow->budgets = arena_array(&shadow->arena, result->budget_count + 1, sizeof *shadow->budgets);
  shadow->budget_count = result->budget_count;
  for (size_t b = 0; b < result->budget_count; b++) {
    const struct isoflop_budget *from = &result->budgets[b];
    struct isoflop_budget *to = &shadow->budgets[b];
    *to = (struct isoflop_budget){.flops = from->flops,
                                  .rows = from->rows,
                                  .sizes = from->sizes,
                                  .parameters = from->parameters,
                                  .tokens = from->tokens,
                                  .counted = from->counted};
    to->loss = arena_array(&shadow->arena, from->sizes + 1, sizeof(double));
    for (size_t i = 0; i < from->sizes; i++)
      to->loss[i] = surface_loss(surface, from->parameters[i], from->tokens[i], from->counted[i]);
  }
  isoflop_minima(options, shadow);
}

static bool regress_both(const struct isoflop_options *options, struct isoflop *result, enum isoflop_quantity quantity,
                         const double *x, const double *simulated, const double *truth, const double *weight,
                         size_t count, struct error *error) {
  struct power_regression one, other;
  if (!isoflop_line(&options->pins, quantity, x, simulated, weight, count, result->confidence, &one, error) ||
      !isoflop_line(&options->pins, quantity, x, truth, weight, count, result->confidence, &other, error))
    return false;
  result->bias.exponents[quantity].simulated = one.exponent;
  result->bias.exponents[quantity].truth = other.exponent;
  result->bias.exponents[quantity].off = one.exponent - other.exponent;
  result->bias.exponents[quantity].coefficient = one.pinned ? one.coefficient / other.coefficient : NAN;
  return true;
}

static bool bias_of_budgets(const struct isoflop_options *options, struct surface *surface, struct isoflop *result,
                            struct error *error) {
  size_t n = 0, most = result->budget_count + 1;
  double *x = arena_array(&surface->arena, most, sizeof *x), *simulated[ISOFLOP_QUANTITIES], *truth[ISOFLOP_QUANTITIES],
         *weight[ISOFLOP_QUANTITIES];
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++) {
    simulated[q] = arena_array(&surface->arena, most, sizeof(double));
    truth[q] = arena_array(&surface->arena, most, sizeof(double));
    weight[q] = arena_array(&surface->arena, most, sizeof(double));
  }
  struct isoflop shadow = {.method = result->method, .source = result->source, .confidence = result->confidence};
  solve_shadow(options, surface, result, &shadow);
  bool fine = true;
  for (size_t b = 0; b < result->budget_count && fine; b++) {
    struct isoflop_budget *budget = &result->budgets[b];
    double best[ISOFLOP_QUANTITIES];
    if (budget->rejected || shadow.budgets[b].rejected) continue;
    fine = true_optimum(surface, budget->flops, best, error);
    for (int q = 0; q < ISOFLOP_QUANTITIES && fine; q++) {
      simulated[q][n] = shadow.budgets[b].optimum[q].value;
      truth[q][n] = best[q];
      weight[q][n] = 1 / (budget->optimum[q].spread * budget->optimum[q].spread);
      budget->bias[q] = simulated[q][n] / truth[q][n];
    }
    x[n++] = budget->flops;
  }
  isoflop_free(&shadow);
  result->bias.budgets = n;
  for (size_t i = 0; i < n && fine; i++) {
    double factor = simulated[ISOFLOP_PARAMETERS][i] / truth[ISOFLOP_PARAMETERS][i];
    result->bias.factor_low = fmin(result->bias.factor_low, factor);  // of NAN and a number: the number
    result->bias.factor_high = fmax(result->bias.factor_high, factor);
  }
  if (fine && !n)
    return error_set(error, EXIT_USAGE_ERROR, "on the fitted %s no budget has an optimum inside its sizes",
                     surface->law.name);
  for (int q = 0; q < ISOFLOP_QUANTITIES && fine && result->regressed; q++) {
    bool weighted = result->exponents[q].weighted.points > 0;
    fine = regress_both(options, result, (enum isoflop_quantity)q, x, simulated[q], truth[q],
                        weighted ? weight[q] : NULL, n, error);
  }
  return fine;
}

static bool bias_of_envelope(const struct isoflop_options *options, struct surface *surface,
                             const struct isoflop_rows *rows, struct isoflop *result, struct error *error) {
  struct isoflop shadow = {.method = result->method, .source = result->source, .confidence = result->confidence};
  struct isoflop_rows simulated = *rows;
  simulated.loss = arena_array(&surface->arena, rows->count + 1, sizeof(double));
  for (size_t i = 0; i < rows->count; i++)
    simulated.loss[i] = surface_loss(surface, rows->parameters[i], rows->tokens[i], rows->flops[i]);
  bool fine = isoflop_envelope(options, &shadow, &simulated, error);
  if (fine && !shadow.regressed)
    fine = error_set(error, EXIT_USAGE_ERROR, "the envelope of the fitted %s has no size inside", surface->law.name);
  double x[ENVELOPE_TRUTHS], truth[ISOFLOP_QUANTITIES][ENVELOPE_TRUTHS];
  for (size_t p = 0; p < ENVELOPE_TRUTHS && fine; p++) {
    double best[ISOFLOP_QUANTITIES], share = (double)p / (ENVELOPE_TRUTHS - 1);
    x[p] = shadow.envelope_low * pow(shadow.envelope_high / shadow.envelope_low, share);
    fine = true_optimum(surface, x[p], best, error);
    for (int q = 0; q < ISOFLOP_QUANTITIES && fine; q++) truth[q][p] = best[q];
  }
  result->bias.budgets = shadow.used;
  for (int q = 0; q < ISOFLOP_QUANTITIES && fine; q++) {
    struct power_regression line;
    const struct power_regression *seen = &shadow.exponents[q].plain;
    fine = isoflop_line(&options->pins, (enum isoflop_quantity)q, x, truth[q], NULL, ENVELOPE_TRUTHS,
                        result->confidence, &line, error);
    if (!fine) break;
    result->bias.exponents[q].simulated = seen->exponent;
    result->bias.exponents[q].truth = line.exponent;
    result->bias.exponents[q].off = seen->exponent - line.exponent;
    result->bias.exponents[q].coefficient = line.pinned ? seen->coefficient / line.coefficient : NAN;
  }
  isoflop_free(&shadow);
  return fine;
}

void isoflop_simulate(const struct isoflop_options *options, const struct isoflop_rows *rows, struct isoflop *result) {
  struct isoflop_bias *bias = &result->bias;
  bool envelope = result->method == ISOFLOP_ENVELOPE;
  *bias = (struct isoflop_bias){.residual_rms = NAN, .factor_low = NAN, .factor_high = NAN};
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++)
    bias->exponents[q].simulated = bias->exponents[q].truth = bias->exponents[q].off = bias->exponents[q].coefficient =
        NAN;
  if (!options->surface || !(envelope ? result->regressed : result->used > 0)) return;
  bias->surface = arena_string(&result->arena, options->surface);
  struct surface surface = {0};
  struct error error = {0};
  surface_points(&surface, rows, result, options->window);
  bool fine = fit_surface(&surface, options->surface, options->seed, &error);
  bias->rows = surface.fit.rows;
  if (fine) bias->residual_rms = surface.fit.residual_rms;
  double largest = options->largest_miss > 0 ? options->largest_miss : largest_miss;
  if (fine && !(bias->residual_rms <= largest))
    fine =
        error_set(&error, EXIT_USAGE_ERROR,
                  "the law %s misses the %zu losses by %.2g %% (rms), and more than %g %% is too much for a correction",
                  bias->surface, bias->rows, 100 * bias->residual_rms, 100 * largest);
  struct isoflop_options noiseless = *options;
  noiseless.copies = 0;
  fine = fine && (envelope ? bias_of_envelope(&noiseless, &surface, rows, result, &error)
                           : bias_of_budgets(&noiseless, &surface, result, &error));
  if (!fine) bias->trouble = arena_string(&result->arena, error.text);
  surface_free(&surface);
}
