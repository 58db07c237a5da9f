// The one table that describes a run. Every knob of a run is once in run_fields[]: path, type, place in struct
// run_config, default, range, allowed values, unit, one line of help, and whether it can change the result. Parsing,
// validation, "did you mean", the canonical form and run identity, the JSON Schema, the reference page, a run's
// config.json and the database's view all derive from it. Adding a knob is one line there plus its use.
//
// Life of a configuration: config_default -> config_set (from spec, grid, command line) -> config_resolve (fills what
// is "auto", given what is known of the corpus) -> config_canonical / config_identity.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "trainer/formats.h"

// Raised by hand when a change of the trainer changes losses: part of every run's identity. Runs in bfloat16 have one
// of their own, raised alone when only their losses change (3: attention's products in bfloat16).
#define TRAINER_SEMANTIC_VERSION 2
#define TRAINER_BFLOAT16_VERSION 3

enum field_type {
  FIELD_INTEGER,  // int64_t; AUTO_INTEGER means auto
  FIELD_NUMBER,   // double; NAN means auto
  FIELD_BOOLEAN,  // bool
  FIELD_CHOICE,   // const char *, one of `choices`; the choice auto is resolved to another one
  FIELD_TEXT,     // const char *, "" when not given
  FIELD_LIST,     // const char *, lines joined by '\n', "" when not given
};
// Whether a field can change the result of a run.
enum field_effect {
  EFFECT_NONE,      // never: two runs that differ in nothing else are one run
  EFFECT_COUNTS,    // by itself: it is part of the run's identity
  EFFECT_RESOLVED,  // by what is resolved from it: another field, or the digest of the corpus, counts in its place
};
// What else fields are known by than their names.
enum field_group {
  GROUP_BUDGET = 1,         // the spellings of a run's length: setting one unsets the others
  GROUP_CORPUS = 2,         // make the corpus: its digest counts in their place
  GROUP_PREPARED = 4,       // what is known of a corpus depends on them
  GROUP_FORMAT = 8,         // names a format, whose canonical name counts
  GROUP_FOLLOWS = 16,       // by default from the width or the length, which tell runs apart in its place
  GROUP_ROOT = 32,          // count for the root of a chain that begins with a folder, besides the folder's digest
  GROUP_FOUND = 64,         // found out when the run is resolved: no spec gives it
  GROUP_ALL_TASKS = 128,    // runs of every task have it (trainer/tasks/task.h)
  GROUP_STATE = 256,        // how much state the optimizer keeps follows from them
  GROUP_SPEED = 1024,       // change how long a token takes, besides shape, format, dtype and threads
  GROUP_WORD_NUMBER = 512,  // choices of a word and a number, higgs2, which a spec may give as a mapping, {higgs: 2}
};
#define AUTO_INTEGER INT64_MIN
// The stage of runs that are the model of a folder, with which a chain begins in place of a training. Where and how
// that was trained may not be known: train.steps and train.tokens are then auto in a resolved configuration, too.
#define ROOT_STAGE "from"
// The stage of further trainings (trainer/stages/tune.h).
#define TUNE_STAGE "tune"
// tune.format where nothing is given: see the stage in trainer/stages/tune.h.
#define TUNE_PARENT_FORMAT "parent"
// tune.weights, and then tune.after, of a training that is the first of its weights.
#define TUNE_INITIAL "initial"

// What is known of the model of a custom trainer before it trains, in place of the built-in model's counts;
// NAN: not known.
struct own_model {
  bool given;  // false: the built-in trainer's model
  double parameters, total, active, flops;
};

// The task of runs that train a language model; trainer/tasks/list.h has the others.
#define TASK_LM "lm"

// Fields besides the table: those that a spec declares for its own trainer, known to nothing but their names, or those
// of another task than lm. Sorted by path.
enum { OWN_FIELD_LIMIT = 24 };
struct run_field;
struct own_values {
  const struct run_field *fields;  // the spec's, or the task's
  size_t count;
  struct value values[OWN_FIELD_LIMIT];
};

struct run_config {
  struct {
    int64_t layers, width, heads, kv_heads, head_dim, mlp_width, context, vocabulary;
    bool tied_head;
    const char *dtype, *device;
    double rope_theta, norm_eps, init_std;
  } model;
  struct {
    const char *source, *files, *mixture, *tokenizer;
    int64_t vocabulary, seed;
    double validation_fraction;
    int64_t zipfmem_ids, zipfmem_symbols;
    double zipfmem_exponent, zipfmem_epsilon;
    int64_t markov2_vocabulary, suites_symbols;
    double markov2_exponent, suites_share;
  } corpus;
  struct {
    int64_t tokens, steps, batch_tokens, accumulation, warmup_steps, checkpoint_steps, keep_checkpoints, evals,
        eval_tokens, final_eval_tokens, log_steps, threads, newton_schulz_steps, rank, basis_steps, average_checkpoints,
        average_every, gradient_levels, gradient_bucket;
    double tokens_per_parameter, lr, final_lr_ratio, warmup_fraction, cooldown_fraction, beta1, beta2, adam_eps,
        momentum, row_beta2, rest_lr_ratio, basis_memory, damping, weight_decay, clip_norm;
    const char *optimizer, *momentum_form, *lr_scale, *rank_score, *dct, *error_feedback, *master_weights,
        *optimizer_state, *optimizer_rounding, *schedule, *recompute, *gradient_compression, *first_moment,
        *second_moment;
  } train;
  const char *format, *task;
  int64_t seed;
  struct {
    int64_t every, rank;
  } metrics;
  // Settings of stages that follow the training; of a run before them they are at their defaults.
  struct {
    const char *path, *digest;
    // Whether the folder's model has cost more than the training that these fields describe: stages of its chain
    // trained, searched or selected data, and what they took is not known here. Found when the folder is read.
    bool spent_more;
  } from;
  struct {
    int64_t channels;
    double gain;
  } plant_outliers;
  struct {
    const char *method, *space, *compressor, *rounds, *fitness;
    int64_t least_bits, most_bits, group, sparsity_steps, column_levels, calibration_tokens, generations, offspring,
        top, finetune_tokens, noises, noise_tokens, random_choices, most_choices, seed;
    double bits, sparsity, sparsity_step, keep, damping, finetune_lr, largest_noise;
  } search;
  struct {
    const char *select, *target, *weights;
    int64_t pool_tokens, targets, landmarks, dimensions, seed;
    double fraction;
  } data;
  struct {
    int64_t tokens, steps, batch_tokens, accumulation, warmup_steps, seed;
    double lr, final_lr_ratio, warmup_fraction, cooldown_fraction, beta1, beta2, weight_decay, clip_norm;
    const char *weights, *optimizer, *schedule, *format, *after;
  } tune;
  struct {
    const char *method, *format, *order, *clip, *range, *pattern, *inputs, *lambda_schedule, *projection, *penalty,
        *memory;
    int64_t bits, group, p, n, calibration_tokens, steps, interval;
    double damping, sparsity, lr, lambda;
    struct {
      const char *method, *alpha;
      double budget_bits, largest_noise;
      int64_t least_bits, most_bits, noises, tokens;
    } allocate;
  } compress;
  struct {
    int64_t tokens, prompts, new_tokens, suite_tokens, suite_symbols, stream_tokens, first_layer_bits,
        calibration_tokens;
    const char *kv_cache;
    double damping;
    struct {
      int64_t first, recent;
    } keep;
  } evaluate;
  struct {
    int64_t workers, prompts, prompt_tokens, new_tokens, repeats;
    double temperature;
  } hogwild;
  const char *stage;  // no field: the name of the stage whose run this is (trainer/stages/stage.h); NULL: a training
  const struct format *parsed_format;  // of `format`, by config_parse_format; NULL: none, or not parsed
  // No field: the updates before the format begins, of a model whose format is that of a further training and whose
  // train.steps are not; 0: config_format_begins follows from train.steps.
  int64_t format_begins;
  struct own_values own;
  struct own_model own_model;  // no field: it follows from the spec's trainer
};

struct run_field {
  const char *path;  // "train.lr"
  enum field_type type;
  size_t offset;         // in struct run_config
  const char *fallback;  // default, as one would write it in a spec; "auto" where that is allowed
  double low, high;      // inclusive range of numbers
  bool auto_allowed;
  const char *choices;  // FIELD_CHOICE: "a|b|c"
  const char *unit;     // "tokens", "steps", "" ...
  enum field_effect effect;
  bool (*counts_when)(const struct run_config *resolved);  // EFFECT_COUNTS only under such other fields; NULL: always
  unsigned groups;                                         // enum field_group
  size_t own;               // 1 + its place among the fields that a spec declares; 0: of the table
  const char *stage;        // whose setting it is: only the runs of this stage count it; NULL: the training's
  const char *file_ending;  // FIELD_TEXT: what ends so is a file name, which a spec takes relative to its folder
  const char *help;         // one line
};

extern const struct run_field run_fields[];
extern const size_t run_field_count;

// The field of that path, or NULL; *nearest (may be NULL) then gets the path it may have meant, or NULL.
const struct run_field *field_find(const char *path, const char **nearest);

// A value of the field from text as written in a spec: what config_set puts; auto is VALUE_MISSING. Errors as there.
bool field_read(const struct run_field *field, const char *text, struct arena *arena, struct value *value,
                struct error *error);

void config_default(struct run_config *config);
// Sets a field from text as written in a spec. False with a message that says what is allowed ("must be between 1 and
// 4, not 5"), without place or path: the caller knows those. Strings that are kept are copied to the arena.
bool config_set(struct run_config *config, const struct run_field *field, const char *text, struct arena *arena,
                struct error *error);
bool config_set_number(struct run_config *config, const struct run_field *field, double value, struct error *error);
bool config_set_boolean(struct run_config *config, const struct run_field *field, bool value, struct error *error);
// The field's value as it is; auto is VALUE_MISSING. Texts are the configuration's own.
struct value field_get(const struct run_config *config, const struct run_field *field);
// Puts a value that was got from a configuration, or checked by config_set, unchecked and without a copy of its text.
void field_put(struct run_config *config, const struct run_field *field, struct value value);
// The same two for a struct of another kind than a configuration, at the field's `offset` in it.
struct value field_get_in(const void *settings, const struct run_field *field);
void field_put_in(void *settings, const struct run_field *field, struct value value);
// The value as one would write it in a spec: "auto", "0.002", "true"; text itself. `number` is for what is no text.
const char *field_text(const struct run_field *field, struct value value, char number[32]);
// The value as JSON; auto is the text "auto".
void field_json(struct json_writer *json, const struct run_field *field, struct value value);
// The one spelling of a text of this field, by which runs are stored, compared and reported: a format by its canonical
// name, files by their canonical paths; other texts are themselves. In the arena, or the text.
const char *field_spelling(const struct run_field *field, const char *text, struct arena *arena);
// Whether one value of the field can be written in several ways, and whether this text names files.
bool field_has_spellings(const struct run_field *field);
bool field_names_files(const struct run_field *field, const char *text);
// corpus.source says "files" where corpus.files are what is trained on, "mixture" where corpus.mixture is (they come
// before the default source).
void config_name_source(struct run_config *config);
// Whether the field is the format that the model trains in, of which a configuration holds the parsed form too.
bool field_trains(const struct run_field *field);
// The one spelling of a format field's value in this configuration. In the arena, or a text of the configuration.
const char *config_format_spelling(const struct run_config *config, const struct run_field *field, struct arena *arena);
bool config_is_default(const struct run_config *config, const struct run_field *field);
// Whether a value of a stage's field says nothing, as of runs that have not been through the stage: none, or auto.
bool field_is_untouched(const struct run_field *field, struct value value);
// Makes it the configuration of a training: settings of stages are at their defaults.
void config_clear_stages(struct run_config *config);
// Unsets all of GROUP_BUDGET.
void config_clear_budget(struct run_config *config);

// What a plan must know of the corpus to resolve a run (trainer/data fills it).
struct corpus_facts {
  bool known;                    // prepared: the rest is true
  char digest[40];               // of the prepared tokens and their description
  int64_t vocabulary;            // number of token ids
  int64_t train_tokens;          // of one epoch; INT64_MAX for synthetic sources that never repeat
  int64_t validation_tokens;     // in whole windows
  int64_t validation_documents;  // pieces that were split as wholes; -1: a synthetic source, made on the fly
  double bytes_per_token;        // of the validation split; NAN for synthetic sources
  double targets_per_token;      // share of tokens that are unmasked targets (1 without a mask)
  double irreducible_loss;       // closed form E, or NAN
};

// Parameters by component; see design.md "The numbers that matter". N is non_embedding.
struct parameter_counts {
  int64_t embedding, head, attention, mlp, norms;
  int64_t scales;  // a format's learned ones: in the total, not in N
  int64_t total, non_embedding, prunable;
};

// Everything that follows from a resolved configuration.
struct run_quantities {
  struct own_model own_model;  // given: parameters, FLOPs and what follows from them are what it says, NAN where
                               // nothing does; the counts by component are the built-in model's and mean nothing
  struct parameter_counts parameters;
  double active_parameters;          // non-embedding ones that are not pruned at the end
  double average_active_parameters;  // the same, mean over the training steps
  int64_t steps, tokens;             // tokens = steps * batch_tokens; AUTO_INTEGER: a folder's model, trained elsewhere
  // Of what the run itself trains: flops but for the runs of a chain, where flops are those of all its trainings.
  double flops_own;
  double flops_selection;   // of flops, what a selection of the chain took (trainer/stages/select.h)
  double flops_search;      // ... what a search took (trainer/stages/search.h)
  double flops, flops_6nd;  // whole training; flops per operation, attention and head included (see config.c), of the
                            // weights that are not pruned
  double flops_per_token;
  double full_precision_share;  // of the steps, that the format leaves to full precision; 1 without one
  double epochs;                // tokens / train tokens of the corpus; NAN when the corpus is not known
  double tokens_per_parameter;
  int64_t state_bytes;  // of the optimizer's state; AUTO_INTEGER where nothing is trained
};

// Fills every auto field and checks combinations (head dimension divides width, the batch holds whole sequences,
// accumulation divides the batch, ...). `facts` may have known = false: then model.vocabulary must be given or follow
// from the tokenizer (bytes: 257). dtype auto becomes `resolved_dtype` ("float32" or "bfloat16").
bool config_resolve(struct run_config *config, const struct corpus_facts *facts, const char *resolved_dtype,
                    struct error *error);
// Whether the format's blocks and groups divide the axes of the model's matrices; the error is about the field `path`.
bool config_format_fits(const struct run_config *resolved, const struct format *format, const char *path,
                        struct error *error);
struct parameter_counts config_parameters(const struct run_config *resolved);
// Whether the formats of the optimizer's moments go with a configuration whose optimizer is resolved; the error is
// about fields.
bool config_moments_fit(const struct run_config *config, struct error *error);
// Parses `format` into `parsed_format`, which lives in the arena. False with an error when this trainer has no such
// format (a custom trainer may have).
bool config_parse_format(struct run_config *config, struct arena *arena, struct error *error);
// The format of a configuration: `parsed_format`, or parsed into the arena (which takes time). NULL for none, and for
// one of somebody else's trainer, which prunes what we cannot know.
const struct format *config_format(const struct run_config *config, struct arena *arena);
// The updates of a resolved training that pass in full precision before its format begins (`{after: SHARE, then:
// ...}`); 0: it holds from the start on, or there is none.
int64_t config_format_begins(const struct run_config *resolved);
// The canonical name of a configuration's format, which counts in its identity: w4a16 and w4 are one run. The format as
// it is written where this trainer does not know it.
const char *config_format_name(const struct run_config *config, struct arena *arena);

// Non-embedding parameters that are not pruned during `step`.
double config_active_parameters(const struct run_config *resolved, int64_t step);
struct run_quantities config_quantities(const struct run_config *resolved, const struct corpus_facts *facts);

// Of a way of selecting data (data.select): whether it measures gradients, and whether it reads data.target.
bool selection_by_influence(const struct run_config *config);
bool selection_has_target(const struct run_config *config);

// Whether runs of the configuration's task have the field: of another task than lm its own, and those of every task.
bool config_has(const struct run_config *config, const struct run_field *field);
// True when the field counts in the identity of this run: it can change the result, under the configuration's other
// fields too (a cooldown does nothing without the wsd schedule). Of a later stage only its own fields count: the others
// are those of its parent, whose id counts.
bool config_counts(const struct run_config *resolved, const struct run_field *field);
// {"model.layers":4,...}: every field that affects the result, in table order, resolved values, on one line.
void config_canonical(const struct run_config *resolved, struct text *out);
// The version above that this run goes by.
int config_version(const struct run_config *resolved);
// Run id: XXH3-128 of the stage name, the id of the stage before it ("" for the first), config_version, the corpus
// digest and the canonical form.
struct digest config_identity(const struct run_config *resolved, const char *corpus_digest, const char *stage,
                              const char *parent_id);

// A run's config.json: {"isoloss_trainer":1,"id":...,"corpus":{"path":...,"digest":...},"config":{every field}}; of a
// later stage with "stage" and "parent", and only there with fields of stages; of runs that share a trunk (trunk.h)
// with "trunk" or "branches".
struct run_branch {
  char id[40];    // of the run that may begin here
  int64_t step;   // after which: a checkpoint is kept for it
  int64_t steps;  // of that run: it evaluates after other steps
};
struct run_file {
  char id[40];
  const char *corpus_path;  // folder of the prepared corpus, or "" for synthetic sources
  char corpus_digest[40];
  char parent[40];  // of a later stage: the id of the run whose checkpoint it reads, in the folder ../ID; or ""
  char trunk[40];   // id of the run whose checkpoint, in the folder ../ID, this one may begin from; or ""
  const struct run_branch *branches;  // the runs whose trunk this one is
  size_t branch_count;
  struct run_config config;  // resolved
  bool spent_more;           // of an export: as from.spent_more of the configuration
};
// Reads {"model.layers":4,...}, as the store has it, over a configuration of defaults, at which what is null stays;
// strings in the arena. Fields that specs declare themselves are unknown here. False with an error that names the
// field.
bool config_read(struct arena *arena, const char *text, struct run_config *config, struct error *error);
// Of a resolved configuration, the fields that change how long a token takes (GROUP_SPEED) and are not as by default,
// as "train.optimizer=soap train.recompute=block": speeds measured under others say nothing about this one.
void config_speed_settings(const struct run_config *resolved, struct text *out);
void run_file_write(const struct run_file *file, struct text *out);
bool run_file_read(struct arena *arena, const char *path, struct run_file *file, struct error *error);
