// Coefficients of a fit by their names.
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

int fit_find_element(const struct fit *fit, const char *name, size_t length) {
  for (int e = 0; e < fit->element_count; e++)
    if (strlen(fit->elements[e].name) == length && strncmp(fit->elements[e].name, name, length) == 0) return e;
  return -1;
}

bool fit_no_element(const struct fit *fit, const char *setting, const char *text, const char *name, size_t length,
                    struct error *error) {
  const char **names = memory_get(((size_t)fit->element_count + 1) * sizeof(char *));
  struct text wrong = {0};
  for (int e = 0; e < fit->element_count; e++) names[e] = fit->elements[e].name;
  text_format(&wrong, "%.*s", (int)length, name);
  error_set(error, EXIT_USAGE_ERROR, "%s '%s': the law %s has no coefficient '%s' on these rows", setting, text,
            fit->law->name, text_string(&wrong));
  error_hint(error, nearest_name(text_string(&wrong), names, (size_t)fit->element_count), NULL);
  text_free(&wrong);
  free(names);
  return false;
}
