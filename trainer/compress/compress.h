// Compressing a trained model's weights, one matrix at a time: rounding onto a format's grid (rtn, gptq, babai, higgs)
// and one-shot pruning (magnitude, sparsegpt). Pure numerics: who loads checkpoints, collects calibration inputs and
// writes results is elsewhere. docs/compression.md has the formulas, their sources and how to add a method.
//
// A method is one file and one entry of compress_methods[]; its settings are lines of compress_settings_table[].
//
// Life of a compression: compress_default -> compress_set (from a spec) -> compress_resolve (checks, parses the format)
// -> compress_check_shape for each matrix, before anything starts -> a hessian (hessian.h) for each matrix that needs
// one -> compress_matrix.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "kernels/formats/format.h"
#include "kernels/ops.h"
#include "trainer/config.h"

// ---- settings ----

struct compress_method;

// What a method is told. Fields that a method does not read stay at their defaults.
struct compress_settings {
  const struct compress_method *method;
  const char *format;   // text; its weights' part is what the matrix becomes. "": follows from bits and group
  int64_t bits;         // AUTO_INTEGER: not given
  int64_t group;        // inputs that share a scale; AUTO_INTEGER: a row, higgs 1024
  double damping;       // added to the Hessian's diagonal, of its mean
  const char *order;    // "natural", "act", "min-pivot", "reversed"
  const char *clip;     // "none", "mse"
  const char *range;    // "grid", "unbounded"
  int64_t p, n;         // higgs: a grid of n points in p dimensions
  const char *pattern;  // "2:4": n of m neighbours are kept; "": by sparsity
  double sparsity;      // share of zeroes
  // Of methods that train the model:
  int64_t steps, interval;  // steps AUTO_INTEGER: not given
  double lr, lambda;        // lr NAN: not given
  const char *lambda_schedule, *projection, *penalty, *memory;
  // By compress_resolve:
  const struct format *parsed_format;  // of `format`, or of bits and group; NULL: the method takes none
};

// The settings, each a member here and the run field compress.NAME, which has its type, range and default.
struct compress_setting {
  const char *name;  // "damping"
  size_t offset;     // in struct compress_settings
};
extern const struct compress_setting compress_settings_table[];
extern const size_t compress_setting_count;
const struct run_field *compress_setting_field(const struct compress_setting *setting);

struct compress_call;  // internal.h
struct compress_method {
  const char *name;           // "gptq"
  const char *help;           // one line
  const char *source;         // paper
  const char *const *fields;  // names of the fields that it reads, ends with NULL
  bool needs_calibration;     // compress_matrix wants a Hessian
  bool prunes;                // leaves zeroes
  bool trains;                // the stage trains the model, and the method takes what that left
  // Why settings do not go together or a format cannot be taken: false and an error. NULL: nothing speaks against any.
  bool (*check)(const struct compress_settings *settings, struct error *error);
  bool (*run)(struct compress_call *call, struct error *error);
};
extern const struct compress_method *const compress_methods[];  // ends with NULL

// The method of that name, or NULL; *nearest (may be NULL) then gets the name it may have meant, or NULL.
const struct compress_method *compress_method_find(const char *name, const char **nearest);
// The setting of that name if the method reads it, else NULL; *nearest as above, of what the method reads.
const struct compress_setting *compress_setting_find(const struct compress_method *method, const char *name,
                                                     const char **nearest);
bool compress_method_reads(const struct compress_method *method, const char *field);

void compress_default(struct compress_settings *settings, const struct compress_method *method);
// Sets a setting from text as written in a spec. False with a message of what is allowed, without place or name. Texts
// are copied to the arena.
bool compress_set(struct compress_settings *settings, const struct compress_setting *setting, const char *text,
                  struct arena *arena, struct error *error);
// Whether the method rounds to one of several numbers of bits, so that an allocation can choose among them.
bool compress_allocates(const struct compress_method *method);
// Sets what gives a weight that many bits, those of scales not counted, in place of what the settings said of it:
// `bits`, or of higgs the grid of n = 2^(p bits) points. To be resolved then. False, and nothing is changed, where the
// method has no such option (which is no error).
bool compress_set_bits(struct compress_settings *settings, int bits);
// Checks combinations and parses the format into the arena. False and the reason when the method cannot take the format
// or the settings contradict each other (EXIT_USAGE_ERROR).
bool compress_resolve(struct compress_settings *settings, struct arena *arena, struct error *error);
// The canonical text of resolved settings, which distinguishes two compressions: "gptq format=absmax-int4 damping=0.01
// order=natural clip=none range=grid". Only fields that the method reads; equal formats have equal names.
const char *compress_canonical(const struct compress_settings *resolved, struct arena *arena);
// The format that activations have when the compressed model is evaluated: the part of the settings' format that is not
// of the weights. NULL: none.
const struct format *compress_activations(const struct compress_settings *resolved, struct arena *arena);
// The format in which training continues with what a compression left: its weights' part is what the weights were
// brought to, what was pruned included; activations as in the settings' format, else as in that of the training
// (`trained`, NULL: none). NULL where weights are not trained in such a format (grids of the method's own). In the
// arena.
const struct format *compress_format(const struct compress_settings *resolved, const struct format *trained,
                                     struct arena *arena);

// Whether a matrix [outputs, inputs] can be compressed so: the error says what does not divide.
bool compress_check_shape(const struct compress_settings *resolved, int64_t outputs, int64_t inputs,
                          struct error *error);
// Whether so many calibration tokens are enough for `inputs` inputs: a Hessian of fewer tokens than inputs is singular,
// and what came out would be the damping's. Always true for methods that need none.
bool compress_check_tokens(const struct compress_settings *resolved, int64_t inputs, int64_t tokens,
                           struct error *error);
// Stored bits per weight of a matrix with so many inputs, scales of groups and positions of kept values included, as
// representation_bits counts them; known before anything runs. NAN where it is known only afterwards (range unbounded).
double compress_bits(const struct compress_settings *resolved, int64_t inputs);

// ---- one matrix ----

struct compress_layer {
  int64_t outputs, inputs;
  int parts;  // stacked matrices (query, key, value), each with its own scales per tensor and selections; 0: one
  int64_t part_outputs[WEIGHT_PARTS];
  const float *weights;  // [outputs, inputs]
  const float *trained;  // [outputs, inputs]: what training left, of methods that train; else NULL
  const float *hessian;  // [inputs, inputs], symmetric: mean of x x^T over calibration tokens. NULL where there is
                         // none: an error for methods that need one; the others report NAN for what depends on it
  uint64_t seed;         // of random signs and stochastic rounding, with the number of the matrix
  uint32_t number;
};

// What came of it. H is the Hessian as given, H' with the method's damping on its diagonal; rows are outputs.
struct compress_result {
  float *represented;      // [outputs, inputs], the caller's; values of the represented weights, transformed back
  int32_t *codes;          // [outputs, inputs / dimension of the grid], the caller's, or NULL: numbers of the levels or
                           // points, in the transformed matrix; kept zeroes of a mask are -1. See has_codes
  bool has_codes;          // false: the method goes through the formats' own passes, which give none
  double relative_error;   // t^2 = |What - W|^2 / |W|^2
  double output_error;     // tr((What - W) H (What - W)^T) / tr(W H W^T): of the layer's outputs
  double weighted_error;   // tr((What - W) H' (What - W)^T)
  double method_error;     // the same as the method's own running sum of D_i (w'_i - q_i)^2; NAN: keeps none
  double bound;            // sum over outputs and inputs of (gap s / 2)^2 D_i, gap the grid's largest: 1/4 s^2 D of
                           // integers. NAN: no bound (vectors, pruning)
  double pivot_trace;      // sum of D_i; NAN for methods without
  double clipped;          // share of values that were rounded by more than half the grid's largest gap, for they lay
                           // beyond its ends by then: where it is not 0, the bound need not hold
  double bits_per_weight;  // as compress_bits; range unbounded: the codes' empirical entropy, scales added
  double sparsity;         // share of zeroes in `represented`
  double seconds;          // wall time of the call
};

// Compresses one matrix. `result` comes with its arrays. Working memory is the call's own: 24 bytes per entry of the
// Hessian, 40 per weight (double precision). Deterministic, one thread. Errors: a Hessian that is singular or not
// finite, weights that are not finite, a shape that does not fit.
bool compress_matrix(const struct compress_settings *resolved, const struct compress_layer *layer,
                     struct compress_result *result, struct error *error);

// The projection of a matrix on those with as many zeroes as the settings say: z keeps the values of x [outputs,
// inputs] whose x^2, times `importance` [outputs, inputs] where that is given, are largest, and is 0 elsewhere. Of each
// part of the layer a share of 1 - sparsity is kept, rounded, or of every M neighbouring inputs N; among equals the
// earlier one. Only the layer's shape is read.
void compress_project(const struct compress_settings *resolved, const struct compress_layer *layer, const float *x,
                      const float *importance, float *z);

// "LAPACK 3.11.0" and who provides it, where it says so: for the record of a run. Owned by the arena.
const char *compress_library(struct arena *arena);
