// Parts of a fit's JSON document, as its writers and readers see them: fit_json.c and fit_read.c for the fit,
// fit_json_diagnosis.c and fit_read_diagnosis.c for its diagnosis, compare_json.c for a comparison of laws.
#pragma once
#include "fitting/fitting.h"
#include "fitting/member_internal.h"

// The key made.
void fit_json_made(const struct fit_made *made, struct json_writer *writer);
void fit_read_made(struct fit_made *made, const struct reading *reading, const json_t *root);
// The key ranges.
void fit_json_ranges(const struct fit_ranges *ranges, struct json_writer *writer);
void fit_read_ranges(struct fit_ranges *ranges, const struct reading *reading, const json_t *root);
// The key rollouts.
void fit_json_rollouts(const struct fit_rollouts *rollouts, struct json_writer *writer);
void fit_read_rollouts(struct fit_rollouts *rollouts, const struct reading *reading, const json_t *root);
// A member that is a pair of numbers, each of which may be null (NAN).
void fit_read_ends(const struct reading *reading, const json_t *object, const char *key, double *low, double *high);
// The key contours, where there are any.
void fit_json_contours(struct arena *arena, const struct fit_result *result, struct json_writer *writer);
void fit_read_contours(struct fit_result *result, const struct reading *reading, const json_t *root);
// The keys profiles, contours, directions, leave_out, sensitivity, trends, influential, outliers.
void fit_json_diagnosis(const struct fit_result *result, struct json_writer *writer);
void fit_read_diagnosis(struct fit_result *result, const struct reading *reading, const json_t *root);
// The members of an estimate: value, low, high, se, all kinds of interval; its status.
void fit_json_estimate(struct json_writer *writer, double value, double low, double high, double se,
                       const struct intervals *intervals);
void fit_read_estimate(const struct reading *reading, const json_t *entry, double *value, double *low, double *high,
                       double *se, struct intervals *intervals);
enum coefficient_status fit_read_status(const struct reading *reading, const json_t *entry);
enum coefficient_status fit_read_status_named(const struct reading *reading, const json_t *entry, const char *key);
// The place of a coefficient of this name, which must be there.
size_t fit_read_coefficient(const struct fit_result *result, const struct reading *reading, const char *name);
// The keys scores, ratios, priors and pooling.
void fit_json_tests(const struct fit_result *result, struct json_writer *writer);
void fit_read_tests(struct fit_result *result, const struct reading *reading, const json_t *root);
// What comparison_json wrote; without formulas, which it does not write. comparison_free in either case.
bool comparison_read(struct comparison *comparison, const json_t *root, struct error *error);
