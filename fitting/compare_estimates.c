// What a comparison keeps of a law's fit: coefficients and derived quantities with what is known of them without
// resamples and profiles.
#include <string.h>

#include "fitting/compare_internal.h"

// Whether a derived quantity is made of one that is not determined, directly or by way of an earlier one.
static bool follows_from_open(const struct law *law, const char *name, const struct law_standing *standing) {
  for (int d = 0; d < law->derived_count; d++) {
    const struct expression *made = law->derived[d].expression;
    for (int i = 0; strcmp(law->derived[d].name, name) == 0 && i < made->name_count; i++)
      for (size_t k = 0; k < standing->coefficient_count; k++) {
        size_t length = strlen(made->names[i].name);
        const struct law_estimate *part = &standing->coefficients[k];
        if (part->status == COEFFICIENT_UNIDENTIFIED && strncmp(part->name, made->names[i].name, length) == 0 &&
            (!part->name[length] || part->name[length] == '['))
          return true;
      }
  }
  return false;
}

void compare_keep_estimates(struct arena *arena, const struct law *law, const struct fit_result *result,
                            struct law_standing *standing) {
  size_t room = result->coefficient_count + result->derived_count + 1;
  standing->coefficients = arena_array(arena, room, sizeof *standing->coefficients);
  for (size_t i = 0; i < result->coefficient_count; i++)
    standing->coefficients[standing->coefficient_count++] =
        (struct law_estimate){arena_string(arena, result->coefficients[i].name), result->coefficients[i].value,
                              result->coefficients[i].status};
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *derived = &result->derived[i];
    if (strchr(derived->name, '[')) continue;
    bool open = follows_from_open(law, derived->name, standing);
    standing->coefficients[standing->coefficient_count++] = (struct law_estimate){
        arena_string(arena, derived->name), derived->value, open ? COEFFICIENT_UNIDENTIFIED : derived->status};
  }
}
