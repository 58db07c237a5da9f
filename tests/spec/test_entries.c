// The tables of keys of fit entries: every line of them is read, in the schema, in docs/spec.md and an option; and a
// line more is all that a new key needs.
#include <jansson.h>

#include "runner/fits/arguments.h"
#include "runner/spec/internal.h"
#include "runner/spec/schema.h"
#include "runner/spec/schema_write.h"
#include "tests/check.h"

static const char *source_folder;

// True when the member of a key has another value than the entry has where the key is not given.
static bool has_value(const struct entry_kind *kind, const struct entry_key *key, const void *entry) {
  _Alignas(16) char plain[4096] = {0};
  CHECK(key->place + sizeof(struct option_list) <= sizeof plain);
  entry_default(kind, plain);
  const void *here = (const char *)entry + key->place, *there = plain + key->place;
  if (entry_key_is_list(key)) return ((const struct option_list *)here)->count > 0;
  if (key->type == ENTRY_INTEGER) return *(const int64_t *)here != *(const int64_t *)there;
  if (key->type == ENTRY_FACTOR) return *(const double *)here != *(const double *)there;
  if (key->type == ENTRY_BOOLEAN) return *(const bool *)here != *(const bool *)there;
  const char *text = *(const char *const *)here, *other = *(const char *const *)there;
  return text && (!other || strcmp(text, other) != 0);
}

// ---- the reader ----

// Reads {KEY: EXAMPLE, ...} of all keys as an entry, without a spec around it; returns the mistakes.
static size_t read_examples(const struct entry_kind *kind, struct arena *arena, void *entry) {
  struct spec spec = {0};
  struct diagnostics diagnostics = {0};
  const struct spec_options options = {0};
  struct spec_reader reader = {.spec = &spec, .options = &options, .diagnostics = &diagnostics};
  struct text text = {0};
  for (size_t k = 0; k < kind->count; k++) text_format(&text, "%s: %s\n", kind->keys[k].name, kind->keys[k].example);
  struct node *node = document_parse(arena, "entry.yaml", text_string(&text), text.length, &diagnostics);
  if (CHECK(node)) spec_read_entry(&reader, kind, node, entry);
  if (diagnostics.errors) diagnostics_print(&diagnostics, stdout, false);
  size_t errors = diagnostics.errors;
  diagnostics_free(&diagnostics);
  text_free(&text);
  arena_free(&spec.arena);
  return errors;
}

static void check_reader(const struct entry_kind *kind, void *entry) {
  struct arena arena = {0};
  CHECK(read_examples(kind, &arena, entry) == 0);
  for (size_t k = 0; k < kind->count; k++)
    if (!CHECK(has_value(kind, &kind->keys[k], entry))) printf("# %s: %s\n", kind->name, kind->keys[k].name);
  arena_free(&arena);
}

static void every_key_is_read(void) {
  check_reader(&fit_entry, &(struct spec_fit){0});
  check_reader(&isoflop_entry, &(struct spec_isoflop){0});
}

// ---- the schema ----

static void check_schema(const struct entry_kind *kind) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, true);
  schema_entry(&writer, kind);
  json_t *schema = json_loads(text_string(&text), JSON_REJECT_DUPLICATES, NULL),
         *properties = json_object_get(schema, "properties");
  CHECK(json_object_size(properties) == kind->count);
  for (size_t k = 0; k < kind->count; k++)
    if (!CHECK(json_is_object(json_object_get(properties, kind->keys[k].name))))
      printf("# %s: %s\n", kind->name, kind->keys[k].name);
  json_decref(schema);
  text_free(&text);
}

static void every_key_is_in_the_schema(void) {
  check_schema(&fit_entry);
  check_schema(&isoflop_entry);
}

// ---- the documentation ----

static void every_key_is_documented(void) {
  const struct entry_kind *const kinds[] = {&fit_entry, &isoflop_entry};
  struct arena arena = {0};
  struct error error = {0};
  const char *page = file_read(&arena, path_join(&arena, source_folder, "docs/spec.md"), NULL, &error);
  for (size_t i = 0; i < 2 && CHECK(page); i++) {
    struct text table = {0};
    schema_keys_markdown(kinds[i], &table);
    if (!CHECK(strstr(page, text_string(&table))))
      printf("# docs/spec.md has an old table of the keys of a %s: isoloss schema --keys prints it\n", kinds[i]->name);
    text_free(&table);
  }
  arena_free(&arena);
}

// ---- the options ----

// Gives each option of the kind its key's example, as `command` would take it.
static void check_options(const struct entry_kind *kind, enum entry_command command, void *entry) {
  struct option options[64];
  size_t count = entry_options(kind, command, entry, options), expected = 0;
  options[count] = (struct option){0};
  for (size_t k = 0; k < kind->count; k++) {
    const struct entry_key *key = &kind->keys[k];
    if (!key->option.name || !(key->option.commands & command)) continue;
    struct arena arena = {0};
    struct error error = {0};
    struct arguments rest;
    char *words[] = {"test", arena_format(&arena, "--%s", key->option.name), arena_string(&arena, key->example)};
    entry_default(kind, entry);
    CHECK(options_parse(options, "test", key->type == ENTRY_BOOLEAN ? 2 : 3, words, &arena, &rest, &error));
    if (!CHECK(has_value(kind, key, entry))) printf("# --%s: %s\n", key->option.name, error.text);
    expected++;
    arena_free(&arena);
  }
  CHECK(count == expected && count > 0);
}

static void every_option_reaches_its_key(void) {
  struct spec_fit fit;
  struct spec_isoflop isoflop;
  check_options(&fit_entry, OF_FIT, &fit);
  check_options(&fit_entry, OF_COMPARE, &fit);
  check_options(&fit_entry, OF_PREDICT, &fit);
  check_options(&isoflop_entry, OF_ISOFLOP, &isoflop);
}

static void lists_are_split(void) {
  struct fit_arguments arguments;
  struct option options[FIT_ARGUMENT_OPTIONS + 1];
  struct fit_options made;
  struct arena arena = {0};
  struct error error = {0};
  struct arguments rest;
  char *words[] = {"test", "--best-over", "lr, batch", "--best-over", "beta", "--leave-out=N", "--where", "N > 3"};
  options[fit_arguments_options(&arguments, OF_FIT, options)] = (struct option){0};
  CHECK(options_parse(options, "test", 8, words, &arena, &rest, &error) &&
        fit_arguments_read("test", &arguments, &arena, &made, &error));
  const struct option_list *best = &arguments.entry.best_over;
  if (CHECK(best->count == 3)) {
    CHECK_TEXT(best->items[1], "batch");
    CHECK_TEXT(best->items[2], "beta");
  }
  CHECK(made.leave_out_count == 1 && made.bootstrap == -1);
  CHECK_TEXT(made.where, "N > 3");
  arena_free(&arena);
}

// ---- the words of fitting/ ----

static void choices_are_words_of_fitting(void) {
  struct error error = {0};
  for (const struct entry_key *key = fit_entry.keys; key < fit_entry.keys + fit_entry.count; key++)
    for (size_t i = 0; i < entry_choice_count(key); i++) {
      enum law_residual residual;
      enum interval_kind interval;
      if (strcmp(key->name, "residual") == 0) CHECK(residual_parse(key->choices[i], &residual, &error));
      if (strcmp(key->name, "interval") == 0) CHECK(interval_parse(key->choices[i], &interval, &error));
    }
  for (const struct entry_key *key = isoflop_entry.keys; key < isoflop_entry.keys + isoflop_entry.count; key++)
    for (size_t i = 0; i < entry_choice_count(key) && strcmp(key->name, "minimum") == 0; i++) {
      enum isoflop_method method;
      CHECK(isoflop_method_parse(key->choices[i], &method, &error));
    }
}

// ---- a kind of entry that isoloss does not have ----

struct orchard {
  const char *tree, *colour, *law, *axis;
  int64_t apples;
  double growth;
  bool fenced;
  struct spec_condition ripe;
  struct option_list laws, names, columns, fields;
};

static void a_line_is_a_key(void) {
  static const char *const colours[] = {"red", "green", NULL};
#define AT(member) offsetof(struct orchard, member)
  static const struct entry_key keys[] = {
      {"tree", ENTRY_TEXT, AT(tree), "boskoop", "which tree", .option = {"tree", 't', "NAME", "which", OF_FIT}},
      {"colour", ENTRY_CHOICE, AT(colour), "green", "of its apples", .choices = colours, .fallback = "red",
       .option = {"colour", 0, "COLOUR", "of the apples", OF_FIT}},
      {"law", ENTRY_LAW, AT(law), "power-sum", "of growth", .option = {"law", 0, "NAME", "of growth", OF_FIT}},
      {"axis", ENTRY_COLUMN, AT(axis), "tokens", "what it grows along"},
      {"apples", ENTRY_INTEGER, AT(apples), "7", "how many", .low = 1, .high = 9, .fallback = "3",
       .mistake = "must be a number of apples", .option = {"apples", 0, "N", "how many", OF_FIT}},
      {"growth", ENTRY_FACTOR, AT(growth), "1.5", "in a year", .low = 1, .mistake = "is a factor above 1",
       .option = {"growth", 0, "FACTOR", "in a year", OF_FIT}},
      {"fenced", ENTRY_BOOLEAN, AT(fenced), "true", "against deer", .option = {"fence", 0, NULL, "it", OF_FIT}},
      {"ripe", ENTRY_CONDITION, AT(ripe), "N > 3", "when to pick", .option = {"ripe", 0, "EXPR", "when", OF_FIT}},
      {"laws", ENTRY_LAWS, AT(laws), "[chinchilla, capacity]", "of other trees"},
      {"names", ENTRY_NAMES, AT(names), "[E, alpha]", "of the apples"},
      {"columns", ENTRY_COLUMNS, AT(columns), "[tokens, format]", "of trees"},
      {"fields", ENTRY_FIELDS, AT(fields), "[seed]", "where trees are", .option = {"at", 0, "LIST", "where", OF_FIT}},
  };
#undef AT
  const struct entry_kind kind = {"tree", "apples", keys, sizeof keys / sizeof *keys};
  struct orchard orchard;
  check_reader(&kind, &orchard);
  CHECK(orchard.apples == 7 && orchard.growth == 1.5 && orchard.fenced && orchard.laws.count == 2);
  check_schema(&kind);
  check_options(&kind, OF_FIT, &orchard);
  entry_default(&kind, &orchard);
  CHECK_TEXT(orchard.colour, "red");
  CHECK(orchard.apples == 3 && !orchard.tree && !orchard.fenced);
  struct text table = {0};
  schema_keys_markdown(&kind, &table);
  CHECK(strstr(text_string(&table), "| `apples` | 1 to 9 | `3` | how many | `--apples` |\n"));
  CHECK(strstr(text_string(&table), "| `colour` | `red`, `green` | `red` | of its apples | `--colour` |\n"));
  text_free(&table);
}

int main(int argc, char **argv) {
  if (argc < 2) return 1;
  source_folder = argv[1];
  RUN(every_key_is_read);
  RUN(every_key_is_in_the_schema);
  RUN(every_key_is_documented);
  RUN(every_option_reaches_its_key);
  RUN(lists_are_split);
  RUN(choices_are_words_of_fitting);
  RUN(a_line_is_a_key);
  return check_end();
}
