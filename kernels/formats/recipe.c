// Recipes (scale, transform and estimator that go with a grid) and the checks of a finished representation.
#include <math.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/parse.h"

void recipe_apply(struct representation *representation, enum recipe recipe) {
  struct scale *scale = &representation->scale;
  bool block = scale->unit == SCALE_PER_GROUP;
  scale->factor_given = false;
  scale->factor = 0;
  if (!block) {
    scale->unit = SCALE_PER_ROW;
    scale->type = SCALE_FLOAT;
  }
  representation->hadamard = (struct hadamard){HADAMARD_NONE, HADAMARD_LIMIT, false};
  switch (recipe) {
    case RECIPE_QUEST:
      scale->rule = SCALE_RMS;
      representation->hadamard.kind = HADAMARD_FIXED;
      representation->estimator = ESTIMATOR_TRUST;
      if (block) {
        // QuEST-MXFP4 as Quartet has it: the transform within the group, the exponent rounded, gradients where nothing
        // was clipped.
        representation->hadamard.block = scale->group;
        representation->estimator = ESTIMATOR_CLIP;
        if (scale->type == SCALE_POWER_FLOOR) scale->type = SCALE_POWER_ROUND;
      }
      break;
    case RECIPE_LSQ:
    case RECIPE_SEQ:
      scale->rule = SCALE_LEARNED;
      scale->unit = SCALE_PER_TENSOR;
      scale->type = SCALE_FLOAT;
      representation->estimator = recipe == RECIPE_SEQ ? ESTIMATOR_SEQ : ESTIMATOR_LSQ;
      break;
    case RECIPE_STE:
      scale->rule = SCALE_RMS;
      representation->estimator = ESTIMATOR_STE;
      break;
    case RECIPE_CLIP:
      scale->rule = SCALE_RMS;
      representation->estimator = ESTIMATOR_CLIP;
      break;
    case RECIPE_ABSMAX:
      scale->rule = SCALE_ABSMAX;
      representation->estimator = ESTIMATOR_STE;
      break;
  }
}

void recipe_of_grid(struct representation *representation, struct grid grid, enum recipe recipe) {
  representation->grid = grid;
  recipe_apply(representation, grid.kind == GRID_NOISE ? RECIPE_STE : recipe);
}

void recipe_of_blocks(struct representation *representation, struct grid grid, int group, enum scale_type type,
                      const enum recipe *recipe) {
  representation->grid = grid;
  representation->scale = (struct scale){SCALE_ABSMAX, SCALE_PER_GROUP, type, group, 1, false};
  representation->hadamard = (struct hadamard){HADAMARD_NONE, HADAMARD_LIMIT, false};
  representation->estimator = ESTIMATOR_STE;
  if (recipe) recipe_apply(representation, *recipe);
}

void recipe_of_zero_groups(struct representation *representation, int bits, int group, const enum recipe *recipe) {
  struct grid grid = grid_twos_complement(bits);
  recipe_of_blocks(representation, grid, group, SCALE_FLOAT, recipe);
  if (recipe) return;
  // A shade less than reach over 2^(bits - 1) - 1/2, to seven digits: the most negative value stands at a tie, and is
  // to take the lowest code whatever the last bit of the scale.
  double exact = grid.high / (-grid.low - 0.5);
  representation->scale.factor = floor(exact * (1 - 2.5e-7) * 1e7) / 1e7;
  representation->scale.factor_given = true;
}

void sparsity_untransformed(struct representation *representation) {
  const struct sparsity *sparsity = &representation->sparsity;
  if (sparsity->kind == SPARSITY_TOP && (sparsity->monotone || sparsity->scope == SCOPE_GLOBAL))
    representation->hadamard.kind = HADAMARD_NONE;
}

// What speaks against such sparsity of the operand, or NULL. Activations and gradients have a threshold for each row:
// it is set here.
static const char *sparsity_clash(struct representation *representation, enum operand operand) {
  struct sparsity *sparsity = &representation->sparsity;
  bool weights = operand == OPERAND_WEIGHTS;
  if (sparsity->kind == SPARSITY_TOP && !weights) {
    if (sparsity->scope == SCOPE_GLOBAL || sparsity->schedule != SCHEDULE_CONSTANT || sparsity->monotone)
      return "only weights have schedules, monotone masks and one threshold for all layers";
    sparsity->scope = SCOPE_ROW;
  }
  if (sparsity->kind == SPARSITY_RANDOM && !weights) return "random sparsity is for weights";
  if (sparsity->kind == SPARSITY_RANDOM && sparsity->backward != SPARSE_FORWARD && sparsity->backward != SPARSE_PASS)
    return "gradients of random sparsity go by forward or pass";
  bool apart = sparsity->kind == SPARSITY_TOP && (sparsity->scope == SCOPE_GLOBAL || sparsity->monotone);
  if (apart && representation->hadamard.kind != HADAMARD_NONE)
    return "masks that stay, and one threshold for all layers, are of untransformed weights: leave "
           "hadamard out";
  if (sparsity->monotone && sparsity->backward != SPARSE_FORWARD)
    return "what stays pruned gets no gradient: monotone goes with forward";
  if (sparsity->kind == SPARSITY_TOP && sparsity->scope == SCOPE_ROW &&
      (sparsity->schedule != SCHEDULE_CONSTANT || sparsity->monotone))
    return "a threshold for every row has no schedule, and its masks do not stay";
  if (sparsity->scope == SCOPE_ROW && sparsity->backward == SPARSE_BAND_SHARE)
    return "a-b-rms needs one threshold for the tensor: scope tensor or global";
  return NULL;
}

// The same of blocks of several rows.
static const char *square_clash(const struct representation *representation, enum operand operand) {
  const struct scale *scale = &representation->scale;
  if (scale->unit != SCALE_PER_SQUARE) return NULL;
  if (operand != OPERAND_WEIGHTS) return "square(16) is of weights: blocks of other operands would hold several tokens";
  if (scale->rule != SCALE_ABSMAX) return "square(16) goes with absmax";
  enum grid_kind grid = representation->grid.kind;
  if ((grid != GRID_UNIFORM && grid != GRID_FLOAT) || representation->sparsity.kind != SPARSITY_NONE)
    return "square(16) is of evenly spaced levels or floats, none of them pruned";
  if (representation->hadamard.kind != HADAMARD_NONE)
    return "square(16) is the same along both axes, a transform is not: leave hadamard out";
  return representation->rounding == ROUND_NEAREST ? NULL : "square(16) goes with rounding to nearest";
}

// The same of corrected scales.
static const char *eden_clash(const struct representation *representation) {
  const struct scale *scale = &representation->scale;
  int group = scale->group;
  if (representation->rounding != ROUND_EDEN) return NULL;
  if (!scale_type_is_e4m3(scale->type) || scale->unit != SCALE_PER_GROUP || representation->grid.kind != GRID_FLOAT ||
      group < 8 || group > 256 || (group & (group - 1)) != 0)
    return "eden corrects the FP8 scales of groups of 8, 16, ... 256 floats, as nvfp4[eden]";
  if (representation->sparsity.kind != SPARSITY_NONE || representation->estimator != ESTIMATOR_STE)
    return "eden goes without sparsity, and with straight-through gradients (ste)";
  return scale->four_over_six ? "eden and four-over-six do not go together" : NULL;
}

// The same of how scales are rounded and chosen.
static const char *scale_rounding_clash(const struct representation *representation, enum operand operand) {
  const struct scale *scale = &representation->scale;
  const struct grid *grid = &representation->grid;
  if (scale->type == SCALE_POWER_EVEN && scale->rule != SCALE_ABSMAX)
    return "power-even rounds the largest magnitude to the elements' mantissa: it goes with absmax";
  if (scale->type == SCALE_POWER_EVEN && grid->kind != GRID_FLOAT && grid->kind != GRID_UNIFORM)
    return "power-even is of floats and evenly spaced levels, which have a mantissa";
  if (scale->e4m3_most > 0 && !scale_type_is_e4m3(scale->type))
    return "scale-max is of FP8 scales: it goes with e4m3-scale";
  const char *clash = square_clash(representation, operand);
  if (!clash) clash = eden_clash(representation);
  if (clash) return clash;
  if (representation->hadamard.kind == HADAMARD_SIGNED && operand != OPERAND_GRADIENTS)
    return "signed-hadamard is of gradients";
  if (!scale->four_over_six) return NULL;
  if (!scale_type_is_e4m3(scale->type) || scale->rule != SCALE_ABSMAX || grid->kind != GRID_FLOAT ||
      grid->exponent_bits != 2 || grid->mantissa_bits != 1)
    return "four-over-six is of E2M1 elements with FP8 scales of the largest magnitude, as nvfp4[four-over-six]";
  int group = scale->group;
  if (scale->unit == SCALE_PER_GROUP && (group < 8 || group > 256 || (group & (group - 1)) != 0))
    return "four-over-six is of groups of 8, 16, 32, 64, 128 or 256";
  if (scale->unit != SCALE_PER_GROUP && scale->unit != SCALE_PER_SQUARE)
    return "four-over-six is of groups, as group(16), or of square(16)";
  if (representation->sparsity.kind != SPARSITY_NONE)
    return "four-over-six compares the errors of all values, none of them pruned: leave the sparsity out";
  if (representation->rounding != ROUND_NEAREST) return "four-over-six compares errors of rounding to nearest";
  return NULL;
}

// Why grid, scale, rounding and estimator do not go together, or NULL.
static const char *scale_clash(const struct representation *representation, enum operand operand) {
  const struct scale *scale = &representation->scale;
  const struct grid *grid = &representation->grid;
  bool vector = grid->kind == GRID_VECTOR;
  if (vector && scale->rule != SCALE_RMS && scale->rule != SCALE_STATIC)
    return "vector grids are scaled by rms or static(S)";
  if (vector && representation->rounding == ROUND_STOCHASTIC) return "vector grids have no stochastic rounding";
  if (vector && scale->unit == SCALE_PER_GROUP && scale->group % grid->dimension)
    return "a group must hold whole vectors";
  if (grid->kind == GRID_NOISE && (scale->rule != SCALE_RMS || representation->rounding == ROUND_STOCHASTIC))
    return "noise is scaled by rms and has no rounding";
  bool seq = representation->estimator == ESTIMATOR_SEQ;
  bool learned = scale->rule == SCALE_LEARNED, lsq = representation->estimator == ESTIMATOR_LSQ || seq;
  if (learned != lsq) return "a learned scale and the estimators lsq and seq go together";
  if (seq &&
      (operand != OPERAND_WEIGHTS || grid->kind != GRID_UNIFORM || grid->count > 4 || grid->low + grid->high != 0))
    return "seq is of weights in int1, int2 or ternary: of more bits ParetoQ has lsq, and activations are given apart, as "
           "w(seq-int2)a(int8)";
  if (learned && (operand == OPERAND_GRADIENTS || grid->kind != GRID_UNIFORM || scale->unit != SCALE_PER_TENSOR ||
                  scale->type != SCALE_FLOAT || representation->rounding == ROUND_STOCHASTIC))
    return "a learned scale is one float per tensor of weights or activations on an integer grid, to nearest";
  if (learned && representation->hadamard.kind != HADAMARD_NONE)
    return "a learned scale is of untransformed values: leave hadamard out";
  if (scale_type_is_e4m3(scale->type) && scale->unit == SCALE_PER_TENSOR)
    return "an FP8 scale is for groups or rows: the tensor has a float32 next to it";
  return scale_rounding_clash(representation, operand);
}

const char *representation_clash(struct representation *representation, enum operand operand) {
  if (representation_is_none(representation)) return NULL;
  const char *clash = sparsity_clash(representation, operand);
  return clash || representation->grid.kind == GRID_NONE ? clash : scale_clash(representation, operand);
}

bool representation_finish(struct representation *representation, enum operand operand, struct error *error) {
  struct sparsity *sparsity = &representation->sparsity;
  struct scale *scale = &representation->scale;
  const struct grid *grid = &representation->grid;
  bool rounded = grid->kind != GRID_NONE;
  if (representation_is_none(representation)) return true;

  const char *clash = representation_clash(representation, operand);
  if (clash) return error_set(error, EXIT_USAGE_ERROR, "%s: %s", operand_name(operand), clash);
  if (sparsity->backward == SPARSE_TRUST && sparsity->kind != SPARSITY_NONE && !rounded)
    sparsity->backward = SPARSE_FORWARD;
  if (!rounded) {
    // Without a grid there is nothing to scale; what is pruned is pruned where it is.
    representation->scale = (struct scale){.unit = SCALE_PER_ROW};
    representation->estimator = ESTIMATOR_STE;
    representation->rounding = ROUND_NEAREST;
    representation->outer = 0;
    return true;
  }

  if (scale->unit != SCALE_PER_GROUP && scale->unit != SCALE_PER_SQUARE) scale->group = 0;

  if (!scale->factor_given) scale->factor = 1;
  // What is meant without being written is not kept.
  bool plain = !scale->factor_given || scale->factor == 1;
  if (scale->e4m3_most == (scale->four_over_six ? 256 : 448) && (plain || scale->four_over_six)) scale->e4m3_most = 0;
  if (representation->estimator == ESTIMATOR_TRUST && grid->count == 2) {
    // QuEST's outer factors, with and without the transform.
    if (representation->outer == 0) representation->outer = representation->hadamard.kind == HADAMARD_NONE ? 1.25 : 1.3;
  } else {
    representation->outer = 0;
  }
  return true;
}

void representation_scale(struct representation *representation) {
  struct scale *scale = &representation->scale;
  if (!scale->factor_given && scale->rule == SCALE_RMS && grid_is_scalar(&representation->grid))
    scale->factor = grid_gaussian_scale(&representation->grid);
}
