// Settings of the stage search: what they are without being given, what cannot be, what they cost. See search.h.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "trainer/formats.h"
#include "trainer/stages/search.h"
#include "trainer/stages/search_finetune.h"
#include "trainer/stages/search_fitness.h"
#include "trainer/stages/search_space.h"
#include "trainer/stages/sensitivity.h"

enum { DEFAULT_CALIBRATION = 65536 };
static const double most_bytes = 8e9;  // of the parent's predictions

const char *const search_stage_needs[] = {"search.method", NULL};

static bool is(const struct run_config *c, const char *method) { return strcmp(c->search.method, method) == 0; }
static bool about(struct error *error, const char *field) { return error_about(error, field, NULL); }

bool search_stage_skips(const struct run_config *config) { return is(config, "none"); }

int64_t search_stage_steps(const struct run_config *config) {
  return search_reads_generations(config) ? config->search.generations : 0;
}

// ---- what is auto ----

static bool needs_inputs(const struct run_config *c) {
  const struct compress_method *method = compress_method_find(c->search.compressor, NULL);
  return search_reads_columns(c) || (search_reads_matrices(c) && method && method->needs_calibration);
}

static void fill(struct run_config *c) {
  static const char *const spaces[] = {"auto", "bits", "sparsity", "drop", "structure"};
  c->search.space = spaces[search_space_of(c)];
  if (strcmp(c->search.compressor, "auto") == 0 && search_reads_matrices(c))
    c->search.compressor = search_reads_bits(c) ? "gptq" : "sparsegpt";
  if (c->search.calibration_tokens == AUTO_INTEGER)
    c->search.calibration_tokens = needs_inputs(c) ? DEFAULT_CALIBRATION : 0;
  if (c->search.seed == AUTO_INTEGER) c->search.seed = c->seed;
}

// ---- what cannot be ----

// A rate beside finetune_tokens 0, in a list of them, is that of the others.
static bool is_beside_none(const struct run_config *c, const struct run_field *field) {
  return search_reads_finetune(c) && strcmp(field->path, "search.finetune_lr") == 0;
}

// A setting that nothing reads would be an axis without effect.
static bool check_read(const struct run_config *c, struct error *error) {
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (!field->stage || strcmp(field->stage, SEARCH_STAGE) != 0 || !field->counts_when || field->counts_when(c) ||
        config_is_default(c, field) || is_beside_none(c, field))
      continue;
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s says nothing to the method %s in the space %s: give each a mapping of its own", field->path,
                     c->search.method, c->search.space) ||
           about(error, field->path);
  }
  return true;
}

static bool check_method(const struct run_config *c, struct error *error) {
  enum search_space_kind kind = search_space_of(c);
  if (is(c, "darwin") && kind != SEARCH_STRUCTURE)
    return error_set(error, EXIT_USAGE_ERROR,
                     "darwin searches in the space structure, not in %s: evopress searches there", c->search.space) ||
           error_about(error, "search.space", "search.method", NULL);
  if (is(c, "dp") && search_removes(c))
    return error_set(error, EXIT_USAGE_ERROR,
                     "dp adds up what errors of matrices cost: it is of the spaces bits and sparsity, not of %s",
                     c->search.space) ||
           error_about(error, "search.method", "search.space", NULL);
  if (kind == SEARCH_DROP && c->search.calibration_tokens > 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "search.calibration_tokens say nothing to drop: no inputs are measured") ||
           about(error, "search.calibration_tokens");
  return true;
}

// Every matrix at every level, and the tokens that its inputs are measured on.
static bool check_levels(const struct run_config *c, const struct layer_space *space, struct arena *arena,
                         struct error *error) {
  for (int level = 0; !search_removes(c) && level < space->levels[0]; level++) {
    struct compress_settings settings;
    if (!layer_space_settings(c, level, arena, &settings, error)) return false;
    for (int m = 0; m < space->per_block; m++) {
      const struct module_piece *piece = &space->modules[m].pieces[0];
      if (!compress_check_shape(&settings, piece->rows, piece->inputs, error))
        return error_context(error, "%s", space->modules[m].name) || about(error, "search.group");
      if (!compress_check_tokens(&settings, piece->inputs, c->search.calibration_tokens, error))
        return error_context(error, "%s", space->modules[m].name) || about(error, "search.calibration_tokens");
    }
  }
  for (int m = 0; search_reads_columns(c) && m < space->per_block; m++) {
    const struct module_piece *last = &space->modules[m].pieces[1];
    if (c->search.calibration_tokens < last->inputs)
      return error_set(error, EXIT_USAGE_ERROR,
                       "search.calibration_tokens %" PRId64 " are too few for the %" PRId64 " inputs of %s",
                       c->search.calibration_tokens, last->inputs, space->modules[m].name) ||
             about(error, "search.calibration_tokens");
  }
  return true;
}

static bool check_rounds(const struct run_config *c, const struct corpus_facts *facts, struct arena *arena,
                         struct error *error) {
  struct search_round *rounds;
  int count;
  if (!search_reads_worth(c)) return true;
  if (!search_rounds_read(c->search.rounds, arena, &rounds, &count, error)) return false;
  struct search search = {.offspring = search_reads_generations(c) ? (int)c->search.offspring : INT32_MAX,
                          .rounds = rounds,
                          .round_count = count};
  if (!search_check(&search, error)) return error_about(error, "search.rounds", "search.offspring", NULL);
  int64_t tokens = rounds[count - 1].tokens;
  if (search_reads_top(c) && c->search.top >= c->model.vocabulary)
    return error_set(error, EXIT_USAGE_ERROR, "search.top %" PRId64 " is all of the vocabulary: fitness kl is that",
                     c->search.top) ||
           about(error, "search.top");
  if (fitness_bytes(c, tokens) > most_bytes)
    return error_set(error, EXIT_USAGE_ERROR,
                     "search.rounds: predictions for %" PRId64
                     " tokens take %.1f GB: take fewer, or search.fitness top_kl",
                     tokens, fitness_bytes(c, tokens) / 1e9) ||
           about(error, "search.rounds");
  if (facts->known && tokens > facts->train_tokens)
    return error_set(error, EXIT_USAGE_ERROR,
                     "search.rounds: %" PRId64 " tokens are more than the %" PRId64
                     " tokens of the corpus's training split",
                     tokens, facts->train_tokens) ||
           about(error, "search.rounds");
  return true;
}

static bool check_tokens(const struct run_config *c, const struct corpus_facts *facts, struct error *error) {
  const struct {
    const char *field;
    int64_t tokens;
  } asked[] = {{"search.calibration_tokens", c->search.calibration_tokens},
               {"search.noise_tokens", search_reads_noise(c) ? c->search.noise_tokens : 0}};
  for (size_t i = 0; facts->known && i < sizeof asked / sizeof *asked; i++)
    if (asked[i].tokens > facts->train_tokens)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s %" PRId64 " are more than the %" PRId64 " tokens of the corpus's training split",
                       asked[i].field, asked[i].tokens, facts->train_tokens) ||
             about(error, asked[i].field);
  return true;
}

bool search_stage_resolve(struct run_config *c, const struct corpus_facts *facts, struct arena *arena,
                          struct error *error) {
  struct arena scratch = {0};
  struct layer_space space;
  fill(c);
  bool fine = check_method(c, error) && check_read(c, error) && layer_space_make(c, &scratch, &space, error) &&
              check_levels(c, &space, &scratch, error) && check_rounds(c, facts, &scratch, error) &&
              check_tokens(c, facts, error);
  if (fine && search_reads_choices(c) && layer_space_choices(&space) > (double)c->search.most_choices)
    fine = error_set(error, EXIT_USAGE_ERROR, "there are %.6g choices to try, more than search.most_choices %" PRId64,
                     layer_space_choices(&space), c->search.most_choices) ||
           about(error, "search.most_choices");
  if (fine && search_reads_finetune_lr(c)) fine = finetune_resolve(c, facts, arena, error);
  arena_free(&scratch);
  return fine;
}

const char *search_stage_libraries(const struct run_config *config, struct arena *arena) {
  return needs_inputs(config) ? compress_library(arena) : NULL;
}

bool search_stage_becomes(struct run_config *config, struct arena *arena, struct error *error) {
  // Activations are those of the format that the model was trained in.
  if (!config->parsed_format && !config_parse_format(config, arena, error)) return false;
  config->format = format_after_weights(config->parsed_format, arena);
  config->parsed_format = NULL;
  return config_parse_format(config, arena, error);
}

// ---- what it costs ----

// An evaluation in a round: forward, and three times what it trains on.
static double tokens_of(const struct run_config *c, const struct search_round *round, const struct search_round *last) {
  double trained = search_reads_finetune_lr(c)
                       ? (double)c->search.finetune_tokens * (double)round->tokens / (double)last->tokens
                       : 0;
  return (double)round->tokens + 3 * (double)(finetune_steps(c, trained) * c->train.batch_tokens);
}

double search_stage_forward_tokens(const struct run_config *c, const struct corpus_facts *facts) {
  struct arena arena = {0};
  struct error known = {0};  // that it resolves was seen before
  struct layer_space space;
  struct search_round *rounds;
  int count;
  (void)facts;
  double tokens = c->search.calibration_tokens == AUTO_INTEGER ? 0 : (double)c->search.calibration_tokens,
         generation = 0;
  if (layer_space_make(c, &arena, &space, &known) && search_reads_worth(c) &&
      search_rounds_read(c->search.rounds, &arena, &rounds, &count, &known) && count > 0) {
    const struct search_round *last = &rounds[count - 1];
    int64_t judged = c->search.offspring;
    for (int i = 0; i < count; i++) {
      generation += (double)judged * tokens_of(c, &rounds[i], last);
      judged = rounds[i].kept;
    }
    tokens += (double)last->tokens;  // the parent's model
    if (search_reads_generations(c)) tokens += (double)c->search.generations * generation + tokens_of(c, last, last);
    if (search_reads_choices(c)) tokens += layer_space_choices(&space) * tokens_of(c, last, last);
    if (search_reads_noise(c))
      tokens +=
          (double)last->tokens + sensitivity_forward_tokens(strcmp(c->search.fitness, "loss") == 0 ? "loss" : "kl",
                                                            c->search.noises, c->search.noise_tokens, space.count);
    if (is(c, "uniform")) tokens += (double)last->tokens;
    tokens += (double)c->search.random_choices * (double)last->tokens;
  }
  arena_free(&arena);
  return tokens;
}
