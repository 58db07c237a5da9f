// The two-step fit: a law of what best_over chose from a grid (the best learning rate of each size). The choice has an
// error (table_choice.c), and the scatter of the rows about the law shows it only in part: where the steps of the grid
// are wide, all sizes may share one value. Intervals hold at least that error: resamples move every row's target by the
// part of it that the scatter lacks, and all together by what their neighbours on the grid say that they are off, since
// rounding to wide steps bends a law rather than scattering its rows.
#include <math.h>
#include <string.h>
#include <strings.h>

#include "fitting/fit_internal.h"

static const struct table_choice *choice_of(const struct fit *fit) {
  for (size_t i = 0; i < fit->table->choice_count; i++)
    if (fit->table->choices[i].column == fit->target_column) return &fit->table->choices[i];
  return NULL;
}

bool fit_chosen(const struct fit *fit) { return choice_of(fit) != NULL; }

// The law that ships, where the column is what it is about; else how to write one.
static const char *joint_law(struct fit *fit, const char *column) {
  static const char *const rates[] = {"lr", "train.lr", "learning_rate", "peak_lr", "max_lr", "learning rate"};
  const struct table_column *target = &fit->table->columns[fit->target_column];
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
    if (strcasecmp(column, rates[i]) == 0 || strcasecmp(target->original, rates[i]) == 0)
      return strcmp(column, "lr") == 0
                 ? "--law joint-learning-rate"
                 : arena_format(&fit->result->arena, "--law joint-learning-rate --map 'lr=%s'", target->original);
  return "a law file with a parabola in its logarithm, as joint-learning-rate has it (isoloss laws)";
}

void fit_choice(struct fit *fit) {
  const struct table_choice *choice = choice_of(fit);
  struct fit_result *result = fit->result;
  double squares = 0, scatter = 0;
  size_t rows = 0, freed = 0;
  char number[32];
  if (!choice) return;
  fit->row_choice = arena_array(&fit->arena, fit->table->row_count + 1, sizeof *fit->row_choice);
  fit->row_offset = arena_array(&fit->arena, fit->table->row_count + 1, sizeof *fit->row_offset);
  for (size_t i = 0; i < result->table_count; i++) {
    const struct fit_row *row = &result->table[i];
    double deviation = choice->deviation[row->place];
    if (isnan(deviation)) deviation = 0;  // a single value to choose from; told where it was chosen
    double unit = choice->logarithmic == (fit->residual == RESIDUAL_LOG) ? 1
                  : choice->logarithmic                                  ? row->observed
                                                                         : 1 / row->observed;
    deviation *= unit;
    fit->row_choice[row->place] = deviation;
    fit->row_offset[row->place] = choice->offset[row->place] * unit;
    if (row->use != ROW_FITTED || !isfinite(row->residual)) continue;
    squares += deviation * deviation;
    scatter += row->residual * row->residual;
    rows++;
  }
  for (int e = 0; e < fit->element_count; e++) freed += fit->elements[e].free_ever;
  if (!rows) return;
  double own = squares / (double)rows, shown = scatter / fmax(1, (double)rows - (double)freed);
  fit->choice_share = own > 0 ? sqrt(fmax(0, 1 - shown / own)) : 0;
  fit->choice_variance = own;
  bool percent = fit->residual == RESIDUAL_LOG;
  fit_result_warn(
      result,
      "%s is what best_over chose from a grid, and off by %s%s a row (standard deviation: the grid's steps, and "
      "noise among neighbours), which the intervals hold; a joint law of the loss in %s and the other columns "
      "takes all rows in one fit and chooses nothing: %s",
      result->target, number_digits(sqrt(own) * (percent ? 100 : 1), 2, number), percent ? " %" : "", result->target,
      joint_law(fit, result->target));
}
