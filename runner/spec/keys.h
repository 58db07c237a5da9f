// The keys of a spec's mappings, one line each: its top level, a preset, a sweep, a range of values, the trainer, the
// limits of runs, comparisons, the report. The reader refuses all others, and the JSON Schema describes these. (Keys of
// fit entries: entries.h.)
#pragma once
#include "runner/spec/schema_write.h"

struct spec_keys {
  const char *where;  // "the spec", as messages call it
  const struct schema_property *properties;
  size_t count;
};
extern const struct spec_keys spec_own_field_keys, spec_preset_keys;
extern const struct spec_keys spec_top_keys, spec_sweep_keys, spec_range_keys, spec_trainer_keys, spec_run_keys,
    spec_halving_keys, spec_comparison_keys, spec_claim_keys, spec_slurm_keys, spec_report_keys;

bool spec_key_known(const struct spec_keys *keys, const char *name);
// Reports every key of a mapping that is none of these.
void spec_check_keys(const struct spec_keys *keys, const struct node *mapping, struct diagnostics *diagnostics);
