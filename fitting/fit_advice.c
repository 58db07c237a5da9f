// Which run would close a flat direction: what the design's columns show, and of runs near its own the one at which the
// two ends of the direction differ most.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { CANDIDATE_ROWS = 24, ADVICE_COLUMNS = 8 };

static const char *short_name(const char *column) {
  if (strcmp(column, "parameters") == 0) return "N";
  if (strcmp(column, "tokens") == 0) return "D";
  if (strcmp(column, "flops") == 0) return "C";
  return column;
}

struct design_column {
  const char *name;
  int column;
  size_t distinct;
  double low, high;
  bool counts;  // of things: a run could have more of them, or fewer
};

struct design {
  struct design_column columns[ADVICE_COLUMNS];
  int count;
};

static double cell(const struct fit *fit, const struct design_column *column, size_t row) {
  return fit->table->columns[column->column].numbers[row];
}

// The law's positive numeric columns over the stage's rows.
static void look_at_design(const struct fit *fit, const struct fit_stage *stage, struct design *design) {
  *design = (struct design){0};
  double *values = memory_get((stage->row_count + 1) * sizeof *values);
  for (int i = 0; i < fit->law->column_count && design->count < ADVICE_COLUMNS; i++) {
    int column = table_find(fit->table, fit->law->columns[i]);
    if (column < 0 || fit->table->columns[column].kind != COLUMN_NUMBER) continue;
    struct design_column made = {.name = fit->law->columns[i], .column = column};
    for (size_t k = 0; k < stage->row_count; k++) values[k] = cell(fit, &made, stage->rows[k]);
    qsort(values, stage->row_count, sizeof *values, compare_numbers);
    made.low = values[0];
    made.high = values[stage->row_count - 1];
    if (!(made.low > 0)) continue;
    for (size_t k = 0; k < stage->row_count; k++) made.distinct += !k || values[k] > values[k - 1] * (1 + 1e-9);
    made.counts = made.low >= 1000;
    design->columns[design->count++] = made;
  }
  free(values);
}

static double log_correlation(const struct fit *fit, const struct fit_stage *stage, const struct design_column *a,
                              const struct design_column *b, double *ratio_span) {
  double n = (double)stage->row_count, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0, low = INFINITY, high = -INFINITY;
  for (size_t k = 0; k < stage->row_count; k++) {
    double x = log(cell(fit, a, stage->rows[k]) / a->low), y = log(cell(fit, b, stage->rows[k]) / b->low);
    sa += x;
    sb += y;
    saa += x * x;
    sbb += y * y;
    sab += x * y;
    low = fmin(low, y - x);
    high = fmax(high, y - x);
  }
  *ratio_span = exp(high - low);
  double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
  return va > 0 && vb > 0 ? (sab - sa * sb / n) / sqrt(va * vb) : 0;
}

// What the columns themselves show: too few values, a narrow range, two that go together.
static void advise_columns(const struct fit *fit, const struct fit_stage *stage, const struct design *design,
                           struct text *out) {
  int said = 0;
  for (int i = 0; i < design->count; i++) {
    const struct design_column *a = &design->columns[i];
    double span = a->high / a->low;
    if (a->distinct <= 2)
      text_format(out, "%svary %s (it takes %s)", said++ ? "; " : "", short_name(a->name),
                  a->distinct == 1 ? "one value" : "two values");
    else if (a->counts && span < 10)
      text_format(out, "%swiden %s (it spans a factor of %.3g)", said++ ? "; " : "", short_name(a->name), span);
  }
  for (int i = 0; i < design->count; i++)
    for (int j = i + 1; j < design->count; j++) {
      const struct design_column *a = &design->columns[i], *b = &design->columns[j];
      double span, correlation = log_correlation(fit, stage, a, b, &span);
      if (a->distinct < 3 || b->distinct < 3 || !(fabs(correlation) > 0.9)) continue;
      text_format(out, "%svary %s/%s (it spans a factor of %.3g; their logarithms correlate at %.2g)",
                  said++ ? "; " : "", short_name(b->name), short_name(a->name), span, correlation);
    }
}

static void coefficients_at(const struct fit *fit, const struct walk *walk, struct coefficient *coefficients) {
  for (int e = 0; e < fit->element_count; e++) coefficients[e] = fit->result->coefficients[e];
  for (int i = 0; i < walk->stage->free_count; i++) {
    int e = walk->stage->free[i];
    coefficients[e].value = element_value(&fit->elements[e], walk->at[i]);
  }
}

// The cost of a run, where the columns tell: N D, or C; else 0.
static double cost_of(const struct law_input *inputs, int count) {
  double n = 0, d = 0, c = 0;
  for (int i = 0; i < count; i++) {
    if (strcmp(inputs[i].name, "parameters") == 0) n = inputs[i].value.number;
    if (strcmp(inputs[i].name, "tokens") == 0) d = inputs[i].value.number;
    if (strcmp(inputs[i].name, "flops") == 0) c = inputs[i].value.number;
  }
  return c > 0 ? c : n * d;
}

static int inputs_of_row(const struct fit *fit, size_t row, struct law_input *inputs) {
  int count = fit->law->column_count < 32 ? fit->law->column_count : 32;
  for (int i = 0; i < count; i++) {
    int column = table_find(fit->table, fit->law->columns[i]);
    inputs[i] = (struct law_input){fit->law->columns[i], table_value(fit->table, (size_t)column, row)};
  }
  return count;
}

struct telling {
  double difference;  // between the two ends, relative
  struct law_input inputs[32];
  int count;
};

static void try_run(const struct fit *fit, const struct coefficient *const ends[2], const struct law_input *inputs,
                    int count, struct telling *best) {
  size_t n = fit->result->coefficient_count;
  double low = law_evaluate(fit->law, ends[0], n, inputs, (size_t)count),
         high = law_evaluate(fit->law, ends[1], n, inputs, (size_t)count);
  double difference = fabs(low - high) / fmin(fabs(low), fabs(high));
  if (!isfinite(difference) || !(difference > best->difference)) return;
  best->difference = difference;
  best->count = count;
  memcpy(best->inputs, inputs, (size_t)count * sizeof *inputs);
}

// Of runs near the design's (each count as it is, a quarter, or four times) that cost no more than its dearest one, the
// one at which the two ends differ most.
static struct telling most_telling_run(const struct fit *fit, const struct fit_stage *stage, const struct walk walks[2],
                                       const struct design *design) {
  struct telling best = {0};
  size_t n = fit->result->coefficient_count, step = stage->row_count / CANDIDATE_ROWS + 1;
  struct coefficient *low = memory_get((n + 1) * sizeof *low), *high = memory_get((n + 1) * sizeof *high);
  const struct coefficient *const ends[2] = {low, high};
  struct law_input inputs[32], changed[32];
  double dearest = 0;
  coefficients_at(fit, &walks[0], low);
  coefficients_at(fit, &walks[1], high);
  int counts[3], varied = 0, combinations = 1;
  for (int i = 0; i < design->count && varied < 2; i++)
    if (design->columns[i].counts) {
      counts[varied++] = i;
      combinations *= 3;
    }
  for (size_t k = 0; k < stage->row_count; k++)
    dearest = fmax(dearest, cost_of(inputs, inputs_of_row(fit, stage->rows[k], inputs)));
  for (size_t k = 0; k < stage->row_count; k += step) {
    int count = inputs_of_row(fit, stage->rows[k], inputs);
    for (int choice = 0; choice < combinations; choice++) {
      memcpy(changed, inputs, sizeof changed);
      for (int v = 0, rest = choice; v < varied; v++, rest /= 3)
        for (int i = 0; i < count; i++)
          if (strcmp(changed[i].name, design->columns[counts[v]].name) == 0)
            changed[i].value.number *= rest % 3 == 0 ? 1 : rest % 3 == 1 ? 4 : 0.25;
      if (cost_of(changed, count) <= dearest * 1.01) try_run(fit, ends, changed, count, &best);
    }
  }
  free(low);
  free(high);
  return best;
}

static void put_run(const struct telling *best, const struct design *design, struct text *out) {
  int put = 0;
  for (int i = 0; i < best->count; i++) {
    const struct value *value = &best->inputs[i].value;
    const char *name = short_name(best->inputs[i].name);
    bool counts = false;
    for (int c = 0; c < design->count; c++)
      counts |= design->columns[c].counts && strcmp(design->columns[c].name, best->inputs[i].name) == 0;
    if (value->kind == VALUE_TEXT)
      text_format(out, "%s%s = %s", put++ ? ", " : "", name, value->text);
    else if (counts || value->number != 0)
      text_format(out, "%s%s = %.2g", put++ ? ", " : "", name, value->number);
  }
}

const char *fit_advice(struct fit *fit, const struct fit_stage *stage, const struct walk walks[2]) {
  struct text words = {0};
  struct design design;
  look_at_design(fit, stage, &design);
  advise_columns(fit, stage, &design, &words);
  struct telling best = most_telling_run(fit, stage, walks, &design);
  if (best.count && best.difference > 1e-4) {
    text_format(&words, "%sa run of at most this compute says most at ", words.length ? "; " : "");
    put_run(&best, &design, &words);
    if (best.difference > 1)
      text_add(&words, " (the two ends differ by over 100 % there)");
    else
      text_format(&words, " (the two ends differ by %.2g %% there)", 100 * best.difference);
  } else if (!words.length) {
    text_add(&words, "no run near these of at most this compute would tell");
  }
  const char *advice = arena_string(&fit->result->arena, text_string(&words));
  text_free(&words);
  return advice;
}
