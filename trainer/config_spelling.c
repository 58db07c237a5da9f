// The one spelling of what can be written in several ways. See config.h.
#include <stdlib.h>
#include <string.h>

#include "trainer/config.h"
#include "trainer/formats.h"

static bool names_file(const struct run_field *field, const char *text) {
  return field->file_ending && ends_with(text, field->file_ending);
}

bool field_names_files(const struct run_field *field, const char *text) {
  return field->type == FIELD_LIST || names_file(field, text);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// A list of files is a set: order and repetitions mean nothing.
static const char *list_spelling(const char *text, struct arena *arena) {
  char *rest = NULL, **paths = NULL;
  size_t count = 0;
  for (char *path = strtok_r(arena_string(arena, text), "\n", &rest); path; path = strtok_r(NULL, "\n", &rest)) {
    paths = arena_grow(arena, paths, count, count + 1, sizeof *paths);
    paths[count++] = path_canonical(arena, path);
  }
  if (count > 1) qsort(paths, count, sizeof *paths, by_name);
  struct text joined = {0};
  for (size_t i = 0; i < count; i++)
    if (!i || strcmp(paths[i], paths[i - 1]) != 0) text_format(&joined, "%s%s", i ? "\n" : "", paths[i]);
  const char *spelling = arena_string(arena, text_string(&joined));
  text_free(&joined);
  return spelling;
}

const char *field_spelling(const struct run_field *field, const char *text, struct arena *arena) {
  if (field->groups & GROUP_FORMAT) return format_canonical(text, arena);
  if (field->type == FIELD_LIST) return list_spelling(text, arena);
  return names_file(field, text) ? path_canonical(arena, text) : text;
}

bool field_trains(const struct run_field *field) {
  return !field->own && field->offset == offsetof(struct run_config, format);
}

const char *config_format_spelling(const struct run_config *config, const struct run_field *field,
                                   struct arena *arena) {
  return field_trains(field) ? config_format_name(config, arena)
                             : format_canonical(field_get(config, field).text, arena);
}

bool field_has_spellings(const struct run_field *field) {
  return field->groups & GROUP_FORMAT || field->type == FIELD_LIST || field->file_ending;
}

void config_name_source(struct run_config *config) {
  const char *source = config->corpus.source;
  if (*config->corpus.mixture && (strcmp(source, "gcide") == 0 || strcmp(source, "files") == 0)) {
    config->corpus.source = "mixture";
    return;
  }
  if (*config->corpus.files && strcmp(config->corpus.source, "gcide") == 0) config->corpus.source = "files";
}
