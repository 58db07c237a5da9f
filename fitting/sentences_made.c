// How a fit was made, in words. See sentences.h.
#include <string.h>

#include "fitting/sentences.h"

const char *fit_made_sentence(struct arena *arena, const struct fit_result *result) {
  const struct fit_made *made = &result->made;
  if (!made->version) return NULL;
  const char *text = arena_format(arena, "made by: %s (isoloss %s", made->command, made->version);
  for (size_t i = 0; i < made->data_count; i++) {
    const struct fit_data *data = &made->data[i];
    bool named = strstr(made->command, data->name);
    text = arena_format(arena, "%s; %s%s%zu row%s, XXH3 %.12s", text, named ? "" : data->name, named ? "" : ", ",
                        data->rows, data->rows == 1 ? "" : "s", data->digest);
  }
  return arena_format(arena, "%s)", text);
}

const char *fit_settings_sentence(struct arena *arena, const struct fit_result *result) {
  const struct fit_made *made = &result->made;
  const char *text = NULL;
  for (size_t i = 0; i < made->setting_count; i++)
    text =
        arena_format(arena, "%s%s %s", text ? arena_format(arena, "%s; ", text) : "settings: ", made->settings[i].name,
                     made->settings[i].value);
  return text;
}
