// The errors of formats on Gaussian data, measured once and kept in the store for all runs of a format.
#pragma once
#include "results/store.h"

// Measures the formats of the store's runs whose errors it does not know, as `isoloss capacity FORMAT` does (16 million
// samples, a fixed seed), and keeps them. Costs nothing when all are known. A store that
// is open for reading alone stays as it is.
bool format_errors_measure(struct store *store, struct error *error);
