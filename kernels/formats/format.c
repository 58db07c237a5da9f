// What follows from a format: bits, block sizes, whether it fits a shape. See format.h.
#include "kernels/formats/format.h"

#include <math.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/sparsity.h"

const char *operand_name(enum operand operand) {
  static const char *const names[OPERANDS] = {"weights", "activations", "gradients"};
  return names[operand];
}

bool representation_is_none(const struct representation *representation) {
  return representation->grid.kind == GRID_NONE && representation->sparsity.kind == SPARSITY_NONE;
}

bool format_is_none(const struct format *format) {
  if (!format) return true;
  for (int operand = 0; operand < OPERANDS; operand++)
    if (!representation_is_none(&format->operands[operand])) return false;
  return true;
}

bool format_has_learned_scales(const struct format *format) {
  for (int operand = 0; format && operand < OPERAND_GRADIENTS; operand++)
    if (format->operands[operand].grid.kind != GRID_NONE && format->operands[operand].scale.rule == SCALE_LEARNED)
      return true;
  return false;
}

static double bits_for(int choices) {
  int bits = 0;
  while (1 << bits < choices) bits++;
  return bits;
}

double representation_bits(const struct representation *representation) {
  const struct sparsity *sparsity = &representation->sparsity;
  double bits = grid_bits(&representation->grid), share = 1 - sparsity_amount(sparsity), places = 0;
  double scale_bits = representation->scale.type == SCALE_FLOAT ? 16 : 8;
  if (representation->grid.kind != GRID_NONE && representation->grid.kind != GRID_NOISE &&
      representation->scale.unit == SCALE_PER_GROUP)
    places += scale_bits / representation->scale.group;
  if (representation->grid.kind != GRID_NONE && representation->scale.unit == SCALE_PER_SQUARE)
    places += scale_bits / (SQUARE * SQUARE);
  switch (sparsity->kind) {
    case SPARSITY_NONE:
      break;
    case SPARSITY_N_M:
      places += sparsity->n * bits_for(sparsity->m) / sparsity->m;
      break;
    case SPARSITY_PAIRED:
      places += 0.5 * sparsity->n * bits_for(sparsity->m / 2) / sparsity->m;
      break;
    case SPARSITY_TOP:  // the entropy of a bitmap
      if (share > 0 && share < 1) places -= share * log2(share) + (1 - share) * log2(1 - share);
      break;
    case SPARSITY_RANDOM:
      break;  // the places follow from the seed
  }
  return share * bits + places;
}

bool hadamard_block(const struct hadamard *hadamard, int64_t axis, int *block, struct error *error) {
  *block = 1;
  if (hadamard->kind == HADAMARD_NONE) return true;
  if (hadamard->exact) {
    if (axis % hadamard->block)
      return error_set(
          error, EXIT_USAGE_ERROR,
          "a Hadamard block of %d does not divide an axis of %lld: give a divisor, or leave the size out to "
          "have the largest power of two that fits",
          hadamard->block, (long long)axis);
    *block = hadamard->block;
    return true;
  }
  while (*block * 2 <= hadamard->block && axis % (*block * 2) == 0) *block *= 2;
  return true;
}

static bool fits_axis(const struct representation *representation, int64_t axis, const char *what,
                      const char *axis_name, struct error *error) {
  if (representation_is_none(representation) || axis == 0) return true;
  int block;
  if (!hadamard_block(&representation->hadamard, axis, &block, error))
    return error_context(error, "%s along %s", what, axis_name);
  const struct sparsity *sparsity = &representation->sparsity;
  if ((sparsity->kind == SPARSITY_N_M || sparsity->kind == SPARSITY_PAIRED) && axis % sparsity->m)
    return error_set(error, EXIT_USAGE_ERROR, "%s along %s: groups of %d do not divide an axis of %lld", what,
                     axis_name, sparsity->m, (long long)axis);
  if (representation->grid.kind == GRID_VECTOR && axis % representation->grid.dimension)
    return error_set(error, EXIT_USAGE_ERROR, "%s along %s: vectors of %d do not divide an axis of %lld", what,
                     axis_name, representation->grid.dimension, (long long)axis);
  return true;
}

bool format_check_shape(const struct format *format, int64_t outputs, int64_t inputs, int64_t rows,
                        struct error *error) {
  if (format_is_none(format)) return true;
  if (!fits_axis(&format->operands[OPERAND_WEIGHTS], inputs, "weights", "inputs", error) ||
      !fits_axis(&format->operands[OPERAND_ACTIVATIONS], inputs, "activations", "inputs", error))
    return false;
  // d_x contracts over outputs, d_W over tokens.
  const struct representation *gradients = &format->operands[OPERAND_GRADIENTS];
  struct representation along_outputs = *gradients;
  if (format->backward == BACKWARD_TOKENS) along_outputs.hadamard.kind = HADAMARD_NONE;
  if (!fits_axis(&along_outputs, outputs, "gradients", "outputs", error) ||
      !fits_axis(gradients, rows, "gradients", "tokens", error))
    return false;
  return true;
}

static bool measured(const struct scale *scale) { return scale->rule == SCALE_ABSMAX || scale->rule == SCALE_RMS; }

static bool draws(const struct representation *r) { return r->grid.kind == GRID_NOISE || r->rounding != ROUND_NEAREST; }

static bool activations_by_sequences(const struct representation *r) {
  const struct scale *scale = &r->scale;
  if (r->grid.kind == GRID_NONE) return false;
  return (scale->unit == SCALE_PER_TENSOR && scale->rule != SCALE_STATIC) || scale_type_is_e4m3(scale->type) ||
         draws(r);
}

// Nothing changes where a value's place among the tokens does not count, or only within groups that sequences hold
// whole.
static bool gradients_by_sequences(const struct representation *r, int64_t context) {
  const struct scale *scale = &r->scale;
  if (representation_is_none(r)) return false;
  if (draws(r) || r->hadamard.kind != HADAMARD_NONE || scale_type_is_e4m3(scale->type)) return true;
  bool local = r->grid.kind == GRID_NONE || scale->rule == SCALE_STATIC ||
               (scale->unit == SCALE_PER_GROUP && context % scale->group == 0);
  if (!local && measured(scale)) return true;
  return r->sparsity.kind == SPARSITY_TOP;  // of a row along tokens
}

bool format_by_sequences(const struct format *format, int64_t context) {
  return format &&
         (activations_by_sequences(&format->operands[OPERAND_ACTIVATIONS]) ||
          gradients_by_sequences(&format->operands[OPERAND_GRADIENTS], context) || format->gradient_token_hadamard);
}

// How many blocks stay in full precision, and how many of them are the first ones.
static int64_t kept_blocks(const struct format *format, int64_t blocks, int64_t *first) {
  int64_t kept = format ? (int64_t)floor(format->high_precision * (double)blocks + 0.5) : 0;
  *first = (int64_t)floor(0.2 * (double)kept + 0.5);
  return kept;
}

bool format_in_block(const struct format *format, int64_t block, int64_t blocks) {
  int64_t first, kept = kept_blocks(format, blocks, &first);
  return block >= first && block < blocks - (kept - first);
}

int64_t format_blocks(const struct format *format, int64_t blocks) {
  int64_t first;
  return blocks - kept_blocks(format, blocks, &first);
}

bool format_shortens_interval(const struct format *format, int64_t steps) {
  for (int i = 0; format && i < OPERANDS; i++) {
    const struct sparsity *sparsity = &format->operands[i].sparsity;
    if (sparsity_prunings(sparsity, steps) > 0 && sparsity_interval(sparsity, steps) < sparsity->every) return true;
  }
  return false;
}

double format_density(const struct format *format, int64_t step, int64_t steps) {
  return format ? sparsity_density(&format->operands[OPERAND_WEIGHTS].sparsity, step, steps) : 1;
}

int format_sequence(const struct format *format, int64_t step, int64_t steps) {
  if (format_is_none(format)) return 0;
  const struct sparsity *sparsity = &format->operands[OPERAND_WEIGHTS].sparsity;
  if (sparsity->kind != SPARSITY_TOP || sparsity_density(sparsity, step, steps) >= 1) return 0;
  return sparsity->monotone && sparsity_prunes(sparsity, step, steps) ? 2 : 1;
}

double format_average_density(const struct format *format, int64_t steps) {
  return format ? sparsity_average_density(&format->operands[OPERAND_WEIGHTS].sparsity, steps) : 1;
}
