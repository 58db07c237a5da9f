// See paired.h: groups, the roles of settings, pairs.
#include "runner/fits/paired.h"

#include <math.h>
#include <string.h>

#include "runner/fits/internal.h"

// ---- groups ----

static bool is_setting(const char *name) {
  const struct run_field *field = field_find(name, NULL);
  if (field) return field->effect == EFFECT_COUNTS;
  const struct run_column *column = run_column_find(name);
  return column ? column->role == RUN_SETTING || strcmp(name, "stage") == 0
                : !run_column_is_result(name);  // else a spec's own field
}

static const char *setting_text(struct arena *arena, const struct value *value) {
  char number[32];
  if (value->kind == VALUE_TEXT) return arena_string(arena, value->text);
  if (value->kind == VALUE_MISSING) return "";
  if (value->kind == VALUE_BOOLEAN) return value->number != 0 ? "true" : "false";
  number_shortest(value->number, number);
  return arena_string(arena, number);
}

static double number_of(const struct store_rows *rows, const char *name) {
  struct value value = store_rows_get(rows, name);
  return value.kind == VALUE_NUMBER ? value.number : NAN;
}

static void add_run(struct paired *paired, struct paired_group *group, size_t *room, const struct store_rows *rows) {
  struct arena *arena = &paired->arena;
  const char *measure = paired->request.measure_column, *match = paired->request.match_column;
  if (group->count == *room) {
    group->runs = arena_grow(arena, group->runs, *room, 2 * *room + 32, sizeof *group->runs);
    *room = 2 * *room + 32;
  }
  struct paired_run *run = &group->runs[group->count++];
  *run = (struct paired_run){.id = arena_string(arena, store_rows_get(rows, "id").text),
                             .state = run_state_parse(store_rows_get(rows, "state").text),
                             .loss = number_of(rows, measure ? measure : "loss"),
                             .matched = match ? number_of(rows, match) : NAN,
                             .tokens = number_of(rows, "tokens"),
                             .flops = number_of(rows, "flops"),
                             .train_seconds = number_of(rows, "train_seconds"),
                             .settings = arena_array(arena, paired->name_count, sizeof *run->settings)};
  if (run->state != RUN_DONE) run->loss = NAN;
  group->states[run->state]++;
  group->without_loss += run->state == RUN_DONE && !isfinite(run->loss);
  for (size_t i = 0; i < paired->name_count; i++) {
    struct value value = store_rows_get(rows, paired->names[i]);
    run->settings[i] = setting_text(arena, &value);
  }
}

static bool read_group(struct paired *paired, int which, struct store *store, struct error *error) {
  struct paired_group *group = &paired->groups[which];
  const char *experiment = paired->request.experiments[which], *where = paired->request.wheres[which];
  struct run_query query = {.experiment = experiment, .where = where};
  size_t room = 0;
  bool exists = true;
  group->name = arena_format(&paired->arena, "%s%s%s", experiment ? experiment : "the store", where ? " where " : "",
                             where ? where : "");
  if (experiment && !store_experiment_exists(store, experiment, &exists, error)) return false;
  if (!exists) {
    error_set(error, EXIT_USAGE_ERROR, "there is no experiment '%s' in the store", experiment);
    return error_hint(error, store_nearest_experiment(store, &paired->arena, experiment),
                      " (isoloss status lists them)");
  }
  struct store_rows *rows = store_runs(store, &query, error);
  while (rows && store_rows_next(rows, error)) add_run(paired, group, &room, rows);
  store_rows_close(rows);
  if (error->code) return error_context(error, "%c", "AB"[which]);
  return group->count > 0 || error_set(error, EXIT_USAGE_ERROR, "%c, %s: no runs", "AB"[which], group -> name);
}

static bool read_curves(struct paired_group *group, struct store *store, struct arena *arena, struct error *error) {
  for (size_t i = 0; i < group->count; i++) {
    struct paired_run *run = &group->runs[i];
    size_t room = 0;
    if (!isfinite(run->loss)) continue;
    struct store_rows *rows = store_metrics(store, run->id, METRIC_EVAL, error);
    while (rows && store_rows_next(rows, error)) {
      double tokens = number_of(rows, "tokens"), loss = number_of(rows, "loss");
      if (!(tokens > 0) || !isfinite(loss) || (run->curve_count && tokens <= run->curve_tokens[run->curve_count - 1]))
        continue;
      if (run->curve_count == room) {
        size_t more = 2 * room + 16;
        run->curve_tokens = arena_grow(arena, run->curve_tokens, room, more, sizeof *run->curve_tokens);
        run->curve_loss = arena_grow(arena, run->curve_loss, room, more, sizeof *run->curve_loss);
        room = more;
      }
      double before = run->curve_count ? run->curve_loss[run->curve_count - 1] : INFINITY;
      run->curve_tokens[run->curve_count] = tokens;
      run->curve_loss[run->curve_count++] = fmin(loss, before);
    }
    store_rows_close(rows);
    if (error->code) return false;
  }
  return true;
}

// ---- roles ----

static bool has_value(const struct paired_group *group, size_t setting, const char *text) {
  for (size_t i = 0; i < group->count; i++)
    if (strcmp(group->runs[i].settings[setting], text) == 0) return true;
  return false;
}

static bool varies(const struct paired_group *group, size_t setting) {
  for (size_t i = 1; i < group->count; i++)
    if (strcmp(group->runs[i].settings[setting], group->runs[0].settings[setting]) != 0) return true;
  return false;
}

static size_t place_of(const struct paired *paired, const char *name) {
  size_t place = 0;
  while (place < paired->name_count && strcmp(paired->names[place], name) != 0) place++;
  return place;
}

// Whether a setting is the seed, or one of a later stage that is each run's own seed, as in a fit's table.
static bool is_seed(const struct paired *paired, size_t setting) {
  size_t seed = place_of(paired, "seed");
  if (setting == seed) return true;
  if (seed == paired->name_count || !ends_with(paired->names[setting], ".seed")) return false;
  for (int g = 0; g < 2; g++)
    for (size_t i = 0; i < paired->groups[g].count; i++) {
      const char **settings = paired->groups[g].runs[i].settings;
      if (*settings[setting] && strcmp(settings[setting], settings[seed]) != 0) return false;
    }
  return true;
}

static enum paired_role role_of(const struct paired *paired, size_t setting) {
  const struct paired_group *a = &paired->groups[0], *b = &paired->groups[1];
  bool overlap = false;
  for (size_t i = 0; i < paired->request.ignored_count; i++)
    if (strcmp(paired->request.ignored[i], paired->names[setting]) == 0) return ROLE_IGNORED;
  for (size_t i = 0; i < a->count && !overlap; i++) overlap = has_value(b, setting, a->runs[i].settings[setting]);
  if (!overlap) return paired->seeds[setting] ? ROLE_AVERAGED : ROLE_DIFFERENT;
  return varies(a, setting) || varies(b, setting) ? ROLE_SHARED : ROLE_SAME;
}

// Whether runs, of either group, that are alike in one setting are so in another.
static bool determines(const struct paired *paired, size_t setting, size_t other) {
  size_t first = paired->groups[0].count, count = first + paired->groups[1].count;
  for (size_t i = 0; i < count; i++) {
    const char **a = (i < first ? &paired->groups[0].runs[i] : &paired->groups[1].runs[i - first])->settings;
    for (size_t j = 0; j < i; j++) {
      const char **b = (j < first ? &paired->groups[0].runs[j] : &paired->groups[1].runs[j - first])->settings;
      if (strcmp(a[setting], b[setting]) == 0 && strcmp(a[other], b[other]) != 0) return false;
    }
  }
  return true;
}

static void find_implied(struct paired *paired) {
  for (size_t i = 0; i < paired->name_count; i++)
    for (size_t j = 0; j < i && paired->roles[i] == ROLE_SHARED; j++)
      if (paired->roles[j] == ROLE_SHARED && determines(paired, j, i)) paired->roles[i] = ROLE_IMPLIED;
}

static const char *key_of(struct paired *paired, const struct paired_run *run) {
  struct text text = {0};
  for (size_t i = 0; i < paired->name_count; i++)
    if (paired->roles[i] == ROLE_SHARED)
      text_format(&text, "%s%s %s", text.length ? ", " : "", paired->names[i], run->settings[i]);
  const char *key = arena_string(&paired->arena, text_string(&text));
  text_free(&text);
  return key;
}

static bool find_settings(struct paired *paired, struct store *store, struct error *error) {
  int count;
  const char *const *columns = store_run_columns(store, &count);
  paired->names = arena_array(&paired->arena, (size_t)count, sizeof *paired->names);
  for (int i = 0; i < count; i++)
    if (is_setting(columns[i])) paired->names[paired->name_count++] = columns[i];
  for (size_t i = 0; i < paired->request.ignored_count; i++) {
    bool known = false;
    for (size_t j = 0; j < paired->name_count; j++) known |= strcmp(paired->names[j], paired->request.ignored[i]) == 0;
    if (known) continue;
    error_set(error, EXIT_USAGE_ERROR, "--ignore: '%s' is no setting of runs", paired->request.ignored[i]);
    return error_hint(error, nearest_name(paired->request.ignored[i], paired->names, paired->name_count), NULL);
  }
  return true;
}

// ---- pairs ----

struct pair *paired_add(struct paired *paired) {
  if ((paired->count & (paired->count + 1)) == 0) {  // room for 2^n - 1
    size_t room = 2 * paired->count + 1;
    paired->pairs = arena_grow(&paired->arena, paired->pairs, paired->count, room, sizeof *paired->pairs);
  }
  struct pair *pair = &paired->pairs[paired->count++];
  *pair = (struct pair){.at = NAN};
  return pair;
}

// The runs of a group with this key: how many, the first with a loss, the mean of their losses.
struct found {
  size_t runs, with_loss;
  struct paired_run *first;
  double mean;
};

static struct found find_key(struct paired_group *group, const char *key) {
  struct found found = {0};
  for (size_t i = 0; i < group->count; i++) {
    struct paired_run *run = &group->runs[i];
    if (strcmp(run->key, key) != 0) continue;
    found.runs++;
    if (!isfinite(run->loss)) continue;
    if (!found.with_loss++) found.first = run;
    found.mean += run->loss;
  }
  found.mean /= (double)found.with_loss;
  return found;
}

static void count_unpaired(struct paired_group *group, const char *key, const struct found *mine,
                           const struct found *theirs, bool alike) {
  (void)key;
  if (!theirs->runs)
    group->no_partner += mine->with_loss;
  else if (alike)
    group->alike += mine->with_loss;
  else
    group->partner_unfinished += mine->with_loss;
}

static bool seen_before(const struct paired_group *group, size_t i) {
  for (size_t j = 0; j < i; j++)
    if (strcmp(group->runs[j].key, group->runs[i].key) == 0) return true;
  return false;
}

static void pair_ends(struct paired *paired, const struct found *a, const struct found *b, const char *key) {
  struct pair *pair = paired_add(paired);
  *pair = (struct pair){.a = a->first->id,
                        .b = b->first->id,
                        .key = key,
                        .cell = key,
                        .at = NAN,
                        .value_a = a->mean,
                        .value_b = b->mean,
                        .difference = b->mean - a->mean};
}

static void pair_key(struct paired *paired, const char *key, bool averaged) {
  struct found a = find_key(&paired->groups[0], key), b = find_key(&paired->groups[1], key);
  bool alike = !averaged && (a.runs > 1 || b.runs > 1);
  if (a.with_loss && b.with_loss && !alike) {
    if (paired->request.match == MATCH_ENDS)
      pair_ends(paired, &a, &b, key);
    else
      paired_match_curves(paired, a.first, b.first, key);
    return;
  }
  count_unpaired(&paired->groups[0], key, &a, &b, alike && b.runs);
  count_unpaired(&paired->groups[1], key, &b, &a, alike && a.runs);
}

static void find_pairs(struct paired *paired, bool averaged) {
  for (int g = 0; g < 2; g++)
    for (size_t i = 0; i < paired->groups[g].count; i++) {
      const char *key = paired->groups[g].runs[i].key;
      if (seen_before(&paired->groups[g], i) || (g == 1 && find_key(&paired->groups[0], key).runs)) continue;
      pair_key(paired, key, averaged);
    }
}

// Settings that vary where runs are alike in the shared ones: what to choose by.
static const char *varying_different(struct paired *paired) {
  struct text text = {0};
  for (size_t i = 0; i < paired->name_count; i++)
    if ((paired->roles[i] == ROLE_DIFFERENT || paired->roles[i] == ROLE_IGNORED) &&
        (varies(&paired->groups[0], i) || varies(&paired->groups[1], i)))
      text_format(&text, "%s%s", text.length ? ", " : "", paired->names[i]);
  const char *words = arena_string(&paired->arena, text_string(&text));
  text_free(&text);
  return words;
}

// Runs of different tasks have no unit in common.
static void name_measures(struct paired *paired) {
  const struct paired_request *request = &paired->request;
  const char *matched = request->match == MATCH_COLUMN ? request->match_column : paired_match_names[request->match];
  const char *compared = request->match == MATCH_COLUMN ? request->measure_column
                         : request->match == MATCH_LOSS ? paired_match_names[request->measure]
                                                        : "loss";
  const struct task *tasks[2] = {NULL, NULL};
  for (size_t i = 0; i < paired->name_count; i++)
    for (int g = 0; g < 2 && strcmp(paired->names[i], "stage") == 0; g++)
      tasks[g] = measure_task(paired->groups[g].runs[0].settings[i]);
  bool same = tasks[0] == tasks[1];
  paired->compared = same ? measure_of(compared, tasks[0]) : measure_of_table(compared);
  if (matched) paired->matched = same ? measure_of(matched, tasks[0]) : measure_of_table(matched);
}

static bool complain(struct paired *paired, struct error *error) {
  const struct paired_group *a = &paired->groups[0], *b = &paired->groups[1];
  if (paired->outside)
    return error_set(error, EXIT_USAGE_ERROR,
                     "no comparison lies within the range of both: %zu would be extrapolations", paired->outside);
  if (paired->no_curve)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%zu pairs have no two evaluations, or no known %s, to match along (--match-along ladders takes "
                     "the runs' ends)",
                     paired->no_curve, paired_match_names[paired->request.match]);
  if (a->alike + b->alike)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the runs cannot be paired: several of one group are alike in all shared settings and differ in "
                     "%s; choose with --where",
                     varying_different(paired));
  return error_set(error, EXIT_USAGE_ERROR,
                   "no two finished runs can be paired: A has %zu done of %zu, B %zu of %zu, none with the same shared "
                   "settings (--ignore SETTING leaves one out of the pairing)",
                   a->states[RUN_DONE], a->count, b->states[RUN_DONE], b->count);
}

bool paired_find(struct paired *paired, struct store *store, const struct paired_request *request,
                 struct error *error) {
  *paired = (struct paired){.request = *request};
  bool averaged = false;
  if (!find_settings(paired, store, error)) return false;
  for (int g = 0; g < 2; g++)
    if (!read_group(paired, g, store, error)) return false;
  paired->seeds = arena_array(&paired->arena, paired->name_count + 1, sizeof *paired->seeds);
  for (size_t i = 0; i < paired->name_count; i++) paired->seeds[i] = is_seed(paired, i);
  paired->roles = arena_array(&paired->arena, paired->name_count, sizeof *paired->roles);
  for (size_t i = 0; i < paired->name_count; i++) {
    paired->roles[i] = role_of(paired, i);
    averaged |= paired->roles[i] == ROLE_AVERAGED;
  }
  find_implied(paired);
  for (int g = 0; g < 2; g++)
    for (size_t i = 0; i < paired->groups[g].count; i++)
      paired->groups[g].runs[i].key = key_of(paired, &paired->groups[g].runs[i]);
  bool curves = request->match != MATCH_ENDS && request->along == ALONG_CURVES;
  name_measures(paired);
  if (curves && averaged)
    return error_set(error, EXIT_USAGE_ERROR, "the groups have no seed in common: curves cannot be matched run by run");
  for (int g = 0; g < 2 && curves; g++)
    if (!read_curves(&paired->groups[g], store, &paired->arena, error)) return false;
  if (request->match != MATCH_ENDS && request->along == ALONG_LADDERS)
    paired_match_ladders(paired);
  else
    find_pairs(paired, averaged);
  if (!paired->count) return complain(paired, error);
  paired_noise(paired);
  paired_judge(paired);
  return true;
}

struct paired_request paired_request_of(const struct spec_comparison *comparison, const char *experiment) {
  return (struct paired_request){.experiments = {experiment, experiment},
                                 .wheres = {comparison->wheres[0], comparison->wheres[1]},
                                 .ignored = comparison->ignored,
                                 .ignored_count = comparison->ignored_count,
                                 .match = comparison->match,
                                 .along = comparison->along,
                                 .measure = comparison->measure,
                                 .match_column = comparison->match_column,
                                 .measure_column = comparison->measure_column};
}

void paired_free(struct paired *paired) { arena_free(&paired->arena); }
