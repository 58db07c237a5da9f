// Compute-optimal sizes for people: tables and figures' data. See isoflop_runs.h.
#include <math.h>

#include "runner/fits/isoflop_runs.h"
#include "runner/terminal/table.h"

static void print_budgets(const struct isoflop *result, FILE *out) {
  // A budget without an optimum says why across the columns from N* on.
  static const struct text_column columns[] = {{"FLOPs", .least = 11},
                                               {"sizes", .right = true},
                                               {"N*", .least = 11, .most = 11},
                                               {"interval", .least = 24},
                                               {"D*", .least = 11},
                                               {"loss"},
                                               {0}};
  struct text_table table = {.gap = 2, .indent = 2};
  bool biased = false;
  for (size_t i = 0; i < result->budget_count; i++) biased |= isfinite(result->budgets[i].bias[ISOFLOP_PARAMETERS]);
  text_table_columns(&table, columns);
  if (biased) text_table_column(&table, (struct text_column){"bias of N*", .right = true});
  char a[40], b[40];
  for (size_t i = 0; i < result->budget_count; i++) {
    const struct isoflop_budget *budget = &result->budgets[i];
    const struct isoflop_optimum *size = &budget->optimum[ISOFLOP_PARAMETERS];
    text_table_cell(&table, "%s", number_digits(budget->flops, 4, a));
    text_table_cell(&table, "%zu", budget->sizes);
    if (budget->rejected) {
      text_table_cell(&table, "rejected: %s", budget->rejected);
      for (int empty = 0; empty < (biased ? 4 : 3); empty++) text_table_cell(&table, "%s", "");
      continue;
    }
    text_table_cell(&table, "%s", number_digits(size->value, 4, a));
    if (isfinite(size->low))
      text_table_cell(&table, "%s .. %s", number_digits(size->low, 4, a), number_digits(size->high, 4, b));
    else
      text_table_cell(&table, "%s", "");
    text_table_cell(&table, "%s", number_digits(budget->optimum[ISOFLOP_TOKENS].value, 4, a));
    text_table_cell(&table, "%s", number_digits(budget->optimum[ISOFLOP_LOSS].value, 4, b));
    if (biased && isfinite(budget->bias[ISOFLOP_PARAMETERS]))
      text_table_cell(&table, "%+.2f %%", 100 * (budget->bias[ISOFLOP_PARAMETERS] - 1));
    else if (biased)
      text_table_cell(&table, "%s", "");
  }
  text_table_print(&table, out);
  text_table_free(&table);
}

static void print_segments(const struct isoflop *result, FILE *out) {
  static const char *const heads[] = {"FLOPs from", "to", "N", "D at end", "loss there"};
  struct text_table table = {.gap = 2, .indent = 2};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
    text_table_column(&table, (struct text_column){heads[i], .least = 10});
  text_table_column(&table, (struct text_column){"lowest curve"});
  char a[40];
  for (size_t s = 0; s < result->segment_count; s++) {
    const struct isoflop_segment *segment = &result->segments[s];
    const double numbers[] = {segment->flops_low, segment->flops_high, segment->parameters, segment->tokens_high,
                              segment->loss_high};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
      text_table_cell(&table, "%s", number_digits(numbers[i], 4, a));
    text_table_cell(&table, "%.32s%s", segment->curve,
                    segment->edge ? "  (size at the edge: not in the power law)" : "");
  }
  text_table_print(&table, out);
  text_table_free(&table);
}

static void print_exponents(const struct isoflop *result, FILE *out) {
  static const char *const symbols[] = {"N*", "D*", "L*"};
  char a[40], b[40], c[40], d[40], e[40];
  for (int q = 0; q < ISOFLOP_QUANTITIES && result->regressed; q++) {
    const struct isoflop_exponent *exponent = &result->exponents[q];
    const struct power_regression *best = isoflop_best(exponent);
    fprintf(out, "  %s = %s C^%s%s", symbols[q], number_digits(best->coefficient, 4, a),
            number_digits(best->exponent, 4, b), best->pinned ? " (held)" : "");
    if (best->pinned && isfinite(exponent->coefficient_low))
      fprintf(out, ", %g %% interval of the coefficient %s .. %s over %d copies", 100 * result->confidence,
              number_digits(exponent->coefficient_low, 4, c), number_digits(exponent->coefficient_high, 4, d),
              exponent->copies);
    if (isfinite(exponent->low))
      fprintf(out, ", %g %% interval %s .. %s over %d copies", 100 * result->confidence,
              number_digits(exponent->low, 4, c), number_digits(exponent->high, 4, d), exponent->copies);
    if (exponent->weighted.points && !best->pinned)
      fprintf(out, " (unweighted %s)", number_digits(exponent->plain.exponent, 4, e));
    if (q != ISOFLOP_LOSS && result->parameter_count) fprintf(out, "; N: %s", result->parameter_count);
    fprintf(out, "\n");
  }
}

void isoflop_print(const struct isoflop *result, FILE *out) {
  char a[40], b[40], c[40], d[40], degrees[64];
  fprintf(out, "%s: %zu row%s of %s", isoflop_method_name(result->method), result->rows, result->rows == 1 ? "" : "s",
          result->source);
  if (result->duplicates)
    fprintf(out, ", %zu repeating others left out (--keep-duplicates counts all)", result->duplicates);
  if (result->method == ISOFLOP_ENVELOPE) {
    fprintf(out, ", %d FLOP values, %zu of them in the power law\n", (int)ENVELOPE_POINTS, result->used);
    print_segments(result, out);
  } else {
    fprintf(out, ", %zu budget%s, %zu with an optimum\n", result->budget_count, result->budget_count == 1 ? "" : "s",
            result->used);
    if (result->copies && result->noise.low == result->noise.high)
      fprintf(out, "  intervals from %d copies with a seed noise of %s nats (%s%s)\n", result->copies,
              number_digits(result->noise.low, 4, a), result->noise_source, isoflop_degrees_words(result, degrees));
    else if (result->copies)
      fprintf(out, "  intervals from %d copies with a seed noise of %s nats at a loss of %s to %s at %s (%s)\n",
              result->copies, number_digits(result->noise.low, 4, a), number_digits(result->noise.low_loss, 4, b),
              number_digits(result->noise.high, 4, c), number_digits(result->noise.high_loss, 4, d),
              result->noise_source);
    print_budgets(result, out);
  }
  fprintf(out, "\n");
  print_exponents(result, out);
  struct arena arena = {0};
  for (const char *const *one = isoflop_bias_sentences(&arena, result); *one; one++) fprintf(out, "  %s\n", *one);
  arena_free(&arena);
  for (size_t i = 0; i < result->warning_count; i++) fprintf(out, "  warning: %s\n", result->warnings[i]);
}

struct plot_isoflop isoflop_drawing(const struct isoflop *result, struct arena *arena) {
  struct plot_isoflop_budget *budgets = arena_array(arena, result->budget_count + 1, sizeof *budgets);
  const struct isoflop_exponent *exponent = &result->exponents[ISOFLOP_PARAMETERS];
  const struct power_regression *best = isoflop_best(exponent);
  // Of a table the count is in its own words.
  const char *counted = result->parameter_count ? parameter_count_column(result->parameter_count) : NULL;
  struct plot_isoflop data = {
      .budgets = budgets,
      .count = result->budget_count,
      .measures = counted ? measures_of(NULL, counted, "loss") : measures_of_table("parameters", "loss"),
      .coefficient = result->regressed ? best->coefficient : NAN,
      .exponent = result->regressed ? best->exponent : NAN};
  for (size_t i = 0; i < result->budget_count; i++) {
    const struct isoflop_budget *budget = &result->budgets[i];
    const struct isoflop_optimum *size = &budget->optimum[ISOFLOP_PARAMETERS];
    budgets[i] = (struct plot_isoflop_budget){.flops = budget->flops,
                                              .count = budget->sizes,
                                              .parameters = budget->parameters,
                                              .loss = budget->loss,
                                              .curve_count = budget->curve_count,
                                              .curve_parameters = budget->curve_parameters,
                                              .curve_loss = budget->curve_loss,
                                              .rejected = budget->rejected != NULL,
                                              .optimum = size->value,
                                              .low = size->low,
                                              .high = size->high,
                                              .optimum_loss = budget->optimum[ISOFLOP_LOSS].value};
  }
  return data;
}

bool isoflop_draw(const struct isoflop *result, const char *folder, struct error *error) {
  struct arena arena = {0};
  struct plot_isoflop data = isoflop_drawing(result, &arena);
  struct figure figure;
  bool fine = true;
  bool (*const builders[])(struct arena *, const struct plot_isoflop *, struct figure *) = {plot_isoflop_curves,
                                                                                            plot_isoflop_optima};
  for (int i = 0; i < 2 && fine; i++) {
    if (!builders[i](&arena, &data, &figure)) continue;
    fine = figure_write(&figure, folder, error);
    if (fine) fprintf(stderr, "wrote %s/%s.svg\n", folder, figure.name);
  }
  arena_free(&arena);
  return fine;
}
