// Flat ("sloppy") directions in words: which coefficients a design leaves open, over which range, and which run would
// close them. The directions are eigenvectors of the information matrix scaled to a unit diagonal; the range is that of
// the coefficient that moves most, walked with the others refitted until the objective has grown by 2 %.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { DIRECTIONS = 3, CANDIDATE_ROWS = 24, ADVICE_COLUMNS = 8 };
static const double tolerance = 0.02;    // growth of the objective that nobody would notice
static const double flat = 1e-3;         // eigenvalue, over the largest
static const double loose_factor = 1.5;  // ranges narrower than this are worth no sentence

struct candidate {
  const struct fit_stage *stage;
  int coordinate;
  double eigenvalue;
  int companions[3], companion_count;  // coordinates that move along
  double step;
  struct walk walks[2];
  struct arena arenas[2];
};

struct directing {
  struct fit *fit;
  struct candidate *candidates;
  size_t count;
};

// ---- which directions ----

static struct candidate *add_candidate(struct directing *directing, const struct fit_stage *stage, int coordinate,
                                       double eigenvalue) {
  for (size_t i = 0; i < directing->count; i++)
    if (directing->candidates[i].stage == stage && directing->candidates[i].coordinate == coordinate) return NULL;
  struct candidate *made = &directing->candidates[directing->count++];
  *made = (struct candidate){.stage = stage, .coordinate = coordinate, .eigenvalue = eigenvalue, .step = 0.5};
  return made;
}

static void scaled_matrix(const struct stage_scale *scale, double *matrix) {
  int n = scale->n;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      matrix[i * n + j] = scale->matrix[i * n + j] / sqrt(scale->matrix[i * n + i] * scale->matrix[j * n + j]);
}

static void flat_directions(struct directing *directing, const struct fit_stage *stage,
                            const struct stage_scale *scale) {
  size_t n = (size_t)scale->n;
  double *matrix = memory_get((n * n + 1) * sizeof *matrix), *values = memory_get((n + 1) * sizeof *values),
         *vectors = memory_get((n * n + 1) * sizeof *vectors);
  scaled_matrix(scale, matrix);
  if (n > 1 && symmetric_eigen(matrix, (int)n, values, vectors))
    for (size_t k = 0; k < n && k < DIRECTIONS && values[k] < flat * values[n - 1]; k++) {
      // in units of the coordinates themselves, which are logarithms for positive parameters
      size_t most = 0;
      double *size = matrix;  // used up by symmetric_eigen
      for (size_t i = 0; i < n; i++) {
        size[i] = fabs(vectors[i * n + k]) / sqrt(scale->matrix[i * n + i]);
        if (size[i] > size[most]) most = i;
      }
      struct candidate *candidate =
          add_candidate(directing, stage, scale->of[most], fmax(values[k], 0) / values[n - 1]);
      if (!candidate) continue;
      double rise = tolerance * stage->objective / fmax(scale->slope, 1e-3);
      if (scale->inverse) candidate->step = fmin(sqrt(2 * rise * scale->inverse[most * n + most]) / 2, 2);
      for (size_t i = 0; i < n && candidate->companion_count < 3; i++)
        if (i != most && fabs(vectors[i * n + k]) > 0.3)
          candidate->companions[candidate->companion_count++] = scale->of[i];
    }
  free(matrix);
  free(values);
  free(vectors);
}

static void find_candidates(struct directing *directing) {
  struct fit *fit = directing->fit;
  directing->candidates =
      arena_array(&fit->arena, (size_t)((1 + DIRECTIONS) * fit->element_count + DIRECTIONS * fit->stage_count) + 1,
                  sizeof *directing->candidates);
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count || !(stage->objective > 1e-18 * (double)stage->row_count)) continue;
    int at_bounds = 0;
    for (int i = 0; i < stage->free_count; i++) {
      enum coefficient_status status = fit->result->coefficients[stage->free[i]].status;
      bool bound = status == COEFFICIENT_AT_LOW || status == COEFFICIENT_AT_HIGH;
      bool open = status == COEFFICIENT_UNIDENTIFIED || status == COEFFICIENT_ONE_SIDED;
      if ((bound && at_bounds++ < DIRECTIONS) || open) add_candidate(directing, stage, i, 0);
    }
    flat_directions(directing, stage, stage->scale);
  }
}

static void walk_one(void *context, size_t side, int thread) {
  struct directing *directing = context;
  struct candidate *candidate = &directing->candidates[side / 2];
  struct walk *walk = &candidate->walks[side % 2];
  (void)thread;
  double unit = directing->fit->objective.kind == OBJECTIVE_LAD ? candidate->stage->problem.delta : 1;
  *walk = (struct walk){.stage = candidate->stage,
                        .coordinate = candidate->coordinate,
                        .direction = side % 2 ? 1 : -1,
                        .step = candidate->step,
                        .rise = tolerance * candidate->stage->objective * unit};
  walk_out(&candidate->arenas[side % 2], directing->fit, walk);
}

// ---- advice ----

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
static struct telling most_telling_run(const struct fit *fit, const struct candidate *candidate,
                                       const struct design *design) {
  const struct fit_stage *stage = candidate->stage;
  struct telling best = {0};
  size_t n = fit->result->coefficient_count, step = stage->row_count / CANDIDATE_ROWS + 1;
  struct coefficient *low = memory_get((n + 1) * sizeof *low), *high = memory_get((n + 1) * sizeof *high);
  const struct coefficient *const ends[2] = {low, high};
  struct law_input inputs[32], changed[32];
  double dearest = 0;
  coefficients_at(fit, &candidate->walks[0], low);
  coefficients_at(fit, &candidate->walks[1], high);
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

// ---- sentences ----

// Without a word of what the rows determine: that is the status', which other levels of the objective decide.
static void put_range(const struct fit_direction *direction, const char *name, struct text *out) {
  if (direction->low_open && direction->high_open)
    text_format(out, "every %s fits within 2 %%", name);
  else if (direction->low_open)
    text_format(out, "any %s below %.3g fits within 2 %%", name, direction->high);
  else if (direction->high_open)
    text_format(out, "any %s above %.3g fits within 2 %%", name, direction->low);
  else
    text_format(out, "any %s from %.3g to %.3g fits within 2 %%", name, direction->low, direction->high);
}

// How much a coordinate moves from end to end, of logarithms or relative.
static double moved(const struct fit *fit, const struct candidate *candidate, int place) {
  const struct element *element = &fit->elements[candidate->stage->free[place]];
  double low = candidate->walks[0].at[place], high = candidate->walks[1].at[place];
  return fabs(high - low) / (element->logarithmic ? 1 : fmax(fabs(low), fabs(high)) + 1e-300);
}

// Of a direction that no eigenvector gave: those that move most on the way.
static void find_companions(const struct fit *fit, struct candidate *candidate) {
  enum { MOST = 3 };
  while (candidate->companion_count < MOST) {
    int best = -1;
    for (int i = 0; i < candidate->stage->free_count; i++) {
      bool taken = i == candidate->coordinate;
      for (int k = 0; k < candidate->companion_count; k++) taken |= candidate->companions[k] == i;
      if (!taken && moved(fit, candidate, i) > 0.05 &&
          (best < 0 || moved(fit, candidate, i) > moved(fit, candidate, best)))
        best = i;
    }
    if (best < 0) return;
    candidate->companions[candidate->companion_count++] = best;
  }
}

// What comes to 0 on one side alone.
static void put_vanished(const struct fit *fit, const struct candidate *candidate, struct text *out) {
  int told = -1;
  for (int side = 0; side < 2; side++) {
    int place = candidate->walks[side].vanished;
    if (place < 0 || place == told || candidate->walks[1 - side].at[place] < candidate->walks[side].at[place] + 1)
      continue;
    text_format(out, "; %s reaches 0 first", fit->elements[candidate->stage->free[place]].name);
    told = place;
  }
}

static void put_companions(const struct fit *fit, struct candidate *candidate, struct text *out) {
  int put = 0;
  if (!candidate->companion_count) find_companions(fit, candidate);
  for (int i = 0; i < candidate->companion_count; i++) {
    int place = candidate->companions[i], e = candidate->stage->free[place];
    const struct element *element = &fit->elements[e];
    double low = element_value(element, candidate->walks[0].at[place]),
           high = element_value(element, candidate->walks[1].at[place]);
    bool vanished = fit->result->coefficients[e].status == COEFFICIENT_AT_LOW && element->logarithmic;
    if (vanished && fmax(low, high) < 1e-12) continue;
    if (fabs(high - low) < 0.05 * fmax(fabs(low), fabs(high))) continue;
    char from[32], to[32];
    snprintf(from, sizeof from, "%.3g", low);
    snprintf(to, sizeof to, "%.3g", high);
    if (element->logarithmic && low < 1e-6 * high) strcpy(from, "0");
    if (element->logarithmic && high < 1e-6 * low) strcpy(to, "0");
    text_format(out, "%s%s from %s to %s", put++ ? ", " : ", with ", element->name, from, to);
  }
  put_vanished(fit, candidate, out);
}

static bool worth_saying(const struct fit_direction *direction, double value) {
  if (direction->low_open || direction->high_open) return true;
  if (direction->low > 0) return direction->high > loose_factor * direction->low;
  return direction->high - direction->low > (loose_factor - 1) * fabs(value);
}

static void put_direction(struct fit *fit, struct candidate *candidate) {
  struct fit_result *result = fit->result;
  int e = candidate->stage->free[candidate->coordinate];
  const struct element *element = &fit->elements[e];
  const struct walk *low = &candidate->walks[0], *high = &candidate->walks[1];
  struct fit_direction direction = {.coefficient = (size_t)e,
                                    .low = element_value(element, low->x),
                                    .high = element_value(element, high->x),
                                    .low_open = low->end != WALK_REACHED,
                                    .high_open = high->end != WALK_REACHED,
                                    .eigenvalue = candidate->eigenvalue};
  if (!worth_saying(&direction, result->coefficients[e].value)) return;
  struct text words = {0};
  struct design design;
  put_range(&direction, element->name, &words);
  put_companions(fit, candidate, &words);
  look_at_design(fit, candidate->stage, &design);
  direction.words = arena_string(&result->arena, text_string(&words));
  text_clear(&words);
  advise_columns(fit, candidate->stage, &design, &words);
  struct telling best = most_telling_run(fit, candidate, &design);
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
  direction.advice = arena_string(&result->arena, text_string(&words));
  text_free(&words);
  if (direction.low_open && low->end == WALK_FLAT) direction.low = element->logarithmic ? 0 : -INFINITY;
  if (direction.high_open && high->end == WALK_FLAT) direction.high = INFINITY;
  result->directions[result->direction_count++] = direction;
}

void fit_direct(struct fit *fit) {
  if (!fit_is_small(fit)) return;
  struct directing directing = {.fit = fit};
  find_candidates(&directing);
  if (!directing.count) return;
  threads_each(2 * directing.count, fit->options->threads, walk_one, &directing);
  fit->result->directions = arena_array(&fit->result->arena, directing.count, sizeof *fit->result->directions);
  for (size_t i = 0; i < directing.count; i++) {
    put_direction(fit, &directing.candidates[i]);
    for (int side = 0; side < 2; side++) arena_free(&directing.candidates[i].arenas[side]);
  }
}
