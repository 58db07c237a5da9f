// isoloss init: a commented spec to start from. The specs are files that ship (experiments/starters), with
// NAME-OF-EXPERIMENT where the experiment's name belongs.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"

static const char mark[] = "NAME-OF-EXPERIMENT";

static const struct question {
  const char *name, *words;
} questions[] = {
    {"formats", "which number format is a parameter worth most in?"},
    {"lr", "which learning rate, at each size?"},
    {"isoflop", "how large should the model be for a given compute?"},
    {"sparse", "what is a pruned model worth?"},
    {"stages", "compress in training, or after it?"},
};
enum { QUESTIONS = sizeof questions / sizeof *questions };
static const char *const question_names[] = {"formats", "lr", "isoflop", "sparse", "stages", NULL};

static bool is_question(const char *name) {
  for (int i = 0; i < QUESTIONS; i++)
    if (strcmp(questions[i].name, name) == 0) return true;
  return false;
}

// The experiment's name: that of the file, without its end. NULL with an error when no spec could have it.
static const char *name_of(struct arena *arena, const char *path, struct error *error) {
  const char *slash = strrchr(path, '/');
  char *name = arena_string(arena, slash ? slash + 1 : path);
  if (!ends_with(name, ".yaml") && !ends_with(name, ".yml")) {
    error_set(error, EXIT_USAGE_ERROR, "init: a spec's file ends in .yaml, not '%s'", path);
    return NULL;
  }
  *strrchr(name, '.') = '\0';
  size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
  if (*name && *name != '.' && *name != '-' && !name[plain]) return name;
  error_set(error, EXIT_USAGE_ERROR,
            "init: the file's name becomes the experiment's: letters, digits, dashes, underlines and dots; not '%s'",
            name);
  return NULL;
}

static void put_named(struct text *out, const char *starter, const char *name) {
  for (const char *found; (found = strstr(starter, mark)); starter = found + strlen(mark)) {
    text_append(out, starter, (size_t)(found - starter));
    text_add(out, name);
  }
  text_add(out, starter);
}

// What is there is kept, however it came there: the file is made, or it is an error.
static bool write_new(const char *path, const struct text *content, struct error *error) {
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0 && errno == EEXIST)
    return error_set(error, EXIT_USAGE_ERROR, "init: %s is there already and is kept; give another name", path);
  if (file < 0) return error_set(error, EXIT_ENVIRONMENT, "init: cannot write %s: %s", path, strerror(errno));
  bool fine = file_write_all(file, content->bytes, content->length);
  if (!fine) error_set(error, EXIT_ENVIRONMENT, "init: cannot write %s: %s", path, strerror(errno));
  if (close(file) != 0 && fine)
    fine = error_set(error, EXIT_ENVIRONMENT, "init: cannot write %s: %s", path, strerror(errno));
  if (!fine) unlink(path);
  return fine;
}

void command_init(struct command_line *line) {
  const char *question = NULL;
  const struct option options[] = {
      {"for", 0, OPTION_TEXT, &question, "QUESTION",
       "formats, lr, isoflop, sparse or stages (see above; default: formats)", question_names},
      {0}};
  struct text about = {0};
  text_add(
      &about,
      "Writes FILE, by default QUESTION.yaml in this folder, asks nothing, and never replaces a file. The spec says what\n"
      "its parts are for and which commands come next; it runs as it is, and with --preset small in seconds.\n\n");
  for (int i = 0; i < QUESTIONS; i++)
    text_format(&about, "%s  %-9s %s", i ? "\n" : "", questions[i].name, questions[i].words);
  const struct command_usage usage = {"isoloss init [FILE.yaml] [--for QUESTION]", text_string(&about), 0, 1,
                                      "at most one file"};
  struct arena *arena = &line->arena;
  if (command_begin(line, &usage, options)) {
    if (!question) question = "formats";
    const char *path = line->count ? line->arguments[0] : arena_format(arena, "%s.yaml", question), *name = NULL;
    if (!is_question(question)) {
      error_set(&line->error, EXIT_USAGE_ERROR, "init: there is no question '%s'", question);
      error_hint(&line->error, nearest_name(question, question_names, QUESTIONS),
                 "; --for is formats, lr, isoflop, sparse or stages");
    } else if ((name = name_of(arena, path, &line->error))) {
      const char *from = path_join(arena, isoloss_data(arena, "experiments"),
                                   arena_format(arena, "starters/%s.yaml", question)),
                 *starter = file_read(arena, from, NULL, &line->error);
      struct text content = {0};
      if (starter) put_named(&content, starter, name);
      if (starter && write_new(path, &content, &line->error)) {
        printf("%s\n", path);
        fprintf(stderr, "next: isoloss plan %s\n", path);
      }
      text_free(&content);
    }
  }
  text_free(&about);
}
