// See trunks.h.
#include "runner/plan/trunks.h"

#include <stdlib.h>

#include "trainer/trunk.h"

bool trunk_member_of(const struct run_config *resolved, const char *corpus_digest, struct trunk_member *member) {
  int64_t shared = trunk_steps(resolved);
  if (shared < 1) return false;
  struct digest key = trunk_key(resolved, corpus_digest, true);
  *member = (struct trunk_member){
      .key = hash64(key.hex, sizeof key.hex, 0), .shared = shared, .steps = resolved->train.steps};
  return true;
}

static int by_trunk(const void *left, const void *right) {
  const struct trunk_member *a = left, *b = right;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  if (a->shared != b->shared) return a->shared > b->shared ? -1 : 1;
  if (a->steps != b->steps) return a->steps > b->steps ? -1 : 1;
  return a->number < b->number ? -1 : a->number > b->number;
}

void trunk_members_sort(struct trunk_member *members, size_t count) {
  if (count) qsort(members, count, sizeof *members, by_trunk);
}

size_t trunk_members_group(const struct trunk_member *members, size_t count) {
  size_t same = 0;
  while (same < count && members[same].key == members[0].key) same++;
  return same;
}

// ---- what it saves ----

void trunk_savings_add(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                       const char *corpus_digest, double flops, double seconds) {
  struct trunk_costs costs = {.number = number, .flops = flops, .seconds = seconds};
  savings->flops += flops;
  if (!trunk_member_of(resolved, corpus_digest, &costs.member)) return;
  costs.by_share = costs.member;
  struct digest key = trunk_key(resolved, corpus_digest, false);
  costs.by_share.key = hash64(key.hex, sizeof key.hex, 0);
  if (savings->count == savings->capacity) {
    savings->capacity = savings->capacity ? 2 * savings->capacity : 64;
    savings->runs = memory_grow(savings->runs, savings->capacity * sizeof *savings->runs);
  }
  savings->runs[savings->count++] = costs;
}

void trunk_savings_free(struct trunk_savings *savings) { free(savings->runs); }

struct trunk_branch *trunk_branches(const struct trunk_savings *savings, bool by_share, size_t *count, size_t *groups) {
  struct trunk_member *members = memory_get((savings->count + 1) * sizeof *members);
  struct trunk_branch *branches = memory_get((savings->count + 1) * sizeof *branches);
  *count = *groups = 0;
  for (size_t i = 0; i < savings->count; i++) {
    members[i] = by_share ? savings->runs[i].by_share : savings->runs[i].member;
    members[i].number = i;
  }
  trunk_members_sort(members, savings->count);
  for (size_t i = 0, group; i < savings->count; i += group) {
    group = trunk_members_group(members + i, savings->count - i);
    *groups += group > 1;
    for (size_t k = i + 1; k < i + group; k++) {
      const struct trunk_costs *costs = &savings->runs[members[k].number];
      branches[(*count)++] = (struct trunk_branch){.run = costs->number,
                                                   .trunk = savings->runs[members[i].number].number,
                                                   .step = members[k].shared,
                                                   .steps = members[k].steps,
                                                   .flops = costs->flops,
                                                   .seconds = costs->seconds};
    }
  }
  free(members);
  return branches;
}

struct trunk_saved trunk_savings_find(const struct trunk_savings *savings, bool by_share) {
  struct trunk_saved saved = {0};
  struct trunk_branch *branches = trunk_branches(savings, by_share, &saved.branches, &saved.groups);
  for (size_t i = 0; i < saved.branches; i++) {
    double share = (double)branches[i].step / (double)branches[i].steps;
    saved.flops += share * branches[i].flops;
    saved.seconds += share * branches[i].seconds;
  }
  free(branches);
  return saved;
}

// Whether the spec leaves warm-up to a share of the length.
static bool warms_up_by_share(const struct plan *plan) {
  const struct run_field *field = field_find("train.warmup_steps", NULL);
  for (size_t i = 0; i < plan->axis_count; i++)
    if (plan->axes[i].field == field) return false;
  return plan->spec->base.train.warmup_steps == AUTO_INTEGER;
}

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

void trunk_savings_print(const struct trunk_savings *savings, const struct plan *plan, FILE *out) {
  struct trunk_saved saved = trunk_savings_find(savings, false), could = trunk_savings_find(savings, true);
  bool shares = spec_shares_trunks(plan->spec);
  double share = percent(saved.flops, savings->flops);
  if (saved.branches && shares)
    fprintf(
        out, "shared trunks: %zu group%s, %.0f %% of the FLOPs to do saved: %zu run%s from a longer one's checkpoint\n",
        saved.groups, saved.groups == 1 ? "" : "s", share, saved.branches, saved.branches == 1 ? " begins" : "s begin");
  else if (saved.branches)
    fprintf(out, "shared trunks: off (%s); they would save %.0f %% of the FLOPs to do\n",
            plan->spec->halving.node ? "runs stop by halving" : "run.share_trunks: false", share);
  if (could.branches <= saved.branches || !warms_up_by_share(plan)) return;
  size_t others = could.branches - saved.branches;
  fprintf(out,
          "no shared trunk for %zu run%s: warm-up is a share of the length (train.warmup_fraction); the same "
          "train.warmup_steps for all would save %.0f %% of the FLOPs to do\n",
          others, others == 1 ? "" : "s", percent(could.flops, savings->flops));
}
