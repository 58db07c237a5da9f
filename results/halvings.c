// Decisions of successive halving: which runs of a competition go on from a rung.
#include <math.h>

#include "results/store_internal.h"

bool store_halving_put(struct store *store, const struct halving_record *record, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store,
      "INSERT INTO halvings (experiment, competition, rung, run, over, share, step, loss_step, loss, place, kept, "
      "decided_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
      "ON CONFLICT (experiment, competition, rung, run) DO UPDATE SET over = ?5, share = ?6, step = ?7, "
      "loss_step = ?8, loss = ?9, place = ?10, kept = ?11, decided_at = ?12",
      error);
  if (!s) return false;
  bind_text(s, 1, record->experiment);
  bind_text(s, 2, record->competition);
  bind_number(s, 3, (double)record->rung);
  bind_text(s, 4, record->run);
  bind_text(s, 5, record->over);
  bind_number(s, 6, record->share);
  bind_number(s, 7, (double)record->step);
  bind_number(s, 8, record->loss_step ? (double)record->loss_step : NAN);
  bind_number(s, 9, record->loss);
  bind_number(s, 10, (double)record->place);
  bind_number(s, 11, record->kept);
  bind_number(s, 12, clock_wall());
  return store_step_done(store, s, "writing a decision of halving", error);
}

struct store_rows *store_halvings(struct store *store, const char *experiment, const char *competition,
                                  struct error *error) {
  struct value values[] = {store_text(experiment), store_text(competition)};
  return store_select(store,
                      "SELECT competition, rung, run, over, share, step, loss_step, loss, place, kept, decided_at "
                      "FROM halvings WHERE experiment = ?1 AND (?2 IS NULL OR competition = ?2) "
                      "ORDER BY competition, rung, place",
                      values, 2, error);
}

bool store_evaluation_before(struct store *store, const char *run, int64_t step, int64_t *at, double *loss,
                             struct error *error) {
  struct value values[] = {store_text(run), store_number((double)step)};
  struct store_rows *rows = store_select(
      store,
      "SELECT step, loss FROM metrics WHERE run = ?1 AND kind = 'eval' AND step <= ?2 ORDER BY step DESC LIMIT 1",
      values, 2, error);
  *at = 0;
  *loss = NAN;
  if (rows && store_rows_next(rows, error)) {
    struct value value = store_rows_value(rows, 1);
    *at = (int64_t)store_rows_value(rows, 0).number;
    if (value.kind == VALUE_NUMBER) *loss = value.number;
  }
  store_rows_close(rows);
  return !error->code;
}

struct store_rows *store_halved(struct store *store, const char *experiment, struct error *error) {
  struct value value = store_text(experiment);
  return store_select(store,
                      "SELECT r.halved_at, count(*) FROM experiment_runs e JOIN runs r ON r.id = e.run "
                      "WHERE e.experiment = ?1 AND r.halved_at IS NOT NULL GROUP BY r.halved_at ORDER BY r.halved_at",
                      &value, 1, error);
}
