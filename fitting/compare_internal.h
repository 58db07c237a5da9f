// What the files that compare laws share.
#pragma once
#include "fitting/fitting.h"

// The options without those that name a parameter which the law does not have (lists in the arena).
struct fit_options compare_settings_of(struct arena *arena, const struct law *law, const struct fit_options *options);
// Coefficients and derived quantities of a fit on all rows into the standing, in the arena; what follows from what is
// not determined is not determined.
void compare_keep_estimates(struct arena *arena, const struct law *law, const struct fit_result *result,
                            struct law_standing *standing);
