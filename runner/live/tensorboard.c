// See tensorboard.h.
#include "runner/live/tensorboard.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "runner/execute/rows.h"
#include "runner/live/event_file.h"
#include "runner/live/settings.h"

enum { NAME_MOST = 80, ID_SHOWN = 12, BUFFER_MOST = 1 << 18 };
// The kinds of events of a run: points by kind, then its result.
enum { RESULT = 2, KINDS };
static const char *const prefixes[KINDS] = {"train/", "eval/", "result/"};

struct tensorboard {
  struct stream stream;
  struct arena arena;
  const char *folder;  // the experiment's
  const char **axes;   // columns in which its runs differ; NULL: not looked up yet
  size_t axis_count;
  const char **there;  // the folders of runs that were there, by the ids in their names
  size_t there_count;
  struct store *store;  // of this call
  struct board_run *writing;
};

struct board_run {
  const char *path;
  struct text text;  // not written yet
  bool result_is_there;
  int64_t bytes;  // the file's whole records
};

// ---- names of folders ----

static void add_name(struct text *name, const char *axis, const struct value *value) {
  char number[32];
  const char *text = value_plain(value, number), *dot = strrchr(axis, '.');
  if (value->kind == VALUE_MISSING) return;
  size_t begin = name->length;
  text_format(name, "%s=%s,", dot ? dot + 1 : axis, text);
  // A file's name on any system: letters, digits and few signs.
  for (size_t i = begin; i < name->length; i++)
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=,.+-_", name->bytes[i]))
      name->bytes[i] = '_';
}

static const char *id_in(const char *name) { return name + strlen(name) - ID_SHOWN; }

static int compare_ids(const void *a, const void *b) {
  return strcmp(id_in(*(const char *const *)a), id_in(*(const char *const *)b));
}

static void read_folder(struct tensorboard *board) {
  DIR *folder = opendir(board->folder);
  size_t capacity = 0;
  struct dirent *entry;
  while (folder && (entry = readdir(folder))) {
    if (strlen(entry->d_name) < ID_SHOWN) continue;
    if (board->there_count == capacity) {
      size_t before = capacity;
      capacity = capacity ? 2 * capacity : 64;
      board->there = arena_grow(&board->arena, board->there, before, capacity, sizeof(char *));
    }
    board->there[board->there_count++] = arena_string(&board->arena, entry->d_name);
  }
  if (folder) closedir(folder);
  if (board->there_count > 0) qsort(board->there, board->there_count, sizeof(char *), compare_ids);
}

// A run keeps the folder that it has, whatever joined the experiment since.
static const char *find_folder(struct tensorboard *board, const char *id) {
  const char **found =
      board->there_count > 0 ? bsearch(&id, board->there, board->there_count, sizeof(char *), compare_ids) : NULL;
  return found ? path_join(&board->arena, board->folder, *found) : NULL;
}

static const char *name_folder(struct tensorboard *board, const char *id, const char *shown, struct error *error) {
  if (!board->axes)
    board->axes = differing_settings(board->store, board->stream.experiment, &board->arena, &board->axis_count, error);
  if (!board->axes) return NULL;
  struct text name = {0};
  struct store_rows *row = store_run(board->store, id, error);
  for (size_t i = 0; row && i < board->axis_count && name.length < NAME_MOST; i++) {
    struct value value = store_rows_get(row, board->axes[i]);
    add_name(&name, board->axes[i], &value);
  }
  store_rows_close(row);
  size_t length = utf8_valid_prefix(text_string(&name), name.length < NAME_MOST ? name.length : NAME_MOST);
  const char *path = path_join(&board->arena, board->folder,
                               arena_format(&board->arena, "%.*s%s", (int)length, text_string(&name), shown));
  text_free(&name);
  return error->code ? NULL : path;
}

// ---- files ----

static const char *find_file(struct arena *arena, const char *folder) {
  DIR *entries = opendir(folder);
  const char *found = NULL;
  struct dirent *entry;
  while (entries && !found && (entry = readdir(entries)))
    if (starts_with(entry->d_name, "events.out.tfevents.") && ends_with(entry->d_name, ".isoloss"))
      found = path_join(arena, folder, entry->d_name);
  if (entries) closedir(entries);
  return found;
}

static bool begin_run(void *context, struct stream_run *run, struct error *error) {
  struct tensorboard *board = context;
  struct board_run *own = arena_array(&board->arena, 1, sizeof *own);
  char shown[ID_SHOWN + 1];
  snprintf(shown, sizeof shown, "%.*s", ID_SHOWN, run->id);
  const char *folder = find_folder(board, shown);
  run->own = own;
  if (!folder) folder = name_folder(board, run->id, shown, error);
  if (!folder) return false;
  own->path = find_file(&board->arena, folder);
  if (!own->path) {
    // TensorBoard reads the files of a folder in the order of their names, and asks that they hold "tfevents".
    own->path =
        path_join(&board->arena, folder, arena_format(&board->arena, "events.out.tfevents.%.0f.isoloss", clock_wall()));
    return true;
  }
  struct arena scratch = {0};
  size_t length;
  int64_t last[KINDS];
  const char *bytes = file_read(&scratch, own->path, &length, error);
  if (bytes) {
    own->bytes = (int64_t)event_file_read(bytes, length, prefixes, KINDS, last);
    run->last_step[METRIC_TRAIN] = last[METRIC_TRAIN];
    run->last_step[METRIC_EVAL] = last[METRIC_EVAL];
    own->result_is_there = last[RESULT] >= 0;
  }
  arena_free(&scratch);
  return bytes != NULL;
}

static bool flush(struct board_run *own, struct error *error) {
  if (own->text.length == 0) return true;
  struct arena scratch = {0};
  char *folder = arena_string(&scratch, own->path);
  *strrchr(folder, '/') = '\0';
  bool fine = folder_make(folder, error);
  arena_free(&scratch);
  if (!fine) return false;
  int file = open(own->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file < 0) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", own->path);
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return error_set(error, EXIT_ENVIRONMENT, "another isoloss writes %s: one at a time, or give another folder",
                     own->path);
  }
  // Behind the whole records: a torn one was never read by anybody.
  fine = lseek(file, own->bytes, SEEK_SET) >= 0 && ftruncate(file, own->bytes) == 0 &&
         file_write_all(file, own->text.bytes, own->text.length);
  if (!fine) error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", own->path);
  if (fine) own->bytes += (int64_t)own->text.length;
  close(file);
  text_free(&own->text);
  return fine;
}

// The text of one run at a time is kept: points come run by run.
static bool write_to(struct tensorboard *board, struct board_run *own, struct error *error) {
  bool fine = true;
  if (board->writing && (board->writing != own || own->text.length > BUFFER_MOST)) fine = flush(board->writing, error);
  board->writing = own;
  if (own && own->bytes == 0 && own->text.length == 0) event_file_begin(&own->text, clock_wall());
  return fine;
}

static size_t keep_finite(struct event_value *values, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (!isnan(values[i].value)) values[kept++] = values[i];
  return kept;
}

static double time_of(const struct stream_run *run, double seconds) {
  double begun = isnan(run->started_at) ? clock_wall() : run->started_at;
  return isnan(seconds) ? begun : begun + seconds;
}

static bool take_point(void *context, struct stream_run *run, const struct metric *metric, struct error *error) {
  struct tensorboard *board = context;
  struct board_run *own = run->own;
  bool eval = metric->kind == METRIC_EVAL;
  struct event_value values[] = {
      {eval ? "eval/loss" : "train/loss", metric->loss},
      {eval ? "eval/oracle_loss" : "train/oracle_loss", metric->oracle_loss},
      {"train/lr", metric->lr},
      {"train/gradient_norm", metric->gradient_norm},
      {"train/tokens_per_second", metric->tokens_per_second},
      {"train/active_parameters", metric->active_parameters},
      {eval ? "eval/tokens" : "train/tokens", metric->tokens},
  };
  size_t count = keep_finite(values, sizeof values / sizeof *values);
  if (count == 0) return true;
  if (!write_to(board, own, error)) return false;
  event_file_add(&own->text, time_of(run, metric->seconds), metric->step, values, count);
  return true;
}

static bool take_state(void *context, struct stream_run *run, struct error *error) {
  struct tensorboard *board = context;
  struct board_run *own = run->own;
  if (strcmp(run->state, "done") != 0 || isnan(run->loss) || own->result_is_there) return true;
  if (!write_to(board, own, error)) return false;
  struct event_value value = {"result/loss", run->loss};
  event_file_add(&own->text, clock_wall(), run->step >= 0 ? run->step : run->steps, &value, 1);
  own->result_is_there = true;
  return true;
}

struct tensorboard *tensorboard_open(const char *folder, const char *experiment, struct error *error) {
  struct tensorboard *board = memory_get(sizeof *board);
  board->folder = path_join(&board->arena, path_canonical(&board->arena, folder), experiment);
  board->stream.experiment = arena_string(&board->arena, experiment);
  if (folder_make(board->folder, error)) {
    read_folder(board);
    return board;
  }
  tensorboard_close(board);
  return NULL;
}

bool tensorboard_take(struct tensorboard *board, struct store *store, enum stream_look look, struct error *error) {
  const struct stream_taker taker = {board, begin_run, take_point, take_state};
  board->store = store;
  return stream_take(&board->stream, store, look, &taker, error) && write_to(board, NULL, error);
}

size_t tensorboard_open_runs(const struct tensorboard *board, size_t *stopped) {
  *stopped = board->stream.stopped;
  return board->stream.open;
}

void tensorboard_close(struct tensorboard *board) {
  if (!board) return;
  if (board->writing) text_free(&board->writing->text);
  stream_free(&board->stream);
  arena_free(&board->arena);
  free(board);
}
