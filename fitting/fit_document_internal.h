// Parts of a fit's JSON document, as its writers and readers see them: fit_json.c and fit_read.c for the fit,
// fit_json_diagnosis.c and fit_read_diagnosis.c for its diagnosis, compare_json.c for a comparison of laws.
#pragma once
#include "fitting/fitting.h"
#include "fitting/member_internal.h"

// The keys profiles, directions, leave_out, sensitivity, trends, influential, outliers.
void fit_json_diagnosis(const struct fit_result *result, struct json_writer *writer);
void fit_read_diagnosis(struct fit_result *result, const struct reading *reading, const json_t *root);
// The key scores.
void fit_json_tests(const struct fit_result *result, struct json_writer *writer);
void fit_read_tests(struct fit_result *result, const struct reading *reading, const json_t *root);
// What comparison_json wrote; without formulas, which it does not write. comparison_free in either case.
bool comparison_read(struct comparison *comparison, const json_t *root, struct error *error);
