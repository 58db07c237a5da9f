// Parts of a fit's JSON document.
#pragma once
#include "fitting/fitting.h"

// The keys profiles, directions, leave_out, sensitivity, trends, influential, outliers.
void fit_json_diagnosis(const struct fit_result *result, struct json_writer *writer);
