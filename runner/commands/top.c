// isoloss top: the runs at work, drawn again and again.
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/signals.h"
#include "results/store.h"
#include "runner/commands.h"
#include "runner/execute/home_lock.h"
#include "runner/slurm/status.h"
#include "runner/terminal/sparkline.h"
#include "runner/terminal/table.h"

enum { CELLS = 16, PLAIN_RUNS = 1000, FAILURES = 3, COLLECT_SECONDS = 10 };

struct view {
  const char *home, *experiment;  // experiment NULL: all
  struct slurm_status slurm;
  double collected_at;  // monotonic; 0: never
  bool ascii;
};

// ---- what is drawn ----

// The loss along a run, CELLS means over equal parts of its steps.
static bool draw_curve(struct store *store, const char *id, double steps, bool ascii, struct text *out,
                       struct error *error) {
  double cells[CELLS];
  for (int i = 0; i < CELLS; i++) cells[i] = NAN;
  struct value values[] = {store_text(id), store_number(steps), store_number(CELLS)};
  struct store_rows *rows = steps > 0 ? store_select(store,
                                                     "SELECT CAST(min((step - 1) * ?3 / ?2, ?3 - 1) AS INTEGER), "
                                                     "avg(loss) FROM metrics WHERE run = ?1 AND kind = 'train' AND "
                                                     "step > 0 AND loss IS NOT NULL GROUP BY 1",
                                                     values, 3, error)
                                      : NULL;
  while (rows && store_rows_next(rows, error)) {
    int cell = (int)store_rows_value(rows, 0).number;
    if (cell >= 0 && cell < CELLS) cells[cell] = store_rows_value(rows, 1).number;
  }
  store_rows_close(rows);
  sparkline_add(out, cells, CELLS, ascii);
  return !error->code;
}

static bool add_run(struct text_table *table, struct store *store, const struct store_rows *rows, bool ascii,
                    struct error *error) {
  char text[32];
  const char *id = store_rows_value(rows, 0).text, *host = store_rows_value(rows, 7).text;
  double step = store_rows_number(rows, 1), steps = store_rows_number(rows, 2), loss = store_rows_number(rows, 3),
         speed = store_rows_number(rows, 4), tokens = store_rows_number(rows, 5), started = store_rows_number(rows, 6);
  double left = speed > 0 && steps > 0 ? tokens * (1 - step / steps) / speed : NAN;
  struct text curve = {0};
  text_table_cell(table, "%.8s", id);
  text_table_cell(table, steps > 0 ? "%.0f/%.0f" : "%.0f", isnan(step) ? 0 : step, steps);
  text_table_cell(table, "%s", isnan(loss) ? "-" : loss_human(loss, text));
  bool fine = draw_curve(store, id, steps, ascii, &curve, error);
  text_table_cell(table, "%s", text_string(&curve));
  text_free(&curve);
  text_table_cell(table, "%s", isnan(speed) ? "-" : number_human(speed, text));
  text_table_cell(table, "%s", isnan(left) ? "-" : left == 0 ? "evaluating" : seconds_human(left, text));
  text_table_cell(table, "%s", isnan(started) ? "-" : seconds_human(fmax(0, clock_wall() - started), text));
  text_table_cell(table, "%s", host ? visible(&table->arena, host) : "-");
  return fine;
}

static bool draw_runs(const struct view *view, struct store *store, int64_t most, FILE *out, struct error *error) {
  struct text_table table = {.gap = 2, .indent = 0};
  const struct text_column columns[] = {{"run"},
                                        {"step", .right = true},
                                        {"loss", .right = true},
                                        {"loss so far", .least = CELLS},
                                        {"tokens/s", .right = true},
                                        {"left", .right = true},
                                        {"since", .right = true},
                                        {"node"},
                                        {0}};
  struct value values[] = {store_text(view->experiment), store_number((double)most)};
  struct store_rows *rows = store_select(
      store,
      "SELECT r.id, r.step, r.steps, r.train_loss, r.tokens_per_second, r.tokens, r.started_at, r.host, count(*) OVER () "
      "FROM runs r WHERE r.state = 'running' AND (?1 IS NULL OR r.id IN (SELECT run FROM experiment_runs WHERE "
      "experiment = ?1)) ORDER BY r.started_at, r.id LIMIT ?2",
      values, 2, error);
  text_table_columns(&table, columns);
  int64_t shown = 0, all = 0;
  while (rows && store_rows_next(rows, error)) {
    all = (int64_t)store_rows_number(rows, 8);
    shown++;
    if (!add_run(&table, store, rows, view->ascii, error)) break;
  }
  store_rows_close(rows);
  if (shown) text_table_print(&table, out);
  if (!error->code && !shown) fprintf(out, "no run is at work\n");
  if (all > shown) fprintf(out, "and %lld more at work\n", (long long)(all - shown));
  text_table_free(&table);
  return !error->code;
}

static bool draw_failures(const struct view *view, struct store *store, FILE *out, struct error *error) {
  struct arena arena = {0};
  struct value values[] = {store_text(view->experiment), store_number(FAILURES)};
  struct store_rows *rows =
      store_select(store,
                   "SELECT id, message FROM runs WHERE state = 'failed' AND (?1 IS NULL OR id IN (SELECT run FROM "
                   "experiment_runs WHERE experiment = ?1)) ORDER BY finished_at DESC, id LIMIT ?2",
                   values, 2, error);
  for (int i = 0; rows && store_rows_next(rows, error); i++) {
    const char *message = store_rows_value(rows, 1).text;
    const char *line = message ? arena_copy(&arena, message, strcspn(message, "\n")) : "";
    fprintf(out, "%sfailed %.8s  %s\n", i ? "" : "\n", store_rows_value(rows, 0).text, visible(&arena, line));
  }
  store_rows_close(rows);
  arena_free(&arena);
  return !error->code;
}

static bool draw_experiments(const struct view *view, struct store *store, FILE *out, int *lines, struct error *error) {
  enum { MOST = 6 };
  struct arena arena = {0};
  int count = 0;
  struct store_rows *rows = store_experiments(store, view->experiment, error);
  while (rows && store_rows_next(rows, error)) {
    double open = store_rows_get(rows, "pending").number + store_rows_get(rows, "running").number +
                  store_rows_get(rows, "killed").number;
    // Without a name those that are not finished.
    if (!view->experiment && open == 0) continue;
    if (++count > MOST) continue;
    fprintf(out, "%s: %.0f of %.0f done, %.0f at work", visible(&arena, store_rows_get(rows, "name").text),
            store_rows_get(rows, "done").number, store_rows_get(rows, "runs").number,
            store_rows_get(rows, "running").number);
    static const char *const others[] = {"pending", "killed", "diverged", "failed"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
      if (store_rows_get(rows, others[i]).number > 0)
        fprintf(out, ", %.0f %s", store_rows_get(rows, others[i]).number, others[i]);
    fprintf(out, "\n");
  }
  store_rows_close(rows);
  if (count > MOST) fprintf(out, "and %d more experiments\n", count - MOST);
  if (count == 0) fprintf(out, "everything is finished\n");
  *lines = count > MOST ? MOST + 1 : count ? count : 1;
  arena_free(&arena);
  return !error->code;
}

// `rows`: of the terminal; 0: no bound.
static bool draw(struct view *view, int rows, FILE *out, struct error *error) {
  int used = 0;
  if (view->collected_at == 0 || clock_seconds() > view->collected_at + COLLECT_SECONDS) {
    if (view->collected_at != 0) slurm_status_free(&view->slurm);
    slurm_status_take(&view->slurm, view->home);
    view->collected_at = clock_seconds();
  }
  struct store *store = store_open_home(STORE_READ, error);
  bool fine = store && (!view->experiment || store_experiment_expect(store, view->experiment, error)) &&
              draw_experiments(view, store, out, &used, error);
  if (fine && view->slurm.any) {
    fprintf(out, "Slurm: %s\n", view->slurm.words);
    used++;
    if (view->slurm.why || view->slurm.said) {
      struct arena arena = {0};
      fprintf(out, "%s\n", visible(&arena, view->slurm.said ? view->slurm.said : view->slurm.why));
      arena_free(&arena);
      used++;
    }
  } else if (fine && home_lock_holder(view->home) == 0) {
    fprintf(out, "no isoloss run is at work on this home\n");
    used++;
  }
  if (fine) fprintf(out, "\n");
  // Heads, the line of those that do not fit, an empty one and the failures.
  int64_t room = rows ? rows - used - 4 - FAILURES : PLAIN_RUNS;
  fine = fine && draw_runs(view, store, room > 1 ? room : 1, out, error) && draw_failures(view, store, out, error);
  store_close(store);
  return fine;
}

// ---- the terminal ----

// One picture at once: lines as long as the terminal is wide, each over what stood there.
static void show(const char *picture, int columns) {
  struct text out = {0};
  text_add(&out, "\x1b[H");
  for (const char *line = picture; *line;) {
    size_t length = strcspn(line, "\n"), bytes = 0;
    for (int seen = 0; bytes < length; bytes++) {
      if (((unsigned char)line[bytes] & 0xC0) != 0x80 && seen++ == columns) break;
    }
    text_append(&out, line, bytes);
    text_add(&out, "\x1b[K\r\n");
    line += length + (line[length] == '\n');
  }
  text_add(&out, "\x1b[J");
  fwrite(out.bytes, 1, out.length, stdout);
  fflush(stdout);
  text_free(&out);
}

static void measure(int *rows, int *columns) {
  struct winsize size;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 3 && size.ws_col > 20;
  *rows = known ? size.ws_row : 24;
  *columns = known ? size.ws_col : 80;
}

// Waits; false when somebody wants it to end: q, Ctrl-C, a signal, or the other end of the terminal is gone.
static bool wait_for_key(int signals, double seconds) {
  struct pollfd ends[2] = {{signals, POLLIN, 0}, {isatty(STDIN_FILENO) ? STDIN_FILENO : -1, POLLIN, 0}};
  if (poll(ends, 2, (int)(seconds * 1000)) <= 0) return true;
  struct signalfd_siginfo got;
  if (ends[0].revents && read(signals, &got, sizeof got) == (ssize_t)sizeof got) return got.ssi_signo == SIGWINCH;
  char key = 'q';
  if (!ends[1].revents) return true;
  return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3;
}

static bool live(struct view *view, double interval, struct error *error) {
  struct signal_watch signals;
  struct termios usual, raw;
  bool keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &usual) == 0;
  signal_watch_begin(&signals, SIGWINCH);
  if (keys) {
    raw = usual;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  fputs("\x1b[?1049h\x1b[?25l\x1b[2J", stdout);
  for (bool go_on = true; go_on && !error->code;) {
    char *picture = NULL;
    size_t length;
    int rows, columns;
    measure(&rows, &columns);
    FILE *out = open_memstream(&picture, &length);
    bool fine = out && draw(view, rows, out, error);
    if (out) fclose(out);
    if (fine) show(picture, columns);
    free(picture);
    go_on = fine && wait_for_key(signals.descriptor, interval);
  }
  fputs("\x1b[?25h\x1b[?1049l", stdout);
  fflush(stdout);
  if (keys) tcsetattr(STDIN_FILENO, TCSANOW, &usual);
  signal_watch_end(&signals);
  return !error->code;
}

void command_top(struct command_line *line) {
  double interval = 2;
  bool once = false;
  const struct option options[] = {
      {"interval", 0, OPTION_NUMBER, &interval, "SECONDS", "between two pictures (default 2)"},
      {"once", 0, OPTION_FLAG, &once, NULL, "print one picture and end, as where the output is no terminal"},
      {0}};
  const struct command_usage usage = {
      "isoloss top [EXPERIMENT] [--interval SECONDS] [--once]",
      "The runs at work with their loss as a curve, speed, time left and machine, the counts of each unfinished\n"
      "experiment, Slurm's jobs, and the last failures. q or Ctrl-C ends it. Where the output is no terminal it prints one\n"
      "picture; isoloss status --json is for scripts.",
      0, 1, "one experiment, or none"};
  if (!command_begin(line, &usage, options)) return;
  struct view view = {.home = isoloss_home(&line->arena),
                      .experiment = line->count ? line->arguments[0] : NULL,
                      .ascii = terminal_is_ascii()};
  if (!(interval >= 0.1 && interval <= 3600))
    error_set(&line->error, EXIT_USAGE_ERROR, "top: --interval takes 0.1 to 3600 seconds");
  else if (!store_exists_home())
    error_set(&line->error, EXIT_ENVIRONMENT, "nothing has run yet: there is no database in %s", view.home);
  else if (once || !isatty(STDOUT_FILENO))
    draw(&view, 0, stdout, &line->error);
  else
    live(&view, interval, &line->error);
  if (view.collected_at != 0) slurm_status_free(&view.slurm);
}
