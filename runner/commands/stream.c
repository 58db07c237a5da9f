// isoloss stream: what is new in an experiment, for other people's programs.
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/signals.h"
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

// Where what is new goes: event files, or lines.
struct output {
  const char *experiment, *folder;  // folder NULL: lines
  struct tensorboard *board;        // opened once the experiment is known to be there
  struct lines lines;
  struct stream stream;
};

static bool give(struct output *output, struct store *store, size_t *open, size_t *stopped, struct error *error) {
  if (output->folder) {
    if (!output->board) output->board = tensorboard_open(output->folder, output->experiment, error);
    if (!output->board || !tensorboard_take(output->board, store, STREAM_DUE, error)) return false;
    *open = tensorboard_open_runs(output->board, stopped);
    return true;
  }
  const struct stream_taker taker = {&output->lines, NULL, put_point, put_state};
  if (!stream_take(&output->stream, store, STREAM_DUE, &taker, error)) return false;
  *open = output->stream.open;
  *stopped = output->stream.stopped;
  return fflush(stdout) == 0 || error_set_errno(error, EXIT_ENVIRONMENT, "cannot write to standard output");
}

static bool look(struct output *output, size_t *open, size_t *stopped, struct error *error) {
  struct store *store = store_open_home(STORE_READ, error);
  bool fine =
      store && store_experiment_expect(store, output->experiment, error) && give(output, store, open, stopped, error);
  store_close(store);
  return fine;
}

// Waits so long; true once a signal has come, which is taken.
static bool asked_to_end(int signals, double seconds) {
  struct pollfd end = {signals, POLLIN, 0};
  struct signalfd_siginfo taken;
  return poll(&end, 1, (int)(seconds * 1000)) > 0 && read(signals, &taken, sizeof taken) > 0;
}

static void stream(struct output *output, const char *home, bool follow, double interval, struct error *error) {
  struct signal_watch signals;
  size_t open = 0, stopped = 0;
  double collected = -INFINITY;
  signal_watch_begin(&signals, 0);
  do {
    if (follow && clock_seconds() > collected + COLLECT_SECONDS) {
      collect(home);
      collected = clock_seconds();
    }
  } while (look(output, &open, &stopped, error) && follow && !over(home, open, stopped) &&
           !asked_to_end(signals.descriptor, interval));
  if (output->folder && !error->code) printf("%s\n", output->folder);
  signal_watch_end(&signals);
  tensorboard_close(output->board);
  stream_free(&output->stream);
  text_free(&output->lines.text);
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
  if (csv && folder)
    error_set(&line->error, EXIT_USAGE_ERROR, "stream: --csv and --tensorboard exclude each other");
  else if (!(interval >= 0.1 && interval <= 3600))
    error_set(&line->error, EXIT_USAGE_ERROR, "stream: --interval takes 0.1 to 3600 seconds");
  else if (!store_exists_home())
    error_set(&line->error, EXIT_ENVIRONMENT, "nothing has run yet: there is no database in %s", home);
  else {
    struct output output = {.experiment = line->arguments[0],
                            .folder = folder,
                            .lines = {.csv = csv},
                            .stream = {.experiment = line->arguments[0]}};
    if (!folder) put_head(&output.lines);
    stream(&output, home, follow, interval, &line->error);
  }
}
