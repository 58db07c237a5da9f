// isoloss stream: what is new in an experiment, for other people's programs.
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/execute/home_lock.h"
#include "runner/live/tensorboard.h"
#include "runner/slurm/status.h"

enum { COLLECT_SECONDS = 10 };

struct lines {
  bool csv;
  struct text text;
};

// ---- lines ----

static const char *const point_columns[] = {
    "tokens", "loss", "lr", "gradient_norm", "tokens_per_second", "seconds", "oracle_loss", "active_parameters"};

static void point_values(const struct metric *metric, double values[8]) {
  const double all[] = {metric->tokens,
                        metric->loss,
                        metric->lr,
                        metric->gradient_norm,
                        metric->tokens_per_second,
                        metric->seconds,
                        metric->oracle_loss,
                        metric->active_parameters};
  memcpy(values, all, sizeof all);
}

static bool put(struct lines *lines, struct error *error) {
  bool fine = fwrite(lines->text.bytes, 1, lines->text.length, stdout) == lines->text.length;
  text_clear(&lines->text);
  return fine || error_set_errno(error, EXIT_ENVIRONMENT, "cannot write to standard output");
}

static bool put_point(void *context, struct stream_run *run, const struct metric *metric, struct error *error) {
  struct lines *lines = context;
  const char *kind = metric->kind == METRIC_EVAL ? "eval" : "train";
  double values[8];
  char number[32];
  point_values(metric, values);
  if (lines->csv) {
    text_format(&lines->text, "%s,%s,%lld", run->id, kind, (long long)metric->step);
    for (size_t i = 0; i < 8; i++) {
      if (!isnan(values[i])) number_shortest(values[i], number);
      text_format(&lines->text, ",%s", isnan(values[i]) ? "" : number);
    }
    text_char(&lines->text, '\n');
    return put(lines, error);
  }
  struct json_writer json = json_writer(&lines->text, false);
  json_object_begin(&json);
  json_key_string(&json, "kind", kind);
  json_key_string(&json, "run", run->id);
  json_key_integer(&json, "step", metric->step);
  for (size_t i = 0; i < 8; i++)
    if (!isnan(values[i])) json_key_number(&json, point_columns[i], values[i]);
  json_object_end(&json);
  text_char(&lines->text, '\n');
  return put(lines, error);
}

static bool put_state(void *context, struct stream_run *run, struct error *error) {
  struct lines *lines = context;
  if (lines->csv) return true;
  struct json_writer json = json_writer(&lines->text, false);
  json_object_begin(&json);
  json_key_string(&json, "kind", "state");
  json_key_string(&json, "run", run->id);
  json_key_string(&json, "state", run->state);
  if (run->step >= 0) json_key_integer(&json, "step", run->step);
  if (!isnan(run->loss)) json_key_number(&json, "loss", run->loss);
  json_object_end(&json);
  text_char(&lines->text, '\n');
  return put(lines, error);
}

static void put_head(const struct lines *lines) {
  if (!lines->csv) return;
  printf("run,kind,step");
  for (size_t i = 0; i < 8; i++) printf(",%s", point_columns[i]);
  printf("\n");
}

// ---- looking again and again ----

// Whether anybody may still bring something new: runs are open, or stopped ones while somebody is at work on the home.
static bool over(const char *home, size_t open, size_t stopped) {
  return open == 0 && (stopped == 0 || home_lock_holder(home) == 0);
}

// What jobs of Slurm's did is in their folders until somebody collects it.
static void collect(const char *home) {
  struct slurm_status slurm;
  slurm_status_take(&slurm, home);
  slurm_status_free(&slurm);
}

static bool look(const char *experiment, struct stream *stream, struct tensorboard *board,
                 const struct stream_taker *taker, size_t *open, size_t *stopped, struct error *error) {
  struct store *store = store_open_home(STORE_READ, error);
  bool exists = true;
  bool fine = store && store_experiment_exists(store, experiment, &exists, error);
  if (fine && !exists) {
    struct arena arena = {0};
    fine = error_set(error, EXIT_USAGE_ERROR, "'%s' is no experiment of the store", experiment);
    error_hint(error, store_nearest_experiment(store, &arena, experiment), " (isoloss status lists them)");
    arena_free(&arena);
  }
  if (fine && board) {
    fine = tensorboard_take(board, store, error);
    *open = tensorboard_open_runs(board, stopped);
  } else if (fine) {
    fine = stream_take(stream, store, STREAM_ALL, taker, error);
    *open = stream->open;
    *stopped = stream->stopped;
  }
  store_close(store);
  if (fine && !board && fflush(stdout) != 0)
    fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot write to standard output");
  return fine;
}

// Waits so long; true once a signal has come, which is taken.
static bool asked_to_end(int signals, double seconds) {
  struct pollfd end = {signals, POLLIN, 0};
  struct signalfd_siginfo taken;
  return poll(&end, 1, (int)(seconds * 1000)) > 0 && read(signals, &taken, sizeof taken) > 0;
}

static void stream(const char *experiment, const char *home, const char *folder, bool csv, bool follow, double interval,
                   struct error *error) {
  struct lines lines = {.csv = csv};
  struct stream stream = {.experiment = experiment};
  const struct stream_taker taker = {&lines, NULL, put_point, put_state};
  struct tensorboard *board = NULL;
  sigset_t wanted, before;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  sigaddset(&wanted, SIGHUP);
  sigprocmask(SIG_BLOCK, &wanted, &before);
  int signals = signalfd(-1, &wanted, SFD_CLOEXEC);
  size_t open = 0, stopped = 0;
  bool first = true;
  double collected = 0;
  do {
    if (follow && (first || clock_seconds() > collected + COLLECT_SECONDS)) {
      collect(home);
      collected = clock_seconds();
    }
    if (!look(experiment, &stream, board, &taker, &open, &stopped, error)) break;
    // A name that is none is told before a folder is made for it.
    if (first && folder &&
        (!(board = tensorboard_open(folder, experiment, error)) ||
         !look(experiment, &stream, board, &taker, &open, &stopped, error)))
      break;
    first = false;
  } while (follow && !over(home, open, stopped) && !asked_to_end(signals, interval));
  if (board && !error->code) printf("%s\n", folder);
  // A signal that came meanwhile was for this.
  const struct timespec none = {0};
  while (sigtimedwait(&wanted, NULL, &none) > 0) continue;
  close(signals);
  sigprocmask(SIG_SETMASK, &before, NULL);
  tensorboard_close(board);
  stream_free(&stream);
  text_free(&lines.text);
}

void command_stream(struct command_line *line) {
  const char *folder = NULL;
  bool csv = false, follow = false;
  double interval = 2;
  const struct option options[] = {
      {"csv", 0, OPTION_FLAG, &csv, NULL, "points as CSV, in place of JSON Lines"},
      {"tensorboard", 0, OPTION_TEXT, &folder, "FOLDER", "write event files there, in place of lines"},
      {"follow", 0, OPTION_FLAG, &follow, NULL, "go on until no run of the experiment is open"},
      {"interval", 0, OPTION_NUMBER, &interval, "SECONDS", "between two looks with --follow (default 2)"},
      {0}};
  const struct command_usage usage = {
      "isoloss stream EXPERIMENT [--csv | --tensorboard FOLDER] [--follow]",
      "The points of all curves of an experiment, run by run, as JSON Lines: \"kind\" is train, eval, or state for a run\n"
      "that began or ended (not in CSV). With --follow what comes later too, each point once; it only reads the store, so\n"
      "any number may look on. --tensorboard writes FOLDER/EXPERIMENT, a folder for each run; called again, it adds what\n"
      "is new. isoloss run --tensorboard FOLDER does that while it runs.",
      1, 1, "one experiment"};
  if (!command_begin(line, &usage, options)) return;
  const char *home = isoloss_home(&line->arena);
  struct lines head = {.csv = csv};
  if (csv && folder)
    error_set(&line->error, EXIT_USAGE_ERROR, "stream: --csv and --tensorboard exclude each other");
  else if (!(interval >= 0.1 && interval <= 3600))
    error_set(&line->error, EXIT_USAGE_ERROR, "stream: --interval takes 0.1 to 3600 seconds");
  else if (!store_exists_home())
    error_set(&line->error, EXIT_ENVIRONMENT, "nothing has run yet: there is no database in %s", home);
  else {
    if (!folder) put_head(&head);
    stream(line->arguments[0], home, folder, csv, follow, interval, &line->error);
  }
}
