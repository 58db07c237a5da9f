// Sensitivities that are measured once for a parent and settings, and kept next to the parent's checkpoint for all
// compressions of it that ask for the same: RUNS/PARENT/sensitivities/KEY, KEY a hash of all that the numbers depend
// on.
#pragma once
#include "trainer/stages/sensitivity.h"

// As measure_sensitivities, which it calls where nothing is kept yet; the same bits either way. Of several compressions
// at once the first measures and the others wait for it; where it is stopped or killed the next one measures. What is
// kept is written whole or not at all, and measured anew where it is damaged.
bool kept_sensitivities(struct stage_work *work, const struct model_values *values, struct sensitivity *out,
                        struct error *error);
