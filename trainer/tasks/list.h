// The list of tasks other than lm: each is a folder NAME/ here with `struct task task_NAME` and `NAME_work`.
#pragma once

#define EACH_TASK(X) X(boolean) X(continual) X(descent) X(level_switch) X(smnn) X(speculative) X(vi_game)
