// The stage search at work: levels of all modules, the method's choice, what random choices say, the model.
// See search.h.
#include "trainer/stages/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/stages/search_database.h"
#include "trainer/stages/search_finetune.h"
#include "trainer/stages/search_fitness.h"
#include "trainer/stages/search_state.h"
#include "trainer/stages/sensitivity_kept.h"

static const double state_seconds = 0.5;  // between two states that are kept
enum { RANDOM_MOVES = 8, RANDOM_GENERATION = 1 << 30 };

struct searching {
  struct stage_work *work;
  const struct run_config *config;
  struct layer_space space;
  struct search_database database;
  struct model_values before, values;  // the parent's; those of the choice `now`
  int *now;
  struct search search;
  struct search_round *rounds;
  struct fitness *fitness;        // NULL: nothing is evaluated
  struct finetuning *finetuning;  // NULL: candidates are judged as they are
  struct search_state state;
  struct sensitivity *sensitivities;  // of dp
  double predicted, correlation;
  int64_t earlier_tokens;  // gone forward in workers before
};

static bool is(const struct searching *s, const char *method) { return strcmp(s->config->search.method, method) == 0; }

static bool stopped(struct searching *s) {
  s->work->stopped = s->work->stop_asked && *s->work->stop_asked;
  return s->work->stopped;
}

static const struct search_round *last_round(const struct searching *s) {
  return &s->rounds[s->search.round_count - 1];
}

// ---- what a choice is worth ----

static void assemble(struct searching *s, const int *choice) {
  for (int m = 0; m < s->space.count; m++) {
    if (s->now[m] == choice[m]) continue;
    database_put(&s->database, m, choice[m], &s->values);
    s->now[m] = choice[m];
  }
}

static bool worth_of(void *context, const int *choice, const struct search_round *round, double *worth,
                     struct error *error) {
  struct searching *s = context;
  assemble(s, choice);
  if (!s->finetuning) return fitness_of(s->fitness, &s->values, round->tokens, worth, error);
  const double share = (double)round->tokens / (double)last_round(s)->tokens;
  const int64_t steps = finetune_steps(s->config, share * (double)s->config->search.finetune_tokens);
  struct model_values trained;
  bool finite = true,
       fine = values_copy(&trained, &s->values) && finetune_run(s->finetuning, &trained, steps, &finite, error);
  s->state.trained += steps * s->config->train.batch_tokens;
  *worth = NAN;
  if (fine && finite) fine = fitness_of(s->fitness, &trained, round->tokens, worth, error);
  values_free(&trained);
  return fine;
}

// Gone forward so far, training counted as three passes.
static int64_t tokens_so_far(const struct searching *s) {
  return s->earlier_tokens + (s->fitness ? fitness_tokens(s->fitness) : 0) + 3 * s->state.trained;
}

// ---- generations ----

static bool report_generation(struct searching *s, struct error *error) {
  struct training *t = &s->work->run;
  struct json_writer *json = event_begin(&t->log, "step");
  json_key_integer(json, "step", s->state.generation);
  json_key_integer(json, "tokens", tokens_so_far(s));
  if (isfinite(s->state.worth)) json_key_number(json, "loss", s->state.worth);
  json_key_integer(json, "evaluations", s->state.asked);
  json_key_number(json, "seconds", training_seconds(t));
  return event_end(&t->log, error);
}

static bool keep_state(struct searching *s, struct error *error) {
  struct search_state kept = s->state;
  // What the parent's pass took is taken again by whoever goes on.
  kept.tokens = s->earlier_tokens + fitness_tokens(s->fitness) - last_round(s)->tokens;
  return search_state_write(s->work, &kept, error);
}

static bool evolve(struct searching *s, struct error *error) {
  struct search_state *state = &s->state;
  double kept_at = training_seconds(&s->work->run);
  while (state->generation < s->config->search.generations) {
    const struct search_state before = *state;
    const int64_t gone = fitness_tokens(s->fitness);
    if (!search_generation(&s->search, state->generation, state->choice, &state->worth, &state->asked, error)) {
      if (error->code || !s->work->stopped || before.generation == 0) return false;
      // Stopped: what this generation has done so far will be done again.
      *state = before;
      s->earlier_tokens -= fitness_tokens(s->fitness) - gone;
      keep_state(s, error);
      return false;
    }
    state->generation++;
    if (!report_generation(s, error)) return false;
    if (training_seconds(&s->work->run) - kept_at < state_seconds) continue;
    if (!keep_state(s, error)) return false;
    kept_at = training_seconds(&s->work->run);
  }
  return true;
}

// ---- where errors add up ----

// A level more costs a module's weights; dp has what all groups together have.
static bool by_sum(struct searching *s, struct error *error) {
  const struct run_config *c = s->config;
  const int count = s->space.count;
  struct sensitivity_range *ranges = memory_get((size_t)count * sizeof *ranges);
  struct allocation_layer *layers = memory_get((size_t)count * sizeof *layers);
  struct allocation_option *options = memory_get((size_t)(count * s->space.levels[0]) * sizeof *options);
  struct allocation allocation = {.choice = s->state.choice};
  double units = 0, weights = 0;
  s->sensitivities = memory_get((size_t)count * sizeof *s->sensitivities);
  for (int m = 0; m < count; m++)
    ranges[m] = (struct sensitivity_range){module_piece_offset(&s->before, &s->space.modules[m], 0),
                                           s->space.modules[m].count, (uint64_t)(1 << 20 | m)};
  const struct sensitivity_request request = {.alpha = strcmp(c->search.fitness, "loss") == 0 ? "loss" : "kl",
                                              .noises = c->search.noises,
                                              .tokens = c->search.noise_tokens,
                                              .largest_noise = c->search.largest_noise,
                                              .seed = (uint64_t)c->search.seed,
                                              .ranges = ranges,
                                              .count = count};
  bool fine = kept_sensitivities(s->work, &s->before, &request, s->sensitivities, error);
  for (int m = 0; m < count && fine; m++) {
    layers[m] = (struct allocation_layer){.weights = s->space.modules[m].count,
                                          .alpha = fmax(0, s->sensitivities[m].alpha),
                                          .options = options + m * s->space.levels[0],
                                          .count = s->space.levels[m]};
    for (int level = 0; level < s->space.levels[m]; level++)
      options[m * s->space.levels[0] + level] =
          (struct allocation_option){level, database_level(&s->database, m, level)->counted};
    units += (double)s->state.choice[m] * (double)layers[m].weights;
    weights += (double)layers[m].weights;
  }
  fine = fine && allocate(layers, count, units / weights, &allocation, error);
  s->predicted = allocation.increase;
  free(ranges);
  free(layers);
  free(options);
  return fine;
}

// ---- random choices ----

// A walk of many moves from the start; what the layers' errors add up to, and what the choice is worth.
static bool correlate(struct searching *s, const int *start, struct error *error) {
  const int64_t count = s->config->search.random_choices;
  double *sums = memory_get((size_t)count * sizeof *sums), *worths = memory_get((size_t)count * sizeof *worths);
  int *choice = memory_get((size_t)s->space.count * sizeof *choice),
      *next = memory_get((size_t)s->space.count * sizeof *next);
  bool fine = true;
  for (int64_t i = 0; i < count && fine; i++) {
    memcpy(choice, start, (size_t)s->space.count * sizeof *choice);
    for (int move = 0; move < RANDOM_MOVES * s->space.count; move++) {
      search_mutate(&s->space.space, s->search.seed, RANDOM_GENERATION + i, move, choice, next);
      memcpy(choice, next, (size_t)s->space.count * sizeof *choice);
    }
    for (int m = 0; m < s->space.count; m++) sums[i] += database_level(&s->database, m, choice[m])->error;
    assemble(s, choice);
    fine = !stopped(s) && fitness_of(s->fitness, &s->values, last_round(s)->tokens, &worths[i], error);
    s->state.asked++;
  }
  if (fine) s->correlation = rank_correlation(sums, worths, (int)count);
  free(sums);
  free(worths);
  free(choice);
  free(next);
  return fine;
}

// ---- the whole ----

bool search_stage_resume(struct stage_work *work, int64_t *step, int64_t *log_size, double *seconds) {
  struct search_state state;
  if (!search_state_read(work, &state)) return false;
  *step = state.generation;
  *log_size = state.log_size;
  *seconds = state.seconds;
  return true;
}

static bool open_evaluations(struct searching *s, struct error *error) {
  const struct run_config *c = s->config;
  int count;
  if (!search_reads_worth(c)) return true;
  if (!search_rounds_read(c->search.rounds, &s->work->run.arena, &s->rounds, &count, error)) return false;
  s->search = (struct search){.space = &s->space.space,
                              .offspring = (int)c->search.offspring,
                              .rounds = s->rounds,
                              .round_count = count,
                              .seed = (uint64_t)c->search.seed,
                              .worth = worth_of,
                              .context = s};
  if (search_reads_finetune_lr(c)) {
    s->finetuning = finetune_make(s->work, error);
    if (!s->finetuning) return false;
  }
  s->fitness = fitness_make(s->work, &s->before, last_round(s)->tokens, error);
  return s->fitness != NULL;
}

static bool choose(struct searching *s, struct error *error) {
  struct search_state *state = &s->state, kept;
  const struct run_config *c = s->config;
  if (s->work->run.resumed_from > 0 && search_state_read(s->work, &kept) && kept.count == s->space.count) {
    *state = kept;
    s->earlier_tokens = kept.tokens;
  }
  if (search_reads_generations(c)) return evolve(s, error);
  if (is(s, "dp") && !by_sum(s, error)) return false;
  if (is(s, "exhaustive"))
    return search_exhaustive(&s->search, c->search.most_choices, state->choice, &state->worth, &state->asked, error);
  if (!s->fitness) return true;
  state->asked++;
  return worth_of(s, state->choice, last_round(s), &state->worth, error);
}

static bool report_modules(struct searching *s, struct error *error) {
  for (int m = 0; m < s->space.count; m++) {
    const struct search_module *module = &s->space.modules[m];
    const struct module_level *level = database_level(&s->database, m, s->state.choice[m]);
    const struct module_piece *last = &module->pieces[module->piece_count - 1];
    const struct layer_result said = {.layer = module->layer,
                                      .matrix = module->name,
                                      .rows = module->piece_count > 1 ? module->count / last->rows : last->rows,
                                      .columns = module->piece_count > 1 ? last->rows : last->inputs,
                                      .relative_error = search_removes(s->config) ? NAN : level->error,
                                      .output_error = level->output_error,
                                      .weighted_error = level->weighted_error,
                                      .bound = level->bound,
                                      .bits = level->bits,
                                      .sparsity = level->sparsity,
                                      .alpha = s->sensitivities ? s->sensitivities[m].alpha : NAN,
                                      .alpha_error = s->sensitivities ? s->sensitivities[m].error : NAN};
    if (!report_layer(s->work, &said, error)) return false;
  }
  return true;
}

static bool report_end(struct searching *s, const struct evaluation *evaluation, struct error *error) {
  const struct run_config *c = s->config;
  double square = 0, off = 0, bits = 0, zeroes = 0, count = 0;
  for (int m = 0; m < s->space.count; m++) {
    const struct search_module *module = &s->space.modules[m];
    bits += database_level(&s->database, m, s->state.choice[m])->bits * (double)module->count;
    count += (double)module->count;
    for (int i = 0; i < module->piece_count; i++) {
      const int64_t offset = module_piece_offset(&s->before, module, i);
      const int64_t weights = module->pieces[i].rows * module->pieces[i].inputs;
      for (int64_t w = offset; w < offset + weights; w++) {
        const double now = (double)s->values.values[w], was = (double)s->before.values[w];
        square += was * was;
        off += (now - was) * (now - was);
        zeroes += now == 0;
      }
    }
  }
  bool sparse = s->space.kind == SEARCH_SPARSITY;
  const struct stage_number numbers[] = {
      {"weight_error", square > 0 ? off / square : NAN},
      {"stored_bits", bits / count},
      {"predicted_increase", s->predicted},
      {"parameters_active", sparse ? (double)config_parameters(c).non_embedding - zeroes : NAN},
      {"search_fitness", s->state.worth},
      {"search_evaluations", s->fitness ? (double)s->state.asked : NAN},
      {"search_tokens", s->fitness ? (double)tokens_so_far(s) : NAN},
      {"rank_correlation", s->correlation}};
  return report_stage_done(s->work, evaluation, numbers, sizeof numbers / sizeof *numbers, error);
}

// The model of the choice, and what is said of it.
static bool leave(struct searching *s, struct error *error) {
  struct evaluation evaluation;
  assemble(s, s->state.choice);
  return report_modules(s, error) && stage_make_model(s->work, &s->values, error) &&
         stage_write_checkpoint(s->work, error) &&
         stage_evaluate(s->work, s->config->train.final_eval_tokens, &evaluation, error) &&
         report_end(s, &evaluation, error);
}

bool search_stage_work(struct stage_work *work, struct error *error) {
  struct training *t = &work->run;
  struct searching s = {.work = work, .config = &t->file.config, .predicted = NAN, .correlation = NAN};
  int *start = NULL;
  bool fine = stage_check_tokens(work, error) && layer_space_make(s.config, &t->arena, &s.space, error) &&
              stage_values(work, &work->parent, &s.before, &work->parent_format, error) &&
              values_copy(&s.values, &s.before) && database_open(work, &s.space, &s.before, &s.database, error);
  if (fine) {
    start = arena_array(&t->arena, (size_t)s.space.count, sizeof *start);
    s.now = arena_array(&t->arena, (size_t)s.space.count, sizeof *s.now);
    s.state = (struct search_state){.worth = NAN, .count = s.space.count};
    s.state.choice = arena_array(&t->arena, (size_t)s.space.count, sizeof *s.state.choice);
    for (int m = 0; m < s.space.count; m++) s.now[m] = -1;
    fine = search_start(&s.space.space, s.space.units, s.space.groups, start, error);
    memcpy(s.state.choice, start, (size_t)s.space.count * sizeof *start);
  }
  fine = fine && open_evaluations(&s, error) && choose(&s, error);
  if (fine && s.config->search.random_choices > 0) fine = correlate(&s, start, error);
  fine = fine && leave(&s, error);
  if (fine) search_state_remove(work);
  fitness_free(s.fitness);
  finetune_free(s.finetuning);
  database_free(&s.database);
  values_free(&s.before);
  values_free(&s.values);
  free(s.sensitivities);
  return fine;
}
