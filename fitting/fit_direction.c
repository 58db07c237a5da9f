// Flat ("sloppy") directions in words: which coefficients a design leaves open, over which range, and which run would
// close them. The directions are eigenvectors of the information matrix scaled to a unit diagonal; the range is that of
// the coefficient that moves most, walked with the others refitted until the objective has grown by 2 %.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { DIRECTIONS = 3 };
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
  put_range(&direction, element->name, &words);
  put_companions(fit, candidate, &words);
  direction.words = arena_string(&result->arena, text_string(&words));
  text_free(&words);
  direction.advice = fit_advice(fit, candidate->stage, candidate->walks);
  if (direction.low_open && low->end == WALK_FLAT) direction.low = element->logarithmic ? 0 : -INFINITY;
  if (direction.high_open && high->end == WALK_FLAT) direction.high = INFINITY;
  result->directions[result->direction_count++] = direction;
}

// Where the walks ended, for what derived quantities are there.
static void keep_ends(struct fit *fit, const struct directing *directing) {
  size_t n = (size_t)fit->element_count;
  fit->within = arena_array(&fit->arena, 2 * directing->count * n + 1, sizeof *fit->within);
  fit->within_open = arena_array(&fit->arena, 2 * directing->count + 1, sizeof *fit->within_open);
  for (size_t i = 0; i < 2 * directing->count; i++) {
    const struct walk *walk = &directing->candidates[i / 2].walks[i % 2];
    double *values = fit->within + fit->within_count * n;
    for (size_t e = 0; e < n; e++) values[e] = fit->result->coefficients[e].value;
    for (int k = 0; k < walk->stage->free_count; k++)
      values[walk->stage->free[k]] = element_value(&fit->elements[walk->stage->free[k]], walk->at[k]);
    fit_copy_ties(fit, values);
    fit->within_open[fit->within_count++] = walk->end != WALK_REACHED;
  }
}

void fit_direct(struct fit *fit) {
  if (!fit_is_small(fit)) return;
  struct directing directing = {.fit = fit};
  find_candidates(&directing);
  if (!directing.count) return;
  threads_each(2 * directing.count, fit->options->threads, walk_one, &directing);
  keep_ends(fit, &directing);
  fit->result->directions = arena_array(&fit->result->arena, directing.count, sizeof *fit->result->directions);
  for (size_t i = 0; i < directing.count; i++) {
    put_direction(fit, &directing.candidates[i]);
    for (int side = 0; side < 2; side++) arena_free(&directing.candidates[i].arenas[side]);
  }
}
