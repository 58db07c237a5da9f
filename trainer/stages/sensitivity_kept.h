// Sensitivities that are measured once for a parent and settings, and kept next to the parent's checkpoint (kept.h) for
// all runs after it that ask for the same.
#pragma once
#include "trainer/stages/sensitivity.h"

// As measure_sensitivities, which it calls where nothing is kept yet; the same bits either way.
bool kept_sensitivities(struct stage_work *work, const struct model_values *values,
                        const struct sensitivity_request *request, struct sensitivity *out, struct error *error);
