// Draws every named figure of made-up experiments into a folder, to be looked at: draw FOLDER as on a page, draw FOLDER
// INCHES POINTS pdf|svg|png|tikz for paper. As on a page it also writes figures.html, in which they are dark where the
// reader's pages are. The experiment "all" has something for every figure.
#include <stdio.h>

#include "tests/plots/fixture.h"

struct paper {
  const char *folder;
  struct figure_print print;  // width 0: a page
  enum figure_format format;
  struct text page;  // figures.html
};

static bool put(struct paper *paper, const struct figure *figure, struct error *error) {
  if (!paper->print.width) {
    text_format(&paper->page, "<h2>%s</h2>\n", figure->name);
    bool drawn = figure_svg(figure, FIGURE_INLINE, &paper->page, error);
    text_add(&paper->page, "<p>");
    markup_escape(&paper->page, figure->caption ? figure->caption : "");
    text_add(&paper->page, "</p>\n");
    return drawn && figure_write(figure, paper->folder, error);
  }
  struct arena arena = {0};
  struct text out = {0};
  const char *file = arena_format(&arena, "%s%s", figure->name, figure_format_end(paper->format));
  bool fine = folder_make(paper->folder, error) && figure_draw(figure, &paper->print, paper->format, &out, error) &&
              file_write_atomic(path_join(&arena, paper->folder, file), out.bytes, out.length, error);
  text_free(&out);
  arena_free(&arena);
  return fine;
}

// ---- an experiment that every figure shows something of ----

static double all_loss(const void *context, const char *format, double parameters, double tokens);

static bool made_band(const void *context, const char *format, double parameters, double tokens,
                      struct plot_band *band) {
  double half = 0.004 * sqrt(1 + pow(log(parameters / 2e5), 2) / 4 + pow(log(tokens / 8e6), 2) / 4);
  double wider = sqrt(half * half + 1e-4), loss = all_loss(context, format, parameters, tokens);
  for (int side = 0; side < 2; side++) {
    band->law[side] = loss * exp(side ? half : -half);
    band->run[side] = loss * exp(side ? wider : -wider);
  }
  return true;
}

static double made_capacity(const void *context, double weights, double activations) {
  (void)context;
  return pow(1 - weights, 6) * pow(1 - activations, 5);
}

static const char *const all_formats[] = {"none", "w4", "w16a4", "w4a4", "2:4", "2:4+w4"};
enum { ALL_FORMATS = sizeof all_formats / sizeof *all_formats };

static void make_factors(struct plot_effective *effective) {
  static const double values[ALL_FORMATS] = {1, 0.93, 0.78, 0.7, 0.8, 0.76}, bits[ALL_FORMATS] = {16, 4, 16, 4, 9, 3},
                      weights[ALL_FORMATS] = {0, 0.012, 0, 0.012, 0.05, 0.09},
                      activations[ALL_FORMATS] = {0, 0, 0.012, 0.012, 0, 0};
  for (int f = 0; f < ALL_FORMATS; f++)
    effective[f] = (struct plot_effective){.format = all_formats[f],
                                           .value = values[f],
                                           .low = f ? values[f] - 0.06 : NAN,
                                           .high = f ? values[f] + 0.05 : NAN,
                                           .weight_bits = bits[f],
                                           .gmse_weights = weights[f],
                                           .gmse_activations = activations[f]};
}

static double all_loss(const void *context, const char *format, double parameters, double tokens) {
  const struct plot_effective *effective = context;
  for (int f = 0; f < ALL_FORMATS; f++)
    if (strcmp(effective[f].format, format) == 0)
      return made_loss(&made_law, "none", parameters * effective[f].value, tokens);
  return NAN;
}

// The regions and resamples of two pairs: one round, one thin and bent, as A and alpha often are.
static const struct plot_contour *make_contours(struct arena *arena) {
  enum { POINTS = 96, RESAMPLES = 300 };
  static const char *const names[2][2] = {{"alpha", "beta"}, {"alpha", "A"}};
  struct plot_contour *contours = arena_array(arena, 2, sizeof *contours);
  for (int c = 0; c < 2; c++) {
    struct plot_pair *resamples = arena_array(arena, RESAMPLES, sizeof *resamples);
    contours[c] = (struct plot_contour){.x_name = names[c][0],
                                        .y_name = names[c][1],
                                        .estimate = {.x = 0.36, .y = c ? 28 : 0.33},
                                        .levels = {0.6827, 0.95},
                                        .point_count = POINTS,
                                        .resamples = resamples,
                                        .resample_count = RESAMPLES};
    for (int line = 0; line < 2; line++) {
      struct plot_pair *points = arena_array(arena, POINTS, sizeof *points);
      for (int i = 0; i < POINTS; i++) {
        double angle = 2 * M_PI * i / POINTS, size = line ? 2.45 : 1.51, x = size * cos(angle), y = size * sin(angle);
        points[i] = (struct plot_pair){
            .x = 0.36 + 0.03 * x, .y = c ? 28 * exp(0.34 * x + 0.05 * x * x + 0.03 * y) : 0.33 + 0.02 * (y - 0.4 * x)};
      }
      contours[c].lines[line] = points;
    }
    for (int i = 0; i < RESAMPLES; i++) {
      double pair[2];
      random_normal_pair(11, RANDOM_STREAM_NOISE, (uint64_t)c, (uint64_t)i, pair);
      double x = pair[0], y = pair[1];
      resamples[i] = (struct plot_pair){
          .x = 0.36 + 0.03 * x, .y = c ? 28 * exp(0.34 * x + 0.05 * x * x + 0.03 * y) : 0.33 + 0.02 * (y - 0.4 * x)};
    }
  }
  return contours;
}

// Curves that fall on one when they are scaled, but for a little.
static void make_curve(struct plot_run *run, double below) {
  double *losses = (double *)run->validation.loss;
  for (size_t k = 0; k + 1 < run->validation.count; k++) {
    double share = run->validation.tokens[k] / run->tokens, bend = 0.01 * log(run->parameters / 1e5);
    losses[k] = fmin(5.55, below + (run->loss - below) * pow(share, -0.3 - bend * (1 - share)));
  }
  losses[run->validation.count - 1] = run->loss;
}

// Metrics of solutions, of two optimizers.
static void make_metrics(struct arena *arena, struct plot_run *run, size_t number) {
  enum { POINTS = 12, METRICS = 4 };
  static const char *const names[METRICS] = {"gradient_over_noise", "activation_kurtosis", "update_ratio",
                                             "weight_stable_rank"};
  static const double starts[METRICS] = {40, 6, 0.02, 11}, powers[METRICS] = {0.5, 0.15, -0.8, -0.2};
  struct plot_metric *metrics = arena_array(arena, METRICS, sizeof *metrics);
  run->optimizer = number % 2 ? "muon" : "adamw";
  for (int m = 0; m < METRICS; m++) {
    double *tokens = arena_array(arena, POINTS, sizeof *tokens), *values = arena_array(arena, POINTS, sizeof *values);
    for (int k = 0; k < POINTS; k++) {
      double part = (k + 1) / (double)POINTS;
      tokens[k] = run->tokens * part;
      values[k] =
          starts[m] * pow(0.2 + part, powers[m]) * (number % 2 ? 1 + 0.4 * part : 1) * pow(run->parameters / 1e5, 0.1);
    }
    metrics[m] = (struct plot_metric){names[m], POINTS, tokens, values};
  }
  run->metrics = metrics;
  run->metric_count = METRICS;
}

// Pruned evenly between a quarter and three quarters of the tokens.
static void make_active(struct arena *arena, struct plot_run *run, double density) {
  enum { POINTS = 60 };
  double *tokens = arena_array(arena, POINTS, sizeof *tokens), *active = arena_array(arena, POINTS, sizeof *active);
  for (int k = 0; k < POINTS; k++) {
    double part = fmin(1, fmax(0, 2 * (k / (POINTS - 1.0) - 0.25)));
    tokens[k] = run->tokens * k / (POINTS - 1);
    active[k] = run->parameters * pow(density, part);
  }
  run->active = (struct plot_active){POINTS, tokens, active};
}

static void make_layers(struct arena *arena, struct plot_data *data) {
  static const char *const groups[] = {"gptq, bits 2", "gptq, bits 4", "babai, bits 4"}, *const matrices[] = {
                                                                                             "qkv", "o", "gate, up",
                                                                                             "down"};
  struct plot_layer *layers = arena_array(arena, 36, sizeof *layers);
  for (int i = 0; i < 36; i++) {
    double pair[2];
    random_normal_pair(9, RANDOM_STREAM_NOISE, 0, (uint64_t)i, pair);
    double means[] = {0.34 + 0.03 * pair[0], i < 12 ? 2.1 : 4.1, i < 12 ? 0.3 + 0.02 * pair[1] : 0.09};
    layers[i] = (struct plot_layer){.group = groups[i / 12], .block = i % 12 / 4, .matrix = matrices[i % 4]};
    for (int n = 0; n < LAYER_NUMBERS; n++) {
      layers[i].numbers[n].mean = means[n];
      layers[i].numbers[n].least = n == LAYER_BITS ? means[n] : 0.93 * means[n];
      layers[i].numbers[n].most = n == LAYER_BITS ? means[n] : 1.1 * means[n];
      layers[i].numbers[n].count = 3;
    }
  }
  data->layers = layers;
  data->layer_count = 36;
  data->layer_words = "seed";
}

static struct plot_data make_all(struct arena *arena) {
  static const double sizes[] = {49408, 98560, 196864, 393472}, budgets[] = {2e6, 8e6, 32e6};
  static const struct plot_rollout rollouts[] = {{"parameters", 2, 0.004, 0.007}, {"parameters", 4, 0.011, 0.016},
                                                 {"tokens", 4, 0.006, 0.013},     {"tokens", 16, 0.019, 0.031},
                                                 {"flops", 5, 0.008, 0.015},      {"flops", 25, 0.02, 0.03}};
  struct plot_data data = made_data(arena,
                                    &(struct made_design){.sizes = sizes,
                                                          .size_count = 4,
                                                          .budgets = budgets,
                                                          .budget_count = 3,
                                                          .formats = all_formats,
                                                          .format_count = ALL_FORMATS},
                                    true);
  struct plot_fit *fit = arena_alloc(arena, sizeof *fit);
  struct plot_effective *effective = arena_array(arena, ALL_FORMATS, sizeof *effective);
  struct plot_profile *profiles = arena_array(arena, 2, sizeof *profiles);
  make_factors(effective);
  for (int k = 0; k < 2; k++) {
    double *values = arena_array(arena, 21, sizeof *values), *ratios = arena_array(arena, 21, sizeof *ratios);
    for (int i = 0; i < 21; i++) {
      values[i] = 0.36 - 0.03 * k + (i - 10) * 0.004;
      ratios[i] = pow((i - 10) / (k ? 9.0 : 6.0), 2) * (1 + (i > 10) * 0.03 * (i - 10));
    }
    profiles[k] = (struct plot_profile){k ? "beta" : "alpha", k ? 0.33 : 0.36, 21, values, ratios};
  }
  *fit = (struct plot_fit){.name = "made-up",
                           .law = "effective-parameters",
                           .evaluate = all_loss,
                           .band = made_band,
                           .confidence = 0.95,
                           .rollouts = rollouts,
                           .rollout_count = 6,
                           .context = effective,
                           .capacity = made_capacity,
                           .effective = effective,
                           .effective_count = ALL_FORMATS,
                           .profiles = profiles,
                           .profile_count = 2,
                           .contours = make_contours(arena),
                           .contour_count = 2};
  struct plot_run *runs = (struct plot_run *)data.runs;
  for (size_t i = 0; i < data.count; i++) {
    struct plot_run *run = &runs[i];
    double before = made_loss(&made_law, run->format, run->parameters, run->tokens);
    run->loss *= all_loss(effective, run->format, run->parameters, run->tokens) / before;
    run->predicted = all_loss(effective, run->format, run->parameters, run->tokens);
    make_curve(run, made_law.e);
    for (int f = 0; f < ALL_FORMATS; f++)
      if (strcmp(all_formats[f], run->format) == 0) {
        run->bits[0] = effective[f].weight_bits;
        run->bits[1] = effective[f].gmse_activations > 0 ? 4 : 16;
        run->weight_bytes = run->parameters * run->bits[0] / 8;
      }
    if (strcmp(run->format, "none") == 0 && run->tokens == 32e6) make_metrics(arena, run, i);
    if (strncmp(run->format, "2:4", 3) == 0) make_active(arena, run, run->format[3] ? 0.25 : 0.5);
  }
  data.fit = fit;
  make_layers(arena, &data);
  return data;
}

// ---- drawing ----

static int draw(struct paper *paper, const char *name, const struct plot_data *data) {
  int failures = 0;
  for (const struct plot_kind *kind = plot_kinds; kind->name; kind++) {
    struct arena arena = {0};
    struct figure figure;
    const char *nothing = NULL;
    struct error error = {0};
    if (!plot_build(&arena, kind->name, data, &figure, &nothing)) {
      printf("%s %s: %s\n", name, kind->name, nothing);
    } else {
      figure.name = arena_format(&arena, "%s-%s", name, kind->name);
      if (!put(paper, &figure, &error)) {
        fprintf(stderr, "%s\n", error.text);
        failures++;
      }
    }
    arena_free(&arena);
  }
  return failures;
}

int main(int argc, char **argv) {
  double inches = 0, points = 0;
  struct paper paper = {.folder = argc > 1 ? argv[1] : NULL, .print = {.dots = 200}};
  if (argc == 5 && number_parse(argv[2], &inches) && number_parse(argv[3], &points)) {
    paper.print.width = inches;
    paper.print.text = points;
    while (figure_format_names[paper.format] && strcmp(figure_format_names[paper.format], argv[4]) != 0) paper.format++;
  }
  if (argc < 2 || (argc != 2 && !inches) || paper.format == FIGURE_FORMATS) {
    fprintf(stderr, "usage: draw FOLDER [INCHES POINTS pdf|svg|png|tikz]\n");
    return 2;
  }
  static const double sizes[] = {49408, 98560, 196864, 393472, 786688}, ratios[] = {10, 20, 40, 80},
                      budgets[] = {2e6, 8e6, 32e6}, rates[] = {2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3};
  static const char *const formats[] = {"none", "w4", "w4a4", "w2a2"};
  struct arena arena = {0};
  struct plot_data by_ratio = made_data(
      &arena,
      &(struct made_design){.sizes = sizes, .size_count = 4, .budgets = ratios, .budget_count = 4, .ratios = true},
      true);
  struct plot_data by_tokens =
      made_data(&arena,
                &(struct made_design){
                    .sizes = sizes, .size_count = 5, .budgets = budgets, .budget_count = 3, .hold_out_above = 7e5},
                true);
  by_tokens.irreducible_loss = 0.9;
  struct plot_data by_format = made_data(&arena,
                                         &(struct made_design){.sizes = sizes,
                                                               .size_count = 4,
                                                               .budgets = ratios,
                                                               .budget_count = 3,
                                                               .ratios = true,
                                                               .formats = formats,
                                                               .format_count = 4},
                                         true);
  struct plot_data by_rate = made_data(&arena,
                                       &(struct made_design){.sizes = sizes,
                                                             .size_count = 3,
                                                             .budgets = ratios,
                                                             .budget_count = 2,
                                                             .ratios = true,
                                                             .rates = rates,
                                                             .rate_count = 5},
                                       true);
  struct plot_data all = make_all(&arena);
  struct error error = {0};
  text_add(&paper.page, "<!DOCTYPE html><meta charset=\"utf-8\"><title>figures</title><style>");
  figure_css(&paper.page);
  text_add(
      &paper.page,
      "body{font:14px sans-serif;max-width:860px;margin:1em;background:var(--figure-paper);color:var(--figure-ink)}"
      "svg{max-width:100%;height:auto}</style>\n");
  int failures = draw(&paper, "all", &all) + draw(&paper, "ratio", &by_ratio) + draw(&paper, "tokens", &by_tokens) +
                 draw(&paper, "format", &by_format) + draw(&paper, "rate", &by_rate);
  if (!paper.print.width && !file_write_atomic(path_join(&arena, paper.folder, "figures.html"), paper.page.bytes,
                                               paper.page.length, &error)) {
    fprintf(stderr, "%s\n", error.text);
    failures++;
  }
  text_free(&paper.page);
  arena_free(&arena);
  return failures ? 1 : 0;
}
