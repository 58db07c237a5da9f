// See time_left.h.
#include "runner/execute/time_left.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/plan/halving.h"
#include "runner/plan/memo.h"
#include "runner/plan/trunks.h"
#include "runner/spec/spec.h"
#include "trainer/data/corpus.h"
#include "trainer/stages/stage.h"

// Of an experiment's runs: what is still to be trained, and how fast those that are done went.
struct work {
  double flops_left, flops_done, seconds_done;
  double slots;  // runs at work
};

// The experiment's spec, as it was stored.
struct stored_spec {
  struct spec spec;
  struct diagnostics diagnostics;
  struct arena arena;
  bool read;  // one that this version cannot read says nothing of trunks and halving: each run is counted by itself
};

static struct stored_spec *read_spec(struct store *store, const char *experiment, struct error *error) {
  struct stored_spec *stored = memory_get(sizeof *stored);
  struct spec_options options = {.experiment = experiment};
  struct error unread = {0};
  const char *text = NULL, *path = NULL;
  *stored = (struct stored_spec){.read = false};
  struct store_rows *rows = store_experiments(store, experiment, error);
  if (rows && store_rows_next(rows, error)) {
    text = arena_string(&stored->arena, store_rows_get(rows, "spec_text").text);
    path = arena_string(&stored->arena, store_rows_get(rows, "spec_path").text);
  }
  store_rows_close(rows);
  stored->read = text && spec_parse(&stored->spec, path, text, strlen(text), &options, &stored->diagnostics, &unread);
  return stored;
}

static void drop_spec(struct stored_spec *stored) {
  spec_free(&stored->spec);
  diagnostics_free(&stored->diagnostics);
  arena_free(&stored->arena);
  free(stored);
}

// What halving will stop, on average of those that compete.
static bool take_halving_off(struct store *store, struct stored_spec *stored, struct work *work, struct error *error) {
  struct plan plan = {0};
  struct error unread = {0};
  bool made = plan_make(&plan, &stored->spec, &(struct plan_options){0}, &stored->diagnostics, &unread);
  const struct plan_halving *halving = made ? plan.halving : NULL;
  for (size_t g = 0; halving && g < halving->group_count && !error->code; g++) {
    const struct halving_group *group = &halving->groups[g];
    for (size_t m = 0; m < group->count && !error->code; m++) {
      struct planned_run run;
      plan_run(&plan, group->runs[m], &run);
      struct value id = store_text(run.id);
      struct store_rows *rows = store_select(
          store,
          "SELECT r.flops, coalesce(r.step, 0) FROM runs r LEFT JOIN marks m ON m.run = r.id WHERE r.id = ?1 AND r.state "
          "IN ('pending', 'killed', 'running') AND r.halved_at IS NULL AND (m.mark IS NULL OR m.mark = 'retry')",
          &id, 1, error);
      if (rows && store_rows_next(rows, error)) {
        struct value flops = store_rows_value(rows, 0);
        int64_t step = (int64_t)store_rows_value(rows, 1).number;
        double stopped = (double)(group->steps - step) - halving_steps_left(group, halving->rule->rung_count, step);
        if (flops.kind == VALUE_NUMBER) work->flops_left -= flops.number * stopped / (double)group->steps;
      }
      store_rows_close(rows);
    }
  }
  plan_free(&plan);
  return !error->code;
}

// What branches begin after, of runs that have not begun.
static bool take_trunks_off(struct store *store, const char *experiment, struct work *work, struct error *error) {
  struct value value = store_text(experiment);
  struct trunk_savings savings = {0};
  struct arena arena = {0};
  size_t count, groups;
  struct store_rows *rows = store_select(
      store,
      "SELECT r.config, r.corpus_digest, r.flops, r.state = 'running' OR coalesce(r.step, 0) > 0, r.state = 'done', r.id "
      "FROM experiment_runs e JOIN runs r ON r.id = e.run LEFT JOIN marks m ON m.run = r.id WHERE e.experiment = ?1 AND "
      "r.stage = 'train' AND r.state IN ('pending', 'killed', 'running', 'done') AND (m.mark IS NULL OR m.mark = 'retry')",
      &value, 1, error);
  while (rows && store_rows_next(rows, error)) {
    struct value config = store_rows_value(rows, 0), digest = store_rows_value(rows, 1),
                 flops = store_rows_value(rows, 2);
    struct run_config resolved;
    struct error unread = {0};
    if (config.kind != VALUE_TEXT || digest.kind != VALUE_TEXT || flops.kind != VALUE_NUMBER ||
        !config_read(&arena, config.text, &resolved, &unread))
      continue;
    bool begun = store_rows_value(rows, 3).number != 0;
    if (store_rows_value(rows, 4).number != 0)
      trunk_savings_add_done(&savings, 0, &resolved, digest.text, store_rows_value(rows, 5).text);
    else
      trunk_savings_add(&savings, 0, &resolved, digest.text, begun ? 0 : flops.number, 0);
  }
  store_rows_close(rows);
  struct trunk_branch *branches = trunk_branches(&savings, false, &count, &groups);
  for (size_t i = 0; i < count; i++) work->flops_left -= branches[i].flops;
  free(branches);
  trunk_savings_free(&savings);
  arena_free(&arena);
  return !error->code;
}

// ---- trainings ----

// The names of stages, as a list in SQL.
static const char *stage_names(struct arena *arena) {
  struct text text = {0};
  for (size_t i = 0; i < stage_count; i++) text_format(&text, "%s'%s'", i ? ", " : "", stages[i].name);
  const char *names = arena_string(arena, text_string(&text));
  text_free(&text);
  return names;
}

static bool count_trainings(struct store *store, const char *experiment, struct work *work, struct error *error) {
  struct value value = store_text(experiment);
  struct arena arena = {0};
  struct store_rows *rows = store_select(
      store,
      arena_format(&arena,
                   "SELECT sum(CASE WHEN r.state IN ('pending', 'killed', 'running') AND r.halved_at IS NULL THEN "
                   "r.flops * (1 - coalesce(1.0 * r.step / r.steps, 0)) * (m.mark IS NULL OR m.mark = 'retry') END), "
                   "sum(CASE WHEN r.state = 'done' AND r.wall_seconds > 0 THEN r.flops * (1 - coalesce(1.0 * "
                   "r.trunk_step / r.steps, 0)) END), sum(CASE WHEN r.state = 'done' AND r.wall_seconds > 0 THEN "
                   "r.wall_seconds - coalesce(r.trunk_seconds, 0) END), sum(r.state = 'running') "
                   "FROM experiment_runs e JOIN runs r ON r.id = e.run LEFT JOIN marks m ON m.run = r.id WHERE "
                   "e.experiment = ?1 AND r.stage NOT IN (%s)",
                   stage_names(&arena)),
      &value, 1, error);
  if (rows && store_rows_next(rows, error)) {
    double *const numbers[] = {&work->flops_left, &work->flops_done, &work->seconds_done, &work->slots};
    for (int i = 0; i < 4; i++) {
      struct value number = store_rows_value(rows, i);
      if (number.kind == VALUE_NUMBER) *numbers[i] += number.number;
    }
  }
  store_rows_close(rows);
  arena_free(&arena);
  return !error->code;
}

// ---- stages ----

// The corpus that the last run had, so that runs of one corpus look it up once.
struct last_corpus {
  char digest[DIGEST_LENGTH + 1];
  int64_t context;
  struct corpus_facts facts;
};

static const struct corpus_facts *facts_of(const struct run_config *config, const char *digest, struct arena *arena,
                                           struct last_corpus *last) {
  struct error unknown = {0};
  if (strcmp(last->digest, digest) == 0 && last->context == config->model.context) return &last->facts;
  *last = (struct last_corpus){.context = config->model.context};
  snprintf(last->digest, sizeof last->digest, "%s", digest);
  if (!corpus_facts_find(config, &last->facts, NULL, arena, &unknown) || strcmp(last->facts.digest, digest) != 0)
    last->facts = (struct corpus_facts){.known = false};
  return &last->facts;
}

// FLOPs of a stage's own run: what goes through the model in it, evaluations at its end included. What the row has as C
// is that of the chain's trainings.
static double stage_flops(const struct run_config *config, const struct stage *stage,
                          const struct corpus_facts *facts) {
  double most = facts->known ? (double)facts->validation_tokens : INFINITY;
  double tokens = stage->forward_tokens(config, facts) + fmin((double)config->train.final_eval_tokens, most);
  return config_quantities(config, facts).flops_per_token / 3 * tokens;
}

// What the settings of a stage's run say of its work.
struct stage_size {
  double flops, steps;  // NAN: the settings cannot be read; steps 0: it does not train
};

static struct stage_size size_of(const char *config_text, const char *stage_name, const char *digest,
                                 struct arena *arena, struct last_corpus *last) {
  struct arena scratch = {0};
  struct stage_size size = {NAN, 0};
  struct run_config config;
  struct error unread = {0};
  const struct stage *stage = config_read(&scratch, config_text, &config, &unread) ? stage_find(stage_name) : NULL;
  if (stage) {
    size.flops = stage_flops(&config, stage, facts_of(&config, digest, arena, last));
    if (stage_trains(stage, &config)) {
      stage->training(&config);
      size.steps = (double)config.train.steps;
    }
  }
  arena_free(&scratch);
  return size;
}

// A hash of what the size depends on. Seeds and learning rates move no amount of work: runs that differ in them alone
// are read once, which is most of the time that this takes.
static uint64_t size_key(const char *config, const char *stage, const char *digest) {
  uint64_t key = hash64(digest, strlen(digest), hash64(stage, strlen(stage), 0));
  const char *from = config;
  for (const char *at = strstr(config, "\":"); at; at = strstr(at, "\":")) {
    const char *name = at;
    while (name > config && name[-1] != '.' && name[-1] != '"') name--;
    size_t length = (size_t)(at - name);
    at += 2;
    if ((length != 4 || memcmp(name, "seed", 4) != 0) && (length != 2 || memcmp(name, "lr", 2) != 0)) continue;
    key = hash64(from, (size_t)(at - from), key);
    from = at += strcspn(at, ",}");
  }
  return hash64(from, strlen(from), key);
}

static bool count_stages(struct store *store, const char *experiment, struct work *work, struct error *error) {
  struct value value = store_text(experiment);
  struct arena arena = {0};
  struct memo flops_known = {0}, steps_known = {0};
  struct last_corpus last = {.context = -1};
  struct store_rows *rows = store_select(
      store,
      arena_format(
          &arena,
          "SELECT r.config, r.corpus_digest, r.state, r.step, r.wall_seconds, r.stage, m.mark IS NULL OR m.mark = 'retry' FROM "
          "experiment_runs e JOIN runs r ON r.id = e.run LEFT JOIN marks m ON m.run = r.id WHERE e.experiment = ?1 AND "
          "r.stage IN (%s) AND r.state IN ('pending', 'killed', 'running', 'done')",
          stage_names(&arena)),
      &value, 1, error);
  while (rows && store_rows_next(rows, error)) {
    struct value text = store_rows_value(rows, 0), digest = store_rows_value(rows, 1),
                 seconds = store_rows_value(rows, 4);
    const char *state = store_rows_value(rows, 2).text, *stage = store_rows_value(rows, 5).text;
    work->slots += strcmp(state, "running") == 0;
    if (text.kind != VALUE_TEXT || digest.kind != VALUE_TEXT) continue;
    uint64_t key = size_key(text.text, stage, digest.text);
    struct stage_size size;
    if (!memo_find(&flops_known, key, &size.flops) || !memo_find(&steps_known, key, &size.steps)) {
      size = size_of(text.text, stage, digest.text, &arena, &last);
      memo_put(&flops_known, key, size.flops);
      memo_put(&steps_known, key, size.steps);
    }
    if (!isfinite(size.flops)) continue;
    if (strcmp(state, "done") != 0 && store_rows_value(rows, 6).number != 0) {
      double step = store_rows_value(rows, 3).number;
      work->flops_left += size.flops * (size.steps > 0 && step > 0 ? 1 - fmin(step / size.steps, 1) : 1);
    } else if (strcmp(state, "done") == 0 && seconds.kind == VALUE_NUMBER && seconds.number > 0) {
      work->flops_done += size.flops;
      work->seconds_done += seconds.number;
    }
  }
  store_rows_close(rows);
  memo_free(&flops_known);
  memo_free(&steps_known);
  arena_free(&arena);
  return !error->code;
}

// ---- all of it ----

double experiment_time_left(struct store *store, const char *experiment, struct error *error) {
  struct work work = {0};
  if (!count_trainings(store, experiment, &work, error) || !count_stages(store, experiment, &work, error) ||
      !(work.flops_left >= 0) || !(work.flops_done > 0))
    return NAN;
  struct stored_spec *stored = read_spec(store, experiment, error);
  bool fine = !error->code;
  if (fine && stored->read && spec_shares_trunks(&stored->spec))
    fine = take_trunks_off(store, experiment, &work, error);
  if (fine && stored->read && stored->spec.halving.node) fine = take_halving_off(store, stored, &work, error);
  drop_spec(stored);
  if (!fine) return NAN;
  return work.flops_left * work.seconds_done / work.flops_done / fmax(work.slots, 1);
}
