// See design.h.
#include "runner/fits/design.h"

#include <string.h>

#include "runner/fits/internal.h"
#include "runner/fits/table_parts.h"

// Every spec as it is, and once for each variant.
static bool open_specs(struct designs *designs, const char *const *paths, int count, struct error *error) {
  const struct design_request *a = designs->request;
  for (int p = 0; p < count; p++)
    for (size_t v = 0; v <= a->variants.count; v++) {
      const struct option_list *given = &a->choices.set;
      struct spec_choices choices = {{arena_array(&designs->arena, given->count + 1, sizeof(char *)), 0},
                                     a->choices.preset};
      for (size_t i = 0; i < given->count; i++) choices.set.items[choices.set.count++] = given->items[i];
      if (v) choices.set.items[choices.set.count++] = a->variants.items[v - 1];
      if (designs->spec_count == DESIGN_LIMIT)
        return error_set(error, EXIT_USAGE_ERROR, "design: at most %d specs and variants at once", DESIGN_LIMIT);
      const char *label =
          v ? arena_format(&designs->arena, "%s with %s", paths[p], a->variants.items[v - 1]) : paths[p];
      if (!design_spec_open(&designs->specs[designs->spec_count++], paths[p], label, &choices, error)) return false;
    }
  return true;
}

// ---- one fit of one spec ----

static bool stopped(const struct design_request *request) { return request->stop_asked && *request->stop_asked; }

struct follower {
  const struct design_request *request;
  const char *fit;
};

static bool follow(void *context, int done, int repeats) {
  const struct follower *follower = context;
  const struct design_request *request = follower->request;
  if (request->progress) request->progress(request->progress_context, follower->fit, done, repeats);
  return !stopped(request);
}

static void choose_noise(const struct design_request *a, struct design_made *made, struct design_options *options) {
  options->noise = a->noise > 0 ? a->noise : made->truth.noise > 0 ? made->truth.noise : 0.003;
  made->noise_source = a->noise > 0            ? "given"
                       : made->truth.noise > 0 ? "the residual scatter of the stored fit"
                                               : "assumed: nothing gives it (--noise)";
}

// part: of an entry that is fitted by the values of a column, the value; else NULL.
static bool design_part(struct designs *designs, size_t number, const struct spec_fit *entry, const char *part,
                        struct error *error) {
  const struct design_request *a = designs->request;
  struct design_spec *spec = &designs->specs[number];
  struct law law = {0};
  struct table table = {0};
  struct fit_notes notes;
  designs->made =
      arena_grow(&designs->arena, designs->made, designs->made_count, designs->made_count + 1, sizeof *designs->made);
  struct design_made *made = &designs->made[designs->made_count];
  const char *name = part ? arena_format(&designs->arena, "%s[%s]", entry->name, part) : entry->name;
  struct follower follower = {a, name};
  struct fit_options fit = design_fit_options(entry);
  struct design_options options = {.repeats = a->quick || a->next.asked ? 0 : (int)a->repeats,
                                   .starts = (int)a->starts,
                                   .bootstrap = (int)a->bootstrap,
                                   .target = a->target,
                                   .seed = (uint64_t)a->seed,
                                   .threads = (int)a->threads,
                                   .progress = follow,
                                   .context = &follower};
  *made = (struct design_made){.spec = number, .fit = name};
  if (entry->prior.count || entry->partial_pooling.count)
    made->left_out =
        entry->partial_pooling.count ? entry->prior.count ? "priors and partial pooling" : "partial pooling" : "priors";
  bool fine =
      law_open(&law, entry->law, error) &&
      fit_entry_table(&spec->selection.spec, entry, &law, 1, NULL, spec->selection.store, &table, &notes, error) &&
      design_truth_read(&made->truth, a->assume, spec->selection.spec.name, name, entry->law, &designs->arena, error);
  if (fine && part) table_keep_part(&table, entry->by, part);
  if (fine) {
    options.assumptions = made->truth.assumptions;
    options.assumption_count = made->truth.count;
    options.extra_assumptions = made->truth.of_fit || designs->made_count > 0;
    choose_noise(a, made, &options);
    follow(&follower, 0, options.repeats);
    if (a->next.asked) options.target = NULL;
    fine = design_run(&law, &table, &fit, &options, &made->result, error);
    designs->made_count++;
    options.target = a->target;
    if (fine && a->next.asked)
      fine = next_runs_make(&made->next, &a->next, a->target, spec, entry, part, &law, &table, &fit, &options, error);
  }
  table_free(&table);
  law_free(&law);
  return fine || error_context(error, "%s, fit %s", spec->label, name);
}

// An entry by the values of a column has a design for each of them.
static bool design_fit(struct designs *designs, size_t number, const struct spec_fit *entry, struct error *error) {
  struct design_spec *spec = &designs->specs[number];
  struct table table = {0};
  struct fit_notes notes;
  struct table_parts parts = {0};
  if (!entry->by) return design_part(designs, number, entry, NULL, error);
  bool fine =
      fit_entry_table(&spec->selection.spec, entry, NULL, 0, NULL, spec->selection.store, &table, &notes, error) &&
      table_parts_find(&designs->arena, &table, entry->by, &parts, error);
  table_free(&table);
  if (!fine) return error_context(error, "%s, fit %s", spec->label, entry->name);
  for (size_t i = 0; i < parts.count && fine && !stopped(designs->request); i++)
    fine = design_part(designs, number, entry, parts.names[i], error);
  return fine;
}

static bool design_fits(struct designs *designs, size_t number, struct error *error) {
  const struct spec *spec = &designs->specs[number].selection.spec;
  const char *law = designs->request->law;
  const struct spec_fit own = spec_fit_of_law(law);
  size_t asked = 0;
  for (size_t i = 0; i < spec->fit_count && !stopped(designs->request); i++) {
    const struct spec_fit *entry = &spec->fits[i];
    if (law && strcmp(entry->law, law) != 0 && strcmp(entry->name, law) != 0) continue;
    asked++;
    if (!design_fit(designs, number, entry, error)) return false;
  }
  if (!asked && law && !stopped(designs->request)) return design_fit(designs, number, &own, error);
  if (!asked && !law)
    return error_set(error, EXIT_USAGE_ERROR, "%s has no fit entries; name a law with --law", spec->path);
  return true;
}

bool designs_make(struct designs *designs, const struct design_request *request, const char *const *paths, int count,
                  struct error *error) {
  *designs = (struct designs){.request = request};
  bool fine = open_specs(designs, paths, count, error);
  for (size_t i = 0; i < designs->spec_count && fine && !stopped(request); i++) fine = design_fits(designs, i, error);
  return fine;
}

void designs_free(struct designs *designs) {
  for (size_t m = 0; m < designs->made_count; m++) {
    design_free(&designs->made[m].result);
    next_runs_free(&designs->made[m].next);
  }
  for (size_t i = 0; i < designs->spec_count; i++) design_spec_close(&designs->specs[i]);
  arena_free(&designs->arena);
}
