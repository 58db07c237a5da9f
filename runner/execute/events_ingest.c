// Event logs into the store; see events_reader.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/execute/events_reader.h"

enum { MOST_FIELDS = 64 };

struct ingest {
  struct run_log *log;
  struct store *store;
  const char *id;
  double bytes_per_token;
  bool changed;
  bool write;  // the present event is not in the store yet
};

void run_log_init(struct run_log *log, int64_t offset, int64_t check) {
  *log = (struct run_log){.stored = {offset, check}};
  log->tokens = log->loss = log->seconds = NAN;
  log->train_loss = log->tokens_per_second = log->train_seconds = NAN;
}

static bool restart(void *context, struct error *error) {
  struct ingest *ingest = context;
  run_log_init(ingest->log, 0, 0);
  ingest->changed = true;
  return store_metrics_cut(ingest->store, ingest->id, -1, error) &&
         store_solutions_cut(ingest->store, ingest->id, -1, error) &&
         store_layers_cut(ingest->store, ingest->id, error) && store_results_cut(ingest->store, ingest->id, error);
}

static bool cut(struct ingest *ingest, int64_t step, struct error *error) {
  return !ingest->write || (store_metrics_cut(ingest->store, ingest->id, step, error) &&
                            store_solutions_cut(ingest->store, ingest->id, step, error));
}

static int64_t whole(double value) { return isfinite(value) && value > 0 && value < 0x1p53 ? (int64_t)value : 0; }

// Why a column cannot have what an event brings for it: numbers that would go into fits as they are. Sizes, tokens and
// FLOPs are counts.
static void note_fault(struct run_log *log, const struct event *event, const struct run_column *column, const char *key,
                       const char *text, double number) {
  double parsed;
  bool integer = column->type == TYPE_INTEGER, unknown = text && number_parse(text, &parsed) && !isfinite(parsed);
  if (log->fault[0] || column->role != RUN_QUANTITY || unknown || (!text && isnan(number))) return;
  if (!text && number >= 0 && number < (integer ? 0x1p53 : INFINITY) && (!integer || number == floor(number))) return;
  snprintf(log->fault, sizeof log->fault, "the trainer's event '%s' has %s %.15g, which is no count",
           event_kind_name(event->kind), key, number);
  if (text)
    snprintf(log->fault, sizeof log->fault, "the trainer's event '%s' has a text as %s", event_kind_name(event->kind),
             key);
}

// Sets the columns that this event brings, those that it has, and one more (may be NULL).
static bool put_columns(struct ingest *ingest, const struct event *event, const struct store_field *more,
                        struct error *error) {
  const char *kind = event_kind_name(event->kind);
  struct store_field fields[MOST_FIELDS];
  size_t used = 0;
  if (more) fields[used++] = *more;
  for (size_t i = 0; i < run_column_count; i++) {
    const struct run_column_event *brings = run_columns[i].events;
    if (!run_column_kept(&run_columns[i])) continue;  // of table solutions
    for (size_t e = 0; e < sizeof run_columns->events / sizeof *brings && brings[e].event; e++) {
      if (strcmp(brings[e].event, kind) != 0) continue;
      const char *text = event_text(event, brings[e].key);
      double number = event_number(event, brings[e].key);
      note_fault(ingest->log, event, &run_columns[i], brings[e].key, text, number);
      if ((!text && isnan(number)) || (text && run_columns[i].type != TYPE_TEXT) || used == MOST_FIELDS) continue;
      fields[used++] = (struct store_field){run_columns[i].name, text ? store_text(text) : store_number(number)};
    }
  }
  if (ingest->log->fault[0] || !ingest->write) return true;
  return store_run_update(ingest->store, ingest->id, fields, used, error) &&
         store_run_follow(ingest->store, ingest->id, error);
}

// What changes the rounding of a run that continues under another one.
static const char *const conditions[] = {"trainer", "backend", "device", "dtype", "gemm", "kernel", "isa", "threads"};

// Compares with the last `start`, and says what differs from `step` on.
static void note_conditions(struct run_log *log, const struct event *event, double from) {
  struct text text = {0};
  bool first = true;
  for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
    char now[sizeof log->under[i]] = "", *before = log->under[i];
    const char *said = event_text(event, conditions[i]);
    double number = event_number(event, conditions[i]);
    if (said)
      snprintf(now, sizeof now, "%.*s", (int)sizeof now - 1, said);
    else if (!isnan(number))
      snprintf(now, sizeof now, "%.15g", number);
    if (log->started && from != 0 && strcmp(now, before) != 0) {
      if (first) text_format(&text, "%sfrom step %.0f on under ", log->resumed_under[0] ? "; " : "", from);
      text_format(&text, "%s%s '%s' (before: '%s')", first ? "" : ", ", conditions[i], now, before);
      first = false;
    }
    memcpy(before, now, sizeof now);
  }
  if (from == 0) log->resumed_under[0] = '\0';  // begun anew: all steps are of this worker
  size_t used = strlen(log->resumed_under);
  snprintf(log->resumed_under + used, sizeof log->resumed_under - used, "%s", text_string(&text));
  log->started = true;
  text_free(&text);
}

static bool on_start(struct ingest *ingest, const struct event *event, struct error *error) {
  struct run_log *log = ingest->log;
  log->end = EVENT_OTHER;
  log->progressed = false;
  log->results = 0;
  log->message[0] = log->fault[0] = '\0';
  if (whole(event_number(event, "steps"))) log->steps = whole(event_number(event, "steps"));
  log->pid = whole(event_number(event, "pid"));
  snprintf(log->host, sizeof log->host, "%s", event_text(event, "host") ? event_text(event, "host") : "");
  double from = event_number(event, "resumed_from");
  note_conditions(log, event, isfinite(from) ? from : (double)log->step);
  // A run that is trained from its start has no trunk, whatever an earlier worker had.
  static const struct store_field no_trunk[] = {{"trunk"}, {"trunk_step"}, {"trunk_seconds"}};
  if (from == 0 && ingest->write && !store_run_update(ingest->store, ingest->id, no_trunk, 3, error)) return false;
  if (isfinite(from)) {
    log->last_train_step = log->step = whole(from);
    if (!cut(ingest, whole(from), error)) return false;
  }
  return put_columns(ingest, event, NULL, error);
}

static bool on_metric(struct ingest *ingest, const struct event *event, struct error *error) {
  struct run_log *log = ingest->log;
  struct metric metric = {
      .kind = event->kind == EVENT_STEP ? METRIC_TRAIN : METRIC_EVAL,
      .tokens = event_number(event, "tokens"),
      .loss = event_number(event, "loss"),
      .lr = event_number(event, "lr"),
      .gradient_norm = event_number(event, "grad_norm"),
      .tokens_per_second = event_number(event, "tokens_per_second"),
      .seconds = event_number(event, "seconds"),
      .oracle_loss = event_number(event, "oracle_loss"),
      .active_parameters = event_number(event, "active_parameters"),
  };
  double step = event_number(event, "step");
  if (!isfinite(step) || step < 0 || step >= 0x1p53) {  // nothing to file it under
    if (log->damage.lines++ == 0) log->damage.first = event->line;
    return true;
  }
  metric.step = (int64_t)step;
  // A trainer that does not say where it resumes: a step that goes back begins again from there.
  if (metric.kind == METRIC_TRAIN) {
    if (metric.step < log->last_train_step && !cut(ingest, metric.step, error)) return false;
    log->last_train_step = metric.step;
    log->train_loss = metric.loss;
  }
  log->end = EVENT_OTHER;
  log->progressed = true;
  log->step = metric.step;
  log->tokens = metric.tokens;
  log->loss = metric.loss;
  if (!isnan(metric.seconds)) log->seconds = metric.seconds;
  if (!isnan(metric.tokens_per_second)) log->tokens_per_second = metric.tokens_per_second;
  return !ingest->write || store_metric_put(ingest->store, ingest->id, &metric, error);
}

static bool on_layer(struct ingest *ingest, const struct event *event, struct error *error) {
  struct run_log *log = ingest->log;
  const char *matrix = event_text(event, "matrix");
  double layer = event_number(event, "layer");
  if (!matrix || !(layer >= 0 && layer < 0x1p53)) {  // nothing to file it under
    if (log->damage.lines++ == 0) log->damage.first = event->line;
    return true;
  }
  const struct layer_record record = {.layer = (int64_t)layer,
                                      .matrix = matrix,
                                      .rows = event_number(event, "rows"),
                                      .columns = event_number(event, "columns"),
                                      .relative_error = event_number(event, "relative_error"),
                                      .output_error = event_number(event, "output_error"),
                                      .weighted_error = event_number(event, "weighted_error"),
                                      .bound = event_number(event, "bound"),
                                      .bits = event_number(event, "bits"),
                                      .sparsity = event_number(event, "sparsity"),
                                      .alpha = event_number(event, "alpha"),
                                      .alpha_error = event_number(event, "alpha_error")};
  log->progressed = true;
  return !ingest->write || store_layer_put(ingest->store, ingest->id, &record, error);
}

// The numbers of a step's metrics: the last are columns of the run, all of them curves.
static bool on_solution(struct ingest *ingest, const struct event *event, struct error *error) {
  double step = event_number(event, "step");
  if (!(step >= 0 && step < 0x1p53)) {  // nothing to file it under
    if (ingest->log->damage.lines++ == 0) ingest->log->damage.first = event->line;
    return true;
  }
  for (size_t i = 0; i < run_column_count && ingest->write; i++) {
    const struct run_column_event *from = &run_columns[i].events[0];
    if (!from->event || strcmp(from->event, event_kind_name(EVENT_METRICS)) != 0) continue;
    double value = event_number(event, from->key);
    if (isfinite(value) && !store_solution_put(ingest->store, ingest->id, run_columns[i].name, (int64_t)step,
                                               event_number(event, "tokens"), value, error))
      return false;
  }
  return put_columns(ingest, event, NULL, error);
}

// The results of a task's run; those that no task of this program reports are passed over, as unknown fields are.
static bool put_results(struct ingest *ingest, json_t *results, struct error *error) {
  const char *name;
  json_t *value;
  if (!ingest->write) return true;
  json_object_foreach(results, name, value) {
    if (!json_is_number(value) || !run_column_is_result(name)) continue;
    if (!store_result_put(ingest->store, ingest->id, name, json_number_value(value), error)) return false;
  }
  return true;
}

// The last of several results of one worker counts, which is said: it may be another run's, or a trainer started twice.
static void note_results(struct run_log *log) {
  if (++log->results < 2) return;
  size_t used = strlen(log->message);
  snprintf(log->message + used, sizeof log->message - used,
           "%sits log has %d results (done or diverged), the last counts", used ? "; " : "", log->results);
}

static bool on_done(struct ingest *ingest, const struct event *event, struct error *error) {
  struct run_log *log = ingest->log;
  double loss = event_number(event, "loss");
  log->message[0] = '\0';
  log->progressed = true;
  log->end = EVENT_DONE;
  log->loss = loss;
  if (whole(event_number(event, "step"))) log->step = whole(event_number(event, "step"));
  log->tokens = event_number(event, "tokens");
  if (!isnan(event_number(event, "wall_seconds"))) log->seconds = event_number(event, "wall_seconds");
  log->train_seconds = event_number(event, "train_seconds");
  const json_t *told = json_object_get(event->object, "loss");
  json_t *results = json_object_get(event->object, "results");
  if (json_is_object(results) && !told)
    return put_columns(ingest, event, NULL, error) && put_results(ingest, results, error);
  double infinite;  // in quotes; a bare NaN is read as an empty object
  bool text = json_is_string(told) && !(number_parse(json_string_value(told), &infinite) && !isfinite(infinite));
  if (!told || text || json_is_boolean(told) || json_is_array(told) || json_object_size(told)) {
    // a fault of the trainer, not of the run
    log->end = EVENT_FAILED;
    snprintf(log->message, sizeof log->message, "the trainer's event 'done' has %s",
             told ? "a loss that is no number" : "no loss");
    return true;
  }
  if (!isfinite(loss)) {
    log->end = EVENT_DIVERGED;
    snprintf(log->message, sizeof log->message, "the final loss is not a finite number");
    return true;
  }
  bool follows = isnan(event_number(event, "bits_per_byte")) && ingest->bytes_per_token > 0;
  struct store_field bits = {"bits_per_byte", store_number(loss / M_LN2 / ingest->bytes_per_token)};
  if (!put_columns(ingest, event, follows ? &bits : NULL, error) || !put_results(ingest, results, error)) return false;
  if (log->fault[0]) {
    log->end = EVENT_FAILED;
    snprintf(log->message, sizeof log->message, "%s", log->fault);
  }
  return true;
}

static bool on_event(void *context, const struct event *event, struct error *error) {
  struct ingest *ingest = context;
  struct run_log *log = ingest->log;
  const char *message = event_text(event, "message");
  ingest->changed = true;
  ingest->write = event->end > log->stored.offset;
  switch (event->kind) {
    case EVENT_START:
      return on_start(ingest, event, error);
    case EVENT_STEP:
    case EVENT_EVAL:
      return on_metric(ingest, event, error);
    case EVENT_CHECKPOINT:
      return put_columns(ingest, event, NULL, error);
    case EVENT_DONE:
      if (!on_done(ingest, event, error)) return false;
      if (log->end != EVENT_FAILED) note_results(log);
      return true;
    case EVENT_DIVERGED:
      log->progressed = true;
      break;
    case EVENT_STOPPED:
    case EVENT_FAILED:
      break;
    case EVENT_LAYER:
      return on_layer(ingest, event, error);
    case EVENT_METRICS:
      return on_solution(ingest, event, error);
    case EVENT_OTHER:
      return true;
  }
  log->end = event->kind;
  if (whole(event_number(event, "step"))) log->step = whole(event_number(event, "step"));
  snprintf(log->message, sizeof log->message, "%s", message ? message : "");
  if (event->kind == EVENT_DIVERGED) note_results(log);
  return true;
}

bool run_log_ingest(struct run_log *log, struct store *store, const char *id, const char *path, double bytes_per_token,
                    bool *changed, struct error *error) {
  struct run_log before = *log;
  struct ingest ingest = {log, store, id, bytes_per_token, false, true};
  struct events_handler handler = {&ingest, restart, on_event};
  struct events_reader reader = log->reader;
  if (changed) *changed = false;
  if (log->unreadable[0]) return true;
  // The store's part of the log must still be there; otherwise all of it is written anew.
  if (log->stored.offset > 0 && reader.offset == 0 && events_check(path, log->stored.offset) != log->stored.check &&
      !restart(&ingest, error)) {
    *log = before;
    return false;
  }
  struct error reading = {0};
  struct events_damage passed = {0};
  if (!events_read(&reader, path, &handler, &passed, &reading)) {
    if (reading.code != EXIT_RUNS_FAILED) {
      *log = before;
      *error = reading;
      return false;
    }
    snprintf(log->unreadable, sizeof log->unreadable, "%.*s", (int)sizeof log->unreadable - 1, reading.text);
    ingest.changed = true;
  }
  log->reader = reader;
  if (passed.lines && (log->damage.lines == 0 || passed.first < log->damage.first)) log->damage.first = passed.first;
  log->damage.lines += passed.lines;
  if (!ingest.changed && reader.offset == before.reader.offset) return true;
  if (changed) *changed = true;
  struct store_field fields[] = {
      {"log_offset", store_number((double)reader.offset)},
      {"log_check", store_number((double)reader.check)},
      {"step", store_number((double)log->step)},
      {"train_loss", store_number(log->train_loss)},
      {"tokens_per_second", store_number(log->tokens_per_second)},
      {"resumed_under", store_text(log->resumed_under[0] ? log->resumed_under : NULL)},
      {"log_damaged", store_number((double)log->damage.lines)},
      {"log_damaged_line", store_number(log->damage.lines ? (double)log->damage.first : NAN)},
  };
  return store_run_update(store, id, fields, sizeof fields / sizeof *fields, error);
}
