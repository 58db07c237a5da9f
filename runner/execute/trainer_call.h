// The built-in trainer, called for what only it can do: it has the devices of this build.
#pragma once
#include "base/base.h"

// Calls isoloss-train with these arguments (NULL ends them) and waits; its output goes where this program's goes. *code
// gets its exit code, when it could be started and was not killed.
bool trainer_call(const char *const *arguments, struct arena *arena, enum exit_code *code, struct error *error);
