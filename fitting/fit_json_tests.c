// What was tested, in a fit's JSON document, written and read: coefficients from elsewhere, ratios of coefficients;
// priors, and partial pooling.
#include <math.h>

#include "fitting/fit_document_internal.h"

static void put_score(struct arena *arena, const struct fit_result *result, const struct fit_score *score,
                      struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "name", score->name);
  json_key(writer, "parameters");
  json_object_begin(writer);
  for (size_t e = 0; e < result->coefficient_count; e++)
    if (!isnan(score->values[e])) json_key_number(writer, result->coefficients[e].name, score->values[e]);
  json_object_end(writer);
  json_key_number(writer, "objective", score->objective);
  json_key_number(writer, "bias", score->bias);
  json_key_number(writer, "rms", score->rms);
  json_key_number(writer, "f", score->statistic);
  json_key_number(writer, "degrees", score->degrees);
  json_key_number(writer, "error_degrees", score->error_degrees);
  json_key_number(writer, "p", score->p);
  if (score->untested) json_key_string(writer, "untested", score->untested);
  json_key_string(writer, "text", fit_score_sentence(arena, result, score));
  json_object_end(writer);
}

static void put_ratio(struct arena *arena, const struct fit_result *result, const struct fit_ratio *ratio,
                      struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "name", ratio->quantity.name);
  fit_json_estimate(writer, ratio->quantity.value, ratio->quantity.low, ratio->quantity.high, ratio->quantity.se,
                    &ratio->quantity.intervals);
  json_key_string(writer, "status", coefficient_status_name(ratio->quantity.status));
  json_key_number(writer, "p", ratio->p);
  json_key_number(writer, "p_least", ratio->p_least);
  json_key_string(writer, "text", fit_ratio_sentence(arena, result, ratio));
  json_object_end(writer);
}

static void put_prior(struct arena *arena, const struct fit_result *result, const struct fit_prior *prior,
                      struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "parameter", result->coefficients[prior->coefficient].name);
  json_key_boolean(writer, "of_logarithm", prior->of_logarithm);
  json_key_number(writer, "mean", prior->mean);
  json_key_number(writer, "sd", prior->sd);
  json_key_number(writer, "alone", prior->alone);
  json_key_number(writer, "alone_se", prior->alone_se);
  json_key_string(writer, "alone_status", coefficient_status_name(prior->alone_status));
  json_key_number(writer, "moved", prior->moved);
  json_key_number(writer, "narrowed", prior->narrowed);
  json_key_number(writer, "distance", prior->distance);
  json_key_string(writer, "text", fit_prior_sentence(arena, result, prior));
  json_object_end(writer);
}

static void put_pool(struct arena *arena, const struct fit_result *result, const struct fit_pool *pool,
                     struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "parameter", pool->parameter);
  json_key_string(writer, "column", pool->column);
  json_key_boolean(writer, "logarithmic", pool->logarithmic);
  json_key_number(writer, "mean", pool->mean);
  json_key_number(writer, "spread", pool->spread);
  json_key_number(writer, "low", pool->low);
  json_key_number(writer, "high", pool->high);
  json_key_string(writer, "text", fit_pool_sentence(arena, result, pool));
  json_key(writer, "categories");
  json_array_begin(writer);
  for (size_t k = 0; k < pool->member_count; k++) {
    const struct fit_pooled *member = &pool->members[k];
    json_object_begin(writer);
    json_key_string(writer, "parameter", result->coefficients[member->coefficient].name);
    json_key_number(writer, "alone", member->alone);
    json_key_number(writer, "alone_se", member->alone_se);
    json_key_string(writer, "alone_status", coefficient_status_name(member->alone_status));
    json_key_number(writer, "weight", member->weight);
    json_key_string(writer, "text", fit_pooled_sentence(arena, result, member));
    json_object_end(writer);
  }
  json_array_end(writer);
  json_object_end(writer);
}

static void put_global(struct arena *arena, const struct fit_result *result, const struct fit_global *global,
                       struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "stage", global->stage);
  if (global->reason) json_key_string(writer, "reason", global->reason);
  json_key_integer(writer, "points", (int64_t)global->points);
  json_key_integer(writer, "followed", (int64_t)global->followed);
  json_key(writer, "over");
  json_array_begin(writer);
  for (int k = 0; k < global->axis_count; k++) {
    json_object_begin(writer);
    json_key_string(writer, "parameter", global->axes[k].name);
    json_key_number(writer, "low", global->axes[k].low);
    json_key_number(writer, "high", global->axes[k].high);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key_number(writer, "before", global->before);
  json_key_number(writer, "lowest", global->lowest);
  json_key_boolean(writer, "lower", global->lower);
  json_key_string(writer, "text", fit_global_sentence(arena, result, global));
  json_object_end(writer);
}

void fit_json_tests(const struct fit_result *result, struct json_writer *writer) {
  struct arena arena = {0};  // of the sentences
  json_key(writer, "scores");
  json_array_begin(writer);
  for (size_t i = 0; i < result->score_count; i++) put_score(&arena, result, &result->scores[i], writer);
  json_array_end(writer);
  json_key(writer, "ratios");
  json_array_begin(writer);
  for (size_t i = 0; i < result->ratio_count; i++) put_ratio(&arena, result, &result->ratios[i], writer);
  json_array_end(writer);
  if (result->prior_count) {
    json_key(writer, "priors");
    json_array_begin(writer);
    for (size_t i = 0; i < result->prior_count; i++) put_prior(&arena, result, &result->priors[i], writer);
    json_array_end(writer);
  }
  if (result->pool_count) {
    json_key(writer, "pooling");
    json_array_begin(writer);
    for (size_t i = 0; i < result->pool_count; i++) put_pool(&arena, result, &result->pools[i], writer);
    json_array_end(writer);
  }
  if (result->global_count) {
    json_key(writer, "global_checks");
    json_array_begin(writer);
    for (size_t i = 0; i < result->global_count; i++) put_global(&arena, result, &result->globals[i], writer);
    json_array_end(writer);
  }
  arena_free(&arena);
}

static void read_scores(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "scores", &result->score_count);
  result->scores = arena_array(reading->arena, result->score_count + 1, sizeof *result->scores);
  for (size_t i = 0; i < result->score_count; i++) {
    const json_t *one = json_array_get(all, i);
    struct fit_score *score = &result->scores[i];
    *score = (struct fit_score){.name = member_text(reading, one, "name", ""),
                                .objective = member_number(reading, one, "objective"),
                                .bias = member_number(reading, one, "bias"),
                                .rms = member_number(reading, one, "rms"),
                                .statistic = member_number(reading, one, "f"),
                                .degrees = member_number(reading, one, "degrees"),
                                .error_degrees = member_number(reading, one, "error_degrees"),
                                .p = member_number(reading, one, "p"),
                                .untested = member_text(reading, one, "untested", NULL)};
    const json_t *parameters = member_object(reading, one, "parameters");
    score->values = arena_array(reading->arena, result->coefficient_count + 1, sizeof *score->values);
    for (size_t e = 0; e < result->coefficient_count; e++)
      score->values[e] = parameters ? member_number(reading, parameters, result->coefficients[e].name) : NAN;
  }
}

static void read_ratios(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "ratios", &result->ratio_count);
  result->ratios = arena_array(reading->arena, result->ratio_count + 1, sizeof *result->ratios);
  for (size_t i = 0; i < result->ratio_count; i++) {
    const json_t *one = json_array_get(all, i);
    struct fit_derived *q = &result->ratios[i].quantity;
    q->name = member_text(reading, one, "name", "");
    q->status = fit_read_status(reading, one);
    fit_read_estimate(reading, one, &q->value, &q->low, &q->high, &q->se, &q->intervals);
    result->ratios[i].p = member_number(reading, one, "p");
    result->ratios[i].p_least = member_number(reading, one, "p_least");
  }
}

static void read_priors(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "priors", &result->prior_count);
  result->priors = arena_array(reading->arena, result->prior_count + 1, sizeof *result->priors);
  for (size_t i = 0; i < result->prior_count; i++) {
    const json_t *one = json_array_get(all, i);
    result->priors[i] = (struct fit_prior){
        .coefficient = fit_read_coefficient(result, reading, member_text(reading, one, "parameter", "")),
        .of_logarithm = member_boolean(reading, one, "of_logarithm"),
        .mean = member_number(reading, one, "mean"),
        .sd = member_number(reading, one, "sd"),
        .alone = member_number(reading, one, "alone"),
        .alone_se = member_number(reading, one, "alone_se"),
        .alone_status = fit_read_status_named(reading, one, "alone_status"),
        .moved = member_number(reading, one, "moved"),
        .narrowed = member_number(reading, one, "narrowed"),
        .distance = member_number(reading, one, "distance")};
  }
}

static void read_pools(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "pooling", &result->pool_count);
  result->pools = arena_array(reading->arena, result->pool_count + 1, sizeof *result->pools);
  for (size_t i = 0; i < result->pool_count; i++) {
    const json_t *one = json_array_get(all, i);
    struct fit_pool *pool = &result->pools[i];
    *pool = (struct fit_pool){.parameter = member_text(reading, one, "parameter", ""),
                              .column = member_text(reading, one, "column", ""),
                              .logarithmic = member_boolean(reading, one, "logarithmic"),
                              .mean = member_number(reading, one, "mean"),
                              .spread = member_number(reading, one, "spread"),
                              .low = member_number(reading, one, "low"),
                              .high = member_number(reading, one, "high")};
    if (isnan(pool->high)) pool->high = INFINITY;  // written as null
    const json_t *members = member_objects(reading, one, "categories", &pool->member_count);
    pool->members = arena_array(reading->arena, pool->member_count + 1, sizeof *pool->members);
    for (size_t k = 0; k < pool->member_count; k++) {
      const json_t *entry = json_array_get(members, k);
      pool->members[k] = (struct fit_pooled){
          .coefficient = fit_read_coefficient(result, reading, member_text(reading, entry, "parameter", "")),
          .alone = member_number(reading, entry, "alone"),
          .alone_se = member_number(reading, entry, "alone_se"),
          .alone_status = fit_read_status_named(reading, entry, "alone_status"),
          .weight = member_number(reading, entry, "weight")};
    }
  }
}

static void read_globals(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "global_checks", &result->global_count);
  result->globals = arena_array(reading->arena, result->global_count + 1, sizeof *result->globals);
  for (size_t i = 0; i < result->global_count; i++) {
    const json_t *one = json_array_get(all, i);
    struct fit_global *global = &result->globals[i];
    *global = (struct fit_global){.stage = member_text(reading, one, "stage", ""),
                                  .reason = member_text(reading, one, "reason", NULL),
                                  .points = (size_t)member_count(reading, one, "points"),
                                  .followed = (size_t)member_count(reading, one, "followed"),
                                  .before = member_number(reading, one, "before"),
                                  .lowest = member_number(reading, one, "lowest"),
                                  .lower = member_boolean(reading, one, "lower")};
    size_t count;
    const json_t *axes = member_objects(reading, one, "over", &count);
    for (size_t k = 0; k < count && k < sizeof global->axes / sizeof *global->axes; k++) {
      const json_t *axis = json_array_get(axes, k);
      global->axes[global->axis_count++] =
          (struct fit_global_axis){member_text(reading, axis, "parameter", ""), member_number(reading, axis, "low"),
                                   member_number(reading, axis, "high")};
    }
  }
}

void fit_read_tests(struct fit_result *result, const struct reading *reading, const json_t *root) {
  read_scores(result, reading, root);
  read_ratios(result, reading, root);
  read_priors(result, reading, root);
  read_pools(result, reading, root);
  read_globals(result, reading, root);
}
