// isoloss formats: lists and explains the representations that runs can train with.
#include "trainer/formats.h"

#include <limits.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/fits/format_capacity.h"
#include "runner/terminal/table.h"

struct entry {
  const char *name, *help, *source;  // help and source: NULL for what is no recipe with a name
  struct format_capacity capacity;
};

static void add_representation(const struct entry *entry, struct text_table *table) {
  // The operand whose error is reported: the weights, or the one there is.
  const struct format_capacity *capacity = &entry->capacity;
  int operand = capacity->represented[OPERAND_WEIGHTS] ? OPERAND_WEIGHTS : (int)capacity->only;
  const struct capacity *c = &capacity->capacities[operand];
  text_table_cell(table, "%s", entry->name);
  text_table_cell(table, "%.4g", representation_bits(&capacity->format->operands[operand]));
  text_table_cell(table, "%.4g", c->gmse);
  text_table_cell(table, "%.2f", c->effective_bits);
}

static void add_recipe(const struct entry *entry, struct text_table *table) {
  struct text about = {0};
  text_format(&about, "%6s", "");
  text_filled(&about, entry->help, 6, 6);
  text_table_cell(table, "%s", entry->name);
  text_table_cell(table, "%s", entry->source);
  text_table_note(table, text_string(&about));
  text_free(&about);
}

static void print_list(const struct entry *entries, size_t count) {
  struct text_table recipes = text_list(2, 22), representations = {.gap = 2, .indent = 2};
  text_table_columns(&representations,
                     (const struct text_column[]){
                         {"name", .least = 22}, {"bits", .right = true}, {"gmse"}, {"worth", .right = true}, {0}});
  for (size_t i = 0; i < count; i++) {
    if (entries[i].help)
      add_recipe(&entries[i], &recipes);
    else
      add_representation(&entries[i], &representations);
  }
  printf("Representations (alone: of the weights; w(...)a(...)g(...) for weights, activations, gradients)\n\n");
  text_table_print(&representations, stdout);
  printf(
      "\n  bits: stored per value, scales and positions included; gmse: relative error on Gaussian data (isoloss\n"
      "  capacity says more); worth: bits of an ideal code with that error\n\nRecipes\n\n");
  text_table_print(&recipes, stdout);
  printf(
      "\n"
      "Bits of integers   w4a4  w4 (weights)  a8 (activations)  w4a4g8 (gradients too); 1 to 8 bits by QuEST's recipe,\n"
      "                   others in front: lsq-w4a4  ste-w4a4  clip-w4a4  absmax-w4a4\n"
      "Sparsity           2:4  paired-4:8  sparse(0.5)  sparse(0.8,journey)  random-sparse(0.5); + a grid: 2:4+int4\n"
      "A custom grid      levels(-1 -0.3 0.3 1)  grid(FILE)\n"
      "Options            int4[absmax,group(32),stochastic,no-hadamard,ste]; isoloss formats NAME shows all of a format\n");
  text_table_free(&representations);
  text_table_free(&recipes);
}

static void explain(const struct entry *entry) {
  const struct format *format = entry->capacity.format;
  struct text text = {0};
  format_describe(format, &text);
  printf("%s\n\n", format->name);
  if (entry->help) print_filled(stdout, entry->help, printf("  "), 2);
  if (entry->help) printf("  Source: %s\n", entry->source);
  print_filled(stdout, text_string(&text), printf("  "), 2);
  text_clear(&text);
  format_long_text(format, &text);
  printf("\n  in full: %s\n", text_string(&text));
  struct text_table operands = text_list(2, 12);
  for (int i = 0; i < OPERANDS; i++) {
    if (!entry->capacity.represented[i]) continue;
    const struct capacity *c = &entry->capacity.capacities[i];
    text_clear(&text);
    if (!c->closed_form) text_format(&text, " +- %.1e", c->standard_error);
    text_table_cell(&operands, "%s", operand_name((enum operand)i));
    text_table_cell(&operands, "%.4g bits, gmse %.6g%s, worth %.3f bits", representation_bits(&format->operands[i]),
                    c->gmse, text_string(&text), c->effective_bits);
  }
  text_table_print(&operands, stdout);
  text_table_free(&operands);
  text_free(&text);
}

static void json_entry(const struct entry *entry, struct json_writer *writer) {
  struct text text = {0};
  json_object_begin(writer);
  format_capacity_json(&entry->capacity, writer);
  format_long_text(entry->capacity.format, &text);
  json_key_string(writer, "in_full", text_string(&text));
  text_clear(&text);
  format_describe(entry->capacity.format, &text);
  json_key_string(writer, "about", text_string(&text));
  json_key_string(writer, "help", entry->help);
  json_key_string(writer, "source", entry->source);
  json_object_end(writer);
  text_free(&text);
}

static const struct format_preset *preset_named(const char *name) {
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    if (strcmp(preset->name, name) == 0) return preset;
  return NULL;
}

// What is asked for, with the errors that will be shown.
static bool measure(const char *const *names, size_t count, bool named, bool json, struct entry *entries,
                    struct arena *arena, struct error *error) {
  // A glance: a few million samples of what has no closed form.
  struct capacity_options glance = {.samples = 1 << 21, .threads = threads_wanted(0), .isa = isa_best()};
  for (size_t i = 0; i < count; i++) {
    const struct format *format = format_read(names[i], arena, error);
    if (!format) return false;
    const struct format_preset *preset = preset_named(format->name);
    entries[i] = (struct entry){named ? format->name : names[i],
                                preset ? preset->help : NULL,
                                preset ? preset->source : NULL,
                                {.format = format}};
    if ((named || json || !preset) && !format_capacity(format, names[i], &glance, &entries[i].capacity, error))
      return false;
  }
  return true;
}

static void print_json(const struct entry *entries, size_t count) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  json_array_begin(&writer);
  for (size_t i = 0; i < count; i++) json_entry(&entries[i], &writer);
  json_array_end(&writer);
  printf("%s\n", text_string(&text));
  text_free(&text);
}

// Everything that has a name.
static const char **named_formats(struct arena *arena, size_t *count) {
  size_t presets = 0;
  const char **names = common_formats(arena, count);
  while (format_presets[presets].name) presets++;
  names = arena_grow(arena, names, *count, *count + presets, sizeof *names);
  for (const struct format_preset *preset = format_presets; preset->name; preset++) names[(*count)++] = preset->name;
  return names;
}

void command_formats(struct command_line *line) {
  bool json = false;
  const struct option options[] = {{"json", 0, OPTION_FLAG, &json, NULL, "one JSON document on standard output"}, {0}};
  const struct command_usage usage = {
      "isoloss formats [FORMAT...] [--json]",
      "Without a format, lists the representations and recipes that have names, with bits per weight and\n"
      "error; with formats, explains them. A format is written as one word (w4a4, mxfp4, 2:4+int4,\n"
      "w(2:4+int4)a(int8)) or as a mapping; docs/formats.md has the whole language.",
      0, INT_MAX, "formats"};
  if (!command_begin(line, &usage, options)) return;
  bool named = line->count > 0;
  size_t count = (size_t)line->count;
  const char **names = named ? line->arguments : named_formats(&line->arena, &count);
  struct entry *entries = arena_array(&line->arena, count + 1, sizeof *entries);
  if (!measure(names, count, named, json, entries, &line->arena, &line->error)) return;
  if (json)
    print_json(entries, count);
  else if (!named)
    print_list(entries, count);
  for (size_t i = 0; named && !json && i < count; i++) {
    if (i) printf("\n");
    explain(&entries[i]);
  }
}
