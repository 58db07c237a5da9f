// The table of run fields; see config.h. Order is the order of the reference page and of the canonical form: append
// within a group freely, the names are what identity hashes.
#include <string.h>

#include "kernels/formats/fitted_levels.h"
#include "trainer/config.h"
#include "trainer/field_lines.h"
#include "trainer/search_budget.h"
#include "trainer/tasks/list.h"

#define FIELD(member, field_type) .path = #member, .type = field_type, .offset = offsetof(struct run_config, member)
#define LIST(member) FIELD(member, FIELD_LIST)
#define COUNTS_WHEN(predicate) .effect = EFFECT_COUNTS, .counts_when = predicate
#define RESOLVED .effect = EFFECT_RESOLVED
#define GROUP(name) .groups = GROUP_##name
#define CORPUS .effect = EFFECT_RESOLVED, .groups = GROUP_CORPUS | GROUP_PREPARED
#define STAGE(name) .stage = #name
#define FILES(ending) .file_ending = ending
#define OR_TASK(name) "|" #name

// ---- when a field counts ----

static bool cools_down(const struct run_config *c) { return strcmp(c->train.schedule, "wsd") == 0; }

static bool ends_above_zero(const struct run_config *c) {
  return strcmp(c->train.schedule, "wsd") != 0 && strcmp(c->train.schedule, "constant") != 0;
}

// Left out where they are float32, as before there was a choice: such runs keep their ids.
static bool narrow_state(const struct run_config *c) { return strcmp(c->train.optimizer_state, "float32") != 0; }
static bool narrow_masters(const struct run_config *c) { return strcmp(c->train.master_weights, "float32") != 0; }
static bool rounds(const struct run_config *c) { return narrow_state(c) || narrow_masters(c); }

static bool compresses_gradients(const struct run_config *c) {
  return strcmp(c->train.gradient_compression, "none") != 0;
}

static bool represents_first(const struct run_config *c) { return strcmp(c->train.first_moment, "none") != 0; }
static bool represents_second(const struct run_config *c) { return strcmp(c->train.second_moment, "none") != 0; }
// Left out where it is a product, as before there was a choice.
static bool transforms_fast(const struct run_config *c) { return strcmp(c->train.dct, "fast") == 0; }

static bool averages(const struct run_config *c) { return c->train.average_checkpoints > 1; }

static bool tuning_cools_down(const struct run_config *c) { return strcmp(c->tune.schedule, "wsd") == 0; }

static bool tuning_ends_above_zero(const struct run_config *c) {
  return strcmp(c->tune.schedule, "wsd") != 0 && strcmp(c->tune.schedule, "constant") != 0;
}

// Elsewhere the format that bits and group stand for counts in their place.
static bool allocates(const struct run_config *c) { return strcmp(c->compress.allocate.method, "none") != 0; }
static bool propagates(const struct run_config *c) { return strcmp(c->compress.inputs, "compressed") == 0; }
static bool counts_group(const struct run_config *c) {
  return strcmp(c->compress.method, "higgs") == 0 || allocates(c);
}

static bool compression_trains(const struct run_config *c) { return strcmp(c->compress.method, "elsa") == 0; }

static bool is_other_task(const struct run_config *c) { return c->task && strcmp(c->task, TASK_LM) != 0; }

static bool asks_suites(const struct run_config *c) { return c->evaluate.suite_tokens > 0; }
static bool stores_cache(const struct run_config *c) { return strcmp(c->evaluate.kv_cache, "none") != 0; }
static bool predicts_cache(const struct run_config *c) { return strncmp(c->evaluate.kv_cache, "aqua", 4) == 0; }

// What a way of selecting data does not read (trainer/stages/select.h).
static bool selects(const struct run_config *c, const char *way) { return strcmp(c->data.select, way) == 0; }
static bool select_weighs(const struct run_config *c) { return selects(c, "influence_mean"); }
bool selection_by_influence(const struct run_config *c) {
  return select_weighs(c) || selects(c, "influence_round_robin");
}
static bool select_has_examples(const struct run_config *c) {
  return selection_by_influence(c) || selects(c, "target_only");
}
bool selection_has_target(const struct run_config *c) { return select_has_examples(c) || selects(c, "oracle"); }
static bool select_has_pool(const struct run_config *c) { return !selects(c, "target_only"); }
static bool select_has_fraction(const struct run_config *c) { return select_has_pool(c) && !selects(c, "all"); }

// ---- the table ----

const struct run_field run_fields[] = {
    {INTEGER(model.layers, 1, 1024), DEFAULT("4"), COUNTS, HELP("transformer blocks")},
    {INTEGER(model.width, 16, 65536), DEFAULT("128"), COUNTS, HELP("residual width (d_model), a multiple of 16")},
    {INTEGER(model.heads, 1, 4096), AUTO, COUNTS, GROUP(FOLLOWS), HELP("query heads; auto: width / head_dim")},
    {INTEGER(model.kv_heads, 1, 4096), AUTO, COUNTS, GROUP(FOLLOWS),
     HELP("key and value heads, dividing heads (grouped-query attention); auto: heads")},
    {INTEGER(model.head_dim, 2, 256), AUTO, COUNTS, GROUP(FOLLOWS),
     HELP("dimension of a head, even; auto: the largest of 64, 32, 16 that divides the width")},
    {INTEGER(model.mlp_width, 1, 262144), AUTO, COUNTS, GROUP(FOLLOWS),
     HELP("hidden width of the SwiGLU; auto: 8/3 of the width, rounded up to a multiple of 32")},
    {INTEGER(model.context, 1, 65536), DEFAULT("256"), UNIT("tokens"), COUNTS, .groups = GROUP_PREPARED | GROUP_ROOT,
     HELP("sequence length")},
    {INTEGER(model.vocabulary, 2, 4294967295.0), AUTO, COUNTS, HELP("rows of the embedding; auto: the tokenizer's")},
    {BOOLEAN(model.tied_head), DEFAULT("false"), COUNTS, HELP("output head shares the embedding")},
    {CHOICE(model.dtype, "auto|float32|bfloat16"), DEFAULT("auto"), COUNTS, GROUP(ROOT),
     HELP("type of the matrix products; auto: bfloat16 where the hardware gains by it, else float32")},
    {TEXT(model.device), DEFAULT("auto"), NO_EFFECT, HELP("auto, cpu, cuda or cuda:N")},
    {NUMBER(model.rope_theta, 1, 1e9), DEFAULT("10000"), COUNTS, HELP("base of the rotary position angles")},
    {NUMBER(model.norm_eps, 0, 1), DEFAULT("1e-5"), COUNTS, HELP("epsilon of RMSNorm")},
    {NUMBER(model.init_std, 1e-6, 10), DEFAULT("0.02"), COUNTS,
     HELP("standard deviation of the initial weights; residual output projections have it over sqrt(2 layers)")},

    {TEXT(corpus.source), DEFAULT("gcide"), CORPUS,
     HELP("gcide, english, linux-core, kjv, zipfmem, markov2, suites, or files")},
    {LIST(corpus.files), DEFAULT(""), CORPUS,
     HELP("the user's own files: paths and globs (the corpus digest stands for them in the identity)")},
    {TEXT(corpus.mixture), DEFAULT(""), CORPUS,
     HELP("several sources with weights: '0.7 gcide + 0.3 kjv', names of corpus.files, markov2:SEED and zipfmem:SEED")},
    {TEXT(corpus.tokenizer), DEFAULT("bytes"), CORPUS, FILES(".model"),
     HELP("bytes, sentencepiece, a sentencepiece .model file, or uint16 / uint32 for files of tokens")},
    {INTEGER(corpus.vocabulary, 2, 4294967295.0), AUTO, CORPUS,
     HELP("vocabulary size to train (sentencepiece; auto: 4096) or of files of tokens")},
    {NUMBER(corpus.validation_fraction, 0.0001, 0.5), DEFAULT("0.01"), CORPUS,
     HELP("share of documents, by hash, kept for validation")},
    {INTEGER(corpus.seed, 0, 4294967295.0), DEFAULT("0"), CORPUS,
     HELP("seed of a synthetic source's hidden structure")},
    {INTEGER(corpus.zipfmem_ids, 2, 16777216), DEFAULT("262144"), CORPUS, HELP("zipfmem: number of facts")},
    {INTEGER(corpus.zipfmem_symbols, 2, 4096), DEFAULT("64"), CORPUS,
     HELP("zipfmem: digits and answers are of this many symbols")},
    {NUMBER(corpus.zipfmem_exponent, 0.01, 10), DEFAULT("0.5"), CORPUS,
     HELP("zipfmem: fact k has probability proportional to k^-(1 + exponent)")},
    {NUMBER(corpus.zipfmem_epsilon, 0, 0.99), DEFAULT("0.1"), CORPUS, HELP("zipfmem: probability of a wrong answer")},
    {INTEGER(corpus.markov2_vocabulary, 2, 4096), DEFAULT("64"), CORPUS, HELP("markov2: number of symbols")},
    {NUMBER(corpus.markov2_exponent, 0, 10), DEFAULT("1.2"), CORPUS,
     HELP("markov2: every row is Zipf with this exponent under its own permutation")},
    {INTEGER(corpus.suites_symbols, 2, 36), DEFAULT("4"), CORPUS,
     HELP("suites: symbols of the tasks, the length of their strings, and the modulus of sums")},
    {NUMBER(corpus.suites_share, 0, 0.95), DEFAULT("0"), CORPUS,
     HELP("of text: share of training windows that give way to windows of the suites")},

    {INTEGER(train.tokens, 1, 9e15), AUTO, UNIT("tokens"), COUNTS, GROUP(BUDGET),
     HELP("training tokens; auto: tokens_per_parameter * parameters (give one of tokens, steps, "
          "tokens_per_parameter)")},
    {INTEGER(train.steps, 1, 1e12), AUTO, UNIT("steps"), COUNTS, GROUP(BUDGET),
     HELP("optimizer steps; auto: tokens / batch_tokens, rounded down, at least 1")},
    {NUMBER(train.tokens_per_parameter, 0, 1e9), AUTO, RESOLVED, GROUP(BUDGET),
     HELP("tokens per non-embedding parameter; auto: 20 when neither tokens nor steps is given")},
    {INTEGER(train.batch_tokens, 1, 1e9), DEFAULT("4096"), UNIT("tokens"), COUNTS,
     HELP("tokens of one optimizer step, a multiple of context")},
    {INTEGER(train.accumulation, 1, 1e6), DEFAULT("1"), COUNTS, GROUP(SPEED),
     HELP("micro-batches a step's gradient is summed over: memory, and rounding, are all that it changes")},
    {CHOICE(train.gradient_compression, "none|uniform|exponential|fitted|layerwise"), DEFAULT("none"),
     COUNTS_WHEN(compresses_gradients), GROUP(SPEED),
     HELP("simulated data parallelism: each micro-batch (train.accumulation of them) is a worker's, which sends its "
          "gradients rounded at random to few levels of their norm: evenly spaced, powers of two, fitted to them, or "
          "fitted for each tensor by itself")},
    {INTEGER(train.gradient_levels, 1, LEVELS_MOST), DEFAULT("7"), COUNTS_WHEN(compresses_gradients),
     HELP("levels above 0: 7 make symbols of 4 bits with the sign")},
    {INTEGER(train.gradient_bucket, 0, 1e9), DEFAULT("512"), COUNTS_WHEN(compresses_gradients),
     HELP("elements of a tensor that share a norm; 0: all of it")},
    {CHOICE(train.optimizer, OPTIMIZERS), DEFAULT("adamw"), COUNTS, .groups = GROUP_STATE | GROUP_SPEED,
     HELP("what moves the parameters; each reads fields of its own, and no others of these may be given "
          "(docs/optimizers.md)")},
    {CHOICE(train.master_weights, "float32|bfloat16"), DEFAULT("float32"), COUNTS_WHEN(narrow_masters), GROUP(SPEED),
     HELP("type in which the matrices that products use are kept and updated; bfloat16 goes with products in "
          "bfloat16")},
    {CHOICE(train.optimizer_state, "float32|bfloat16"), DEFAULT("float32"), COUNTS_WHEN(narrow_state),
     .groups = GROUP_STATE | GROUP_SPEED, HELP("type of the optimizer's moments: bfloat16 takes half the memory")},
    {TEXT(train.first_moment), DEFAULT("none"), COUNTS_WHEN(represents_first), .groups = GROUP_FORMAT | GROUP_SPEED,
     HELP("format that the first moments of the blocks' matrices are represented in after each step, such as int8-g64; "
          "of optimizers that keep one for each weight")},
    {TEXT(train.second_moment), DEFAULT("none"), COUNTS_WHEN(represents_second), .groups = GROUP_FORMAT | GROUP_SPEED,
     HELP("the same of the roots of the second moments (adamw, soap); a grid without a level at 0, such as int8-g64")},
    {CHOICE(train.optimizer_rounding, "stochastic|nearest"), DEFAULT("stochastic"), COUNTS_WHEN(rounds), GROUP(SPEED),
     HELP("rounding of moments and master weights in bfloat16: to nearest, slow ones stop moving; stochastic "
          "keeps the mean")},
    {NUMBER(train.lr, 0, 100), DEFAULT("3e-3"), COUNTS, HELP("peak learning rate")},
    {CHOICE(train.schedule, "cosine|wsd|linear|constant"), DEFAULT("cosine"), COUNTS,
     HELP("learning rate after warm-up: cosine, wsd (constant, then 1-sqrt cooldown), linear, constant")},
    {NUMBER(train.final_lr_ratio, 0, 1), DEFAULT("0.1"), COUNTS_WHEN(ends_above_zero),
     HELP("last learning rate over the peak (cosine, linear; wsd cools down towards 0)")},
    {INTEGER(train.warmup_steps, 0, 1e12), AUTO, UNIT("steps"), COUNTS, GROUP(FOLLOWS),
     HELP("linear warm-up; auto: warmup_fraction of the steps")},
    {NUMBER(train.warmup_fraction, 0, 1), DEFAULT("0.1"), RESOLVED,
     HELP("share of the steps that warm up, when warmup_steps is auto")},
    {NUMBER(train.cooldown_fraction, 0, 1), DEFAULT("0.2"), COUNTS_WHEN(cools_down),
     HELP("wsd: share of the steps that cool down")},
    {INTEGER(train.average_checkpoints, 0, 1e6), DEFAULT("0"), COUNTS_WHEN(averages),
     HELP("checkpoint averaging (LAWA): the run's result is the mean of its last so many weights, `every` steps apart, "
          "in place of the last; 0: none")},
    {INTEGER(train.average_every, 1, 1e12), AUTO, UNIT("steps"), COUNTS_WHEN(averages), GROUP(FOLLOWS),
     HELP("steps between averaged weights; auto: cooldown_fraction of the steps, divided by average_checkpoints")},
    {NUMBER(train.beta1, 0, 0.999999), AUTO, COUNTS,
     HELP("decay of the first moment, of adamw and of what the others leave to it; lion: of the mean whose sign is "
          "taken; auto: 0.9, of soap 0.95, of ldadam 0.908")},
    {NUMBER(train.beta2, 0, 0.9999999), AUTO, COUNTS,
     HELP("decay of the second moment, of adamw and of what the others leave to it, and of soap's and shampoo's "
          "matrices; lion: of the moment that is kept; auto: 0.95, of lion and ldadam 0.99, of dct_adamw 0.999")},
    {NUMBER(train.adam_eps, 1e-30, 1), AUTO, COUNTS,
     HELP("epsilon of adamw and of what the others leave to it; auto: 1e-8, of trion 1e-10")},
    {NUMBER(train.momentum, 0, 0.999999), AUTO, COUNTS,
     HELP("decay of the moment; auto: 0.9 of sgd, for which 0 is none, 0.95 of muon, normuon and trion")},
    {CHOICE(train.momentum_form, "auto|heavy-ball|nesterov"), DEFAULT("auto"), COUNTS,
     HELP("whether sgd, muon and normuon step by the moment or by what it will be after the same gradient once more; "
          "auto: heavy-ball of sgd, nesterov of the others")},
    {CHOICE(train.lr_scale, "auto|match-rms-adamw|original"), DEFAULT("auto"), COUNTS,
     HELP("muon, normuon, shampoo, trion: the learning rate of a matrix is times 0.2 sqrt(max(rows, columns)) or "
          "sqrt(max(1, rows / columns)); auto: match-rms-adamw")},
    {INTEGER(train.newton_schulz_steps, 1, 20), AUTO, UNIT("steps"), COUNTS, GROUP(SPEED),
     HELP("muon, normuon, trion: iterations that bring a matrix near an orthogonal one; auto: 5")},
    {NUMBER(train.rest_lr_ratio, 0, 1000), AUTO, COUNTS,
     HELP(
         "optimizers that move the blocks' matrices as such: learning rate of what they leave to adamw, over train.lr; "
         "auto: 1")},
    {INTEGER(train.rank, 1, 65536), AUTO, COUNTS, .groups = GROUP_STATE | GROUP_SPEED,
     HELP(
         "ldadam, dct_adamw: directions in which a matrix's moments are kept; trion: those that it moves in at a step; "
         "at most its smaller side; auto: 16")},
    {CHOICE(train.rank_score, "auto|l1|l2"), DEFAULT("auto"), COUNTS,
     HELP("dct_adamw, trion: what a direction is chosen by, magnitudes or squares of its coefficients; auto: l1")},
    {CHOICE(train.dct, "auto|product|fast"), DEFAULT("auto"), COUNTS_WHEN(transforms_fast), GROUP(SPEED),
     HELP("dct_adamw, trion: coefficients of all directions by a product, or by KISS FFT's fast transform where a "
          "matrix's smaller side is 1024 or more; auto: product")},
    {CHOICE(train.error_feedback, "auto|on|off"), DEFAULT("auto"), COUNTS, .groups = GROUP_STATE | GROUP_SPEED,
     HELP(
         "ldadam, dct_adamw: whether what the directions leave out of a gradient is added to the next one; auto: on of "
         "ldadam, off of dct_adamw")},
    {NUMBER(train.basis_memory, 0, 1), AUTO, COUNTS,
     HELP("ldadam: share of the mean of gradients, next to the new one, in what the directions follow; auto: 0.908")},
    {INTEGER(train.basis_steps, 1, 1e6), AUTO, UNIT("steps"), COUNTS, GROUP(SPEED),
     HELP(
         "steps after which directions are found anew: those of dct_adamw, soap's eigenvectors, shampoo's roots; auto: "
         "1 of dct_adamw, 10 of the others")},
    {NUMBER(train.damping, 0, 1), AUTO, COUNTS,
     HELP("shampoo: what is added to the eigenvalues of its matrices, as a share of the largest; auto: 1e-6")},
    {NUMBER(train.row_beta2, 0, 0.9999999), AUTO, COUNTS,
     HELP("normuon: decay of the mean square of a row; auto: 0.95")},
    {NUMBER(train.weight_decay, 0, 10), DEFAULT("0.1"), COUNTS,
     HELP("decoupled decay of the blocks' matrices (not embedding, head, norms)")},
    {NUMBER(train.clip_norm, 0, 1e9), DEFAULT("1"), COUNTS, HELP("largest global gradient norm; 0 turns clipping off")},
    {INTEGER(train.evals, 0, 10000), DEFAULT("20"), NO_EFFECT,
     HELP("evaluations during training, at log-spaced steps (a full one follows at the end)")},
    {INTEGER(train.eval_tokens, 1, 1e12), DEFAULT("65536"), UNIT("tokens"), NO_EFFECT,
     HELP("validation tokens of an evaluation during training")},
    {INTEGER(train.final_eval_tokens, 1, 1e12), DEFAULT("1048576"), UNIT("tokens"), COUNTS, GROUP(ROOT),
     HELP("validation tokens of the final evaluation (all, when the split is smaller)")},
    {INTEGER(train.log_steps, 1, 1e9), DEFAULT("10"), UNIT("steps"), NO_EFFECT,
     HELP("steps between step events in the log")},
    {INTEGER(train.checkpoint_steps, 0, 1e12), DEFAULT("0"), UNIT("steps"), NO_EFFECT,
     HELP("steps between checkpoints; 0: none but the last")},
    {INTEGER(train.keep_checkpoints, 1, 1e6), DEFAULT("1"), NO_EFFECT, HELP("checkpoints kept, newest first")},
    {CHOICE(train.recompute, "none|norm|ffn|qkv|block"), DEFAULT("none"), NO_EFFECT, GROUP(SPEED),
     HELP("activations computed again in the backward pass instead of stored")},
    {INTEGER(train.threads, 1, 1024), DEFAULT("1"), NO_EFFECT, GROUP(ALL_TASKS), HELP("threads of one run")},

    {TEXT(format), DEFAULT("none"), COUNTS, GROUP(FORMAT),
     HELP("representation of weights, activations and gradients")},
    {INTEGER(seed, 0, 9007199254740992.0), DEFAULT("0"), COUNTS, .groups = GROUP_ROOT | GROUP_ALL_TASKS,
     HELP("seed of the initial weights and of the order of the data")},
    {CHOICE(task, TASK_LM EACH_TASK(OR_TASK)), DEFAULT(TASK_LM), COUNTS_WHEN(is_other_task),
     .groups = GROUP_FOUND | GROUP_ALL_TASKS,
     HELP("at the top of a spec, not under base: what its runs do (docs/tasks.md); lm trains language models")},

    {INTEGER(metrics.every, 0, 1e12), DEFAULT("0"), UNIT("steps"), NO_EFFECT, GROUP(SPEED),
     HELP(
         "steps between metrics events, which tell what kind of solution a training is at (docs/metrics.md); 0: none")},
    {INTEGER(metrics.rank, 1, 65536), DEFAULT("16"), NO_EFFECT, GROUP(SPEED),
     HELP("metrics: directions whose share of a gradient is reported")},

    {TEXT(from.path), DEFAULT(""), RESOLVED, STAGE(from),
     HELP("the folder whose model the chain begins with (its digest counts)")},
    {TEXT(from.digest), DEFAULT(""), COUNTS, STAGE(from), HELP("of the folder's weights and configuration")},

    {INTEGER(plant_outliers.channels, 0, 65536), DEFAULT("0"), COUNTS, STAGE(plant_outliers),
     HELP("input channels of each matrix of a block that are made outliers; 0: none")},
    {NUMBER(plant_outliers.gain, 1, 65536), DEFAULT("30"), COUNTS, STAGE(plant_outliers),
     HELP("by which they grow, and what reads them shrinks")},

    {CHOICE(search.method, "none|evopress|darwin|uniform|dp|exhaustive"), DEFAULT("none"), COUNTS, STAGE(search),
     HELP("how it is chosen what each layer gets of a budget that holds exactly; none: no search")},
    {CHOICE(search.space, "auto|bits|sparsity|drop|structure"), DEFAULT("auto"), COUNTS, STAGE(search),
     HELP(
         "what is chosen: bits or zeroes of each matrix, which attentions and MLPs stay, or how many heads and columns "
         "each has; auto: structure for darwin, else bits")},
    {CHOICE(search.compressor, "auto|rtn|gptq|babai|higgs|magnitude|sparsegpt"), DEFAULT("auto"),
     COUNTS_WHEN(search_reads_matrices), STAGE(search),
     HELP("what brings a matrix to each level; auto: gptq to bits, sparsegpt to zeroes")},
    {NUMBER(search.bits, 1, 8), AUTO, COUNTS_WHEN(search_reads_bits), STAGE(search), UNIT("bits"),
     HELP("bits a weight of matrices of one size together, at most, scales not counted")},
    {INTEGER(search.least_bits, 1, 8), DEFAULT("2"), COUNTS_WHEN(search_reads_bits), STAGE(search), UNIT("bits"),
     HELP("the fewest that a matrix can get")},
    {INTEGER(search.most_bits, 1, 8), DEFAULT("6"), COUNTS_WHEN(search_reads_bits), STAGE(search), UNIT("bits"),
     HELP("the most that a matrix can get")},
    {INTEGER(search.group, 2, 65536), AUTO, COUNTS_WHEN(search_reads_bits), STAGE(search), UNIT("inputs"),
     HELP("inputs that share a scale, as compress.group")},
    {NUMBER(search.sparsity, 0, 1), AUTO, COUNTS_WHEN(search_reads_sparsity), STAGE(search),
     HELP("share of the weights of matrices of one size that become 0")},
    {NUMBER(search.sparsity_step, 0.001, 0.5), DEFAULT("0.05"), COUNTS_WHEN(search_reads_sparsity), STAGE(search),
     HELP("how far the levels of a matrix lie apart")},
    {INTEGER(search.sparsity_steps, 1, 100), DEFAULT("4"), COUNTS_WHEN(search_reads_sparsity), STAGE(search),
     HELP("levels on either side of search.sparsity, those from 0 to below 1")},
    {NUMBER(search.keep, 0, 1), AUTO, COUNTS_WHEN(search_reads_keep), STAGE(search),
     HELP("drop, structure: share of attentions and of MLPs, or of heads and of columns, that stay")},
    {INTEGER(search.column_levels, 1, 1024), DEFAULT("8"), COUNTS_WHEN(search_reads_columns), STAGE(search),
     HELP("structure: equal parts of an MLP's columns that are taken out one after the other")},
    {NUMBER(search.damping, 0, 10), DEFAULT("0.01"), COUNTS_WHEN(search_reads_damping), STAGE(search),
     HELP("what is added to the Hessian's diagonal, as a share of its mean")},
    {INTEGER(search.calibration_tokens, 0, 1e9), AUTO, COUNTS, STAGE(search), UNIT("tokens"),
     HELP("tokens of the training split on which inputs are measured; auto: 65536 where something needs them, else 0")},
    {INTEGER(search.generations, 1, 1e9), DEFAULT("40"), COUNTS_WHEN(search_reads_generations), STAGE(search),
     HELP("evopress, darwin: how often offspring are made")},
    {INTEGER(search.offspring, 1, 100000), DEFAULT("16"), COUNTS_WHEN(search_reads_generations), STAGE(search),
     HELP("lambda: how many are made of the parent in each generation")},
    {TEXT(search.rounds), DEFAULT("2048:4 16384:1"), COUNTS_WHEN(search_reads_worth), STAGE(search),
     HELP("TOKENS:KEPT of each round of selection, tokens growing; the last keeps 1, and its tokens are those of a "
          "single evaluation")},
    {CHOICE(search.fitness, "kl|loss|top_kl"), DEFAULT("kl"), COUNTS_WHEN(search_reads_worth), STAGE(search),
     HELP("what is to be small: the KL divergence from the parent's model on tokens of the training split, the loss on "
          "them, or the KL divergence over the likeliest tokens and the rest as one")},
    {INTEGER(search.top, 1, 65536), DEFAULT("16"), COUNTS_WHEN(search_reads_top), STAGE(search),
     HELP("top_kl: how many of the parent's likeliest tokens")},
    {INTEGER(search.finetune_tokens, 0, 1e12), DEFAULT("0"), COUNTS_WHEN(search_reads_finetune), STAGE(search),
     UNIT("tokens"),
     HELP("darwin: training of a candidate before it is judged in the last round; in earlier rounds in "
          "proportion to their tokens")},
    {NUMBER(search.finetune_lr, 0, 100), AUTO, COUNTS_WHEN(search_reads_finetune_lr), STAGE(search),
     HELP("its learning rate, constant; auto: a tenth of the training's")},
    {INTEGER(search.noises, 1, 64), DEFAULT("5"), COUNTS_WHEN(search_reads_noise), STAGE(search),
     HELP("dp: sizes of noise in each matrix, as compress.allocate.noises")},
    {NUMBER(search.largest_noise, 1e-6, 10), DEFAULT("0.2"), COUNTS_WHEN(search_reads_noise), STAGE(search),
     HELP("dp: t of the largest")},
    {INTEGER(search.noise_tokens, 1, 1e9), DEFAULT("16384"), COUNTS_WHEN(search_reads_noise), STAGE(search),
     UNIT("tokens"), HELP("dp: tokens that each size is measured on")},
    {INTEGER(search.random_choices, 0, 1e6), DEFAULT("0"), COUNTS, STAGE(search),
     HELP("random choices within the budget whose summed layer errors are held against what they are worth")},
    {INTEGER(search.most_choices, 1, 1e9), DEFAULT("4096"), COUNTS_WHEN(search_reads_choices), STAGE(search),
     HELP("exhaustive: refused where there are more to try")},
    {INTEGER(search.seed, 0, 9007199254740992.0), AUTO, COUNTS, STAGE(search),
     HELP("of mutations and random choices; auto: the run's")},

    {CHOICE(data.select, "none|random|influence_mean|influence_round_robin|target_only|oracle|all"), DEFAULT("none"),
     COUNTS, STAGE(data),
     HELP("which windows of a pool the next training goes over: drawn ones, those of most influence on the target's "
          "loss (on average, or on each example in turn), the target's examples, its source, all; none: no selection")},
    {NUMBER(data.fraction, 1e-9, 1), DEFAULT("0.1"), COUNTS_WHEN(select_has_fraction), STAGE(data),
     HELP("share of the pool's windows that is chosen")},
    {INTEGER(data.pool_tokens, 1, 1e12), DEFAULT("524288"), COUNTS_WHEN(select_has_pool), STAGE(data), UNIT("tokens"),
     HELP("tokens of the windows to choose from, drawn from the training split")},
    {TEXT(data.target), DEFAULT(""), COUNTS_WHEN(selection_has_target), STAGE(data),
     HELP("the source of corpus.mixture whose loss is to fall")},
    {INTEGER(data.targets, 1, 1e6), DEFAULT("64"), COUNTS_WHEN(select_has_examples), STAGE(data), UNIT("windows"),
     HELP("target examples, of the training split of that source")},
    {INTEGER(data.landmarks, 2, 1e6), DEFAULT("256"), COUNTS_WHEN(selection_by_influence), STAGE(data), UNIT("windows"),
     HELP("windows whose gradients are measured; the others' influence is predicted from theirs")},
    {INTEGER(data.dimensions, 1, 1e9), DEFAULT("4096"), COUNTS_WHEN(selection_by_influence), STAGE(data),
     HELP("numbers that are kept of a gradient, by a random Hadamard transform")},
    {CHOICE(data.weights, "equal|linear"), DEFAULT("equal"), COUNTS_WHEN(select_weighs), STAGE(data),
     HELP("influence_mean: whether chosen windows are drawn equally often, or in proportion to their influence above "
          "that of those left out")},
    {INTEGER(data.seed, 0, 9007199254740992.0), AUTO, COUNTS, STAGE(data),
     HELP("seed of the pool, the target examples and what is drawn; auto: the run's")},

    {INTEGER(tune.tokens, 0, 9e15), DEFAULT("0"), UNIT("tokens"), COUNTS, STAGE(tune),
     HELP("training tokens of the further training (give tokens or steps); 0: no further training")},
    {INTEGER(tune.steps, 0, 1e12), DEFAULT("0"), UNIT("steps"), COUNTS, GROUP(FOLLOWS), STAGE(tune),
     HELP("in place of tokens: its optimizer steps")},
    {CHOICE(tune.weights, "parent|initial"), DEFAULT("parent"), COUNTS, STAGE(tune),
     HELP("what it begins with; initial: drawn by the seed, as a first training's: the training before it has then "
          "served the selection of data alone")},
    {INTEGER(tune.batch_tokens, 1, 1e9), AUTO, UNIT("tokens"), COUNTS, STAGE(tune),
     HELP("tokens of one optimizer step; auto: the training's")},
    {INTEGER(tune.accumulation, 1, 1e6), AUTO, COUNTS, STAGE(tune),
     HELP("micro-batches a step's gradient is summed over; auto: the training's")},
    {CHOICE(tune.optimizer, "auto|adamw|sgd|lion|muon|normuon|soap|shampoo|ldadam|dct_adamw|trion"), DEFAULT("auto"),
     COUNTS, STAGE(tune), HELP("it starts without moments; auto: the training's")},
    {NUMBER(tune.lr, 0, 100), AUTO, COUNTS, STAGE(tune),
     HELP("peak learning rate; auto: a tenth of the training's, where that is known; all of it with initial weights")},
    {CHOICE(tune.schedule, "auto|cosine|wsd|linear|constant"), DEFAULT("auto"), COUNTS, STAGE(tune),
     HELP("learning rate after warm-up; auto: as the training's")},
    {NUMBER(tune.final_lr_ratio, 0, 1), AUTO, COUNTS_WHEN(tuning_ends_above_zero), STAGE(tune),
     HELP("last learning rate over the peak (cosine, linear); auto: the training's")},
    {INTEGER(tune.warmup_steps, 0, 1e12), AUTO, UNIT("steps"), COUNTS, GROUP(FOLLOWS), STAGE(tune),
     HELP("linear warm-up; auto: warmup_fraction of the steps")},
    {NUMBER(tune.warmup_fraction, 0, 1), AUTO, RESOLVED, GROUP(FOLLOWS), STAGE(tune),
     HELP("share of the steps that warm up, when warmup_steps is auto; auto: the training's")},
    {NUMBER(tune.cooldown_fraction, 0, 1), AUTO, COUNTS_WHEN(tuning_cools_down), STAGE(tune),
     HELP("wsd: share of the steps that cool down; auto: the training's")},
    {NUMBER(tune.beta1, 0, 0.999999), AUTO, COUNTS, STAGE(tune),
     HELP("AdamW: decay of the first moment; auto: the training's")},
    {NUMBER(tune.beta2, 0, 0.9999999), AUTO, COUNTS, STAGE(tune),
     HELP("AdamW: decay of the second moment; auto: the training's")},
    {NUMBER(tune.weight_decay, 0, 10), AUTO, COUNTS, STAGE(tune), HELP("AdamW: decoupled decay; auto: the training's")},
    {NUMBER(tune.clip_norm, 0, 1e9), AUTO, COUNTS, STAGE(tune),
     HELP("largest global gradient norm, 0: no clipping; auto: the training's")},
    {TEXT(tune.format), DEFAULT(TUNE_PARENT_FORMAT), COUNTS, GROUP(FORMAT), STAGE(tune),
     HELP("what it trains in; parent: what the model before it is in, of a compressed one what it was brought to")},
    {INTEGER(tune.seed, 0, 9007199254740992.0), AUTO, COUNTS, STAGE(tune),
     HELP("seed of the order of its data, which is another than a training's of that seed; auto: the run's")},
    {TEXT(tune.after), DEFAULT(""), RESOLVED, GROUP(FOUND), STAGE(tune),
     HELP("found, not given: the stage whose weights it resumes from (train, from, plant_outliers, search or compress; "
          "initial: none)")},

    {CHOICE(compress.method, "none|rtn|gptq|babai|higgs|magnitude|sparsegpt|elsa"), DEFAULT("none"), COUNTS,
     STAGE(compress), HELP("how the trained weights are compressed; none: not at all")},
    {TEXT(compress.format), DEFAULT("none"), COUNTS, GROUP(FORMAT), STAGE(compress),
     HELP("format of the compressed weights, and of activations where it names them")},
    {INTEGER(compress.bits, 1, 8), AUTO, RESOLVED, STAGE(compress), UNIT("bits"),
     HELP("in place of format: integers of that many bits, scaled by the largest magnitude of a row or group")},
    {INTEGER(compress.group, 2, 65536), AUTO, COUNTS_WHEN(counts_group), STAGE(compress), UNIT("inputs"),
     HELP("with bits: inputs that share a scale; auto: a row. higgs: the largest power of two up to it that divides "
          "the inputs; auto: 1024")},
    {NUMBER(compress.damping, 0, 10), DEFAULT("0.01"), COUNTS, STAGE(compress),
     HELP("what is added to the Hessian's diagonal, as a share of its mean")},
    {CHOICE(compress.order, "natural|act|min-pivot|reversed"), DEFAULT("natural"), COUNTS, STAGE(compress),
     HELP("in which inputs are rounded: first to last (babai: last to first), largest diagonal first, smallest pivot "
          "factored first and rounded last, or the natural order reversed")},
    {CHOICE(compress.clip, "none|mse"), DEFAULT("none"), COUNTS, STAGE(compress),
     HELP("mse: each scale by the largest magnitude is shrunk, down to 0.21 of it, to what rounds its weights best")},
    {CHOICE(compress.range, "grid|unbounded"), DEFAULT("grid"), COUNTS, STAGE(compress),
     HELP("unbounded: integers beyond the grid's ends are taken as they come; bits are the codes' entropy")},
    {INTEGER(compress.p, 1, 4), DEFAULT("2"), COUNTS, STAGE(compress), HELP("higgs: dimension of the grid, 1, 2 or 4")},
    {INTEGER(compress.n, 2, 256), DEFAULT("256"), COUNTS, STAGE(compress), HELP("higgs: points of the grid")},
    {TEXT(compress.pattern), DEFAULT(""), COUNTS, STAGE(compress),
     HELP("pruning: N:M, the N of every M neighbouring inputs that are kept; else sparsity")},
    {NUMBER(compress.sparsity, 0, 1), DEFAULT("0.5"), COUNTS, STAGE(compress),
     HELP("pruning: share of weights that become 0, where there is no pattern")},
    {INTEGER(compress.steps, 1, 1e12), AUTO, COUNTS_WHEN(compression_trains), STAGE(compress), UNIT("steps"),
     HELP("elsa: how long it trains")},
    {NUMBER(compress.lr, 0, 100), AUTO, COUNTS_WHEN(compression_trains), STAGE(compress),
     HELP("elsa: peak learning rate; auto: a tenth of the training's. Schedule, batches and optimizer are the "
          "training's")},
    {INTEGER(compress.interval, 1, 1e9), DEFAULT("32"), COUNTS_WHEN(compression_trains), STAGE(compress), UNIT("steps"),
     HELP("elsa: steps between two projections on sparse weights")},
    {NUMBER(compress.lambda, 0, 1e9), DEFAULT("0.1"), COUNTS_WHEN(compression_trains), STAGE(compress),
     HELP("elsa: weight of the distance from the sparse weights")},
    {CHOICE(compress.lambda_schedule, "constant|linear|cosine|exponential"), DEFAULT("constant"),
     COUNTS_WHEN(compression_trains), STAGE(compress), HELP("elsa: how lambda comes to its value over the steps")},
    {CHOICE(compress.projection, "identity|second_moment"), DEFAULT("identity"), COUNTS_WHEN(compression_trains),
     STAGE(compress), HELP("elsa: what is kept, the largest x^2, or v x^2 with AdamW's second moment v")},
    {CHOICE(compress.penalty, "in_gradient|decoupled"), DEFAULT("in_gradient"), COUNTS_WHEN(compression_trains),
     STAGE(compress),
     HELP("elsa: the optimizer sees lambda times the distance as part of the gradient, or weights move by it apart")},
    {CHOICE(compress.memory, "full|low"), DEFAULT("full"), COUNTS_WHEN(compression_trains), STAGE(compress),
     HELP("elsa: low keeps the sparse weights in FP8 and the multipliers in bfloat16, else both are in float32")},
    {INTEGER(compress.calibration_tokens, 0, 1e9), AUTO, COUNTS, STAGE(compress), UNIT("tokens"),
     HELP("tokens of the training split on which the inputs of each layer are measured; auto: 65536 where the method "
          "needs them, else 0")},
    {CHOICE(compress.inputs, "original|compressed"), DEFAULT("original"), COUNTS_WHEN(propagates), STAGE(compress),
     HELP(
         "calibration: the inputs of each matrix in the parent's model, or, block by block, in the model whose earlier "
         "blocks are compressed already")},
    {CHOICE(compress.allocate.method, "none|uniform|dp"), DEFAULT("none"), COUNTS_WHEN(allocates), STAGE(compress),
     HELP("how many bits each matrix gets: those of format, the most that all can have within the budget, or by exact "
          "dynamic programming those of the least predicted loss")},
    {NUMBER(compress.allocate.budget_bits, 0, 32), AUTO, COUNTS_WHEN(allocates), STAGE(compress), UNIT("bits"),
     HELP("stored bits a weight of all matrices together, at most")},
    {INTEGER(compress.allocate.least_bits, 1, 8), DEFAULT("2"), COUNTS_WHEN(allocates), STAGE(compress), UNIT("bits"),
     HELP("the coarsest option of a matrix, scales not counted")},
    {INTEGER(compress.allocate.most_bits, 1, 8), DEFAULT("8"), COUNTS_WHEN(allocates), STAGE(compress), UNIT("bits"),
     HELP("the finest option; of higgs, what its grids in p dimensions have of them")},
    {CHOICE(compress.allocate.alpha, "loss|kl|kl-random"), DEFAULT("loss"), COUNTS_WHEN(allocates), STAGE(compress),
     HELP("what noise in a matrix raises: the loss on calibration tokens, the KL divergence from the parent there, or, "
          "without data, on random tokens")},
    {INTEGER(compress.allocate.noises, 1, 64), DEFAULT("5"), COUNTS_WHEN(allocates), STAGE(compress),
     HELP("sizes of noise in each matrix, evenly spaced in t^2")},
    {NUMBER(compress.allocate.largest_noise, 1e-6, 10), DEFAULT("0.2"), COUNTS_WHEN(allocates), STAGE(compress),
     HELP("t of the largest: the noise's norm over the matrix's")},
    {INTEGER(compress.allocate.tokens, 1, 1e9), DEFAULT("16384"), COUNTS_WHEN(allocates), STAGE(compress),
     UNIT("tokens"), HELP("on which each size is measured, of the training split, or random ones")},

    {INTEGER(evaluate.tokens, 1, 1e12), AUTO, COUNTS, STAGE(evaluate), UNIT("tokens"),
     HELP("validation tokens; auto: train.final_eval_tokens")},
    {INTEGER(evaluate.prompts, 0, 100000), DEFAULT("16"), COUNTS, STAGE(evaluate),
     HELP("beginnings of validation windows that both models go on from greedily; 0: none")},
    {INTEGER(evaluate.new_tokens, 1, 65535), AUTO, COUNTS, STAGE(evaluate), UNIT("tokens"),
     HELP("how far they go on; auto: 32, or half the context where that is less")},
    {INTEGER(evaluate.suite_tokens, 0, 1e12), DEFAULT("0"), COUNTS_WHEN(asks_suites), STAGE(evaluate), UNIT("tokens"),
     HELP("tokens of each of the suites copy, induction and sums; 0: none")},
    {INTEGER(evaluate.suite_symbols, 2, 36), AUTO, COUNTS_WHEN(asks_suites), STAGE(evaluate),
     HELP("their symbols; auto: corpus.suites_symbols")},
    {CHOICE(evaluate.kv_cache, "none|higgs1|higgs2|higgs3|higgs4|aqua1|aqua2|aqua3|aqua4"), DEFAULT("none"),
     COUNTS_WHEN(stores_cache), GROUP(WORD_NUMBER), STAGE(evaluate),
     HELP(
         "keys and values of tokens read before: as they are, or stored in that many bits, what the layer below does not "
         "predict of them (aqua) or all of them (higgs); also {higgs: 2}")},
    {INTEGER(evaluate.keep.first, 0, 65535), DEFAULT("4"), COUNTS_WHEN(stores_cache), STAGE(evaluate), UNIT("tokens"),
     HELP("kv_cache: the first tokens, whose keys and values stay as they are")},
    {INTEGER(evaluate.keep.recent, 0, 65535), DEFAULT("128"), COUNTS_WHEN(stores_cache), STAGE(evaluate),
     UNIT("tokens"), HELP("kv_cache: the newest tokens, at least so many, whose keys and values stay as they are")},
    {INTEGER(evaluate.stream_tokens, 1, 65536), DEFAULT("32"), COUNTS_WHEN(stores_cache), STAGE(evaluate),
     UNIT("tokens"), HELP("kv_cache: how many tokens are read between two storings of what is no longer new")},
    {INTEGER(evaluate.first_layer_bits, 1, 4), DEFAULT("4"), COUNTS_WHEN(predicts_cache), STAGE(evaluate), UNIT("bits"),
     HELP("aqua: of the first layer, which nothing predicts; scales not counted")},
    {INTEGER(evaluate.calibration_tokens, 1, 1e9), DEFAULT("16384"), COUNTS_WHEN(predicts_cache), STAGE(evaluate),
     UNIT("tokens"), HELP("aqua: tokens of the training split on which predictions are fitted")},
    {NUMBER(evaluate.damping, 0, 10), DEFAULT("1e-3"), COUNTS_WHEN(predicts_cache), STAGE(evaluate),
     HELP("aqua: what is added to the diagonal of the predictors' second moments, as a share of its mean")},

    {INTEGER(hogwild.workers, 0, 64), DEFAULT("0"), COUNTS, STAGE(hogwild),
     HELP("workers that write at once over one shared cache of keys and values; 0: none")},
    {INTEGER(hogwild.prompts, 1, 10000), DEFAULT("4"), COUNTS, STAGE(hogwild),
     HELP("beginnings of validation windows that they go on from, one after the other")},
    {INTEGER(hogwild.prompt_tokens, 1, 65535), AUTO, COUNTS, STAGE(hogwild), UNIT("tokens"),
     HELP("of a beginning, which all see; auto: a quarter of the context, or what the new tokens leave of it")},
    {INTEGER(hogwild.new_tokens, 1, 65535), AUTO, COUNTS, STAGE(hogwild), UNIT("tokens"),
     HELP("that each worker writes; auto: 16, or as many as there is room for")},
    {NUMBER(hogwild.temperature, 0, 100), DEFAULT("1"), COUNTS, STAGE(hogwild),
     HELP("of the draws, each worker's its own; 0 takes the likeliest token")},
    {INTEGER(hogwild.repeats, 1, 1000), DEFAULT("3"), COUNTS, STAGE(hogwild),
     HELP("times that a beginning is gone on from: the fastest counts")},
};
const size_t run_field_count = sizeof run_fields / sizeof run_fields[0];
