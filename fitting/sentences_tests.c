// Sentences about what was tested: coefficients from elsewhere, ratios of
// coefficients, rows left out. See sentences.h.
#include <math.h>
#include <string.h>

#include "fitting/sentences.h"

static const double level = 0.05;

// A size of residuals: "0.31 %" of differences of logarithms, else a number.
static const char *size_text(struct arena *arena, const struct fit_result *result, double size) {
  char number[32];
  bool logarithms = result->residual == RESIDUAL_LOG;
  return arena_format(arena, "%s%s", number_digits(logarithms ? 100 * size : size, 3, number), logarithms ? " %" : "");
}

static const char *number_or_dash(struct arena *arena, double value) {
  char number[32];
  return isnan(value) ? "-" : arena_string(arena, number_digits(value, 4, number));
}

const char *fit_ratio_sentence(struct arena *arena, const struct fit_result *result, const struct fit_ratio *ratio) {
  const struct fit_derived *q = &ratio->quantity;
  char number[32];
  const char *text = arena_format(arena, "%s = %s", q->name, number_digits(q->value, 4, number));
  if (!isnan(q->low) || !isnan(q->high))
    text = arena_format(arena, "%s (%g %%: %s .. %s)", text, 100 * result->confidence, number_or_dash(arena, q->low),
                        number_or_dash(arena, q->high));
  if (q->status != COEFFICIENT_FITTED) return arena_format(arena, "%s, %s", text, coefficient_status_name(q->status));
  if (isnan(ratio->p)) return arena_format(arena, "%s; no resamples, no interval", text);
  bool least = ratio->p <= ratio->p_least * (1 + 1e-9);
  if (least && !(ratio->p < level))
    return arena_format(arena, "%s; all resamples lie on one side of 1, but %d are too few for a p below %.2g", text,
                        result->bootstrap, ratio->p);
  return arena_format(arena, "%s; %s 1 (p %s %.2g)", text, ratio->p < level ? "it is not" : "it may be",
                      least ? "at most" : "=", ratio->p);
}

const char *fit_contour_sentence(struct arena *arena, const struct fit_result *result,
                                 const struct fit_contour *contour) {
  const struct fit_contour_point *line = contour->lines[FIT_CONTOUR_LINES - 1];
  const char *names[] = {result->coefficients[contour->x].name, result->coefficients[contour->y].name};
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  size_t open = 0;
  char a[32], b[32], c[32], d[32];
  if (!contour->point_count) return arena_format(arena, "%s and %s: no errors, no region", names[0], names[1]);
  for (size_t i = 0; i < contour->point_count; i++) {
    open += line[i].open;
    low[0] = fmin(low[0], line[i].x);
    high[0] = fmax(high[0], line[i].x);
    low[1] = fmin(low[1], line[i].y);
    high[1] = fmax(high[1], line[i].y);
  }
  const char *text = arena_format(arena, "the %g %% region of both reaches from %s to %s in %s and from %s to %s in %s",
                                  100 * contour->levels[FIT_CONTOUR_LINES - 1], number_digits(low[0], 4, a),
                                  number_digits(high[0], 4, b), names[0], number_digits(low[1], 4, c),
                                  number_digits(high[1], 4, d), names[1]);
  if (!open) return text;
  return arena_format(arena, "%s; in %zu of %zu directions from the estimate it has no end", text, open,
                      contour->point_count);
}

const char *fit_prior_sentence(struct arena *arena, const struct fit_result *result, const struct fit_prior *prior) {
  const struct coefficient *c = &result->coefficients[prior->coefficient];
  char a[32], b[32];
  const char *text = arena_format(arena, "%s: prior %s%s +- %s", c->name, prior->of_logarithm ? "of ln " : "",
                                  number_digits(prior->mean, 4, a), number_digits(prior->sd, 3, b));
  if (prior->alone_status == COEFFICIENT_FITTED && !isnan(prior->alone_se))
    text = arena_format(arena, "%s; the rows alone give %s (se %s)", text, number_digits(prior->alone, 4, a),
                        number_digits(prior->alone_se, 3, b));
  else if (prior->alone_status == COEFFICIENT_UNFITTED)
    text = arena_format(arena, "%s; no row says anything of it", text);
  else
    text = arena_format(arena, "%s; the rows alone do not determine it", text);
  text = arena_format(arena, "%s; with both %s lies %.2g of the prior's standard deviations %s its mean", text, c->name,
                      fabs(prior->moved), prior->moved < 0 ? "below" : "above");
  if (c->status == COEFFICIENT_BY_PRIOR)
    return arena_format(arena, "%s: it is set by its prior, not by the data", text);
  return arena_format(arena, "%s, and its own is %.2g of the prior's", text, prior->narrowed);
}

const char *fit_global_sentence(struct arena *arena, const struct fit_result *result, const struct fit_global *global) {
  char a[32], b[32];
  const char *of = result->stage_count > 1 ? arena_format(arena, " (stage %s)", global->stage) : "", *over = "";
  if (global->reason) return arena_format(arena, "no global check%s: %s", of, global->reason);
  for (int k = 0; k < global->axis_count; k++)
    over = arena_format(arena, "%s%s%s from %s to %s", over, k ? " x " : " over ", global->axes[k].name,
                        number_digits(global->axes[k].low, 3, a), number_digits(global->axes[k].high, 3, b));
  const char *grid = global->axis_count
                         ? arena_format(arena,
                                        "on a grid of %zu points%s, the other coefficients at their best at each (%zu "
                                        "minim%s of the grid followed down)",
                                        global->points, over, global->followed, global->followed == 1 ? "um" : "a")
                         : "from the best of the coefficients, in all of which the law is linear";
  if (!global->lower) return arena_format(arena, "global check%s: no lower minimum %s", of, grid);
  const char *change = isnan(global->before)
                           ? ""
                           : arena_format(arena, ", %s instead of the search's %s", number_digits(global->lowest, 6, a),
                                          number_digits(global->before, 6, b));
  return arena_format(arena, "global check%s: a lower minimum was found %s%s; the fit is the one there", of, grid,
                      change);
}

const char *fit_pool_sentence(struct arena *arena, const struct fit_result *result, const struct fit_pool *pool) {
  char mean[32], spread[32];
  const char *low = number_or_dash(arena, pool->low),
             *high = isfinite(pool->high) ? number_or_dash(arena, pool->high) : "no limit";
  return arena_format(arena, "%s over %zu categories of %s: mean %s, spread%s%s %s (%g %%: %s .. %s)", pool->parameter,
                      pool->member_count, pool->column, number_digits(pool->mean, 4, mean),
                      pool->logarithmic ? " of ln " : "", pool->logarithmic ? pool->parameter : "",
                      number_digits(pool->spread, 3, spread), 100 * result->confidence, low, high);
}

const char *fit_pooled_sentence(struct arena *arena, const struct fit_result *result, const struct fit_pooled *member) {
  const struct coefficient *c = &result->coefficients[member->coefficient];
  char a[32], b[32];
  const char *text = arena_format(arena, "%s = %s", c->name, number_digits(c->value, 4, a));
  if (member->alone_status != COEFFICIENT_FITTED || isnan(member->alone_se))
    return arena_format(arena, "%s; its own rows do not determine it", text);
  return arena_format(arena, "%s; by its own rows %s (se %s), which have a weight of %.2g", text,
                      number_digits(member->alone, 4, a), number_digits(member->alone_se, 3, b), member->weight);
}

const char *fit_not_left_out_sentence(struct arena *arena, const struct fit_leave_out *leave_out) {
  const char *text = NULL;
  for (size_t i = 0; i < leave_out->value_count; i++) {
    const char *trouble = leave_out->values[i].trouble, *names = leave_out->values[i].value;
    bool told = false;
    for (size_t k = 0; k < i && trouble; k++)
      told |= leave_out->values[k].trouble && strcmp(leave_out->values[k].trouble, trouble) == 0;
    if (!trouble || told) continue;
    for (size_t k = i + 1; k < leave_out->value_count; k++)
      if (leave_out->values[k].trouble && strcmp(leave_out->values[k].trouble, trouble) == 0)
        names = arena_format(arena, "%s, %s", names, leave_out->values[k].value);
    text = arena_format(arena, "%s%s%s cannot be left out: %s", text ? text : "", text ? "; " : "", names, trouble);
  }
  return text;
}

static double rms_of_fit(const struct fit_result *result) {
  double squares = 0;
  for (size_t i = 0; i < result->table_count; i++)
    if (result->table[i].use == ROW_FITTED) squares += result->table[i].residual * result->table[i].residual;
  return sqrt(squares / (double)result->rows);
}

const char *fit_score_sentence(struct arena *arena, const struct fit_result *result, const struct fit_score *score) {
  char a[32], b[32];
  const char *text = arena_format(
      arena, "%s: objective %s (the fit's %s); predictions are %s too %s on average, residual rms %s (the fit's %s)",
      score->name, number_digits(score->objective, 6, a), number_digits(result->objective, 6, b),
      size_text(arena, result, fabs(score->bias)), score->bias < 0 ? "high" : "low",
      size_text(arena, result, score->rms), size_text(arena, result, rms_of_fit(result)));
  if (score->untested) return arena_format(arena, "%s; not tested: %s", text, score->untested);
  return arena_format(arena, "%s; these rows %s (F(%.0f, %.0f) = %.3g, p = %.2g)", text,
                      score->p < level ? "reject it" : "do not reject it", score->degrees, score->error_degrees,
                      score->statistic, score->p);
}
