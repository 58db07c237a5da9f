// Objective, gradient and curvature of a fit, block by block.
#include <string.h>

#include "fitting/problem_internal.h"
#include "fitting/vector_math_internal.h"

void workspace_use(struct workspace *workspace, const struct problem *problem) {
  workspace->problem = problem;
  memcpy(workspace->elements, problem->start, (size_t)problem->program->element_count * sizeof(double));
}

struct workspace *workspace_new(struct arena *arena, const struct problem *problem) {
  struct workspace *made = arena_alloc(arena, sizeof *made);
  size_t n = (size_t)problem->program->element_count + 1, padded = problem->program->padded + 1;
  made->state = program_state_new(arena, problem->program);
  double **vectors[] = {&made->elements,       &made->gradient,        &made->magnitude,
                        &made->trial_gradient, &made->trial_magnitude, &made->step,
                        &made->trial,          &made->scratch,         &made->shared};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) *vectors[i] = arena_array(arena, n, sizeof(double));
  made->matrix = arena_array(arena, n * n, sizeof(double));
  made->trial_matrix = arena_array(arena, n * n, sizeof(double));
  made->factor = arena_array(arena, n * n, sizeof(double));
  made->residual = arena_array(arena, padded, sizeof(double));
  made->frozen = arena_array(arena, padded, sizeof(double));
  made->held = arena_array(arena, n, sizeof *made->held);
  workspace_use(made, problem);
  return made;
}

static void set_elements(struct workspace *workspace, const double *x) {
  const struct problem *problem = workspace->problem;
  for (int i = 0; i < problem->free_count; i++) workspace->elements[problem->free[i]] = x[i];
  program_begin(workspace->state, workspace->elements);
}

// Sums run over eight lanes in a fixed order, whatever the machine's vectors.
static inline double add_lanes(const double *lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

FOR_EVERY_MACHINE static double dot(const double *restrict a, const double *restrict b, size_t n) {
  double lane[PROGRAM_LANES] = {0};
  for (size_t i = 0; i < n; i += PROGRAM_LANES)
    for (int k = 0; k < PROGRAM_LANES; k++) lane[k] += a[i + k] * b[i + k];
  return add_lanes(lane);
}

FOR_EVERY_MACHINE static double dot_size(const double *restrict a, const double *restrict b, size_t n) {
  double lane[PROGRAM_LANES] = {0};
  for (size_t i = 0; i < n; i += PROGRAM_LANES)
    for (int k = 0; k < PROGRAM_LANES; k++) lane[k] += fabs(a[i + k] * b[i + k]);
  return add_lanes(lane);
}

struct block {  // of one evaluation
  size_t row, n;
  double weight[PROGRAM_BLOCK];     // of the row
  double slope[PROGRAM_BLOCK];      // weight * psi
  double curvature[PROGRAM_BLOCK];  // weight * psi / r, or weight * psi'
  const double *adjoint[PROGRAM_LEAVES];
};

// Half the squared relative error of a prediction whose logarithm is r from the observed one.
static double relative_loss(struct block *block, const double *residual) {
  double sum = 0;
  for (size_t i = 0; i < block->n; i++) {
    double ratio = exp(residual[i]), w = block->weight[i];
    sum += w * 0.5 * (ratio - 1) * (ratio - 1);
    block->slope[i] = w * (ratio - 1) * ratio;
    block->curvature[i] = w * ratio * ratio;
  }
  return sum;
}

FOR_EVERY_MACHINE static double block_loss(struct block *block, const double *restrict prediction,
                                           const double *restrict target, double *restrict residual, double delta,
                                           enum wanted wanted) {
  double lane[PROGRAM_LANES] = {0};
  for (size_t i = 0; i < block->n; i++) residual[i] = prediction[i] - target[i];
  if (wanted == WANT_RELATIVE) return relative_loss(block, residual);
  bool inlier = wanted == WANT_INLIER;
  for (size_t i = 0; i < block->n; i += PROGRAM_LANES)
    for (int k = 0; k < PROGRAM_LANES; k++) {
      double r = residual[i + k], size = fabs(r), w = block->weight[i + k];
      bool inside = size <= delta;
      double tail = inside ? 0 : delta;  // keeps an infinite delta out of the arithmetic
      lane[k] += w * (inside ? 0.5 * r * r : tail * (size - 0.5 * tail));
      block->slope[i + k] = w * (inside ? r : r > 0 ? tail : -tail);
      block->curvature[i + k] = w * (inside ? 1 : inlier ? 0 : tail / size);
    }
  return add_lanes(lane);
}

// The same for the other losses.
static double block_other_loss(struct block *block, const double *prediction, const double *target, double *residual,
                               const struct problem *problem, enum wanted wanted) {
  double sum = 0;
  for (size_t i = 0; i < block->n; i++) {
    double r = residual[i] = prediction[i] - target[i], w = block->weight[i];
    sum += w * problem_loss(problem, r);
    block->slope[i] = w * problem_slope(problem, r);
    block->curvature[i] = w * (wanted == WANT_INLIER ? problem_curvature(problem, r) : problem_reweight(problem, r));
  }
  return sum;
}

// Products of the adjoints of leaves that are one element for all rows.
FOR_EVERY_MACHINE static void add_plain_products(struct workspace *workspace, const struct block *block,
                                                 enum wanted wanted) {
  const struct problem *problem = workspace->problem;
  const struct program *program = problem->program;
  int n = problem->free_count;
  double scaled[PROGRAM_BLOCK];
  for (int l = 0; l < program->leaf_count; l++) {
    int i = program->leaves[l].index ? -1 : problem->free_of[program->leaves[l].element];
    if (i < 0) continue;
    workspace->gradient[i] += dot(block->slope, block->adjoint[l], block->n);
    workspace->magnitude[i] += dot_size(block->slope, block->adjoint[l], block->n);
    if (wanted == WANT_GRADIENT) continue;
    for (size_t k = 0; k < block->n; k++) scaled[k] = block->curvature[k] * block->adjoint[l][k];
    for (int m = 0; m <= l; m++) {
      int j = program->leaves[m].index ? -1 : problem->free_of[program->leaves[m].element];
      if (j < 0) continue;
      double product = dot(scaled, block->adjoint[m], block->n);
      workspace->matrix[i * n + j] += product;
      if (m != l) workspace->matrix[j * n + i] += product;
    }
  }
}

static inline int element_at(const struct leaf *leaf, size_t row) {
  return leaf->index ? leaf->index[row] : leaf->element;
}

// Products of a leaf that is another element in every row with those that are one element: sums by element in
// workspace->shared, then on both sides of the diagonal.
FOR_EVERY_MACHINE static void add_shared_products(struct workspace *workspace, const struct block *block,
                                                  const double *scaled, const int *of) {
  const struct problem *problem = workspace->problem;
  const struct program *program = problem->program;
  size_t n = (size_t)problem->free_count;
  double *sums = workspace->shared;
  for (int m = 0; m < program->leaf_count; m++) {
    int j = program->leaves[m].index ? -1 : problem->free_of[program->leaves[m].element];
    if (j < 0) continue;
    const double *adjoint = block->adjoint[m];
    memset(sums, 0, n * sizeof *sums);
    for (size_t k = 0; k < block->n; k++)
      if (of[k] >= 0) sums[of[k]] += scaled[k] * adjoint[k];
    double *row = workspace->matrix + (size_t)j * n;
    for (size_t i = 0; i < n; i++) {
      row[i] += sums[i];
      workspace->matrix[i * n + (size_t)j] += sums[i];
    }
  }
}

// Products with leaves that are another element in every row.
static void add_indexed_products(struct workspace *workspace, const struct block *block, enum wanted wanted) {
  const struct problem *problem = workspace->problem;
  const struct program *program = problem->program;
  int n = problem->free_count, of[PROGRAM_BLOCK];  // places of the rows' elements
  double scaled[PROGRAM_BLOCK];
  for (int l = 0; l < program->leaf_count; l++) {
    const struct leaf *leaf = &program->leaves[l];
    if (!leaf->index) continue;
    const double *adjoint = block->adjoint[l];
    for (size_t k = 0; k < block->n; k++) {
      of[k] = problem->free_of[leaf->index[block->row + k]];
      if (of[k] < 0) continue;
      double slope = block->slope[k] * adjoint[k];
      workspace->gradient[of[k]] += slope;
      workspace->magnitude[of[k]] += fabs(slope);
    }
    if (wanted == WANT_GRADIENT) continue;
    for (size_t k = 0; k < block->n; k++) scaled[k] = block->curvature[k] * adjoint[k];
    add_shared_products(workspace, block, scaled, of);
    for (int m = 0; m < program->leaf_count; m++) {
      const struct leaf *other = &program->leaves[m];
      for (size_t k = 0; other->index && k < block->n; k++) {
        int j = of[k] < 0 ? -1 : problem->free_of[other->index[block->row + k]];
        if (j >= 0) workspace->matrix[of[k] * n + j] += scaled[k] * block->adjoint[m][k];
      }
    }
  }
}

double problem_evaluate(struct workspace *workspace, const double *x, const double *weight, enum wanted wanted) {
  const struct problem *problem = workspace->problem;
  const struct program *program = problem->program;
  size_t n = (size_t)problem->free_count;
  double objective = 0;
  struct block block;
  set_elements(workspace, x);
  workspace->state->weight = weight;
  if (wanted != WANT_VALUE) {
    memset(workspace->gradient, 0, n * sizeof(double));
    memset(workspace->magnitude, 0, n * sizeof(double));
    if (wanted != WANT_GRADIENT) memset(workspace->matrix, 0, n * n * sizeof(double));
  }
  for (block.row = 0; block.row < program->padded; block.row += block.n) {
    block.n = program->padded - block.row;
    if (block.n > PROGRAM_BLOCK) block.n = PROGRAM_BLOCK;
    const double *prediction = program_forward(workspace->state, block.row, block.n);
    for (size_t i = 0; i < block.n; i++) block.weight[i] = problem->weight[block.row + i];
    for (size_t i = 0; weight && i < block.n; i++) block.weight[i] *= weight[block.row + i];
    bool other = (problem->tail > 0 || problem->asymmetry != 0) && wanted != WANT_RELATIVE;
    const double *target = problem->target + block.row;
    double *residual = workspace->residual + block.row;
    objective += other ? block_other_loss(&block, prediction, target, residual, problem, wanted)
                       : block_loss(&block, prediction, target, residual, problem->delta, wanted);
    if (wanted == WANT_VALUE) continue;
    program_backward(workspace->state, block.row, block.n, block.adjoint);
    add_plain_products(workspace, &block, wanted);
    add_indexed_products(workspace, &block, wanted);
  }
  workspace->state->weight = NULL;
  if (problem->penalty && wanted != WANT_RELATIVE) objective += problem_penalty(workspace, wanted);
  return isfinite(objective) ? objective : INFINITY;
}

void problem_frozen_gradient(struct workspace *workspace, const double *x, double *sum) {
  const struct problem *problem = workspace->problem;
  const struct program *program = problem->program;
  const double *adjoint[PROGRAM_LEAVES];
  memset(sum, 0, (size_t)problem->free_count * sizeof *sum);
  set_elements(workspace, x);
  for (size_t row = 0, n; row < program->padded; row += n) {
    n = program->padded - row < PROGRAM_BLOCK ? program->padded - row : PROGRAM_BLOCK;
    program_forward(workspace->state, row, n);
    program_backward(workspace->state, row, n, adjoint);
    for (int l = 0; l < program->leaf_count; l++) {
      const struct leaf *leaf = &program->leaves[l];
      if (!leaf->index) {
        int i = problem->free_of[leaf->element];
        if (i >= 0) sum[i] += dot(workspace->frozen + row, adjoint[l], n);
        continue;
      }
      for (size_t k = 0; k < n; k++) {
        int i = problem->free_of[leaf->index[row + k]];
        if (i >= 0) sum[i] += workspace->frozen[row + k] * adjoint[l][k];
      }
    }
  }
}

bool problem_jacobian(struct workspace *workspace, const double *x, double *residual, double *jacobian) {
  const struct problem *problem = workspace->problem;
  const struct program *program = problem->program;
  size_t free_count = (size_t)problem->free_count;
  const double *adjoint[PROGRAM_LEAVES];
  bool finite = true;
  set_elements(workspace, x);
  if (jacobian) memset(jacobian, 0, program->rows * free_count * sizeof *jacobian);
  for (size_t row = 0, n; row < program->padded; row += n) {
    n = program->padded - row < PROGRAM_BLOCK ? program->padded - row : PROGRAM_BLOCK;
    const double *prediction = program_forward(workspace->state, row, n);
    for (size_t k = 0; k < n && row + k < program->rows; k++) {
      residual[row + k] = prediction[k] - problem->target[row + k];
      finite &= isfinite(residual[row + k]);
    }
    if (!jacobian) continue;
    program_backward(workspace->state, row, n, adjoint);
    for (int l = 0; l < program->leaf_count; l++)
      for (size_t k = 0; k < n && row + k < program->rows; k++) {
        int i = problem->free_of[element_at(&program->leaves[l], row + k)];
        if (i >= 0) jacobian[(row + k) * free_count + (size_t)i] += adjoint[l][k];
      }
  }
  return finite;
}
