// Compute-optimal size and duration: the loss along N at a fixed budget, minimized by a scan and Brent's method.
#include <gsl/gsl_errno.h>
#include <gsl/gsl_min.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/law_bind_internal.h"

enum {
  SCAN_FIRST = 240,  // places looked at before the first descent
  SCAN_AGAIN = 60,   // and of each replicate
  BRENT_STEPS = 100,
};

struct budget {
  const struct law_binding *binding;
  const double *values;  // of the coefficients
  const struct cost_model *cost;
  double flops;
  double serving;  // FLOPs that serving takes of them, for each parameter
};

// What the budget leaves to train on; below 0 where serving takes more than it.
static double tokens_left(const struct budget *budget, double parameters) {
  return (budget->flops - budget->serving * parameters) / cost_per_token(budget->cost, parameters);
}

struct optimum {
  double parameters, tokens, loss;
  bool at_low, at_high;  // the least loss lies at an end of the range
};

static double loss_at(double log_parameters, void *context) {
  const struct budget *budget = context;
  double parameters = exp(log_parameters), tokens = tokens_left(budget, parameters);
  if (!(tokens > 0)) return 1e300;
  double loss =
      law_bound_value(budget->binding, budget->values, parameters, tokens,
                      budget->serving > 0 ? tokens * cost_per_token(budget->cost, parameters) : budget->flops);
  return isfinite(loss) ? loss : 1e300;
}

// Brent's method between two neighbours of the lowest place of a scan.
static double descend_between(struct budget *budget, double low, double middle, double high) {
  gsl_min_fminimizer *minimizer = gsl_min_fminimizer_alloc(gsl_min_fminimizer_brent);
  gsl_function function = {.function = loss_at, .params = budget};
  if (minimizer && gsl_min_fminimizer_set(minimizer, &function, middle, low, high) == GSL_SUCCESS) {
    for (int step = 0; step < BRENT_STEPS && gsl_min_fminimizer_iterate(minimizer) == GSL_SUCCESS; step++)
      if (gsl_min_test_interval(gsl_min_fminimizer_x_lower(minimizer), gsl_min_fminimizer_x_upper(minimizer), 1e-9,
                                0) == GSL_SUCCESS)
        break;
    middle = gsl_min_fminimizer_x_minimum(minimizer);
  }
  if (minimizer) gsl_min_fminimizer_free(minimizer);
  return middle;
}

// At least one token and one parameter; N at most `largest`.
static struct optimum find_optimum(struct budget *budget, double largest, int scan) {
  struct optimum optimum = {NAN, NAN, NAN, false, false};
  double end = log(budget->flops);  // more than can be paid for with one token
  while (!(tokens_left(budget, exp(end)) >= 1) && end > 0) end -= 0.1;
  if (isfinite(largest)) end = fmin(end, log(largest));
  if (!(end > 0)) return optimum;
  double step = end / (scan - 1), lowest = INFINITY;
  int best = -1;
  for (int i = 0; i < scan; i++) {
    double loss = loss_at(step * i, budget);
    if (loss >= 1e299 || !(loss < lowest)) continue;
    lowest = loss;
    best = i;
  }
  if (best < 0) return optimum;
  double place = step * best;
  if (best > 0 && best < scan - 1) {
    place = descend_between(budget, place - step, place, place + step);
  } else {  // within the last interval, or at its end
    double inner = best ? end - 1e-3 * step : 1e-3 * step;
    if (loss_at(inner, budget) < lowest) {
      double a = best ? end - step : 0, b = best ? end : step;
      place = descend_between(budget, a, inner, b);
    } else {
      optimum.at_low = best == 0;
      optimum.at_high = best > 0;
    }
  }
  optimum.parameters = exp(place);
  optimum.tokens = tokens_left(budget, optimum.parameters);
  optimum.loss = loss_at(place, budget);
  return optimum;
}

static bool bind_open(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                      size_t input_count, struct law_binding *binding, double **values, struct error *error) {
  if (!law_bind(arena, fitted->law, fitted->coefficients, fitted->coefficient_count, inputs, input_count, true, binding,
                error))
    return false;
  if (!binding->has_parameters || !binding->has_tokens)
    return error_set(error, EXIT_USAGE_ERROR, "the law %s has no N and D to choose for a budget", fitted->law->name);
  *values = arena_array(arena, fitted->coefficient_count + 1, sizeof **values);
  for (size_t i = 0; i < fitted->coefficient_count; i++) (*values)[i] = fitted->coefficients[i].value;
  return true;
}

bool fitted_law_allocate(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                         size_t input_count, double flops, double largest_parameters, struct allocation *allocation,
                         struct error *error) {
  *allocation = (struct allocation){.flops = flops};
  struct arena scratch = {0};
  struct law_binding binding;
  double *values = NULL;
  if (!bind_open(&scratch, fitted, inputs, input_count, &binding, &values, error)) {
    arena_free(&scratch);
    return false;
  }
  struct budget budget = {&binding, values, &fitted->cost, flops, 0};
  struct optimum best = find_optimum(&budget, largest_parameters, SCAN_FIRST);
  size_t count = fitted->replicate_count, rows = fitted_law_rows(fitted), unbounded = 0;
  double *n = arena_array(&scratch, rows + 1, sizeof *n), *d = arena_array(&scratch, rows + 1, sizeof *d);
  double *ratio = arena_array(&scratch, rows + 1, sizeof *ratio),
         *losses = arena_array(arena, rows + 1, sizeof *losses);
  bool capped = isfinite(largest_parameters);
  for (size_t b = 0; b < rows; b++) {
    budget.values = fitted->replicates + b * fitted->coefficient_count;
    struct optimum found = find_optimum(&budget, largest_parameters, SCAN_AGAIN);
    n[b] = found.parameters;
    d[b] = found.tokens;
    ratio[b] = found.tokens / found.parameters;
    losses[b] = found.loss;
    bool falls = found.at_low || (found.at_high && !capped);
    unbounded += b < count && falls;
    if (falls && b >= count + fitted->jackknife_count) n[b] = d[b] = ratio[b] = NAN;  // no best size is allowed as well
  }
  allocation->parameters = estimate_of(fitted, best.parameters, n);
  allocation->tokens = estimate_of(fitted, best.tokens, d);
  allocation->tokens_per_parameter = estimate_of(fitted, best.tokens / best.parameters, ratio);
  allocation->loss = estimate_of(fitted, best.loss, losses);
  allocation->losses = losses;
  allocation->at_limit = capped && best.at_high;
  bool fallen = best.at_low || (best.at_high && !capped);
  allocation->unbounded = fallen ? 1 : count ? (double)unbounded / (double)count : 0;
  arena_free(&scratch);
  if (isnan(best.loss))
    return error_set(error, EXIT_USAGE_ERROR, "the law %s gives no loss for a budget of %g FLOPs", fitted->law->name,
                     flops);
  return true;
}

// The least compute whose optimal loss is `loss`, at most `flops`: bisection, as the optimal loss falls with compute.
static double flops_for(struct budget *budget, double loss, double flops) {
  double low = 0, high = log(flops);  // ln(1 FLOP)
  for (int step = 0; step < 60 && high - low > 1e-9 * high; step++) {
    double middle = 0.5 * (low + high);
    budget->flops = exp(middle);
    struct optimum optimum = find_optimum(budget, INFINITY, SCAN_AGAIN / 3);
    if (optimum.loss <= loss)
      high = middle;
    else
      low = middle;  // also where there is no loss: too little compute
  }
  return exp(high);
}

bool fitted_law_overtraining(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                             size_t input_count, struct overtraining *cost, struct error *error) {
  *cost = (struct overtraining){.flops = NAN};
  struct arena scratch = {0};
  struct law_input *all = arena_array(&scratch, input_count + 4, sizeof *all);
  size_t all_count = complete_inputs(fitted, inputs, input_count, all), count = fitted->replicate_count;
  struct law_binding binding;
  double *values = NULL, n = NAN, d = NAN;
  if (!bind_open(&scratch, fitted, all, all_count, &binding, &values, error)) {
    arena_free(&scratch);
    return false;
  }
  for (size_t i = 0; i < all_count; i++) {
    if (strcmp(column_canonical(all[i].name), "parameters") == 0) n = all[i].value.number;
    if (strcmp(all[i].name, "tokens") == 0 || strcmp(all[i].name, "D") == 0) d = all[i].value.number;
  }
  cost->flops = d * cost_per_token(&fitted->cost, n);
  if (!(cost->flops > 0)) {
    arena_free(&scratch);
    return error_set(error, EXIT_USAGE_ERROR, "the cost of over-training needs N and D");
  }
  if (count > 200) count = 200;  // each takes some thousand evaluations
  size_t room = count + fitted->open_count + 1;
  double *loss = arena_array(&scratch, room, sizeof *loss), *flops = arena_array(&scratch, room, sizeof *flops);
  double *ratio = arena_array(&scratch, room, sizeof *ratio);
  struct fitted_law fewer = *fitted;
  fewer.replicate_count = count;
  fewer.jackknife_count = 0;
  size_t rows = count + fewer.open_count, skipped = fitted->replicate_count + fitted->jackknife_count - count;
  fewer.interval = INTERVAL_PERCENTILE;
  double first[3] = {0};
  for (size_t b = 0; b <= rows; b++) {  // 0: the fit itself
    size_t place = b > count ? b - 1 + skipped : b - 1;
    struct budget budget = {&binding, b ? fitted->replicates + place * fitted->coefficient_count : values,
                            &fitted->cost, cost->flops, 0};
    double here = law_bound_value(&binding, budget.values, n, d, cost->flops);
    double best = find_optimum(&budget, INFINITY, b ? SCAN_AGAIN : SCAN_FIRST).loss;
    double enough = isfinite(here) && isfinite(best) ? flops_for(&budget, here, cost->flops) : NAN;
    double *to[] = {b ? &loss[b - 1] : &first[0], b ? &flops[b - 1] : &first[1], b ? &ratio[b - 1] : &first[2]};
    *to[0] = best;
    *to[1] = enough;
    *to[2] = cost->flops / enough;
  }
  cost->optimal_loss = estimate_of(&fewer, first[0], loss);
  cost->optimal_flops = estimate_of(&fewer, first[1], flops);
  cost->cost_ratio = estimate_of(&fewer, first[2], ratio);
  arena_free(&scratch);
  return true;
}

// The least whole cost at which the loss is reached; NAN where none does.
static double cost_for(struct budget *budget, double loss, double largest) {
  double high = log(1e3);
  for (; high < log(1e45); high += log(1e3)) {
    budget->flops = exp(high);
    if (find_optimum(budget, largest, SCAN_AGAIN).loss <= loss) break;
  }
  if (!(high < log(1e45))) return NAN;
  for (double low = high - log(1e3); high - low > 1e-9 * high;) {
    double middle = 0.5 * (low + high);
    budget->flops = exp(middle);
    *(find_optimum(budget, largest, SCAN_AGAIN).loss <= loss ? &high : &low) = middle;
  }
  return exp(high);
}

static struct optimum serve_once(struct budget *budget, const struct serving *serving, int scan, double *cost) {
  double speed = serving->training_speed;
  *cost = serving->budget;
  budget->serving = 2 * serving->tokens * speed / serving->serving_speed;
  if (isnan(serving->budget)) *cost = cost_for(budget, serving->loss, serving->largest) / speed;
  budget->flops = *cost * speed;
  struct optimum none = {NAN, NAN, NAN, false, false};
  return isfinite(*cost) ? find_optimum(budget, serving->largest, scan) : none;
}

// The model that training alone would choose for this loss, and what it costs with its serving.
static void without_serving(struct budget *budget, const struct serving *serving, struct served *served) {
  double per_parameter = 2 * serving->tokens / serving->serving_speed;
  served->plain_parameters = served->plain_cost = NAN;
  if (isnan(serving->loss)) return;
  budget->serving = 0;
  budget->flops = cost_for(budget, serving->loss, serving->largest);
  if (!isfinite(budget->flops)) return;
  served->plain_parameters = find_optimum(budget, serving->largest, SCAN_FIRST).parameters;
  served->plain_cost = budget->flops / serving->training_speed + per_parameter * served->plain_parameters;
}

bool fitted_law_serve(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                      size_t input_count, const struct serving *serving, struct served *served, struct error *error) {
  enum { MOST = 200 };  // resamples where a loss is asked for: each takes some thousand evaluations
  struct arena scratch = {0};
  struct law_binding binding;
  double *values = NULL;
  *served = (struct served){.training_flops = NAN};
  if (!bind_open(&scratch, fitted, inputs, input_count, &binding, &values, error)) {
    arena_free(&scratch);
    return false;
  }
  struct fitted_law fewer = *fitted;
  if (isnan(serving->budget) && fewer.replicate_count > MOST) {
    fewer.replicate_count = MOST;
    fewer.jackknife_count = 0;
    fewer.interval = INTERVAL_PERCENTILE;
  }
  size_t rows = fitted_law_rows(&fewer), skipped = fitted_law_rows(fitted) - rows, unbounded = 0;
  double *columns[4], *score = arena_array(arena, rows + 1, sizeof *score), cost;
  for (int i = 0; i < 4; i++) columns[i] = arena_array(&scratch, rows + 1, sizeof **columns);
  struct budget budget = {&binding, values, &fitted->cost, 0, 0};
  struct optimum best = serve_once(&budget, serving, SCAN_FIRST, &cost);
  bool capped = isfinite(serving->largest), falls = best.at_low || (best.at_high && !capped);
  double whole = cost;
  for (size_t b = 0; b < rows; b++) {
    size_t place = b < fewer.replicate_count ? b : b + skipped;
    budget.values = fitted->replicates + place * fitted->coefficient_count;
    struct optimum found = serve_once(&budget, serving, SCAN_AGAIN, &cost);
    columns[0][b] = found.parameters;
    columns[1][b] = found.tokens;
    columns[2][b] = found.loss;
    columns[3][b] = cost;
    score[b] = isnan(serving->budget) ? log(cost) : found.loss;
    unbounded += b < fewer.replicate_count && (found.at_low || (found.at_high && !capped) || isnan(found.loss));
  }
  served->parameters = estimate_of(&fewer, best.parameters, columns[0]);
  served->tokens = estimate_of(&fewer, best.tokens, columns[1]);
  served->loss = estimate_of(&fewer, best.loss, columns[2]);
  served->cost = estimate_of(&fewer, whole, columns[3]);
  if (!isnan(serving->budget)) served->cost = (struct estimate){.value = whole, .low = NAN, .high = NAN};
  served->training_flops = best.tokens * cost_per_token(&fitted->cost, best.parameters);
  served->serving_flops = 2 * serving->tokens * best.parameters;
  served->at_limit = capped && best.at_high;
  served->unbounded = falls ? 1 : fewer.replicate_count ? (double)unbounded / (double)fewer.replicate_count : 0;
  served->score = isnan(serving->budget) ? log(whole) : best.loss;
  served->scores = score;
  served->fitted = fewer;
  budget.values = values;
  without_serving(&budget, serving, served);
  arena_free(&scratch);
  if (isnan(best.loss))
    return error_set(error, EXIT_USAGE_ERROR,
                     isnan(serving->budget) ? "the law %s reaches a loss of %g at no size and duration"
                                            : "the law %s gives no loss for a budget of %g FLOPs and this traffic",
                     fitted->law->name, isnan(serving->budget) ? serving->loss : serving->budget);
  return true;
}

int alternatives_judge(struct alternative *alternatives, size_t count, const struct fitted_law *fitted, bool *decided) {
  size_t replicate_count = fitted->replicate_count, rows = fitted_law_rows(fitted);
  int best = -1;
  *decided = false;
  for (size_t i = 0; i < count; i++)
    if (isfinite(alternatives[i].loss) && (best < 0 || alternatives[i].loss < alternatives[best].loss)) best = (int)i;
  if (best < 0) return -1;
  double *behind = memory_get((rows + 1) * sizeof *behind);
  size_t *wins = memory_get((count + 1) * sizeof *wins), counted = 0;
  for (size_t b = 0; b < replicate_count; b++) {
    int lowest = -1;
    for (size_t i = 0; i < count; i++)
      if (isfinite(alternatives[i].losses[b]) &&
          (lowest < 0 || alternatives[i].losses[b] < alternatives[lowest].losses[b]))
        lowest = (int)i;
    if (lowest < 0) continue;
    wins[lowest]++;
    counted++;
  }
  size_t rivals = 0;
  for (size_t i = 0; i < count; i++) rivals += (int)i != best && isfinite(alternatives[i].loss);
  *decided = replicate_count > 0 && rivals > 0;
  for (size_t i = 0; i < count; i++) {
    struct alternative *one = &alternatives[i];
    one->share_best = counted ? (double)wins[i] / (double)counted : NAN;
    for (size_t b = 0; b < rows; b++) behind[b] = one->losses[b] - alternatives[best].losses[b];
    one->behind = estimate_of(fitted, one->loss - alternatives[best].loss, behind);
    if ((int)i != best && isfinite(one->loss) && !(one->behind.low > 0)) *decided = false;
  }
  free(behind);
  free(wins);
  return best;
}
