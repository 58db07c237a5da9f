// The joint profile of two coefficients: both are held, the others refitted, and the contour is where the objective has
// risen by the threshold of a confidence region. For one coefficient that is the profile (fit_profile.c); for two the
// threshold is 2 F(2, rows - parameters) in place of Student's t squared, since two are asked about at once (Seber and
// Wild 1989, "Nonlinear Regression", section 3.3 and 5.2). Where rows are grouped the statistic is divided by the mean
// of the two eigenvalues of the variance by groups over that of the curvature (Rotnitzky and Jewell 1990, Biometrika
// 77), which for one coefficient is the ratio that profiles take.
//
// The region is cut into slices: the first coefficient is held at a value, the others refitted, and from there the
// second one is walked down and up to where the objective has risen so far. How far the slices reach is what a walk
// along the first one says. Regions that are thin and bent, as those of A and alpha often are, come out whole so;
// what a slice would have beyond a second rise of the objective, in pieces of its own, does not.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/setting_internal.h"

enum { HALF = 24, POINTS = 4 * HALF, MOST_RESAMPLES = 2000 };  // HALF: slices on one side of the estimate, and the end
static const double inner_level = 0.6826894921370859;          // of one standard deviation to each side

// ---- what is asked for ----

static const struct fit_stage *stage_of(const struct fit *fit, int element) {
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].free_of[element] >= 0) return &fit->stages[s];
  return NULL;
}

static bool read_pair(const struct fit *fit, const char *text, struct fit_contour *contour, struct error *error) {
  const char *comma = setting_comma(text, error);
  if (!comma) return false;
  const char *names[2] = {text, comma + 1};
  size_t lengths[2] = {(size_t)(comma - text), strlen(comma + 1)};
  int elements[2];
  for (int i = 0; i < 2; i++) {
    elements[i] = fit_find_element(fit, names[i], lengths[i]);
    if (elements[i] < 0) return fit_no_element(fit, "contour", text, names[i], lengths[i], error);
    if (!fit->elements[elements[i]].free_ever)
      return error_set(error, EXIT_USAGE_ERROR, "contour '%s': %s is held, it has no profile", text,
                       fit->elements[elements[i]].name);
  }
  if (elements[0] == elements[1])
    return error_set(error, EXIT_USAGE_ERROR, "contour '%s' needs two coefficients, not one twice", text);
  if (stage_of(fit, elements[0]) != stage_of(fit, elements[1]))
    return error_set(error, EXIT_USAGE_ERROR, "contour '%s': the two are fitted in different stages of the law", text);
  contour->x = (size_t)elements[0];
  contour->y = (size_t)elements[1];
  return true;
}

bool fit_contour_read(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  size_t wanted = fit->options->contour_count;
  result->contours = arena_array(&result->arena, wanted + 1, sizeof *result->contours);
  for (size_t i = 0; i < wanted; i++)
    if (!read_pair(fit, fit->options->contours[i], &result->contours[result->contour_count++], error)) return false;
  return true;
}

// ---- slices ----

struct walking {
  struct fit *fit;
  struct fit_contour *contour;
  const struct fit_stage *stage;
  int places[2];                    // in stage->free
  double rises[FIT_CONTOUR_LINES];  // of the objective at each line
  double steps[2];                  // first steps of walks: of the first coefficient, of the second in a slice
  struct arena *arenas;             // one a side of a line
  double *lowest;                   // objectives met, likewise
};

// The stage with the first coefficient held: its own fit, whose elements say at what.
struct slice {
  struct fit fit;
  struct fit_stage stage;
  struct workspace *workspace;
  int element, second;       // that is held; place of the second coefficient in stage.free
  double *previous, *trial;  // [free_count]: the minimum of the slice before; scratch
  double *solved;            // likewise
  double *start;             // [element_count]: what is held
  double at, before;         // where this slice and the one before are, in the internal coordinate
};

static void slice_begin(struct arena *arena, const struct walking *w, struct slice *slice) {
  const struct fit_stage *whole = w->stage;
  size_t elements = (size_t)w->fit->element_count, n = (size_t)whole->free_count;
  *slice = (struct slice){.fit = *w->fit, .stage = *whole, .element = whole->free[w->places[0]]};
  slice->fit.elements = arena_array(arena, elements + 1, sizeof *slice->fit.elements);
  memcpy(slice->fit.elements, w->fit->elements, elements * sizeof *slice->fit.elements);
  struct fit_stage *stage = &slice->stage;
  stage->free = arena_array(arena, n + 1, sizeof *stage->free);
  stage->free_of = arena_array(arena, elements + 1, sizeof *stage->free_of);
  stage->low = arena_array(arena, n + 1, sizeof *stage->low);
  stage->high = arena_array(arena, n + 1, sizeof *stage->high);
  stage->x = arena_array(arena, n + 1, sizeof *stage->x);
  stage->scale = NULL;  // it is of the whole stage
  stage->free_count = 0;
  slice->start = arena_array(arena, elements + 1, sizeof *slice->start);
  for (size_t e = 0; e < elements; e++) {
    slice->start[e] = w->fit->elements[e].value;
    stage->free_of[e] = -1;
  }
  for (int i = 0; i < whole->free_count; i++) {
    int place = stage->free_count;
    if (i == w->places[0]) continue;
    if (i == w->places[1]) slice->second = place;
    stage->free[place] = whole->free[i];
    stage->free_of[whole->free[i]] = place;
    stage->low[place] = whole->low[i];
    stage->high[place] = whole->high[i];
    stage->x[place] = whole->x[i];
    stage->free_count++;
  }
  stage->problem.start = slice->start;
  stage->problem.free = stage->free;
  stage->problem.free_of = stage->free_of;
  stage->problem.free_count = stage->free_count;
  stage->problem.low = stage->low;
  stage->problem.high = stage->high;
  slice->workspace = workspace_new(arena, &whole->problem);
  double **kept[] = {&slice->previous, &slice->trial, &slice->solved};
  for (int i = 0; i < 3; i++) *kept[i] = arena_array(arena, n + 1, sizeof(double));
  memcpy(slice->previous, stage->x, n * sizeof *slice->previous);
  slice->at = slice->before = whole->x[w->places[0]];
}

// The lowest objective of a slice from where the last two lead (`ahead` of their distance), within the bounds.
static double slice_descend(struct slice *slice, double ahead, double *x) {
  const struct fit_stage *stage = &slice->stage;
  for (int i = 0; i < stage->free_count; i++) {
    double to = stage->x[i] + ahead * (stage->x[i] - slice->previous[i]);
    x[i] = fmin(fmax(to, stage->low[i]), stage->high[i]);
  }
  double value = problem_evaluate(slice->workspace, x, NULL, WANT_VALUE);
  if (!isfinite(value)) return INFINITY;
  project_many(slice->workspace, value, x, slice->solved);
  descend(slice->workspace, x, NULL, 100, 1e-7);
  return polish(slice->workspace, x, NULL, 6).objective;
}

// Moves on to the slice at `to`, whose minimum becomes stage.x; its objective.
static double slice_move(struct slice *slice, double to) {
  struct fit_stage *stage = &slice->stage;
  size_t n = (size_t)stage->free_count;
  slice->start[slice->element] = to;
  slice->fit.elements[slice->element].value = to;
  workspace_use(slice->workspace, &stage->problem);
  double ahead = slice->at == slice->before ? 0 : (to - slice->at) / (slice->at - slice->before);
  double reached = slice_descend(slice, 0, slice->trial);
  double *straight = memory_get((n + 1) * sizeof *straight);
  double further = ahead != 0 ? slice_descend(slice, ahead, straight) : INFINITY;
  if (further < reached) memcpy(slice->trial, straight, n * sizeof *straight);
  free(straight);
  memcpy(slice->previous, stage->x, n * sizeof *stage->x);
  memcpy(stage->x, slice->trial, n * sizeof *stage->x);
  slice->before = slice->at;
  slice->at = to;
  stage->objective = fmin(reached, further);
  return stage->objective;
}

static struct fit_contour_point point_at(const struct walking *w, double x, double y, bool open) {
  const struct fit_stage *stage = w->stage;
  return (struct fit_contour_point){element_value(&w->fit->elements[stage->free[w->places[0]]], x),
                                    element_value(&w->fit->elements[stage->free[w->places[1]]], y), open};
}

// The two ends of a slice, from its minimum down and up; rise: what is left of the line's there.
static void cut(struct arena *arena, const struct walking *w, struct slice *slice, double rise,
                struct fit_contour_point *down, struct fit_contour_point *up) {
  struct fit_contour_point *ends[] = {down, up};
  for (int side = 0; side < 2; side++) {
    double middle = slice->stage.x[slice->second];
    struct walk walk = {.stage = &slice->stage,
                        .coordinate = slice->second,
                        .direction = side ? 1 : -1,
                        .step = w->steps[1],
                        .rise = rise};
    if (rise > 0) walk_out(arena, &slice->fit, &walk);
    *ends[side] = point_at(w, slice->at, rise > 0 ? walk.x : middle, rise > 0 && walk.end != WALK_REACHED);
  }
}

// One side of a line: slices from the estimate to the end, dense near both: at the end the line turns, and the region
// of good fits may be small next to the whole. The points of a line are once around: its upper ends from the left end
// to the right one, then its lower ends back.
static void walk_side(void *context, size_t index, int thread) {
  struct walking *w = context;
  struct arena *arena = &w->arenas[index];
  int line = (int)index / 2, direction = index % 2 ? 1 : -1;
  const struct fit_stage *stage = w->stage;
  struct fit_contour_point *points = w->contour->lines[line];
  (void)thread;
  struct walk end = {
      .stage = stage, .coordinate = w->places[0], .direction = direction, .step = w->steps[0], .rise = w->rises[line]};
  walk_out(arena, w->fit, &end);
  w->lowest[index] = end.lowest;
  struct slice slice;
  slice_begin(arena, w, &slice);
  double from = stage->x[w->places[0]], base = stage->objective;
  for (int i = 0; i < HALF; i++) {
    if (i == 0 && direction < 0) continue;  // the slice at the estimate is the other side's
    double reached = slice_move(&slice, from + (end.x - from) * 0.5 * (1 - cos(M_PI * i / HALF)));
    int upper = HALF + direction * i;
    w->lowest[index] = fmin(w->lowest[index], reached);
    cut(arena, w, &slice, w->rises[line] - (reached - base), &points[POINTS - upper], &points[upper]);
  }
  points[HALF + direction * HALF] = point_at(w, end.x, end.at[w->places[1]], end.end != WALK_REACHED);
}

static int kept_place(const struct stage_scale *scale, int place) {
  for (int k = 0; k < scale->n; k++)
    if (scale->of[k] == place) return k;
  return -1;
}

// The mean eigenvalue of the variance of the two by groups over that by curvature.
static double groups_over_curvature(const struct fit *fit, const struct fit_stage *stage,
                                    const struct stage_scale *scale, const int k[2]) {
  int groups = 0;
  double *sums[2], square[3] = {0};
  for (int i = 0; i < 2; i++) sums[i] = fit_group_sums(fit, stage, scale, scale->inverse, k[i], &groups);
  for (int g = 0; g < fit->group_count; g++) {
    square[0] += sums[0][g] * sums[0][g];
    square[1] += sums[0][g] * sums[1][g];
    square[2] += sums[1][g] * sums[1][g];
  }
  double a = scale->inverse[k[0] * scale->n + k[0]], b = scale->inverse[k[0] * scale->n + k[1]],
         c = scale->inverse[k[1] * scale->n + k[1]];
  free(sums[0]);
  free(sums[1]);
  double trace = (c * square[0] - 2 * b * square[1] + a * square[2]) / (a * c - b * b);
  return 0.5 * trace * groups / fmax(1, groups - scale->n) / scale->slope;
}

// What the objective rises by at the edge of a joint region of that confidence.
static double rise_of(const struct fit *fit, const struct fit_stage *stage, const int k[2], double level) {
  const struct stage_scale *scale = stage->scale;
  double ratio = scale->ratio, degrees = scale->degrees;
  if (fit->grouped && !fit->alone && scale->inverse && scale->jacobian && k[0] >= 0 && k[1] >= 0) {
    ratio = groups_over_curvature(fit, stage, scale, k);
    degrees = fmin(degrees, fmax(1, fit->group_count - scale->n));
  }
  return 0.5 * ratio * 2 * gsl_cdf_fdist_Pinv(level, 2, degrees);
}

// First steps: a fifth of the region's size by the curvature, as walks of profiles have it.
static void find_steps(struct walking *w, const int k[2]) {
  const struct stage_scale *scale = w->stage->scale;
  double size = 2 * w->rises[FIT_CONTOUR_LINES - 1] / scale->slope;
  for (int i = 0; i < 2; i++)
    w->steps[i] = 0.02 * problem_unit(&w->stage->problem, w->places[i], w->stage->x[w->places[i]]);
  if (!scale->inverse || k[0] < 0 || k[1] < 0) return;
  double a = scale->inverse[k[0] * scale->n + k[0]], b = scale->inverse[k[0] * scale->n + k[1]],
         c = scale->inverse[k[1] * scale->n + k[1]];
  double sizes[] = {sqrt(size * a), sqrt(size * fmax(c - b * b / a, 1e-12 * c))};
  for (int i = 0; i < 2; i++)
    if (isfinite(sizes[i]) && sizes[i] > 0) w->steps[i] = fmin(0.2 * sizes[i], 1);
}

static void keep_resamples(const struct fit_result *result, struct arena *arena, struct fit_contour *contour) {
  size_t n = result->coefficient_count, all = result->replicates ? (size_t)result->bootstrap : 0;
  size_t most = all < MOST_RESAMPLES ? all : MOST_RESAMPLES;
  contour->resamples = arena_array(arena, most + 1, sizeof *contour->resamples);
  for (size_t b = 0; b < all && contour->resample_count < most; b++) {
    double x = result->replicates[b * n + contour->x], y = result->replicates[b * n + contour->y];
    if (isfinite(x) && isfinite(y))
      contour->resamples[contour->resample_count++] = (struct fit_contour_point){.x = x, .y = y};
  }
}

static void draw(struct fit *fit, struct fit_contour *contour) {
  struct fit_result *result = fit->result;
  const struct fit_stage *stage = stage_of(fit, (int)contour->x);
  struct walking w = {.fit = fit, .contour = contour, .stage = stage};
  w.places[0] = stage->free_of[contour->x];
  w.places[1] = stage->free_of[contour->y];
  contour->levels[0] = fmin(inner_level, 0.75 * result->confidence);
  contour->levels[1] = result->confidence;
  keep_resamples(result, &result->arena, contour);
  if (!(stage->objective > 1e-18 * (double)stage->row_count) && !fit->choice_variance) {
    if (!fit->rounding)
      fit_result_warn(result, "the law passes through its rows: there are no errors to make contours of");
    return;
  }
  int k[2] = {kept_place(stage->scale, w.places[0]), kept_place(stage->scale, w.places[1])};
  for (int line = 0; line < FIT_CONTOUR_LINES; line++) {
    w.rises[line] = rise_of(fit, stage, k, contour->levels[line]);
    contour->lines[line] = arena_array(&result->arena, POINTS, sizeof **contour->lines);
  }
  find_steps(&w, k);
  w.lowest = arena_array(&fit->arena, 2 * FIT_CONTOUR_LINES, sizeof *w.lowest);
  w.arenas = arena_array(&fit->arena, 2 * FIT_CONTOUR_LINES, sizeof *w.arenas);
  threads_each(2 * FIT_CONTOUR_LINES, fit->options->threads, walk_side, &w);
  contour->point_count = POINTS;
  double lowest = stage->objective;
  for (int i = 0; i < 2 * FIT_CONTOUR_LINES; i++) {
    lowest = fmin(lowest, w.lowest[i]);
    arena_free(&w.arenas[i]);
  }
  if (lowest < stage->objective * (1 - 1e-6))
    fit_result_warn(result, "the contour of %s and %s met a lower objective than the search: more --starts",
                    result->coefficients[contour->x].name, result->coefficients[contour->y].name);
}

void fit_contours(struct fit *fit) {
  for (size_t i = 0; i < fit->result->contour_count; i++) draw(fit, &fit->result->contours[i]);
}
