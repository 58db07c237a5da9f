// See setting_internal.h.
#include <math.h>
#include <string.h>

#include "fitting/setting_internal.h"

const char *setting_equals(const char *text, size_t length) {
  const char *found = NULL;
  int depth = 0;
  for (size_t i = 0; i < length; i++) {
    depth += (text[i] == '[') - (text[i] == ']');
    if (text[i] == '=' && depth == 0) found = text + i;
  }
  return found;
}

static bool is_number(const char *at, size_t length, double *value) {
  char digits[64];
  if (!length || length >= sizeof digits) return false;
  memcpy(digits, at, length);
  digits[length] = '\0';
  return number_parse(digits, value) && isfinite(*value);
}

static bool wrong_form(const char *option, const char *form, const char *text, struct error *error) {
  return error_set(error, EXIT_USAGE_ERROR, "%s '%s' is not of the form %s", option, text, form);
}

// The two sides, of `length` bytes; false where one is empty.
static bool split(const char *text, size_t length, struct setting *setting) {
  const char *equals = setting_equals(text, length);
  *setting = (struct setting){.name = text, .number = NAN, .sd = NAN};
  if (!equals || equals == text || equals + 1 == text + length) return false;
  setting->length = (size_t)(equals - text);
  setting->what = equals + 1;
  return true;
}

bool setting_tie(const char *text, struct setting *setting, struct error *error) {
  return split(text, strlen(text), setting) || wrong_form("tie", "NAME=NAME (beta=alpha)", text, error);
}

bool setting_bound(const char *option, const char *text, struct setting *setting, struct error *error) {
  bool fine = split(text, strlen(text), setting) && is_number(setting->what, strlen(setting->what), &setting->number);
  return fine || wrong_form(option, "NAME=NUMBER (E=1)", text, error);
}

bool setting_prior(const char *text, struct setting *setting, struct error *error) {
  bool fine = split(text, strlen(text), setting);
  const char *tilde = fine ? strchr(setting->what, '~') : NULL;
  fine = tilde && is_number(setting->what, (size_t)(tilde - setting->what), &setting->number) &&
         is_number(tilde + 1, strlen(tilde + 1), &setting->sd);
  if (!fine) return wrong_form("prior", "NAME=MEAN~SD (alpha=0.34~0.05) or log(NAME)=MEAN~SD", text, error);
  if (!(setting->sd > 0)) {
    error_set(error, EXIT_USAGE_ERROR, "prior '%s': its standard deviation must be above 0%s", text,
              setting->sd == 0 ? " (--fix holds a coefficient)" : "");
    error->offset = (int)(tilde + 1 - text);
    return false;
  }
  setting->of_logarithm = setting->length > 5 && starts_with(text, "log(") && setting->name[setting->length - 1] == ')';
  if (setting->of_logarithm) {
    setting->name += 4;
    setting->length -= 5;
  }
  return true;
}

bool setting_item(const char *text, size_t *at, struct setting *setting, struct error *error) {
  int depth = 0;
  size_t length = 0;
  while (text[*at] == ' ') (*at)++;
  const char *item = text + *at;
  if (!*item) return false;
  for (; item[length] && (depth > 0 || item[length] != ','); length++)
    depth += (item[length] == '[') - (item[length] == ']');
  bool fine = split(item, length, setting) &&
              is_number(setting->what, (size_t)(item + length - setting->what), &setting->number);
  if (!fine) {
    error_set(error, EXIT_USAGE_ERROR, "score: '%.*s' is not of the form NAME=NUMBER (E=1.69,A=406.4,...)", (int)length,
              item);
    error->offset = (int)*at;
    return false;
  }
  *at += length + (item[length] == ',');
  return true;
}

// The first such sign outside brackets, with something on both sides; NULL without.
static const char *find_between(const char *text, char sign) {
  const char *found = NULL;
  int depth = 0;
  for (const char *at = text; *at && !found; at++) {
    depth += (*at == '[') - (*at == ']');
    if (*at == sign && depth == 0) found = at;
  }
  return found && found > text && found[1] ? found : NULL;
}

const char *setting_slash(const char *text, struct error *error) {
  const char *found = find_between(text, '/');
  if (!found) wrong_form("ratio", "NAME/NAME (eff[a]/eff[b])", text, error);
  return found;
}

const char *setting_comma(const char *text, struct error *error) {
  const char *found = find_between(text, ',');
  if (!found) wrong_form("contour", "NAME,NAME (alpha,beta)", text, error);
  return found;
}
