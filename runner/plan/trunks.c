// See trunks.h.
#include "runner/plan/trunks.h"

#include <stdio.h>
#include <stdlib.h>

#include "trainer/checkpoint.h"
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

static struct trunk_costs *add(struct trunk_savings *savings, const struct trunk_costs *costs,
                               const struct run_config *resolved, const char *corpus_digest) {
  struct trunk_member member;
  if (!trunk_member_of(resolved, corpus_digest, &member)) return NULL;
  if (savings->count == savings->capacity) {
    savings->capacity = savings->capacity ? 2 * savings->capacity : 64;
    savings->runs = memory_grow(savings->runs, savings->capacity * sizeof *savings->runs);
  }
  struct trunk_costs *added = &savings->runs[savings->count++];
  *added = *costs;
  added->member = added->by_share = member;
  struct digest key = trunk_key(resolved, corpus_digest, false);
  added->by_share.key = hash64(key.hex, sizeof key.hex, 0);
  return added;
}

void trunk_savings_add(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                       const char *corpus_digest, double flops, double seconds) {
  savings->flops += flops;
  add(savings, &(struct trunk_costs){.number = number, .flops = flops, .seconds = seconds}, resolved, corpus_digest);
}

void trunk_savings_add_done(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                            const char *corpus_digest, const char *id) {
  struct trunk_costs *added = add(savings, &(struct trunk_costs){.number = number}, resolved, corpus_digest);
  if (added) snprintf(added->done, sizeof added->done, "%s", id);
}

void trunk_savings_free(struct trunk_savings *savings) { free(savings->runs); }

static bool has_checkpoint(const char *id, int64_t step) {
  struct arena scratch = {0};
  const char *folder = path_join(&scratch, path_join(&scratch, isoloss_home(&scratch), "runs"), id);
  bool found = file_exists(path_join(&scratch, folder, checkpoint_name(&scratch, step)));
  arena_free(&scratch);
  return found;
}

// Of a group, that which shares most first: where the member begins. One that is done and still has the checkpoint,
// else the first that is to be done; NULL: at its own start.
static const struct trunk_costs *trunk_of(const struct trunk_savings *savings, const struct trunk_member *group,
                                          size_t count, const struct trunk_member *member) {
  const struct trunk_costs *own = &savings->runs[member->number], *first = NULL;
  for (size_t i = 0; i < count && group[i].shared >= member->shared; i++) {
    const struct trunk_costs *other = &savings->runs[group[i].number];
    // Alike in warm-up too, of which `member` may make nothing.
    if (other->done[0] && other->member.key == own->member.key && has_checkpoint(other->done, member->shared))
      return other;
    if (!other->done[0] && !first) first = other;
  }
  return first == own ? NULL : first;
}

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
    size_t before = *count;
    for (size_t k = i; k < i + group; k++) {
      const struct trunk_costs *costs = &savings->runs[members[k].number];
      const struct trunk_costs *trunk = costs->done[0] ? NULL : trunk_of(savings, members + i, group, &members[k]);
      if (trunk)
        branches[(*count)++] = (struct trunk_branch){.run = costs->number,
                                                     .trunk = trunk->number,
                                                     .step = members[k].shared,
                                                     .steps = members[k].steps,
                                                     .flops = costs->flops,
                                                     .seconds = costs->seconds};
    }
    *groups += *count > before;
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
