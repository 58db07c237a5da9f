// See ready.h.
#include "runner/execute/ready.h"

#include <inttypes.h>
#include <math.h>

#include "results/store.h"
#include "trainer/data/corpus.h"
#include "trainer/trainer.h"

static bool run_is(struct store *store, const char *sql, const char *run) {
  struct error ignored = {0};
  struct value id = store_text(run);
  struct store_rows *rows = store_select(store, sql, &id, 1, &ignored);
  bool found = rows && store_rows_next(rows, &ignored);
  store_rows_close(rows);
  return found;
}

static bool run_finished(struct store *store, const char *run) {
  return run_is(store, "SELECT 1 FROM runs WHERE id = ?1 AND state IN ('done', 'diverged')", run);
}

// It will not be started: done, or left out by isoloss cancel.
static bool run_unwanted(struct store *store, const char *run) {
  return run_finished(store, run) || run_is(store, "SELECT 1 FROM marks WHERE run = ?1 AND mark = 'cancelled'", run);
}

bool plan_finished(const struct plan *plan, const bool *chosen) {
  struct error ignored = {0};
  struct store *store = store_exists_home() ? store_open_home(STORE_READ, &ignored) : NULL;
  bool all = store != NULL;
  for (size_t i = 0; i < plan->count && all; i++) {
    if (chosen && !chosen[i]) continue;
    struct planned_run run;
    plan_run(plan, i, &run);
    all = run_finished(store, run.id);
  }
  store_close(store);
  return all;
}

bool plan_verify_corpora(const struct plan *plan, struct error *error) {
  for (size_t i = 0; i < plan->corpus_count; i++) {
    const struct plan_corpus *corpus = &plan->corpora[i];
    bool prepared = corpus->facts.known && !corpus->unused && !corpus->refused && corpus->folder && *corpus->folder;
    // With suites in it a corpus has another digest than the text that lies there.
    const char *digest = corpus->config.corpus.suites_share > 0 ? NULL : corpus->facts.digest;
    if (prepared && !corpus_verify_once(corpus->folder, digest, error)) return false;
  }
  return true;
}

bool plan_fits_memory(const struct plan *plan, const bool *chosen, double bytes, const char *limit,
                      struct error *error) {
  struct error ignored = {0};
  struct store *store = store_exists_home() ? store_open_home(STORE_READ, &ignored) : NULL;
  bool fine = true;
  for (size_t i = 0; i < plan->count && fine && !plan_on_gpu(plan); i++) {
    struct planned_run run;
    struct memory_advice advice;
    char need[32], there[32], less[32];
    if (chosen && !chosen[i]) continue;
    plan_run_quick(plan, i, &run);
    double needs = plan_needs(plan, &run);
    if (!(needs > bytes)) continue;
    plan_run(plan, i, &run);
    if (store && run_unwanted(store, run.id)) continue;
    bool fits = trainer_memory_advice(plan->ops, plan->device, &run.config, (int64_t)bytes, &advice);
    fine = error_set(error, EXIT_ENVIRONMENT,
                     "run %.8s needs %s of memory, and %s gives runs %s; with train.accumulation %" PRId64
                     " and train.recompute %s it needs %s%s",
                     run.id, bytes_human(needs, need), limit, bytes_human(bytes, there), advice.accumulation,
                     advice.recompute, bytes_human((double)advice.total, less), fits ? "" : ", the least there is");
  }
  store_close(store);
  return fine;
}

bool plan_fits_gpus(const struct plan *plan, const bool *chosen, const struct gpu_list *gpus, struct error *error) {
  double largest = 0;
  for (size_t i = 0; i < gpus->count; i++) largest = fmax(largest, gpus->items[i].bytes);
  bool known = plan_on_gpu(plan) && spec_trains_model(plan->spec);
  for (size_t i = 0; i < gpus->count; i++) known = known && !isnan(gpus->items[i].bytes);
  struct error ignored = {0};
  struct store *store = store_exists_home() ? store_open_home(STORE_READ, &ignored) : NULL;
  bool fine = true;
  for (size_t i = 0; i < plan->count && fine && plan_on_gpu(plan) && spec_trains_model(plan->spec); i++) {
    struct planned_run run;
    struct memory_advice advice;
    char need[32], there[32], less[32];
    if (chosen && !chosen[i]) continue;
    plan_run(plan, i, &run);
    double bytes = run.memory + (double)trainer_process_bytes(plan->ops);
    if (!known || bytes <= largest || (store && run_unwanted(store, run.id))) continue;
    bool fits = trainer_memory_advice(plan->ops, plan->device, &run.config, (int64_t)largest, &advice);
    fine = error_set(error, EXIT_ENVIRONMENT,
                     "run %.8s needs %s of a GPU's memory, the largest of these has %s; with train.accumulation "
                     "%" PRId64 " and train.recompute %s it needs %s%s",
                     run.id, bytes_human(bytes, need), bytes_human(largest, there), advice.accumulation,
                     advice.recompute, bytes_human((double)advice.total, less), fits ? "" : ", the least there is");
  }
  store_close(store);
  return fine;
}
