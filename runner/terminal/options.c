// See options.h.
#include "runner/terminal/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void option_list_free(struct option_list *list) {
  free(list->items);
  *list = (struct option_list){0};
}

static const struct option *find_long(const struct command *command, const char *name, size_t length) {
  for (const struct option *o = command->options; o && o->name; o++)
    if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
  return NULL;
}

static bool unknown(const struct command *command, const char *given, const char *name, struct error *error) {
  const char *names[64];
  size_t count = 0;
  for (const struct option *o = command->options; o && o->name && count < 63; o++) names[count++] = o->name;
  names[count++] = "help";
  const char *near = nearest_name(name, names, count);
  if (near)
    return error_set(error, EXIT_USAGE_ERROR, "%s: unknown option %s; did you mean --%s?", command->name, given, near);
  return error_set(error, EXIT_USAGE_ERROR, "%s: unknown option %s (isoloss %s --help lists them)", command->name,
                   given, command->name);
}

static bool store(const struct command *command, const struct option *option, const char *value, struct error *error) {
  switch (option->type) {
    case OPTION_FLAG:
      *(bool *)option->target = true;
      return true;
    case OPTION_TEXT:
      *(const char **)option->target = value;
      return true;
    case OPTION_INTEGER:
      if (!integer_parse(value, option->target))
        return error_set(error, EXIT_USAGE_ERROR, "%s: --%s needs a whole number, not '%s'", command->name,
                         option->name, value);
      return true;
    case OPTION_NUMBER:
      if (!number_parse(value, option->target))
        return error_set(error, EXIT_USAGE_ERROR, "%s: --%s needs a number, not '%s'", command->name, option->name,
                         value);
      return true;
    case OPTION_LIST: {
      struct option_list *list = option->target;
      list->items = memory_grow(list->items, (list->count + 1) * sizeof *list->items);
      list->items[list->count++] = value;
      return true;
    }
  }
  return false;
}

bool options_parse(const struct command *command, int argc, char **argv, const char **rest, int *count, bool *done,
                   struct error *error) {
  bool only_arguments = false;
  *count = 0;
  *done = false;
  for (int i = 1; i < argc; i++) {
    const char *given = argv[i];
    if (only_arguments || given[0] != '-' || given[1] == '\0') {
      rest[(*count)++] = given;
      continue;
    }
    if (strcmp(given, "--") == 0) {
      only_arguments = true;
      continue;
    }
    if (strcmp(given, "--help") == 0 || strcmp(given, "-h") == 0) {
      options_help(command);
      *done = true;
      return true;
    }
    const struct option *option = NULL;
    const char *value = NULL;
    if (given[1] == '-') {
      const char *name = given + 2, *equals = strchr(name, '=');
      size_t length = equals ? (size_t)(equals - name) : strlen(name);
      option = find_long(command, name, length);
      if (!option && !equals && starts_with(name, "no-")) {
        option = find_long(command, name + 3, length - 3);
        if (option && option->type == OPTION_FLAG) {
          *(bool *)option->target = false;
          continue;
        }
        option = NULL;
      }
      if (equals) value = equals + 1;
      if (!option) {
        char bare[128];
        snprintf(bare, sizeof bare, "%.*s", (int)length, name);
        return unknown(command, given, bare, error);
      }
    } else {
      for (const struct option *o = command->options; o && o->name; o++)
        if (o->letter && o->letter == given[1]) option = o;
      if (!option) return unknown(command, given, given + 1, error);
      if (given[2]) value = given + 2;
    }
    if (option->type == OPTION_FLAG) {
      if (value) return error_set(error, EXIT_USAGE_ERROR, "%s: --%s takes no value", command->name, option->name);
    } else if (!value) {
      if (i + 1 >= argc)
        return error_set(error, EXIT_USAGE_ERROR, "%s: --%s needs %s", command->name, option->name,
                         option->argument ? option->argument : "a value");
      value = argv[++i];
    }
    if (!store(command, option, value, error)) return false;
  }
  return true;
}

void options_help(const struct command *command) {
  printf("%s\n\nusage: %s\n", command->summary, command->usage);
  if (command->about && *command->about) printf("\n%s\n", command->about);
  printf("\noptions:\n");
  for (const struct option *o = command->options; o && o->name; o++) {
    char left[96], letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    printf("%-30s %s\n", left, o->help);
  }
  printf("%-30s %s\n", "  -h, --help", "this text");
}
