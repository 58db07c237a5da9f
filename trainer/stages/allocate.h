// How many bits each matrix of a compression gets: `compress: {method: rtn, allocate: {method: dp, budget_bits: 3}}`.
// What relative errors cost is measured (sensitivity.h), what errors the options make is measured with the method
// itself, and the choice is exact (trainer/compress/allocation.h). docs/compression.md, "Allocation".
#pragma once
#include "trainer/compress/compress.h"
#include "trainer/stages/calibration.h"
#include "trainer/stages/sensitivity.h"
#include "trainer/stages/stage.h"

enum { ALLOCATION_OPTIONS = 8 };

// What a matrix can get: ascending bits, settings resolved.
struct allocation_options {
  int count, bits[ALLOCATION_OPTIONS];
  struct compress_settings settings[ALLOCATION_OPTIONS];
};

bool allocates(const struct run_config *config);
// Whether a setting of trainer/compress/ of that name is what an allocation chooses.
bool allocation_gives(const char *name);
// The options that a configuration leaves, at least one; texts in the arena. False with an error about the fields at
// fault.
bool allocation_options_of(const struct run_config *config, struct allocation_options *options, struct arena *arena,
                           struct error *error);
// Whether settings of an allocation have a method: without one they would be without effect.
bool allocation_check_used(const struct run_config *config, struct error *error);
// What can be known before anything starts: all options fit all matrices, a budget is given and is not below the
// cheapest options. The compression's other settings are resolved. True without an allocation.
bool allocation_check(const struct run_config *config, const struct corpus_facts *facts, struct error *error);
// Tokens that go forward to measure what errors cost.
double allocation_forward_tokens(const struct run_config *config);

// t^2 of a compressed matrix that counts for the loss. Where a method trades errors of weights against each other by
// the Hessian, it is that of noise without a direction, as alpha was measured with, which costs the layer's outputs as
// much: ||W||^2 tr(H) / inputs is what noise of t^2 = 1 does to them.
double allocation_error(const struct compress_settings *settings, const struct compress_layer *matrix,
                        const struct compress_result *result);

// What was chosen, by block and matrix, [layers * MATRIX_HEAD].
struct allocated {
  struct allocation_options options;
  struct sensitivity *sensitivities;
  int *choice;       // number of the option
  double predicted;  // sum of alpha t^2: the loss (or KL divergence) that the choice should add
};
// Measures and chooses, from the parent's values; `calibration` has Hessians where the method needs them. False with an
// error, or with work->stopped; allocated_free in either case. Deterministic.
bool allocate_bits(struct stage_work *work, const struct model_values *values, struct calibration *calibration,
                   struct allocated *allocated, struct error *error);
void allocated_free(struct allocated *allocated);
