// See identified.h.
#include "runner/fits/identified.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/design_specs.h"
#include "runner/fits/table_parts.h"

static const double assumed_noise = 0.003;

static int compare_numbers(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

// The middle one of the starts of every parameter: "eff" stands for all of its categories.
static void take_starts(const struct law *law, struct arena *arena, struct design_truth *truth) {
  *truth = (struct design_truth){.source = "the law's starting values", .noise = NAN};
  truth->assumptions = arena_array(arena, (size_t)law->parameter_count + 1, sizeof *truth->assumptions);
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    if (!parameter->start_count || parameter->tied) continue;
    double *sorted = arena_array(arena, (size_t)parameter->start_count, sizeof *sorted);
    memcpy(sorted, parameter->starts, (size_t)parameter->start_count * sizeof *sorted);
    qsort(sorted, (size_t)parameter->start_count, sizeof *sorted, compare_numbers);
    truth->assumptions[truth->count++] =
        (struct design_assumption){parameter->name, sorted[(parameter->start_count - 1) / 2]};
  }
  truth->of_fit = true;  // those that this fit holds or ties have no use for it
}

static void list_names(struct text *text, const struct design_result *result, bool identified) {
  size_t count = 0;
  for (size_t q = 0; q < result->coefficient_count; q++)
    if (isfinite(result->quantities[q].linear_se) == identified)
      text_format(text, "%s%s", count++ ? ", " : "", result->quantities[q].name);
  if (!count) text_format(text, "no coefficient");
}

// "; E hardly from beta": of a fit's values only, as how well a coefficient is known hangs on them.
static void add_pairs(struct text *text, const struct design_result *result) {
  size_t count = 0;
  for (size_t i = 0; i < result->pair_count; i++)
    if (!result->pairs[i].separable && isfinite(result->pairs[i].correlation) && count < 3)
      text_format(text, "%s%s from %s", count++ ? ", " : "; hardly to be separated: ", result->pairs[i].first,
                  result->pairs[i].second);
}

static bool run_design(const struct law *law, const struct table *table, const struct spec_fit *entry,
                       const struct design_truth *truth, struct design_result *result, struct error *error) {
  const struct fit_options fit = design_fit_options(entry);
  const struct design_options options = {.assumptions = truth->assumptions,
                                         .assumption_count = truth->count,
                                         .extra_assumptions = true,
                                         .within = !isfinite(truth->noise),
                                         .noise = truth->noise > 0 && truth->noise < 1 ? truth->noise : assumed_noise};
  return design_run(law, table, &fit, &options, result, error);
}

static void print_result(const struct design_spec *spec, const char *name, const struct design_result *result,
                         const struct design_truth *truth, bool of_fit, FILE *out) {
  struct text text = {0};
  size_t unknown = 0;
  for (size_t q = 0; q < result->coefficient_count; q++) unknown += !isfinite(result->quantities[q].linear_se);
  text_format(&text, "fit %s: %s ", name,
              spec->selection.plan.count == 1 ? "this run determines" : "these runs determine");
  list_names(&text, result, true);
  if (unknown) {
    text_format(&text, ", not ");
    list_names(&text, result, false);
  }
  if (of_fit) add_pairs(&text, result);
  text_format(&text, " (at %s, if the law holds; isoloss design says how well)", truth->source);
  print_filled(out, text_string(&text), 0, 2);
  text_free(&text);
}

// One fit, at the stored one where it has all coefficients, else at the starts.
static bool identify(const struct design_spec *spec, const struct spec_fit *entry, const char *name,
                     const struct law *law, const struct table *table, struct arena *arena, FILE *out,
                     struct error *error) {
  struct design_truth truth;
  struct design_result result = {0};
  struct error missing = {0};
  bool stored = design_truth_read(&truth, NULL, spec->selection.spec.name, name, entry->law, arena, &missing) &&
                run_design(law, table, entry, &truth, &result, &missing);
  if (!stored) {
    design_free(&result);
    take_starts(law, arena, &truth);
    if (!run_design(law, table, entry, &truth, &result, error)) {
      design_free(&result);
      return false;
    }
  }
  print_result(spec, name, &result, &truth, stored, out);
  design_free(&result);
  return true;
}

static bool identify_entry(const struct design_spec *spec, const struct spec_fit *entry, struct arena *arena, FILE *out,
                           struct error *error) {
  struct law law = {0};
  struct table table = {0};
  struct fit_notes notes;
  struct table_parts parts = {0};
  bool fine = law_open(&law, entry->law, error) && fit_entry_table(&spec->selection.spec, entry, &law, 1, NULL,
                                                                   spec->selection.store, &table, &notes, error);
  if (fine && entry->by) {
    fine = table_parts_find(arena, &table, entry->by, &parts, error);
    if (fine && parts.count) table_keep_part(&table, entry->by, parts.names[0]);
  }
  const char *name = entry->name;
  if (parts.count) name = arena_format(arena, "%s[%s]", entry->name, parts.names[0]);
  fine = fine && identify(spec, entry, name, &law, &table, arena, out, error);
  if (fine && parts.count > 1) fprintf(out, "  and %zu more by %s (isoloss design)\n", parts.count - 1, entry->by);
  table_free(&table);
  law_free(&law);
  return fine;
}

// Whether a fit asks for errors of formats, which take seconds to measure.
static bool reads_errors(const struct spec *spec) {
  bool found = false;
  for (size_t i = 0; i < spec->fit_count; i++) {
    const struct spec_fit *entry = &spec->fits[i];
    struct law law = {0};
    struct error ignored = {0};
    found |= (entry->where.text && strstr(entry->where.text, "gmse")) || !law_open(&law, entry->law, &ignored);
    for (int c = 0; c < law.column_count; c++) found |= starts_with(law.columns[c], "gmse");
    law_free(&law);
  }
  return found;
}

// Where none does, they count as measured: nothing reads them.
static bool pass_errors(struct design_spec *spec, struct arena *arena, struct error *error) {
  static const double unknown[OPERANDS] = {0};
  size_t count;
  const char **names = store_formats_unmeasured(spec->selection.store, arena, &count, error);
  bool fine = !error->code;
  for (size_t i = 0; i < count && fine; i++)
    fine = store_format_measured(spec->selection.store, names[i], unknown, error);
  return fine;
}

void identified_print(const struct spec *of, const struct plan *plan, FILE *out) {
  struct design_spec spec = {0};
  struct arena arena = {0};
  struct error error = {0};
  bool fine = design_spec_of_plan(&spec, of, plan, &error);
  if (fine && !reads_errors(of)) fine = pass_errors(&spec, &arena, &error);
  for (size_t i = 0; i < spec.selection.spec.fit_count && fine; i++) {
    const struct spec_fit *entry = &spec.selection.spec.fits[i];
    struct error own = {0};
    if (!entry->law || identify_entry(&spec, entry, &arena, out, &own)) continue;
    bool few = strstr(own.text, "rows cannot determine") && !strstr(own.text, " 0 rows");
    const char *what = few ? "" : "what these runs determine is not known before they are made: ";
    print_filled(out, arena_format(&arena, "fit %s: %s%s", entry->name, what, own.text), 0, 2);
  }
  arena_free(&arena);
  design_spec_close(&spec);
}
