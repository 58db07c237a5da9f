// Settings of a fit as far as a law by itself can judge them, before there are rows: their form, and the names of its
// parameters. Whether a category is among the rows shows when the fit is made.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/law_internal.h"

struct setting {
  const struct law *law;
  const char *key, *text;
  struct error *error;
};

// An error at a place of the text.
static bool wrong(const struct setting *s, const char *at) {
  s->error->offset = (int)(at - s->text);
  return false;
}

static bool wrong_form(const struct setting *s, const char *form) {
  error_set(s->error, EXIT_USAGE_ERROR, "%s '%s' is not of the form %s", s->key, s->text, form);
  return wrong(s, s->text);
}

static int find_parameter(const struct law *law, const char *name, size_t length) {
  for (int p = 0; p < law->parameter_count; p++)
    if (strlen(law->parameters[p].name) == length && strncmp(law->parameters[p].name, name, length) == 0) return p;
  return -1;
}

static bool no_parameter(const struct setting *s, const char *at, size_t length) {
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
static bool check_name(const struct setting *s, const char *at, size_t length, bool whole) {
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

static bool is_number(const char *at, size_t length) {
  char digits[64];
  double value;
  if (!length || length >= sizeof digits) return false;
  memcpy(digits, at, length);
  digits[length] = '\0';
  return number_parse(digits, &value) && isfinite(value);
}

static bool check_tie(const struct setting *s) {
  static const char form[] = "NAME=NAME (beta=alpha)";
  const char *equals = setting_equals(s->text, strlen(s->text));
  if (!equals || equals == s->text || !equals[1]) return wrong_form(s, form);
  return check_name(s, s->text, (size_t)(equals - s->text), false) &&
         check_name(s, equals + 1, strlen(equals + 1), false);
}

static bool check_bound(const struct setting *s) {
  const char *equals = setting_equals(s->text, strlen(s->text));
  if (!equals || equals == s->text || !is_number(equals + 1, strlen(equals + 1)))
    return wrong_form(s, "NAME=NUMBER (E=1)");
  return check_name(s, s->text, (size_t)(equals - s->text), true);
}

// A category may hold a slash: one of the slashes parts two names.
static bool check_ratio(const struct setting *s) {
  const char *first = NULL;
  int depth = 0;
  for (const char *at = s->text; *at && !first; at++) {
    depth += (*at == '[') - (*at == ']');
    if (*at == '/' && depth == 0) first = at;
  }
  if (!first || first == s->text || !first[1]) return wrong_form(s, "NAME/NAME (eff[a]/eff[b])");
  return check_name(s, s->text, (size_t)(first - s->text), false) && check_name(s, first + 1, strlen(first + 1), false);
}

static bool check_score(const struct setting *s) {
  if (ends_with(s->text, ".json")) {
    if (file_exists(s->text)) return true;
    error_set(s->error, EXIT_USAGE_ERROR, "score: there is no file %s", s->text);
    return wrong(s, s->text);
  }
  for (const char *at = s->text; *at;) {
    int depth = 0;
    size_t length = 0;
    while (*at == ' ') at++;
    for (; at[length] && (depth > 0 || at[length] != ','); length++) depth += (at[length] == '[') - (at[length] == ']');
    const char *equals = setting_equals(at, length);
    if (!equals || equals == at || !is_number(equals + 1, (size_t)(at + length - equals - 1))) {
      error_set(s->error, EXIT_USAGE_ERROR, "score: '%.*s' is not of the form NAME=NUMBER (E=1.69,A=406.4,...)",
                (int)length, at);
      return wrong(s, at);
    }
    if (!check_name(s, at, (size_t)(equals - at), true)) return false;
    at += length + (at[length] == ',');
  }
  return true;
}

static bool check_prior(const struct setting *s) {
  static const char form[] = "NAME=MEAN~SD (alpha=0.34~0.05) or log(NAME)=MEAN~SD";
  const char *equals = setting_equals(s->text, strlen(s->text)), *tilde = equals ? strchr(equals, '~') : NULL;
  if (!tilde || equals == s->text || !is_number(equals + 1, (size_t)(tilde - equals - 1)) ||
      !is_number(tilde + 1, strlen(tilde + 1)))
    return wrong_form(s, form);
  double sd = strtod(tilde + 1, NULL);
  if (!(sd > 0)) {
    error_set(s->error, EXIT_USAGE_ERROR, "prior '%s': its standard deviation must be above 0", s->text);
    return wrong(s, tilde + 1);
  }
  const char *name = s->text;
  size_t length = (size_t)(equals - s->text);
  bool of_logarithm = starts_with(name, "log(") && name[length - 1] == ')';
  if (of_logarithm) {
    name += 4;
    length -= 5;
  }
  if (!check_name(s, name, length, true)) return false;
  size_t head = strcspn(name, "[)=");
  const struct law_parameter *parameter = &s->law->parameters[find_parameter(s->law, name, head)];
  if (of_logarithm && !parameter->positive) {
    error_set(s->error, EXIT_USAGE_ERROR,
              "prior: %s may be negative by the law and has no logarithm; give its value a prior", parameter->name);
    return wrong(s, name);
  }
  return true;
}

static bool check_pooled(const struct setting *s) {
  int p = find_parameter(s->law, s->text, strlen(s->text));
  if (p < 0) return no_parameter(s, s->text, strlen(s->text));
  if (s->law->parameters[p].by) return true;
  error_set(s->error, EXIT_USAGE_ERROR, "partial_pooling: %s has one value, no categories to pool", s->text);
  return wrong(s, s->text);
}

static bool check_profile(const struct setting *s) {
  return strcmp(s->text, "all") == 0 || check_name(s, s->text, strlen(s->text), true);
}

bool fit_setting_check(const struct law *law, const char *key, const char *text, struct error *error) {
  static const struct {
    const char *key;
    bool (*check)(const struct setting *setting);
  } checks[] = {{"tie", check_tie},
                {"low", check_bound},
                {"high", check_bound},
                {"ratio", check_ratio},
                {"score", check_score},
                {"prior", check_prior},
                {"partial_pooling", check_pooled},
                {"profile", check_profile}};
  const struct setting setting = {law, key, text, error};
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
    if (strcmp(checks[i].key, key) == 0) return checks[i].check(&setting);
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
