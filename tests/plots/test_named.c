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

int main(void) {
  RUN(formats_keep_their_colours);
  RUN(fronts_know_ties);
  RUN(frontier_is_the_best_size);
  RUN(bits_have_their_best_format);
  RUN(many_curves_have_their_range);
  RUN(seeds_are_a_mean);
  RUN(names_are_found);
  RUN(one_run_is_enough);
  RUN(lines_follow_the_design);
  return check_end();
}
