// See design_print.h.
#include "runner/fits/design_print.h"

#include <math.h>
#include <string.h>

#include "runner/terminal/table.h"

static const char *digits(double value, int count, char out[40]) {
  return isinf(value) ? "unknown" : number_digits(value, count, out);
}

static const double widest = 10;  // of an interval, over the value: beyond, its ends say nothing

static bool has_coverage(const struct design_result *result) {
  return result->quantity_count && isfinite(result->quantities[0].coverage95);
}

static void add_quantity(const struct design_result *result, const struct design_quantity *quantity,
                         struct text_table *table) {
  char a[40], b[40], d[40], e[40], range[100] = "", notes[120] = "";
  bool linear = result->repeats < 2;
  double low = linear ? quantity->linear_low : quantity->low95,
         high = linear ? quantity->linear_high : quantity->high95;
  if (isfinite(low)) snprintf(range, sizeof range, "%s .. %s", digits(low, 4, a), digits(high, 4, b));
  bool hopeless = !(quantity->relative_width < widest);
  if (hopeless) snprintf(range, sizeof range, "over ten times its value");
  if (isinf(quantity->linear_se)) snprintf(range, sizeof range, "not identified");
  if (range_is_far(quantity->outside)) {
    snprintf(range, sizeof range, "these runs cannot tell");
    hopeless = true;
  }
  if (quantity->not_identified > 0.01)
    snprintf(notes, sizeof notes, "not identified in %.0f %% of fits", 100 * quantity->not_identified);
  else if (quantity->at_bound > 0.01)
    snprintf(notes, sizeof notes, "at a bound in %.0f %% of fits", 100 * quantity->at_bound);
  if (quantity->outside > 1)
    snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s%.3g times outside the rows%s", *notes ? "; " : "",
             quantity->outside, range_is_far(quantity->outside) ? "" : ", if the law holds there");
  text_table_cell(table, "%s", quantity->name);
  text_table_cell(table, "%s", digits(quantity->truth, 5, a));
  text_table_cell(table, "%s", digits(linear ? quantity->linear_se : quantity->sd, 3, b));
  text_table_cell(table, "%s", range);
  if (!hopeless && !isinf(quantity->linear_se))
    text_table_cell(table, "%.3g %%", 100 * quantity->relative_width);
  else
    text_table_cell(table, "-");
  if (!linear) {
    text_table_cell(table, "%s", digits(quantity->bias, 2, d));
    text_table_cell(table, "%s", digits(quantity->linear_se, 3, e));
  }
  if (has_coverage(result)) {
    const double shares[] = {quantity->coverage90, quantity->coverage95};
    for (int i = 0; i < 2; i++)
      if (isfinite(shares[i]))
        text_table_cell(table, "%.0f %%", 100 * shares[i]);
      else
        text_table_cell(table, "-");
  }
  text_table_cell(table, "%s", notes);
}

static void print_quantities(const struct design_result *result, FILE *out) {
  bool linear = result->repeats < 2;
  const struct text_column columns[] = {{"quantity", .least = 24, .most = 60},
                                        {"assumed", .right = true, .least = 9},
                                        {linear ? "s.e." : "s.d.", .right = true, .least = 9},
                                        {linear ? "95 % interval" : "95 % range", .least = 24},
                                        {"width", .right = true, .least = 8},
                                        {0}},
                           simulated[] = {{"bias", .right = true, .least = 10}, {"linearised", .right = true}, {0}},
                           coverage[] = {{"90 % cover", .right = true}, {"95 % cover", .right = true}, {0}};
  struct text_table table = {.gap = 2, .indent = 2};
  text_table_columns(&table, columns);
  if (!linear) text_table_columns(&table, simulated);
  if (has_coverage(result)) text_table_columns(&table, coverage);
  text_table_column(&table, (struct text_column){""});
  for (size_t q = 0; q < result->quantity_count; q++) add_quantity(result, &result->quantities[q], &table);
  text_table_print(&table, out);
  text_table_free(&table);
}

// "this sweep cannot separate E from alpha (correlation +0.992), beta (+0.995)"
static void print_inseparable(const struct design_result *result, const char *name, FILE *out) {
  bool first = true;
  for (size_t i = 0; i < result->pair_count; i++) {
    const struct design_pair *pair = &result->pairs[i];
    if (pair->separable || strcmp(pair->first, name) != 0) continue;
    if (first) fprintf(out, "  this sweep cannot separate %s from %s", pair->first, pair->second);
    if (!first) fprintf(out, ", %s", pair->second);
    if (isfinite(pair->correlation)) fprintf(out, " (%s%+.3f)", first ? "correlation " : "", pair->correlation);
    first = false;
  }
  if (!first) fprintf(out, "\n");
}

static void print_words(const struct design_result *result, FILE *out) {
  for (size_t i = 0; i < result->unidentified_count; i++)
    fprintf(out, "  not identified: %s can be changed together without changing any prediction\n",
            result->unidentified[i]);
  for (size_t i = 0; i < result->coefficient_count; i++) print_inseparable(result, result->quantities[i].name, out);
  bool first = true;
  for (size_t i = 0; i < result->pair_count; i++) {
    const struct design_pair *pair = &result->pairs[i];
    if (!pair->separable) continue;
    fprintf(out, "%s%s with %s (%+.3f)", first ? "  move together, and are well determined all the same: " : ", ",
            pair->first, pair->second, pair->correlation);
    first = false;
  }
  if (!first) fprintf(out, "\n");
}

static void print_addition(const struct design_result *result, const char *target, FILE *out) {
  char a[32], b[32], c[32], d[40], e[40];
  const struct design_addition *best = &result->addition, *cheap = &result->cheap_addition;
  if (!best->found) {
    fprintf(out, "  no run of this sweep's sizes and tokens would lower the error of %s\n", target);
    return;
  }
  fprintf(out, "  one run more for %s: N %s, D %s%s%s, %s FLOPs: its standard error goes from %s to %s", target,
          number_human(best->parameters, a), number_human(best->tokens, b), *best->category ? ", " : "", best->category,
          number_human(best->flops, c), digits(best->se_before, 3, d), digits(best->se_after, 3, e));
  if (isfinite(best->sd_after))
    fprintf(out, " (simulated: %s to %s)", digits(best->sd_before, 3, d), digits(best->sd_after, 3, e));
  fprintf(out, "\n");
  if (!cheap->found || cheap->flops >= best->flops) return;
  fprintf(out, "  most for its FLOPs: N %s, D %s%s%s, %s FLOPs: to %s\n", number_human(cheap->parameters, a),
          number_human(cheap->tokens, b), *cheap->category ? ", " : "", cheap->category, number_human(cheap->flops, c),
          digits(cheap->se_after, 3, e));
}

void design_print_head(const struct design_result *result, const char *fit, const struct design_truth *truth,
                       const char *noise_source, FILE *out) {
  char a[40];
  fprintf(out, "fit %s, law %s: %zu row%s, %s; noise %s in ln(loss) (%s); assumed: %s\n", fit, result->law,
          result->rows, result->rows == 1 ? "" : "s", result->objective, digits(result->noise, 3, a), noise_source,
          truth->source);
}

void design_print(const struct design_result *result, const char *fit, const struct design_truth *truth,
                  const char *noise_source, const char *target, FILE *out) {
  design_print_head(result, fit, truth, noise_source, out);
  if (result->repeats < 2)
    fprintf(out, "  linearised; no fit was made\n\n");
  else
    fprintf(out, "  %d simulated fits%s\n\n", result->repeats,
            result->interrupted ? " (stopped before all were made)" : "");
  print_quantities(result, out);
  if (result->failed)
    fprintf(out, "  %d simulated fit%s gave no result\n", result->failed, result->failed == 1 ? "" : "s");
  fprintf(out, "\n");
  print_words(result, out);
  if (target) print_addition(result, target, out);
}

void design_print_cost(const struct design_spec *spec, FILE *out) {
  char flops[32], seconds[32];
  fprintf(out, "%s: %zu run%s, %s FLOPs", spec->label, spec->cost.runs, spec->cost.runs == 1 ? "" : "s",
          number_human(spec->cost.flops, flops));
  if (isfinite(spec->cost.seconds))
    fprintf(out, ", about %s one after the other on this machine", seconds_human(spec->cost.seconds, seconds));
  fprintf(out, "\n");
}

static double error_in(const struct design_result *result, const char *name) {
  for (size_t q = 0; q < result->quantity_count; q++)
    if (strcmp(result->quantities[q].name, name) == 0) return result->quantities[q].linear_se;
  return NAN;
}

int design_best_of(const struct design_result *results, size_t count, const char *quantity, double *error) {
  int best = -1;
  *error = INFINITY;
  for (size_t i = 0; i < count; i++) {
    double here = error_in(&results[i], quantity);
    if (!(here < *error)) continue;
    *error = here;
    best = (int)i;
  }
  return best;
}

int design_best_overall(const struct design_result *results, size_t count) {
  int best = -1;
  for (size_t i = 0; i < count; i++)
    if (isfinite(results[i].log_determinant) &&
        (best < 0 || results[i].log_determinant < results[best].log_determinant))
      best = (int)i;
  return best;
}

void design_print_comparison(const struct design_result *results, const struct design_spec *specs, size_t count,
                             FILE *out) {
  char a[40];
  struct text_table table = {.gap = 2, .indent = 2};
  text_table_column(&table, (struct text_column){"quantity", .least = 24, .most = 60});
  for (size_t i = 0; i < count; i++)
    text_table_column(&table, (struct text_column){arena_format(&table.arena, "design %zu", i + 1), .least = 12});
  text_table_column(&table, (struct text_column){"best"});
  for (size_t q = 0; q < results[0].quantity_count; q++) {
    const char *name = results[0].quantities[q].name;
    double error;
    int best = design_best_of(results, count, name, &error);
    text_table_cell(&table, "%s", name);
    for (size_t i = 0; i < count; i++) text_table_cell(&table, "%s", digits(error_in(&results[i], name), 3, a));
    text_table_cell(&table, "%s", best < 0 ? "none" : arena_format(&table.arena, "%d", best + 1));
  }
  text_table_cell(&table, "log det of covariance");
  for (size_t i = 0; i < count; i++) text_table_cell(&table, "%s", digits(results[i].log_determinant, 4, a));
  text_table_cell(&table, "%s", "");
  fprintf(out, "comparison (linearised standard errors)\n");
  text_table_print(&table, out);
  text_table_free(&table);
  int best = design_best_overall(results, count);
  for (size_t i = 0; i < count; i++) {
    fprintf(out, "  design %zu is ", i + 1);
    design_print_cost(&specs[i], out);
  }
  if (best < 0)
    fprintf(out, "  none of them identifies every parameter\n");
  else
    fprintf(out, "  best over all parameters (D-optimal): design %d%s\n", best + 1,
            specs[best].cost.flops > 1.05 * specs[0].cost.flops && best ? ", which costs more than the first" : "");
}
