// Formats as text: every option written out, and a sentence for people.
#include <math.h>
#include <string.h>

#include "kernels/formats/codebook.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/parse.h"
#include "kernels/formats/sparsity.h"

static void add_number(struct text *out, double value) {
  char number[32];
  number_shortest(value, number);
  text_add(out, number);
}

static void add_call(struct text *out, const char *word, double value) {
  text_add(out, word);
  text_char(out, '(');
  add_number(out, value);
  text_char(out, ')');
}

void sparsity_term(const struct sparsity *sparsity, bool full, struct text *out) {
  bool scheduled = sparsity->kind == SPARSITY_TOP || sparsity->kind == SPARSITY_RANDOM;
  if (scheduled) {
    text_add(out, sparsity->kind == SPARSITY_TOP ? "sparse(" : "random-sparse(");
    add_number(out, sparsity->amount);
  } else {
    text_format(out, "%s%d:%d", sparsity->kind == SPARSITY_PAIRED ? "paired-" : "", sparsity->n, sparsity->m);
  }
  if (!full) {
    if (scheduled) text_char(out, ')');
    return;
  }
  text_char(out, scheduled ? ',' : '(');
  if (scheduled && sparsity->schedule != SCHEDULE_CONSTANT) {
    text_format(out, "%s(", sparsity->schedule == SCHEDULE_CUBIC ? "cubic" : "journey");
    add_number(out, sparsity->start);
    text_char(out, ',');
    add_number(out, sparsity->end);
    text_add(out, "),");
    add_call(out, "every", sparsity->every);
    text_add(out, sparsity->of_steps ? ",steps," : ",compute,");
  }
  if (scheduled) {
    text_format(out, "%s,%s,", sparsity_scope_words[sparsity->scope], sparsity->monotone ? "monotone" : "dynamic");
  }
  const char *mask = sparse_backward_words[sparsity->backward];
  if (sparsity->backward == SPARSE_RMS || sparsity->backward == SPARSE_BAND || sparsity->backward == SPARSE_BAND_SHARE)
    add_call(out, mask, sparsity->backward_parameter);
  else
    text_add(out, mask);
  text_char(out, ')');
}

void grid_term(const struct representation *representation, struct text *out) {
  const struct grid *grid = &representation->grid;
  switch (grid->kind) {
    case GRID_NONE:
      break;
    case GRID_UNIFORM: {
      int bits = 1;
      while (1 << bits < grid->count) bits++;
      if (grid->count == 3)
        text_add(out, "ternary");
      else
        text_format(out, "int%d%s", bits,
                    grid->first != floor(grid->first) ? ""
                    : grid->count % 2                 ? "-tread"
                                                      : "-twos");
      break;
    }
    case GRID_FLOAT:
      text_format(out, "fp%d-e%dm%d", 1 + grid->exponent_bits + grid->mantissa_bits, grid->exponent_bits,
                  grid->mantissa_bits);
      break;
    case GRID_LEVELS:
      if (codebook_of_grid(grid)) {
        text_add(out, codebook_of_grid(grid)->name);
        break;
      }
      text_add(out, "levels(");
      for (int i = 0; i < grid->count; i++) {
        if (i) text_char(out, ' ');
        add_number(out, grid->levels[i]);
      }
      text_char(out, ')');
      break;
    case GRID_VECTOR:
      text_format(out, "vq%d-%d", grid->dimension, grid->count);
      break;
    case GRID_NOISE:
      add_call(out, "noise", grid->variance);
      break;
  }
}

static void scale_options(const struct scale *scale, struct text *out) {
  if (scale->factor_given)
    add_call(out, scale_rule_words[scale->rule], scale->factor);
  else
    text_add(out, scale_rule_words[scale->rule]);
  if (scale->unit == SCALE_PER_GROUP) {
    text_char(out, ',');
    add_call(out, "group", scale->group);
  } else {
    static const char *const units[] = {",tensor", ",row", "", ",square(16)"};
    text_add(out, units[scale->unit]);
  }
  text_format(out, ",%s", scale_type_words[scale->type]);
  if (scale->four_over_six) text_add(out, ",four-over-six");
  if (scale->e4m3_most > 0) {
    text_char(out, ',');
    add_call(out, "scale-max", scale->e4m3_most);
  }
}

void representation_text(const struct representation *representation, struct text *out) {
  if (representation_is_none(representation)) {
    text_add(out, "none");
    return;
  }
  if (representation->sparsity.kind != SPARSITY_NONE) {
    sparsity_term(&representation->sparsity, true, out);
    if (representation->grid.kind != GRID_NONE) text_char(out, '+');
  }
  grid_term(representation, out);
  text_char(out, '[');
  if (representation->grid.kind != GRID_NONE) {
    scale_options(&representation->scale, out);
    text_format(out, ",%s,", rounding_words[representation->rounding]);
  }
  const struct hadamard *hadamard = &representation->hadamard;
  if (hadamard->kind == HADAMARD_NONE)
    text_add(out, "no-hadamard");
  else
    text_format(out, "%shadamard%s(%d)",
                hadamard->kind == HADAMARD_RANDOM   ? "random-"
                : hadamard->kind == HADAMARD_SIGNED ? "signed-"
                                                    : "",
                hadamard->exact ? "" : "-up-to", hadamard->block);
  if (representation->grid.kind != GRID_NONE) {
    text_char(out, ',');
    if (representation->outer > 0)
      add_call(out, "trust", representation->outer);
    else
      text_add(out, estimator_words[representation->estimator]);
  }
  text_char(out, ']');
}

void format_options_text(const struct format *format, struct text *out) {
  struct text options = {0};
  if (format->backward == BACKWARD_REQUANTIZE) text_add(&options, ",requantize");
  if (format->backward == BACKWARD_TOKENS) text_add(&options, ",tokens");
  if (format->backward == BACKWARD_ORIGINAL) text_add(&options, ",original");
  if (format->gradient_token_hadamard) text_add(&options, ",token-hadamard");
  if (format->layers != LAYERS_DEFAULT) {
    text_add(&options, ",layers(");
    bool first = true;
    for (size_t i = 0; i < 4; i++)  // each for itself
      if (format->layers & layer_names[i].layers) {
        text_format(&options, "%s%s", first ? "" : ",", layer_names[i].name);
        first = false;
      }
    text_char(&options, ')');
  }
  if (format->high_precision > 0) {
    text_char(&options, ',');
    add_call(&options, "high-precision", format->high_precision);
  }
  if (options.length) text_format(out, "[%s]", text_string(&options) + 1);
  text_free(&options);
}

void format_phase_text(const struct format *format, struct text *out) {
  if (format->after <= 0) return;
  text_add(out, FORMAT_AFTER);
  add_number(out, format->after);
}

void format_long_text(const struct format *format, struct text *out) {
  if (format_is_none(format)) {
    text_add(out, "none");
    return;
  }
  static const char letters[] = "wag";
  for (int i = 0; i < OPERANDS; i++)
    if (!representation_is_none(&format->operands[i])) {
      text_format(out, "%c(", letters[i]);
      representation_text(&format->operands[i], out);
      text_char(out, ')');
    }
  format_options_text(format, out);
  format_phase_text(format, out);
}

// ---- for people ----

static void describe_sparsity(const struct sparsity *sparsity, struct text *out) {
  char number[32];
  switch (sparsity->kind) {
    case SPARSITY_NONE:
      break;
    case SPARSITY_TOP: {
      static const char *const scopes[] = {"each matrix", "each row", "all matrices together"};
      text_format(out, "the smallest %s %% of %s are 0", number_human(100 * sparsity->amount, number),
                  scopes[sparsity->scope]);
      break;
    }
    case SPARSITY_RANDOM:
      text_format(out, "a random %s %% are 0", number_human(100 * sparsity->amount, number));
      break;
    case SPARSITY_N_M:
      text_format(out, "of every %d values the %d largest are kept", sparsity->m, sparsity->n);
      break;
    case SPARSITY_PAIRED:
      text_format(out, "of every %d pairs the %d of largest norm are kept", sparsity->m / 2, sparsity->n / 2);
      break;
  }
  if (sparsity->schedule != SCHEDULE_CONSTANT && sparsity->kind != SPARSITY_NONE)
    text_format(out, " (%s schedule)", sparsity->schedule == SCHEDULE_CUBIC ? "cubic" : "geometric");
}

// How values come onto their grid: scale, rounding, transform, gradients.
static void describe_rounding(const struct representation *representation, enum operand operand, struct text *out) {
  static const char *const rules[] = {"root mean square", "largest magnitude", "learned scale", "fixed scale"};
  static const char *const types[SCALE_TYPES] = {
      "",
      ", as a power of two (down)",
      ", as a power of two (nearest)",
      ", as a power of two (up)",
      ", as a power of two (down, of what is rounded to the elements' mantissa)",
      ", in FP8 next to one float",
      ", in FP8 (down) next to one float",
      ", in FP8 (up) next to one float"};
  const struct scale *scale = &representation->scale;
  bool windows = operand != OPERAND_WEIGHTS, measured = scale->rule == SCALE_RMS || scale->rule == SCALE_ABSMAX;
  text_format(out, ", by the %s of ", rules[scale->rule]);
  if (representation->scale.unit == SCALE_PER_GROUP)
    text_format(out, "groups of %d", representation->scale.group);
  else if (scale->unit == SCALE_PER_SQUARE)
    text_format(out, "blocks of %d by %d", SQUARE, SQUARE);
  else
    text_add(out, scale->unit == SCALE_PER_ROW ? "a row" : windows && measured ? "a sequence" : "a matrix");
  text_add(out, types[scale->type]);
  if (scale_type_is_e4m3(scale->type) && windows) text_add(out, " of a sequence");
  if (scale->four_over_six) text_add(out, ", mapping the largest to 6 or to 4, whichever errs less");
  if (representation->rounding == ROUND_STOCHASTIC) text_add(out, ", stochastic rounding");
  if (representation->rounding == ROUND_EDEN)
    text_add(out, ", to nearest, and the scales corrected and rounded stochastically (MS-EDEN)");
  if (representation->hadamard.kind != HADAMARD_NONE)
    text_format(out, ", after a Hadamard transform%s",
                representation->hadamard.kind == HADAMARD_RANDOM   ? " with random signs"
                : representation->hadamard.kind == HADAMARD_SIGNED ? " with fixed signs"
                                                                   : "");
  static const char *const estimators[] = {"straight-through gradients", "gradients within the range",
                                           "QuEST's trusted gradients", "LSQ's gradients", "ParetoQ's gradients (SEQ)"};
  text_format(out, "; %s", estimators[representation->estimator]);
}

static void describe_representation(const struct representation *representation, enum operand operand,
                                    struct text *out) {
  const struct grid *grid = &representation->grid;
  const struct sparsity *sparsity = &representation->sparsity;
  char number[32];
  describe_sparsity(sparsity, out);
  if (sparsity->kind != SPARSITY_NONE && grid->kind != GRID_NONE) text_add(out, ", then ");
  switch (grid->kind) {
    case GRID_NONE:
      return;
    case GRID_UNIFORM:
      text_format(out, "%d evenly spaced levels", grid->count);
      break;
    case GRID_FLOAT:
      text_format(out, "a float of %d exponent and %d mantissa bits", grid->exponent_bits, grid->mantissa_bits);
      break;
    case GRID_LEVELS:
      text_format(out, "%d levels", grid->count);
      break;
    case GRID_VECTOR:
      text_format(out, "%d points in %d dimensions", grid->count, grid->dimension);
      break;
    case GRID_NOISE:
      text_format(out, "Gaussian noise of relative variance %s", number_human(grid->variance, number));
      return;
  }
  describe_rounding(representation, operand, out);
}

void format_describe(const struct format *format, struct text *out) {
  if (format_is_none(format)) {
    text_add(out, "nothing is changed: the baseline of every comparison");
    return;
  }
  bool first = true;
  for (int i = 0; i < OPERANDS; i++) {
    const struct representation *operand = &format->operands[i];
    if (representation_is_none(operand)) continue;
    text_format(out, "%s%s: ", first ? "" : ". ", operand_name((enum operand)i));
    describe_representation(operand, (enum operand)i, out);
    first = false;
  }
  if (format->backward == BACKWARD_REQUANTIZE) text_add(out, ". Backward products use operands represented once more");
  if (format->backward == BACKWARD_ORIGINAL) text_add(out, ". Backward products use operands without the transform");
  if (format->backward == BACKWARD_TOKENS)
    text_add(out,
             ". d_x is of the forward's weights, d_W of activations and gradients represented along tokens, where the "
             "transform is");
  if (format->gradient_token_hadamard) text_add(out, ", gradients transformed over tokens for d_x");
  if (!representation_is_none(&format->operands[OPERAND_GRADIENTS]))
    text_add(out, ". Along tokens, for d_W, an axis is one sequence");
  if (format->high_precision > 0) {
    text_add(out, ". A share of ");
    add_number(out, format->high_precision);
    text_add(out, " of the blocks, the first and the last ones, stays in full precision");
  }
  if (format->after > 0) {
    text_add(out, ". Before it a share of ");
    add_number(out, format->after);
    text_add(out, " of the steps passes in full precision");
  }
}
