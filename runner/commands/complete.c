// What a shell offers for the last word of a command line: isoloss help --complete -- WORDS. The scripts of the shells
// (docs/completions) only pass words on and print what comes back: one candidate a line, or ":files PATTERN" for files
// of such names and folders.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fitting/fitting.h"
#include "plots/plots.h"
#include "results/columns.h"
#include "results/store.h"
#include "runner/commands.h"
#include "runner/spec/schema_write.h"

static bool is_name(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

static void offer(const struct completion *c, const char *candidate) {
  if (starts_with(candidate, c->current)) printf("%s%s\n", c->kept, candidate);
}

static void offer_all(const struct completion *c, const char *const *candidates) {
  for (size_t i = 0; candidates && candidates[i]; i++) offer(c, candidates[i]);
}

static void offer_files(const char *pattern) { printf(":files %s\n", pattern); }

// ---- what is in the store, in specs, and among laws ----

static struct store *open_store(void) {
  struct error ignored = {0};
  return store_exists_home() ? store_open_home(STORE_READ, &ignored) : NULL;
}

// A column of rows that the store gives; shown: so many characters of it.
static void offer_rows(const struct completion *c, struct store_rows *rows, const char *column, int shown) {
  struct error ignored = {0};
  char word[256];
  while (rows && store_rows_next(rows, &ignored)) {
    struct value value = store_rows_get(rows, column);
    if (value.kind != VALUE_TEXT) continue;
    snprintf(word, sizeof word, "%.*s", shown, value.text);
    offer(c, word);
  }
  store_rows_close(rows);
}

static void offer_of_store(const struct completion *c, bool runs, bool experiments, bool imports) {
  enum { ID = 8, WHOLE = 255, MOST_RUNS = 500 };
  struct error ignored = {0};
  struct store *store = open_store();
  if (!store) return;
  if (runs)
    offer_rows(c, store_runs(store, &(struct run_query){.limit = *c->current ? 0 : MOST_RUNS}, &ignored), "id", ID);
  error_clear(&ignored);
  if (experiments) offer_rows(c, store_experiments(store, NULL, &ignored), "name", WHOLE);
  error_clear(&ignored);
  if (imports) offer_rows(c, store_imports(store, NULL, &ignored), "name", WHOLE);
  store_close(store);
}

static void offer_laws(const struct completion *c) {
  struct arena arena = {0};
  struct error ignored = {0};
  const char **names;
  size_t count;
  if (law_names(&arena, &names, &count, &ignored))
    for (size_t i = 0; i < count; i++) offer(c, names[i]);
  arena_free(&arena);
}

// Names in a condition or a list: what is before the last name is kept.
static void offer_fields(const struct completion *completion, struct arena *arena) {
  const char *last = completion->current + strlen(completion->current);
  while (last > completion->current && is_name(last[-1])) last--;
  struct completion c = *completion;
  c.kept = arena_format(arena, "%s%.*s", c.kept, (int)(last - c.current), c.current);
  c.current = last;
  for (size_t i = 0; i < schema_field_count(); i++) offer(&c, schema_field_at(i)->path);
  for (const struct run_column *column = run_columns; column->name; column++)
    if (!strchr(column->name, '.')) offer(&c, column->name);
}

// ---- values of options ----

static void offer_value(const struct completion *c, const struct option *option, struct arena *arena) {
  static const char *const of_fields[] = {"EXPR", "PATH=VALUE", "COLUMN", "A,B,C", "SETTING", "WHERE", NULL},
                           *const lists[] = {"best-over", "average-over", "leave-out", NULL};
  const char *argument = option->argument;
  if (option->choices) {
    offer_all(c, option->choices);
    return;
  }
  bool fields = false;
  for (int i = 0; of_fields[i]; i++) fields |= strcmp(argument, of_fields[i]) == 0;
  for (int i = 0; lists[i]; i++) fields |= strcmp(option->name, lists[i]) == 0;
  if (strcmp(option->name, "law") == 0) {
    offer_laws(c);
    offer_files("*.yaml");
  } else if (strcmp(argument, "SOURCE") == 0 || strcmp(option->name, "show") == 0 ||
             strcmp(option->name, "remove") == 0) {
    offer_of_store(c, false, false, true);
  } else if (strcmp(option->name, "table") == 0) {
    offer_files("*.csv");
  } else if (fields) {
    offer_fields(c, arena);
  } else if (strstr(argument, "FILE") || strcmp(argument, "GLOB") == 0 || strcmp(argument, "TEMPLATE") == 0) {
    offer_files("*");
  } else if (strstr(argument, "FOLDER") || strcmp(argument, "CHECKPOINT") == 0 || strcmp(argument, "PATH") == 0) {
    offer_files("");
  }
}

static const struct option *option_of(const struct option *options, const char *word) {
  for (const struct option *option = options; option->name; option++) {
    if (!option->argument) continue;
    if (word[0] == '-' && word[1] == option->letter && option->letter && !word[2]) return option;
    if (starts_with(word, "--") && strcmp(word + 2, option->name) == 0) return option;
  }
  return NULL;
}

static void offer_options(const struct completion *c, const struct option *options, struct arena *arena) {
  for (const struct option *option = options; option->name; option++)
    offer(c, arena_format(arena, "--%s", option->name));
  offer(c, "--help");
}

// The trainer's options: it is another program, whose help has them.
static const struct option *trainer_options(struct arena *arena) {
  enum { MOST = 40 };
  struct option *options = arena_array(arena, MOST, sizeof *options);
  size_t count = 0;
  struct text call = {0};
  char line[256], name[64], argument[64];
  text_add_shell(&call, path_of_program(arena, "isoloss-train"));
  text_add(&call, " --help 2>/dev/null");
  FILE *help = popen(text_string(&call), "r");
  while (help && fgets(line, sizeof line, help) && count + 1 < MOST) {
    *argument = '\0';
    const char *dashes = strstr(line, "--");
    if (line[0] != ' ' || !dashes || dashes > line + 8) continue;
    if (sscanf(dashes, "--%63[a-z-]%*1[ ]%63[A-Za-z|=]", name, argument) < 1 || strcmp(name, "help") == 0) continue;
    options[count++] = (struct option){.name = arena_string(arena, name),
                                       .argument = *argument ? arena_string(arena, argument) : NULL};
  }
  if (help) pclose(help);
  text_free(&call);
  options[count].name = NULL;
  return options;
}

// ---- words that are no options ----

// The words of a usage that are written as they are: actions; all in small letters, outside of brackets.
static void offer_actions(const struct completion *c, const char *usage) {
  int words = strchr(c->command, ' ') ? 3 : 2;  // "isoloss" and the command's
  for (const char *line = usage; *line;) {
    size_t length = strcspn(line, "\n");
    int word = 0, depth = 0;
    bool value = false;  // the next word is an option's value
    for (size_t i = 0; i < length;) {
      size_t n = strcspn(line + i, " |\n[]");
      if (i + n > length) n = length - i;
      const char *at = line + i;
      bool small = n > 0;
      for (size_t k = 0; k < n; k++) small &= islower((unsigned char)at[k]) || (at[k] == '-' && k);
      if (n && depth == 0) {
        if (word++ >= words && small && !value) {
          char action[40];
          snprintf(action, sizeof action, "%.*s", (int)n, at);
          offer(c, action);
        }
        value = at[0] == '-';
      }
      depth += line[i + n] == '[' ? 1 : line[i + n] == ']' ? -1 : 0;
      i += n + 1;
    }
    line += length + (line[length] == '\n');
  }
}

// Whether the usage has the word, in capitals, by itself.
static bool asks_for(const char *usage, const char *word) {
  size_t length = strlen(word);
  for (const char *found = usage; (found = strstr(found, word)); found += length)
    if ((found == usage || !isalnum((unsigned char)found[-1])) && !isupper((unsigned char)found[length]) &&
        found[length] != '=')
      return true;
  return false;
}

static void offer_arguments(const struct completion *c, const char *usage) {
  if (c->place == 0) {
    offer_actions(c, usage);
    // An action comes first where nothing else may.
    const char *first = usage + strlen("isoloss ") + strlen(c->command) + 1;
    if (islower((unsigned char)*first)) return;
  }
  offer_of_store(c, asks_for(usage, "RUN"), asks_for(usage, "EXPERIMENT"), asks_for(usage, "IMPORT"));
  if (strstr(usage, "[NAME...]")) offer_laws(c);
  for (const struct plot_kind *kind = plot_kinds; c->place && asks_for(usage, "FIGURE") && kind->name; kind++)
    offer(c, kind->name);
  if (asks_for(usage, "COMMAND"))
    for (const struct command *command = commands; command->name; command++)
      if (!strchr(command->name, ' ')) offer(c, command->name);
  if (asks_for(usage, "SPEC") || strstr(usage, "SOURCE")) offer_files("*.y*ml");
  if (strstr(usage, "TABLE.csv") || strstr(usage, "SOURCE")) offer_files("*.csv");
  if (strstr(usage, "CONFIG.json")) offer_files("*.json");
  if (asks_for(usage, "FOLDER")) offer_files("");
}

// ---- a command ----

void command_complete(const struct command_line *line, const struct command_usage *usage,
                      const struct option *options) {
  struct completion c = *line->completion;
  struct arena arena = {0};
  c.command = line->command->name;
  if (strcmp(c.command, "train") == 0) options = trainer_options(&arena);
  const struct option *option = option_of(options, c.before);
  const char *equals = starts_with(c.current, "--") ? strchr(c.current, '=') : NULL;
  if (!option && equals) {
    option = option_of(options, arena_copy(&arena, c.current, (size_t)(equals - c.current)));
    c.kept = arena_copy(&arena, c.current, (size_t)(equals - c.current) + 1);
    c.current = equals + 1;
  }
  // What is in front of the word, without options and what belongs to them.
  c.place = 0;
  for (size_t i = 0; i < c.count; i++) {
    if (c.words[i][0] == '-')
      i += option_of(options, c.words[i]) != NULL;
    else
      c.place++;
  }
  if (option)
    offer_value(&c, option, &arena);
  else if (*c.current == '-')
    offer_options(&c, options, &arena);
  else
    offer_arguments(&c, usage->usage);
  arena_free(&arena);
}

void commands_complete(const char *const *words, size_t count) {
  struct completion c = {.words = words, .current = count ? words[count - 1] : "", .before = "", .kept = ""};
  if (count <= 1) {
    for (const struct command *command = commands; command->name; command++)
      if (!strchr(command->name, ' ')) offer(&c, command->name);
    offer(&c, "--help");
    offer(&c, "--version");
    return;
  }
  struct error ignored = {0};
  const char *next = count > 2 ? words[1] : NULL;
  const struct command *command = command_find(words[0], next, &ignored);
  if (!command) return;
  size_t own = strchr(command->name, ' ') ? 2 : 1;
  c.words += own;
  c.count = count - 1 - own;
  if (c.count) c.before = c.words[c.count - 1];
  struct command_line line = {.command = command, .purpose = COMMAND_COMPLETE, .completion = &c};
  command->run(&line);
  arena_free(&line.arena);
}
