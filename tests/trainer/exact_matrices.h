// Optimizers that keep matrices of state, in double precision, as their papers have them: for tests. Eigenvectors and
// QR are GSL's, loops are plain.
#pragma once
#include "trainer/optimizers/optimizer.h"

// The state of one matrix. What an optimizer does without is not used.
struct exact_matrix {
  int64_t rows, columns;
  double *m, *v;                                    // full, or [rank, length]
  double *basis, *error;                            // ldadam, dct_adamw: [rank, side]; [side, length]
  int64_t *chosen;                                  // dct_adamw
  double *left, *right, *left_basis, *right_basis;  // soap; shampoo, whose bases are roots
  bool fixed_basis;                                 // ldadam: its directions are the axes, whatever the gradient
  double identity;                                  // ldadam: by how much nothing-is-lost is missed, at most
};
// Everything is the arena's, and 0.
void exact_matrix_make(struct arena *arena, const struct run_config *config, int64_t rows, int64_t columns,
                       struct exact_matrix *x);
// The direction of step 1, 2, ...: p moves by -lr times the optimizer's scale times d. d [rows, columns]. False: this
// step moves nothing.
bool exact_direction(struct arena *arena, const struct run_config *config, struct exact_matrix *x, int64_t step,
                     const double *g, double *d);
// c [m, n] = a [m, k] b [k, n], either of them transposed as it stands.
void exact_product(int64_t m, int64_t n, int64_t k, bool turn_a, bool turn_b, const double *a, const double *b,
                   double *c);
