// What the files of a run of task `speculative` share.
#pragma once
#include "trainer/tasks/program.h"
#include "trainer/tasks/speculative/speculative.h"

// Sums over trees of what they accept, whole and at P / 16 nodes.
enum { SLOPE_OVER = 16 };
struct accepted {
  double sum, squares, early;
  int64_t trees;
};
// A tree that has got a node: counts where that is the last one, or the last of the early ones.
void accepted_see(struct accepted *accepted, const struct speculative *settings, const struct draft_tree *tree);

// Trains the model, or loads that of the checkpoint, has it write settings->trees texts, and grows a tree from the end
// of each: `moments` are of the laws that the texts were drawn from. run->loss is a trained one's validation loss.
// False as task_work is.
bool speculative_on_model(struct task_run *run, struct law_moments *moments, struct accepted *accepted,
                          struct error *error);
