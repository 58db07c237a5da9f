// Specs as designs: the table of a plan's runs before any of them is trained, what they cost, and which fits they feed.
#pragma once
#include "runner/execute/selection.h"
#include "runner/fits/internal.h"

struct design_cost {
  size_t runs;
  double flops, seconds;  // seconds: one run after the other on this machine; NAN when not known
};

// A spec (with the choices of one variant) and its plan in a private store in which every run counts as done.
struct design_spec {
  struct arena arena;
  struct selection selection;
  bool shared;        // spec and plan of the selection are another's
  const char *label;  // "spec.yaml", "spec.yaml with model.layers=2"
  struct design_cost cost;
  enum run_state *states;  // [selection.plan.count]: what the home's store says of each run
};
// False with an error; design_spec_close in either case.
bool design_spec_open(struct design_spec *spec, const char *path, const char *label, const struct spec_choices *choices,
                      struct error *error);
// Of a plan that is made, without what its runs cost; both must live as long.
bool design_spec_of_plan(struct design_spec *spec, const struct spec *of, const struct plan *plan, struct error *error);
void design_spec_close(struct design_spec *spec);

// What of the entry bears on its coefficients. Priors and partial pooling are left out: the linearised intervals know
// the rows alone.
struct fit_options design_fit_options(const struct spec_fit *entry);

// What is assumed: coefficients and, where a fit says it, the noise.
struct design_truth {
  struct design_assumption *assumptions;
  size_t count;
  bool of_fit;  // from a stored fit or a document
  const char *source;
  double noise;  // NAN: not known
};
// `text`: "E=1.69,...", the name of a stored fit (of the experiment, else of any), or the path of a document that
// isoloss fit --json has written; NULL: the stored fit of this name or law of the experiment itself. All in the arena.
bool design_truth_read(struct design_truth *truth, const char *text, const char *experiment, const char *fit,
                       const char *law, struct arena *arena, struct error *error);
