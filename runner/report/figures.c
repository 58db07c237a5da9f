// The figures of a report: those that the spec names, or the default ones; the ones that show a fit once a fit.
#include <math.h>
#include <string.h>

#include "runner/report/data.h"

static bool shows_fit(const char *name) {
  const struct plot_kind *kind = plot_find(name, NULL);
  return kind && kind->of_fit;
}

// Weights of the blocks take the stored bits of the run's format, embedding and head 16.
static double weight_bytes(const struct report *report, const struct report_run *run) {
  double blocks = report_number(report, run, "parameters"), all = report_number(report, run, "parameters_total"),
         bits = report_number(report, run, "weight_bits");
  return (blocks * bits + (all - blocks) * 16) / 8;
}

static const struct plot_rollout *rollouts_of(struct arena *arena, const struct fit_result *result) {
  size_t count = result->rollouts.cut_count;
  struct plot_rollout *rollouts = arena_array(arena, count + 1, sizeof *rollouts);
  for (size_t i = 0; i < count; i++) {
    const struct rollout *cut = &result->rollouts.cuts[i];
    double known = cut->trouble || cut->predicted == 0 ? NAN : 1;
    rollouts[i] = (struct plot_rollout){cut->column, cut->farthest, known * cut->error, known * cut->largest};
  }
  return rollouts;
}

// What the runs do not determine: formats whose coefficients are so, and the first coefficient of all runs.
static void find_open(struct arena *arena, const struct fit_result *result, struct plot_fit *drawn) {
  const char **formats = arena_array(arena, result->coefficient_count + 1, sizeof *formats);
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    if (c->status != COEFFICIENT_UNIDENTIFIED && c->status != COEFFICIENT_UNFITTED) continue;
    if (c->category)
      formats[drawn->open_format_count++] = c->category;
    else if (!drawn->open_coefficient)
      drawn->open_coefficient = c->name;
  }
  drawn->open_formats = formats;
}

static struct plot_data data_of(struct report *report, const struct report_fit *fit) {
  struct arena *arena = &report->arena;
  struct plot_run *runs = arena_array(arena, report->count + 1, sizeof *runs);
  struct plot_data data = {.runs = runs,
                           .count = report->count,
                           .irreducible_loss = NAN,
                           .layers = report->layers,
                           .layer_count = report->layer_count,
                           .layer_words = report->layer_words};
  bool one_source = true;
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    runs[i] = (struct plot_run){
        .id = run->id,
        .format = run->format,
        .parameters = fit ? report_number(report, run, fit->size_column) : run->parameters,
        .tokens = run->tokens,
        .flops = run->flops,
        .learning_rate = run->learning_rate,
        .weight_bytes = weight_bytes(report, run),
        .seconds = run->wall_seconds,
        .loss = fit ? fit->observed[i] : run->loss,
        .predicted = fit ? fit->predicted[i] : NAN,
        .fitted = fit && fit->fitted[i],
        .held_out = fit && fit->held[i],
        .setting = run->setting,
        .validation = run->validation,
        .training = run->training,
        .active = run->active,
        .optimizer = report_text(report, run, "train.optimizer"),
        .metrics = run->metrics,
        .metric_count = run->metric_count,
        .draft = {report_number(report, run, "speculative.nodes"), report_number(report, run, "speculative.accepted"),
                  report_number(report, run, "speculative.mu"), report_number(report, run, "speculative.renewal"),
                  report_number(report, run, "speculative.bound")},
        .bits = {report_number(report, run, "weight_bits"), report_number(report, run, "activation_bits"),
                 report_number(report, run, "gradient_bits")},
    };
    if (i == 0) data.irreducible_loss = run->irreducible_loss;
    one_source &= run->irreducible_loss == report->runs[0].irreducible_loss;
  }
  if (!one_source) data.irreducible_loss = NAN;
  struct measures *measures = arena_alloc(arena, sizeof *measures);
  *measures = report_measures(report, fit);
  data.measures = measures;
  if (!fit) return data;
  struct plot_fit *drawn = arena_alloc(arena, sizeof *drawn);
  *drawn = (struct plot_fit){.name = fit->name,
                             .law = fit->law_name,
                             .evaluate = fit->law_loaded ? report_law : NULL,
                             .band = fit->bands ? report_band : NULL,
                             .confidence = fit->result.confidence,
                             .rollouts = rollouts_of(arena, &fit->result),
                             .rollout_count = fit->result.rollouts.cut_count,
                             .context = fit,
                             .capacity = report_has_capacity(fit) ? report_capacity : NULL,
                             .effective = fit->effective,
                             .effective_count = fit->effective_count,
                             .profiles = fit->profiles,
                             .profile_count = fit->profile_count,
                             .contours = fit->contours,
                             .contour_count = fit->contour_count};
  find_open(arena, &fit->result, drawn);
  // A law in the formats' errors has no factor a format: those of another fit are drawn next to it.
  for (size_t i = 0; drawn->capacity && !drawn->effective_count && i < report->fit_count; i++) {
    drawn->effective = report->fits[i].effective;
    drawn->effective_count = report->fits[i].effective_count;
  }
  data.fit = drawn;
  return data;
}

static void add_figure(struct report *report, const char *name, const struct report_fit *fit, bool name_the_fit) {
  struct arena *arena = &report->arena;
  report->figures =
      arena_grow(arena, report->figures, report->figure_count, report->figure_count + 1, sizeof *report->figures);
  struct report_figure *figure = &report->figures[report->figure_count++];
  struct plot_data data = data_of(report, fit);
  figure->name = name;
  figure->fit = fit && shows_fit(name) ? fit->name : NULL;
  figure->drawn = plot_build(arena, name, &data, &figure->figure, &figure->nothing);
  if (figure->drawn && name_the_fit) {
    figure->figure.title = arena_format(arena, "%s: %s", figure->figure.title, fit->name);
    figure->figure.name = arena_format(arena, "%s-%s", name, fit->name);
  }
}

// True when runs of one size and token count differ in their learning rate.
static bool compares_rates(const struct report *report) {
  for (size_t i = 0; i < report->count; i++)
    for (size_t k = 0; k < i && k < 500; k++)
      if (report->runs[i].parameters == report->runs[k].parameters &&
          report->runs[i].tokens == report->runs[k].tokens &&
          report->runs[i].learning_rate != report->runs[k].learning_rate)
        return true;
  return false;
}

// The figures of a spec that names none: the default ones, those of a fit only when there is or should be one, and what
// the design compares (learning rates, formats).
static size_t choose(struct report *report, const char **names, size_t most) {
  bool formats = false, effective = false, profiles = false, contours = false, capacity = false, metrics = false;
  for (size_t i = 0; i < report->count; i++) metrics |= report->runs[i].metric_count > 0;
  for (size_t i = 1; i < report->count; i++) formats |= strcmp(report->runs[i].format, report->runs[0].format) != 0;
  for (size_t i = 0; i < report->fit_count; i++) {
    effective |= report->fits[i].effective_count > 0;
    profiles |= report->fits[i].profile_count > 0;
    contours |= report->fits[i].contour_count > 0;
    capacity |= report_has_capacity(&report->fits[i]);
  }
  size_t count = 0;
  for (const struct plot_kind *kind = plot_kinds; kind->name && count < most; kind++) {
    bool wanted = kind->by_default && (report->fit_count || !shows_fit(kind->name));
    if (strcmp(kind->name, "effective-parameters") == 0) wanted = effective;
    if (strcmp(kind->name, "profiles") == 0) wanted = profiles;
    if (strcmp(kind->name, "contours") == 0 || strcmp(kind->name, "bootstrap-scatter") == 0) wanted = contours;
    if (strcmp(kind->name, "pareto") == 0) wanted = formats;
    if (strcmp(kind->name, "rho-vs-gmse") == 0) wanted = capacity;
    if (strcmp(kind->name, "metrics") == 0) wanted = metrics;
    if (strcmp(kind->name, "loss-vs-learning-rate") == 0) wanted = compares_rates(report);
    if (strcmp(kind->name, "loss-curves") == 0 && report->command) wanted = false;  // a table has no curves
    if (wanted) names[count++] = kind->name;
  }
  return count;
}

static bool is_among(const char *name, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

static bool gather_plotted(struct report *report, struct store *store, const char *const *names, size_t count,
                           struct error *error) {
  bool layers = is_among("layer-errors", names, count) || is_among("layer-bits", names, count) ||
                is_among("layer-sparsity", names, count);
  return !store || ((!is_among("density-vs-compute", names, count) || report_gather_active(report, store, error)) &&
                    (!layers || !report->stages.count || report_gather_layers(report, store, error)));
}

bool report_gather_figures(struct report *report, struct store *store, struct error *error) {
  const struct report_fit *first = NULL;
  size_t fits = 0;
  for (size_t i = 0; i < report->fit_count; i++) {
    if (!report->fits[i].made) continue;
    report_gather_bands(report, &report->fits[i]);
    // Figures of the runs show the law where it is of what they show.
    if (!first && strcmp(report->fits[i].target, report->outcome) == 0) first = &report->fits[i];
    fits++;
  }
  const char **names = NULL;
  size_t count = 0;
  const struct spec *spec = report->spec;
  // Where the spec does not say which figures there are, whether runs have metrics decides, too.
  bool named = spec && spec->plots && !report->every_figure;
  if (store && (!named || is_among("metrics", (const char *const *)spec->plots, spec->plot_count)) &&
      !report_gather_metrics(report, store, error))
    return false;
  if (report->every_figure) {
    names = arena_array(&report->arena, 64, sizeof *names);
    for (const struct plot_kind *kind = plot_kinds; kind->name && count < 64; kind++) names[count++] = kind->name;
  } else if (report->spec && report->spec->plots) {
    names = report->spec->plots;
    count = report->spec->plot_count;
  } else {
    names = arena_array(&report->arena, 32, sizeof *names);
    count = choose(report, names, 32);
  }
  if (!gather_plotted(report, store, names, count, error)) return false;
  for (size_t n = 0; n < count; n++) {
    const char *nearest = NULL;
    if (!plot_find(names[n], &nearest)) {
      error_set(error, EXIT_USAGE_ERROR, "%s: there is no plot '%s'", report->spec_path, names[n]);
      return error_hint(error, nearest, NULL);
    }
    if (!shows_fit(names[n]) || fits == 0) {
      add_figure(report, names[n], first, false);
      continue;
    }
    for (size_t i = 0; i < report->fit_count; i++) {
      const struct report_fit *fit = &report->fits[i];
      bool lacking = (starts_with(names[n], "effective-") && !fit->effective_count) ||
                     (strcmp(names[n], "loss-vs-compute") == 0 && !fit->law_loaded) ||
                     (strcmp(names[n], "profiles") == 0 && !fit->profile_count) ||
                     (strcmp(names[n], "contours") == 0 && !fit->contour_count) ||
                     (strcmp(names[n], "bootstrap-scatter") == 0 && !fit->contour_count) ||
                     (strcmp(names[n], "rho-vs-gmse") == 0 && !report_has_capacity(fit));
      if (!fit->made || (lacking && fits > 1)) continue;
      add_figure(report, names[n], fit, fits > 1);
    }
  }
  return true;
}
