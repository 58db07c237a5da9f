// isoloss schema: what a spec may hold, for editors and for readers.
#include "runner/spec/schema.h"

#include "runner/commands.h"
#include "runner/spec/spec.h"

int command_schema(int argc, char **argv) {
  bool markdown = false, json = false, done;
  struct option options[] = {
      {"markdown", 0, OPTION_FLAG, &markdown, NULL, "the reference page of fields and quantities instead"},
      {"json", 0, OPTION_FLAG, &json, NULL, "the JSON Schema (as without it)"},
      {0},
  };
  struct command command = {
      "schema", "Prints the JSON Schema (draft 2020-12) of specs.", "isoloss schema [--markdown]",
      "Editors complete and check specs with it. Write it to a file and begin a spec with the line\n"
      "# yaml-language-server: $schema=FILE",
      options};
  struct error error = {0};
  struct arena arena = {0};
  struct text text = {0};
  const char **rest = arena_array(&arena, (size_t)argc, sizeof *rest);
  int count, code = EXIT_DONE;
  if (!options_parse(&command, argc, argv, rest, &count, &done, &error)) {
    code = command_fail(&error);
  } else if (!done && (count || (markdown && json))) {
    error_set(&error, EXIT_USAGE_ERROR, count ? "schema takes no arguments: %s" : "schema: --markdown or --json: %s",
              command.usage);
    code = command_fail(&error);
  } else if (!done) {
    size_t law_count = 0;
    const char **laws = spec_law_names(&arena, &law_count);
    if (markdown)
      schema_markdown(&text);
    else
      schema_json(&text, laws, law_count);
    fwrite(text_string(&text), 1, text.length, stdout);
  }
  text_free(&text);
  arena_free(&arena);
  return code;
}
