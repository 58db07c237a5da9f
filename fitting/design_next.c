// See design_next.h. Greedy choice by the matrices A and B of the M-estimator (design_linear.c), in coordinates in
// which the prior of every coefficient has a standard deviation of 1. D-optimal designs go back to Wald 1943, the
// sequential choice of the next observation to Fedorov 1972 ("Theory of Optimal Experiments") and Wynn 1970.
#include "fitting/design_next.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/design_internal.h"

struct choosing {
  struct design *design;
  const struct design_next_options *next;
  struct design_next_result *result;
  size_t n, rows;
  const double *jacobian;        // [rows][n] in scaled coordinates
  const double *plain;           // [rows][n] as design_linear wants it
  const double *slope, *square;  // [rows]: what a row adds to A and B
  const double *scale;           // [n]: s.d. of the prior
  const double *gradient;        // [n] of the target, scaled; NULL: none
  long target;                   // a quantity of the design; -1: a prediction, or none
  const char *target_name;
  double prediction;  // at the row `at`
  bool logarithm;     // its error is that of its logarithm
  struct linear linear;
  int *include;   // [rows]
  bool *paid;     // [part_count]
  double *A, *B;  // [n][n], of what is included, the prior in them where it is used
  double *work_A, *work_B, *vector;
};

// ---- what is known ----

static void stand_at_target(struct choosing *c, struct design_standing *standing) {
  struct design *design = c->design;
  if (c->target >= 0) {
    const struct design_quantity *quantity = &design->result->quantities[c->target];
    standing->value = quantity->truth;
    standing->se = design_error_of(design, &c->linear, (size_t)c->target);
    design_interval(standing->value, standing->se, quantity->positive && quantity->truth > 0, &standing->low,
                    &standing->high);
  } else {
    double sum = 0;
    for (size_t i = 0; i < c->n; i++) {
      double gi = c->gradient[i] / c->scale[i];
      if (gi != 0 && c->linear.unidentified[i]) sum = INFINITY;
      for (size_t j = 0; j < c->n; j++) sum += gi * (c->gradient[j] / c->scale[j]) * c->linear.covariance[i * c->n + j];
    }
    standing->value = c->prediction;
    standing->se = sqrt(fmax(sum, 0)) * (c->logarithm ? c->prediction : 1);
    design_interval(standing->value, standing->se, c->logarithm, &standing->low, &standing->high);
  }
  standing->quantity = c->target_name;
  standing->width = (standing->high - standing->low) / fabs(standing->value);
}

static void stand_at_widest(struct choosing *c, struct design_standing *standing) {
  struct design *design = c->design;
  standing->width = -1;
  for (size_t q = 0; q < c->n; q++) {
    const struct design_quantity *quantity = &design->result->quantities[q];
    double se = design_error_of(design, &c->linear, q), low, high;
    design_interval(quantity->truth, se, quantity->positive && quantity->truth > 0, &low, &high);
    double width = isfinite(se) ? (high - low) / fabs(quantity->truth) : INFINITY;
    if (!(width > standing->width)) continue;
    struct design_standing wider = {
        standing->determined, standing->log_determinant, quantity->name, quantity->truth, se, low, high, width};
    *standing = wider;
  }
}

static bool stand(struct choosing *c, struct design_standing *standing, struct error *error) {
  struct arena scratch = {0};
  *standing = (struct design_standing){.determined = true, .log_determinant = INFINITY};
  if (!design_linear(c->design, c->plain, c->include, &c->linear, false, error)) return false;
  for (size_t i = 0; i < c->n; i++) standing->determined &= !c->linear.unidentified[i];
  if (standing->determined) standing->log_determinant = design_log_determinant(c->linear.covariance, c->n, &scratch);
  if (c->gradient)
    stand_at_target(c, standing);
  else
    stand_at_widest(c, standing);
  standing->quantity = arena_string(&c->result->arena, standing->quantity);
  arena_free(&scratch);
  return true;
}

// A fit needs a row more than it has coefficients, whatever the target is.
static bool reaches(const struct choosing *c, const struct design_standing *standing) {
  size_t rows = 0;
  for (size_t row = 0; row < c->rows; row++) rows += c->include[row] && c->slope[row] > 0;
  if (rows <= c->n) return false;
  double width = c->next->share ? standing->width : standing->high - standing->low;
  return isfinite(standing->se) && (c->gradient || standing->determined) && width <= c->next->until;
}

// ---- the criterion ----

static void add_row(const struct choosing *c, size_t row, double *A, double *B) {
  const double *J = c->jacobian + row * c->n;
  for (size_t i = 0; i < c->n; i++)
    for (size_t j = 0; j < c->n; j++) {
      double product = J[i] * J[j];
      A[i * c->n + j] += c->slope[row] * product;
      B[i * c->n + j] += c->square[row] * product;
    }
}

static void gather(struct choosing *c, bool prior) {
  memset(c->A, 0, c->n * c->n * sizeof *c->A);
  memset(c->B, 0, c->n * c->n * sizeof *c->B);
  for (size_t i = 0; i < c->n && prior; i++) c->A[i * c->n + i] = c->B[i * c->n + i] = 1;
  for (size_t row = 0; row < c->rows; row++)
    if (c->include[row]) add_row(c, row, c->A, c->B);
}

static double log_of_factor(const double *factor, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += 2 * log(factor[i * n + i]);
  return sum;
}

// The logarithm of the determinant of A^-1 B A^-1, or of the target's variance under it; the matrices are lost.
static double criterion(const struct choosing *c, double *A, double *B, bool of_target) {
  size_t n = c->n;
  if (!of_target) {
    if (!cholesky_factor(A, (int)n) || !cholesky_factor(B, (int)n)) return INFINITY;
    return log_of_factor(B, n) - 2 * log_of_factor(A, n);
  }
  if (!cholesky_factor(A, (int)n)) return INFINITY;
  double *v = c->vector, sum = 0;
  memcpy(v, c->gradient, n * sizeof *v);
  cholesky_back(A, (int)n, v);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) sum += v[i] * B[i * n + j] * v[j];
  return log(sum);
}

static double with_row(struct choosing *c, size_t row, bool of_target) {
  memcpy(c->work_A, c->A, c->n * c->n * sizeof *c->A);
  memcpy(c->work_B, c->B, c->n * c->n * sizeof *c->B);
  if (row < c->rows) add_row(c, row, c->work_A, c->work_B);
  return criterion(c, c->work_A, c->work_B, of_target);
}

// ---- what runs cost ----

static double cost_of(const struct choosing *c, size_t row) {
  const struct design_costs *costs = &c->next->costs;
  double sum = 0;
  for (size_t i = costs->begin[row]; i < costs->begin[row + 1]; i++)
    if (!c->paid[costs->part[i]]) sum += costs->flops[costs->part[i]];
  return sum;
}

static double pay(struct choosing *c, size_t row) {
  const struct design_costs *costs = &c->next->costs;
  double sum = cost_of(c, row);
  for (size_t i = costs->begin[row]; i < costs->begin[row + 1]; i++) c->paid[costs->part[i]] = true;
  return sum;
}

static void begin_again(struct choosing *c) {
  const struct design_costs *costs = &c->next->costs;
  for (size_t row = 0; row < c->rows; row++) c->include[row] = c->next->present[row];
  if (costs->part_count) memcpy(c->paid, costs->paid, costs->part_count * sizeof *c->paid);
}

// ---- the choice ----

struct list {
  struct design_step *steps;
  size_t count;
  double flops;
  bool reached;
};

static size_t best_row(struct choosing *c, bool of_target, double power) {
  double before = with_row(c, SIZE_MAX, of_target), best = -INFINITY, most = 0;
  size_t found = SIZE_MAX;
  for (size_t row = 0; row < c->rows; row++)
    if (c->next->candidate[row] && !c->include[row]) most = fmax(most, cost_of(c, row));
  for (size_t row = 0; row < c->rows; row++) {
    if (!c->next->candidate[row] || c->include[row]) continue;
    double gain = before - with_row(c, row, of_target), cost = fmax(cost_of(c, row), 1e-9 * most);
    if (most > 0) gain /= pow(cost / most, power);
    if (!(gain > best)) continue;
    best = gain;
    found = row;
  }
  return best > 0 ? found : SIZE_MAX;  // what says nothing is not made
}

// Chooses until nothing is left, the limit or the width is reached.
static bool choose(struct choosing *c, double power, struct list *list, struct error *error) {
  bool open_end = isnan(c->next->until);
  struct design_standing standing = c->result->now;
  begin_again(c);
  *list = (struct list){.steps = arena_array(&c->result->arena, c->rows + 1, sizeof *list->steps)};
  list->reached = !open_end && reaches(c, &standing);
  while (!list->reached && (!c->next->limit || list->count < c->next->limit)) {
    bool prior = !standing.determined, of_target = c->gradient && isfinite(standing.se);
    gather(c, prior);
    size_t row = best_row(c, of_target, power);
    if (row == SIZE_MAX) break;
    c->include[row] = 1;
    double flops = pay(c, row);
    list->flops += flops;
    if (!stand(c, &standing, error)) return false;
    list->steps[list->count++] = (struct design_step){row, flops, list->flops, prior, standing};
    list->reached = !open_end && reaches(c, &standing);
  }
  return true;
}

static int dearest_first(const void *left, const void *right, void *context) {
  const struct design_step *steps = context;
  double a = steps[*(const size_t *)left].flops, b = steps[*(const size_t *)right].flops;
  return (a < b) - (a > b);
}

// Drops the runs that are not needed, and works the list out anew.
static bool thin(struct choosing *c, struct list *list, struct error *error) {
  size_t *order = arena_array(&c->design->arena, list->count + 1, sizeof *order), kept = 0;
  struct design_standing standing;
  for (size_t i = 0; i < list->count; i++) order[i] = i;
  qsort_r(order, list->count, sizeof *order, dearest_first, list->steps);
  for (size_t i = 0; i < list->count; i++) {
    size_t row = list->steps[order[i]].row;
    c->include[row] = 0;
    if (!stand(c, &standing, error)) return false;
    if (!reaches(c, &standing)) c->include[row] = 1;
  }
  for (size_t i = 0; i < list->count; i++)
    if (c->include[list->steps[i].row]) list->steps[kept++] = list->steps[i];
  list->count = kept;
  list->flops = 0;
  standing = c->result->now;
  begin_again(c);
  for (size_t i = 0; i < kept; i++) {
    struct design_step *step = &list->steps[i];
    c->include[step->row] = 1;
    step->flops = pay(c, step->row);
    step->total = list->flops += step->flops;
    step->prior = !standing.determined;
    if (!stand(c, &standing, error)) return false;
    step->after = standing;
  }
  return true;
}

static bool choose_best(struct choosing *c, struct error *error) {
  static const double powers[] = {1, 0.5, 0};
  struct list best = {0};
  for (size_t i = 0; i < (isnan(c->next->until) ? 1 : sizeof powers / sizeof *powers); i++) {
    struct list list;
    if (!choose(c, powers[i], &list, error) || (list.reached && !thin(c, &list, error))) return false;
    if (!i || (list.reached && (!best.reached || list.flops < best.flops))) best = list;
  }
  c->result->steps = best.steps;
  c->result->count = best.count;
  c->result->reached = best.reached;
  return true;
}

// ---- set-up ----

// Rows in the scaled coordinates, with what each adds to A and B: A of a row without weight is its information.
static void scale_rows(struct choosing *c) {
  struct design *design = c->design;
  struct arena *arena = &design->arena;
  double *scale = arena_array(arena, c->n + 1, sizeof *scale), unit = NAN;
  double *slopes = arena_array(arena, c->rows + 1, sizeof *slopes),
         *squares = arena_array(arena, c->rows + 1, sizeof *squares),
         *jacobian = arena_array(arena, c->rows * c->n + 1, sizeof *jacobian);
  for (size_t i = 0; i < c->n; i++) {
    double x = design->truth[design->element[i]];
    scale[i] = design->fit.elements[design->element[i]].logarithmic || x == 0 ? 1 : fabs(x);
  }
  for (size_t row = 0; row < c->rows; row++) {
    if (!design->fit.selected[row] || !(design->noise[row] > 0)) continue;
    double weight = design->fit.row_weight[row], slope, square;
    design_moments(design, row, &slope, &square);
    if (isnan(unit)) unit = slope / square;
    slopes[row] = weight * slope * unit;
    squares[row] = weight * weight * square * unit * unit;
    for (size_t i = 0; i < c->n; i++) jacobian[row * c->n + i] = c->plain[row * c->n + i] * scale[i];
  }
  c->scale = scale;
  c->slope = slopes;
  c->square = squares;
  c->jacobian = jacobian;
}

static bool set_target(struct choosing *c, struct error *error) {
  struct design *design = c->design;
  double *gradient = arena_array(&design->arena, c->n + 1, sizeof *gradient), size = 0;
  c->target = -1;
  if (c->next->target) {
    c->target = design_target(design, c->next->target, error);
    if (c->target < 0) return false;
    c->target_name = design->result->quantities[c->target].name;
    const double *of = (size_t)c->target < c->n ? NULL : design->gradients + ((size_t)c->target - c->n) * c->n;
    for (size_t i = 0; i < c->n; i++) gradient[i] = of ? of[i] * c->scale[i] : i == (size_t)c->target ? c->scale[i] : 0;
  } else if (c->next->at != SIZE_MAX) {
    for (size_t i = 0; i < c->n; i++) {
      gradient[i] = c->jacobian[c->next->at * c->n + i];
      size += fabs(gradient[i]);
    }
    if (!(size > 0))
      return error_set(
          error, EXIT_USAGE_ERROR,
          "the law %s has no value at this point that these runs could make surer: it is in no stage of the "
          "fit, or held out",
          design->law->name);
    c->target_name = design->law->target;
    c->prediction = design->predicted[c->next->at];
    c->logarithm = design->fit.residual == RESIDUAL_LOG;
  } else {
    return true;
  }
  c->gradient = gradient;
  return true;
}

static bool work(struct choosing *c, struct error *error) {
  struct design_next_result *result = c->result;
  struct arena *arena = &c->design->arena;
  size_t n = c->n, cells = n * n + 1;
  double **matrices[] = {&c->A, &c->B, &c->work_A, &c->work_B};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
    *matrices[i] = arena_array(arena, cells, sizeof(double));
  c->vector = arena_array(arena, n + 1, sizeof *c->vector);
  c->linear = (struct linear){.covariance = arena_array(arena, cells, sizeof(double)),
                              .score = arena_array(arena, n * c->rows + 1, sizeof(double)),
                              .unidentified = arena_array(arena, n + 1, sizeof(bool))};
  c->include = arena_array(arena, c->rows + 1, sizeof *c->include);
  c->paid = arena_array(arena, c->next->costs.part_count + 1, sizeof *c->paid);
  scale_rows(c);
  if (!set_target(c, error)) return false;
  begin_again(c);
  if (!stand(c, &result->now, error)) return false;
  for (size_t row = 0; row < c->rows; row++) {
    if (!c->next->candidate[row]) continue;
    c->include[row] = 1;
    result->all_flops += pay(c, row);
    result->candidates++;
  }
  return stand(c, &result->all, error) && choose_best(c, error);
}

bool design_next(const struct law *law, const struct table *table, const struct fit_options *fit,
                 const struct design_options *options, const struct design_next_options *next,
                 struct design_next_result *result, struct error *error) {
  struct design design;
  struct design_result known;
  struct table ones;
  *result = (struct design_next_result){.noise = options->noise};
  bool fine = design_open(&design, law, table, fit, options, &known, &ones, error);
  if (fine) {
    struct choosing choosing = {
        .design = &design, .next = next, .result = result, .n = (size_t)design.count, .rows = table->row_count};
    result->law = arena_string(&result->arena, law->name);
    design_list_quantities(&design);
    choosing.plain = design_jacobian(&design);
    fine = work(&choosing, error);
  }
  design_close(&design);
  design_free(&known);
  return fine;
}

void design_next_free(struct design_next_result *result) {
  arena_free(&result->arena);
  *result = (struct design_next_result){0};
}
