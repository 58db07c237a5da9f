// Formats of an optimizer's moments: whether they go with the optimizer, with its state and with the matrices.
#include <string.h>

#include "kernels/formats/grid.h"
#include "trainer/config.h"
#include "trainer/optimizers/optimizer.h"

static bool refuse(struct error *error, const char *path, const char *other) {
  return error_about(error, path, other, NULL);
}

// Whether the optimizer keeps the moment of each parameter, so that the matrices have theirs.
static bool is_kept(const struct run_config *c, int array) {
  return optimizer_of(c)->state(c).extent[array] == STATE_ALL;
}

static bool has_level_at_zero(const struct grid *grid) {
  double levels[GRID_LEVEL_LIMIT];
  int count = grid_level_list(grid, levels);
  for (int i = 0; i < count; i++)
    if (levels[i] == 0) return true;
  return false;
}

// A root that becomes 0 would make the next step its moment over epsilon, and a transform mixes roots into numbers
// below 0.
static bool suits_second_moments(const struct format *format, struct error *error) {
  const struct representation *r = &format->operands[OPERAND_WEIGHTS];
  const char *what = r->hadamard.kind != HADAMARD_NONE   ? "has a Hadamard transform, after which they may be below 0"
                     : r->sparsity.kind != SPARSITY_NONE ? "sets some of them to 0"
                     : r->scale.rule != SCALE_ABSMAX     ? "may clip the largest ones"
                     : !grid_is_scalar(&r->grid)         ? "rounds several at once"
                     : has_level_at_zero(&r->grid)       ? "has a level at 0, over which a step would be infinite"
                                                         : NULL;
  return !what || error_set(error, EXIT_USAGE_ERROR,
                            "train.second_moment: %s cannot represent roots of second moments: it %s; int8-g64 can",
                            format->name, what);
}

static bool fits_matrices(const struct run_config *c, const struct format *format, struct error *error) {
  struct matrix_size sizes[OPTIMIZER_MATRICES];
  optimizer_matrix_sizes(c, sizes);
  for (int i = 0; i < OPTIMIZER_MATRICES; i++)
    if (!format_check_shape(format, sizes[i].rows, sizes[i].columns, sizes[i].rows, error)) return false;
  return true;
}

static bool is_of_weights(const struct format *format, const char *path, struct error *error) {
  bool others = !representation_is_none(&format->operands[OPERAND_ACTIVATIONS]) ||
                !representation_is_none(&format->operands[OPERAND_GRADIENTS]) || format->after > 0;
  const struct representation *r = &format->operands[OPERAND_WEIGHTS];
  if (!others && !representation_is_none(r) && r->scale.rule != SCALE_LEARNED && r->scale.rule != SCALE_STATIC)
    return true;
  return error_set(
      error, EXIT_USAGE_ERROR,
      "%s %s: a moment is represented as weights are, by one grid with scales of its own; int8-g64 is such "
      "a format",
      path, format->name);
}

static bool check(const struct run_config *c, const char *path, const char *text, int array, struct error *error) {
  struct arena arena = {0};
  if (strcmp(text, "none") == 0) return true;
  const struct format *format = format_read(text, &arena, error);
  bool fine = format != NULL;
  if (!fine) {
    error_context(error, "%s", path);
    refuse(error, path, NULL);
  } else if (!is_kept(c, array)) {
    fine = error_set(error, EXIT_USAGE_ERROR, "%s: the optimizer %s keeps no %s moment of each weight of a matrix",
                     path, c->train.optimizer, array == STATE_M ? "first" : "second") ||
           refuse(error, path, "train.optimizer");
  } else if (strcmp(c->train.optimizer_state, "float32") != 0) {
    fine = error_set(error, EXIT_USAGE_ERROR, "%s is represented in float32: train.optimizer_state has to be that",
                     path) ||
           refuse(error, path, "train.optimizer_state");
  } else {
    fine = (is_of_weights(format, path, error) && (array == STATE_M || suits_second_moments(format, error)) &&
            fits_matrices(c, format, error)) ||
           refuse(error, path, NULL);
  }
  arena_free(&arena);
  return fine;
}

bool config_moments_fit(const struct run_config *c, struct error *error) {
  return check(c, "train.first_moment", c->train.first_moment, STATE_M, error) &&
         check(c, "train.second_moment", c->train.second_moment, STATE_V, error);
}
