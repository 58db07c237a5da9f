// Running a program over blocks of rows, forward and backward.
#include <math.h>
#include <string.h>

#include "fitting/program_internal.h"
#include "fitting/vector_math_internal.h"

struct program_state *program_state_new(struct arena *arena, const struct program *program) {
  struct program_state *state = arena_alloc(arena, sizeof *state);
  size_t count = (size_t)program->register_count * PROGRAM_BLOCK;
  state->program = program;
  state->values = arena_array(arena, count, sizeof *state->values);
  state->adjoints = arena_array(arena, count, sizeof *state->adjoints);
  for (int reg = 0; reg < program->register_count; reg++)
    for (int i = 0; program->constant[reg] && i < PROGRAM_BLOCK; i++)
      state->values[reg * PROGRAM_BLOCK + i] = program->constants[reg];
  if (program->sum_count) state->sums = arena_array(arena, (size_t)program->sum_count, sizeof *state->sums);
  if (program->sum_count) state->inputs = arena_array(arena, PROGRAM_LEAVES, sizeof *state->inputs);
  for (int k = 0; k < program->instruction_count; k++)
    if (program->instructions[k].sum)
      state->sums[program->instructions[k].number] = program_state_new(arena, program->instructions[k].sum->body);
  return state;
}

static inline const double *value_of(const struct program_state *state, int reg, size_t row) {
  const double *column = state->program->columns[reg];
  return column ? column + row : state->values + (size_t)reg * PROGRAM_BLOCK;
}

FOR_EVERY_MACHINE static void block_exp(const double *restrict x, double *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = exp_one(x[i]);
}

FOR_EVERY_MACHINE static void block_log(const double *restrict x, double *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = log_one(x[i]);
}

// y = log(sum exp(x_k)), relative to the largest; weights[k] gets exp(x_k - y).
FOR_EVERY_MACHINE static void block_logsumexp(const double *const *x, int count, double *restrict y,
                                              double *restrict weights, size_t n) {
  double largest[PROGRAM_BLOCK], sum[PROGRAM_BLOCK];
  for (size_t i = 0; i < n; i++) largest[i] = x[0][i];
  for (int k = 1; k < count; k++)
    for (size_t i = 0; i < n; i++) largest[i] = x[k][i] > largest[i] ? x[k][i] : largest[i];
  for (size_t i = 0; i < n; i++) sum[i] = 0;
  for (int k = 0; k < count; k++) {
    double *restrict weight = weights + (size_t)k * PROGRAM_BLOCK;
    for (size_t i = 0; i < n; i++) {
      weight[i] = exp_one(x[k][i] - largest[i]);
      sum[i] += weight[i];
    }
  }
  for (size_t i = 0; i < n; i++) y[i] = largest[i] + log_one(sum[i]);
  for (size_t i = 0; i < n; i++) sum[i] = 1 / sum[i];
  for (int k = 0; k < count; k++) {
    double *restrict weight = weights + (size_t)k * PROGRAM_BLOCK;
    for (size_t i = 0; i < n; i++) weight[i] *= sum[i];
  }
}

FOR_EVERY_MACHINE static void block_softplus(const double *restrict x, double *restrict y, double *restrict slope,
                                             size_t n) {
  for (size_t i = 0; i < n; i++) {
    double small = exp_one(x[i] < 0 ? x[i] : -x[i]), share = 1 / (1 + small);
    y[i] = (x[i] > 0 ? x[i] : 0) + log_one(1 + small);
    slope[i] = x[i] > 0 ? share : small * share;
  }
}

FOR_EVERY_MACHINE static void forward_one(struct program_state *state, const struct instruction *run, size_t row,
                                          size_t n) {
  double *restrict y = state->values + (size_t)run->out * PROGRAM_BLOCK;
  if (run->operation == OPERATION_LOGSUMEXP) {
    const double *x[16];
    for (int k = 0; k < run->count; k++) x[k] = value_of(state, run->operands[k], row);
    block_logsumexp(x, run->count, y, y + PROGRAM_BLOCK, n);
    return;
  }
  if (run->operation == OPERATION_SUM) {
    const double *x[PROGRAM_LEAVES];
    for (int k = 0; k < run->count; k++) x[k] = value_of(state, run->operands[k], row);
    program_sum_forward(state, run, x, row, n, y);
    return;
  }
  const double *a = value_of(state, run->a, row), *b = value_of(state, run->b, row), *c = value_of(state, run->c, row);
  switch (run->operation) {
    case OPERATION_ADD:
      for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
      break;
    case OPERATION_SUBTRACT:
      for (size_t i = 0; i < n; i++) y[i] = a[i] - b[i];
      break;
    case OPERATION_MULTIPLY:
      for (size_t i = 0; i < n; i++) y[i] = a[i] * b[i];
      break;
    case OPERATION_DIVIDE:
      for (size_t i = 0; i < n; i++) y[i] = a[i] / b[i];
      break;
    case OPERATION_NEGATE:
      for (size_t i = 0; i < n; i++) y[i] = -a[i];
      break;
    case OPERATION_EXP:
      block_exp(a, y, n);
      break;
    case OPERATION_LOG:
      block_log(a, y, n);
      break;
    case OPERATION_SOFTPLUS:
      block_softplus(a, y, y + PROGRAM_BLOCK, n);
      break;
    case OPERATION_SQRT:
      for (size_t i = 0; i < n; i++) y[i] = sqrt(a[i]);
      break;
    case OPERATION_TANH:
      for (size_t i = 0; i < n; i++) y[i] = tanh(a[i]);
      break;
    case OPERATION_SIN:
      for (size_t i = 0; i < n; i++) y[i] = sin(a[i]);
      break;
    case OPERATION_COS:
      for (size_t i = 0; i < n; i++) y[i] = cos(a[i]);
      break;
    case OPERATION_ABS:
      for (size_t i = 0; i < n; i++) y[i] = fabs(a[i]);
      break;
    case OPERATION_POWER:
      for (size_t i = 0; i < n; i++) y[i] = pow(a[i], b[i]);
      break;
    case OPERATION_MIN:
      for (size_t i = 0; i < n; i++) y[i] = a[i] < b[i] ? a[i] : b[i];
      break;
    case OPERATION_MAX:
      for (size_t i = 0; i < n; i++) y[i] = a[i] > b[i] ? a[i] : b[i];
      break;
    case OPERATION_MODULO:
      for (size_t i = 0; i < n; i++) y[i] = fmod(a[i], b[i]);
      break;
    case OPERATION_FLOOR:
      for (size_t i = 0; i < n; i++) y[i] = floor(a[i]);
      break;
    case OPERATION_CEIL:
      for (size_t i = 0; i < n; i++) y[i] = ceil(a[i]);
      break;
    case OPERATION_ROUND:
      for (size_t i = 0; i < n; i++) y[i] = round(a[i]);
      break;
    case OPERATION_EQUAL:
      for (size_t i = 0; i < n; i++) y[i] = a[i] == b[i];
      break;
    case OPERATION_UNEQUAL:
      for (size_t i = 0; i < n; i++) y[i] = a[i] != b[i];
      break;
    case OPERATION_LESS:
      for (size_t i = 0; i < n; i++) y[i] = a[i] < b[i];
      break;
    case OPERATION_LESS_EQUAL:
      for (size_t i = 0; i < n; i++) y[i] = a[i] <= b[i];
      break;
    case OPERATION_NOT:
      for (size_t i = 0; i < n; i++) y[i] = a[i] == 0;
      break;
    case OPERATION_AND:
      for (size_t i = 0; i < n; i++) y[i] = a[i] != 0 && b[i] != 0;
      break;
    case OPERATION_OR:
      for (size_t i = 0; i < n; i++) y[i] = a[i] != 0 || b[i] != 0;
      break;
    case OPERATION_SELECT:
      for (size_t i = 0; i < n; i++) y[i] = a[i] != 0 ? b[i] : c[i];
      break;
    case OPERATION_LOGSUMEXP:
    case OPERATION_SUM:
      break;  // above
  }
}

void program_begin(struct program_state *state, const double *elements) {
  const struct program *program = state->program;
  for (int l = 0; l < program->leaf_count; l++) {
    const struct leaf *leaf = &program->leaves[l];
    double *value = state->values + (size_t)leaf->reg * PROGRAM_BLOCK;
    if (!leaf->index)
      for (size_t i = 0; i < PROGRAM_BLOCK; i++) value[i] = elements[leaf->element];
  }
  state->elements = elements;
  for (int k = 0; k < program->instruction_count; k++)
    if (program->instructions[k].uniform) forward_one(state, &program->instructions[k], 0, PROGRAM_BLOCK);
}

const double *program_forward(struct program_state *state, size_t row, size_t count) {
  const struct program *program = state->program;
  for (int l = 0; l < program->leaf_count; l++) {
    const struct leaf *leaf = &program->leaves[l];
    double *value = state->values + (size_t)leaf->reg * PROGRAM_BLOCK;
    if (leaf->index)
      for (size_t i = 0; i < count; i++) value[i] = state->elements[leaf->index[row + i]];
  }
  for (int k = 0; k < program->instruction_count; k++)
    if (!program->instructions[k].uniform) forward_one(state, &program->instructions[k], row, count);
  return value_of(state, program->result, row);
}

// adjoint * slope, and 0 where nothing depends on the operand, whatever its slope is: in a branch of a condition that
// is not taken there may be a logarithm of 0.
static inline double times(double adjoint, double slope) { return adjoint == 0 ? 0 : adjoint * slope; }

// Adds adjoint * factor to the operand's adjoint.
static inline void add_product(double *restrict to, const double *restrict adjoint, const double *restrict factor,
                               size_t n) {
  for (size_t i = 0; i < n; i++) to[i] += times(adjoint[i], factor[i]);
}

FOR_EVERY_MACHINE static void backward_logsumexp(double *restrict to, const double *restrict adjoint,
                                                 const double *restrict weight, size_t n) {
  add_product(to, adjoint, weight, n);
}

static void backward_power(const struct program_state *state, const struct instruction *run, size_t row, size_t n,
                           const double *adjoint, double *to_a, double *to_b) {
  const double *a = value_of(state, run->a, row), *b = value_of(state, run->b, row);
  const double *y = state->values + (size_t)run->out * PROGRAM_BLOCK;
  for (size_t i = 0; to_a && i < n; i++)
    to_a[i] += adjoint[i] == 0 || b[i] == 0 ? 0 : adjoint[i] * b[i] * pow(a[i], b[i] - 1);
  for (size_t i = 0; to_b && i < n; i++) to_b[i] += adjoint[i] != 0 && a[i] > 0 ? adjoint[i] * y[i] * log(a[i]) : 0;
}

FOR_EVERY_MACHINE static void backward_one(struct program_state *state, const struct instruction *run, size_t row,
                                           size_t n) {
  const struct program *program = state->program;
  const double *restrict g = state->adjoints + (size_t)run->out * PROGRAM_BLOCK;
  const double *y = state->values + (size_t)run->out * PROGRAM_BLOCK;
  if (run->operation == OPERATION_LOGSUMEXP || run->operation == OPERATION_SUM) {
    for (int k = 0; k < run->count; k++)
      if (program->active[run->operands[k]])
        backward_logsumexp(state->adjoints + (size_t)run->operands[k] * PROGRAM_BLOCK, g,
                           y + (size_t)(k + 1) * PROGRAM_BLOCK, n);
    return;
  }
  const double *a = value_of(state, run->a, row), *b = value_of(state, run->b, row);
  double *ga = program->active[run->a] ? state->adjoints + (size_t)run->a * PROGRAM_BLOCK : NULL;
  double *gb = program->active[run->b] ? state->adjoints + (size_t)run->b * PROGRAM_BLOCK : NULL;
  double *gc = program->active[run->c] ? state->adjoints + (size_t)run->c * PROGRAM_BLOCK : NULL;
  switch (run->operation) {
    case OPERATION_ADD:
    case OPERATION_SUBTRACT: {
      double sign = run->operation == OPERATION_ADD ? 1 : -1;
      for (size_t i = 0; ga && i < n; i++) ga[i] += g[i];
      for (size_t i = 0; gb && i < n; i++) gb[i] += sign * g[i];
      break;
    }
    case OPERATION_MULTIPLY:
      if (ga) add_product(ga, g, b, n);
      if (gb) add_product(gb, g, a, n);
      break;
    case OPERATION_DIVIDE:
      for (size_t i = 0; ga && i < n; i++) ga[i] += g[i] == 0 ? 0 : g[i] / b[i];
      for (size_t i = 0; gb && i < n; i++) gb[i] -= g[i] == 0 ? 0 : g[i] * y[i] / b[i];
      break;
    case OPERATION_NEGATE:
      for (size_t i = 0; ga && i < n; i++) ga[i] -= g[i];
      break;
    case OPERATION_EXP:
      if (ga) add_product(ga, g, y, n);
      break;
    case OPERATION_SOFTPLUS:
      if (ga) add_product(ga, g, y + PROGRAM_BLOCK, n);
      break;
    case OPERATION_LOG:
      for (size_t i = 0; ga && i < n; i++) ga[i] += g[i] == 0 ? 0 : g[i] / a[i];
      break;
    case OPERATION_SQRT:
      for (size_t i = 0; ga && i < n; i++) ga[i] += g[i] == 0 ? 0 : g[i] * 0.5 / y[i];
      break;
    case OPERATION_TANH:
      for (size_t i = 0; ga && i < n; i++) ga[i] += g[i] == 0 ? 0 : g[i] * (1 - y[i]) * (1 + y[i]);
      break;
    case OPERATION_SIN:
      for (size_t i = 0; ga && i < n; i++) ga[i] += times(g[i], cos(a[i]));
      break;
    case OPERATION_COS:
      for (size_t i = 0; ga && i < n; i++) ga[i] -= times(g[i], sin(a[i]));
      break;
    case OPERATION_ABS:
      for (size_t i = 0; ga && i < n; i++) ga[i] += a[i] < 0 ? -g[i] : g[i];
      break;
    case OPERATION_POWER:
      backward_power(state, run, row, n, g, ga, gb);
      break;
    case OPERATION_MIN:
      for (size_t i = 0; ga && i < n; i++) ga[i] += a[i] < b[i] ? g[i] : 0;
      for (size_t i = 0; gb && i < n; i++) gb[i] += a[i] < b[i] ? 0 : g[i];
      break;
    case OPERATION_MAX:
      for (size_t i = 0; ga && i < n; i++) ga[i] += a[i] > b[i] ? g[i] : 0;
      for (size_t i = 0; gb && i < n; i++) gb[i] += a[i] > b[i] ? 0 : g[i];
      break;
    case OPERATION_MODULO:  // x - y trunc(x / y)
      for (size_t i = 0; ga && i < n; i++) ga[i] += g[i];
      for (size_t i = 0; gb && i < n; i++) gb[i] -= times(g[i], trunc(a[i] / b[i]));
      break;
    case OPERATION_SELECT:
      for (size_t i = 0; gb && i < n; i++) gb[i] += a[i] != 0 ? g[i] : 0;
      for (size_t i = 0; gc && i < n; i++) gc[i] += a[i] != 0 ? 0 : g[i];
      break;
    case OPERATION_FLOOR:  // steps have no slope
    case OPERATION_CEIL:
    case OPERATION_ROUND:
    case OPERATION_EQUAL:
    case OPERATION_UNEQUAL:
    case OPERATION_LESS:
    case OPERATION_LESS_EQUAL:
    case OPERATION_NOT:
    case OPERATION_AND:
    case OPERATION_OR:
    case OPERATION_LOGSUMEXP:
    case OPERATION_SUM:
      break;
  }
}

void program_backward(struct program_state *state, size_t row, size_t count, const double **adjoint) {
  double ones[PROGRAM_BLOCK];
  for (size_t i = 0; i < PROGRAM_BLOCK; i++) ones[i] = 1;
  program_backward_seeded(state, row, count, ones, adjoint);
}

void program_backward_seeded(struct program_state *state, size_t row, size_t count, const double *seed,
                             const double **adjoint) {
  const struct program *program = state->program;
  for (int reg = 0; reg < program->register_count; reg++)
    if (program->active[reg]) memset(state->adjoints + (size_t)reg * PROGRAM_BLOCK, 0, count * sizeof(double));
  memcpy(state->adjoints + (size_t)program->result * PROGRAM_BLOCK, seed, count * sizeof *seed);
  for (int k = program->instruction_count - 1; k >= 0; k--)
    if (program->active[program->instructions[k].out]) backward_one(state, &program->instructions[k], row, count);
  for (int l = 0; l < program->leaf_count; l++)
    adjoint[l] = state->adjoints + (size_t)program->leaves[l].reg * PROGRAM_BLOCK;
}
