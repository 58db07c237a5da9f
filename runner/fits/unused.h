// Axes that a custom trainer was given and does not seem to use.
#pragma once
#include "results/store.h"
#include "runner/spec/spec.h"

// Says which axes of the spec's sweeps make no difference: among the experiment's finished runs, each pair that differs
// in this axis alone has the same loss to the last bit. NULL where there is none, and for the built-in trainer. In the
// arena; false with an error when the store cannot be read.
bool unused_axes(const struct spec *spec, struct store *store, struct arena *arena, const char **told,
                 struct error *error);
