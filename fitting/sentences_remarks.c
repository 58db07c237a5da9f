// The diagnosis as remarks: sentences under titles, and each kind in one sentence for a screen. See sentences.h.
#include <math.h>
#include <string.h>

#include "fitting/sentences.h"

enum { SHOWN_ROWS = 5, SHOWN_OUTLIERS = 10, BRIEF_ROWS = 3, LOPSIDED = 3 };

static void remark(struct fit_remarks *remarks, const char *sentence) {
  if (sentence) remarks->items[remarks->count++] = sentence;
}

static struct fit_remarks remarks_new(struct arena *arena, const char *title, size_t most) {
  return (struct fit_remarks){.title = title, .items = arena_array(arena, most + 1, sizeof(const char *))};
}

// "vary N (it takes one value); ...; that tells of E, A": the first advice, with all that it is for.
static const char *brief_openings(struct arena *arena, const struct fit_result *result) {
  const char *names = "";
  size_t first = 0, others = 0;
  while (first < result->direction_count && !*result->directions[first].advice) first++;
  if (first == result->direction_count) return NULL;
  for (size_t i = first; i < result->direction_count; i++) {
    const struct fit_direction *direction = &result->directions[i];
    if (strcmp(direction->advice, result->directions[first].advice) == 0)
      names =
          arena_format(arena, "%s%s%s", names, *names ? ", " : "", result->coefficients[direction->coefficient].name);
    else
      others += *direction->advice != 0;
  }
  if (starts_with(result->directions[first].advice, "no run"))
    return arena_format(arena, "%s of %s", result->directions[first].advice, names);
  return arena_format(arena, "%s; that tells of %s%s", result->directions[first].advice, names,
                      others ? ", other runs of other coefficients" : "");
}

static struct fit_remarks about_openings(struct arena *arena, const struct fit_result *result) {
  bool open = false;
  for (size_t i = 0; i < result->direction_count; i++)
    open |= result->coefficients[result->directions[i].coefficient].status != COEFFICIENT_FITTED;
  struct fit_remarks remarks = remarks_new(
      arena, open ? "what this design leaves open" : "what this design says least of", 2 * result->direction_count);
  remarks.brief = brief_openings(arena, result);
  remarks.advice = true;
  for (size_t i = 0; i < result->direction_count; i++) {  // each advice once, with all that it is for
    const char *advice = result->directions[i].advice, *names = "";
    bool said = !*advice;
    for (size_t k = 0; k < result->direction_count; k++) {
      if (strcmp(result->directions[k].advice, advice) != 0) continue;
      said |= k < i;
      names = arena_format(arena, "%s%s%s", names, *names ? ", " : "",
                           result->coefficients[result->directions[k].coefficient].name);
    }
    if (!said) remark(&remarks, arena_format(arena, "for %s: %s", names, advice));
  }
  for (size_t i = 0; i < result->direction_count; i++) remark(&remarks, result->directions[i].words);
  return remarks;
}

static struct fit_remarks about_influence(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks = remarks_new(arena, "rows that the fit hangs on", SHOWN_ROWS);
  const struct fit_influential *most = result->influential;
  for (size_t i = 0; i < result->influential_count && remarks.count < SHOWN_ROWS && fabs(most[i].moves) >= 1; i++)
    remark(&remarks, fit_influence_sentence(arena, result, &most[i]));
  if (result->influential_count && !remarks.count)
    remarks.title = arena_format(
        arena, "no single row moves a coefficient by a standard error; the most, %s moves %s by %.2g of it",
        fit_row_label(arena, &result->table[most->row]), result->coefficients[most->coefficient].name, most->moves);
  size_t moving = 0;
  for (size_t i = 0; i < result->influential_count; i++) moving += fabs(most[i].moves) >= 1;
  if (moving)
    remarks.brief = arena_format(arena, "the fit hangs on %zu row%s: %s%s", moving, moving == 1 ? "" : "s",
                                 remarks.items[0], moving > 1 ? "; ..." : "");
  return remarks;
}

// "2 outliers: line 7 by +10.2 standard deviations, line 3 by -5.7"; or on which side of the law most of them lie.
static const char *brief_outliers(struct arena *arena, const struct fit_result *result, size_t above, bool lopsided) {
  const char *rows = "";
  size_t count = result->outlier_count;
  if (!count) return NULL;
  for (size_t i = 0; i < count && i < BRIEF_ROWS; i++) {
    const struct fit_outlier *outlier = &result->outliers[i];
    rows = arena_format(arena, "%s%s%s by %+.1f%s", rows, i ? ", " : "",
                        fit_row_label(arena, &result->table[outlier->row]), outlier->deviations,
                        i ? "" : " standard deviations");
  }
  if (!lopsided)
    return arena_format(arena, "%zu outlier%s: %s%s", count, count == 1 ? "" : "s", rows,
                        count > BRIEF_ROWS ? ", ..." : "");
  return arena_format(arena,
                      "of %zu outliers %zu lie above the law, as runs do that are badly tuned or cut short (leave them "
                      "out with --where, or --objective asymmetric:3): %s%s",
                      count, above, rows, count > BRIEF_ROWS ? ", ..." : "");
}

static struct fit_remarks about_outliers(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks = remarks_new(
      arena, "outliers (normal errors as large as the others' would not give such residuals)", SHOWN_OUTLIERS + 1);
  size_t above = 0;
  for (size_t i = 0; i < result->outlier_count; i++) above += result->outliers[i].deviations > 0;
  bool lopsided = result->outlier_count >= LOPSIDED && 3 * above >= 2 * result->outlier_count &&
                  strcmp(result->target, "loss") == 0;
  remarks.brief = brief_outliers(arena, result, above, lopsided);
  if (lopsided)
    remarks.title = arena_format(
        arena,
        "%s; %zu of %zu lie above the law, as runs do that are badly tuned or cut short: they pull it up (leave "
        "them out with --where, or let them count less with --objective asymmetric:3)",
        remarks.title, above, result->outlier_count);
  for (size_t i = 0; i < result->outlier_count && i < SHOWN_OUTLIERS; i++)
    remark(&remarks, fit_outlier_sentence(arena, result, &result->outliers[i]));
  if (result->outlier_count > SHOWN_OUTLIERS)
    remark(&remarks, arena_format(arena, "and %zu more", result->outlier_count - SHOWN_OUTLIERS));
  return remarks;
}

// The columns, and what the residuals do with the strongest; NULL without any. Columns that a warning names
// with which residuals go are left to it.
static const char *brief_trends(struct arena *arena, const struct fit_result *result) {
  const char *names = "", *strongest = NULL;
  double least = 2;
  for (size_t i = 0; i < result->trend_count; i++) {
    const struct fit_trend *trend = &result->trends[i];
    const char *sentence = fit_trend_sentence(arena, trend);
    double p = sentence ? trend->p : trend->spread_p;
    bool told = false;
    if (!sentence) sentence = fit_spread_sentence(arena, trend);
    for (size_t w = 0; w < result->warning_count; w++)
      told |= starts_with(result->warnings[w], "residuals go with") && strstr(result->warnings[w], trend->column);
    if (!sentence || told) continue;
    names = arena_format(arena, "%s%s%s", names, *names ? ", " : "", trend->column);
    if (p >= least) continue;
    least = p;
    strongest = sentence;
  }
  return strongest ? arena_format(arena, "residuals follow %s, so the law's form misses something there: %s", names,
                                  strongest)
                   : NULL;
}

static struct fit_remarks about_trends(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks =
      remarks_new(arena, "residuals follow columns, so the law's form misses something there", 2 * result->trend_count);
  for (size_t i = 0; i < result->trend_count; i++) {
    remark(&remarks, fit_trend_sentence(arena, &result->trends[i]));
    remark(&remarks, fit_spread_sentence(arena, &result->trends[i]));
  }
  remarks.brief = brief_trends(arena, result);
  return remarks;
}

static struct fit_remarks about_scores(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks = remarks_new(arena, "coefficients from elsewhere", result->score_count);
  remarks.asked = true;
  for (size_t i = 0; i < result->score_count; i++)
    remark(&remarks, fit_score_sentence(arena, result, &result->scores[i]));
  return remarks;
}

static struct fit_remarks about_ratios(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks = remarks_new(arena, "ratios", result->ratio_count);
  remarks.asked = true;
  for (size_t i = 0; i < result->ratio_count; i++)
    remark(&remarks, fit_ratio_sentence(arena, result, &result->ratios[i]));
  return remarks;
}

static struct fit_remarks about_contours(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks = remarks_new(arena, "two at once", result->contour_count);
  remarks.asked = true;
  for (size_t i = 0; i < result->contour_count; i++)
    remark(&remarks, fit_contour_sentence(arena, result, &result->contours[i]));
  return remarks;
}

static struct fit_remarks about_priors(struct arena *arena, const struct fit_result *result) {
  struct fit_remarks remarks = remarks_new(arena, "priors", result->prior_count);
  remarks.asked = true;
  for (size_t i = 0; i < result->prior_count; i++)
    remark(&remarks, fit_prior_sentence(arena, result, &result->priors[i]));
  return remarks;
}

static struct fit_remarks about_pools(struct arena *arena, const struct fit_result *result) {
  size_t most = 0;
  for (size_t i = 0; i < result->pool_count; i++) most += 1 + result->pools[i].member_count;
  struct fit_remarks remarks = remarks_new(arena, "partial pooling", most);
  remarks.asked = true;
  for (size_t i = 0; i < result->pool_count; i++) {
    const struct fit_pool *pool = &result->pools[i];
    remark(&remarks, fit_pool_sentence(arena, result, pool));
    for (size_t k = 0; k < pool->member_count; k++)
      remark(&remarks, fit_pooled_sentence(arena, result, &pool->members[k]));
  }
  return remarks;
}

size_t fit_remarks(struct arena *arena, const struct fit_result *result, struct fit_remarks remarks[FIT_REMARKS]) {
  const struct fit_remarks all[FIT_REMARKS] = {
      about_openings(arena, result),  about_scores(arena, result),   about_ratios(arena, result),
      about_contours(arena, result),  about_priors(arena, result),   about_pools(arena, result),
      about_influence(arena, result), about_outliers(arena, result), about_trends(arena, result)};
  size_t count = 0;
  for (size_t i = 0; i < FIT_REMARKS; i++)
    if (all[i].count || (i == 6 && result->influential_count)) remarks[count++] = all[i];
  return count;
}
