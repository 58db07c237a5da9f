// See options.h.
#include "base/options.h"

#include <string.h>

#include "base/text.h"

// ---- parsing ----

struct parser {
  const struct option *options;
  const char *call;
  int argc, at;  // argv[at] is looked at
  char **argv;
  struct arena *arena;
  struct arguments *arguments;
};

static const struct option *find_long(const struct option *options, const char *name, size_t length) {
  for (const struct option *o = options; o->name; o++)
    if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) return o;
  return NULL;
}

static const struct option *find_letter(const struct option *options, char letter) {
  for (const struct option *o = options; o->name; o++)
    if (o->letter && o->letter == letter) return o;
  return NULL;
}

static bool unknown(const struct parser *parser, const char *name, struct error *error) {
  const char *names[64];
  size_t count = 0;
  for (const struct option *o = parser->options; o->name && count < 63; o++) names[count++] = o->name;
  names[count++] = "help";
  const char *near = nearest_name(name, names, count), *given = parser->argv[parser->at];
  if (near) return error_set(error, EXIT_USAGE_ERROR, "unknown option %s; did you mean --%s?", given, near);
  return error_set(error, EXIT_USAGE_ERROR, "unknown option %s (%s --help lists them)", given, parser->call);
}

static const char *given_before(const struct parser *parser, const struct option *option) {
  for (size_t i = parser->arguments->given_count; i-- > 0;)
    if (strcmp(parser->arguments->given[i].option + 2, option->name) == 0) return parser->arguments->given[i].value;
  return NULL;
}

// A list goes on where it is given again; of one value the last would win without a word.
static bool join(const struct parser *parser, const struct option *option, const char **value, struct error *error) {
  const char *before = option->type == OPTION_LIST ? NULL : given_before(parser, option);
  if (!before || strcmp(before, *value) == 0) return true;
  if (option->type != OPTION_TEXT || !option->argument || strcmp(option->argument, "LIST") != 0)
    return error_set(error, EXIT_USAGE_ERROR, "--%s is given twice, as '%s' and as '%s': it takes one value",
                     option->name, before, *value);
  *value = arena_format(parser->arena, "%s,%s", *(const char **)option->target, *value);
  return true;
}

static void note_given(struct parser *parser, const char *prefix, const struct option *option, const char *value) {
  struct arguments *arguments = parser->arguments;
  arguments->given[arguments->given_count++] =
      (struct option_given){arena_format(parser->arena, "--%s%s", prefix, option->name), value};
}

static bool store(const struct parser *parser, const struct option *option, const char *value, struct error *error) {
  switch (option->type) {
    case OPTION_FLAG:
      *(bool *)option->target = true;
      return true;
    case OPTION_TEXT:
      *(const char **)option->target = value;
      return true;
    case OPTION_INTEGER:
      return integer_parse(value, option->target) ||
             error_set(error, EXIT_USAGE_ERROR, "--%s needs a whole number, not '%s'", option->name, value);
    case OPTION_NUMBER:
      return number_parse(value, option->target) ||
             error_set(error, EXIT_USAGE_ERROR, "--%s needs a number, not '%s'", option->name, value);
    case OPTION_LIST: {
      struct option_list *list = option->target;
      if (!list->count) list->items = arena_array(parser->arena, (size_t)parser->argc, sizeof *list->items);
      list->items[list->count++] = value;
      return true;
    }
  }
  return false;
}

// The value is what came with the option ("--name=value", "-nvalue"; NULL: nothing), else the next word.
static bool take(struct parser *parser, const struct option *option, const char *value, struct error *error) {
  if (option->type == OPTION_FLAG) {
    if (value) return error_set(error, EXIT_USAGE_ERROR, "--%s takes no value", option->name);
  } else if (!value) {
    if (parser->at + 1 >= parser->argc)
      return error_set(error, EXIT_USAGE_ERROR, "--%s needs %s", option->name,
                       option->argument ? option->argument : "a value");
    value = parser->argv[++parser->at];
  }
  const char *own = value;
  if (option->type != OPTION_FLAG && !join(parser, option, &value, error)) return false;
  note_given(parser, "", option, own);
  return store(parser, option, value, error);
}

static bool parse_long(struct parser *parser, struct error *error) {
  const char *name = parser->argv[parser->at] + 2, *equals = strchr(name, '=');
  size_t length = equals ? (size_t)(equals - name) : strlen(name);
  const struct option *option = find_long(parser->options, name, length);
  if (option) return take(parser, option, equals ? equals + 1 : NULL, error);
  if (!equals && starts_with(name, "no-")) {
    option = find_long(parser->options, name + 3, length - 3);
    if (option && option->type == OPTION_FLAG) {
      *(bool *)option->target = false;
      note_given(parser, "no-", option, NULL);
      return true;
    }
  }
  return unknown(parser, arena_copy(parser->arena, name, length), error);
}

static bool parse_letter(struct parser *parser, struct error *error) {
  const char *given = parser->argv[parser->at];
  const struct option *option = find_letter(parser->options, given[1]);
  if (!option) return unknown(parser, given + 1, error);
  return take(parser, option, given[2] ? given + 2 : NULL, error);
}

bool options_parse(const struct option *options, const char *call, int argc, char **argv, struct arena *arena,
                   struct arguments *arguments, struct error *error) {
  struct parser parser = {
      .options = options, .call = call, .argc = argc, .argv = argv, .arena = arena, .arguments = arguments};
  *arguments = (struct arguments){.items = arena_array(arena, (size_t)argc + 1, sizeof(char *)),
                                  .given = arena_array(arena, (size_t)argc + 1, sizeof(struct option_given))};
  bool ended = false;
  for (parser.at = 1; parser.at < argc; parser.at++) {
    const char *given = argv[parser.at];
    if (ended || given[0] != '-' || given[1] == '\0') {
      arguments->items[arguments->count++] = given;
    } else if (strcmp(given, "--") == 0) {
      ended = true;
    } else if (strcmp(given, "--help") == 0 || strcmp(given, "-h") == 0) {
      arguments->help = true;
      return true;
    } else if (!(given[1] == '-' ? parse_long(&parser, error) : parse_letter(&parser, error))) {
      return false;
    }
  }
  return true;
}

const char *command_for_shell(struct arena *arena, const char *call, const char *const *words, size_t count) {
  struct text line = {0};
  text_add(&line, call);
  for (size_t i = 0; i < count; i++) {
    text_char(&line, ' ');
    text_add_shell(&line, words[i]);
  }
  const char *made = arena_string(arena, text_string(&line));
  text_free(&line);
  return made;
}

// ---- help ----

void help_print(const struct help *help, FILE *out) {
  fprintf(out, "%s\n\nusage: %s\n", help->summary, help->usage);
  if (help->about) fprintf(out, "\n%s\n", help->about);
  fprintf(out, "\noptions:\n");
  for (const struct option *o = help->options; o->name; o++) {
    char left[96], letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    fprintf(out, "%-30s %s\n", left, o->help);
  }
  fprintf(out, "%-30s %s\n", "  -h, --help", "this text");
}
