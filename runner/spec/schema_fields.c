// The part of the schema that the table of run fields says. Three shapes of the same fields are in it: plain values
// (base, corpus), axes (grid, zip) and derivations (set), each nested and dotted.
#include <stdlib.h>
#include <string.h>

#include "runner/spec/schema_write.h"
#include "trainer/config.h"
#include "trainer/stages/stage.h"
#include "trainer/tasks/task.h"

size_t schema_field_count(void) {
  size_t count = run_field_count;
  for (size_t t = 0; run_tasks[t]; t++) count += run_tasks[t]->field_count;
  return count;
}

const struct run_field *schema_field_at(size_t index) {
  if (index < run_field_count) return &run_fields[index];
  index -= run_field_count;
  size_t t = 0;
  for (; index >= run_tasks[t]->field_count; t++) index -= run_tasks[t]->field_count;
  return &run_tasks[t]->fields[index];
}

// Its values as readers of YAML 1.1 (PyYAML) have them: 1e6 is text to them.
static struct schema_property text_of(const struct run_field *field, struct arena *arena) {
  bool ranged = (field->low != 0 || field->high != 0) && field->low >= 0;
  if (!ranged) return (struct schema_property){.key = "number_text"};
  return (struct schema_property){
      .key = arena_format(arena, "text:%s", field->path),
      .type = "string",
      .pattern = schema_number_pattern(field->low, field->high, field->type == FIELD_INTEGER, arena)};
}

static struct schema_property value_of(const struct run_field *field, struct arena *arena) {
  static const char *const types[] = {
      [FIELD_INTEGER] = "integer", [FIELD_NUMBER] = "number", [FIELD_BOOLEAN] = "boolean",
      [FIELD_CHOICE] = NULL,       [FIELD_TEXT] = "string",   [FIELD_LIST] = "string"};
  struct schema_property value = {.key = arena_format(arena, "value:%s", field->path),
                                  .type = types[field->type],
                                  .repeated = field->type == FIELD_LIST,
                                  .or_auto = field->auto_allowed,
                                  .description = field->help};
  if (field->type <= FIELD_NUMBER && (field->low != 0 || field->high != 0)) {
    size_t count = 0;
    if (field->low > -1e300) value.limits[count++] = (struct schema_limit){"minimum", field->low};
    if (field->high < 1e300) value.limits[count++] = (struct schema_limit){"maximum", field->high};
  }
  if (field->type <= FIELD_NUMBER) value.or_reference = text_of(field, arena).key;
  if (field->groups & GROUP_FORMAT) value.or_reference = "format";
  if (field->groups & GROUP_WORD_NUMBER) value.or_reference = arena_format(arena, "mapping:%s", field->path);
  if (field->type == FIELD_TEXT) value.limits[0] = (struct schema_limit){"minLength", 1};
  if (field->type == FIELD_LIST) value.limits[0] = (struct schema_limit){"minItems", 1};
  if (field->type == FIELD_CHOICE) value.choices = text_split(arena, field->choices, "|", &value.choice_count);
  if (*field->fallback && strcmp(field->fallback, "auto") != 0) value.fallback = field->fallback;
  if (field->unit) value.description = arena_format(arena, "%s [%s]", field->help, field->unit);
  return value;
}

// {higgs: 2} for the choice higgs2: each word with the numbers that it has.
static void put_word_numbers(struct json_writer *json, const struct run_field *field, struct arena *arena) {
  size_t count = 0, words = 0;
  const char *const *choices = text_split(arena, field->choices, "|", &count);
  struct schema_property *all = arena_array(arena, count, sizeof *all);
  for (size_t i = 0; i < count; i++) {
    size_t length = strcspn(choices[i], "0123456789");
    double number = strtod(choices[i] + length, NULL);
    if (!choices[i][length]) continue;
    const char *word = arena_copy(arena, choices[i], length);
    if (words && strcmp(all[words - 1].key, word) == 0)
      all[words - 1].limits[1].value = number;
    else
      all[words++] = (struct schema_property){word, "integer", .limits = {{"minimum", number}, {"maximum", number}}};
  }
  schema_object(json,
                &(struct schema_object){arena_format(arena, "mapping:%s", field->path),
                                        .description = "a word and its number", .properties = all, .count = words});
}

// One value, a list, or for numbers a range.
static struct schema_property axis_of(const struct run_field *field, struct arena *arena) {
  struct schema_property value = value_of(field, arena);
  return (struct schema_property){.key = arena_format(arena, "axis:%s", field->path),
                                  .reference = value.key,
                                  .repeated = true,
                                  .limits = {{"minItems", 1}},
                                  .or_reference = field->type <= FIELD_NUMBER ? "range" : NULL,
                                  .description = value.description};
}

// The section that ends before this dot of field i's path, where field i is its first: "model", "compress.allocate"; or
// NULL.
static const char *section_begun(size_t i, const char *dot, struct arena *arena) {
  const char *path = schema_field_at(i)->path;
  for (size_t j = 0; j < i && dot; j++)
    if (strncmp(schema_field_at(j)->path, path, (size_t)(dot + 1 - path)) == 0) return NULL;
  return dot ? arena_copy(arena, path, (size_t)(dot - path)) : NULL;
}

// References to the fields of a section by their last names; without one to the sections, and to all fields by path.
static void put_fields(struct json_writer *json, const char *kind, const char *section, struct schema_object object) {
  struct arena arena = {0};
  struct schema_property *all = arena_array(&arena, 2 * schema_field_count(), sizeof *all);
  size_t length = section ? strlen(section) + 1 : 0;
  for (size_t i = 0; i < schema_field_count(); i++) {
    const char *path = schema_field_at(i)->path;
    if (section && !starts_with(path, arena_format(&arena, "%s.", section))) continue;
    if (!section && schema_field_at(i)->stage) continue;     // they belong under stages
    if (schema_field_at(i)->groups & GROUP_FOUND) continue;  // nobody gives them
    const char *begun = section_begun(i, strchr(path + length, '.'), &arena);
    if (begun)
      all[object.count++] =
          (struct schema_property){begun + length, .reference = arena_format(&arena, "%s:%s", kind, begun)};
    const char *reference = strcmp(kind, "derived") == 0 ? "expression" : arena_format(&arena, "%s:%s", kind, path);
    all[object.count++] = (struct schema_property){path + length, .reference = reference};
  }
  const struct stage *stage = section ? stage_find(section) : NULL;
  if (stage && strcmp(kind, "axis") == 0)
    all[object.count++] = (struct schema_property){"where", .reference = "expression",
                                                   .description = "which runs before it have these values"};
  if (stage && stage->corpus)
    all[object.count++] = (struct schema_property){"corpus", .reference = arena_format(&arena, "%s:corpus", kind)};
  object.properties = all;
  if (!section) {
    // Fields that the spec declares, in one word.
    object.others = "^[A-Za-z][A-Za-z0-9_]*$";
    object.other_reference = "own";
  }
  schema_object(json, &object);
  arena_free(&arena);
}

void schema_fields(struct json_writer *json, const char *key, const char *kind, const char *description) {
  put_fields(json, kind, NULL, (struct schema_object){.key = key, .description = description});
}

void schema_field_definitions(struct json_writer *json) {
  static const char *const kinds[] = {"value", "axis", "derived"};
  struct arena arena = {0};
  for (size_t i = 0; i < schema_field_count(); i++) {
    const struct schema_property value = value_of(schema_field_at(i), &arena),
                                 axis = axis_of(schema_field_at(i), &arena);
    if (schema_field_at(i)->type <= FIELD_NUMBER) {
      const struct schema_property text = text_of(schema_field_at(i), &arena);
      if (text.pattern) schema_property(json, &text);
    }
    if (schema_field_at(i)->groups & GROUP_WORD_NUMBER) put_word_numbers(json, schema_field_at(i), &arena);
    schema_property(json, &value);
    schema_property(json, &axis);
  }
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (size_t i = 0; i < schema_field_count(); i++) {
      const char *path = schema_field_at(i)->path;
      for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
        const char *section = section_begun(i, dot, &arena);
        if (!section) continue;
        put_fields(json, kinds[k], section, (struct schema_object){arena_format(&arena, "%s:%s", kinds[k], section)});
      }
    }
  arena_free(&arena);
}

void schema_stages(struct json_writer *json) {
  struct arena arena = {0};
  struct schema_property *all = arena_array(&arena, stage_count, sizeof *all);
  size_t count = 0;
  for (size_t i = 0; i < stage_count; i++) {
    if (stages[i].root) continue;
    const char *one = arena_format(&arena, "stage:%s", stages[i].name);
    // A value is a mapping of the stage's fields, each an axis, or the word none.
    const struct schema_property value = {one, .choices = (const char *const[]){"none"}, .choice_count = 1,
                                          .or_reference = arena_format(&arena, "axis:%s", stages[i].name)};
    schema_property(json, &value);
    all[count++] = (struct schema_property){stage_key(&stages[i]), .reference = one, .repeated = true,
                                            .limits = {{"minItems", 1}}, .description = stages[i].help};
  }
  schema_object(json, &(struct schema_object){"stages", .properties = all, .count = count});
  arena_free(&arena);
}
