// What a spec may give of task `speculative`, what its runs report, and what follows from the former.
#define TASK "speculative"
#define SETTINGS struct speculative
#include "trainer/tasks/fields.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "trainer/tasks/speculative/speculative.h"

static const struct run_field fields[] = {
    {CHOICE(source, "synthetic|model|checkpoint"), DEFAULT("synthetic"), COUNTS,
     HELP(
         "next-token laws: drawn at random, those of a small language model that the run trains on markov2, or those of a model that was trained before")},
    {TEXT(checkpoint), DEFAULT(""), .effect = EFFECT_RESOLVED,
     HELP("checkpoint: folder of the model, as `from` of stages takes them, relative to the spec")},
    {TEXT(digest), DEFAULT(""), COUNTS, .groups = GROUP_FOUND, HELP("of that folder's weights and description")},
    {INTEGER(model_parameters, 0, 9e15), DEFAULT("0"), NO_EFFECT, .groups = GROUP_FOUND, HELP("N of that model")},
    {INTEGER(model_tokens, 0, 9e15), DEFAULT("0"), UNIT("tokens"), NO_EFFECT, .groups = GROUP_FOUND,
     HELP("that it was trained on; 0: not known")},
    {INTEGER(nodes, 1, 1e7), DEFAULT("256"), COUNTS, HELP("P: nodes of a draft tree, all of which one step verifies")},
    {INTEGER(trees, 2, 1e6), DEFAULT("64"), COUNTS, HELP("trees, or texts of the model, that are averaged over")},
    {INTEGER(vocabulary, 2, 4096), DEFAULT("32"), COUNTS, HELP("tokens; of markov2 its symbols")},
    {INTEGER(laws, 16, 1e8), DEFAULT("65536"), COUNTS, HELP("synthetic: laws that mu and mu2 are measured on")},
    {NUMBER(temper_low, 0.01, 100), DEFAULT("1"), COUNTS,
     HELP("synthetic: a law is Gamma(1) weights to a power, evenly from this one")},
    {NUMBER(temper_high, 0.01, 100), DEFAULT("1"), COUNTS, HELP("to this one: higher powers make likelier tokens")},
    {INTEGER(width, 16, 1024), DEFAULT("64"), COUNTS, HELP("model: as model.width")},
    {INTEGER(layers, 1, 16), DEFAULT("2"), COUNTS, HELP("model: as model.layers")},
    {INTEGER(context, 8, 512), DEFAULT("32"), UNIT("tokens"), COUNTS,
     HELP("model: as model.context; texts are half as long, so that drafts have room; checkpoint: no more than the "
          "model takes")},
    {INTEGER(batch, 16, 1e6), DEFAULT("2048"), UNIT("tokens"), COUNTS, HELP("model: as train.batch_tokens")},
    {INTEGER(steps, 1, 1e7), DEFAULT("500"), UNIT("steps"), COUNTS, HELP("model: as train.steps")},
    {NUMBER(exponent, 0, 10), DEFAULT("1.5"), COUNTS, HELP("model: as corpus.markov2_exponent")},
    {NUMBER(lr, 0, 100), DEFAULT("1e-2"), COUNTS, HELP("model: as train.lr")},
};

static const struct task_result results[] = {
    RESULT(accepted, "tokens", "expected tokens that a step accepts of the best tree of P nodes, mean over trees"),
    RESULT(accepted_error, "tokens", "standard error of that mean"),
    RESULT(slope, "tokens", "per unit of ln P: accepted less that of P / 16 nodes, over ln 16"),
    RESULT(mu, "nats", "mean over laws of -sum p ln p"),
    RESULT(mu2, "nats^2", "mean over laws of sum p (ln p)^2"),
    RESULT(renewal, "tokens", "ln(P mu) / mu + mu2 / (2 mu^2) - 1: accepted, were laws independent and P large"),
    RESULT(ratio, "", "accepted over renewal"),
    RESULT(bound, "tokens", "leading term of the published upper bound, (mu + mu2) ln P / mu^2"),
};

static bool about(const struct error *cause, struct error *error) {
  return error_set(error, EXIT_USAGE_ERROR, "speculative.source model: %s", cause->text) ||
         error_about(error, "speculative.source", NULL);
}

bool speculative_model(const struct speculative *s, int64_t seed, int64_t threads, struct run_config *c,
                       struct error *error) {
  struct error cause = {0};
  config_default(c);
  c->corpus.source = "markov2";
  c->corpus.markov2_vocabulary = c->model.vocabulary = s->vocabulary;
  c->corpus.markov2_exponent = s->exponent;
  c->model.width = s->width;
  c->model.layers = s->layers;
  c->model.context = s->context;
  c->model.device = "cpu";
  c->model.dtype = "float32";
  c->train.batch_tokens = s->batch;
  c->train.steps = s->steps;
  c->train.lr = s->lr;
  c->train.threads = threads;
  c->seed = seed;
  return config_resolve(c, &(struct corpus_facts){0}, "float32", &cause) || about(&cause, error);
}

static bool is_model(const struct speculative *s) { return strcmp(s->source, "model") == 0; }
static bool is_checkpoint(const struct speculative *s) { return strcmp(s->source, "checkpoint") == 0; }

static bool resolve(void *settings, struct error *error) {
  const struct speculative *s = settings;
  struct run_config model;
  if (s->nodes > SPECULATIVE_CANDIDATES / s->vocabulary)
    return error_set(error, EXIT_USAGE_ERROR,
                     "speculative.nodes %" PRId64 " of %" PRId64
                     " tokens each are more candidates than the %d that fit",
                     s->nodes, s->vocabulary, SPECULATIVE_CANDIDATES) ||
           error_about(error, "speculative.nodes", "speculative.vocabulary", NULL);
  if (s->temper_low > s->temper_high)
    return error_set(error, EXIT_USAGE_ERROR, "speculative.temper_low %g is above temper_high %g", s->temper_low,
                     s->temper_high) ||
           error_about(error, "speculative.temper_low", "speculative.temper_high", NULL);
  if (is_checkpoint(s) != (*s->checkpoint != 0))
    return error_set(error, EXIT_USAGE_ERROR,
                     *s->checkpoint ? "speculative.checkpoint goes with source: checkpoint, not %s"
                                    : "speculative.source %s needs speculative.checkpoint, the folder of a model",
                     s->source) ||
           error_about(error, "speculative.source", "speculative.checkpoint", NULL);
  if (!is_checkpoint(s) && (*s->digest || s->model_parameters || s->model_tokens))
    return error_set(error, EXIT_USAGE_ERROR,
                     "speculative.digest, model_parameters and model_tokens are found in a checkpoint, not given") ||
           error_about(error, "speculative.digest", "speculative.model_parameters", "speculative.model_tokens", NULL);
  return !is_model(s) || speculative_model(s, 0, 1, &model, error);
}

// Of a model N, D and C are its training's; of a checkpoint N and D what its folder says.
static void counts(const void *settings, struct task_numbers *counts) {
  const struct speculative *s = settings;
  struct run_config model;
  struct error ignored = {0};
  if (is_checkpoint(s)) {
    if (s->model_parameters) counts->parameters = (double)s->model_parameters;
    if (s->model_tokens) counts->tokens = (double)s->model_tokens;
  }
  if (!is_model(s) || !speculative_model(s, 0, 1, &model, &ignored)) return;
  struct run_quantities q = config_quantities(&model, &(struct corpus_facts){0});
  counts->parameters = (double)q.parameters.non_embedding;
  counts->tokens = (double)q.tokens;
  counts->flops = q.flops;
  counts->steps = (double)s->steps;
}

static const struct task_folder_fields folder = {"speculative.checkpoint", "speculative.digest",
                                                 "speculative.model_parameters", "speculative.model_tokens"};

static const struct task_word words[] = {
    {.column = "parameters"}, {.column = "tokens"},     {.column = "tokens_per_parameter"},
    {.column = "loss"},       {.column = "train_loss"}, {0},
};

const struct task task_speculative = {
    TASK_TABLES,
    .folder = &folder,
    .help = "draft trees of speculative decoding: tokens accepted per verification step",
    .version = 1,
    .resolve = resolve,
    .counts = counts,
    .words = words};
