// Figures that could not be drawn: one that fails costs itself alone, the others are drawn, and one message at the end
// says which failed and why.
#pragma once
#include "base/base.h"

struct figure_faults {
  struct arena *arena;
  size_t count;          // figures
  enum exit_code code;   // of the worst: a fault of the machine (3) before a figure that has nothing to show (2)
  struct figure_fault {  // figures that failed for one reason, in the order in which they came
    const char *names, *reason;
  } * kinds;
  size_t kind_count;
};

// Takes note of the figure's error, whose context "figure NAME" is not repeated; the reason is the arena's.
const char *figure_faults_add(struct figure_faults *faults, const char *name, const struct error *error);
// Sets the error that says all of it; true when there was no fault.
bool figure_faults_end(const struct figure_faults *faults, struct error *error);
