// What the files that read a spec share. See spec.h.
#pragma once
#include "runner/spec/entries.h"
#include "runner/spec/names.h"
#include "runner/spec/spec.h"

struct spec_reader {
  struct spec *spec;
  const struct spec_options *options;
  struct diagnostics *diagnostics;
  struct run_config scratch;  // values are tried here
  const char *folder;         // the spec's own: relative paths start there
};

// ---- values.c ----

// One value of a field. False after a diagnostic at its node. `folder`: relative file names start there (NULL: as
// they are).
bool spec_read_value(struct spec_reader *reader, const struct run_field *field, const struct node *node,
                     struct spec_value *value);
// The values of an axis: a plain value, a list, {log: ...}, {linear: ...}, {range: ...}, {seeds: n}.
bool spec_read_axis(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                    const struct node *node, struct spec_axis *axis);
// Puts a value that was read into a configuration, a format with what it was parsed to.
void spec_value_put(struct run_config *config, const struct run_field *field, const struct spec_value *value);
// Text as a field's value into a configuration, with "PATH must be ..., not VALUE" as the message.
bool spec_set_text(const struct spec *spec, struct run_config *config, const struct run_field *field, const char *text,
                   struct arena *arena, struct error *error);
// A file name of a spec, relative to the spec's folder.
const char *spec_file_path(const struct spec_reader *reader, const char *name);
// Numbers that come from arithmetic, to 12 significant digits: the last bits of pow() differ between machines, and a
// run's identity must not.
double rounded_decimal(double value, int digits);

// ---- run.c ----

// "90", "90 s", "15 min", "6 h", "2 d" in seconds; NAN when it is none of these.
double spec_seconds(const char *text);

// ---- texts.c ----

// A scalar's text, or NULL after a diagnostic.
const char *spec_read_text(struct spec_reader *reader, const struct node *node, const char *what);
// The choice that a scalar names, or NULL after a diagnostic.
const char *spec_read_choice(struct spec_reader *reader, const struct node *node, const char *const *choices,
                             size_t count, const char *what);
void spec_choice_error(struct spec_reader *reader, const struct node *node, const char *const *choices, size_t count,
                       const char *what);

// ---- fields.c ----

// Walks a mapping of fields, nested (model: {width: 64}) or dotted (model.width: 64), and hands every field with its
// key and value to `take`. Unknown keys are diagnostics; `where` names the mapping in them.
typedef void spec_take_field(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                             const struct node *value, void *context);
void spec_walk_fields(struct spec_reader *reader, const struct node *mapping, const char *prefix, const char *where,
                      spec_take_field *take, void *context);
// True when fields stand under it ("model").
bool field_section(const char *name);
// Did-you-mean for a path that no field has, in the arena of the spec, or NULL.
const char *spec_field_hint(struct spec_reader *reader, const char *path);

// ---- task.c ----

// `task` at the top: gives base and scratch the task's fields. `root`: what else the spec has.
void spec_read_task(struct spec_reader *reader, const struct node *node, const struct node *root);
// True when a task of that name has fields.
bool spec_task_section(const char *name);
// True after a diagnostic, where a path names a field that runs of the spec's task do not have but those of another.
bool spec_refuse_other_task(struct spec_reader *reader, const char *path, const struct node *key);

// ---- expression.c ----

enum spec_name_set {
  NAMES_OF_RUN,    // fields and what follows from them, before training: where, set
  NAMES_OF_STORE,  // and the results: where, holdout of a fit
  NAMES_ANY,       // not checked here: claims
};
// Parses the expression of a scalar node and checks its names. NULL after diagnostics.
const struct expression *spec_read_expression(struct spec_reader *reader, const struct node *node,
                                              enum spec_name_set names, const char *what);
// An error of expression_parse or expression_evaluate, at its place in the file.
void spec_expression_error(const struct spec *spec, const struct node *node, const struct error *error,
                           const char *hint, struct diagnostics *diagnostics);
// An expression that is in a scalar's text from byte `start` on.
bool spec_check_names(struct spec_reader *reader, const struct node *node, int start,
                      const struct expression *expression, enum spec_name_set names);

// ---- fit.c ----

// A mapping's keys into the members of `entry`, the struct of that kind; its other members are left alone.
void spec_read_entry(struct spec_reader *reader, const struct entry_kind *kind, const struct node *node, void *entry);

// ---- spec.c ----

// Whether it may name an experiment or a preset.
bool spec_name_fine(const char *name);
// The value of `experiment` (NULL: not given); false after a diagnostic.
bool spec_check_name(struct spec_reader *reader, const struct node *name);

// ---- presets.c ----

// The document with the preset that the options ask for laid over it (then spec->preset is its name, and the experiment
// has a name of its own); the document itself where they ask for none, or after a diagnostic. Checks all presets.
const struct node *spec_preset_choose(struct spec_reader *reader, const struct node *root);

// ---- spellings.c ----

// Warns where values of a field's axes are one value in several spellings, with both lines.
void spec_check_spellings(struct spec_reader *reader);

// ---- sweep.c, stages.c ----

// The axes of a stage's mapping: its fields, by their last names, and where it takes another corpus those of `corpus`.
void spec_read_stage_axes(struct spec_reader *reader, const struct node *node, const struct stage *stage,
                          struct spec_sweep *settings);
void spec_read_stages(struct spec_reader *reader, const struct node *node);
// True after a diagnostic, where a field of a stage is among those of trainings.
bool spec_refuse_stage_field(struct spec_reader *reader, const struct run_field *field, const struct node *key);

// ---- from.c, sweep.c, fit.c, claims.c, comparisons.c, report.c, run.c, halving.c, trainer.c ----

void spec_read_from(struct spec_reader *reader, const struct node *node);  // behind the sweeps
void spec_read_sweeps(struct spec_reader *reader, const struct node *node);
void spec_read_fits(struct spec_reader *reader, const struct node *node);
void spec_read_claims(struct spec_reader *reader, const struct node *node);
void spec_read_comparisons(struct spec_reader *reader, const struct node *node);
// What a comparison and a claim with match_on share: the keys match_on, match_along and measure, and ignore.
void spec_read_match(struct spec_reader *reader, const struct node *entry, struct spec_comparison *comparison);
void spec_read_ignored(struct spec_reader *reader, const struct node *node, struct spec_comparison *comparison);
void spec_read_report(struct spec_reader *reader, const struct node *node);
void spec_read_run(struct spec_reader *reader, const struct node *node);  // behind the sweeps
void spec_read_halving(struct spec_reader *reader, const struct node *node);
void spec_read_own_fields(struct spec_reader *reader, const struct node *node);
void spec_read_trainer(struct spec_reader *reader, const struct node *node);
