// What the methods share: the matrix as it is rounded (transformed, with its scales), the order, factors of the
// Hessian, the two sweeps over inputs, and what is measured of the result. See compress.h.
#pragma once
#include "kernels/formats/nearest.h"
#include "trainer/compress/compress.h"
#include "trainer/compress/products.h"

struct compress_call {
  const struct compress_settings *settings;
  const struct compress_layer *layer;
  struct compress_result *result;
  struct arena *arena;  // of the call
};

// ---- LAPACK (lapack.c): row-major, double precision ----

// A = R^T R of a symmetric positive definite a [n, n], whose upper triangle is read: R in the upper triangle, zeroes
// below. False and an error (EXIT_USAGE_ERROR) where A is not positive definite.
bool lapack_cholesky(double *a, int64_t n, struct error *error);
// U upper with A^-1 = U^T U, in a's upper triangle, zeroes below.
bool lapack_inverse_cholesky(double *a, int64_t n, struct error *error);

// ---- the transform of the inputs (transform.c) ----

// x -> x diag(signs) H: blocks of the orthonormal Hadamard matrix. All NULL and 1: none.
struct input_transform {
  int64_t inputs;
  int block;
  const uint32_t *signs;  // [inputs], 0 or 1 << 31; NULL: all plus
};
void transform_rows(const struct input_transform *transform, double *x, int64_t rows);  // x [rows, inputs]
void transform_rows_back(const struct input_transform *transform, double *x, int64_t rows);
void transform_hessian(const struct input_transform *transform, double *h);  // T^T H T of h [inputs, inputs]

// ---- the matrix on its grid (gridded.c) ----

// A matrix's values, transformed, and the scales that its rounding has, fixed before anything is rounded.
struct gridded {
  int64_t outputs, inputs, group;  // inputs that share a scale
  struct nearest nearest;
  struct input_transform transform;
  const float *values;  // [outputs, inputs]
  float *scales;        // [outputs, units]
  int64_t units;
};
// Of the call's weights by this representation (its sparsity is not looked at). False and an error when the shape does
// not fit.
bool gridded_make(struct gridded *gridded, struct compress_call *call, const struct representation *representation,
                  struct error *error);

// The representation of a matrix by the formats' own passes, as the trainer has it: part by part, transformed back.
// out [outputs, inputs].
bool represent_matrix(struct compress_call *call, const struct representation *representation, float *out,
                      struct error *error);

// ---- the Hessian and the order (order.c) ----

// The call's Hessian in double precision, transformed, with damping times the mean of its diagonal added to it: [n, n],
// the arena's. NULL and an error when it is zero or not finite.
double *damped_hessian(struct compress_call *call, const struct input_transform *transform, struct error *error);
// sequence[k]: the input that is rounded as the k-th. Groups of `dimension` neighbours stay together. H [n, n].
bool rounding_order(const char *order, const double *h, int64_t n, int dimension, int64_t *sequence,
                    struct arena *arena, struct error *error);

// ---- pruning by SparseGPT's score (pruning.c) ----

enum { PRUNING_BLOCK = 128 };  // inputs that are chosen from together, where there is no pattern
struct pruning {
  double sparsity;
  int n, m;  // n of m neighbours are kept; m 0: by sparsity
  int parts;
  int64_t part_outputs[WEIGHT_PARTS];  // each chooses for itself
};
int64_t pruning_every(const struct pruning *pruning);  // inputs between two choices
// Which of the weights w [count, outputs] are kept: those of largest w^2 / d^2, d [count] the diagonal of U.
// keep [count, outputs].
void pruning_choose(const struct pruning *pruning, const double *w, const double *d, int64_t count, int64_t outputs,
                    uint8_t *keep, struct arena *arena);

// ---- sweeps (sweep.c) ----

// A problem whose rows are inputs, in the order of rounding (or, for the nearest plane, in its reverse).
struct sweep {
  int64_t outputs, inputs;
  const struct nearest *nearest;  // NULL: what is kept stays as it is
  double *w;                      // [inputs, outputs]: the weights; afterwards the moved ones, as they were rounded
  double *q;                      // [inputs, outputs], written: represented values
  const float *scales;            // [units, outputs]
  const int64_t *unit;            // [inputs]: which row of scales
  int32_t *codes;                 // [inputs / dimension, outputs], written; -1: pruned. NULL: not wanted
  const struct pruning *pruning;  // NULL: none
  // Written:
  double error;  // running sum of D (w' - q)^2
  double bound;  // sum of (gap s / 2)^2 D; NAN: none
  double trace;  // sum of D
  int64_t clipped;
};
// Front to back, moving what is still to be rounded: GPTQ, by U (upper) with H^-1 = U^T U. The one that prunes.
void sweep_inverse(struct sweep *sweep, const double *u, struct arena *arena);
// Back to front, the nearest plane: Babai, by R (upper) with H = R^T R. The last row is rounded first.
void sweep_nearest_plane(struct sweep *sweep, const double *r, struct arena *arena);
// Each value for itself, D = 1.
void sweep_plain(struct sweep *sweep, struct arena *arena);
// Rounds the rows [at, at + dimension) of the targets [dimension][outputs] by the metric c (lower or upper triangle,
// [dimension][dimension]): the q of least |c (target - q)|^2. errors [dimension][outputs]: c (target - q), written.
// keep [dimension][outputs]: NULL keeps all.
struct block_space;  // what it works in
struct block_space *block_space_make(const struct sweep *sweep, struct arena *arena);
void sweep_round(struct sweep *sweep, struct block_space *space, int64_t at, const double *targets, const double *c,
                 const uint8_t *keep, double *errors);

// A call from its gridded matrix to its result: the order, the Hessian, a factor, a sweep.
enum sweep_kind { SWEEP_PLAIN, SWEEP_INVERSE, SWEEP_NEAREST_PLANE };
bool sweep_call(struct compress_call *call, const struct gridded *gridded, enum sweep_kind kind,
                const struct pruning *pruning, struct error *error);

// ---- settings that methods share (resolve.c) ----

// The weights' part of the settings' format; NULL: none.
const struct representation *weights_representation(const struct compress_settings *settings);
// What a matrix of so many inputs becomes as a representation, sparsity included.
struct representation resolved_representation(const struct compress_settings *settings, int64_t inputs);
// HIGGS's grid of n points in p dimensions; false when there is none.
bool higgs_grid(int p, int n, struct grid *grid);
struct pruning pruning_of(const struct compress_settings *settings, const struct compress_layer *layer);
// Why a format cannot be rounded onto by scales that stand, one input after another; why pruned weights cannot be in
// it.
bool check_one_by_one(const struct compress_settings *settings, struct error *error);
bool check_pruning(const struct compress_settings *settings, struct error *error);

// ---- measures (measure.c) ----
void measure_result(struct compress_call *call);
