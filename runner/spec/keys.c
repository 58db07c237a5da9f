// The tables of keys; see keys.h.
#include "runner/spec/keys.h"

#include <string.h>

#include "runner/spec/spec.h"

static const struct schema_property top[] = {
    {"experiment", "string|number", .pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$", .limits = {{"maxLength", 100}},
     .description = "the experiment's name"},
    {"about", "string|number|boolean", .description = "what is asked, for the report"},
    {"corpus", .reference = "value:corpus"},
    {"base", .fields = "value", .description = "fields of every run, where the sweep does not give them"},
    {"sweep", .reference = "sweep", .repeated = true, .limits = {{"minItems", 1}},
     .description = "grids of runs, united; without it the spec is one run"},
    {"from", "string", .repeated = true, .limits = {{"minItems", 1}},
     .description = "a folder with a model, or several, that the chains begin with in place of trainings"},
    {"stages", .reference = "stages", .description = "what follows each training, in order"},
    {"fit", .reference = "fit", .repeated = true, .description = "laws to fit to the runs"},
    {"claims", .reference = "claim", .repeated = true,
     .description = "expressions over runs and fits that should hold"},
    {"comparisons", .reference = "comparison", .repeated = true,
     .description = "two selections of the runs each, paired on what they share"},
    {"report", .reference = "report"},
    {"run", .reference = "run"},
    // What a preset cannot change comes last.
    {"task", .reference = "value:task"},
    {"fields", .reference = "fields", .description = "fields of the runs that a custom trainer knows"},
    {"trainer", .reference = "trainer"},
    {"presets", .reference = "presets", .description = "changes of the spec, each under the name that --preset takes"},
};
enum { NOT_IN_PRESETS = 4 };

static const struct schema_property sweep[] = {
    {"grid", .reference = "axes"},
    {"zip", .reference = "axes"},
    {"where", .reference = "expression"},
    {"set", .reference = "derivations"},
};

static const struct schema_property range[] = {
    {"log", "array", "number", .limits = {{"minItems", 3}, {"maxItems", 3}}, .description = "[first, last, count]"},
    {"linear", "array", "number", .limits = {{"minItems", 3}, {"maxItems", 3}}, .description = "[first, last, count]"},
    {"range", "array", "number", .limits = {{"minItems", 2}, {"maxItems", 3}},
     .description = "[first, last] or [first, last, step]"},
    {"seeds", "integer", .limits = {{"minimum", 1}}, .description = "0, 1, ... up to this many"},
    {"round", "number", .limits = {{"exclusiveMinimum", 0}}},
};

static const struct schema_property trainer[] = {
    {"command", "array", "string|number|boolean", .limits = {{"minItems", 1}},
     .description = "program and arguments; {config}, {folder}, {id} and {FIELD} are filled in"},
    {"version", "string|number", .description = "part of the runs' identity"},
    {"parameters", "string|number", .description = "an expression: N of its model, where its events do not tell"},
    {"parameters_total", "string|number", .description = "an expression: all parameters of its model"},
    {"parameters_active", "string|number", .description = "an expression: those at work for a token"},
    {"flops", "string|number", .description = "an expression: FLOPs of a run"},
};

static const struct schema_property run[] = {
    {"time_limit", "number|string", .pattern = "^[0-9.]+ *(s|m|min|h|d)?$",
     .limits = {{"exclusiveMinimum", 0}, {"exclusiveMaximum", 1e9}},
     .description = "a run that trains longer is stopped and failed: seconds, or 6 h"},
    {"stall_limit", "number|string", .pattern = "^[0-9.]+ *(s|m|min|h|d)?$",
     .limits = {{"exclusiveMinimum", 0}, {"exclusiveMaximum", 1e9}},
     .description = "a worker without an event for so long is reported: seconds, or 15 min"},
    {"on_stall", "string", .description = "tell (the default), or retry: kill it and go on from its last checkpoint",
     .choices = (const char *const[]){"tell", "retry"}, .choice_count = 2},
    {"share_trunks", "boolean",
     .description = "true (the default): runs that differ in length alone begin from the longest one's checkpoints"},
    {"require_clean", "boolean",
     .description = "true: nothing is trained unless the folders of spec and trainer are as they are committed to git"},
    {"price_per_hour", "number|string", .pattern = "^[0-9.]+ *[^ \\t\\n<>&\"']{0,12}$",
     .limits = {{"minimum", 0}, {"exclusiveMaximum", 1e9}},
     .description = "of the machine that trains, or of a job's part of one: 2.5 EUR"},
    {"halving", .reference = "halving"},
    {"slurm", .reference = "slurm"},
};

static const struct schema_property halving[] = {
    {"over", .reference = "path", .repeated = true, .limits = {{"minItems", 1}, {"maxItems", HALVING_AXES}},
     .description = "axes: runs that differ in them alone compete"},
    {"average_over", .reference = "path", .repeated = true, .limits = {{"minItems", 1}, {"maxItems", HALVING_AXES}},
     .description = "axes, such as seed: what competes is the mean loss over them, and all their runs go on or none"},
    {"keep", .reference = "share", .fallback = "1/2",
     .description = "share of the competitors that continues from each rung, rounded up: 0.5 or 1/2"},
    {"at", .reference = "share", .repeated = true, .limits = {{"minItems", 1}, {"maxItems", HALVING_RUNGS}},
     .description = "ascending shares of a run's steps"},
};

#define ONE_WORD "^[^ \"'\\\\#]+$"
static const struct schema_property slurm[] = {
    {"partition", "string|number|boolean", .pattern = ONE_WORD,
     .description = "as sbatch takes it, like the five that follow"},
    {"account", "string|number|boolean", .pattern = ONE_WORD},
    {"qos", "string|number|boolean", .pattern = ONE_WORD},
    {"constraint", "string|number|boolean", .pattern = ONE_WORD},
    {"gres", "string|number|boolean", .pattern = ONE_WORD, .description = "of a job: gpu:1"},
    {"memory", "string|number|boolean", .pattern = ONE_WORD, .description = "of a job: 24G"},
    {"time", "string", .pattern = "^([0-9.]+ *(s|m|min|h|d)|[0-9]+(:[0-9]+){1,2}|[0-9]+-[0-9]+(:[0-9]+){0,2})$",
     .description = "of a job: 6 h, or Slurm's 1-12:00:00"},
    {"cpus", "integer", .limits = {{"minimum", 1}, {"maximum", 100000}}, .description = "cores of a job"},
    {"array_cap", "integer", .limits = {{"minimum", 1}, {"maximum", 100000}},
     .description = "jobs of an array that Slurm runs at a time; all it can when not given"},
    {"runs_per_job", "integer", .limits = {{"minimum", 1}, {"maximum", 100000}}, .fallback = "1",
     .description = "runs that one job trains, side by side as its cores and GPUs hold them"},
    {"slots_per_gpu", "integer|string", .pattern = "^auto$", .limits = {{"minimum", 1}, {"maximum", 1000}},
     .fallback = "1",
     .description = "runs on one GPU at a time: a number, or auto: as its memory holds by the plan's estimates"},
    {"mps", "boolean", .description = "true: NVIDIA's MPS is started in the job, for runs that share a GPU"},
    {"follow_up", "boolean",
     .description =
         "a small job collects and submits what is missing when the others have ended; true where runs stop by "
         "halving, else false"},
    {"stop_before", "number|string", .pattern = "^[0-9.]+ *(s|m|min|h|d)?$",
     .description = "so long before a job's end its runs write a checkpoint and stop: 5 min; 2 min when not given"},
    {"options", "array", "string", .description = "further options of sbatch: [--exclusive]"},
    {"prologue", "string|number|boolean", .description = "lines of bash before the runs: module load, conda activate"},
    {"container", "string|number|boolean",
     .description = "words in front of the command: apptainer exec --nv image.sif"},
};

static const char *const own_types[] = {"integer", "number", "boolean", "choice", "text"};
static const struct schema_property own_field[] = {
    {"type", .choices = own_types, .choice_count = 5, .description = "number when not given"},
    {"default", "string|number|boolean", .description = "where neither base nor the sweep gives it"},
    {"range", "array", "number", .limits = {{"minItems", 2}, {"maxItems", 2}}, .description = "[least, greatest]"},
    {"choices", "array", "string|number|boolean", .limits = {{"minItems", 1}}, .description = "of type choice"},
    {"unit", "string"},
    {"help", "string"},
    {"counts", "boolean", .description = "false: it cannot change a result, and is no part of the identity"},
};

static const struct schema_property comparison[] = {
    {"a", .reference = "expression"},
    {"b", .reference = "expression"},
    {"where", .reference = "expression"},
    {"name", "string|number|boolean", .description = "a and b when not given"},
    {"ignore", .reference = "path", .repeated = true, .description = "settings that runs are not paired on"},
    {"match_on", "string",
     .description = "the quantity that both are compared at, in place of the ends of runs: the same loss or compute",
     .choices = (const char *const[]){"loss", "flops", "tokens", "train_seconds"}, .choice_count = 4},
    {"match_along", "string",
     .description = "curves (the default): between the evaluations of each run; ladders: between the ends of runs",
     .choices = (const char *const[]){"curves", "ladders"}, .choice_count = 2},
    {"measure", "string", .description = "what is compared at matched loss; flops when not given",
     .choices = (const char *const[]){"flops", "tokens", "train_seconds"}, .choice_count = 3},
};

static const struct schema_property matched_claim[] = {
    {"claim", "string", .description = "COLUMN[A] < COLUMN[B], or >: loss, or at matched loss what is needed for it"},
    {"where", .reference = "expression"},
    {"ignore", .reference = "path", .repeated = true, .description = "settings that runs are not paired on"},
    {"match_on", "string",
     .description = "what both sides are compared at: loss, flops, tokens, train_seconds, or a result of the task"},
    {"match_along", "string",
     .description = "curves (the default): between the evaluations of each run; ladders: between the ends of runs",
     .choices = (const char *const[]){"curves", "ladders"}, .choice_count = 2},
};

// The kinds of plots are not known here: the schema adds them.
static const struct schema_property report[] = {
    {"title", "string|number|boolean", .description = "the experiment's name when not given"},
    {"plots", "array"},
};

#define KEYS(name, properties) \
  { name, properties, sizeof properties / sizeof *properties }
const struct spec_keys spec_top_keys = KEYS("the spec", top);
const struct spec_keys spec_preset_keys = {"a preset", top, sizeof top / sizeof *top - NOT_IN_PRESETS};
const struct spec_keys spec_sweep_keys = KEYS("sweep", sweep);
const struct spec_keys spec_range_keys = KEYS("a range of values", range);
const struct spec_keys spec_trainer_keys = KEYS("trainer", trainer);
const struct spec_keys spec_run_keys = KEYS("run", run);
const struct spec_keys spec_halving_keys = KEYS("halving", halving);
const struct spec_keys spec_slurm_keys = KEYS("slurm", slurm);
const struct spec_keys spec_own_field_keys = KEYS("a field", own_field);
const struct spec_keys spec_comparison_keys = KEYS("a comparison", comparison);
const struct spec_keys spec_claim_keys = KEYS("a claim", matched_claim);
const struct spec_keys spec_report_keys = KEYS("report", report);

bool spec_key_known(const struct spec_keys *keys, const char *name) {
  for (size_t i = 0; i < keys->count; i++)
    if (strcmp(keys->properties[i].key, name) == 0) return true;
  return false;
}

void spec_check_keys(const struct spec_keys *keys, const struct node *mapping, struct diagnostics *diagnostics) {
  struct arena arena = {0};
  const char **names = arena_array(&arena, keys->count, sizeof *names);
  for (size_t i = 0; i < keys->count; i++) names[i] = keys->properties[i].key;
  node_check_keys(mapping, names, keys->count, keys->where, diagnostics);
  arena_free(&arena);
}
