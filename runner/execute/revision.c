// See revision.h.
#include "runner/execute/revision.h"

#include <string.h>

#include "runner/execute/ask.h"

static const double git_seconds = 60;

// git on a folder, without what its configuration would start and without a write to its index.
static bool ask_git(struct asked *asked, const char *folder, const char *const *words) {
  const char *arguments[16] = {"git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", folder};
  size_t count = 6;
  for (size_t i = 0; words[i] && count < 15; i++) arguments[count++] = words[i];
  asked_run(asked, arguments, git_seconds);
  return asked->ran && asked->code == 0;
}

// Whether an untracked path ("sub/", "sub/a.py") lies in the folder of this prefix, or holds it.
static bool in_folder(const char *path, size_t length, const char *prefix) {
  size_t own = strlen(prefix), both = length < own ? length : own;
  return strncmp(path, prefix, both) == 0 && (length >= own || path[length - 1] == '/');
}

// Reads `git status --porcelain -z`: records "XY path", a renamed one followed by its old path.
static void read_status(const struct text *out, const char *prefix, struct arena *arena, struct revision *revision) {
  const char *at = text_string(out), *end = at + out->length;
  while (at + 3 < end && !revision->dirty) {
    size_t length = strlen(at);
    bool untracked = starts_with(at, "??"), renamed = at[0] == 'R' || at[0] == 'C';
    if (length > 3 && (!untracked || in_folder(at + 3, length - 3, prefix))) {
      revision->dirty = true;
      revision->first = arena_string(arena, at + 3);
    }
    at += length + 1;
    if (renamed) at += strlen(at) + 1;
  }
}

void revision_find(const char *folder, const char *apart, struct arena *arena, struct revision *revision) {
  struct asked asked;
  char words[304];
  *revision = (struct revision){0};
  const char *place[] = {"rev-parse", "--show-toplevel", "--show-prefix", "HEAD", NULL};
  const char *root = NULL, *prefix = "";
  if (ask_git(&asked, folder, place)) {
    size_t count;
    // The prefix of the top folder is an empty line.
    const char *text = text_string(&asked.out), *second = strchr(text, '\n'),
               *third = second ? strchr(second + 1, '\n') : NULL;
    if (third) {
      root = arena_copy(arena, text, (size_t)(second - text));
      prefix = arena_copy(arena, second + 1, (size_t)(third - second - 1));
      const char **commit = text_split(arena, third + 1, "\n", &count);
      if (count == 1) revision->commit = commit[0];
    }
  }
  if (!revision->commit) revision->why = arena_string(arena, asked_words(&asked, words));
  asked_free(&asked);
  if (!revision->commit) return;
  const char *home = apart ? path_canonical(arena, apart) : NULL;
  bool inside = home && starts_with(home, root) && home[strlen(root)] == '/';
  const char *status[] = {"status",
                          "--porcelain",
                          "-z",
                          "--untracked-files=normal",
                          "--",
                          ":(top)",
                          inside ? arena_format(arena, ":(top,exclude,literal)%s", home + strlen(root) + 1) : NULL,
                          NULL};
  if (ask_git(&asked, folder, status)) {
    read_status(&asked.out, prefix, arena, revision);
  } else {
    // A state that is not known is not called clean.
    revision->commit = NULL;
    revision->why = arena_string(arena, asked_words(&asked, words));
  }
  asked_free(&asked);
}

bool revision_of_command(const char *const *command, size_t count, const char *apart, struct arena *arena,
                         struct revision *revision) {
  for (size_t i = 0; i < count; i++) {
    const char *word = command[(i + 1) % count];  // the program comes last: an interpreter may be in a repository too
    if (strchr(word, '{') || !file_exists(word)) continue;
    char *full = path_canonical(arena, word), *slash = strrchr(full, '/');
    if (!slash || slash == full) continue;
    *slash = '\0';
    revision_find(full, apart, arena, revision);
    if (revision->commit) return true;
  }
  *revision = (struct revision){.why = "no file of the trainer's command is in a git repository"};
  return false;
}
