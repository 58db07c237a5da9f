// The figures that can be asked for by name.
#include <string.h>

#include "plots/internal.h"

const struct plot_kind plot_kinds[] = {
    {"loss-curves", "validation loss over training tokens, one line a run", true, false},
    {"loss-vs-parameters", "final loss against model size, with the fitted law per token count", true, false},
    {"loss-vs-tokens", "final loss against training tokens, with the fitted law per model size", true, false},
    {"loss-vs-compute", "final loss against 6ND, with the law's loss at the best size for each compute", false, true},
    {"predicted-vs-observed", "the fitted law's losses against the runs'", true, true},
    {"residuals", "relative residuals of the fit against model size", true, true},
    {"effective-parameters", "effective parameters per parameter of each format, with intervals", false, true},
    {"effective-vs-bits", "effective parameters against the format's stored bits", false, true},
    {"profiles", "profile likelihood of the fit's parameters, where it was asked for", false, true},
    {"pareto", "final loss against training FLOPs, with the front", false, false},
    {"pareto-bytes", "final loss against bytes of the weights, with the front", false, false},
    {"pareto-seconds", "final loss against seconds of training, with the front", false, false},
    {"loss-vs-learning-rate", "final loss against the peak learning rate, one line per model size", false, false},
    {"rho-vs-gmse", "effective parameters against a format's Gaussian error, with the fitted capacity law", false,
     true},
    {"loss-curves-end", "the loss curves where they come to their ends, so that runs can be distinguished", false,
     false},
    {"best-format", "which format the law gives the lowest loss for its bytes, over bytes and tokens", false, true},
    {"precision-regions", "which format the law gives the lowest loss at each N and D, and at equal time", false, true},
    {"product-rule", "effective parameters of composed formats against the product of their parts'", false, true},
    {"rollouts", "error of what was predicted beyond the rows fitted, by how many times outside", false, true},
    {"density-vs-compute", "share of parameters that are not zero over the training compute spent", false, false},
    {"layer-errors", "of stages: error over the method's bound, by block and matrix", false, false},
    {"layer-bits", "of stages: stored bits a weight, by block and matrix", false, false},
    {"layer-sparsity", "of stages: share of zeros, by block and matrix", false, false},
    {"metrics", "metrics of the solution over training tokens, up to six, one line a configuration", false, false},
    {"contours", "which values of two coefficients the runs allow together, where it was asked for", false, true},
    {"bootstrap-scatter", "two coefficients in each resample, with their joint region, where it was asked for", false,
     true},
    {"scaling-collapse", "loss curves scaled onto one another: reducible loss over its end, by the share of the tokens",
     false, true},
    {"drafts-vs-nodes", "of draft trees: accepted tokens per step against nodes, with formula and bound", false, false},
    {"drafts-vs-size", "the same against the size of the model whose predictions are drafted", false, false},
    {NULL, NULL, false, false},
};

static plot_builder *const builders[] = {
    plot_loss_curves,
    plot_loss_vs_parameters,
    plot_loss_vs_tokens,
    plot_loss_vs_compute,
    plot_predicted_vs_observed,
    plot_residuals,
    plot_effective_parameters,
    plot_effective_vs_bits,
    plot_profiles,
    plot_pareto,
    plot_pareto_bytes,
    plot_pareto_seconds,
    plot_loss_vs_learning_rate,
    plot_rho_vs_gmse,
    plot_loss_curves_end,
    plot_best_format,
    plot_precision_regions,
    plot_product_rule,
    plot_rollouts,
    plot_density_vs_compute,
    plot_layer_errors,
    plot_layer_bits,
    plot_layer_sparsity,
    plot_metrics,
    plot_contours,
    plot_bootstrap_scatter,
    plot_scaling_collapse,
    plot_drafts_vs_nodes,
    plot_drafts_vs_size,
};

_Static_assert(sizeof builders / sizeof *builders + 1 == sizeof plot_kinds / sizeof *plot_kinds,
               "every kind has a builder, in the same order");

const struct plot_kind *plot_find(const char *name, const char **nearest) {
  const char *names[sizeof plot_kinds / sizeof *plot_kinds];
  size_t count = 0;
  for (const struct plot_kind *kind = plot_kinds; kind->name; kind++) {
    if (strcmp(kind->name, name) == 0) return kind;
    names[count++] = kind->name;
  }
  if (nearest) *nearest = nearest_name(name, names, count);
  return NULL;
}

bool plot_build(struct arena *arena, const char *name, const struct plot_data *data, struct figure *figure,
                const char **nothing) {
  const struct plot_kind *kind = plot_find(name, NULL);
  *figure = (struct figure){.name = kind ? kind->name : name};
  if (!kind) {
    *nothing = "there is no figure of this name";
    return false;
  }
  if (!builders[kind - plot_kinds](arena, data, figure, nothing)) return false;
  figure_shorten_names(figure, arena);
  double example;
  size_t out = figure_left_out(figure, &example);
  if (out > 0)
    figure->caption =
        arena_format(arena, "%s %zu point%s, such as one of %.4g, lie%s too far off to be shown.",
                     figure->caption ? figure->caption : "", out, out == 1 ? "" : "s", example, out == 1 ? "s" : "");
  return true;
}
