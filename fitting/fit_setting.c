// Settings of a fit as far as a law by itself can judge them, before there are rows: their form, and the names of its
// parameters. Whether a category is among the rows shows when the fit is made.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/law_internal.h"
#include "fitting/setting_internal.h"

struct checking {
  const struct law *law;
  const char *key, *text;
  struct error *error;
};

// An error at a place of the text.
static bool wrong(const struct checking *s, const char *at) {
  s->error->offset = (int)(at - s->text);
  return false;
}

static int find_parameter(const struct law *law, const char *name, size_t length) {
  for (int p = 0; p < law->parameter_count; p++)
    if (strlen(law->parameters[p].name) == length && strncmp(law->parameters[p].name, name, length) == 0) return p;
  return -1;
}

static bool no_parameter(const struct checking *s, const char *at, size_t length) {
  const char **names = memory_get(((size_t)s->law->parameter_count + 1) * sizeof(char *));
  struct text name = {0};
  text_format(&name, "%.*s", (int)length, at);
  for (int p = 0; p < s->law->parameter_count; p++) names[p] = s->law->parameters[p].name;
  error_set(s->error, EXIT_USAGE_ERROR, "%s: the law %s has no parameter '%s'", s->key, s->law->name,
            text_string(&name));
  error_hint(s->error, nearest_name(text_string(&name), names, (size_t)s->law->parameter_count), NULL);
  text_free(&name);
  free(names);
  return wrong(s, at);
}

// "A" or "eff[w4a4]" of `length` bytes. A parameter of categories may stand by itself where `whole` says so: for all.
static bool check_name(const struct checking *s, const char *at, size_t length, bool whole) {
  const char *bracket = memchr(at, '[', length);
  size_t head = bracket ? (size_t)(bracket - at) : length;
  int p = find_parameter(s->law, at, head);
  if (p < 0) return no_parameter(s, at, head);
  const struct law_parameter *parameter = &s->law->parameters[p];
  if (bracket && !parameter->by)
    error_set(s->error, EXIT_USAGE_ERROR, "%s: %s has one value, no categories", s->key, parameter->name);
  else if (bracket && (at[length - 1] != ']' || length < head + 3))
    error_set(s->error, EXIT_USAGE_ERROR, "%s: '%.*s' names no category", s->key, (int)length, at);
  else if (!bracket && parameter->by && !whole)
    error_set(s->error, EXIT_USAGE_ERROR, "%s: %s has a value for each %s: %s[CATEGORY]", s->key, parameter->name,
              parameter->by, parameter->name);
  else if (parameter->tied)
    error_set(s->error, EXIT_USAGE_ERROR, "%s: %s follows from other parameters of the law %s", s->key, parameter->name,
              s->law->name);
  return s->error->code ? wrong(s, at) : true;
}

static bool check_tie(const struct checking *s) {
  struct setting tie;
  return setting_tie(s->text, &tie, s->error) && check_name(s, tie.name, tie.length, false) &&
         check_name(s, tie.what, strlen(tie.what), false);
}

static bool check_bound(const struct checking *s) {
  struct setting bound;
  return setting_bound(s->key, s->text, &bound, s->error) && check_name(s, bound.name, bound.length, true);
}

static bool check_ratio(const struct checking *s) {
  const char *slash = setting_slash(s->text, s->error);
  return slash && check_name(s, s->text, (size_t)(slash - s->text), false) &&
         check_name(s, slash + 1, strlen(slash + 1), false);
}

static bool check_contour(const struct checking *s) {
  const char *comma = setting_comma(s->text, s->error);
  return comma && check_name(s, s->text, (size_t)(comma - s->text), false) &&
         check_name(s, comma + 1, strlen(comma + 1), false);
}

static bool check_score(const struct checking *s) {
  if (ends_with(s->text, ".json")) {
    if (file_exists(s->text)) return true;
    error_set(s->error, EXIT_USAGE_ERROR, "score: there is no file %s", s->text);
    return wrong(s, s->text);
  }
  struct setting item;
  for (size_t at = 0; setting_item(s->text, &at, &item, s->error);)
    if (!check_name(s, item.name, item.length, true)) return false;
  return !s->error->code;
}

static bool check_prior(const struct checking *s) {
  struct setting prior;
  if (!setting_prior(s->text, &prior, s->error) || !check_name(s, prior.name, prior.length, true)) return false;
  const char *bracket = memchr(prior.name, '[', prior.length);
  size_t head = bracket ? (size_t)(bracket - prior.name) : prior.length;
  const struct law_parameter *parameter = &s->law->parameters[find_parameter(s->law, prior.name, head)];
  if (!prior.of_logarithm || parameter->positive) return true;
  error_set(s->error, EXIT_USAGE_ERROR,
            "prior: %s may be negative by the law and has no logarithm; give its value a prior", parameter->name);
  return wrong(s, prior.name);
}

static bool check_pooled(const struct checking *s) {
  int p = find_parameter(s->law, s->text, strlen(s->text));
  if (p < 0) return no_parameter(s, s->text, strlen(s->text));
  if (s->law->parameters[p].by) return true;
  error_set(s->error, EXIT_USAGE_ERROR, "partial_pooling: %s has one value, no categories to pool", s->text);
  return wrong(s, s->text);
}

static bool check_profile(const struct checking *s) {
  return strcmp(s->text, "all") == 0 || check_name(s, s->text, strlen(s->text), true);
}

bool fit_setting_check(const struct law *law, const char *key, const char *text, struct error *error) {
  static const struct {
    const char *key;
    bool (*check)(const struct checking *setting);
  } checks[] = {
      {"tie", check_tie},         {"low", check_bound},   {"high", check_bound},  {"ratio", check_ratio},
      {"contour", check_contour}, {"score", check_score}, {"prior", check_prior}, {"partial_pooling", check_pooled},
      {"profile", check_profile}};
  const struct checking checking = {law, key, text, error};
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
    if (strcmp(checks[i].key, key) == 0) return checks[i].check(&checking);
  return true;
}

bool fit_objective_check(const struct law *law, const char *text, bool pooled, struct error *error) {
  struct objective objective = law->objective;
  if (text && !objective_parse(text, &objective, error)) return false;
  if (objective.kind == OBJECTIVE_STUDENT_T && isnan(objective.scale) && law->stage_count > 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the law %s is fitted in stages, and one scale of Student's t cannot be estimated from several: "
                     "give it (student-t:%g:0.003)",
                     law->name, objective.degrees);
  if (objective.kind == OBJECTIVE_LAD && pooled)
    return error_set(error, EXIT_USAGE_ERROR,
                     "partial pooling estimates a spread by the curvature of the objective, and absolute values have "
                     "none: huber:DELTA or student-t:4");
  return true;
}
