// Formats: every way to represent the operands of a linear layer, defined once. A format says for weights, activations
// and gradients how they are sparsified, onto which grid they are rounded, how the grid is scaled, and how a gradient
// passes; the trainer quantizes with it (apply.h) and its error is measured on the same code (capacity.h).
//
// Written as text (docs/formats.md has all of it):
//   none                         nothing is changed
//   w4a4, w4, a8, w2a16          QuEST: weights and activations of that many bits (16: not represented)
//   lsq-w4a4 ste-w4a4 clip-w3a3 absmax-w8a8    other recipes for the same bits
//   int4 ternary mxfp4 2:4 sparse(0.5) 2:4+int4 noise(0.01)    a bare representation: weights only
//   w(2:4+int4)a(int8)g(mxfp4)   operand by operand
//   int4[absmax,group(32),stochastic]    a representation with options
//   quartet halo2-int8 fp8-mixed quest-mxfp4    named recipes
//   w4a4 after 0.9       any of them, once a share of the training has passed in full precision
// A spec may have a mapping in its place (trainer/formats.h).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "kernels/formats/windows.h"

// ---- grids ----

enum grid_kind {
  GRID_NONE,     // values stay as they are
  GRID_UNIFORM,  // levels first, first + 1, ..., first + count - 1
  GRID_FLOAT,    // sign, exponent and mantissa bits, with subnormals
  GRID_LEVELS,   // any sorted list of levels
  GRID_VECTOR,   // points in 2 or 4 dimensions, trained on Gaussian data (see vector_grid.h)
  GRID_NOISE,    // no grid: Gaussian noise of a relative variance is added, as the reference
};
#define GRID_LEVEL_LIMIT 256

// A grid in its own units; a scale stretches it over the data: y = scale * nearest(x / scale).
struct grid {
  enum grid_kind kind;
  int count;             // levels (points of a vector grid)
  double first;          // GRID_UNIFORM
  int exponent_bits;     // GRID_FLOAT
  int mantissa_bits;     // GRID_FLOAT
  double low, high;      // least and greatest level
  const double *levels;  // GRID_LEVELS: [count], ascending
  int dimension;         // GRID_VECTOR: 2 or 4; else 1
  double variance;       // GRID_NOISE: of the noise over that of the data
};

// ---- scales ----

enum scale_rule {
  SCALE_RMS,      // scale = factor * root mean square, factor the MSE-optimal one for a Gaussian unless given
  SCALE_ABSMAX,   // scale = factor * max |x| / max(high, -low), factor 1 unless given
  SCALE_LEARNED,  // a trained number per tensor: LSQ (Esser et al. 2020)
  SCALE_STATIC,   // scale = factor, whatever the data
};
enum scale_unit {
  SCALE_PER_TENSOR,
  SCALE_PER_ROW,     // a row is a token for activations
  SCALE_PER_GROUP,   // `group` neighbours along the contraction axis
  SCALE_PER_SQUARE,  // weights: blocks of SQUARE by SQUARE values, the same along either axis
};
#define SQUARE 16
enum scale_type {
  SCALE_FLOAT,
  SCALE_POWER_FLOOR,  // a power of two: below, nearest in the logarithm, above
  SCALE_POWER_ROUND,  // (with SCALE_ABSMAX, floor is OCP's rule 2^(floor(log2 amax) - floor(log2 high)))
  SCALE_POWER_CEIL,
  SCALE_POWER_EVEN,  // with SCALE_ABSMAX: floor of the largest magnitude rounded to the element's mantissa first
  SCALE_E4M3,  // an FP8 number times one float32 per tensor that maps the tensor's max to 448 * high (NVFP4): nearest,
  SCALE_E4M3_FLOOR,  // below, above
  SCALE_E4M3_CEIL,
};
FORMAT_FUNCTION bool scale_type_is_e4m3(enum scale_type type) { return type >= SCALE_E4M3; }
// OCP's rule and its variant: a power of two of the largest magnitude, whose factor multiplies it afterwards.
FORMAT_FUNCTION bool scale_type_is_of_exponent(enum scale_type type) {
  return type == SCALE_POWER_FLOOR || type == SCALE_POWER_EVEN;
}
struct scale {
  enum scale_rule rule;
  enum scale_unit unit;
  enum scale_type type;
  int group;          // SCALE_PER_GROUP: elements that share a scale, along the contraction axis; PER_SQUARE: SQUARE
  double factor;      // see the rules
  bool factor_given;  // else it follows from the grid
  // E4M3, E2M1 elements: of the two scales that map a block's largest magnitude to 6 and to 4, that of the smaller
  // squared error, 6 where they are equal (Cook et al. 2025)
  bool four_over_six;
  // E4M3: the FP8 number that the tensor's largest scale becomes. 0: not given, which is 256 with four_over_six, else
  // 448 whatever the factor, which then may not be above 1 without clipping.
  double e4m3_most;
};

// ---- Hadamard, rounding, estimators ----

// The orthonormal block transform along the contraction axis, of both operands.
enum hadamard_kind {
  HADAMARD_NONE,
  HADAMARD_FIXED,
  HADAMARD_RANDOM,  // after signs that are drawn anew each step
  HADAMARD_SIGNED,  // after the same 16 signs over and over (SIGNED_HADAMARD); of gradients
};
// Bit i is set where value i of 16 changes its sign: the constant of NVIDIA's recipe (TransformerEngine, weight
// gradients).
#define SIGNED_HADAMARD 0xD7E8u
#define HADAMARD_LIMIT 128  // default limit of the block
#define HADAMARD_LARGEST 256
struct hadamard {
  enum hadamard_kind kind;
  int block;   // largest block (a power of two)
  bool exact;  // given: it has to divide the axis; else the largest power of two up to `block` that does is taken
};

enum rounding {
  ROUND_NEAREST,
  ROUND_STOCHASTIC,
  // MS-EDEN (Quartet II): elements to nearest; the FP8 scales of a Hadamard block are multiplied by sum z^2 / sum z
  // q(z) of it and rounded stochastically, so that the mean over signs and draws is the value
  ROUND_EDEN,
};

// How the gradient passes through the rounding: dx = mask * dy with the mask
enum estimator {
  ESTIMATOR_STE,    // 1 (Bengio et al. 2013)
  ESTIMATOR_CLIP,   // |x| within the grid's range (as PACT's)
  ESTIMATOR_TRUST,  // |q(x) - x| at most half the grid's largest gap (QuEST); with two levels |x| <= outer * scale *
                    // high
  ESTIMATOR_LSQ,    // within the range, and the scale gets a gradient too
  ESTIMATOR_SEQ,    // as LSQ, where |x| <= 0.99 of the range that the levels divide (ParetoQ; weights in 1 to 2 bits)
};

// ---- sparsity ----

enum sparsity_kind {
  SPARSITY_NONE,
  SPARSITY_TOP,     // the largest magnitudes of a scope are kept, exactly that many
  SPARSITY_N_M,     // the n largest of every m neighbours on the contraction axis
  SPARSITY_PAIRED,  // of m neighbours, taken in pairs, the n / 2 pairs of largest norm (QuEST's "2:4")
  SPARSITY_RANDOM,  // as TOP, by random scores that stay
};
enum sparsity_scope { SCOPE_TENSOR, SCOPE_ROW, SCOPE_GLOBAL };
// How the gradient passes through the selection; see sparsity.h.
enum sparsity_backward {
  SPARSE_FORWARD,     // where the value is kept
  SPARSE_RMS,         // |x| > T_p
  SPARSE_BAND,        // b-rms: blocked only between T_p and the forward threshold (RBBM)
  SPARSE_BAND_SHARE,  // a-b-rms: blocked in a share of the band below the forward threshold
  SPARSE_PASS,        // everywhere
  SPARSE_TRUST,       // by the estimator's condition on the represented value (0 where pruned)
};
enum sparsity_schedule {
  SCHEDULE_CONSTANT,
  SCHEDULE_CUBIC,    // Zhu & Gupta 2017: S (1 - (1 - progress)^3) from start to end
  SCHEDULE_JOURNEY,  // density falls geometrically (Jin et al. 2025)
};
struct sparsity {
  enum sparsity_kind kind;
  double amount;              // TOP, RANDOM: final share of zeroes
  int n, m;                   // N_M, PAIRED
  enum sparsity_scope scope;  // TOP, RANDOM
  bool monotone;              // what is pruned stays pruned; else chosen anew at every step
  enum sparsity_backward backward;
  double backward_parameter;  // p of RMS and BAND, a of BAND_SHARE
  enum sparsity_schedule schedule;
  double start, end;  // CUBIC, JOURNEY: fractions at which pruning begins and ends
  bool of_steps;      // ... of the steps; else of compute, which is proportional to the density
  int every;          // CUBIC, JOURNEY: steps between prunings, fewer in short runs (sparsity_interval)
};

// ---- a format ----

// What one operand becomes: sparsified, then rounded. grid.kind GRID_NONE and sparsity.kind SPARSITY_NONE: left alone.
struct representation {
  struct sparsity sparsity;
  struct grid grid;
  struct scale scale;
  enum rounding rounding;
  struct hadamard hadamard;
  enum estimator estimator;
  double outer;  // ESTIMATOR_TRUST with two levels: QuEST's outer factor
};

// Recipes: how scale, transform and estimator go together when a text names only a grid.
enum recipe { RECIPE_QUEST, RECIPE_LSQ, RECIPE_STE, RECIPE_CLIP, RECIPE_ABSMAX, RECIPE_SEQ };
#define RECIPES 6

enum operand { OPERAND_WEIGHTS, OPERAND_ACTIVATIONS, OPERAND_GRADIENTS };
#define OPERANDS 3
const char *operand_name(enum operand operand);  // "weights", ...

// What the backward products d_x = d_y W and d_W = d_y^T x are made of in addition to the gradient's own
// representation.
enum backward_operand {
  BACKWARD_FORWARD,     // the values of the forward product, as they are (QuEST)
  BACKWARD_REQUANTIZE,  // ... represented once more, along the backward product's contraction axis, as the gradients
                        // are
  BACKWARD_TOKENS,      // d_x: the forward's weights; d_W: the unrepresented activations, represented along tokens as
                        // activations are, after the gradients' transform, which is over tokens alone (NVIDIA's NVFP4)
  BACKWARD_ORIGINAL,    // the operands before the forward's Hadamard, represented as there but for it (HALO)
};
// The linear layers of a block that a format applies to.
enum layer_kind { LAYER_QKV = 1, LAYER_OUTPUT = 2, LAYER_GATE_UP = 4, LAYER_DOWN = 8 };
#define LAYERS_DEFAULT (LAYER_QKV | LAYER_OUTPUT | LAYER_GATE_UP | LAYER_DOWN)

struct format {
  const char *name;  // canonical text: equal formats have equal names; counts in a run's identity
  struct representation operands[OPERANDS];
  enum backward_operand backward;
  bool gradient_token_hadamard;  // d_x: the gradient is represented after a Hadamard transform over tokens, which is
                                 // undone after the product (HALO level 2)
  unsigned layers;               // enum layer_kind
  double high_precision;         // share of the blocks that the format leaves alone (format_in_block)
  double after;                  // share of a training's steps that pass in full precision before it, below 1; nothing
                                 // to the operations, which are called without the format until then
};

// Parses a format. NULL and an error (EXIT_USAGE_ERROR: what, where in the text, what is allowed, the nearest name)
// when it is not one. `none` gives a format that changes nothing (format_is_none). Owned by the arena.
const struct format *format_parse(const char *text, struct arena *arena, struct error *error);
// One representation, as it is in w(...): for tests and measurements.
bool representation_parse(const char *text, struct representation *representation, struct arena *arena,
                          struct error *error);

bool format_is_none(const struct format *format);             // also true for NULL
bool format_has_learned_scales(const struct format *format);  // false for NULL
bool representation_is_none(const struct representation *representation);
// The representation as text that parses back to it, every option written out.
void representation_text(const struct representation *representation, struct text *out);
// The whole format so: what two texts are compared by.
void format_long_text(const struct format *format, struct text *out);
// The shortest name for it that this library knows (a preset, w4a4, 2:4+int4, ...), else the long text; what
// format->name is set to. Owned by the arena.
const char *format_short_name(const struct format *format, struct arena *arena);
// The same format from the start of a training on: itself where it is that already. Owned by the arena.
const struct format *format_from_start(const struct format *format, struct arena *arena);
// A sentence or two for people.
void format_describe(const struct format *format, struct text *out);

// Stored bits per weight (or per value of the operand), scales and the positions of kept values included; a scale per
// row or tensor counts 0, a float scale of a group 16 bits, a value without a grid 16 bits.
double representation_bits(const struct representation *representation);

// The Hadamard block for an axis: 1 when there is none. False and an error when the block was given and does not
// divide.
bool hadamard_block(const struct hadamard *hadamard, int64_t axis, int *block, struct error *error);
// Whether the format is of block `block` of `blocks`. Of the round(share * blocks) (halves up) that stay in full
// precision a fifth, rounded, are the first ones and the others the last ones: of 62 blocks and a share of 0.16 the
// first 2 and the last 8, as in NVIDIA's pre-training with NVFP4. True for NULL.
bool format_in_block(const struct format *format, int64_t block, int64_t blocks);
int64_t format_blocks(const struct format *format, int64_t blocks);  // how many of them it is of
// The name that counts in a run's identity: the canonical one, but for recipes that were renamed, whose runs keep their
// ids. And what such a name of before, in a store or a file, is called now; others are themselves. Owned by the arena.
const char *format_identity(const char *name, struct arena *arena);
const char *format_renamed(const char *name, struct arena *arena);
// Whether a linear layer [outputs, inputs] called with `rows` tokens can be represented so; the error says what does
// not fit. rows 0: not known.
bool format_check_shape(const struct format *format, int64_t outputs, int64_t inputs, int64_t rows,
                        struct error *error);

// Whether a run with this format gives other numbers than before scales and axes of tokens were of one sequence of
// `context` tokens (apply.h), when they were of whatever sequences stood in a call; or draws other numbers in
// evaluations. False for NULL.
bool format_by_sequences(const struct format *format, int64_t context);

// Share of the values of a linear layer's weights that are not pruned during a step: what cost and active parameters
// count. 1 for formats without sparse weights, and NULL.
// Whether a training of that many steps prunes at shorter intervals than the format says, because it is short.
bool format_shortens_interval(const struct format *format, int64_t steps);
double format_density(const struct format *format, int64_t step, int64_t steps);
double format_average_density(const struct format *format, int64_t steps);
// What kind of step this one is, of those that call for different work when weights are pruned and prepared for it: a
// number below REPEAT_SEQUENCES (kernels/ops.h), 0 for formats that treat all steps alike and for NULL.
int format_sequence(const struct format *format, int64_t step, int64_t steps);

// ---- recipes with names ----

struct format_preset {
  const char *name;    // "quartet"
  const char *text;    // what it stands for
  const char *help;    // one line
  const char *source;  // where it comes from
};
extern const struct format_preset format_presets[];  // ends with a NULL name

// Formats without a name of their own that stand for their kinds: for lists and "did you mean".
struct format_example {
  const char *name;
  bool listed;  // `isoloss formats` and `capacity` show it
};
extern const struct format_example format_examples[];  // ends with a NULL name
