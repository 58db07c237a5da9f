// What the files that compare laws share.
#pragma once
#include "fitting/fitting.h"

// The options without those that name a parameter which the law does not have (lists in the arena).
struct fit_options compare_settings_of(struct arena *arena, const struct law *law, const struct fit_options *options);
