// Experiments, runs and metrics: what the coordinator writes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/store_internal.h"

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
  sqlite3_bind_double(s, 5, store_now());
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

// Every field of the configuration, resolved; what stayed auto is null.
static void write_config(const struct run_config *config, struct text *out) {
  struct json_writer json = json_writer(out, false);
  json_object_begin(&json);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    struct value value = config_get(config, field);
    json_key(&json, field->path);
    switch (value.kind) {
      case VALUE_MISSING:
        json_put_null(&json);
        break;
      case VALUE_NUMBER:
        if (field->type == FIELD_INTEGER)
          json_put_integer(&json, (int64_t)value.number);
        else
          json_put_number(&json, value.number);
        break;
      case VALUE_BOOLEAN:
        json_put_boolean(&json, value.number != 0);
        break;
      case VALUE_TEXT:
        json_put_string(&json, value.text);
    }
  }
  json_object_end(&json);
}

static bool fill_in_quantities(struct store *store, const struct run_record *run, struct error *error) {
  sqlite3_stmt *s = store_statement(store,
                                    "UPDATE runs SET epochs = coalesce(epochs, ?2), targets = coalesce(targets, ?3), "
                                    "irreducible_loss = coalesce(irreducible_loss, ?4), "
                                    "bytes_per_token = coalesce(bytes_per_token, ?5) WHERE id = ?1 AND "
                                    "(epochs IS NULL OR targets IS NULL)",
                                    error);
  if (!s) return false;
  bind_text(s, 1, run->id);
  bind_number(s, 2, run->quantities.epochs);
  bind_number(s, 3, run->targets);
  bind_number(s, 4, run->irreducible_loss);
  bind_number(s, 5, run->bytes_per_token);
  return store_step_done(store, s, "writing a run", error);
}

bool store_run_add(struct store *store, const struct run_record *run, struct error *error) {
  if (!store_format_add(store, run->config->format, error)) return false;
  sqlite3_stmt *s = store_statement(
      store,
      "INSERT INTO runs (id, stage, parent, parameters, parameters_total, parameters_embedding, parameters_head, "
      "parameters_attention, parameters_mlp, parameters_norms, parameters_prunable, parameters_active, "
      "parameters_active_average, tokens, targets, steps, epochs, flops, flops_6nd, irreducible_loss, corpus_digest, "
      "bytes_per_token, command, created_at, canonical, config, dtype, threads) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
      "?8, ?9, ?10, ?11, ?12, ?28, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27) "
      "ON CONFLICT (id) DO NOTHING",
      error);
  if (!s) return false;
  struct text canonical = {0}, config = {0};
  config_canonical(run->config, &canonical);
  write_config(run->config, &config);
  const struct run_quantities *q = &run->quantities;
  const struct parameter_counts *p = &q->parameters;
  bind_text(s, 1, run->id);
  bind_text(s, 2, run->stage);
  bind_text(s, 3, run->parent);
  sqlite3_bind_int64(s, 4, p->non_embedding);
  sqlite3_bind_int64(s, 5, p->total);
  sqlite3_bind_int64(s, 6, p->embedding);
  sqlite3_bind_int64(s, 7, p->head);
  sqlite3_bind_int64(s, 8, p->attention);
  sqlite3_bind_int64(s, 9, p->mlp);
  sqlite3_bind_int64(s, 10, p->norms);
  sqlite3_bind_int64(s, 11, p->prunable);
  bind_number(s, 12, q->active_parameters);  // by the configuration; the trainer reports what it found
  bind_number(s, 28, q->average_active_parameters);
  sqlite3_bind_int64(s, 13, q->tokens);
  bind_number(s, 14, run->targets);
  sqlite3_bind_int64(s, 15, q->steps);
  bind_number(s, 16, q->epochs);
  bind_number(s, 17, q->flops);
  bind_number(s, 18, q->flops_6nd);
  bind_number(s, 19, run->irreducible_loss);
  bind_text(s, 20, run->corpus_digest);
  bind_number(s, 21, run->bytes_per_token);
  bind_text(s, 22, run->trainer);
  sqlite3_bind_double(s, 23, store_now());
  bind_text(s, 24, text_string(&canonical));
  bind_text(s, 25, text_string(&config));
  bind_text(s, 26, run->config->model.dtype);
  sqlite3_bind_int64(s, 27, run->config->train.threads);
  text_free(&canonical);
  text_free(&config);
  if (!store_step_done(store, s, "writing a run", error)) return false;
  return sqlite3_changes(store->database) > 0 || fill_in_quantities(store, run, error);
}

// Names of columns that may be set: everything but the identity.
static bool settable(struct store *store, const char *name) {
  static const char *const internal[] = {"log_offset", "log_check", "pid"};
  if (strcmp(name, "id") == 0 || strchr(name, '.')) return false;
  for (size_t i = 0; i < sizeof internal / sizeof *internal; i++)
    if (strcmp(name, internal[i]) == 0) return true;
  for (int i = 0; i < store->column_count; i++)
    if (strcmp(name, store->columns[i].name) == 0) return starts_with(store->columns[i].sql, "r.");
  return false;
}

bool store_run_update(struct store *store, const char *id, const struct store_field *fields, size_t count,
                      struct error *error) {
  if (count == 0) return true;
  struct text sql = {0};
  text_add(&sql, "UPDATE runs SET ");
  for (size_t i = 0; i < count; i++) {
    if (!settable(store, fields[i].name)) {
      text_free(&sql);
      return error_set(error, EXIT_ENVIRONMENT, "%s: runs have no column '%s' to set", store->path, fields[i].name);
    }
    text_format(&sql, "%s%s = ?%zu", i ? ", " : "", fields[i].name, i + 2);
  }
  text_add(&sql, " WHERE id = ?1");
  sqlite3_stmt *s = NULL;
  bool fine = sqlite3_prepare_v2(store->database, text_string(&sql), -1, &s, NULL) == SQLITE_OK;
  text_free(&sql);
  if (!fine) return store_fail(store, error, "writing a run");
  bind_text(s, 1, id);
  for (size_t i = 0; i < count; i++) {
    const struct value *value = &fields[i].value;
    int index = (int)i + 2;
    if (value->kind == VALUE_TEXT)
      bind_text(s, index, value->text);
    else if (value->kind == VALUE_MISSING)
      sqlite3_bind_null(s, index);
    else
      bind_number(s, index, value->number);
  }
  fine = store_step_done(store, s, "writing a run", error);
  sqlite3_finalize(s);
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
