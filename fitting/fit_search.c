// The search for a stage's minimum: a cheap descent from every start, a full one of the most promising, GSL's
// minimizers as a second opinion, and a count of how many agree.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum {
  SCREEN_ROWS = 1024,      // larger tables are screened on as many rows
  DEAR_SCREEN_ROWS = 256,  // the same of laws that sum over schedules
  SMOOTH_ROWS = 4096,      // the minima of larger tables are smooth: only the best is worth a polish
  PROMISING = 128,         // starts that are descended fully, at most
  CHEAP = 4000,            // rows times coefficients up to which all of them are followed to the end
};
static const double NEAR_LOWEST = 1e-2, FINE_LIMIT = 2e5, DEAR_FINE_LIMIT = 2e4;

// Rows, in the time that one of a law without sums takes.
static double work_of(const struct fit_stage *stage) { return (double)stage->row_count * stage->row_cost; }
static bool is_smooth(const struct fit_stage *stage) { return work_of(stage) > SMOOTH_ROWS; }

struct search {
  struct fit *fit;
  struct fit_stage *stage;
  const struct problem *screen;                // the stage's problem, or one of fewer rows
  struct workspace **screen_spaces, **spaces;  // one a thread
  struct starts starts;
  int free_count;
  double *objective;               // [starts.count]
  size_t *order;                   // starts, best first
  struct polish_result *polished;  // [promising]
  double lowest;                   // objective of these, for the pass at hand
};

// ---- screening ----

// A problem on every k-th row of a large table, compiled anew.
static bool thin_problem(struct search *search, struct problem *thin, struct error *error) {
  struct fit *fit = search->fit;
  const struct fit_stage *stage = search->stage;
  size_t wanted = stage->row_cost > 1 ? DEAR_SCREEN_ROWS : SCREEN_ROWS;
  *thin = stage->problem;
  search->screen = thin;
  if (stage->row_count <= wanted) return true;
  size_t *rows = arena_array(&fit->arena, wanted, sizeof *rows), count = 0, step = stage->row_count / wanted;
  for (; count < wanted; count++) {  // one row out of every `step`, at random
    size_t offset = random_below(fit->options->seed, RANDOM_STREAM_STARTS, (uint64_t)1 << 32, count, step);
    rows[count] = count * step + offset;
  }
  double *target = arena_array(&fit->arena, wanted, sizeof *target);
  double *weight = arena_array(&fit->arena, wanted, sizeof *weight);
  double *scale = stage->row_scale ? arena_array(&fit->arena, wanted, sizeof *scale) : NULL;
  for (size_t i = 0; i < count; i++) {
    target[i] = stage->target[rows[i]];
    weight[i] = stage->weight[rows[i]];
    if (scale) scale[i] = stage->row_scale[rows[i]];
    rows[i] = stage->rows[rows[i]];
  }
  thin->program = program_compile(&fit->arena, fit->law, fit->table, (struct row_list){rows, count, scale},
                                  fit->elements, fit->element_count, fit->residual, error);
  thin->target = target;
  thin->weight = weight;
  return thin->program != NULL;
}

// Least squares brings a far start near, but brings many to the same place; so it comes first on every other way only.
static void screen_one(void *context, size_t start, int thread) {
  struct search *search = context;
  struct workspace *workspace = search->screen_spaces[thread];
  double *x = search->starts.x + start * (size_t)search->free_count;
  struct problem squares = *search->screen;
  workspace_use(workspace, search->screen);
  if (start < search->starts.solved) project_linear(workspace, x, NULL);
  if (!problem_is_squares(&squares) && start % 2 == 0) {
    problem_take_squares(&squares);
    workspace_use(workspace, &squares);
    descend(workspace, x, NULL, 10, 1e-3);
  }
  workspace_use(workspace, search->screen);
  search->objective[start] = descend(workspace, x, NULL, 25, 1e-7);
}

static double *start_point(const struct search *search, size_t place) {
  return search->starts.x + search->order[place] * (size_t)search->free_count;
}

static void descend_one(void *context, size_t place, int thread) {
  struct search *search = context;
  workspace_use(search->spaces[thread], &search->stage->problem);
  int iterations = search->stage->row_cost > 1 ? 60 : 200;
  double reached = descend(search->spaces[thread], start_point(search, place), NULL, iterations, 1e-9);
  search->polished[place] = (struct polish_result){.objective = reached};
}

// On larger tables those far above the best are followed for a while only: most run away to where a term has no limit.
static void polish_one(void *context, size_t place, int thread) {
  struct search *search = context;
  workspace_use(search->spaces[thread], &search->stage->problem);
  bool cheap = search->stage->row_count * (size_t)search->free_count <= CHEAP,
       near = search->polished[place].objective <= 2 * search->lowest;
  search->polished[place] = polish(search->spaces[thread], start_point(search, place), NULL, cheap || near ? 100 : 20);
}

// What comes to the lowest objective and yet to no stationary point is at the end of a narrow valley.
static void settle_one(void *context, size_t place, int thread) {
  struct search *search = context;
  struct polish_result *polished = &search->polished[place];
  if (polished->stationary || !(polished->objective <= search->lowest * (1 + NEAR_LOWEST))) return;
  workspace_use(search->spaces[thread], &search->stage->problem);
  descend_finely(search->spaces[thread], start_point(search, place), NULL, 200);
  *polished = polish(search->spaces[thread], start_point(search, place), NULL, 20);
}

// Full descents from the most promising starts.
static void descend_promising(struct search *search, size_t promising, int threads) {
  const struct fit_stage *stage = search->stage;
  threads_each(promising, threads, descend_one, search);
  if (is_smooth(stage)) return;
  for (int pass = 0; pass < 2; pass++) {
    search->lowest = INFINITY;
    for (size_t i = 0; i < promising; i++) search->lowest = fmin(search->lowest, search->polished[i].objective);
    if (pass && work_of(stage) * search->free_count > (stage->row_cost > 1 ? DEAR_FINE_LIMIT : FINE_LIMIT)) return;
    threads_each(promising, threads, pass ? settle_one : polish_one, search);
  }
}

static int compare_objectives(const void *a, const void *b, void *context) {
  const double *objective = context;
  size_t left = *(const size_t *)a, right = *(const size_t *)b;
  if (objective[left] != objective[right]) return objective[left] < objective[right] ? -1 : 1;
  return left < right ? -1 : left > right;
}

static struct workspace **spaces_for(struct arena *arena, const struct problem *problem, int threads) {
  struct workspace **spaces = arena_array(arena, (size_t)threads, sizeof *spaces);
  for (int t = 0; t < threads; t++) spaces[t] = workspace_new(arena, problem);
  return spaces;
}

// Full descents as the size of the table allows.
static size_t promising_count(const struct search *search) {
  double work = work_of(search->stage) * (search->free_count + 4.0);
  double count = fmin(fmax(3e7 / work, 4), PROMISING);
  return (size_t)fmin(count, (double)search->starts.count);
}

// What is below this is rounding: the fit passes through its points.
static double objective_floor(const struct fit_stage *stage) { return 1e-22 * (double)stage->row_count; }

static bool same_objective(const struct fit_stage *stage, double a, double b) {
  return fabs(a - b) <= 1e-6 * fmin(a, b) + objective_floor(stage);
}

// Whether two minima lie at the same place. A term that has vanished in both has no place.
static bool same_place(const struct search *search, const double *x, const double *other) {
  const struct workspace *workspace = search->spaces[0];
  const struct problem *problem = &search->stage->problem;
  int n = problem->free_count;
  double largest = 0;
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(problem, i, x[i]);
    largest = fmax(largest, workspace->matrix[i * n + i] * unit * unit);
  }
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(problem, i, x[i]);
    bool vanished = workspace->matrix[i * n + i] * unit * unit < 1e-12 * largest;
    if (!vanished && fabs(x[i] - other[i]) > 1e-3 * unit) return false;
  }
  return true;
}

// Keeps another minimum, of those that are not kept yet.
static void remember(struct search *search, double objective, const double *x) {
  struct fit_stage *stage = search->stage;
  size_t n = (size_t)search->free_count;
  if (stage->other_count == REMEMBERED_MINIMA || !isfinite(objective)) return;
  double *copy = arena_array(&search->fit->arena, n + 1, sizeof *copy);
  memcpy(copy, x, n * sizeof *x);
  stage->other_objectives[stage->other_count] = objective;
  stage->others[stage->other_count++] = copy;
}

// Takes the best of the descended starts, counts who agrees in objective and coefficients, and remembers other minima.
static void take_minima(struct search *search, size_t promising) {
  struct fit *fit = search->fit;
  struct fit_stage *stage = search->stage;
  size_t n = (size_t)search->free_count, best = 0;
  size_t *places = arena_array(&fit->arena, promising + 1, sizeof *places);
  double *objectives = arena_array(&fit->arena, promising + 1, sizeof *objectives);
  for (size_t i = 0; i < promising; i++) {
    places[i] = i;
    objectives[i] = search->polished[i].objective;
  }
  qsort_r(places, promising, sizeof *places, compare_objectives, objectives);
  best = places[0];
  stage->x = arena_array(&fit->arena, n + 1, sizeof *stage->x);
  memcpy(stage->x, search->starts.x + search->order[best] * n, n * sizeof *stage->x);
  stage->objective = objectives[best];
  stage->stationarity = search->polished[best].stationarity;
  stage->stationary = search->polished[best].stationary || stage->objective <= objective_floor(stage);
  stage->others = arena_array(&fit->arena, REMEMBERED_MINIMA, sizeof *stage->others);
  stage->other_objectives = arena_array(&fit->arena, REMEMBERED_MINIMA, sizeof *stage->other_objectives);
  stage->same = arena_array(&fit->arena, promising + 1, sizeof *stage->same);
  workspace_use(search->spaces[0], &stage->problem);
  problem_evaluate(search->spaces[0], stage->x, NULL, WANT_REWEIGHTED);
  bool smooth = is_smooth(stage);  // then no start is followed to the last digit
  double last = stage->objective;
  for (size_t i = 0; i < promising; i++) {
    const struct polish_result *polished = &search->polished[places[i]];
    const double *x = search->starts.x + search->order[places[i]] * n;
    bool same = same_objective(stage, polished->objective, stage->objective);
    bool settled = smooth || polished->stationary || polished->objective <= objective_floor(stage);
    stage->unsettled += !settled;
    if (same && (smooth || i == 0 || same_place(search, stage->x, x))) {
      stage->agreeing++;
    } else if (same) {
      stage->same[stage->elsewhere] = arena_array(&fit->arena, n + 1, sizeof *x);
      memcpy(stage->same[stage->elsewhere++], x, n * sizeof *x);
    } else if (polished->stationary && !same_objective(stage, polished->objective, last)) {
      remember(search, polished->objective, x);
      last = polished->objective;
    }
  }
  stage->starts = (int64_t)search->starts.points;
  stage->descended = (int64_t)promising;
}

static void polish_best(struct search *search) {
  struct fit_stage *stage = search->stage;
  workspace_use(search->spaces[0], &stage->problem);
  struct polish_result polished = polish(search->spaces[0], stage->x, NULL, 100);
  stage->objective = polished.objective;
  stage->stationarity = polished.stationarity;
  stage->stationary = polished.stationary;
}

// Where the lowest minimum has moved to, to the last digits, from where `agreeing` starts ended: they reach the same
// objective elsewhere now.
static void leave_agreeing(struct search *search, const double *from) {
  struct fit_stage *stage = search->stage;
  size_t n = (size_t)search->free_count;
  problem_evaluate(search->spaces[0], stage->x, NULL, WANT_REWEIGHTED);
  if (same_place(search, stage->x, from)) return;
  for (; stage->agreeing > 0; stage->agreeing--) {
    double *copy = arena_array(&search->fit->arena, n + 1, sizeof *copy);
    memcpy(copy, from, n * sizeof *copy);
    stage->same[stage->elsewhere++] = copy;
  }
}

// The lowest minimum may come from a search that ends before it is stationary, or on the floor of a valley that is flat
// but for the last digits: that is followed down as well.
static void settle_best(struct search *search) {
  struct fit_stage *stage = search->stage;
  bool valley = stage->agreeing <= 1 && stage->elsewhere > 0;
  if ((stage->stationary && !valley) ||
      work_of(stage) * search->free_count > (stage->row_cost > 1 ? DEAR_FINE_LIMIT : FINE_LIMIT))
    return;
  size_t n = (size_t)search->free_count;
  double *x = arena_array(&search->fit->arena, n + 1, sizeof *x), before = stage->objective;
  memcpy(x, stage->x, n * sizeof *x);
  workspace_use(search->spaces[0], &stage->problem);
  struct polish_result polished = {.stationary = false};
  for (int round = 0; round < 5 && !polished.stationary; round++) {
    descend_finely(search->spaces[0], x, NULL, 1000);
    polished = polish(search->spaces[0], x, NULL, 300);
  }
  if (!(polished.objective < before)) return;
  double *from = stage->x;
  stage->x = x;
  stage->objective = polished.objective;
  stage->stationarity = polished.stationarity;
  stage->stationary = polished.stationary;
  if (!same_objective(stage, before, stage->objective))
    stage->agreeing = stage->elsewhere = 0;  // none came so far
  else
    leave_agreeing(search, from);
}

// GSL's minimizers from the minimum found, and from where the best screened start stood; whatever lies lower is taken.
static void second_opinion(struct search *search, const double *screened) {
  struct fit_stage *stage = search->stage;
  size_t n = (size_t)search->free_count;
  stage->trust_region_objective = stage->bfgs_objective = NAN;
  if (stage->problem.penalty) return;  // GSL's least squares know no priors
  if (problem_is_one_solve(&stage->problem) && problem_has_many_linear(&stage->problem)) return;  // no opinion matters
  if (work_of(stage) * (double)n > (stage->row_cost > 1 ? 1e5 : 2e6)) return;  // GSL holds the whole Jacobian
  struct workspace *workspace = search->spaces[0];
  workspace_use(workspace, &stage->problem);
  double *x = arena_array(&search->fit->arena, n + 1, sizeof *x);
  memcpy(x, screened, n * sizeof *x);
  fit_gsl(workspace, x, &stage->trust_region_objective, &stage->bfgs_objective);
  struct polish_result polished = polish(workspace, x, NULL, 100);
  if (polished.objective < stage->objective && !same_objective(stage, polished.objective, stage->objective))
    stage_lower(&search->fit->arena, stage, x, polished);
}

void stage_lower(struct arena *arena, struct fit_stage *stage, const double *x, struct polish_result polished) {
  size_t n = (size_t)stage->free_count;
  if (stage->other_count < REMEMBERED_MINIMA) stage->other_count++;
  for (int k = stage->other_count - 1; k > 0; k--) {
    stage->others[k] = stage->others[k - 1];
    stage->other_objectives[k] = stage->other_objectives[k - 1];
  }
  stage->others[0] = stage->x;
  stage->other_objectives[0] = stage->objective;
  stage->x = arena_array(arena, n + 1, sizeof *stage->x);
  memcpy(stage->x, x, n * sizeof *stage->x);
  stage->objective = polished.objective;
  stage->stationarity = polished.stationarity;
  stage->stationary = polished.stationary;
  stage->agreeing = stage->elsewhere = 0;
}

static double sum_of_sizes(struct workspace *workspace, const struct fit_stage *stage, const double *x) {
  double sum = 0;
  problem_evaluate(workspace, x, NULL, WANT_VALUE);
  for (size_t i = 0; i < stage->row_count; i++) sum += stage->weight[i] * fabs(workspace->residual[i]);
  return stage->problem.penalty ? sum + workspace->penalty : sum;
}

// Least absolute deviations: Huber with ever smaller delta, from the last minimum each time.
static void sharpen(struct search *search) {
  struct fit_stage *stage = search->stage;
  struct workspace *workspace = search->spaces[0];
  for (int round = 0; round < 12; round++) {
    stage->problem.delta /= 4;
    workspace_use(workspace, &stage->problem);
    for (int k = 0; k <= stage->other_count; k++) {
      double *x = k ? stage->others[k - 1] : stage->x;
      descend(workspace, x, NULL, 200, 1e-12);
      struct polish_result polished = polish(workspace, x, NULL, 200);
      if (k) continue;
      stage->stationarity = polished.stationarity;
      stage->stationary = polished.stationary;
    }
  }
  stage->objective = sum_of_sizes(workspace, stage, stage->x);
  for (int k = 0; k < stage->other_count; k++)
    stage->other_objectives[k] = sum_of_sizes(workspace, stage, stage->others[k]);
  stage->trust_region_objective = stage->bfgs_objective = NAN;  // of Huber's loss, on another scale
}

// What least squares reaches from some of the starts, and where.
static double least_squares(struct search *search, struct problem *squares, double *lowest) {
  struct workspace *workspace = search->spaces[0];
  *squares = search->stage->problem;
  problem_take_squares(squares);
  workspace_use(workspace, squares);
  size_t n = (size_t)search->free_count, step = search->starts.count / 50 + 1;
  double best = INFINITY, *x = arena_array(&search->fit->arena, n + 1, sizeof *x);
  for (size_t s = 0; s < search->starts.count; s += step) {
    memcpy(x, search->starts.x + s * n, n * sizeof *x);
    double reached = descend(workspace, x, NULL, 50, 1e-4);
    if (reached < best) memcpy(lowest, x, n * sizeof *x);
    best = fmin(best, reached);
  }
  return best;
}

// LAD starts as Huber with a delta of the residuals' size: what least squares from the best screened start leaves.
static double lad_delta(struct search *search) {
  struct problem squares;
  double *x = arena_array(&search->fit->arena, (size_t)search->free_count + 1, sizeof *x);
  double size = sqrt(2 * least_squares(search, &squares, x) / (double)search->stage->row_count);
  return isfinite(size) && size > 1e-12 ? 0.1 * size : 1e-6;
}

// Student's t without a scale is searched with that of the least-squares residuals' median; then both settle.
static void begin_scale(struct search *search) {
  struct fit *fit = search->fit;
  struct fit_stage *stage = search->stage;
  struct problem squares;
  double *x = arena_array(&fit->arena, (size_t)search->free_count + 1, sizeof *x);
  if (isfinite(least_squares(search, &squares, x)))
    fit->objective.scale = student_first_scale(search->spaces[0], stage, x);
  if (!(fit->objective.scale > 1e-12)) fit->objective.scale = 1e-12;
  problem_take(&stage->problem, fit->objective);
}

bool fit_search(struct fit *fit, struct fit_stage *stage, struct error *error) {
  struct search search = {.fit = fit, .stage = stage, .free_count = stage->free_count};
  double *start = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *start);
  for (int e = 0; e < fit->element_count; e++) start[e] = fit->elements[e].value;
  stage->problem.start = start;
  int threads = threads_wanted(fit->options->threads);
  search.spaces = spaces_for(&fit->arena, &stage->problem, threads);
  fit_starts(fit, stage, &search.starts);
  bool lad = fit->objective.kind == OBJECTIVE_LAD, free_scale = fit->result->scale_estimated;
  if (lad) stage->problem.delta = lad_delta(&search);
  if (free_scale) begin_scale(&search);
  struct problem thin;
  if (!thin_problem(&search, &thin, error)) {
    free(search.starts.x);
    return false;
  }
  search.screen_spaces =
      search.screen->program == stage->program ? search.spaces : spaces_for(&fit->arena, search.screen, threads);
  search.objective = memory_get(search.starts.count * sizeof *search.objective);
  search.order = memory_get(search.starts.count * sizeof *search.order);
  threads_each(search.starts.count, threads, screen_one, &search);
  for (size_t s = 0; s < search.starts.count; s++) search.order[s] = s;
  qsort_r(search.order, search.starts.count, sizeof *search.order, compare_objectives, search.objective);
  bool fine = isfinite(search.objective[search.order[0]]);
  if (!fine) {
    error_set(error, EXIT_USAGE_ERROR,
              "%s: the law %s gives no finite loss for these rows from any of its %zu starts; look at the columns and "
              "at --fix",
              fit->table->source, fit->law->name, search.starts.points);
  } else {
    size_t promising = promising_count(&search);
    double *screened = arena_array(&fit->arena, (size_t)stage->free_count + 1, sizeof *screened);
    memcpy(screened, search.starts.x + search.order[0] * (size_t)stage->free_count,
           (size_t)stage->free_count * sizeof *screened);
    search.polished = arena_array(&fit->arena, promising, sizeof *search.polished);
    descend_promising(&search, promising, threads);
    take_minima(&search, promising);
    if (is_smooth(stage)) polish_best(&search);
    second_opinion(&search, screened);
    fit_hop(fit, &fit->arena, stage, search.spaces);
    fit_check_globally(fit, stage, search.spaces);
    settle_best(&search);
    fit_shorten(&fit->arena, stage, search.spaces[0]);
    if (lad) sharpen(&search);
    if (free_scale) {  // GSL's minimizers once more, under the loss that came out
      fine = student_settle(fit, stage, search.spaces[0], error);
      if (fine) second_opinion(&search, screened);
      fine = fine && student_settle(fit, stage, search.spaces[0], error);
    }
  }
  for (int i = 0; fine && i < stage->free_count; i++) fit->elements[stage->free[i]].value = stage->x[i];
  free(search.starts.x);
  free(search.objective);
  free(search.order);
  return fine;
}
