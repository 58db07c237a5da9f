// Rows of equal settings: their spread is noise that no law can predict, so a law that misses their means by more than
// that noise explains lacks something (the test of lack of fit; Draper and Smith 1998, "Applied Regression Analysis",
// section 2.1). The test is made at the least-squares minimum, whatever the fit's objective.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

struct setting {
  double members, mean;  // runs, and the mean of their residuals
  double squares;        // about the mean
  size_t rows;
};

// Residuals at the least-squares minimum, rows that are averages weighted by their runs; NULL where there is none.
static const double *least_squares(struct fit *fit, struct fit_stage *stage) {
  static const struct objective squares = {.kind = OBJECTIVE_LEAST_SQUARES};
  struct refit *refit = refits_new(&fit->arena, fit, 1);
  for (int e = 0; e < fit->element_count; e++) refit->elements[e] = fit->elements[e].value;
  for (size_t row = 0; row < fit->table->row_count; row++) refit->factor[row] = fit->table->row_members[row];
  if (!isfinite(refit_stage(fit, refit, stage, &squares))) return NULL;
  struct workspace *workspace = refit->spaces[stage - fit->stages];
  return isfinite(problem_evaluate(workspace, refit->best, NULL, WANT_VALUE)) ? workspace->residual : NULL;
}

static struct setting *gather(struct fit *fit, const struct fit_stage *stage, const double *residual, int *count) {
  const struct table *table = fit->table;
  const struct law *law = fit->law;
  bool *fitted = arena_array(&fit->arena, table->row_count + 1, sizeof *fitted);
  int *group = arena_array(&fit->arena, table->row_count + 1, sizeof *group);
  int *columns = arena_array(&fit->arena, (size_t)law->column_count + 1, sizeof *columns);
  const char *names = "";
  for (int i = 0; i < law->column_count; i++) {
    columns[i] = table_find(table, law->columns[i]);
    names = arena_format(&fit->result->arena, "%s%s%s", names, i ? ", " : "", law->columns[i]);
  }
  fit->result->replication.columns = names;
  for (size_t i = 0; i < stage->row_count; i++) fitted[stage->rows[i]] = true;
  *count = table_partition(table, columns, law->column_count, fitted, group);
  struct setting *settings = arena_array(&fit->arena, (size_t)*count + 1, sizeof *settings);
  for (size_t i = 0; i < stage->row_count; i++) {
    size_t row = stage->rows[i];
    struct setting *setting = &settings[group[row]];
    double root = sqrt(stage->weight[i]), r = residual[i] * root, members = table->row_members[row];
    double unit =
        root * (fit->row_scale ? fit->row_scale[row] : 1) * (fit->residual == RESIDUAL_LOG ? 1 : fit->observed[row]);
    double off = r - setting->mean, all = setting->members + members;  // Welford's update, in groups
    setting->squares += table->row_squares[row] * unit * unit + off * off * setting->members * members / all;
    setting->mean += off * members / all;
    setting->members = all;
    setting->rows++;
  }
  return settings;
}

void fit_replicates(struct fit *fit) {
  struct fit_replication *out = &fit->result->replication;
  struct fit_stage *stage = &fit->stages[0];
  const double *residual;
  int count;
  *out = (struct fit_replication){.spread = NAN, .f = NAN, .p = NAN, .miss = NAN};
  if (fit->stage_count != 1 || !stage->free_count || !fit_is_small(fit) || fit->rounding) return;
  if (!(residual = least_squares(fit, stage))) return;
  const struct setting *settings = gather(fit, stage, residual, &count);
  double inside = 0, between = 0, runs = 0;
  for (int s = 0; s < count; s++) {
    runs += settings[s].members;
    inside += settings[s].squares;
    between += settings[s].members * settings[s].mean * settings[s].mean;
    if (settings[s].members < 2) continue;
    out->settings++;
    out->rows += (size_t)settings[s].members;
  }
  out->pure = runs - count;
  out->lack = count - stage->free_count;
  if (!(out->pure > 0)) return;
  out->spread = sqrt(inside / out->pure);
  if (fit->grouped)
    out->untested = "the rows are not independent";
  else if (out->lack < 1)
    out->untested = "there are no more settings than coefficients";
  else if (!(inside > 0))
    out->untested = "rows of equal settings do not differ";
  if (out->untested) return;
  out->miss = sqrt(between / runs);
  out->f = between / out->lack / (inside / out->pure);
  out->p = gsl_cdf_fdist_Q(out->f, out->lack, out->pure);
}
