// Folders whose models are roots of a plan's chains, each read once.
#pragma once
#include "runner/plan/plan.h"

struct plan_folders;
// Makes the configuration of a run whose from.path is set that of the folder's model. False with an error that is about
// fields (EXIT_USAGE_ERROR).
bool plan_folder_take(struct plan_folders **folders, struct arena *arena, struct run_config *config,
                      struct error *error);
// The same for a task that works on a model (struct task's `folder`): what the folder says goes into its fields. The
// path is relative to the file `spec`. Nothing where the task has no such fields, or names no folder.
bool plan_task_folder_take(struct plan_folders **folders, struct arena *arena, const char *spec,
                           struct run_config *config, struct error *error);
// Compares the tokenizers of the folders and of the corpora that they go with: another one is an error, one that cannot
// be compared a warning, at the folder's place in the spec.
bool plan_folders_check(const struct plan *plan, struct diagnostics *diagnostics, struct error *error);
