// What the figures with names show of runs: colours, fronts, frontiers, ranges, means, lines.
#include <math.h>
#include <stdlib.h>

#include "plots/build.h"
#include "tests/check.h"
#include "tests/plots/fixture.h"

// The colour of a format's marks does not depend on which others are drawn.
static void formats_keep_their_colours(void) {
  static const double sizes[] = {5e4, 2e5}, budgets[] = {1e6, 8e6};
  static const char *const all[] = {"none", "w4", "w4a4", "w2a2"}, *const some[] = {"none", "w2a2"};
  static const char *const figures[] = {"pareto", "residuals", "effective-parameters"};
  struct arena arena = {0};
  for (size_t k = 0; k < sizeof figures / sizeof *figures; k++) {
    struct figure_colour colours[2];
    for (int few = 0; few < 2; few++) {
      struct plot_data data = made_data(&arena,
                                        &(struct made_design){.sizes = sizes,
                                                              .size_count = 2,
                                                              .budgets = budgets,
                                                              .budget_count = 2,
                                                              .formats = few ? some : all,
                                                              .format_count = few ? 2 : 4},
                                        true);
      struct figure figure;
      const char *nothing = NULL;
      if (!CHECK(plot_build(&arena, figures[k], &data, &figure, &nothing))) continue;
      int found = 0;
      for (size_t s = 0; s < figure.panels[0].count; s++) {
        const struct figure_series *series = &figure.panels[0].series[s];
        bool bar = series->mark == MARK_BARS && strcmp(figure.y.names[(int)series->y[0]], "w2a2") == 0;
        if (!bar && !(series->label && strcmp(series->label, "w2a2") == 0)) continue;
        colours[few] = series->colour;
        found++;
      }
      CHECK(found > 0);
    }
    CHECK(colours[0].palette == PALETTE_CATEGORY && colours[0].palette == colours[1].palette &&
          colours[0].index == colours[1].index);
  }
  // Marks of one colour differ in their shape.
  const char *names[20];
  for (int i = 0; i < 20; i++) names[i] = arena_format(&arena, "grid(%d)", i);
  const struct look *looks = format_looks(&arena, names, 20);
  for (int i = 0; i < 20; i++)
    for (int j = 0; j < i; j++)
      CHECK(looks[i].colour.index != looks[j].colour.index || looks[i].shape != looks[j].shape);
  arena_free(&arena);
}

// A front holds no run that another one of at most its cost equals or beats.
static void fronts_know_ties(void) {
  static const double flops[] = {1e9, 1e9, 2e9, 2e9, 3e9, 4e9, 4e9}, losses[] = {3.0, 2.8, 2.8, 2.5, 2.6, 2.4, 2.4};
  static const double front_x[] = {1e9, 2e9, 4e9}, front_y[] = {2.8, 2.5, 2.4};
  static const char *const figures[] = {"pareto", "pareto-bytes", "pareto-seconds"};
  struct plot_run runs[7];
  for (int i = 0; i < 7; i++)
    runs[i] = (struct plot_run){.id = "a",
                                .format = "none",
                                .parameters = 1e5 * (i + 1),
                                .tokens = 1e6,
                                .flops = flops[i],
                                .weight_bytes = flops[i],
                                .seconds = flops[i],
                                .loss = losses[i],
                                .predicted = NAN};
  struct plot_data data = {.runs = runs, .count = 7, .irreducible_loss = NAN};
  for (int f = 0; f < 3; f++) {
    struct arena arena = {0};
    struct figure figure;
    const char *nothing = NULL;
    if (CHECK(plot_build(&arena, figures[f], &data, &figure, &nothing))) {
      const struct figure_series *front = &figure.panels[0].series[0];
      if (CHECK(front->mark == MARK_LINE && front->count == 3))
        for (int i = 0; i < 3; i++) CHECK(front->x[i] == front_x[i] && front->y[i] == front_y[i]);
    }
    arena_free(&arena);
  }
  struct arena arena = {0};
  struct figure figure;
  const char *nothing = NULL;
  for (int i = 0; i < 7; i++) runs[i].seconds = NAN;
  CHECK(!plot_build(&arena, "pareto-seconds", &data, &figure, &nothing) && strstr(nothing, "seconds"));
  arena_free(&arena);
}

// The frontier is the loss at the best size, which the law has in closed form: N = (alpha A / (beta B))^(1 / (alpha +
// beta)) (C / 6)^(beta / (alpha + beta)) (Hoffmann et al. 2022, equation 4).
static void frontier_is_the_best_size(void) {
  static const double sizes[] = {5e4, 2e5, 8e5}, budgets[] = {1e6, 8e6, 6.4e7};
  struct arena arena = {0};
  struct plot_data data = made_data(
      &arena, &(struct made_design){.sizes = sizes, .size_count = 3, .budgets = budgets, .budget_count = 3}, true);
  struct figure figure;
  const char *nothing = NULL;
  CHECK(plot_build(&arena, "loss-vs-compute", &data, &figure, &nothing));
  int lines = 0;
  const struct made_law *m = &made_law;
  for (size_t s = 0; s < figure.panels[0].count; s++) {
    const struct figure_series *line = &figure.panels[0].series[s];
    if (line->mark != MARK_LINE || line->colour.palette != PALETTE_INK) continue;
    lines++;
    CHECK(line->count == 81);
    for (size_t i = 0; i < line->count; i++) {
      double size = pow(m->alpha * m->a / (m->beta * m->b), 1 / (m->alpha + m->beta)) *
                    pow(line->x[i] / 6, m->beta / (m->alpha + m->beta));
      double best = made_loss(m, "none", size, line->x[i] / 6 / size);
      CHECK(fabs(line->y[i] / best - 1) < 1e-9);
    }
  }
  CHECK(lines == 2);
  data.fit = NULL;
  CHECK(!plot_build(&arena, "loss-vs-compute", &data, &figure, &nothing) && strstr(nothing, "no fit"));
  arena_free(&arena);
}

static void bits_have_their_best_format(void) {
  static const double sizes[] = {5e4, 2e5}, budgets[] = {1e6, 8e6};
  static const char *const formats[] = {"none", "w4", "w2a2"};
  struct arena arena = {0};
  struct plot_data data = made_data(&arena,
                                    &(struct made_design){.sizes = sizes,
                                                          .size_count = 2,
                                                          .budgets = budgets,
                                                          .budget_count = 2,
                                                          .formats = formats,
                                                          .format_count = 3},
                                    true);
  struct figure figure;
  const char *nothing = NULL;
  CHECK(plot_build(&arena, "effective-vs-bits", &data, &figure, &nothing));
  // 0.85 / 4 is more than 1 / 16 and 0.21 / 2.
  CHECK(strstr(figure.caption, "w4 is worth most: 0.212 of a full parameter"));
  const struct figure_series *ray = &figure.panels[0].series[0];
  CHECK(ray->count == 2 && ray->x[0] == 0 && fabs(ray->y[1] / ray->x[1] - 0.85 / 4) < 1e-12);
  arena_free(&arena);
}

// Many curves: the band holds every point of every run, and touches one in each of its places.
static void many_curves_have_their_range(void) {
  enum { RUNS = 400, POINTS = 25 };
  struct arena arena = {0};
  struct plot_run *runs = arena_array(&arena, RUNS, sizeof *runs);
  for (size_t r = 0; r < RUNS; r++) {
    double *tokens = arena_array(&arena, POINTS, sizeof *tokens), *loss = arena_array(&arena, POINTS, sizeof *loss);
    for (size_t k = 0; k < POINTS; k++) {
      double pair[2];
      random_normal_pair(5, RANDOM_STREAM_NOISE, r, k, pair);
      tokens[k] = 1000 * pow(1.5, (double)k);
      loss[k] = (5 - 0.1 * (double)k) * (1 + 0.05 * pair[0]);
    }
    runs[r] = (struct plot_run){.id = "a",
                                .format = "none",
                                .parameters = r % 2 ? 1e5 : 1e6,
                                .tokens = tokens[POINTS - 1],
                                .loss = loss[POINTS - 1],
                                .predicted = NAN,
                                .validation = {POINTS, tokens, loss}};
  }
  struct plot_data data = {.runs = runs, .count = RUNS, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  CHECK(plot_build(&arena, "loss-curves", &data, &figure, &nothing));
  size_t bands = 0, lines = 0;
  for (size_t s = 0; s < figure.panels[0].count; s++) {
    const struct figure_series *band = &figure.panels[0].series[s];
    lines += band->mark == MARK_LINE;
    if (band->mark != MARK_BAND) continue;
    size_t parity = bands++ == 0;  // levels ascend: the small runs, which are the odd ones, come first
    // At the runs' own tokens the ends of the band are the least and the greatest loss there.
    for (size_t k = 0; k < POINTS; k++) {
      double low = INFINITY, high = 0, at = runs[0].validation.tokens[k];
      for (size_t r = parity; r < RUNS; r += 2) {
        low = fmin(low, runs[r].validation.loss[k]);
        high = fmax(high, runs[r].validation.loss[k]);
      }
      size_t nearest = 0;
      for (size_t i = 0; i < band->count; i++)
        if (fabs(log(band->x[i] / at)) < fabs(log(band->x[nearest] / at))) nearest = i;
      CHECK(band->low[nearest] <= low && band->high[nearest] >= high);
      CHECK(band->low[nearest] > low - 0.05 && band->high[nearest] < high + 0.05);
    }
  }
  CHECK(bands == 2 && lines == 6);
  CHECK(strstr(figure.caption, "400 runs") && strstr(figure.caption, "range of all runs"));
  arena_free(&arena);
}

// Seeds are one point, whose interval is Student's: two values a and b give |a - b| / 2 * 12.706.
static void seeds_are_a_mean(void) {
  struct arena arena = {0};
  static const double sizes[] = {1e5, 2e5}, losses[] = {2.0, 2.2, 1.9, 1.7, 1.8};
  static const size_t settings[] = {1, 1, 2, 2, 2};
  struct plot_run runs[5] = {0};
  for (int i = 0; i < 5; i++)
    runs[i] = (struct plot_run){.id = "a",
                                .format = "none",
                                .parameters = sizes[settings[i] - 1],
                                .tokens = 1e6,
                                .loss = losses[i],
                                .predicted = NAN,
                                .setting = settings[i]};
  struct plot_data data = {.runs = runs, .count = 5, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  CHECK(plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing));
  const struct figure_series *points = &figure.panels[0].series[0];
  for (size_t s = 0; s < figure.panels[0].count; s++)
    if (figure.panels[0].series[s].count) points = &figure.panels[0].series[s];
  if (CHECK(points->count == 2 && points->low && points->high)) {
    CHECK(fabs(points->y[0] - 2.1) < 1e-12 && fabs(points->high[0] - points->y[0] - 0.1 * 12.706) < 1e-9);
    // s = 0.1, n = 3, t = 4.303
    CHECK(fabs(points->y[1] - 1.8) < 1e-12 && fabs(points->y[1] - points->low[1] - 4.303 * 0.1 / sqrt(3)) < 1e-9);
  }
  CHECK(strstr(figure.caption, "differ in their seed alone"));
  arena_free(&arena);
}

// Density over compute, of a schedule in closed form: dense for a quarter of the tokens, then half of it, at two sizes.
static void schedules_are_over_compute(void) {
  enum { RUNS = 3, POINTS = 101 };
  struct arena arena = {0};
  struct plot_run runs[RUNS] = {0};
  for (int r = 0; r < RUNS; r++) {
    double *tokens = arena_array(&arena, POINTS, sizeof *tokens), *active = arena_array(&arena, POINTS, sizeof *active);
    double size = r == 1 ? 2e5 : 1e5, all = r == 1 ? 4e6 : 1e6;
    for (int k = 0; k < POINTS; k++) {
      tokens[k] = all * k / (POINTS - 1);
      active[k] = k <= 25 ? size : size / 2;
    }
    runs[r] = (struct plot_run){.id = "a", .format = "sparse(0.5)", .parameters = size, .tokens = all, .loss = 2};
    runs[r].active = (struct plot_active){POINTS, tokens, active};
  }
  runs[2].format = "none";
  runs[2].active = (struct plot_active){0};
  struct plot_data data = {.runs = runs, .count = RUNS, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  if (CHECK(plot_build(&arena, "density-vs-compute", &data, &figure, &nothing))) {
    // One line for both sizes. Compute: 25 before, 37.5 after, and the logged step in between, which counts 0.75.
    const struct figure_series *line = &figure.panels[0].series[0];
    CHECK(figure.panels[0].count == 1 && line->count == POINTS + 1 && line->mark == MARK_LINE);
    double spent = 25 + 0.75 + 74 * 0.5;
    CHECK_NEAR(line->x[26], 100 * 25 / spent, 1e-9);
    CHECK_NEAR(line->x[POINTS], 100, 1e-9);
    CHECK(line->y[0] == 100 && line->y[26] == 100 && line->y[27] == 50 && line->y[POINTS] == 50);
    CHECK(strstr(figure.caption, "2 pruned runs") && strstr(figure.caption, "1 run is not pruned"));
  }
  runs[0].active.count = runs[1].active.count = 0;
  CHECK(!plot_build(&arena, "density-vs-compute", &data, &figure, &nothing) && strstr(nothing, "not zero"));
  arena_free(&arena);
}

// Two entropies, three sizes of trees, two seeds; and two models.
static void drafts_stand_next_to_theory(void) {
  enum { RUNS = 14 };
  struct arena arena = {0};
  struct plot_run runs[RUNS];
  for (int r = 0; r < RUNS; r++) {
    bool model = r >= 12;
    double nodes = model ? 64 : pow(4, 1 + r / 2 % 3), mu = r < 6 || model ? 2 : 0.5 + 0.001 * (r % 2);
    runs[r] = (struct plot_run){
        .id = "a",
        .format = "none",
        .parameters = model ? 1e4 * (r - 11) : NAN,
        .tokens = model ? 1e6 : NAN,
        .loss = NAN,
        .setting = model ? 20 + (size_t)r : 1 + (size_t)r / 2,
        .draft = {nodes, 1 + log(nodes) / mu + 0.1 * (r % 2), mu, 1 + log(nodes) / mu, 9 + log(nodes)}};
  }
  struct plot_data data = {.runs = runs, .count = RUNS, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  if (CHECK(plot_build(&arena, "drafts-vs-nodes", &data, &figure, &nothing))) {
    const struct figure_panel *panel = &figure.panels[0];
    CHECK(figure.panel_count == 1 && panel->count == 6);  // of each entropy: formula, bound, points
    CHECK(panel->series[2].mark == MARK_POINTS && panel->series[2].count == 3 && panel->series[0].count == 3);
    CHECK_TEXT(panel->series[2].label, "0.5");
    CHECK_NEAR(panel->series[0].y[1], (1 + log(16) / 0.5 + 1 + log(16) / 0.501) / 2, 1e-9);
    CHECK_NEAR(panel->series[5].y[2], 1 + log(64) / 2 + 0.05, 1e-9);  // the mean of both seeds
    CHECK(panel->series[1].dashed && strstr(figure.caption, "12 runs"));
  }
  if (CHECK(plot_build(&arena, "drafts-vs-size", &data, &figure, &nothing)))
    CHECK(figure.panels[0].count == 3 && figure.panels[0].series[2].x[1] == 2e4 && strstr(figure.caption, "2 runs"));
  data.count = 12;
  CHECK(!plot_build(&arena, "drafts-vs-size", &data, &figure, &nothing) && strstr(nothing, "model"));
  data.count = 0;
  CHECK(!plot_build(&arena, "drafts-vs-nodes", &data, &figure, &nothing) && strstr(nothing, "synthetic"));
  arena_free(&arena);
}

// A loss in which a parameter of w4a4 is worth *context ones.
static double made_regions(const void *context, const char *format, double parameters, double tokens) {
  const double *factor = context;
  double eff = strcmp(format, "none") == 0 ? 1 : *factor;
  return 0.9 + 28 * pow(parameters * eff, -0.36) + 46 * pow(tokens, -0.33);
}

// The format that a region's bands name at a place; NULL outside of all.
static const char *region_at(const struct figure_panel *panel, double x, double y) {
  const char *name = NULL;
  for (size_t s = 0; s < panel->count; s++) {
    const struct figure_series *band = &panel->series[s];
    if (band->mark != MARK_BAND) continue;
    if (band->label) name = band->label;
    for (size_t i = 0; i + 1 < band->count; i++)
      if (band->x[i] <= x && x < band->x[i + 1] && band->low[i] <= y && y <= band->high[i]) return name;
  }
  return NULL;
}

static void regions_are_the_law(void) {
  static const double sizes[] = {1e5, 1e6}, budgets[] = {1e6, 1e8};
  static const char *const formats[] = {"none", "w4a4"}, *const open[] = {"w4a4"};
  const double factor = 0.85;
  struct arena arena = {0};
  struct plot_data data = made_data(&arena,
                                    &(struct made_design){.sizes = sizes,
                                                          .size_count = 2,
                                                          .budgets = budgets,
                                                          .budget_count = 2,
                                                          .formats = formats,
                                                          .format_count = 2},
                                    true);
  struct plot_fit fit = *data.fit;
  fit.evaluate = made_regions;
  fit.context = &factor;
  data.fit = &fit;
  struct figure figure;
  const char *nothing = NULL;
  if (CHECK(plot_build(&arena, "precision-regions", &data, &figure, &nothing)) && CHECK(figure.panel_count == 2)) {
    // With the same tokens full precision is ahead everywhere. In the same time w4a4 sees 16 * 3 / (4 + 16 + 16) as
    // many.
    size_t places = 0, both[2] = {0};
    for (double x = 1.5e4; x < 0.9e7; x *= 1.9)
      for (double y = 1.5e5; y < 0.9e9; y *= 1.9, places++) {
        const char *same = region_at(&figure.panels[0], x, y), *timed = region_at(&figure.panels[1], x, y);
        CHECK(same && strcmp(same, "none") == 0);
        double gap = made_regions(&factor, "w4a4", x, y * 48 / 36) - made_regions(&factor, "none", x, y);
        if (fabs(gap) < 0.004) continue;  // on the border of the grid's cells
        both[gap < 0]++;
        CHECK(timed && strcmp(timed, gap < 0 ? "w4a4" : "none") == 0);
      }
    CHECK(places > 100 && both[0] > 5 && both[1] > 5);
    // Nothing hatched lies within the runs.
    size_t lines = 0;
    for (size_t s = 0; s < figure.panels[0].count; s++) {
      const struct figure_series *line = &figure.panels[0].series[s];
      if (line->mark != MARK_LINE || line->count != 2) continue;
      double x = sqrt(line->x[0] * line->x[1]), y = sqrt(line->y[0] * line->y[1]);
      CHECK(!(x > 1.01e5 && x < 0.99e6 && y > 1.01e6 && y < 0.99e8));
      lines++;
    }
    CHECK(lines > 12);
  }
  fit.open_formats = open;
  fit.open_format_count = 1;
  CHECK(!plot_build(&arena, "precision-regions", &data, &figure, &nothing) && strstr(nothing, "factors of w4a4"));
  fit.open_format_count = 0;
  fit.open_coefficient = "alpha";
  CHECK(!plot_build(&arena, "precision-regions", &data, &figure, &nothing) && strstr(nothing, "alpha of the law"));
  arena_free(&arena);
}

static void layers_are_bars(void) {
  struct arena arena = {0};
  struct plot_layer layers[64];
  size_t count = 0;
  static const char *const groups[] = {"rtn", "gptq"}, *const matrices[] = {"qkv", "o", "gate, up", "down"};
  for (int g = 0; g < 2; g++)
    for (int block = 0; block < 8; block++)
      for (int m = 0; m < 4; m++) {
        struct plot_layer *layer = &layers[count++];
        *layer = (struct plot_layer){.group = groups[g], .block = block, .matrix = matrices[m]};
        for (int n = 0; n < LAYER_NUMBERS; n++)
          layer->numbers[n].mean = layer->numbers[n].least = layer->numbers[n].most = NAN;
        if (g == 0) continue;
        layer->numbers[LAYER_ERROR].mean = 0.3 + 0.01 * m;
        layer->numbers[LAYER_ERROR].least = 0.25 + 0.01 * m;
        layer->numbers[LAYER_ERROR].most = 0.4 + 0.01 * m;
        layer->numbers[LAYER_ERROR].count = 3;
      }
  struct plot_data data = {.layers = layers, .layer_count = count, .layer_words = "seed", .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  // 32 matrices are too many rows: one bar a block, the mean of its matrices; rtn has no bound, so it has no panel.
  if (CHECK(plot_build(&arena, "layer-errors", &data, &figure, &nothing))) {
    CHECK(figure.panel_count == 1 && figure.y.name_count == 8 && figure.panels[0].count == 9);
    const struct figure_series *bar = &figure.panels[0].series[0];
    CHECK(bar->mark == MARK_BARS && fabs(bar->x[0] - 0.315) < 1e-12);
    CHECK(fabs(bar->low[0] - 0.25) < 1e-12 && fabs(bar->high[0] - 0.43) < 1e-12);
    CHECK(strstr(figure.caption, "up to 3 runs, which differ in seed"));
  }
  // Two blocks have a bar a matrix.
  size_t few = 0;
  for (size_t i = 0; i < count; i++)
    if (layers[i].block < 2) layers[few++] = layers[i];
  data.layer_count = few;
  if (CHECK(plot_build(&arena, "layer-errors", &data, &figure, &nothing)))
    CHECK(figure.y.name_count == 8 && strcmp(figure.y.names[6], "1 gate, up") == 0);
  CHECK(!plot_build(&arena, "layer-bits", &data, &figure, &nothing) && strstr(nothing, "bits"));
  data.layer_count = 0;
  CHECK(!plot_build(&arena, "layer-sparsity", &data, &figure, &nothing) && strstr(nothing, "no stage"));
  arena_free(&arena);
}

// Long names of formats are cut where they still differ; short ones, and other words, are left.
static void long_names_are_cut(void) {
  struct arena arena = {0};
  static const double x[] = {1, 2};
  struct figure_series series[] = {{.label = "sparse(0.5,journey(0.25,0.75),every(10))"},
                                   {.label = "sparse(0.5,cubic(0.25,0.75),every(10))"},
                                   {.label = "sparse(0.9,cubic(0.25,0.75),every(10))"},
                                   {.label = "sparse(0.9,row)"},
                                   {.label = "a long remark without any options of a format"}};
  for (size_t i = 0; i < 5; i++) series[i].x = series[i].y = x;
  struct figure_panel panel = {.title = "sparse(0.5,journey(0.25,0.75),every(10))", .series = series, .count = 5};
  struct figure figure = {.panels = &panel, .panel_count = 1};
  figure_shorten_names(&figure, &arena);
  CHECK_TEXT(series[0].label, "sparse(0.5,journey(0.25,0.75),...)");
  CHECK_TEXT(panel.title, series[0].label);
  CHECK_TEXT(series[2].label, "sparse(0.9,cubic(0.25,0.75),...)");
  CHECK_TEXT(series[3].label, "sparse(0.9,row)");
  CHECK(strlen(series[4].label) == 45);
  panel.count = 1;
  panel.title = NULL;
  series[0].label = "sparse(0.5,journey(0.25,0.75),every(10))";
  figure_shorten_names(&figure, &arena);
  CHECK_TEXT(series[0].label, "sparse(0.5,...)");
  arena_free(&arena);
}

// Two optimizers, two seeds each, three logged steps: lines are means over seeds, and each panel has its own axis.
static void metrics_are_panels(void) {
  enum { RUNS = 4, METRICS = 3 };
  static const double tokens[] = {1e3, 2e3, 3e3}, early[] = {1e3, 2e3};
  static const double rank[RUNS][3] = {{10, 9, 8}, {12, 9, 6}, {20, 21, 22}, {22, 21, 26}},
                      ratio[RUNS][3] = {{1, 0.1, 0.01}, {1, 0.1, 0.01}, {2, 0.2, 0.02}, {2, 0.2, 0.02}}, same[3] = {0};
  static const char *const optimizers[] = {"adamw", "adamw", "muon", "muon"};
  struct plot_metric metrics[RUNS][METRICS];
  struct plot_run runs[RUNS + 1];
  for (int i = 0; i < RUNS; i++) {
    metrics[i][0] = (struct plot_metric){"activation_zero_fraction", 3, tokens, same};
    metrics[i][1] = (struct plot_metric){"update_ratio", 3, tokens, ratio[i]};
    metrics[i][2] = (struct plot_metric){"weight_stable_rank", i == 3 ? 2 : 3, i == 3 ? early : tokens, rank[i]};
  }
  for (int i = 0; i <= RUNS; i++)
    runs[i] = (struct plot_run){.id = "a",
                                .format = "none",
                                .optimizer = i < RUNS ? optimizers[i] : "sgd",
                                .setting = 1 + (size_t)i / 2,
                                .parameters = 1e5,
                                .tokens = 3e3,
                                .metrics = i < RUNS ? metrics[i] : NULL,
                                .metric_count = i < RUNS ? METRICS : 0};
  struct plot_data data = {.runs = runs, .count = RUNS + 1, .irreducible_loss = NAN};
  struct arena arena = {0};
  struct figure figure;
  const char *nothing = NULL;
  if (CHECK(plot_build(&arena, "metrics", &data, &figure, &nothing)) && CHECK(figure.panel_count == 2)) {
    CHECK_TEXT(figure.panels[0].title, "stable rank, weights");
    CHECK_TEXT(figure.panels[1].title, "update over weights");
    CHECK_TEXT(figure.legend, "optimizer");
    CHECK(figure.panels[0].y->scale == SCALE_LINEAR && figure.panels[1].y->scale == SCALE_LOG);
    const struct figure_series *lines = figure.panels[0].series;
    if (CHECK(figure.panels[0].count == 2 && lines[0].count == 3 && lines[1].count == 2)) {
      CHECK_TEXT(lines[0].label, "adamw");
      CHECK_TEXT(lines[1].label, "muon");
      CHECK(lines[0].y[0] == 11 && lines[0].y[1] == 9 && lines[0].y[2] == 7);
      CHECK(lines[1].y[0] == 21 && lines[1].y[1] == 21);  // one seed has no third value
    }
    CHECK(strstr(figure.caption, "mean"));
    // Each panel's line reaches over its own axis: 26 would leave no room for 0.01.
    struct text svg = {0}, targets = {0};
    struct error error = {0};
    CHECK(figure_svg(&figure, FIGURE_INLINE, &svg, &error) && strstr(text_string(&svg), ">20<") &&
          strstr(text_string(&svg), ">0.1<"));
    figure_targets(&figure, &targets);
    const char *first = strstr(text_string(&targets), "data-curves=\"0:");
    int x, y, next, low;
    if (CHECK(first && sscanf(first, "data-curves=\"0:%d,%d %d,%d", &x, &y, &next, &low) == 4)) {
      const char *second = strstr(first, ";0:");
      int right, top, end, bottom;
      CHECK(second && sscanf(second, ";0:%d,%d %d,%d", &right, &top, &end, &bottom) == 4 && right > next &&
            bottom - top > low - y);
    }
    text_free(&svg);
    text_free(&targets);
  }
  runs[0].metric_count = runs[1].metric_count = runs[2].metric_count = runs[3].metric_count = 0;
  CHECK(!plot_build(&arena, "metrics", &data, &figure, &nothing) && strstr(nothing, "no run has metrics"));
  runs[0].metric_count = 1;
  CHECK(!plot_build(&arena, "metrics", &data, &figure, &nothing) && strstr(nothing, "no metric of a run changes"));
  // More than six: the first of the order, and the caption says which are not shown.
  struct plot_metric many[8];
  static const char *const names[] = {"mine", "gradient_norm",       "update_ratio",        "weight_stable_rank",
                                      "rank", "activation_kurtosis", "gradient_energy_svd", "activation_outlier"};
  for (int i = 0; i < 8; i++) many[i] = (struct plot_metric){names[i], 3, tokens, rank[0]};
  runs[0].metrics = many;
  runs[0].metric_count = 8;
  if (CHECK(plot_build(&arena, "metrics", &data, &figure, &nothing) && figure.panel_count == 6)) {
    CHECK_TEXT(figure.panels[5].title, "gradient norm");
    CHECK(strstr(figure.caption, "Not shown: mine.") && !figure.legend);
  }
  arena_free(&arena);
}

static void names_are_found(void) {
  const char *nearest = NULL;
  CHECK(plot_find("residuals", &nearest) && !plot_find("residual", &nearest));
  CHECK_TEXT(nearest, "residuals");
  for (const struct plot_kind *kind = plot_kinds; kind->name; kind++) {
    struct arena arena = {0};
    struct figure figure;
    const char *nothing = NULL;
    struct plot_data empty = {.irreducible_loss = NAN};
    CHECK(!plot_build(&arena, kind->name, &empty, &figure, &nothing) && nothing && *nothing);
    arena_free(&arena);
  }
}

static void one_run_is_enough(void) {
  static const double sizes[] = {5e4}, budgets[] = {1e6};
  struct arena arena = {0};
  struct plot_data data = made_data(
      &arena, &(struct made_design){.sizes = sizes, .size_count = 1, .budgets = budgets, .budget_count = 1}, true);
  static const char *const drawn[] = {"loss-curves", "predicted-vs-observed", "residuals", "pareto"};
  for (size_t i = 0; i < sizeof drawn / sizeof *drawn; i++) {
    struct figure figure;
    const char *nothing = NULL;
    struct text svg = {0};
    struct error error = {0};
    CHECK(plot_build(&arena, drawn[i], &data, &figure, &nothing) && figure_svg(&figure, FIGURE_FILE, &svg, &error));
    text_free(&svg);
  }
  struct figure figure;
  const char *nothing = NULL;
  CHECK(!plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing));
  CHECK_TEXT(nothing, "all runs have the same model size");
  arena_free(&arena);
}

// A constant ratio of tokens to parameters gives lines of equal ratio, a constant token count lines of equal tokens.
static void lines_follow_the_design(void) {
  static const double sizes[] = {5e4, 1e5, 2e5, 4e5}, ratios[] = {10, 20, 40}, budgets[] = {1e6, 2e6, 4e6};
  struct arena arena = {0};
  struct figure figure;
  const char *nothing = NULL;
  struct plot_data data = made_data(
      &arena,
      &(struct made_design){.sizes = sizes, .size_count = 4, .budgets = ratios, .budget_count = 3, .ratios = true},
      true);
  CHECK(plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing));
  CHECK_TEXT(figure.legend, "tokens per parameter");
  data = made_data(&arena,
                   &(struct made_design){.sizes = sizes, .size_count = 4, .budgets = budgets, .budget_count = 3}, true);
  CHECK(plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing));
  CHECK_TEXT(figure.legend, "tokens");
  // Every line of the law passes through what the law says of its runs.
  const struct figure_panel *panel = &figure.panels[0];
  size_t lines = 0;
  for (size_t s = 0; s < panel->count; s++) {
    const struct figure_series *series = &panel->series[s];
    if (series->mark != MARK_LINE) continue;
    double tokens = budgets[lines++];
    for (size_t i = 0; i < series->count; i++)
      CHECK_NEAR(series->y[i], made_loss(&made_law, "none", series->x[i], tokens), 1e-12);
  }
  CHECK(lines == 3);
  arena_free(&arena);
}

static double cannot_tell(const void *context, const char *format, double parameters, double tokens) { return NAN; }

// Laws of other things than a loss: their names are on axes, in titles and captions, and what takes the lowest for the
// best is not drawn.
static void outcomes_have_their_names(void) {
  static const double sizes[] = {5e4, 1e5, 2e5, 4e5}, budgets[] = {1e6, 2e6, 4e6};
  static const char *const of_losses[] = {"loss-vs-compute", "pareto", "scaling-collapse"};
  struct arena arena = {0};
  struct figure figure;
  const char *nothing = NULL;
  struct plot_data data = made_data(
      &arena, &(struct made_design){.sizes = sizes, .size_count = 4, .budgets = budgets, .budget_count = 3}, true);
  CHECK(plot_build(&arena, "predicted-vs-observed", &data, &figure, &nothing));
  CHECK_TEXT(figure.x.label, "predicted loss");
  CHECK_TEXT(figure.x.unit, "nats/token");
  struct measures measures = measures_of(task_find("boolean"), "parameters", "boolean.accuracy");
  data.measures = &measures;
  CHECK(plot_build(&arena, "predicted-vs-observed", &data, &figure, &nothing));
  CHECK_TEXT(figure.title, "Predicted against observed boolean.accuracy");
  CHECK_TEXT(figure.y.label, "observed boolean.accuracy");
  CHECK(!*figure.y.unit && figure.y.scale == SCALE_LOG && strstr(figure.caption, "% of boolean.accuracy"));
  CHECK(plot_build(&arena, "residuals", &data, &figure, &nothing));
  CHECK_TEXT(figure.title, "Residuals of the fit: boolean.accuracy");
  CHECK_TEXT(figure.x.label, "weights that are not 0");
  CHECK(plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing));
  CHECK_TEXT(figure.title, "boolean.accuracy against weights that are not 0");
  CHECK_TEXT(figure.legend, "examples");
  for (size_t i = 0; i < sizeof of_losses / sizeof *of_losses; i++) {
    CHECK(!plot_build(&arena, of_losses[i], &data, &figure, &nothing));
    CHECK(strstr(nothing, "boolean.accuracy, of which the lowest is not the best") != NULL);
  }
  // An accuracy of 0 took part: residuals are differences, on axes that hold it.
  struct plot_run *runs = (struct plot_run *)data.runs;
  runs[0].loss = 0;
  runs[0].predicted = -0.25;
  CHECK(plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing));
  CHECK(strstr(figure.caption, "of 11 runs; lines: ") &&
        strstr(figure.caption, "Not shown: 1 run of 0 or less, since the axis is logarithmic."));
  CHECK(plot_build(&arena, "predicted-vs-observed", &data, &figure, &nothing));
  CHECK(figure.y.scale == SCALE_LINEAR && figure.y.low < -0.25);
  CHECK(plot_build(&arena, "residuals", &data, &figure, &nothing));
  CHECK_TEXT(figure.y.label, "observed − predicted");
  CHECK(figure.y.ticks == TICKS_PLAIN);
  bool found = false;
  for (size_t s = 0; s < figure.panels[0].count; s++)
    for (size_t i = 0; i < figure.panels[0].series[s].count; i++)
      found |= figure.panels[0].series[s].mark == MARK_POINTS && figure.panels[0].series[s].y[i] == 0.25;
  CHECK(found);
  // A law that needs more than N and D has no lines, and the caption speaks of none.
  struct plot_fit fit = *data.fit;
  fit.evaluate = cannot_tell;
  fit.band = NULL;
  data.fit = &fit;
  CHECK(plot_build(&arena, "loss-vs-parameters", &data, &figure, &nothing) && !strstr(figure.caption, "lines"));
  arena_free(&arena);
}

int main(void) {
  RUN(formats_keep_their_colours);
  RUN(fronts_know_ties);
  RUN(frontier_is_the_best_size);
  RUN(bits_have_their_best_format);
  RUN(many_curves_have_their_range);
  RUN(seeds_are_a_mean);
  RUN(schedules_are_over_compute);
  RUN(regions_are_the_law);
  RUN(layers_are_bars);
  RUN(metrics_are_panels);
  RUN(long_names_are_cut);
  RUN(names_are_found);
  RUN(one_run_is_enough);
  RUN(lines_follow_the_design);
  RUN(outcomes_have_their_names);
  RUN(drafts_stand_next_to_theory);
  return check_end();
}
