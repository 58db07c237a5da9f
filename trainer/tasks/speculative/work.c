// A run of task `speculative`: laws' moments, trees, and what theory says of them.
#include "trainer/tasks/speculative/work.h"

#include <math.h>
#include <string.h>

// Trees of moments are numbered behind those that are grown.
enum { MOMENTS_TREE = 1 << 30 };

void accepted_see(struct accepted *a, const struct speculative *s, const struct draft_tree *tree) {
  if (tree->count == s->nodes / SLOPE_OVER) a->early += tree->accepted;
  if (tree->count != s->nodes) return;
  a->sum += tree->accepted;
  a->squares += tree->accepted * tree->accepted;
  a->trees++;
}

static bool on_synthetic(struct task_run *run, struct law_moments *moments, struct accepted *accepted) {
  const struct speculative *s = run->settings;
  struct draft_tree tree = draft_tree_make(s->nodes, s->vocabulary, &run->arena);
  double *p = arena_array(&run->arena, (size_t)s->vocabulary, sizeof *p);
  for (int64_t i = 0; i < s->laws; i++) {
    if (i % 1024 == 0 && task_stopped(run)) return false;
    law_draw(s, run->seed, MOMENTS_TREE, (uint64_t)i, p);
    law_add(moments, p, s->vocabulary);
  }
  law_means(moments);
  for (int64_t t = 0; t < s->trees; t++) {
    draft_tree_begin(&tree);
    for (int64_t n = 0; n < s->nodes; n++) {
      if (n % 1024 == 0 && task_stopped(run)) return false;
      law_draw(s, run->seed, (uint64_t)t, (uint64_t)n, p);
      draft_tree_law(&tree, p);
      draft_tree_grow(&tree);
      accepted_see(accepted, s, &tree);
    }
  }
  return true;
}

bool speculative_work(struct task_run *run, struct error *error) {
  const struct speculative *s = run->settings;
  struct law_moments moments = {0};
  struct accepted a = {0};
  if (strcmp(s->source, "synthetic") == 0 ? !on_synthetic(run, &moments, &a)
                                          : !speculative_on_model(run, &moments, &a, error))
    return false;
  double trees = (double)a.trees, mean = a.sum / trees, nodes = (double)s->nodes;
  double renewal = law_renewal(&moments, nodes);
  task_report(run, "accepted", mean);
  task_report(run, "accepted_error", sqrt(fmax(a.squares / trees - mean * mean, 0) / (trees - 1)));
  if (s->nodes >= SLOPE_OVER) task_report(run, "slope", (mean - a.early / trees) / log(SLOPE_OVER));
  task_report(run, "mu", moments.mu);
  task_report(run, "mu2", moments.mu2);
  task_report(run, "renewal", renewal);
  task_report(run, "ratio", mean / renewal);
  task_report(run, "bound", law_bound(&moments, nodes));
  return true;
}
