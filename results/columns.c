// See columns.h.
#include "results/columns.h"

#include <math.h>
#include <string.h>

#include "results/compression_sql.h"
#include "trainer/stages/results.h"

// ---- states ----

static const char *const state_names[RUN_STATES] = {"pending", "running", "done", "diverged", "failed", "killed"};

const char *run_state_name(enum run_state state) { return state_names[state]; }

enum run_state run_state_parse(const char *name) {
  for (enum run_state state = 0; state < RUN_STATES && name; state++)
    if (strcmp(name, state_names[state]) == 0) return state;
  return RUN_PENDING;
}

bool run_state_has_result(enum run_state state) { return state == RUN_DONE || state == RUN_DIVERGED; }

bool run_state_ended_without_loss(enum run_state state) { return state > RUN_DONE; }

// ---- marks ----

static const char *const mark_names[RUN_MARKS] = {NULL, "paused", "cancelled", "retry"};

const char *run_mark_name(enum run_mark mark) { return mark_names[mark]; }

enum run_mark run_mark_parse(const char *name) {
  for (enum run_mark mark = MARK_NONE + 1; mark < RUN_MARKS && name; mark++)
    if (strcmp(name, mark_names[mark]) == 0) return mark;
  return MARK_NONE;
}

bool run_mark_holds(enum run_mark mark) { return mark == MARK_PAUSED || mark == MARK_CANCELLED; }

// ---- what follows from a configuration ----

static struct value number(double value) {
  return isnan(value) ? (struct value){.kind = VALUE_MISSING} : (struct value){.kind = VALUE_NUMBER, .number = value};
}

#define PLANNED(function, expression)                                                               \
  static struct value function(const struct run_quantities *q, const struct corpus_facts *corpus) { \
    return number((double)(expression));                                                            \
  }
// What a trainer of the user's own has in place of the built-in model's count.
#define OF_MODEL(function, count, own) PLANNED(function, q->own_model.given ? (own) : (double)(count))
OF_MODEL(get_parameters, q->parameters.non_embedding, q->own_model.parameters)
OF_MODEL(get_total, q->parameters.total, q->own_model.total)
OF_MODEL(get_embedding, q->parameters.embedding, NAN)
OF_MODEL(get_head, q->parameters.head, NAN)
OF_MODEL(get_attention, q->parameters.attention, NAN)
OF_MODEL(get_mlp, q->parameters.mlp, NAN)
OF_MODEL(get_norms, q->parameters.norms, NAN)
OF_MODEL(get_prunable, q->parameters.prunable, NAN)
#undef OF_MODEL
PLANNED(get_active, q->active_parameters)
PLANNED(get_average_active, q->average_active_parameters)
// How the model of a folder was trained may not be known; a stage that does not train has no state.
static double trained(int64_t count) { return count == AUTO_INTEGER ? NAN : (double)count; }
PLANNED(get_tokens, trained(q->tokens))
PLANNED(get_state_bytes, q->own_model.given ? NAN : trained(q->state_bytes))
PLANNED(get_targets, corpus->known ? trained(q->tokens) * corpus->targets_per_token : NAN)
PLANNED(get_steps, trained(q->steps))
PLANNED(get_epochs, q->epochs)
PLANNED(get_full_precision, q->full_precision_share)
PLANNED(get_ratio, q->tokens_per_parameter)
PLANNED(get_flops, q->flops)
PLANNED(get_flops_own, q->flops_own)
PLANNED(get_flops_selection, q->flops_selection > 0 ? q->flops_selection : NAN)
PLANNED(get_flops_search, q->flops_search > 0 ? q->flops_search : NAN)
PLANNED(get_flops_6nd, q->flops_6nd)
PLANNED(get_flops_per_token, q->flops_per_token)
PLANNED(get_corpus_tokens, !corpus->known                      ? NAN
                           : corpus->train_tokens == INT64_MAX ? INFINITY
                                                               : (double)corpus->train_tokens)
PLANNED(get_validation_documents,
        corpus->known && corpus->validation_documents >= 0 ? (double)corpus->validation_documents : NAN)
PLANNED(get_validation_tokens, corpus->known ? (double)corpus->validation_tokens : NAN)
PLANNED(get_bytes_per_token, corpus->known ? corpus->bytes_per_token : NAN)
PLANNED(get_irreducible_loss, corpus->known ? corpus->irreducible_loss : NAN)
#undef PLANNED

// ---- the table ----

// A corpus' training split is seen at most once over; a synthetic source never repeats.
#define UNIQUE_TOKENS "CASE WHEN r.epochs > 1 THEN round(r.tokens / r.epochs) WHEN r.epochs >= 0 THEN r.tokens END"

// What begins with initial weights owes its parent nothing but what the selection took.
#define FLOPS_OWN                                                      \
  "r.flops - coalesce(CASE WHEN " SETTING(                             \
      "tune.after") " = '" TUNE_INITIAL "' AND r.stage = '" TUNE_STAGE \
                    "' THEN "                                          \
                    "r.flops_selection ELSE (SELECT p.flops FROM runs p WHERE p.id = r.parent) END, 0)"

// By the name of the training's format, "w4a4 after 0.9".
#define FULL_PRECISION_SQL                                      \
  "CASE WHEN " TRAINED " = 'none' THEN 1.0 WHEN instr(" TRAINED \
  ", ' after ') > 0 THEN CAST("                                 \
  "substr(" TRAINED ", instr(" TRAINED                          \
  ", ' after ') + 7) AS REAL) WHEN f.forward IS NOT NULL "      \
  "THEN 0.0 END"

enum { WEIGHTS, ACTIVATIONS, GRADIENTS };  // operands of a format

// Numbers of `metrics` events that table solutions alone keeps.
#define LAST_SOLUTION(name) \
  "(SELECT s.value FROM solutions s WHERE s.run = r.id AND s.name = '" name "' ORDER BY s.step DESC LIMIT 1)"

// In the order of `isoloss runs`.
const struct run_column run_columns[] = {
    {"id", TYPE_TEXT, RUN_NOTE, PLACE_ALWAYS, PRINT_ID, "", "hash of all that can change the result"},
    {"stage", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "", "train, ...; of a custom trainer with its command"},
    {"parent", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_ID, "", "id of the stage before this one"},
    {"state", TYPE_TEXT, RUN_NOTE, PLACE_ALWAYS, PRINT_PLAIN, "", "pending, running, done, diverged, failed, killed"},

    {"mark", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "what was asked of it: paused, cancelled, retry; empty when nothing was", .sql = "m.mark"},
    {"marked_by", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "", "who asked, and on which machine",
     .sql = "m.marked_by"},
    {"marked_at", TYPE_REAL, RUN_NOTE, PLACE_LIST, PRINT_TIME, "s", "when, since 1970", .sql = "m.marked_at"},

    {"parameters", TYPE_INTEGER, RUN_QUANTITY, PLACE_ALWAYS, PRINT_COUNT, "",
     "N: non-embedding parameters (linear and norm weights of the blocks, final norm)",
     .events = {{"start", "parameters.non_embedding"}}, .planned = get_parameters, .chooses = CHOOSES_SIZE,
     .axis = true},
    {"parameters_total", TYPE_INTEGER, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "", "all parameters",
     .events = {{"start", "parameters.total"}}, .planned = get_total, .chooses = CHOOSES_SIZE},
    {"parameters_embedding", TYPE_INTEGER, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "", "parameters of the embedding",
     .events = {{"start", "parameters.embedding"}}, .planned = get_embedding, .chooses = CHOOSES_SIZE},
    {"parameters_head", TYPE_INTEGER, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "", "parameters of an untied output head",
     .events = {{"start", "parameters.head"}}, .planned = get_head, .chooses = CHOOSES_SIZE},
    {"parameters_attention", TYPE_INTEGER, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "",
     "parameters of the attention's linear layers", .events = {{"start", "parameters.attention"}},
     .planned = get_attention, .chooses = CHOOSES_SIZE},
    {"parameters_mlp", TYPE_INTEGER, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "",
     "parameters of the SwiGLU's linear layers", .events = {{"start", "parameters.mlp"}}, .planned = get_mlp,
     .chooses = CHOOSES_SIZE},
    {"parameters_norms", TYPE_INTEGER, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "", "parameters of the norms",
     .events = {{"start", "parameters.norms"}}, .planned = get_norms, .chooses = CHOOSES_SIZE},
    {"parameters_prunable", TYPE_INTEGER, RUN_QUANTITY, PLACE_LIST, PRINT_COUNT, "",
     "parameters of the blocks' linear layers", .events = {{"start", "parameters.prunable"}}, .planned = get_prunable,
     .chooses = CHOOSES_SIZE},
    {"parameters_active", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "",
     "non-embedding parameters that are not pruned, at the end",
     .events = {{"done", "parameters_active"}, {"start", "parameters.active"}}, .planned = get_active,
     .chooses = CHOOSES_FORMAT},
    {"parameters_active_average", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "",
     "the same, mean over the training steps", .events = {{"done", "parameters_active_average"}},
     .planned = get_average_active, .chooses = CHOOSES_FORMAT},

    {"state_bytes", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_BYTES, "bytes",
     "the optimizer's state: of a plan a formula of the parameters (docs/optimizers.md), of a run what was allocated",
     .events = {{"start", "memory.moments"}}, .planned = get_state_bytes, .chooses = CHOOSES_SIZE | CHOOSES_STATE},

    {"sparsity", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "",
     "share of the prunable parameters that are pruned, at the end",
     .sql = "1.0 * (r.parameters - r.parameters_active) / r.parameters_prunable", .chooses = CHOOSES_FORMAT},
    {"forward", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "the format's part in the forward pass, as a format of its own", .sql = "f.forward", .chooses = CHOOSES_FORMAT,
     .of_format = OF_FORMAT_FORWARD},
    {"backward", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "the format's part in the backward pass, as a format of its own", .sql = "f.backward", .chooses = CHOOSES_FORMAT,
     .of_format = OF_FORMAT_BACKWARD},
    {"full_precision_share", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "",
     "share of the training's steps that are asked for in full precision: 0 where a format holds from the start, 1 "
     "without one",
     .sql = FULL_PRECISION_SQL, .planned = get_full_precision, .chooses = CHOOSES_FORMAT, .of_format = OF_FORMAT_PLAIN},
    {"compression", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "what the weights are compressed by: the formats of trainings, a stage's method and format, as gptq:int4-g32",
     .sql = COMPRESSION_SQL, .chooses = CHOOSES_FORMAT},
    {"weight_bits", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "bits", "stored bits a weight; 16: exact",
     .sql = "f.weight_bits", .chooses = CHOOSES_FORMAT, .of_format = OF_FORMAT_BITS, .operand = WEIGHTS},
    {"activation_bits", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "bits", "the same of an activation",
     .sql = "f.activation_bits", .chooses = CHOOSES_FORMAT, .of_format = OF_FORMAT_BITS, .operand = ACTIVATIONS},
    {"gradient_bits", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "bits", "the same of a gradient",
     .sql = "f.gradient_bits", .chooses = CHOOSES_FORMAT, .of_format = OF_FORMAT_BITS, .operand = GRADIENTS},
    {"kv_bits", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "bits", "16: no format represents keys and values",
     .sql = "16", .of_format = OF_FORMAT_KV_BITS},
    {"gmse_weights", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "",
     "the format's squared error on Gaussian weights; 0: exact", .sql = "f.gmse_weights", .chooses = CHOOSES_FORMAT,
     .of_format = OF_FORMAT_ERROR, .operand = WEIGHTS},
    {"gmse_activations", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "", "the same of activations",
     .sql = "f.gmse_activations", .chooses = CHOOSES_FORMAT, .of_format = OF_FORMAT_ERROR, .operand = ACTIVATIONS},
    {"gmse_gradients", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "", "the same of gradients",
     .sql = "f.gmse_gradients", .chooses = CHOOSES_FORMAT, .of_format = OF_FORMAT_ERROR, .operand = GRADIENTS},

    {"tokens", TYPE_INTEGER, RUN_QUANTITY, PLACE_ALWAYS, PRINT_COUNT, "tokens", "D: training tokens seen",
     .events = {{"done", "tokens"}}, .planned = get_tokens, .chooses = CHOOSES_LENGTH, .axis = true},
    {"targets", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "tokens", "of these, unmasked targets",
     .events = {{"done", "targets"}}, .planned = get_targets},
    {"steps", TYPE_INTEGER, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "steps", "optimizer steps", .planned = get_steps,
     .chooses = CHOOSES_LENGTH},
    {"epochs", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_PLAIN, "", "training tokens over the corpus's tokens",
     .planned = get_epochs, .chooses = CHOOSES_LENGTH},
    {"unique_tokens", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_COUNT, "tokens",
     "tokens of the corpus's training split that the run saw", .sql = UNIQUE_TOKENS, .chooses = CHOOSES_LENGTH},
    {"tokens_per_parameter", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "", "D over N",
     .sql = "1.0 * r.tokens / r.parameters", .planned = get_ratio, .chooses = CHOOSES_LENGTH, .axis = true},
    {"flops", TYPE_REAL, RUN_QUANTITY, PLACE_ALWAYS, PRINT_COUNT, "FLOP",
     "C: counted per operation, attention and the vocabulary matrix included; of a chain's runs all its trainings "
     "together",
     .events = {{"done", "flops"}}, .planned = get_flops, .chooses = CHOOSES_LENGTH | CHOOSES_SIZE, .axis = true},
    {"flops_own", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_COUNT, "FLOP",
     "the same of what the run itself trained: of a further training its own, 0 of stages that train nothing",
     .sql = FLOPS_OWN, .planned = get_flops_own},
    {"flops_selection", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_COUNT, "FLOP",
     "of flops, those that a selection of the chain took to choose its data; of a first training on it also those of the "
     "model that it read",
     .planned = get_flops_selection},
    {"flops_search", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_COUNT, "FLOP",
     "of flops, those that a search of the chain took: calibration, evaluations, training of candidates",
     .planned = get_flops_search},
    {"flops_6nd", TYPE_REAL, RUN_QUANTITY, PLACE_SHOW, PRINT_COUNT, "FLOP", "6 N D, of a chain's first training",
     .planned = get_flops_6nd, .chooses = CHOOSES_LENGTH | CHOOSES_SIZE},
    {"flops_per_token", TYPE_REAL, RUN_QUANTITY, PLACE_PLAN, PRINT_COUNT, "FLOP", "C over D",
     .planned = get_flops_per_token},

    {"loss", TYPE_REAL, RUN_OUTCOME, PLACE_ALWAYS, PRINT_LOSS, "nats/token",
     "natural-log cross-entropy per token on the final validation tokens", .events = {{"done", "loss"}}},
    {"bits_per_byte", TYPE_REAL, RUN_OUTCOME, PLACE_ALWAYS, PRINT_LOSS, "bits/byte",
     "the loss by the tokenizer's bytes per token", .events = {{"done", "bits_per_byte"}}},
    {"oracle_loss", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token",
     "of a synthetic source itself, on the same validation tokens", .events = {{"done", "oracle_loss"}}},
    {"irreducible_loss", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token",
     "of a synthetic source, in closed form", .events = {{"done", "irreducible_loss"}},
     .planned = get_irreducible_loss},
    {"parent_loss", TYPE_REAL, RUN_OUTCOME, PLACE_LIST, PRINT_LOSS, "nats/token",
     "the loss of the run that a stage follows", .sql = "(SELECT p.loss FROM runs p WHERE p.id = r.parent)"},
    {"loss_source_1", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token",
     "of a mixture: the loss on windows of its source 1, in the order of corpus.mixture",
     .events = {{"done", "loss_source_1"}}},
    {"loss_source_2", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 2",
     .events = {{"done", "loss_source_2"}}},
    {"loss_source_3", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 3",
     .events = {{"done", "loss_source_3"}}},
    {"loss_source_4", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 4",
     .events = {{"done", "loss_source_4"}}},
    {"loss_source_5", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 5",
     .events = {{"done", "loss_source_5"}}},
    {"loss_source_6", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 6",
     .events = {{"done", "loss_source_6"}}},
    {"loss_source_7", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 7",
     .events = {{"done", "loss_source_7"}}},
    {"loss_source_8", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats/token", "... of its source 8",
     .events = {{"done", "loss_source_8"}}},
    {"weight_stable_rank", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: squared Frobenius norm of a matrix over its squared spectral norm, mean over matrices",
     .events = {{"metrics", "weight_stable_rank"}}},
    {"weight_effective_rank", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: exp(entropy) of a matrix's squared singular values, mean over matrices",
     .events = {{"metrics", "weight_effective_rank"}}},
    {"update_ratio", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: what a step moved a matrix by over the matrix's norm, mean over matrices",
     .events = {{"metrics", "update_ratio"}}},
    {"activation_stable_rank", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: stable rank of what goes into the layers' matrices",
     .events = {{"metrics", "activation_stable_rank"}}},
    {"activation_effective_rank", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: effective rank of the same",
     .events = {{"metrics", "activation_effective_rank"}}},
    {"activation_kurtosis", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: fourth central moment over the squared variance of the same: 3 of a Gaussian",
     .events = {{"metrics", "activation_kurtosis"}}},
    {"activation_outlier", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: largest magnitude over the root mean square of the same",
     .events = {{"metrics", "activation_outlier"}}},
    {"activation_zero_fraction", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: share of zeroes in the same",
     .events = {{"metrics", "activation_zero_fraction"}}},
    {"gradient_energy_svd", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: share of a gradient's squares in metrics.rank singular directions, mean over matrices",
     .events = {{"metrics", "gradient_energy_svd"}}},
    {"gradient_energy_dct", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: the same in as many directions of the cosine transform",
     .events = {{"metrics", "gradient_energy_dct"}}},
    {"gradient_energy_random", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: the same in as many random directions",
     .events = {{"metrics", "gradient_energy_random"}}},
    {"gradient_over_noise", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a run with metrics, at the last of them: the gradient's norm over sqrt(3) times its noise by random rounding; below 1 a training stalls",
     .events = {{"metrics", "gradient_over_noise"}}},
    {"gradient_compression_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "with train.gradient_compression, at the last logged step: squared error of the sum of the workers' gradients over its squares",
     .sql = LAST_SOLUTION("gradient_compression_error"), .events = {{"metrics", "gradient_compression_error"}}},
    {"gradient_bytes", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_BYTES, "bytes",
     "with train.gradient_compression: what one worker sends in a step, fitted levels included",
     .sql = LAST_SOLUTION("gradient_bytes"), .events = {{"metrics", "gradient_bytes"}}},
    {"first_moment_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "with train.first_moment, at the last logged step: squared error of the moments over their squares, of the blocks' matrices",
     .sql = LAST_SOLUTION("first_moment_error"), .events = {{"metrics", "first_moment_error"}}},
    {"second_moment_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "with train.second_moment: the same of the second moments", .sql = LAST_SOLUTION("second_moment_error"),
     .events = {{"metrics", "second_moment_error"}}},
    {"first_moment_bits", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "bits",
     "with train.first_moment: stored bits of an element, scales included; state_bytes is what is kept, in float32",
     .sql = LAST_SOLUTION("first_moment_bits"), .events = {{"metrics", "first_moment_bits"}}},
    {"second_moment_bits", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "bits",
     "with train.second_moment: the same, the sign that no root has included",
     .sql = LAST_SOLUTION("second_moment_bits"), .events = {{"metrics", "second_moment_bits"}}},
    {"selected_windows", TYPE_INTEGER, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a selection: windows that were chosen", .events = {{"done", "selected_windows"}}},
    {"selected_share", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a selection: share of the chosen windows that are of the target's source",
     .events = {{"done", "selected_share"}}},
    {"landmark_correlation", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a selection by influence: correlation of predicted with measured influence, on landmarks that were left out",
     .events = {{"done", "landmark_correlation"}}},
    {"weight_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a compression: squared error of its matrices over their squares", .events = {{"done", "weight_error"}}},
    {"stored_bits", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "bits",
     "of a compression: stored bits a weight of its matrices, scales and positions included",
     .events = {{"done", "stored_bits"}}},
    {"output_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a compression with calibration: squared error of a layer's outputs over their squares, mean over matrices",
     .events = {{"done", "output_error"}}},
    {"error_over_bound", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of gptq and babai: a matrix's error over the bound that holds without clipping, mean over matrices",
     .events = {{"done", "error_over_bound"}}},
    {"pivot_trace", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of gptq and babai: tr(D) of the order of rounding over the trace of the damped Hessian, mean over matrices",
     .events = {{"done", "pivot_trace"}}},
    {"clipped", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of gptq and babai: share of weights that had come to lie beyond the grid's ends, mean over matrices",
     .events = {{"done", "clipped"}}},
    {"predicted_increase", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "nats",
     "of a compression with allocated bits: sum over matrices of alpha t^2, what the errors should add to the loss",
     .events = {{"done", "predicted_increase"}}},
    {"search_fitness", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "nats",
     "of a search: what its choice is worth on the tokens of its last round, less is better",
     .events = {{"done", "search_fitness"}}},
    {"search_evaluations", TYPE_INTEGER, RUN_OUTCOME, PLACE_SHOW, PRINT_COUNT, "",
     "of a search: how many models it held against the one before", .events = {{"done", "search_evaluations"}}},
    {"search_tokens", TYPE_INTEGER, RUN_OUTCOME, PLACE_SHOW, PRINT_COUNT, "tokens",
     "of a search: tokens that went forward for these, those trained on three times",
     .events = {{"done", "search_tokens"}}},
    {"rank_correlation", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of a search with random choices: Spearman's correlation of their summed layer errors and what they are worth",
     .events = {{"done", "rank_correlation"}}},
    {"root_loss", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats",
     "of an evaluation: the loss of the model that its chain began with, on the same tokens",
     .events = {{"done", "root_loss"}}},
    {"kl", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_LOSS, "nats",
     "of an evaluation: KL divergence a token from the model that its chain began with to this one",
     .events = {{"done", "kl"}}},
    {"top1_agreement", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of an evaluation: share of tokens where both hold the same next one likeliest",
     .events = {{"done", "top1_agreement"}}},
    {"top1_accuracy", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of an evaluation: share of targets that the model holds likeliest", .events = {{"done", "top1_accuracy"}}},
    {"recovery", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "%",
     "of an evaluation: top1_accuracy over that of the model that its chain began with",
     .events = {{"done", "recovery"}}},
    {"first_divergence", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "tokens",
     "of an evaluation: tokens that greedy decoding has in common with that model's, mean over prompts",
     .events = {{"done", "first_divergence"}}},
    {"copy_accuracy", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of an evaluation: share of the answers of the suite copy that the model holds likeliest",
     .events = {{"done", "copy_accuracy"}}},
    {"copy_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "", "standard error of copy_accuracy, over windows",
     .events = {{"done", "copy_error"}}},
    {"copy_chance", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of the suite copy: the accuracy of the best guess that does not read the record",
     .events = {{"done", "copy_chance"}}},
    {"copy_recovery", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "%",
     "of an evaluation: copy_accuracy less chance over the same of the model that its chain began with; empty where that "
     "one is not above chance by 3 standard errors",
     .events = {{"done", "copy_recovery"}}},
    {"induction_accuracy", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of an evaluation: share of the answers of the suite induction that the model holds likeliest",
     .events = {{"done", "induction_accuracy"}}},
    {"induction_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "standard error of induction_accuracy, over windows", .events = {{"done", "induction_error"}}},
    {"induction_chance", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of the suite induction: the accuracy of the best guess that does not read the record",
     .events = {{"done", "induction_chance"}}},
    {"induction_recovery", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "%",
     "of an evaluation: induction_accuracy less chance over the same of the model that its chain began with; empty where that "
     "one is not above chance by 3 standard errors",
     .events = {{"done", "induction_recovery"}}},
    {"sums_accuracy", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of an evaluation: share of the answers of the suite sums that the model holds likeliest",
     .events = {{"done", "sums_accuracy"}}},
    {"sums_error", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "", "standard error of sums_accuracy, over windows",
     .events = {{"done", "sums_error"}}},
    {"sums_chance", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of the suite sums: the accuracy of the best guess that does not read the record",
     .events = {{"done", "sums_chance"}}},
    {"sums_recovery", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "%",
     "of an evaluation: sums_accuracy less chance over the same of the model that its chain began with; empty where that "
     "one is not above chance by 3 standard errors",
     .events = {{"done", "sums_recovery"}}},
    {"suites_note", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "why recoveries of suites are missing",
     .events = {{"done", "suites_note"}}},
    {"train_loss", TYPE_REAL, RUN_OUTCOME, PLACE_LIST, PRINT_LOSS, "nats/token", "the last one reported"},
    {"step", TYPE_INTEGER, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "steps", "where the run is",
     .events = {{"done", "step"}}},
    {"wall_seconds", TYPE_REAL, RUN_OUTCOME, PLACE_ALWAYS, PRINT_DURATION, "s",
     "time of the training, evaluations and checkpoints included, interruptions not",
     .events = {{"done", "wall_seconds"}}, .measured = true},
    {"train_seconds", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_DURATION, "s", "of these, in training steps",
     .events = {{"done", "train_seconds"}}, .measured = true},
    {"trunk", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_ID, "",
     "id of the run from whose checkpoint this one began, in place of training the same steps",
     .events = {{"start", "trunk"}}},
    {"trunk_step", TYPE_INTEGER, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "steps", "trained there, of this run's steps",
     .events = {{"start", "trunk_step"}}},
    {"trunk_seconds", TYPE_REAL, RUN_NOTE, PLACE_SHOW, PRINT_DURATION, "s", "of wall_seconds, spent there",
     .events = {{"start", "trunk_seconds"}}},
    {"tokens_per_second", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_COUNT, "tokens/s", "the last one reported",
     .measured = true},
    {"speed_of_light", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_PLAIN, "",
     "of the whole training, where the peak of its products was measured: the time that the model's products alone "
     "would take at that peak over the time taken",
     .events = {{"done", "speed_of_light"}}, .measured = true},
    {"peak_memory", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_BYTES, "bytes", "largest resident set of the worker",
     .events = {{"done", "peak_memory"}}, .measured = true},

    {"host", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "machine of the last worker",
     .events = {{"start", "host"}}, .label = "host"},
    {"backend", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "cpu or cuda", .events = {{"start", "backend"}},
     .label = "backend", .mixed = "backends"},
    {"device", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "",
     "in words: processor or GPU, library of the matrix products and what it ran", .events = {{"start", "device"}}},
    {"dtype", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "float32 or bfloat16, where auto is resolved",
     .events = {{"start", "dtype"}}, .label = "data type", .mixed = "data types"},
    {"gemm", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "library of the matrix products",
     .events = {{"start", "gemm"}}, .label = "matrix products"},
    {"kernel", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "what that library ran",
     .events = {{"start", "kernel"}}, .label = "their kernel", .mixed = "kernels of the matrix products"},
    {"isa", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "instruction set", .events = {{"start", "isa"}},
     .label = "instruction set"},
    {"threads", TYPE_INTEGER, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "threads of the run",
     .events = {{"start", "threads"}}, .label = "threads a run"},
    {"libraries", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "",
     "versions that the trainer reports of its libraries", .events = {{"start", "libraries"}}, .label = "libraries"},
    {"processor", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "of the machine, and how many cores it gave",
     .label = "processor"},
    {"gpu", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "names of the GPUs that the run saw", .label = "GPU"},
    {"system", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "",
     "versions of isoloss, kernel, C library and NVIDIA's driver", .label = "system"},
    {"environment", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "",
     "JSON: variables of the trainer's environment that can matter (OMP_NUM_THREADS, CUDA_VISIBLE_DEVICES, ...)"},
    {"spec_revision", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "git commit of the spec's folder",
     .label = "commit of the spec"},
    {"spec_dirty", TYPE_INTEGER, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "",
     "1: files there were not as in that commit; 0: they were"},
    {"trainer_revision", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "git commit of a custom trainer's folder",
     .label = "commit of the trainer's folder"},
    {"trainer_dirty", TYPE_INTEGER, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "",
     "1: files there were not as in that commit; 0: they were"},
    {"machine_seconds", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_DURATION, "s",
     "the run's share of the time of its machine, or of its job's part of one: split by threads among the runs at work",
     .measured = true},
    {"joules", TYPE_REAL, RUN_OUTCOME, PLACE_SHOW, PRINT_COUNT, "J",
     "the run's share of the energy that the machine's counters gave, split likewise; of GPUs among their own runs",
     .measured = true},
    {"joules_seconds", TYPE_REAL, RUN_NOTE, PLACE_SHOW, PRINT_DURATION, "s",
     "of the run's time, during which it was read"},
    {"joules_source", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "which counters those were"},
    {"trainer", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "program and version",
     .events = {{"start", "trainer"}}, .label = "trainer"},
    {"commit_id", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "of the trainer's source, where it reports it",
     .events = {{"start", "commit"}, {"done", "commit"}}, .label = "commit"},
    {"message", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "why the run failed, diverged or was stopped; what is odd about its log"},
    {"resumed_under", TYPE_TEXT, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "where it went on under another instruction set, library, thread count or trainer, and which"},
    {"halved_at", TYPE_REAL, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "",
     "share of its steps at which successive halving stopped it; empty where it did not, or the run was trained on"},
    {"attempts", TYPE_INTEGER, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "how often a worker was started"},
    {"corpus_digest", TYPE_TEXT, RUN_SETTING, PLACE_LIST, PRINT_PLAIN, "", "of the prepared tokens",
     .label = "corpus digest", .mixed = "corpora"},
    {"corpus_tokens", TYPE_REAL, RUN_QUANTITY, PLACE_PLAN, PRINT_COUNT, "tokens",
     "training tokens of the corpus: one epoch", .planned = get_corpus_tokens},
    {"validation_documents", TYPE_REAL, RUN_QUANTITY, PLACE_PLAN, PRINT_COUNT, "",
     "documents, or pieces, of the corpus's validation split", .planned = get_validation_documents},
    {"validation_tokens", TYPE_REAL, RUN_QUANTITY, PLACE_PLAN, PRINT_COUNT, "tokens",
     "tokens of the validation split, in whole windows", .planned = get_validation_tokens},
    {"bytes_per_token", TYPE_REAL, RUN_QUANTITY, PLACE_LIST, PRINT_PLAIN, "bytes", "of the corpus's validation split",
     .planned = get_bytes_per_token},
    {"created_at", TYPE_REAL, RUN_NOTE, PLACE_SHOW, PRINT_TIME, "s", "when the run was added, since 1970"},
    {"started_at", TYPE_REAL, RUN_NOTE, PLACE_SHOW, PRINT_TIME, "s", "when its last worker was started"},
    {"finished_at", TYPE_REAL, RUN_NOTE, PLACE_SHOW, PRINT_TIME, "s", "when it ended"},
    {"checkpoint", TYPE_TEXT, RUN_NOTE, PLACE_SHOW, PRINT_PLAIN, "", "newest one, relative to the run's folder",
     .events = {{"checkpoint", "path"}, {"done", "checkpoint"}}},

    {"pid", TYPE_INTEGER, RUN_NOTE, PLACE_STORE, PRINT_PLAIN, "", "of the last worker, on its host",
     .events = {{"start", "pid"}}},
    {"canonical", TYPE_TEXT, RUN_NOTE, PLACE_STORE, PRINT_PLAIN, "", "JSON: the fields that count in the id"},
    {"config", TYPE_TEXT, RUN_NOTE, PLACE_STORE, PRINT_PLAIN, "", "JSON: every field"},
    {"command", TYPE_TEXT, RUN_NOTE, PLACE_STORE, PRINT_PLAIN, "", "JSON array: a custom trainer's, or NULL"},
    {"log_offset", TYPE_INTEGER, RUN_NOTE, PLACE_STORE, PRINT_PLAIN, "bytes", "of events.jsonl that are in the store"},
    {"log_check", TYPE_INTEGER, RUN_NOTE, PLACE_STORE, PRINT_PLAIN, "", "hash of the last of them"},
    {"log_damaged", TYPE_INTEGER, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "lines",
     "of events.jsonl that are no events and were passed over"},
    {"log_damaged_line", TYPE_INTEGER, RUN_NOTE, PLACE_LIST, PRINT_PLAIN, "", "the first of them, from 1"},
};
const size_t run_column_count = sizeof run_columns / sizeof *run_columns;

const struct run_column *run_column_find(const char *name) {
  for (size_t i = 0; i < run_column_count; i++)
    if (strcmp(run_columns[i].name, name) == 0) return &run_columns[i];
  return NULL;
}

bool run_column_kept(const struct run_column *column) { return column->place >= PLACE_STORE && !column->sql; }

bool run_column_listed(const struct run_column *column) { return column->place >= PLACE_LIST; }

const char *run_column_type_name(enum run_column_type type) {
  static const char *const names[] = {"TEXT", "INTEGER", "REAL"};
  return names[type];
}

const struct task_result *run_result_find(const char *name) {
  const struct task_result *result = NULL;
  if (task_of_result(name, &result)) return result;
  const struct stage_result *of_stage = stage_result_find(name);
  return of_stage ? &of_stage->result : NULL;
}

const struct task_result *run_result_at(size_t index) {
  for (size_t t = 0; run_tasks[t]; t++) {
    if (index < run_tasks[t]->result_count) return &run_tasks[t]->results[index];
    index -= run_tasks[t]->result_count;
  }
  return index < stage_result_count ? &stage_results[index].result : NULL;
}

bool run_column_is_result(const char *name) { return run_result_find(name) != NULL; }

enum run_column_role run_column_role(const char *name) {
  if (run_column_is_result(name)) return RUN_OUTCOME;
  const struct run_field *field = field_find(name, NULL);
  if (field) return field->effect == EFFECT_COUNTS ? RUN_SETTING : RUN_NOTE;
  const struct run_column *column = run_column_find(name);
  return column ? column->role : RUN_NOTE;
}

// ---- what N may count ----

const char *const parameter_count_names[] = {"non-embedding", "total", "prunable", "active", "average-active", NULL};
static const char *const counted[] = {"parameters", "parameters_total", "parameters_prunable", "parameters_active",
                                      "parameters_active_average"};

const char *parameter_count_column(const char *name) {
  _Static_assert(sizeof counted + sizeof *counted == sizeof parameter_count_names, "a column for each name");
  for (size_t i = 0; parameter_count_names[i]; i++)
    if (strcmp(parameter_count_names[i], name) == 0) return counted[i];
  return NULL;
}

const char *run_text_spelling(const char *column, const char *text, struct arena *arena) {
  const struct run_field *field = field_find(column, NULL);
  const struct run_column *found = run_column_find(column);
  if (found && (found->of_format == OF_FORMAT_FORWARD || found->of_format == OF_FORMAT_BACKWARD))
    field = field_find("format", NULL);
  return field ? field_spelling(field, text, arena) : text;
}
