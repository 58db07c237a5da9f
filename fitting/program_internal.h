// Laws compiled to a small program over blocks of rows, with exact first derivatives by reverse accumulation.
//
// Parameters are in internal coordinates: the logarithm of a positive one, the value itself of any other. Whatever can
// be is computed in logarithms: A / N^alpha is exp(a - alpha log N), the logarithm of a sum of positive terms is one
// logsumexp, so that no start overflows and no precision is lost when terms differ by many orders of magnitude. What
// depends on columns alone is computed once, when the program is made.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "fitting/law_internal.h"

enum {
  PROGRAM_BLOCK = 64,    // rows a pass
  PROGRAM_LANES = 8,     // row counts are padded to multiples of this
  PROGRAM_LEAVES = 256,  // parameters in a formula
};

// One scalar that may be fitted: a parameter, or one category of a per-category parameter.
struct element {
  const char *name;      // "A", "eff[w4a4]"
  int parameter;         // in the law
  const char *category;  // or NULL
  bool logarithmic;      // internal coordinate is log(value)
  bool free_ever;        // fitted in some stage
  bool baseline, fixed;
  bool tied;  // it has the value of the element `tied_to`
  int tied_to;
  double low, high;  // bounds of the internal coordinate
  double value;      // internal value while it is not free
};

// The rows a program runs over: indices into the table.
struct row_list {
  const size_t *rows;
  size_t count;
  const double *scale;  // [count]: multiplies a row's result; NULL: 1
  bool every_step;      // sums over a schedule take every step by itself: slow, to say what pieces are off by
};

enum operation {
  OPERATION_ADD,
  OPERATION_SUBTRACT,
  OPERATION_MULTIPLY,
  OPERATION_DIVIDE,
  OPERATION_NEGATE,
  OPERATION_EXP,
  OPERATION_LOG,
  OPERATION_SQRT,
  OPERATION_TANH,
  OPERATION_SIN,
  OPERATION_COS,
  OPERATION_ABS,
  OPERATION_POWER,
  OPERATION_MIN,
  OPERATION_MAX,
  OPERATION_MODULO,
  OPERATION_FLOOR,
  OPERATION_CEIL,
  OPERATION_ROUND,
  OPERATION_EQUAL,
  OPERATION_UNEQUAL,
  OPERATION_LESS,
  OPERATION_LESS_EQUAL,
  OPERATION_NOT,
  OPERATION_AND,
  OPERATION_OR,
  OPERATION_SELECT,     // a ? b : c
  OPERATION_SOFTPLUS,   // log(1 + exp(a)); its slope stands in the register after `out`
  OPERATION_LOGSUMEXP,  // of `operands`; its weights stand in the registers after `out`
  OPERATION_SUM,        // over a schedule; the derivatives by `operands` stand in the registers after `out`
};

// A sum over the pieces of a schedule up to each row's step: a program of its own, whose rows are the pieces of all
// rows. What is the same for all pieces of a row (parameters, its columns) is computed outside and read by its leaves.
struct program_sum {
  struct program *body;
  size_t *first;    // [padded + 1]: where a row's pieces begin; each row's count is padded to PROGRAM_LANES
  double *real;     // [body rows]: 1 for a piece, 0 for the padding
  bool uniform;     // what the leaves read is the same for all rows
  const char *key;  // the node, to find it again
};

struct instruction {
  enum operation operation;
  int out, a, b, c;
  int count, *operands;
  bool uniform;  // the same for every row: run once an evaluation
  const struct program_sum *sum;
  int number;  // of the sum, among those of the program
};

struct leaf {  // a register that holds a parameter
  int reg;
  int element;       // the same for every row, or
  const int *index;  // one element a row (padded)
};

struct program {
  size_t rows, padded;
  int register_count;
  const double **columns;  // [register_count]: data of a register that is a column, else NULL
  bool *active;            // [register_count]: depends on a parameter
  bool *constant;          // [register_count]: holds constants[]
  double *constants;
  struct instruction *instructions;
  int instruction_count;
  struct leaf *leaves;
  int leaf_count;
  int sum_count;
  int result;
  int element_count;
  bool *apart;  // [element_count]: of one leaf that is another element in every row; no other leaf reads them, so no
                // two of them meet in a row. NULL where there is no such leaf of two elements or more
};

// Memory of one evaluation at a time: one for every thread.
struct program_state {
  const double *elements;     // of program_begin; must stay alive
  double *values, *adjoints;  // [register_count][PROGRAM_BLOCK]
  const struct program *program;
  struct program_state **sums;  // [sum_count]: of their bodies
  double *inputs;               // [PROGRAM_LEAVES]: what a body's leaves read
  const double *weight;         // [padded]: sums of rows of weight 0 are not wanted and are 0; NULL: all are wanted
};

// Compiles the law's formula for these rows of a table: the program gives the logarithm of the prediction
// (RESIDUAL_LOG) or the prediction (RESIDUAL_PLAIN). Errors: a text where a number is needed, a category without an
// element. All memory comes from the arena. A row must have a value in every column of the law.
struct program *program_compile(struct arena *arena, const struct law *law, const struct table *table,
                                struct row_list rows, const struct element *elements, int element_count,
                                enum law_residual residual, struct error *error);

struct program_state *program_state_new(struct arena *arena, const struct program *program);
// Sets the elements for the passes that follow.
void program_begin(struct program_state *state, const double *elements);
// Computes rows [row, row + count): count at most PROGRAM_BLOCK and a multiple of PROGRAM_LANES. Returns the results.
const double *program_forward(struct program_state *state, size_t row, size_t count);
// After program_forward of the same rows: the derivative of each row's result by leaf l is adjoint[l], which holds
// `count` values.
void program_backward(struct program_state *state, size_t row, size_t count, const double **adjoint);
// The same of each row's result times seed[i].
void program_backward_seeded(struct program_state *state, size_t row, size_t count, const double *seed,
                             const double **adjoint);
// How much a row costs to evaluate next to one of a law without sums over schedules: 1 and a share for each piece.
double program_row_cost(const struct program *program);

// program_sum.c: the sum of an instruction over the pieces of `count` rows from `row` on into y, and its derivatives by
// the operands, whose values are x[k], into the blocks after y.
void program_sum_forward(struct program_state *state, const struct instruction *run, const double *const *x, size_t row,
                         size_t count, double *y);
