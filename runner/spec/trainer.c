// `trainer`: the command of a custom trainer, and its version.
#include <stdio.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

// {name} in a command template: what it may be. Other braces (JSON, say) stand for themselves.
static void check_placeholders(struct spec_reader *reader, const struct node *node) {
  static const char *const own[] = {"config", "folder", "id"};
  const char *text = node->text;
  for (const char *open = strchr(text, '{'); open; open = strchr(open + 1, '{')) {
    size_t length = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz_.0123456789");
    if (!length || length > 100 || open[1 + length] != '}') continue;
    char name[112];
    snprintf(name, sizeof name, "%.*s", (int)length, open + 1);
    bool known = spec_field_find(reader->spec, name) != NULL;
    for (size_t i = 0; i < 3; i++) known |= strcmp(own[i], name) == 0;
    if (known) continue;
    const char *names[256] = {"config", "folder", "id"};
    size_t count = 3;
    for (size_t i = 0; i < run_field_count && count < 256; i++) names[count++] = run_fields[i].path;
    const char *near = nearest_name(name, names, count);
    char hint[160];
    if (near)
      snprintf(hint, sizeof hint, "did you mean {%s}?", near);
    else
      snprintf(hint, sizeof hint, "{config}, {folder}, {id} and every run field, such as {train.lr}");
    spec_error_at(reader->spec, node, (int)(open - text), reader->diagnostics, hint, "nothing is called {%s}", name);
  }
}

const char *const trainer_count_names[TRAINER_COUNTS] = {"parameters", "parameters_total", "parameters_active",
                                                         "flops"};

// An expression for one of the counts of its model.
static void read_count(struct spec_reader *reader, const struct node *node, enum trainer_count which) {
  const char *name = trainer_count_names[which];
  const struct expression *expression = spec_read_expression(reader, node, NAMES_OF_RUN, name);
  for (int i = 0; expression && i < expression->name_count && which <= COUNT_TOTAL; i++) {
    struct run_name found;
    run_name_find(reader->spec, expression->names[i].name, &found);
    if (!found.column && !(found.field && found.field->groups & GROUP_BUDGET)) continue;
    node_error(node, reader->diagnostics, "12 * model.layers * model.width^2, say",
               "%s of a trainer follows from the fields of its model, not from %s", name, expression->names[i].name);
    return;
  }
  reader->spec->trainer.counts[which].node = node;
  reader->spec->trainer.counts[which].expression = expression;
}

void spec_read_trainer(struct spec_reader *reader, const struct node *node) {
  struct spec_trainer *trainer = &reader->spec->trainer;
  trainer->version = "";
  trainer->node = NULL;
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "trainer: {command: [python3, train.py, \"{config}\"]}",
               "trainer must be a mapping, not %s", node_kind_name(node));
    return;
  }
  trainer->node = node;
  spec_check_keys(&spec_trainer_keys, node, reader->diagnostics);
  const struct node *value = node_find(node, "command");
  if (!value || value->kind != NODE_SEQUENCE || !value->count) {
    node_error(value ? value : node, reader->diagnostics, "command: [python3, train.py, \"{config}\"]",
               "a trainer needs its command: a list of the program and its arguments");
  } else {
    trainer->command = arena_array(&reader->spec->arena, value->count + 1, sizeof *trainer->command);
    for (size_t i = 0; i < value->count; i++) {
      const char *part = spec_read_text(reader, value->items[i], "a part of the command");
      if (!part) continue;
      check_placeholders(reader, value->items[i]);
      trainer->command[trainer->command_count++] = part;
    }
  }
  if ((value = node_find(node, "version"))) {
    const char *version = spec_read_text(reader, value, "version");
    if (version) trainer->version = version;
  }
  for (int i = 0; i < TRAINER_COUNTS; i++)
    if ((value = node_find(node, trainer_count_names[i]))) read_count(reader, value, (enum trainer_count)i);
}
