// isoloss show: one run: what it is, how it went, where its files are.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "runner/commands.h"
#include "runner/execute/events_reader.h"
#include "runner/execute/rows.h"
#include "runner/execute/run_notes.h"
#include "runner/execute/worker.h"
#include "runner/terminal/table.h"

struct curve {
  double *tokens, *loss;
  int64_t *step;
  size_t count;
};

static bool load_curve(struct store *store, const char *id, enum metric_kind kind, struct arena *arena,
                       struct curve *curve, struct error *error) {
  size_t capacity = 0;
  *curve = (struct curve){0};
  struct store_rows *rows = store_metrics(store, id, kind, error);
  while (rows && store_rows_next(rows, error)) {
    struct value loss = store_rows_get(rows, "loss"), tokens = store_rows_get(rows, "tokens");
    if (curve->count == capacity) {
      size_t more = capacity ? 2 * capacity : 256;
      curve->tokens = arena_grow(arena, curve->tokens, capacity, more, sizeof *curve->tokens);
      curve->loss = arena_grow(arena, curve->loss, capacity, more, sizeof *curve->loss);
      curve->step = arena_grow(arena, curve->step, capacity, more, sizeof *curve->step);
      capacity = more;
    }
    curve->step[curve->count] = (int64_t)store_rows_get(rows, "step").number;
    curve->tokens[curve->count] = tokens.kind == VALUE_NUMBER ? tokens.number : NAN;
    curve->loss[curve->count++] = loss.kind == VALUE_NUMBER ? loss.number : NAN;
  }
  store_rows_close(rows);
  return !error->code;
}

// ---- for people ----

// Fields of the spec's own: the columns that are in no table.
static void print_own_settings(const struct store_rows *rows, struct arena *arena) {
  for (int i = 0; i < store_rows_columns(rows); i++) {
    const char *name = store_rows_name(rows, i);
    struct value value = store_rows_value(rows, i);
    if (run_column_find(name) || run_column_is_result(name) || field_find(name, NULL) || value.kind == VALUE_MISSING)
      continue;
    printf("  %-26s %s\n", name, value_human(name, &value, arena));
  }
}

static void print_settings(const struct store_rows *rows, struct arena *arena) {
  struct run_config fresh;
  const char *task = store_rows_get(rows, "task").text;
  bool model = !task || strcmp(task, TASK_LM) == 0;
  config_default(&fresh);
  struct text_table settings = text_list(2, 26);
  for (int pass = 0; pass < 2; pass++) {
    struct text line = {0};
    if (pass == 1) {
      if (settings.cell_count) {
        printf("settings that are not the default, or follow from others\n");
        text_table_print(&settings, stdout);
      }
      text_table_free(&settings);
      printf("defaults\n");
    }
    for (size_t i = 0; i < run_field_count; i++) {
      const struct run_field *field = &run_fields[i];
      if (!model && !(field->groups & GROUP_ALL_TASKS)) continue;
      struct value value = store_rows_get(rows, field->path), fallback = field_get(&fresh, field);
      bool same = value.kind == fallback.kind &&
                  (value.kind == VALUE_TEXT ? strcmp(value.text, fallback.text) == 0 : value.number == fallback.number);
      if (same != (pass == 1) || (value.kind == VALUE_TEXT && !*value.text)) continue;
      const char *text = value_human(field->path, &value, arena);
      if (pass == 0) {
        text_table_cell(&settings, "%s", field->path);
        text_table_cell(&settings, "%s", text);
        continue;
      }
      if (line.length && line.length + strlen(field->path) + strlen(text) > 108) {
        printf("  %s\n", text_string(&line));
        text_clear(&line);
      }
      text_format(&line, "%s%s %s", line.length ? ", " : "", field->path, text);
    }
    if (line.length) printf("  %s\n", text_string(&line));
    if (pass == 0) print_own_settings(rows, arena);
    text_free(&line);
  }
}

static void print_results(const struct store_rows *rows, struct arena *arena) {
  struct text_table results = text_list(2, 26);
  for (int losses = 1; losses >= 0; losses--) {  // what the run was made for comes first
    for (size_t i = 0; i < run_column_count; i++) {
      const struct run_column *column = &run_columns[i];
      // Its head has said these.
      bool said = column->role == RUN_NOTE && column->place == PLACE_ALWAYS;
      if (column->place < PLACE_SHOW || said || (column->print == PRINT_LOSS) != losses) continue;
      struct value value = store_rows_get(rows, column->name);
      if (value.kind == VALUE_MISSING) continue;
      text_table_cell(&results, "%s", column->name);
      text_table_cell(&results, "%s", value_human(column->name, &value, arena));
    }
  }
  for (int i = 0; i < store_rows_columns(rows); i++) {
    const char *name = store_rows_name(rows, i);
    struct value value = store_rows_value(rows, i);
    if (!run_column_is_result(name) || value.kind == VALUE_MISSING) continue;
    text_table_cell(&results, "%s", name);
    text_table_cell(&results, "%s", value_human(name, &value, arena));
  }
  printf("results\n");
  text_table_print(&results, stdout);
  text_table_free(&results);
}

// A curve as one line of blocks, step in the logarithm: the shape of a loss curve shows there.
static void print_sparkline(const struct curve *curve) {
  enum { CELLS = 60 };
  static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double sums[CELLS] = {0}, low = INFINITY, high = -INFINITY;
  int counts[CELLS] = {0};
  double first = NAN, last = NAN;
  for (size_t i = 0; i < curve->count; i++) {
    if (isnan(curve->loss[i]) || curve->step[i] < 1) continue;
    if (isnan(first)) first = log((double)curve->step[i]);
    last = log((double)curve->step[i]);
  }
  if (isnan(first) || last <= first) return;
  for (size_t i = 0; i < curve->count; i++) {
    if (isnan(curve->loss[i]) || curve->step[i] < 1) continue;
    int cell = (int)((log((double)curve->step[i]) - first) / (last - first) * (CELLS - 1));
    sums[cell] += curve->loss[i];
    counts[cell]++;
  }
  for (int i = 0; i < CELLS; i++) {
    if (!counts[i]) continue;
    low = fmin(low, sums[i] / counts[i]);
    high = fmax(high, sums[i] / counts[i]);
  }
  printf("  ");
  for (int i = 0, before = 7; i < CELLS; i++) {
    if (counts[i]) before = high > low ? (int)((sums[i] / counts[i] - low) / (high - low) * 7) : 0;
    fputs(blocks[before], stdout);
  }
  printf("  %.4f to %.4f, over log step\n", high, low);
}

static void print_curves(const struct curve *train, const struct curve *evals) {
  enum { ROWS = 8 };
  char number[32];
  if (!train->count && !evals->count) return;
  printf("loss curve (%zu training, %zu evaluation points)\n", train->count, evals->count);
  if (colour_wanted(stdout)) print_sparkline(train->count ? train : evals);
  const struct curve *curve = evals->count ? evals : train;
  struct text_table table = {.gap = 2, .indent = 2};
  text_table_column(&table, (struct text_column){"step", .right = true, .least = 10});
  text_table_column(&table, (struct text_column){"tokens", .right = true, .least = 8});
  text_table_column(&table, (struct text_column){evals->count ? "validation loss" : "training loss"});
  size_t shown = curve->count < ROWS ? curve->count : ROWS;
  for (size_t i = 0; i < shown; i++) {
    size_t at = shown > 1 ? i * (curve->count - 1) / (shown - 1) : 0;
    text_table_cell(&table, "%lld", (long long)curve->step[at]);
    text_table_cell(&table, "%s", number_human(curve->tokens[at], number));
    text_table_cell(&table, "%s", isnan(curve->loss[at]) ? "nan" : loss_human(curve->loss[at], number));
  }
  text_table_print(&table, stdout);
  text_table_free(&table);
}

// What a stage made of the model's matrices: one line each.
static bool print_layers(struct store *store, const char *id, struct error *error) {
  static const char *const numbers[] = {"relative_error", "output_error", "weighted_error", "bound",
                                        "bits",           "sparsity",     "alpha",          "alpha_error"};
  struct text_table table = {.gap = 2, .indent = 2};
  struct store_rows *rows = store_layers(store, id, error);
  bool any = false;
  for (; rows && store_rows_next(rows, error); any = true) {
    if (!any) {
      text_table_columns(&table, (const struct text_column[]){{"layer", .right = true}, {"matrix"}, {0}});
      for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        text_table_column(&table, (struct text_column){numbers[i], .right = true});
    }
    text_table_cell(&table, "%.0f", store_rows_get(rows, "layer").number);
    text_table_cell(&table, "%s", store_rows_get(rows, "matrix").text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
      struct value value = store_rows_get(rows, numbers[i]);
      if (value.kind == VALUE_NUMBER)
        text_table_cell(&table, "%.4g", value.number);
      else
        text_table_cell(&table, "-");
    }
  }
  store_rows_close(rows);
  if (any) printf("matrices\n");
  if (any) text_table_print(&table, stdout);
  text_table_free(&table);
  return !error->code;
}

static bool print_people(struct store *store, const struct store_rows *rows, const char *home, struct error *error) {
  struct arena arena = {0};
  struct curve train = {0}, evals = {0};
  const char *id = arena_string(&arena, store_rows_get(rows, "id").text);
  enum run_state state = run_state_parse(store_rows_get(rows, "state").text);
  const char *folder = run_folder(&arena, home, id);
  struct value message = store_rows_get(rows, "message"), value = store_text(id);
  bool dead = state == RUN_RUNNING && !worker_alive(&arena, folder);
  printf("run %s  %s%s\n", id, run_state_name(state),
         dead ? " (but its worker is dead: isoloss run continues it)" : "");
  if (message.kind == VALUE_TEXT && *message.text) printf("message: %s\n", visible(&arena, message.text));
  enum run_mark mark = run_mark_parse(store_rows_get(rows, "mark").text);
  if (mark != MARK_NONE)
    printf("mark: %s\n", run_mark_words(mark, store_rows_get(rows, "marked_by").text,
                                        store_rows_get(rows, "marked_at").number, &arena));
  struct value resumed = store_rows_get(rows, "resumed_under");
  if (resumed.kind == VALUE_TEXT)
    printf("resumed %s: its losses may differ in rounding from those of one machine\n", visible(&arena, resumed.text));
  size_t built_in;
  if (!run_notes_built_in_counts(store, NULL, id, &built_in, error)) {
    arena_free(&arena);
    return false;
  }
  if (built_in)
    printf(
        "parameters: as the built-in model counts them; a custom trainer may have others (an isoloss of before\n"
        "  filled these in; isoloss run SPEC --again trains it anew with what it says)\n");
  struct text damage = {0};
  events_damage_say(&damage, store_rows_get(rows, "log_damaged").number,
                    store_rows_get(rows, "log_damaged_line").number);
  if (damage.length) printf("log: %s\n", text_string(&damage));
  text_free(&damage);
  struct store_rows *members = store_select(
      store, "SELECT experiment FROM experiment_runs WHERE run = ?1 ORDER BY experiment", &value, 1, error);
  for (bool first = true; members && store_rows_next(members, error); first = false)
    printf("%s%s", first ? "experiments: " : ", ", store_rows_value(members, 0).text);
  store_rows_close(members);
  printf("\n\n");
  print_settings(rows, &arena);
  print_results(rows, &arena);
  bool fine = load_curve(store, id, METRIC_TRAIN, &arena, &train, error) &&
              load_curve(store, id, METRIC_EVAL, &arena, &evals, error);
  if (fine) print_curves(&train, &evals);
  fine = fine && print_layers(store, id, error);
  if (run_state_ended_without_loss(state)) {
    const char *tail = worker_log_tail(&arena, folder, 15);
    if (*tail) printf("end of its log\n%s\n", visible(&arena, tail));
  }
  if (file_exists(folder))
    printf("files\n  %s\n  config.json, events.jsonl, log.txt (headed by the command that trains it)\n", folder);
  arena_free(&arena);
  return fine;
}

// ---- for scripts ----

static void put_curve(struct json_writer *json, const char *key, const struct curve *curve) {
  json_key(json, key);
  json_array_begin(json);
  for (size_t i = 0; i < curve->count; i++) {
    json_object_begin(json);
    json_key_integer(json, "step", curve->step[i]);
    json_key_number(json, "tokens", curve->tokens[i]);
    json_key_number(json, "loss", curve->loss[i]);
    json_object_end(json);
  }
  json_array_end(json);
}

static bool put_layers(struct json_writer *json, struct store *store, const char *id, struct error *error) {
  struct store_rows *rows = store_layers(store, id, error);
  json_key(json, "layers");
  json_array_begin(json);
  while (rows && store_rows_next(rows, error)) rows_put_object(json, rows, NULL, 0);
  json_array_end(json);
  store_rows_close(rows);
  return !error->code;
}

static bool print_json(struct store *store, const struct store_rows *rows, const char *home, struct error *error) {
  struct arena arena = {0};
  struct text text = {0};
  struct curve train = {0}, evals = {0};
  const char *id = store_rows_get(rows, "id").text, *folder = run_folder(&arena, home, id);
  bool fine = load_curve(store, id, METRIC_TRAIN, &arena, &train, error) &&
              load_curve(store, id, METRIC_EVAL, &arena, &evals, error);
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key(&json, "run");
  rows_put_object(&json, rows, NULL, 0);
  json_key_boolean(&json, "alive", worker_alive(&arena, folder));
  json_key_string(&json, "folder", folder);
  put_curve(&json, "train", &train);
  put_curve(&json, "eval", &evals);
  fine = put_layers(&json, store, id, error) && fine;
  json_key_string(&json, "log_tail", worker_log_tail(&arena, folder, 15));
  json_object_end(&json);
  text_char(&text, '\n');
  if (fine) fwrite(text.bytes, 1, text.length, stdout);
  text_free(&text);
  arena_free(&arena);
  return fine;
}

static bool show(const char *prefix, bool as_json, struct error *error) {
  struct arena arena = {0};
  const char *home = isoloss_home(&arena);
  struct store *store = store_open_home(STORE_READ, error);
  const char *id = store ? store_run_find(store, &arena, prefix, error) : NULL;
  struct store_rows *rows = id ? store_run(store, id, error) : NULL;
  bool fine = rows && (as_json ? print_json(store, rows, home, error) : print_people(store, rows, home, error));
  store_rows_close(rows);
  store_close(store);
  arena_free(&arena);
  return fine;
}

void command_show(struct command_line *line) {
  bool as_json = false;
  const struct option options[] = {
      {"json", 0, OPTION_FLAG, &as_json, NULL, "one JSON object: run, train, eval, layers, folder, log_tail, alive"},
      {0}};
  const struct command_usage usage = {"isoloss show RUN [--json]",
                                      "RUN is the beginning of its id, at least 4 characters.", 1, 1, "one run"};
  if (command_begin(line, &usage, options)) show(line->arguments[0], as_json, &line->error);
}
