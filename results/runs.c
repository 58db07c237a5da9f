// Experiments, runs and metrics: what the coordinator writes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"
#include "trainer/tasks/task.h"

bool store_experiment_put(struct store *store, const struct experiment_record *experiment, struct error *error) {
  sqlite3_stmt *s =
      store_statement(store,
                      "INSERT INTO experiments (name, about, spec_path, spec_text, created_at, updated_at) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (name) DO UPDATE SET about = ?2, "
                      "spec_path = ?3, spec_text = ?4, updated_at = ?5",
                      error);
  if (!s) return false;
  bind_text(s, 1, experiment->name);
  bind_text(s, 2, experiment->about);
  bind_text(s, 3, experiment->spec_path);
  bind_text(s, 4, experiment->spec_text);
  sqlite3_bind_double(s, 5, clock_wall());
  return store_step_done(store, s, "writing an experiment", error);
}

bool store_experiment_set_runs(struct store *store, const char *name, const char *const *ids, size_t count,
                               struct error *error) {
  bool own = !store->in_transaction;
  if (own && !store_begin(store, error)) return false;
  sqlite3_stmt *s = store_statement(store, "DELETE FROM experiment_runs WHERE experiment = ?1", error);
  if (!s) goto failed;
  bind_text(s, 1, name);
  if (!store_step_done(store, s, "writing an experiment's runs", error)) goto failed;
  for (size_t i = 0; i < count; i++) {
    s = store_statement(store, "INSERT INTO experiment_runs (experiment, position, run) VALUES (?1, ?2, ?3)", error);
    if (!s) goto failed;
    bind_text(s, 1, name);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)i);
    bind_text(s, 3, ids[i]);
    if (!store_step_done(store, s, "writing an experiment's runs", error)) goto failed;
  }
  return own ? store_commit(store, error) : true;
failed:
  if (own) store_rollback(store);
  return false;
}

bool store_experiment_exists(struct store *store, const char *name, bool *exists, struct error *error) {
  sqlite3_stmt *s = store_statement(store, "SELECT 1 FROM experiments WHERE name = ?1", error);
  if (!s) return false;
  bind_text(s, 1, name);
  int code = sqlite3_step(s);
  *exists = code == SQLITE_ROW;
  bool fine = code == SQLITE_ROW || code == SQLITE_DONE || store_fail(store, error, "looking for an experiment");
  sqlite3_reset(s);
  return fine;
}

const char *store_nearest_experiment(struct store *store, struct arena *arena, const char *name) {
  struct error ignored = {0};
  const char **names = NULL;
  size_t count = 0;
  sqlite3_stmt *s = store_statement(store, "SELECT name FROM experiments", &ignored);
  while (s && sqlite3_step(s) == SQLITE_ROW) {
    names = arena_grow(arena, names, count, count + 1, sizeof *names);
    names[count++] = arena_string(arena, (const char *)sqlite3_column_text(s, 0));
  }
  if (s) sqlite3_reset(s);
  return nearest_name(name, names, count);
}

bool store_experiment_expect(struct store *store, const char *name, struct error *error) {
  bool exists;
  if (!store_experiment_exists(store, name, &exists, error)) return false;
  if (exists) return true;
  struct arena arena = {0};
  error_set(error, EXIT_USAGE_ERROR, "'%s' is no experiment of the store", name);
  error_hint(error, store_nearest_experiment(store, &arena, name), " (isoloss status lists them)");
  arena_free(&arena);
  return false;
}

static void write_value(struct json_writer *json, const struct run_field *field, struct value value) {
  json_key(json, field->path);
  switch (value.kind) {
    case VALUE_MISSING:
      json_put_null(json);
      break;
    case VALUE_NUMBER:
      if (field->type == FIELD_INTEGER)
        json_put_integer(json, (int64_t)value.number);
      else
        json_put_number(json, value.number);
      break;
    case VALUE_BOOLEAN:
      json_put_boolean(json, value.number != 0);
      break;
    case VALUE_TEXT:
      json_put_string(json, value.text);
  }
}

// Every field of the configuration, resolved, each value in its one spelling; what stayed auto is null. Fields of a
// spec's own, or of its task, are an object "own"; what a run of a task reports becomes an object "results".
static void write_config(const struct run_config *config, struct text *out) {
  struct json_writer json = json_writer(out, false);
  struct arena arena = {0};
  json_object_begin(&json);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    struct value value = field_get(config, field);
    if (!config_has(config, field))
      value = (struct value){.kind = VALUE_MISSING};
    else if (field->groups & GROUP_FORMAT)
      value.text = config_format_spelling(config, field, &arena);
    else if (value.kind == VALUE_TEXT)
      value.text = field_spelling(field, value.text, &arena);
    write_value(&json, field, value);
  }
  arena_free(&arena);
  if (config->own.count) {
    json_key(&json, "own");
    json_object_begin(&json);
    for (size_t i = 0; i < config->own.count; i++)
      write_value(&json, &config->own.fields[i], field_get(config, &config->own.fields[i]));
    json_object_end(&json);
  }
  json_object_end(&json);
}

enum { MOST_KNOWN = 64 };

// What is known of a run before it starts: first what it is, then what follows from its configuration.
static size_t known_fields(const struct run_record *run, const char *canonical, const char *config,
                           struct store_field fields[MOST_KNOWN]) {
  const struct store_field own[] = {
      {"id", store_text(run->id)},
      {"stage", store_text(run->stage)},
      {"parent", store_text(run->parent)},
      {"dtype", store_text(task_of(run->config) ? NULL : run->config->model.dtype)},
      {"threads", store_number((double)run->config->train.threads)},
      {"corpus_digest", store_text(run->corpus.digest)},
      {"command", store_text(run->trainer)},
      {"created_at", store_number(clock_wall())},
      {"canonical", store_text(canonical)},
      {"config", store_text(config)},
  };
  size_t count = sizeof own / sizeof *own;
  memcpy(fields, own, sizeof own);
  for (size_t i = 0; i < run_column_count && count < MOST_KNOWN; i++)
    if (run_columns[i].planned && run_column_kept(&run_columns[i]))
      fields[count++] =
          (struct store_field){run_columns[i].name, run_columns[i].planned(&run->quantities, &run->corpus)};
  return count;
}

// Statements over all known fields, ?1 the first: a new run, and what was unknown of one that is there (its corpus was
// not prepared then).
static void make_statements(struct store *store, const struct store_field *fields, size_t count) {
  struct text insert = {0}, values = {0}, fill = {0};
  for (size_t i = 0; i < count; i++) {
    text_format(&insert, "%s%s", i ? ", " : "INSERT INTO runs (", fields[i].name);
    text_format(&values, "%s?%zu", i ? ", " : ") VALUES (", i + 1);
    text_format(&fill, "%s%s = coalesce(%s, ?%zu)", i ? ", " : "UPDATE runs SET ", fields[i].name, fields[i].name,
                i + 1);
  }
  store->insert_run =
      arena_format(&store->arena, "%s%s) ON CONFLICT (id) DO NOTHING", text_string(&insert), text_string(&values));
  store->fill_in_run = arena_format(
      &store->arena, "%s WHERE id = ?1 AND (epochs IS NULL OR targets IS NULL OR parameters IS NULL OR flops IS NULL)",
      text_string(&fill));
  text_free(&insert);
  text_free(&values);
  text_free(&fill);
}

static bool write_known(struct store *store, const char *sql, const struct store_field *fields, size_t count,
                        struct error *error) {
  sqlite3_stmt *s = store_statement(store, sql, error);
  for (size_t i = 0; i < count && s; i++) bind_value(s, (int)i + 1, &fields[i].value);
  return s && store_step_done(store, s, "writing a run", error);
}

bool store_run_add(struct store *store, const struct run_record *run, struct error *error) {
  for (size_t i = 0; i < run_field_count; i++)
    if (run_fields[i].groups & GROUP_FORMAT &&
        !(run_fields[i].stage && config_is_default(run->config, &run_fields[i])) &&
        !store_format_add(store, field_get(run->config, &run_fields[i]).text, error))
      return false;
  struct text canonical = {0}, config = {0};
  config_canonical(run->config, &canonical);
  write_config(run->config, &config);
  struct store_field fields[MOST_KNOWN];
  size_t count = known_fields(run, text_string(&canonical), text_string(&config), fields);
  if (!store->insert_run) make_statements(store, fields, count);
  bool fine = write_known(store, store->insert_run, fields, count, error) &&
              (sqlite3_changes(store->database) > 0 || write_known(store, store->fill_in_run, fields, count, error));
  if (fine && *run->config->corpus.files) fine = store_spell_files(store, run->id, text_string(&config), error);
  text_free(&canonical);
  text_free(&config);
  return fine;
}

// Columns that may be set: what table runs keeps, but the identity.
static bool settable(const char *name) {
  const struct run_column *column = run_column_find(name);
  return column && run_column_kept(column) && strcmp(name, "id") != 0;
}

// The statement of this text, reset. NULL on error.
static sqlite3_stmt *update_statement(struct store *store, const char *sql, struct error *error) {
  for (int i = 0; i < UPDATE_CACHE && store->updates[i].sql; i++)
    if (strcmp(store->updates[i].sql, sql) == 0) return store->updates[i].statement;
  sqlite3_stmt *statement;
  if (sqlite3_prepare_v3(store->database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK) {
    store_fail(store, error, "writing a run");
    return NULL;
  }
  struct cached_update *place = &store->updates[store->updates_made++ % UPDATE_CACHE];
  sqlite3_finalize(place->statement);
  free(place->sql);
  *place = (struct cached_update){strcpy(memory_get(strlen(sql) + 1), sql), statement};
  return statement;
}

bool store_run_update(struct store *store, const char *id, const struct store_field *fields, size_t count,
                      struct error *error) {
  if (count == 0) return true;
  struct text sql = {0};
  text_add(&sql, "UPDATE runs SET ");
  for (size_t i = 0; i < count; i++) {
    if (!settable(fields[i].name)) {
      text_free(&sql);
      return error_set(error, EXIT_ENVIRONMENT, "%s: runs have no column '%s' to set", store->path, fields[i].name);
    }
    if (i) text_add(&sql, ", ");
    text_add(&sql, fields[i].name);
    text_add(&sql, " = ?");
  }
  text_add(&sql, " WHERE id = ?");
  sqlite3_stmt *s = update_statement(store, text_string(&sql), error);
  text_free(&sql);
  if (!s) return false;
  for (size_t i = 0; i < count; i++) bind_value(s, (int)i + 1, &fields[i].value);
  bind_text(s, (int)count + 1, id);
  bool fine = store_step_done(store, s, "writing a run", error);
  sqlite3_clear_bindings(s);
  return fine;
}

char *store_run_find(struct store *store, struct arena *arena, const char *prefix, struct error *error) {
  enum { SHOWN = 5 };
  size_t length = strlen(prefix);
  if (length < 4 || length > DIGEST_LENGTH || strspn(prefix, "0123456789abcdef") != length) {
    error_set(error, EXIT_USAGE_ERROR, "'%s' is no run id: give its first characters, at least 4 of 0-9a-f", prefix);
    return NULL;
  }
  sqlite3_stmt *s =
      store_statement(store, "SELECT id FROM runs WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id LIMIT 6", error);
  if (!s) return NULL;
  bind_text(s, 1, prefix);
  char *found = NULL;
  struct text list = {0};
  int count = 0, code;
  while ((code = sqlite3_step(s)) == SQLITE_ROW) {
    const char *id = (const char *)sqlite3_column_text(s, 0);
    if (count++ == 0) found = arena_string(arena, id);
    if (count <= SHOWN) text_format(&list, "\n  %s", id);
  }
  if (code != SQLITE_DONE)
    store_fail(store, error, "looking for a run");
  else if (count == 0)
    error_set(error, EXIT_USAGE_ERROR, "no run's id starts with '%s' (isoloss runs lists them)", prefix);
  else if (count > 1)
    error_set(error, EXIT_USAGE_ERROR, "several runs' ids start with '%s':%s%s", prefix, text_string(&list),
              count > SHOWN ? "\n  ..." : "");
  sqlite3_reset(s);
  text_free(&list);
  return code == SQLITE_DONE && count == 1 ? found : NULL;
}

static const char *kind_name(enum metric_kind kind) { return kind == METRIC_TRAIN ? "train" : "eval"; }

bool store_metric_put(struct store *store, const char *run, const struct metric *metric, struct error *error) {
  sqlite3_stmt *s = store_statement(store,
                                    "INSERT OR REPLACE INTO metrics (run, kind, step, tokens, loss, lr, gradient_norm, "
                                    "tokens_per_second, seconds, oracle_loss, active_parameters) VALUES "
                                    "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                                    error);
  if (!s) return false;
  sqlite3_bind_text(s, 1, run, -1, SQLITE_STATIC);
  sqlite3_bind_text(s, 2, kind_name(metric->kind), -1, SQLITE_STATIC);
  sqlite3_bind_int64(s, 3, metric->step);
  const double numbers[] = {metric->tokens,
                            metric->loss,
                            metric->lr,
                            metric->gradient_norm,
                            metric->tokens_per_second,
                            metric->seconds,
                            metric->oracle_loss,
                            metric->active_parameters};
  for (int i = 0; i < 8; i++) {
    if (isnan(numbers[i]))
      sqlite3_bind_null(s, i + 4);
    else
      sqlite3_bind_double(s, i + 4, numbers[i]);
  }
  return store_step_done(store, s, "writing metrics", error);
}

bool store_metrics_cut(struct store *store, const char *run, int64_t step, struct error *error) {
  sqlite3_stmt *s = store_statement(store, "DELETE FROM metrics WHERE run = ?1 AND step > ?2", error);
  if (!s) return false;
  bind_text(s, 1, run);
  sqlite3_bind_int64(s, 2, step);
  return store_step_done(store, s, "writing metrics", error);
}

struct store_rows *store_metrics(struct store *store, const char *run, enum metric_kind kind, struct error *error) {
  struct value values[] = {store_text(run), store_text(kind_name(kind))};
  return store_select(store,
                      "SELECT kind, step, tokens, loss, lr, gradient_norm, tokens_per_second, seconds, oracle_loss, "
                      "active_parameters FROM metrics WHERE run = ?1 AND kind = ?2 ORDER BY step",
                      values, 2, error);
}

struct store_rows *store_curves(struct store *store, const char *experiment, enum metric_kind kind,
                                struct error *error) {
  struct value values[] = {store_text(experiment), store_text(kind_name(kind))};
  // CROSS JOIN keeps the order of the loops: runs in their order, and the points of each by the metrics' key.
  return store_select(store,
                      "SELECT e.place, m.tokens, m.loss FROM (SELECT run, row_number() OVER (ORDER BY position) - 1 AS "
                      "place FROM experiment_runs WHERE experiment = ?1 ORDER BY position) e CROSS JOIN metrics m "
                      "ON m.run = e.run AND m.kind = ?2 ORDER BY e.place, m.step",
                      values, 2, error);
}

bool store_run_follow(struct store *store, const char *id, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store, "UPDATE runs SET flops_6nd = 6.0 * parameters * tokens WHERE id = ?1 AND command IS NOT NULL", error);
  if (!s) return false;
  bind_text(s, 1, id);
  return store_step_done(store, s, "writing a run", error);
}
