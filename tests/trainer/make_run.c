// See make_run.h.
#include "tests/trainer/make_run.h"

#include <stdio.h>
#include <string.h>

bool make_run(const char *folder, int count, char *const *pairs, struct error *error) {
  struct arena arena = {0};
  struct text text = {0};
  struct run_file file = {0};
  struct corpus_facts facts;
  struct corpus_location location = {0};
  config_default(&file.config);
  bool fine = folder_make(folder, error);
  for (int i = 0; i < count && fine; i++) {
    char *name = arena_string(&arena, pairs[i]), *equals = strchr(name, '=');
    if (equals) *equals = '\0';
    const struct run_field *field = equals ? field_find(name, NULL) : NULL;
    fine = field ? config_set(&file.config, field, equals + 1, &arena, error)
                 : error_set(error, EXIT_USAGE_ERROR, "no field in '%s'", pairs[i]);
    if (!fine) error_context(error, "%s", pairs[i]);
  }
  fine = fine && corpus_facts_find(&file.config, &facts, &location, &arena, error) &&
         config_resolve(&file.config, &facts, "float32", error);
  if (fine && !facts.known) fine = error_set(error, EXIT_ENVIRONMENT, "the corpus is not prepared");
  if (fine) {
    struct digest id = config_identity(&file.config, facts.digest, "train", "");
    snprintf(file.id, sizeof file.id, "%s", id.hex);
    snprintf(file.corpus_digest, sizeof file.corpus_digest, "%s", facts.digest);
    file.corpus_path = location.path ? location.path : "";
    run_file_write(&file, &text);
    fine = file_write_atomic(path_join(&arena, folder, "config.json"), text.bytes, text.length, error);
  }
  text_free(&text);
  arena_free(&arena);
  return fine;
}
