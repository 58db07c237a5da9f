// The fits of a report: read from the store, joined to the runs, evaluated through the law they were made with.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/data.h"

// What N counts, as a column of the store.
static const char *size_column(const char *parameter_count) {
  const char *column = parameter_count_column(parameter_count);
  return column ? column : "parameters";
}

// The entry of a fit: of its name, or of "chinchilla[w4a4]" where it is made by the values of a column.
static const struct spec_fit *entry_of(const struct report *report, const char *name) {
  for (size_t i = 0; report->spec && i < report->spec->fit_count; i++) {
    const struct spec_fit *entry = &report->spec->fits[i];
    size_t length = strlen(entry->name);
    if (strncmp(entry->name, name, length) == 0 && (entry->by ? name[length] == '[' : !name[length])) return entry;
  }
  return NULL;
}

static struct report_fit *add_fit(struct report *report, const char *name, const char *law) {
  struct arena *arena = &report->arena;
  report->fits = arena_grow(arena, report->fits, report->fit_count, report->fit_count + 1, sizeof *report->fits);
  struct report_fit *fit = &report->fits[report->fit_count++];
  *fit = (struct report_fit){.name = arena_string(arena, name), .law_name = arena_string(arena, law)};
  fit->entry = entry_of(report, name);
  fit->parameter_count = fit->entry ? fit->entry->parameter_count : parameter_count_names[0];
  fit->size_column = size_column(fit->parameter_count);
  fit->target = "loss";
  fit->largest_error = fit->mean_error = NAN;
  fit->predicted = arena_array(arena, report->count + 1, sizeof *fit->predicted);
  fit->observed = arena_array(arena, report->count + 1, sizeof *fit->observed);
  fit->fitted = arena_array(arena, report->count + 1, sizeof *fit->fitted);
  fit->held = arena_array(arena, report->count + 1, sizeof *fit->held);
  for (size_t i = 0; i < report->count; i++) fit->predicted[i] = fit->observed[i] = NAN;
  return fit;
}

// A run's settings without the axes that the fit averages over: equal texts were averaged into one row.
static const char *average_key(struct report *report, const struct spec_fit *entry, const struct report_run *run) {
  struct text key = {0};
  for (size_t f = 0; f < spec_field_count(report->spec); f++) {
    const struct run_field *field = spec_field_at(report->spec, f);
    bool left_out = field->effect != EFFECT_COUNTS;
    for (size_t a = 0; a < entry->average_over.count; a++)
      left_out |= strcmp(entry->average_over.items[a], field->path) == 0;
    if (left_out) continue;
    struct value value = report_get(report, run, field->path);
    if (value.kind == VALUE_TEXT)
      text_format(&key, "%s\n", value.text);
    else
      text_format(&key, "%.17g\n", value.kind == VALUE_MISSING ? NAN : value.number);
  }
  const char *kept = arena_string(&report->arena, text_string(&key));
  text_free(&key);
  return kept;
}

// Runs in the order of a text that each has, so that those of one text are found at once.
struct keyed {
  const char *text;
  size_t run;
};

static int by_text(const void *left, const void *right) {
  const struct keyed *a = left, *b = right;
  int order = strcmp(a->text, b->text);
  return order ? order : (a->run > b->run) - (a->run < b->run);
}

// Seeds: a row that is the mean of several runs carries the name of one of them.
static void spread_over_averages(struct report *report, struct report_fit *fit) {
  if (!fit->entry || fit->entry->average_over.count == 0 || report->count == 0) return;
  struct keyed *keys = arena_array(&report->arena, report->count, sizeof *keys);
  for (size_t i = 0; i < report->count; i++)
    keys[i] = (struct keyed){average_key(report, fit->entry, &report->runs[i]), i};
  qsort(keys, report->count, sizeof *keys, by_text);
  for (size_t first = 0, end; first < report->count; first = end) {
    const struct keyed *named = NULL;
    for (end = first; end < report->count && strcmp(keys[end].text, keys[first].text) == 0; end++)
      if (!named && (fit->fitted[keys[end].run] || fit->held[keys[end].run])) named = &keys[end];
    for (size_t k = first; named && k < end; k++) {
      size_t run = keys[k].run;
      if (!isfinite(fit->observed[run]) || fit->fitted[run] || fit->held[run]) continue;
      fit->fitted[run] = fit->fitted[named->run];
      fit->held[run] = fit->held[named->run];
    }
  }
}

// The first of the keys, which are sorted, with this text; their count when there is none.
static size_t first_of(const struct keyed *keys, size_t count, const char *text) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(keys[middle].text, text) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count && strcmp(keys[low].text, text) == 0 ? low : count;
}

// Which runs took part, from the fit's rows.
static void join_rows(struct report *report, struct report_fit *fit) {
  struct keyed *keys = arena_array(&report->arena, report->count + 1, sizeof *keys);
  for (size_t i = 0; i < report->count; i++) keys[i] = (struct keyed){report->runs[i].id, i};
  if (report->count) qsort(keys, report->count, sizeof *keys, by_text);
  for (size_t r = 0; r < fit->result.table_count; r++) {
    const struct fit_row *row = &fit->result.table[r];
    for (size_t k = first_of(keys, report->count, row->name); k < report->count && strcmp(keys[k].text, row->name) == 0;
         k++) {
      fit->fitted[keys[k].run] = row->use == ROW_FITTED;
      fit->held[keys[k].run] = row->use == ROW_HELD_OUT;
      fit->predicted[keys[k].run] = row->predicted;
    }
  }
  spread_over_averages(report, fit);
}

// Why rows were left out, and how many for each reason: "loss is missing (3 runs)".
static void count_exclusions(struct report *report, struct report_fit *fit) {
  const struct fit_exclusion *all = fit->result.exclusions;
  const char *words = "";
  for (size_t i = 0; i < fit->result.excluded_count; i++) {
    bool counted = false;
    size_t count = 0;
    for (size_t k = 0; k < fit->result.excluded_count; k++) {
      if (strcmp(all[k].reason, all[i].reason) != 0) continue;
      counted |= k < i;
      count++;
    }
    if (!counted)
      words = arena_format(&report->arena, "%s%s%s (%zu run%s)", words, *words ? "; " : "", all[i].reason, count,
                           count == 1 ? "" : "s");
  }
  fit->exclusions = words;
}

// The value of a column that all runs of a format share, else missing.
static struct value common_value(const struct report *report, const char *format, const char *column) {
  struct value common = {.kind = VALUE_MISSING};
  for (size_t i = 0; i < report->count; i++) {
    if (strcmp(report->runs[i].format, format) != 0) continue;
    struct value value = report_get(report, &report->runs[i], column);
    if (common.kind == VALUE_MISSING) common = value;
    bool same = value.kind == common.kind &&
                (value.kind == VALUE_TEXT ? strcmp(value.text, common.text) == 0 : value.number == common.number);
    if (!same) return (struct value){.kind = VALUE_MISSING};
  }
  return common;
}

static double common_number(const struct report *report, const char *format, const char *column) {
  struct value value = common_value(report, format, column);
  return value.kind == VALUE_NUMBER ? value.number : NAN;
}

static void draw_effective(struct report *report, struct report_fit *fit) {
  fit->effective = arena_array(&report->arena, fit->result.coefficient_count + 1, sizeof *fit->effective);
  for (size_t i = 0; i < fit->result.coefficient_count; i++) {
    const struct coefficient *c = &fit->result.coefficients[i];
    if (strncmp(c->name, "eff[", 4) != 0) continue;
    char *format = arena_copy(&report->arena, c->name + 4, strlen(c->name) - 5);
    fit->effective[fit->effective_count++] =
        (struct plot_effective){.format = format,
                                .value = c->value,
                                .low = c->low,
                                .high = c->high,
                                .weight_bits = common_number(report, format, "weight_bits"),
                                .gmse_weights = common_number(report, format, "gmse_weights"),
                                .gmse_activations = common_number(report, format, "gmse_activations"),
                                .gmse_gradients = common_number(report, format, "gmse_gradients")};
  }
}

static bool varies(const char *column) {
  return strcmp(column, "parameters") == 0 || strcmp(column, "tokens") == 0 || strcmp(column, "format") == 0;
}

static bool law_has(const struct report_fit *fit, const char *column) {
  for (int c = 0; c < fit->law.column_count; c++)
    if (strcmp(fit->law.columns[c], column) == 0) return true;
  return false;
}

// For the law's lines: its columns next to N, D and format, as far as a format's runs share them.
static void find_constants(struct report *report, struct report_fit *fit) {
  struct arena *arena = &report->arena;
  for (size_t i = 0; i < report->count; i++) {
    const char *format = report->runs[i].format;
    bool known = false;
    for (size_t k = 0; k < i && !known; k++) known = strcmp(report->runs[k].format, format) == 0;
    for (int c = 0; c < fit->law.column_count && !known; c++) {
      const char *column = fit->law.columns[c];
      struct value value = varies(column) ? (struct value){0} : common_value(report, format, column);
      if (value.kind == VALUE_MISSING) continue;
      fit->constants =
          arena_grow(arena, fit->constants, fit->constant_count, fit->constant_count + 1, sizeof *fit->constants);
      fit->constants[fit->constant_count++] = (struct report_constant){format, column, value};
    }
  }
}

// A fit by the values of a column says nothing of the runs of another value.
static bool is_of_part(const struct report *report, const struct report_fit *fit, const struct report_run *run) {
  char digits[32] = "";
  if (!fit->result.by) return true;
  struct value value = report_get(report, run, column_canonical(fit->result.by));
  if (value.kind == VALUE_NUMBER) number_shortest(value.number, digits);
  return strcmp(value.kind == VALUE_TEXT ? value.text : digits, fit->result.part) == 0;
}

// What is to be predicted, of each run that is done.
static void observe(const struct report *report, struct report_fit *fit) {
  bool own = strcmp(fit->target, report->outcome) == 0;
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (own || run->state == RUN_DONE) fit->observed[i] = own ? run->loss : report_number(report, run, fit->target);
  }
}

// What the law says of the runs that the fit has no prediction for.
static void predict(const struct report *report, struct report_fit *fit) {
  struct law_input inputs[64];
  for (size_t i = 0; i < report->count; i++) {
    size_t n = 0;
    if (!is_of_part(report, fit, &report->runs[i])) continue;
    for (int c = 0; c < fit->law.column_count && n < 64; c++) {
      const char *column = fit->law.columns[c];
      const char *source = strcmp(column, "parameters") == 0 ? fit->size_column : column;
      inputs[n++] = (struct law_input){column, report_get(report, &report->runs[i], source)};
    }
    if (!isfinite(fit->predicted[i]))
      fit->predicted[i] = law_evaluate(&fit->law, fit->result.coefficients, fit->result.coefficient_count, inputs, n);
  }
}

double report_error(const struct report_fit *fit, size_t run) {
  if (fit_errors_absolute(&fit->result)) return fit->observed[run] - fit->predicted[run];
  return fit->observed[run] / fit->predicted[run] - 1;
}

static void measure(const struct report *report, struct report_fit *fit) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < report->count; i++) {
    if (!fit->fitted[i] || !isfinite(fit->predicted[i]) || !isfinite(fit->observed[i])) continue;
    double error = fabs(report_error(fit, i));
    if (!(fit->largest_error >= error)) fit->largest_error = error;
    sum += error;
    count++;
  }
  if (count) fit->mean_error = sum / (double)count;
}

double report_law(const void *context, const char *format, double parameters, double tokens) {
  const struct report_fit *fit = context;
  struct law_input inputs[64];
  size_t n = 0;
  for (int c = 0; c < fit->law.column_count && n < 64; c++) {
    const char *column = fit->law.columns[c];
    struct value value = {.kind = VALUE_MISSING};
    if (strcmp(column, "parameters") == 0) value = (struct value){.kind = VALUE_NUMBER, .number = parameters};
    if (strcmp(column, "tokens") == 0) value = (struct value){.kind = VALUE_NUMBER, .number = tokens};
    if (strcmp(column, "format") == 0) value = (struct value){.kind = VALUE_TEXT, .text = format};
    for (size_t k = 0; k < fit->constant_count; k++)
      if (strcmp(fit->constants[k].column, column) == 0 && strcmp(fit->constants[k].format, format) == 0)
        value = fit->constants[k].value;
    inputs[n++] = (struct law_input){column, value};
  }
  return law_evaluate(&fit->law, fit->result.coefficients, fit->result.coefficient_count, inputs, n);
}

bool report_has_capacity(const struct report_fit *fit) { return fit->law_loaded && law_has(fit, "gmse_weights"); }

static double loss_with_errors(const struct report_fit *fit, double parameters, double weights, double activations) {
  const double tokens = 2e7;  // any: the factor is on N alone

  const struct {
    const char *column;
    double number;
  } known[] = {{"parameters", parameters},
               {"tokens", tokens},
               {"gmse_weights", weights},
               {"gmse_activations", activations},
               {"gmse_gradients", 0}};
  struct law_input inputs[sizeof known / sizeof *known];
  size_t n = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (law_has(fit, known[i].column))
      inputs[n++] = (struct law_input){known[i].column, {.kind = VALUE_NUMBER, .number = known[i].number}};
  return law_evaluate(&fit->law, fit->result.coefficients, fit->result.coefficient_count, inputs, n);
}

double report_capacity(const void *context, double gmse_weights, double gmse_activations) {
  const struct report_fit *fit = context;
  const double size = 1e6;
  double loss = loss_with_errors(fit, size, gmse_weights, gmse_activations);
  double low = log(1e-9), high = log(16);
  if (!isfinite(loss)) return NAN;
  for (int i = 0; i < 60; i++) {
    double middle = 0.5 * (low + high);
    if (loss_with_errors(fit, size * exp(middle), 0, 0) > loss)
      low = middle;
    else
      high = middle;
  }
  return exp(0.5 * (low + high));
}

static bool read_fit(struct report *report, struct report_fit *fit, const char *document, struct error *error) {
  struct fit_result *result = &fit->result;
  struct error damage = {0}, law_error = {0};
  if (!fit_result_read(result, document, &damage))
    return error_set(error, EXIT_ENVIRONMENT, "the stored fit '%s' is damaged (%s); fit again", fit->name, damage.text);
  fit->made = true;
  if (result->parameter_count) {
    fit->parameter_count = result->parameter_count;
    fit->size_column = size_column(fit->parameter_count);
  }
  struct diagnostics diagnostics = {0};
  fit->law_loaded = law_load(&fit->law, fit->law_name, &diagnostics, &law_error);
  if (!fit->law_loaded) {
    // The coefficients are right all the same; only lines and predictions are missing.
    law_free(&fit->law);
    fit->law_trouble = arena_format(&report->arena, "the law '%s' cannot be loaded, so its lines are not drawn: %s",
                                    fit->law_name, law_error.text);
  }
  diagnostics_free(&diagnostics);
  if (result->target || fit->law_loaded) fit->target = result->target ? result->target : fit->law.target;
  observe(report, fit);
  join_rows(report, fit);
  count_exclusions(report, fit);
  draw_effective(report, fit);
  report_draw_fit(report, fit);
  if (fit->law_loaded) find_constants(report, fit);
  if (fit->law_loaded) predict(report, fit);
  measure(report, fit);
  return true;
}

bool report_add_fit(struct report *report, const char *name, const char *law, const char *document,
                    struct error *error) {
  struct report_fit *fit = add_fit(report, name, law);
  fit->created_at = INFINITY;  // no run is later
  return read_fit(report, fit, document, error);
}

static int in_spec_order(const void *a, const void *b) {
  const struct report_fit *x = a, *y = b;
  if (x->entry && y->entry) return (x->entry > y->entry) - (x->entry < y->entry);
  return (x->entry == NULL) - (y->entry == NULL);
}

bool report_gather_fits(struct report *report, struct store *store, struct error *error) {
  struct store_rows *rows = store_fits(store, report->name, error);
  if (!rows) return false;
  bool fine = true;
  while (fine && store_rows_next(rows, error)) {
    struct report_fit *fit = add_fit(report, store_rows_get(rows, "name").text, store_rows_get(rows, "law").text);
    fit->created_at = store_rows_get(rows, "created_at").number;
    fine = read_fit(report, fit, store_rows_get(rows, "document").text, error);
  }
  store_rows_close(rows);
  if (!fine || error->code) return false;
  for (size_t i = 0; report->spec && i < report->spec->fit_count; i++) {
    const struct spec_fit *entry = &report->spec->fits[i];
    bool made = false;
    for (size_t f = 0; f < report->fit_count; f++) made |= report->fits[f].entry == entry;
    if (!made) add_fit(report, entry->name, entry->law);
  }
  if (report->fit_count) qsort(report->fits, report->fit_count, sizeof *report->fits, in_spec_order);
  return true;
}
