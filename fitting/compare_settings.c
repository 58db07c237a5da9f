// Of the options of a comparison, those that are of one law: settings that name a parameter of another law are not this
// one's.
#include <string.h>

#include "fitting/compare_internal.h"

// Whether the law has the parameter of "A" or "eff[w4a4]", which ends at `end`.
static bool has_parameter(const struct law *law, const char *name, const char *end) {
  size_t length = strcspn(name, "[");
  if (end && (size_t)(end - name) < length) length = (size_t)(end - name);
  for (int p = 0; p < law->parameter_count; p++)
    if (strlen(law->parameters[p].name) == length && strncmp(law->parameters[p].name, name, length) == 0) return true;
  return false;
}

static void keep_texts(struct arena *arena, const struct law *law, bool both, const char *const **texts,
                       size_t *count) {
  const char **kept = arena_array(arena, *count + 1, sizeof *kept);
  size_t n = 0;
  for (size_t i = 0; i < *count; i++) {
    const char *text = (*texts)[i], *equals = strchr(text, '=');
    if (has_parameter(law, text, equals) && (!both || !equals || has_parameter(law, equals + 1, NULL)))
      kept[n++] = text;
  }
  *texts = kept;
  *count = n;
}

struct fit_options compare_settings_of(struct arena *arena, const struct law *law, const struct fit_options *options) {
  struct fit_options own = *options;
  struct fit_fix *fixes = arena_array(arena, own.fix_count + 1, sizeof *fixes);
  own.fix_count = 0;
  for (size_t i = 0; i < options->fix_count; i++)
    if (has_parameter(law, options->fixes[i].name, NULL)) fixes[own.fix_count++] = options->fixes[i];
  own.fixes = fixes;
  keep_texts(arena, law, true, &own.ties, &own.tie_count);
  keep_texts(arena, law, false, &own.lows, &own.low_count);
  keep_texts(arena, law, false, &own.highs, &own.high_count);
  return own;
}
