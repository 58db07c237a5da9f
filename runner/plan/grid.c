// Combinations of a sweep to configurations. See grid.h.
#include "runner/plan/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/spec/internal.h"

enum { FEW_NAMES = 32 };
static const double most_combinations = 20e6;

// ---- making ready ----

static struct grid_expression look_up(struct run_grid *grid, const struct expression *expression) {
  struct grid_expression found = {.expression = expression};
  if (!expression) return found;
  found.names = arena_array(grid->arena, (size_t)expression->name_count, sizeof *found.names);
  for (int i = 0; i < expression->name_count; i++)
    run_name_find(grid->spec, expression->names[i].name, &found.names[i]);
  return found;
}

void grid_prepare(struct run_grid *grid, struct diagnostics *diagnostics) {
  const struct spec *spec = grid->spec;
  for (int i = 0; i < TRAINER_COUNTS; i++) grid->counts[i] = look_up(grid, spec->trainer.counts[i].expression);
  grid->sweeps = arena_array(grid->arena, spec->sweep_count, sizeof *grid->sweeps);
  for (size_t s = 0; s < spec->stage_count; s++)
    for (size_t v = 0; v < spec->stages[s].count; v++) {
      const struct spec_sweep *settings = &spec->stages[s].values[v].settings;
      for (size_t g = 0; g < settings->group_count; g++)
        grid->corpus_varies |= grid_corpus_field(settings->groups[g].axes[0].field);
    }
  for (size_t s = 0; s < spec->sweep_count; s++) {
    const struct spec_sweep *sweep = &spec->sweeps[s];
    struct grid_sweep *ready = &grid->sweeps[s];
    ready->sweep = sweep;
    ready->skipped = sweep->broken;
    if (ready->skipped) continue;
    ready->where = look_up(grid, sweep->where);
    ready->set = arena_array(grid->arena, sweep->set_count, sizeof *ready->set);
    for (size_t i = 0; i < sweep->set_count; i++) {
      ready->set[i] = look_up(grid, sweep->set[i].expression);
      grid->corpus_varies |= grid_corpus_field(sweep->set[i].field);
    }
    double combinations = 1;
    for (size_t g = 0; g < sweep->group_count; g++) {
      combinations *= (double)sweep->groups[g].count;
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++)
        grid->corpus_varies |= grid_corpus_field(sweep->groups[g].axes[a].field);
    }
    if (combinations > most_combinations) {
      char number[32];
      node_error(sweep->node, diagnostics, "several smaller sweeps or experiments",
                 "this sweep has %s combinations, more than 20 million", number_human(combinations, number));
      ready->skipped = true;
      continue;
    }
    ready->combinations = (uint64_t)combinations;
  }
}

size_t grid_index(const struct spec_sweep *sweep, uint64_t combination, size_t group) {
  for (size_t g = sweep->group_count; g-- > group + 1;) combination /= sweep->groups[g].count;
  return combination % sweep->groups[group].count;
}

void grid_apply(const struct spec_sweep *sweep, uint64_t combination, struct run_config *config) {
  for (size_t g = sweep->group_count; g-- > 0;) {
    const struct spec_axis_group *group = &sweep->groups[g];
    size_t index = combination % group->count;
    combination /= group->count;
    for (size_t a = 0; a < group->axis_count; a++) {
      const struct spec_axis *axis = &group->axes[a];
      spec_value_put(config, axis->field, &axis->values[axis->constant ? 0 : index]);
    }
  }
}

struct value grid_value(struct run_grid *grid, const struct run_field *field, struct value value) {
  if (value.kind != VALUE_TEXT || !field_has_spellings(field)) return value;
  for (size_t i = 0; i < grid->spelling_count; i++) {
    const struct grid_spelling *known = &grid->spellings[i];
    if (known->field != field || (known->text != value.text && strcmp(known->text, value.text) != 0)) continue;
    value.text = known->spelling;
    return value;
  }
  if (grid->spelling_count == grid->spelling_capacity) {
    size_t capacity = grid->spelling_capacity ? grid->spelling_capacity * 2 : 8;
    grid->spellings = arena_grow(grid->arena, grid->spellings, grid->spelling_count, capacity, sizeof *grid->spellings);
    grid->spelling_capacity = capacity;
  }
  const char *text = arena_string(grid->arena, value.text);
  value.text = field_spelling(field, text, grid->arena);
  grid->spellings[grid->spelling_count++] = (struct grid_spelling){field, text, value.text};
  return value;
}

// ---- one combination ----

// A configuration while it is being made; `resolved` follows on demand and is forgotten when a field changes.
struct making {
  struct run_grid *grid;
  struct run_config config, resolved;
  struct run_quantities quantities;
  const struct corpus_facts *facts;
  uint32_t corpus;
  enum { NOT_TRIED, RESOLVED, NEEDS_CORPUS, REFUSED, STOPPED } state;
  struct error error;  // of the last two
};

static bool vocabulary_unknown(const struct run_config *config, const struct corpus_facts *facts) {
  return !facts->known && config->model.vocabulary == AUTO_INTEGER;
}

// A format that the spec did not parse, since an expression derives it: parsed once a grid, which takes longer than all
// the rest of a run.
static const struct format *parsed_format(struct run_grid *grid, const char *text) {
  for (size_t i = 0; i < grid->format_count; i++)
    if (grid->formats[i].text == text || strcmp(grid->formats[i].text, text) == 0) return grid->formats[i].format;
  if (grid->format_count == grid->format_capacity) {
    size_t capacity = grid->format_capacity ? grid->format_capacity * 2 : 8;
    grid->formats = arena_grow(grid->arena, grid->formats, grid->format_count, capacity, sizeof *grid->formats);
    grid->format_capacity = capacity;
  }
  struct run_config config = {.format = arena_string(grid->arena, text)};
  struct error unknown = {0};
  config_parse_format(&config, grid->arena, &unknown);
  grid->formats[grid->format_count++] = (struct grid_format){config.format, config.parsed_format};
  return config.parsed_format;
}

// One of the counts of a custom trainer, from a resolved configuration; NAN where the spec does not say it.
static bool count_of(struct making *m, enum trainer_count which, const struct run_config *config, double *count,
                     struct error *error) {
  const struct grid_expression *e = &m->grid->counts[which];
  struct value *slots;
  *count = NAN;
  if (!e->expression) return true;
  slots = memory_get(((size_t)e->expression->name_count + 1) * sizeof *slots);
  struct run_quantities quantities = config_quantities(config, m->facts);
  for (int i = 0; i < e->expression->name_count; i++)
    slots[i] =
        e->names[i].field ? field_get(config, e->names[i].field) : e->names[i].column->planned(&quantities, m->facts);
  error->code = EXIT_DONE;
  bool fine = expression_number(e->expression, slots, count, error);
  free(slots);
  if (fine && !(*count > 0 && *count < 1e300))
    fine = error_set(error, EXIT_USAGE_ERROR, "'%s' is %g, no count", e->expression->source, *count);
  return fine || error_context(error, "%s of the trainer", trainer_count_names[which]);
}

// config_resolve for any trainer. The built-in model's counts are its own alone: another one's are what the spec says.
static bool resolve_config(struct making *m, struct run_config *config, const struct corpus_facts *facts,
                           struct error *error) {
  if (!m->grid->spec->trainer.node) return config_resolve(config, facts, m->grid->dtype, error);
  struct own_model own = {true, NAN, NAN, NAN, NAN};
  struct run_config shape = *config;  // of any length: the length may follow from the count
  shape.own_model = own;
  config_clear_budget(&shape);
  shape.train.steps = 1;
  shape.train.warmup_steps = 0;
  if (!config_resolve(&shape, facts, m->grid->dtype, error) ||
      !count_of(m, COUNT_PARAMETERS, &shape, &own.parameters, error) ||
      !count_of(m, COUNT_TOTAL, &shape, &own.total, error))
    return false;
  config->own_model = own;
  return config_resolve(config, facts, m->grid->dtype, error) &&
         count_of(m, COUNT_ACTIVE, config, &config->own_model.active, error) &&
         count_of(m, COUNT_FLOPS, config, &config->own_model.flops, error);
}

static void resolve(struct making *m) {
  if (m->state != NOT_TRIED) return;
  if (!m->config.parsed_format) m->config.parsed_format = parsed_format(m->grid, m->config.format);
  m->error.code = EXIT_DONE;
  if (!grid_corpus_find(m->grid, &m->config, &m->corpus, &m->error)) {
    m->state = STOPPED;
    return;
  }
  const struct plan_corpus *corpus = &m->grid->corpora[m->corpus];
  m->facts = &corpus->facts;
  if (corpus->refused) {
    m->state = REFUSED;
    error_set(&m->error, EXIT_USAGE_ERROR, "%s", corpus->reason);
    memcpy(m->error.about, corpus->about, sizeof corpus->about);
    return;
  }
  m->resolved = m->config;
  if (resolve_config(m, &m->resolved, m->facts, &m->error)) {
    if (m->grid->fits_device && !m->grid->fits_device(&m->resolved, &m->error)) {
      m->state = m->error.code == EXIT_ENVIRONMENT ? STOPPED : REFUSED;
      return;
    }
    m->quantities = config_quantities(&m->resolved, m->facts);
    m->state = RESOLVED;
    return;
  }
  m->state = REFUSED;
  for (size_t i = 0; *m->config.from.path && i < sizeof m->error.about / sizeof *m->error.about; i++)
    if (!m->error.about[i]) {  // what is wrong with a folder's model is wrong with the folder
      m->error.about[i] = "from.path";
      break;
    }
  if (!vocabulary_unknown(&m->config, m->facts)) return;
  // Perhaps only the vocabulary is missing, which the corpus will tell: does everything else fit?
  struct corpus_facts stand_in = {.known = true, .vocabulary = 32768, .train_tokens = INT64_MAX};
  struct error ignored = {0};
  m->resolved = m->config;
  if (resolve_config(m, &m->resolved, &stand_in, &ignored)) m->state = NEEDS_CORPUS;
}

static bool is_auto(const struct run_field *field, const struct value *value) {
  if (value->kind == VALUE_MISSING) return true;
  return field->type == FIELD_CHOICE && strcmp(value->text, "auto") == 0;
}

// Values of an expression's names. With `early`, what needs resolution stays missing.
static void fill(struct making *m, const struct grid_expression *e, bool early, struct value *slots) {
  for (int i = 0; i < e->expression->name_count; i++) {
    const struct run_name *name = &e->names[i];
    slots[i] = (struct value){.kind = VALUE_MISSING};
    if (name->field) {
      slots[i] = grid_value(m->grid, name->field, field_get(&m->config, name->field));
      if (!is_auto(name->field, &slots[i])) continue;
      slots[i] = (struct value){.kind = VALUE_MISSING};
    }
    if (early) continue;
    resolve(m);
    if (m->state != RESOLVED) continue;
    slots[i] = name->field ? grid_value(m->grid, name->field, field_get(&m->resolved, name->field))
                           : name->column->planned(&m->quantities, m->facts);
  }
}

// Whether a value is missing that no corpus would bring: a count of the model of a custom trainer.
static bool unknown_to_own(const struct making *m, const struct grid_expression *e, const struct value *slots) {
  struct corpus_facts facts = {.known = true, .train_tokens = 1, .bytes_per_token = 1, .irreducible_loss = 1};
  if (m->state != RESOLVED || !m->resolved.own_model.given) return false;
  for (int i = 0; i < e->expression->name_count; i++)
    if (slots[i].kind == VALUE_MISSING && e->names[i].column &&
        e->names[i].column->planned(&m->quantities, &facts).kind == VALUE_MISSING)
      return true;
  return false;
}

// How an expression fared.
enum verdict { VALUE, NO_CORPUS, WRONG };

static enum verdict evaluate(struct making *m, const struct grid_expression *e, bool early, struct value *result,
                             struct error *error) {
  struct value few[FEW_NAMES], *slots = few;
  int count = e->expression->name_count;
  if (count > FEW_NAMES) slots = memory_get((size_t)count * sizeof *slots);
  fill(m, e, early, slots);
  error->code = EXIT_DONE;
  enum verdict verdict = expression_evaluate(e->expression, slots, result, error) ? VALUE : WRONG;
  if (verdict == WRONG && !early) {
    bool missing = false;
    for (int i = 0; i < count; i++) missing |= slots[i].kind == VALUE_MISSING;
    if (unknown_to_own(m, e, slots))
      error_add(error,
                " before it trains: of a custom trainer only what trainer: {parameters: EXPRESSION} and the "
                "like say is known");
    else if (missing && (m->state == NEEDS_CORPUS || (m->state == RESOLVED && !m->facts->known)))
      verdict = NO_CORPUS;
  }
  if (slots != few) free(slots);
  return verdict;
}

// Gives a field the value that an expression derived. Text is the spec's own: it outlives the run.
static bool derive(struct making *m, const struct run_field *field, const struct value *value, struct error *error) {
  if (field->groups & GROUP_BUDGET) config_clear_budget(&m->config);
  if (value->kind == VALUE_TEXT || field->type == FIELD_BOOLEAN) {
    struct arena arena = {0};
    const char *text = value->kind == VALUE_TEXT      ? value->text
                       : value->kind == VALUE_BOOLEAN ? value->number != 0 ? "true" : "false"
                                                      : "a number";
    struct run_config scratch = m->config;
    bool fine = spec_set_text(m->grid->spec, &scratch, field, text, &arena, error);
    struct value put = field_get(&scratch, field);
    if (put.kind == VALUE_TEXT) put.text = strcmp(put.text, text) == 0 ? text : grid_value(m->grid, field, put).text;
    if (fine) field_put(&m->config, field, put);
    arena_free(&arena);
    return fine;
  }
  double number = field->type == FIELD_NUMBER ? rounded_decimal(value->number, 12) : value->number;
  return config_set_number(&m->config, field, number, error) || error_subject(error, "%s", field->path);
}

// The sweep's derived fields, in turn. Sets `no_corpus` where one of them needs a corpus that is not there. False when
// one of them is refused, with the problem. Ends early when the corpus cannot be had (`state` is STOPPED).
static bool derive_all(struct making *m, const struct grid_sweep *ready, bool *no_corpus,
                       struct grid_problem *problem) {
  struct value value;
  *no_corpus = false;
  for (size_t i = 0; i < ready->sweep->set_count && !*no_corpus; i++) {
    const struct spec_derivation *set = &ready->sweep->set[i];
    enum verdict verdict = evaluate(m, &ready->set[i], false, &value, &problem->error);
    if (m->state == STOPPED) return true;
    if (verdict == NO_CORPUS) {
      *no_corpus = true;
    } else if (verdict == WRONG && m->state == REFUSED) {
      problem->error = m->error;
      return false;
    } else if (verdict == WRONG) {
      problem->node = set->node;
      problem->in_expression = true;
      return false;
    } else {
      bool fine = derive(m, set->field, &value, &problem->error);
      config_name_source(&m->config);
      if (!fine) problem->node = set->node;
      m->state = NOT_TRIED;
      if (!fine) return false;
    }
  }
  return true;
}

// `where` over plain fields alone: whether that decides, and how.
static bool decided_early(struct making *m, const struct grid_sweep *ready, bool *stays) {
  struct value value;
  struct error ignored;
  if (evaluate(m, &ready->where, true, &value, &ignored) != VALUE || value.kind == VALUE_TEXT) return false;
  *stays = value.number != 0;
  return true;
}

// `where` over all that is known. Sets `undecided` where it needs a corpus that is not there; GRID_RUN, GRID_FILTERED
// or GRID_REFUSED.
static enum grid_outcome filter(struct making *m, const struct grid_sweep *ready, bool no_corpus, bool *undecided,
                                struct grid_problem *problem) {
  struct value value;
  enum verdict verdict = no_corpus ? NO_CORPUS : evaluate(m, &ready->where, false, &value, &problem->error);
  if (verdict == VALUE && value.kind == VALUE_TEXT) {
    verdict = WRONG;
    error_at(&problem->error, EXIT_USAGE_ERROR, ready->sweep->where->source, 0, "where must be a condition, not text");
  }
  if (verdict == WRONG) {
    problem->node = ready->sweep->where_node;
    problem->in_expression = true;
    return GRID_REFUSED;
  }
  *undecided = verdict == NO_CORPUS;
  return verdict == VALUE && value.number == 0 ? GRID_FILTERED : GRID_RUN;
}

static void give_result(const struct making *m, bool undecided, struct grid_result *result) {
  result->resolved = m->state == RESOLVED;
  result->undecided = undecided || !result->resolved;
  result->config = result->resolved ? m->resolved : m->config;
  if (result->resolved)
    result->quantities = m->quantities;
  else
    memset(&result->quantities, 0, sizeof result->quantities);
  result->corpus = m->corpus;
}

enum grid_outcome grid_evaluate(struct run_grid *grid, size_t sweep_index, uint64_t combination,
                                struct grid_result *result, struct grid_problem *problem) {
  const struct grid_sweep *ready = &grid->sweeps[sweep_index];
  const struct spec_sweep *sweep = ready->sweep;
  // Not cleared as a whole: most of it is large, and written before it is read.
  struct making m;
  m.grid = grid;
  m.config = grid->spec->base;
  m.state = NOT_TRIED;
  m.error.code = EXIT_DONE;
  problem->node = NULL;
  problem->in_expression = false;
  problem->error.code = EXIT_DONE;
  grid_apply(sweep, combination, &m.config);
  config_name_source(&m.config);
  if (*m.config.from.path && !plan_folder_take(&grid->folders, grid->arena, &m.config, &problem->error))
    return GRID_REFUSED;
  if (!plan_task_folder_take(&grid->folders, grid->arena, grid->spec->path, &m.config, &problem->error))
    return GRID_REFUSED;

  bool no_corpus, decided = false, stays = true, undecided = false;
  bool derived = derive_all(&m, ready, &no_corpus, problem);
  if (m.state == STOPPED) {
    problem->error = m.error;
    return GRID_STOPPED;
  }
  // A filter over plain fields may be there to leave out what cannot be trained, or has a corpus that is not wanted.
  if (m.state == NOT_TRIED && derived && !grid->corpus_varies) resolve(&m);
  if (sweep->where && !no_corpus && m.state != RESOLVED) decided = decided_early(&m, ready, &stays);
  if (!stays) return GRID_FILTERED;
  if (!derived) return GRID_REFUSED;
  resolve(&m);
  if (m.state == STOPPED || m.state == REFUSED) {
    problem->error = m.error;
    problem->node = NULL;
    return m.state == STOPPED ? GRID_STOPPED : GRID_REFUSED;
  }
  if (no_corpus) m.state = NEEDS_CORPUS;
  if (sweep->where && !decided) {
    enum grid_outcome outcome = filter(&m, ready, no_corpus, &undecided, problem);
    if (outcome != GRID_RUN) return outcome;
  }
  give_result(&m, undecided, result);
  return GRID_RUN;
}
