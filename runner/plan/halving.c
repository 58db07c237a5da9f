// See halving.h.
#include "runner/plan/halving.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/schedule.h"

enum { MOST_EVALUATIONS = 10000 };  // train.evals' upper end

struct competitor {
  char key[40];        // of what it shares with its competitors
  char candidate[40];  // of what it shares with those that go on or not together with it
  size_t run;
  int64_t steps, evals;
  double flops;
};

static int by_key(const void *a, const void *b) {
  const struct competitor *x = a, *y = b;
  int order = strcmp(x->key, y->key);
  return order ? order : (x->run > y->run) - (x->run < y->run);
}

// In the place of their first runs.
static int by_first_run(const void *a, const void *b) {
  const struct halving_group *x = a, *y = b;
  return (x->runs[0] > y->runs[0]) - (x->runs[0] < y->runs[0]);
}

// Puts fields back to their defaults.
static void forget(struct run_config *config, const struct run_field *const *fields, size_t count) {
  struct run_config plain;
  config_default(&plain);
  for (size_t a = 0; a < count; a++) {
    const struct run_field *field = fields[a];
    if (field->own)
      config->own.values[field->own - 1] = (struct value){0};
    else
      field_put(config, field, field_get(&plain, field));
    if (field->groups & GROUP_FORMAT) config->parsed_format = NULL;
  }
}

// The identity of the run but for the axes, which are all at their defaults.
static struct competitor competitor_of(const struct plan *plan, const struct spec_halving *rule, size_t i,
                                       bool *resolved) {
  struct planned_run run;
  plan_run_quick(plan, i, &run);
  *resolved = run.resolved;
  struct competitor one = {
      .run = i, .steps = run.quantities.steps, .evals = run.config.train.evals, .flops = run.quantities.flops};
  char corpus[32];
  snprintf(corpus, sizeof corpus, "%zu", (size_t)(run.corpus - plan->corpora));
  forget(&run.config, rule->average, rule->average_count);
  struct digest key = config_identity(&run.config, corpus, plan->stage, "");
  memcpy(one.candidate, key.hex, sizeof key.hex);
  forget(&run.config, rule->over, rule->over_count);
  key = config_identity(&run.config, corpus, plan->stage, "");
  memcpy(one.key, key.hex, sizeof key.hex);
  return one;
}

// The last of the trainer's evaluations up to `step`; 0: none.
static int64_t evaluation_before(const struct competitor *run, int64_t step) {
  int64_t *at = memory_get((MOST_EVALUATIONS + 1) * sizeof *at), last = 0;
  int64_t count = run->evals < MOST_EVALUATIONS ? run->evals : MOST_EVALUATIONS;
  size_t found = schedule_evaluations(run->steps, count, at);
  for (size_t i = 0; i < found; i++)
    if (at[i] <= step) last = at[i];
  free(at);
  return last;
}

// Steps and survivors of a group's rungs. False after a diagnostic.
static bool place_rungs(struct halving_group *group, const struct competitor *runs, const struct plan_halving *halving,
                        struct diagnostics *diagnostics) {
  const struct spec_halving *rule = halving->rule;
  size_t left = group->candidate_count;
  group->steps = runs[0].steps;
  for (size_t i = 1; i < group->count; i++)
    if (runs[i].steps != runs[0].steps) {
      node_error(rule->node, diagnostics, NULL,
                 "halving over %s: runs that compete have %lld and %lld steps, and cannot be compared on the way",
                 halving->over, (long long)runs[0].steps, (long long)runs[i].steps);
      return false;
    }
  for (size_t r = 0; r < rule->rung_count; r++) {
    int64_t step = (int64_t)floor(rule->at[r] * (double)group->steps + 1e-9);
    int64_t rung = halving->stops_by_step ? evaluation_before(&runs[0], step) : step;
    if (rung < 1 || (r > 0 && rung == group->rungs[r - 1])) {
      node_error(rule->node, diagnostics,
                 halving->stops_by_step ? "more train.evals, or a larger share" : "a larger share",
                 rung < 1 ? "halving at %.6g: no evaluation of a run of %lld steps comes before its step %lld"
                          : "halving at %.6g: a run of %lld steps has no further evaluation up to its step %lld",
                 rule->at[r], (long long)group->steps, (long long)step);
      return false;
    }
    // The keep share is written as decimals or a fraction: 1/3 of 6 is 2.
    size_t keep = (size_t)ceil(rule->keep * (double)left - 1e-9);
    group->rungs[r] = rung;
    group->survive[r] = left = keep < 1 ? 1 : keep;
  }
  return true;
}

static void count_compute(struct plan_halving *halving, struct halving_group *group, const struct competitor *runs) {
  double flops = 0;
  size_t left = group->candidate_count;
  for (size_t i = 0; i < group->count; i++) flops += runs[i].flops;
  halving->flops += flops;
  double stopped = 0;  // in whole candidates
  for (size_t r = 0; r < halving->rule->rung_count; r++) {
    double rest = 1 - (double)group->rungs[r] / (double)group->steps;
    stopped += (double)(left - group->survive[r]) * rest;
    left = group->survive[r];
  }
  halving->saved += stopped * flops / (double)group->candidate_count;
  group->trained = 1 - stopped / (double)group->candidate_count;
}

static const char *axes_words(const struct run_field *const *fields, size_t count, struct arena *arena) {
  const char *words = count ? fields[0]->path : NULL;
  for (size_t i = 1; i < count; i++)
    words = arena_format(arena, "%s%s%s", words, i + 1 < count ? ", " : " and ", fields[i]->path);
  return words;
}

// Numbers the candidates of a group by their first runs. False after a diagnostic: they are of different numbers of
// runs, whose means do not compare.
static bool find_candidates(struct plan *plan, struct halving_group *group, const struct competitor *runs,
                            const struct plan_halving *halving, struct diagnostics *diagnostics) {
  size_t *sizes = arena_array(&plan->arena, group->count, sizeof *sizes);
  group->candidates = arena_array(&plan->arena, group->count, sizeof *group->candidates);
  for (size_t i = 0; i < group->count; i++) {
    size_t like = 0;
    while (strcmp(runs[like].candidate, runs[i].candidate) != 0) like++;
    group->candidates[i] = like == i ? group->candidate_count++ : group->candidates[like];
    sizes[group->candidates[i]]++;
  }
  for (size_t k = 1; k < group->candidate_count; k++)
    if (sizes[k] != sizes[0]) {
      node_error(halving->rule->node, diagnostics, NULL,
                 "halving over %s: means over %s of %zu and of %zu runs would be compared", halving->over,
                 halving->average, sizes[0], sizes[k]);
      return false;
    }
  return true;
}

static bool make_groups(struct plan *plan, struct plan_halving *halving, struct competitor *list, size_t count,
                        struct diagnostics *diagnostics) {
  qsort(list, count, sizeof *list, by_key);
  halving->groups = arena_array(&plan->arena, count / 2 + 1, sizeof *halving->groups);
  for (size_t begin = 0, end; begin < count; begin = end) {
    for (end = begin + 1; end < count && strcmp(list[begin].key, list[end].key) == 0;) end++;
    if (end - begin == 1) {
      halving->alone++;
      continue;
    }
    struct halving_group *group = &halving->groups[halving->group_count++];
    *group = (struct halving_group){.count = end - begin};
    group->runs = arena_array(&plan->arena, group->count, sizeof *group->runs);
    for (size_t i = 0; i < group->count; i++) group->runs[i] = list[begin + i].run;
    if (!find_candidates(plan, group, list + begin, halving, diagnostics)) return false;
    if (group->candidate_count == 1) {
      halving->alone += group->count;
      halving->group_count--;
      continue;
    }
    if (!place_rungs(group, list + begin, halving, diagnostics)) return false;
    count_compute(halving, group, list + begin);
  }
  qsort(halving->groups, halving->group_count, sizeof *halving->groups, by_first_run);
  return true;
}

bool plan_halving_make(struct plan *plan, struct diagnostics *diagnostics) {
  const struct spec_halving *rule = &plan->spec->halving;
  if (!rule->node || !rule->over_count || !rule->rung_count) return true;
  struct plan_halving *halving = arena_alloc(&plan->arena, sizeof *halving);
  *halving = (struct plan_halving){.rule = rule, .stops_by_step = spec_trains_model(plan->spec)};
  halving->over = axes_words(rule->over, rule->over_count, &plan->arena);
  halving->average = axes_words(rule->average, rule->average_count, &plan->arena);
  struct competitor *list = memory_get((plan->count + 1) * sizeof *list);
  size_t count = 0;
  for (size_t i = 0; i < plan->count; i++) {
    bool resolved;
    list[count] = competitor_of(plan, rule, i, &resolved);
    if (resolved)
      count++;
    else
      halving->unresolved++;
  }
  bool fine = make_groups(plan, halving, list, count, diagnostics);
  free(list);
  // Where values have mistakes of their own, what is left need not compete.
  if (fine && halving->group_count == 0 && halving->unresolved == 0 && diagnostics->errors == 0) {
    node_error(rule->node, diagnostics, "a `set` that derives another field from the axis makes runs differ in both",
               "halving over %s: no two runs differ in %s alone", halving->over, rule->over_count == 1 ? "it" : "them");
    fine = false;
  }
  plan->halving = halving;
  return fine;
}

double *plan_halving_shares(const struct plan *plan) {
  const struct plan_halving *halving = plan->halving;
  if (!halving) return NULL;
  double *shares = memory_get((plan->count + 1) * sizeof *shares);
  for (size_t i = 0; i < plan->count; i++) shares[i] = 1;
  for (size_t g = 0; g < halving->group_count; g++)
    for (size_t m = 0; m < halving->groups[g].count; m++)
      shares[halving->groups[g].runs[m]] = halving->groups[g].trained;
  return shares;
}

double halving_steps_left(const struct halving_group *group, size_t rung_count, int64_t step) {
  size_t alive = group->candidate_count, next = 0;
  for (; next < rung_count && step > group->rungs[next]; next++) alive = group->survive[next];
  double left = 0, share = 1;
  for (size_t r = next; r <= rung_count; r++) {
    int64_t from = r == next ? step : group->rungs[r - 1], to = r < rung_count ? group->rungs[r] : group->steps;
    if (r > next) share = (double)group->survive[r - 1] / (double)alive;
    left += share * (double)(to - from);
  }
  return left;
}

static void print_range(size_t low, size_t high, FILE *out) {
  fprintf(out, low == high ? "%zu" : "%zu to %zu", low, high);
}

void plan_print_halving(const struct plan *plan, FILE *out) {
  const struct plan_halving *halving = plan->halving;
  if (!halving) return;
  size_t few = SIZE_MAX, many = 0;
  for (size_t g = 0; g < halving->group_count; g++) {
    size_t count = halving->groups[g].candidate_count;
    few = count < few ? count : few;
    many = count > many ? count : many;
  }
  fprintf(out, "halving over %s: %zu group%s of ", halving->over, halving->group_count,
          halving->group_count == 1 ? "" : "s");
  print_range(halving->group_count ? few : 0, many, out);
  fputs(halving->average ? " candidates" : " runs", out);
  if (halving->average) fprintf(out, " (means over %s)", halving->average);
  for (size_t r = 0; r < halving->rule->rung_count && halving->group_count; r++) {
    double low = 1, high = 0;
    size_t least = SIZE_MAX, most = 0;
    for (size_t g = 0; g < halving->group_count; g++) {
      const struct halving_group *group = &halving->groups[g];
      double share = (double)group->rungs[r] / (double)group->steps;
      low = fmin(low, share);
      high = fmax(high, share);
      least = group->survive[r] < least ? group->survive[r] : least;
      most = group->survive[r] > most ? group->survive[r] : most;
    }
    fprintf(out, high - low > 0.0005 ? "%s %.3g to %.3g of the steps " : "%s %.3g of the steps ", r ? "," : ", after",
            low, high);
    print_range(least, most, out);
    fputs(" of each go on", out);
  }
  fputs("\n", out);
  if (halving->saved > 0)
    fprintf(out, "  it saves %.2e FLOPs, %.0f %% of what these runs would take to their ends\n", halving->saved,
            100 * halving->saved / halving->flops);
  int64_t first = INT64_MAX;
  for (size_t g = 0; g < halving->group_count; g++)
    if (halving->groups[g].rungs[0] < first) first = halving->groups[g].rungs[0];
  if (!halving->stops_by_step && halving->group_count)
    fprintf(
        out,
        "  the trainer is one's own, and its evaluations are not known beforehand: where runs tell no `eval` by the step "
        "of a rung (the first is %lld), nobody is stopped there\n",
        (long long)first);
  if (halving->alone) fprintf(out, "  %zu runs have no competitors and train to their ends\n", halving->alone);
  if (halving->unresolved)
    fprintf(out, "  for %zu runs it is not known before the corpus is prepared\n", halving->unresolved);
  fputs(
      "  the choice is by early losses, and final ones may rank otherwise: before their schedule decays, runs with larger\n"
      "  learning rates look worse than they end\n",
      out);
}
