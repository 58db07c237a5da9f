// Stages in a plan. Its runs are the trainings, then those of the first stage in the order of their parents, and so on;
// where a value of a stage is none, the chain continues from the parent.
#pragma once
#include "runner/plan/plan.h"

// Adds the runs of the spec's stages to a plan whose trainings are known. False after diagnostics, or with an error
// when a stage's corpus cannot be had.
bool plan_add_stages(struct plan *plan, struct diagnostics *diagnostics, struct error *error);
// Run i, one of a stage, made anew: without its id and its parent's unless asked for.
void plan_stage_run(const struct plan *plan, size_t i, bool with_id, struct planned_run *run);
// What a run of a stage that trains is as a training, and what follows from that: FLOPs, memory, time are its own.
// False where its stage does not train.
bool plan_stage_training(const struct planned_run *run, struct run_config *training, struct run_quantities *quantities);
// Tokens that go forward in a run of a stage: its own and those of its final evaluation.
double plan_stage_tokens(const struct planned_run *run);
// Runs of stage `level` of the spec, from 1; 0: trainings.
size_t plan_stage_count(const struct plan *plan, size_t level);
// "12 trainings, 96 compressions"
void plan_stages_say(const struct plan *plan, struct text *out);
