// See trunks.h.
#include "runner/plan/trunks.h"

#include <stdio.h>
#include <stdlib.h>

#include "trainer/checkpoint.h"
#include "trainer/layout.h"
#include "trainer/trunk.h"

static uint64_t short_key(const struct run_config *resolved, const char *corpus_digest, enum trunk_kind kind) {
  struct digest key = trunk_key(resolved, corpus_digest, kind);
  return hash64(key.hex, sizeof key.hex, 0);
}

bool trunk_member_of(const struct run_config *resolved, const char *corpus_digest, struct trunk_member *member) {
  int64_t exact = trunk_steps(resolved, TRUNK_SAME_LENGTH), shared = trunk_steps(resolved, TRUNK_ANY_LENGTH);
  if (exact < 1) return false;
  *member = (struct trunk_member){.exact = short_key(resolved, corpus_digest, TRUNK_SAME_LENGTH),
                                  .key = short_key(resolved, corpus_digest, TRUNK_ANY_LENGTH),
                                  .shared_exact = exact,
                                  .shared = shared,
                                  .steps = resolved->train.steps,
                                  .from = NO_TRUNK};
  return true;
}

// Together by key, within it by the same length; of these first that which shares most.
static int by_trunk(const void *left, const void *right) {
  const struct trunk_member *a = left, *b = right;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  if (a->exact != b->exact) return a->exact < b->exact ? -1 : 1;
  if (a->shared_exact != b->shared_exact) return a->shared_exact > b->shared_exact ? -1 : 1;
  return a->number < b->number ? -1 : a->number > b->number;
}

static size_t same_key(const struct trunk_member *members, size_t count, bool exact) {
  size_t same = 0;
  while (same < count && members[same].key == members[0].key && (!exact || members[same].exact == members[0].exact))
    same++;
  return same;
}

// The leader of those of the same length: the first that others may wait for; NO_TRUNK.
static ptrdiff_t leader_of(const struct trunk_member *group, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (group[i].leads) return (ptrdiff_t)i;
  return NO_TRUNK;
}

static bool leads_better(const struct trunk_member *a, const struct trunk_member *b) {
  if (a->shared != b->shared) return a->shared > b->shared;
  if (a->steps != b->steps) return a->steps > b->steps;
  return a->number < b->number;
}

struct linking {
  struct trunk_member *members;
  size_t count;  // of one key
  trunk_has_checkpoint *has;
  void *context;
  ptrdiff_t trunk;  // the leader of the leaders
};

static void link_to(struct trunk_member *member, ptrdiff_t from, int64_t step) {
  if (step < 1 || step <= member->step) return;
  member->from = from;
  member->step = step;
}

// One that has trained already, and still has the checkpoint.
static void link_to_checkpoint(const struct linking *l, size_t i) {
  struct trunk_member *member = &l->members[i];
  for (size_t k = 0; l->has && k < l->count; k++) {
    const struct trunk_member *other = &l->members[k];
    bool exact = other->exact == member->exact;
    int64_t step = exact ? member->shared_exact : member->shared;
    if (k == i || step <= member->step || (exact ? other->shared_exact : other->shared) < step) continue;
    if (l->has(l->context, other->number, step)) link_to(member, (ptrdiff_t)k, step);
  }
}

static void link_key(const struct linking *l) {
  for (size_t i = 0, group; i < l->count; i += group) {
    struct trunk_member *first = &l->members[i];
    group = same_key(first, l->count - i, true);
    ptrdiff_t leader = leader_of(first, group);
    struct trunk_member *leading = leader == NO_TRUNK ? NULL : &first[leader];
    const struct trunk_member *trunk = l->trunk == NO_TRUNK ? NULL : &l->members[l->trunk];
    // The leader before those that may begin from it: it has no checkpoint of the steps that it does not train.
    for (size_t k = 0; k <= group; k++) {
      struct trunk_member *member = k == 0 ? leading : &first[k - 1];
      if (!member || !member->branches || (k > 0 && member == leading)) continue;
      link_to_checkpoint(l, (size_t)(member - l->members));
      if (member->from != NO_TRUNK) continue;
      if (member != leading && leading && leading->shared_exact >= member->shared_exact &&
          leading->step < member->shared_exact)
        link_to(member, leading - l->members, member->shared_exact);
      if (trunk && trunk != member && trunk->exact != member->exact && trunk->shared >= member->shared)
        link_to(member, l->trunk, member->shared);
    }
  }
}

void trunk_members_link(struct trunk_member *members, size_t count, trunk_has_checkpoint *has, void *context) {
  if (count) qsort(members, count, sizeof *members, by_trunk);
  for (size_t i = 0, of_key; i < count; i += of_key) {
    of_key = same_key(members + i, count - i, false);
    struct linking linking = {members + i, of_key, has, context, NO_TRUNK};
    for (size_t k = 0, group; k < of_key; k += group) {
      group = same_key(members + i + k, of_key - k, true);
      ptrdiff_t leader = leader_of(members + i + k, group);
      if (leader == NO_TRUNK) continue;
      leader += (ptrdiff_t)k;
      if (linking.trunk == NO_TRUNK || leads_better(&members[i + (size_t)leader], &members[i + (size_t)linking.trunk]))
        linking.trunk = leader;
    }
    for (size_t k = 0; k < of_key; k++) {
      members[i + k].from = NO_TRUNK;
      members[i + k].step = 0;
    }
    link_key(&linking);
    for (size_t k = 0; k < of_key; k++)
      if (members[i + k].from != NO_TRUNK) members[i + k].from += (ptrdiff_t)i;
  }
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
  added->by_share.key = short_key(resolved, corpus_digest, TRUNK_BY_SHARE);
  return added;
}

void trunk_savings_add(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                       const char *corpus_digest, double flops, double seconds) {
  savings->flops += flops;
  const struct trunk_costs costs = {.number = number, .flops = flops, .seconds = seconds};
  struct trunk_costs *added = add(savings, &costs, resolved, corpus_digest);
  if (!added) return;
  added->shared_flops = flops / (double)resolved->train.steps;
  if (config_format_begins(resolved) && !resolved->own_model.given && flops > 0) {
    const struct corpus_facts unknown = {0};
    const struct run_config before = layout_before_format(resolved);
    added->shared_flops = config_quantities(&before, &unknown).flops / (double)resolved->train.steps;
  }
  added->member.leads = added->member.branches = added->by_share.leads = added->by_share.branches = true;
}

void trunk_savings_add_done(struct trunk_savings *savings, size_t number, const struct run_config *resolved,
                            const char *corpus_digest, const char *id) {
  struct trunk_costs *added = add(savings, &(struct trunk_costs){.number = number}, resolved, corpus_digest);
  if (added) snprintf(added->done, sizeof added->done, "%s", id);
}

void trunk_savings_free(struct trunk_savings *savings) { free(savings->runs); }

static bool has_checkpoint(void *context, size_t number, int64_t step) {
  const struct trunk_savings *savings = context;
  const char *id = savings->runs[number].done;
  if (!id[0]) return false;
  struct arena scratch = {0};
  const char *folder = path_join(&scratch, path_join(&scratch, isoloss_home(&scratch), "runs"), id);
  bool found = file_exists(path_join(&scratch, folder, checkpoint_name(&scratch, step)));
  arena_free(&scratch);
  return found;
}

struct trunk_finding {
  const struct trunk_savings *savings;
  struct trunk_branch *branches;
  size_t count;
  bool *trunks, *branched;  // by place in the savings: whether others begin from it, and it from another
  size_t groups;
};

static void take_branches(struct trunk_finding *f, const struct trunk_member *members, bool done_only) {
  for (size_t i = 0; i < f->savings->count; i++) {
    const struct trunk_member *member = &members[i];
    if (member->from == NO_TRUNK) continue;
    const struct trunk_costs *costs = &f->savings->runs[member->number];
    size_t from = members[member->from].number;
    const struct trunk_costs *trunk = &f->savings->runs[from];
    if (f->branched[member->number] || (done_only && !trunk->done[0])) continue;
    f->branched[member->number] = true;
    f->groups += !f->trunks[from];
    f->trunks[from] = true;
    f->branches[f->count++] =
        (struct trunk_branch){.run = costs->number,
                              .trunk = trunk->number,
                              .step = member->step,
                              .steps = member->steps,
                              .flops = costs->shared_flops * (double)member->step,
                              .seconds = costs->seconds * (double)member->step / (double)member->steps};
  }
}

struct trunk_branch *trunk_branches(const struct trunk_savings *savings, bool by_share, size_t *count, size_t *groups) {
  size_t room = savings->count + 1;
  struct trunk_member *members = memory_get(room * sizeof *members);
  struct trunk_finding f = {.savings = savings,
                            .branches = memory_get(room * sizeof *f.branches),
                            .trunks = memory_get(room),
                            .branched = memory_get(room)};
  for (size_t i = 0; i < savings->count; i++) {
    members[i] = savings->runs[i].member;
    members[i].number = i;
  }
  trunk_members_link(members, savings->count, has_checkpoint, (void *)(uintptr_t)savings);
  take_branches(&f, members, by_share);
  if (by_share) {
    // What is done was warmed up as it was: those that begin there stay, and nobody else does.
    for (size_t i = 0; i < savings->count; i++) {
      members[i] = savings->runs[i].by_share;
      members[i].number = i;
      members[i].branches = members[i].branches && !f.branched[i];
    }
    trunk_members_link(members, savings->count, NULL, NULL);
    take_branches(&f, members, false);
  }
  *count = f.count;
  *groups = f.groups;
  free(f.trunks);
  free(f.branched);
  free(members);
  return f.branches;
}

struct trunk_saved trunk_savings_find(const struct trunk_savings *savings, bool by_share) {
  struct trunk_saved saved = {0};
  struct trunk_branch *branches = trunk_branches(savings, by_share, &saved.branches, &saved.groups);
  for (size_t i = 0; i < saved.branches; i++) {
    saved.flops += branches[i].flops;
    saved.seconds += branches[i].seconds;
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
    fprintf(out, "shared trunks: %zu trunk%s, %.0f %% of the FLOPs to do saved: %zu run%s from another's checkpoint\n",
            saved.groups, saved.groups == 1 ? "" : "s", share, saved.branches,
            saved.branches == 1 ? " begins" : "s begin");
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
