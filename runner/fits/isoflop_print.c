// Compute-optimal sizes for people: tables and figures' data. See isoflop_runs.h.
#include <math.h>

#include "runner/fits/isoflop_runs.h"

static void print_budgets(const struct isoflop *result, FILE *out) {
  char a[40], b[40], c[40], d[40], e[40], f[40];
  bool biased = false;
  for (size_t i = 0; i < result->budget_count; i++) biased |= isfinite(result->budgets[i].bias[ISOFLOP_PARAMETERS]);
  fprintf(out, "  %-11s %5s  %-11s %-25s %-11s %s\n", "FLOPs", "sizes", "N*", "interval", "D*",
          biased ? "loss      bias of N*" : "loss");
  for (size_t i = 0; i < result->budget_count; i++) {
    const struct isoflop_budget *budget = &result->budgets[i];
    const struct isoflop_optimum *size = &budget->optimum[ISOFLOP_PARAMETERS];
    fprintf(out, "  %-11s %5zu  ", number_digits(budget->flops, 4, a), budget->sizes);
    if (budget->rejected) {
      fprintf(out, "rejected: %s\n", budget->rejected);
      continue;
    }
    char interval[100] = "";
    if (isfinite(size->low))
      snprintf(interval, sizeof interval, "%s .. %s", number_digits(size->low, 4, b), number_digits(size->high, 4, c));
    fprintf(out, "%-11s %-25s %-11s ", number_digits(size->value, 4, d), interval,
            number_digits(budget->optimum[ISOFLOP_TOKENS].value, 4, e));
    number_digits(budget->optimum[ISOFLOP_LOSS].value, 4, f);
    if (isfinite(budget->bias[ISOFLOP_PARAMETERS]))
      fprintf(out, "%-9s %+.2f %%\n", f, 100 * (budget->bias[ISOFLOP_PARAMETERS] - 1));
    else
      fprintf(out, "%s\n", f);
  }
}

static void print_segments(const struct isoflop *result, FILE *out) {
  char a[40], b[40], c[40], d[40], e[40];
  fprintf(out, "  %-11s %-11s %-11s %-11s %-10s %s\n", "FLOPs from", "to", "N", "D at end", "loss there",
          "lowest curve");
  for (size_t s = 0; s < result->segment_count; s++) {
    const struct isoflop_segment *segment = &result->segments[s];
    fprintf(out, "  %-11s %-11s %-11s %-11s %-10s %.32s%s\n", number_digits(segment->flops_low, 4, a),
            number_digits(segment->flops_high, 4, b), number_digits(segment->parameters, 4, c),
            number_digits(segment->tokens_high, 4, d), number_digits(segment->loss_high, 4, e), segment->curve,
            segment->edge ? "  (size at the edge: not in the power law)" : "");
  }
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
  char a[40], b[40], c[40], d[40];
  fprintf(out, "%s: %zu rows of %s", isoflop_method_name(result->method), result->rows, result->source);
  if (result->duplicates)
    fprintf(out, ", %zu repeating others left out (--keep-duplicates counts all)", result->duplicates);
  if (result->method == ISOFLOP_ENVELOPE) {
    fprintf(out, ", %d FLOP values, %zu of them in the power law\n", (int)ENVELOPE_POINTS, result->used);
    print_segments(result, out);
  } else {
    fprintf(out, ", %zu budgets, %zu with an optimum\n", result->budget_count, result->used);
    if (result->copies && result->noise.low == result->noise.high)
      fprintf(out, "  intervals from %d copies with a seed noise of %s nats (%s)\n", result->copies,
              number_digits(result->noise.low, 4, a), result->noise_source);
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
  struct plot_isoflop data = {.budgets = budgets,
                              .count = result->budget_count,
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
