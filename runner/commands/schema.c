// isoloss schema: what a spec may hold, for editors and for readers.
#include "runner/spec/schema.h"

#include "runner/commands.h"
#include "runner/spec/entries.h"
#include "runner/spec/spec.h"

void command_schema(struct command_line *line) {
  bool markdown = false, quantities = false, keys = false, json = false;
  const struct option options[] = {
      {"markdown", 0, OPTION_FLAG, &markdown, NULL, "the reference page of fields instead"},
      {"quantities", 0, OPTION_FLAG, &quantities, NULL,
       "that of quantities, and of results of tasks and stages, instead"},
      {"keys", 0, OPTION_FLAG, &keys, NULL, "the tables of the keys of fit entries instead"},
      {"json", 0, OPTION_FLAG, &json, NULL, "the JSON Schema (as without it)"},
      {0}};
  const struct command_usage usage = {
      "isoloss schema [--markdown|--quantities|--keys]",
      "The JSON Schema is of draft 2020-12; editors complete and check specs with it. Write it to a file and begin a spec\n"
      "with the line\n"
      "# yaml-language-server: $schema=FILE",
      0, 0, "no arguments"};
  if (!command_begin(line, &usage, options)) return;
  if (markdown + quantities + keys + json > 1) {
    error_set(&line->error, EXIT_USAGE_ERROR, "schema: --markdown, --quantities, --keys or --json: %s", usage.usage);
    return;
  }
  struct text text = {0};
  size_t law_count = 0;
  const char **laws = spec_law_names(&line->arena, &law_count);
  if (markdown) {
    schema_markdown(&text);
  } else if (quantities) {
    schema_quantities_markdown(&text);
  } else if (keys) {
    schema_keys_markdown(&fit_entry, &text);
    text_add(&text, "\n");
    schema_keys_markdown(&isoflop_entry, &text);
  } else {
    schema_json(&text, laws, law_count);
  }
  fwrite(text_string(&text), 1, text.length, stdout);
  text_free(&text);
}
