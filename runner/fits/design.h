// Designs: what intervals the fits of one or several specs (and of variants of them) will give, before any is run.
#pragma once
#include <signal.h>

#include "runner/fits/design_specs.h"
#include "runner/fits/next_runs.h"

enum { DESIGN_LIMIT = 32 };  // specs and variants at once

struct design_request {
  const char *law, *assume, *target;  // only fits of this law or name; see design_truth_read; see struct design_options
  double noise;                       // s.d. of ln(loss) between seeds; 0: the scatter of the stored fit, else 0.003
  int64_t repeats, seed, threads, starts, bootstrap;  // see struct design_options
  struct spec_choices choices;                        // in all specs
  struct option_list variants;                        // PATH=VALUE: each spec once more with one of these
  bool quick;                                         // no simulated fits
  struct next_request next;                           // which runs to make next
  // Called when a fit begins (done is 0) and now and then while it is simulated; may be NULL. A stop ends the
  // simulation; what is made then is fine.
  void (*progress)(void *context, const char *fit, int done, int repeats);
  void *progress_context;
  const volatile sig_atomic_t *stop_asked;  // or NULL
};

struct design_made {  // a design with what it was made from
  size_t spec;        // of designs.specs
  const char *fit;
  struct design_truth truth;
  const char *noise_source;
  const char *left_out;  // what the entry has and its design knows nothing of: "priors"; or NULL
  struct design_result result;
  struct next_runs next;  // where that is asked
};

struct designs {
  const struct design_request *request;
  struct arena arena;
  struct design_spec specs[DESIGN_LIMIT];  // every spec as it is, and once for each variant
  size_t spec_count;
  struct design_made *made;  // in the order of the specs
  size_t made_count;
};
// designs_free in either case; the request must live as long.
bool designs_make(struct designs *designs, const struct design_request *request, const char *const *paths, int count,
                  struct error *error);
void designs_free(struct designs *designs);
// For people, and as a JSON object {designs, comparison}.
void designs_print(const struct designs *designs, FILE *out);
void designs_json(const struct designs *designs, struct json_writer *writer);
