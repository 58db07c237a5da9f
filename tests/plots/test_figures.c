// Figures: golden SVG (byte for byte), words that try to break out, limits, ticks, and what happens without gnuplot.
// test-figures FOLDER compares with the golden files in FOLDER; test-figures FOLDER write makes them anew.
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plots/build.h"
#include "tests/check.h"
#include "tests/plots/fixture.h"

static const char *golden_folder;
static bool golden_write;

// The golden files were drawn by gnuplot 5.4 (6.0.2 draws the same bytes); another version may place a mark a hundredth
// of a pixel elsewhere.
static bool same_gnuplot(void) {
  char line[100] = "";
  FILE *pipe = popen("gnuplot --version 2>/dev/null", "r");
  bool fine = pipe && fgets(line, sizeof line, pipe) && strncmp(line, "gnuplot 5.4 ", 12) == 0;
  if (pipe) pclose(pipe);
  return fine;
}

// Whether two figures are the same but for where marks lie: the same text around numbers, and numbers no further apart
// than half a pixel.
static bool same_structure(const char *a, const char *b) {
  while (*a && *b) {
    bool number = (*a >= '0' && *a <= '9') || (*b >= '0' && *b <= '9');
    if (!number && *a++ != *b++) return false;
    if (!number) continue;
    char *a_end, *b_end;
    double x = strtod(a, &a_end), y = strtod(b, &b_end);
    if (a_end == a || b_end == b || fabs(x - y) > 0.5) return false;
    a = a_end;
    b = b_end;
  }
  return *a == *b;
}

static void compare(const struct figure *figure, enum figure_style style, const char *file) {
  struct error error = {0};
  struct arena arena = {0};
  struct text first = {0}, second = {0};
  const char *path = path_join(&arena, golden_folder, file);
  if (CHECK(figure_svg(figure, style, &first, &error)) && CHECK(figure_svg(figure, style, &second, &error))) {
    CHECK_TEXT(second.bytes, first.bytes);
    if (golden_write) {
      CHECK(file_write_atomic(path, first.bytes, first.length, &error));
    } else {
      size_t length = 0;
      const char *golden = file_read(&arena, path, &length, &error);
      if (same_gnuplot() && golden) CHECK(length == first.length && memcmp(golden, first.bytes, length) == 0);
      if (!CHECK(golden && same_structure(golden, text_string(&first))))
        printf("# %s differs; after a look at the figure: test-figures FOLDER write\n", file);
    }
  } else {
    printf("# %s\n", error.text);
  }
  text_free(&first);
  text_free(&second);
  arena_free(&arena);
}

static void structure_is_compared(void) {
  CHECK(same_structure("<path d=\"M10,20 L3\"/>", "<path d=\"M10.01,19.99 L3\"/>"));
  CHECK(!same_structure("<path d=\"M10,20\"/>", "<path d=\"M11,20\"/>"));
  CHECK(!same_structure("<path d=\"M10,20\"/>", "<path d=\"M10,20 L3\"/>"));
  CHECK(!same_structure("<text x=\"1\">a</text>", "<text x=\"1\">b</text>"));
  CHECK(!same_structure("<g>", "<g></g>") && !same_structure("1", "x"));
}

static void draws_every_mark(void) {
  static const double x[] = {1e4, 1e5, 1e6}, y[] = {3, 2.5, 2.2}, low[] = {2.9, 2.45, 2.1}, high[] = {3.1, 2.55, 2.3},
                      law[] = {3.05, 2.5, 2.15};
  const struct figure_series series[] = {
      {.mark = MARK_BAND,
       .label = "interval",
       .colour = {PALETTE_CATEGORY, 5, 0},
       .count = 3,
       .x = x,
       .low = low,
       .high = high},
      {.mark = MARK_LINE, .label = "law", .colour = {PALETTE_CATEGORY, 0, 0}, .count = 3, .x = x, .y = law},
      {.mark = MARK_LINE,
       .colour = {.palette = PALETTE_MUTED},
       .dashed = true,
       .thin = true,
       .count = 3,
       .x = x,
       .y = low},
      {.mark = MARK_POINTS,
       .label = "runs",
       .colour = {PALETTE_CATEGORY, 1, 0},
       .shape = 2,
       .count = 3,
       .x = x,
       .y = y,
       .low = low,
       .high = high},
      {.mark = MARK_POINTS,
       .label = "held out",
       .colour = {PALETTE_CATEGORY, 2, 0},
       .shape = 3,
       .hollow = true,
       .count = 2,
       .x = x,
       .y = high},
  };
  const struct figure_note note = {"a note", 1e5, 2.5, NOTE_LEFT, {.palette = PALETTE_INK}};
  const struct figure_panel panel = {.series = series, .count = 5, .notes = &note, .note_count = 1};
  struct figure figure = {.name = "marks",
                          .title = "Every mark",
                          .caption = "One of each.",
                          .legend = "what",
                          .panels = &panel,
                          .panel_count = 1};
  figure.x = figure_axis("training tokens", "", SCALE_LOG, TICKS_COUNT);
  figure.y = figure_axis("loss", "nats per token", SCALE_LINEAR, TICKS_PLAIN);
  compare(&figure, FIGURE_FILE, "marks.svg");
  compare(&figure, FIGURE_INLINE, "marks-inline.svg");
}

static void draws_named_figures(void) {
  static const double sizes[] = {5e4, 2e5}, budgets[] = {1e6, 8e6};
  static const char *const formats[] = {"none", "w4a4"};
  struct arena arena = {0};
  struct plot_data data = made_data(&arena,
                                    &(struct made_design){.sizes = sizes,
                                                          .size_count = 2,
                                                          .budgets = budgets,
                                                          .budget_count = 2,
                                                          .formats = formats,
                                                          .format_count = 2},
                                    true);
  // One profile bounded to both sides, one open below.
  static const double values[] = {1.2, 1.4, 1.6, 1.7, 1.8, 2, 2.2}, bounded[] = {1.4, 0.6, 0.1, 0, 0.1, 0.7, 1.3};
  static const double small[] = {0.01, 0.1, 0.3, 0.34, 0.4, 0.5}, open[] = {0.3, 0.3, 0.1, 0, 0.4, 1.2};
  const struct plot_profile profiles[] = {{"E", 1.7, 7, values, bounded}, {"alpha", 0.34, 6, small, open}};
  struct plot_fit fit = *data.fit;
  fit.profiles = profiles;
  fit.profile_count = 2;
  data.fit = &fit;
  static const char *const names[] = {"loss-vs-tokens", "effective-parameters", "residuals", "profiles"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct figure figure;
    const char *nothing = NULL;
    if (CHECK(plot_build(&arena, names[i], &data, &figure, &nothing)))
      compare(&figure, FIGURE_FILE, arena_format(&arena, "%s.svg", names[i]));
  }
  arena_free(&arena);
}

static double made_capacity(const void *context, double gmse_weights, double gmse_activations) {
  double rho = pow(tanh(0.48 * log(gmse_weights) / -log(4)), 1.6);
  return gmse_activations > 0 ? rho * pow(tanh(0.48 * log(gmse_activations) / -log(4)), 1.6) : rho;
}

// The curve of a law in the formats' errors beside the factors of another fit.
static void draws_capacity(void) {
  static const struct plot_effective effective[] = {
      {"none", 1, NAN, NAN, 0, 0, 0},
      {"w4", 0.9, 0.84, 0.97, 0.0115, 0, 0},
      {"w3", 0.74, 0.7, 0.79, 0.0345, 0, 0},
      {"w2", 0.45, 0.4, 0.49, 0.1188, 0, 0},
      {"noise(0.12)", 0.47, 0.41, 0.52, 0.12, 0, 0},
      {"noise(0.4)", 0.2, NAN, NAN, 0.4, 0, 0},
      {"w4a4", 0.8, 0.75, 0.86, 0.0115, 0.0115, 0},
      {"w2a2", 0.24, 0.2, 0.3, 0.1188, 0.1188, 0},
      {"w4a2", 0.4, 0.3, 0.5, 0.0115, 0.1188, 0},          // two errors: no place on the axis
      {"quartet", 0.6, 0.5, 0.7, 0.0133, 0.0133, 0.0137},  // gradients too
      {"theirs", 0.5, 0.4, 0.6, NAN, NAN, NAN},
  };
  struct arena arena = {0};
  struct plot_fit fit = {.name = "made-up",
                         .law = "capacity",
                         .capacity = made_capacity,
                         .effective = effective,
                         .effective_count = sizeof effective / sizeof *effective};
  struct plot_data data = {.fit = &fit, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  if (CHECK(plot_build(&arena, "rho-vs-gmse", &data, &figure, &nothing))) {
    CHECK(figure.panel_count == 2);
    CHECK(figure.panels[0].note_count == 5 && figure.panels[1].note_count == 2);
    compare(&figure, FIGURE_FILE, "rho-vs-gmse.svg");
  }
  fit.effective_count = 0;  // the curve alone
  CHECK(plot_build(&arena, "rho-vs-gmse", &data, &figure, &nothing) && figure.panel_count == 1);
  fit.capacity = NULL;
  CHECK(!plot_build(&arena, "rho-vs-gmse", &data, &figure, &nothing) && strstr(nothing, "Gaussian error"));
  data.fit = NULL;
  CHECK(!plot_build(&arena, "rho-vs-gmse", &data, &figure, &nothing));
  CHECK_TEXT(nothing, "there is no fit");
  arena_free(&arena);
}

// Words that would mean something to gnuplot, to XML or to HTML come out as themselves, escaped.
static void hostile_words(void) {
  static const char *const words[] = {"it's \"quoted\"",
                                      "a_b^{c} @home &alpha; <b>",
                                      "`touch /tmp/isoloss-was-here`",
                                      "100 %d %s \\n",
                                      "L0001L",
                                      "größe αβ 模型",
                                      "broken \xff\xfe bytes",
                                      "line\nbreak\x01",
                                      "'; system 'touch /tmp/isoloss-was-here'"};
  enum { COUNT = sizeof words / sizeof *words };
  static const double x[COUNT] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  struct figure_series series[COUNT];
  struct figure_note notes[COUNT];
  double y[COUNT];
  for (int i = 0; i < COUNT; i++) {
    y[i] = i;
    series[i] = (struct figure_series){
        .mark = MARK_BARS, .label = words[i], .colour = {PALETTE_CATEGORY, i, 0}, .count = 1, .x = &x[i], .y = &y[i]};
    notes[i] = (struct figure_note){words[i], x[i], y[i], NOTE_RIGHT, {.palette = PALETTE_INK}};
  }
  struct figure_panel panel = {
      .title = words[2], .series = series, .count = COUNT, .notes = notes, .note_count = COUNT};
  struct figure figure = {.name = "hostile",
                          .title = words[1],
                          .caption = words[8],
                          .legend = words[0],
                          .panels = &panel,
                          .panel_count = 1};
  figure.x = figure_axis(words[3], words[2], SCALE_LINEAR, TICKS_PERCENT);
  figure.y = figure_axis(words[5], words[6], SCALE_LINEAR, TICKS_NAMES);
  figure.y.names = words;
  figure.y.name_count = COUNT;
  unlink("/tmp/isoloss-was-here");
  compare(&figure, FIGURE_FILE, "hostile.svg");
  struct text svg = {0};
  struct error error = {0};
  CHECK(figure_svg(&figure, FIGURE_FILE, &svg, &error));
  CHECK(strstr(text_string(&svg), "it&#39;s &quot;quoted&quot;</text>"));
  CHECK(strstr(text_string(&svg), "a_b^{c} @home &amp;alpha; &lt;b&gt;</text>"));
  CHECK(strstr(text_string(&svg), ">L0001L</text>"));
  CHECK(strstr(text_string(&svg), "größe αβ 模型"));
  CHECK(utf8_valid_prefix(svg.bytes, svg.length) == svg.length);
  CHECK(access("/tmp/isoloss-was-here", F_OK) != 0);
  text_free(&svg);
}

// A figure of two curves whose words would mean something to a shell, gnuplot, TeX or CSV.
static struct figure two_curves(const char *one, const char *two, struct figure_series *series,
                                struct figure_panel *panel) {
  static const double x[] = {10, 100, 1000}, high[] = {5, 4, 3}, low[] = {3, 2.5, 2};
  series[0] = (struct figure_series){.mark = MARK_LINE, .label = one, .count = 3, .x = x, .y = high};
  series[1] = (struct figure_series){
      .mark = MARK_LINE, .label = two, .colour = {PALETTE_CATEGORY, 1, 0}, .count = 3, .x = x, .y = low};
  *panel = (struct figure_panel){.title = one, .series = series, .count = 2};
  struct figure figure = {.name = "printed", .title = "A title", .panels = panel, .panel_count = 1};
  figure.x = figure_axis("x", "", SCALE_LOG, TICKS_COUNT);
  figure.y = figure_axis("y", "", SCALE_LINEAR, TICKS_PERCENT);
  return figure;
}

static struct text drawn(const struct figure *figure, const struct figure_print *print, enum figure_format format) {
  struct text out = {0};
  struct error error = {0};
  CHECK(figure_draw(figure, print, format, &out, &error));
  CHECK_TEXT(error.text, "");
  return out;
}

static void prints_hostile_words(void) {
  struct figure_series series[2];
  struct figure_panel panel;
  const char *words = "it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"q\"";
  struct figure figure = two_curves(words, "two", series, &panel);
  const struct figure_print print = {.width = 5.5, .text = 8, .title = true, .dots = 100};
  unlink("/tmp/isoloss-was-here");
  for (int f = 0; f < FIGURE_FORMATS; f++) {
    struct text out = drawn(&figure, &print, (enum figure_format)f);
    CHECK(out.length > 500);
    text_free(&out);
  }
  CHECK(access("/tmp/isoloss-was-here", F_OK) != 0);
  struct text out = drawn(&figure, &print, FIGURE_TIKZ);
  CHECK(strstr(text_string(&out),
               "it's 100\\% \\$HOME `touch /tmp/isoloss-was-here` \\textbackslash{} \\{a\\_b\\} \\#1"));
  CHECK(strstr(text_string(&out), "\\begin{tikzpicture}") && strstr(text_string(&out), "\\end{tikzpicture}"));
  text_free(&out);
  figure_csv(&figure, &out);
  CHECK_TEXT(out.bytes,
             "panel,series,kind,x,y,low,high\n"
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\","
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\",line,10,5,,\n"
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\","
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\",line,100,4,,\n"
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\","
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\",line,1000,3,,\n"
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\",two,line,10,3,,\n"
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\",two,line,100,2.5,,\n"
             "\"it's 100% $HOME `touch /tmp/isoloss-was-here` \\ {a_b} #1, \"\"q\"\"\",two,line,1000,2,,\n");
  text_free(&out);
}

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

// How often `words` are in the text.
static int times(const struct text *text, const char *words) {
  int count = 0;
  for (const char *c = text_string(text); (c = strstr(c, words)); c += strlen(words)) count++;
  return count;
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

// Points that fall on one place of the page are drawn once.
static void crowded_points_are_drawn_once(void) {
  enum { COUNT = 20000 };
  struct arena arena = {0};
  double *x = arena_array(&arena, COUNT, sizeof *x), *y = arena_array(&arena, COUNT, sizeof *y);
  for (size_t i = 0; i < COUNT; i++) {
    x[i] = 1 + (double)(i % 10);
    y[i] = 1 + (double)(i % 7);
  }
  const struct figure_series series = {.mark = MARK_POINTS, .count = COUNT, .x = x, .y = y};
  const struct figure_panel panel = {.series = &series, .count = 1};
  struct figure figure = {.name = "crowd", .panels = &panel, .panel_count = 1};
  figure.x = figure.y = figure_axis("x", "", SCALE_LINEAR, TICKS_PLAIN);
  struct text svg = {0};
  struct error error = {0};
  CHECK(figure_svg(&figure, FIGURE_FILE, &svg, &error));
  CHECK(times(&svg, "<circle") == 2 * 70);  // each with its ring
  text_free(&svg);
  arena_free(&arena);
}

static void legends_have_their_places(void) {
  struct figure_series series[2];
  struct figure_panel panel;
  struct figure figure = two_curves("one", "two", series, &panel);
  struct figure_print print = {.width = 3.3, .text = 8};
  // Words at the ends of the curves need no samples: two curves, and the axes, are all that is stroked.
  struct text direct = drawn(&figure, &print, FIGURE_SVG);
  CHECK(times(&direct, ">one</text>") == 1 && times(&direct, "stroke=\"#0072b2\"") == 1);
  CHECK(strstr(text_string(&direct), "width=\"3.3in\""));
  CHECK(!strstr(text_string(&direct), "A title</text>"));
  text_free(&direct);
  double heights[2];
  print.legend = LEGEND_BELOW;
  for (int title = 0; title < 2; title++) {
    figure.legend = title ? "which" : NULL;
    struct text below = drawn(&figure, &print, FIGURE_SVG);
    const char *box = strstr(text_string(&below), "viewBox=\"0 0 ");
    double width;
    CHECK(box && sscanf(box, "viewBox=\"0 0 %lf %lf", &width, &heights[title]) == 2 && width == 386);
    CHECK(times(&below, ">which</text>") == title && times(&below, ">two</text>") == 1);
    text_free(&below);
  }
  CHECK(heights[1] > heights[0] + 15);
  print.legend = LEGEND_NONE;
  struct text none = drawn(&figure, &print, FIGURE_SVG);
  CHECK(times(&none, ">one</text>") == 0 && times(&none, ">which</text>") == 0);
  text_free(&none);
  // Curves that end in one place cannot be labelled there.
  series[1].y = series[0].y;
  print.legend = LEGEND_AUTO;
  struct text same = drawn(&figure, &print, FIGURE_SVG);
  CHECK(times(&same, ">which</text>") == 1 && times(&same, "stroke=\"#0072b2\"") == 2);
  text_free(&same);
}

static void inline_has_nothing_to_clash(void) {
  static const double x[] = {1, 2}, y[] = {1, 2};
  const struct figure_series series = {.mark = MARK_POINTS, .label = "a", .count = 2, .x = x, .y = y};
  const struct figure_panel panel = {.series = &series, .count = 1};
  struct figure figure = {.name = "inline", .title = "Not drawn here", .panels = &panel, .panel_count = 1};
  figure.x = figure_axis("x", "", SCALE_LINEAR, TICKS_PLAIN);
  figure.y = figure_axis("y", "", SCALE_LINEAR, TICKS_PLAIN);
  struct text svg = {0};
  struct error error = {0};
  CHECK(figure_svg(&figure, FIGURE_INLINE, &svg, &error));
  const char *text = text_string(&svg);
  CHECK(strncmp(text, "<svg ", 5) == 0);
  CHECK(!strstr(text, " id=") && !strstr(text, "href") && !strstr(text, "http") && !strstr(text, "gnuplot"));
  CHECK(strstr(text, "var(--figure-c1,#0072b2)") && strstr(text, "var(--figure-ink,"));
  CHECK(!strstr(text, "Not drawn here</text>"));
  text_free(&svg);
  struct text css = {0};
  figure_css(&css);
  CHECK(strstr(text_string(&css), "--figure-c1:#0072b2;") && strstr(text_string(&css), "prefers-color-scheme:dark"));
  text_free(&css);
}

static void values_that_cannot_stand(void) {
  // Zeros and negatives on a logarithmic axis, NaN and infinities anywhere: left out point by point.
  const double x[] = {0, 10, 100, NAN, 1000}, y[] = {1, -1, INFINITY, 2, 3};
  const struct figure_series series = {.mark = MARK_LINE, .count = 5, .x = x, .y = y};
  const struct figure_panel panel = {.series = &series, .count = 1};
  struct figure figure = {.name = "odd", .panels = &panel, .panel_count = 1};
  figure.x = figure_axis("x", "", SCALE_LOG, TICKS_COUNT);
  figure.y = figure_axis("y", "", SCALE_LOG, TICKS_PLAIN);
  struct text svg = {0};
  struct error error = {0};
  CHECK(figure_svg(&figure, FIGURE_FILE, &svg, &error));
  text_clear(&svg);
  const double nothing[] = {NAN, NAN, NAN, NAN, NAN};
  const struct figure_series empty = {.mark = MARK_LINE, .count = 5, .x = nothing, .y = y};
  const struct figure_panel empty_panel = {.series = &empty, .count = 1};
  figure.panels = &empty_panel;
  CHECK(!figure_svg(&figure, FIGURE_FILE, &svg, &error) && error.code == EXIT_USAGE_ERROR);
  CHECK(strstr(error.text, "odd") && strstr(error.text, "nothing to draw"));
  error = (struct error){0};
  figure.panel_count = 0;
  CHECK(!figure_svg(&figure, FIGURE_FILE, &svg, &error) && error.code == EXIT_USAGE_ERROR);
  text_free(&svg);
}

// Values that no axis can show with the others cost themselves alone, and are counted.
static void values_far_from_the_others(void) {
  static const double odd[] = {1e-320, 5e-324, 1e-99, 1e-30, 1e30, 1e300, 1.7e308};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    const double x[] = {10, 100, 1000, 1e4}, y[] = {2.5, 3, odd[i], 2};
    for (int swapped = 0; swapped < 2; swapped++)
      for (enum figure_scale scale = SCALE_LINEAR; scale <= SCALE_LOG; scale++) {
        const struct figure_series series = {
            .mark = MARK_POINTS, .count = 4, .x = swapped ? y : x, .y = swapped ? x : y};
        const struct figure_panel panel = {.series = &series, .count = 1};
        struct figure figure = {.name = "far", .panels = &panel, .panel_count = 1};
        figure.x = figure_axis("x", "", scale, TICKS_COUNT);
        figure.y = figure_axis("y", "", scale, TICKS_POWER);
        struct text svg = {0};
        struct error error = {0};
        double example = NAN;
        bool shown = scale == SCALE_LINEAR && odd[i] < 1 && odd[i] >= 1e-100;  // beside others that is zero
        CHECK(figure_left_out(&figure, &example) == (shown ? 0 : 1));
        if (!shown) CHECK(example == odd[i]);
        CHECK(figure_svg(&figure, FIGURE_FILE, &svg, &error));
        CHECK_TEXT(error.text, "");
        text_free(&svg);
      }
  }
  const double x[] = {0, -3, 5, NAN}, y[] = {1, 0, -1, INFINITY};
  const struct figure_series series = {.mark = MARK_POINTS, .count = 4, .x = x, .y = y};
  const struct figure_panel panel = {.series = &series, .count = 1};
  struct figure figure = {.name = "none", .panels = &panel, .panel_count = 1};
  figure.x = figure.y = figure_axis("x", "", SCALE_LINEAR, TICKS_PLAIN);
  CHECK(figure_left_out(&figure, NULL) == 0);
}

// Limits that leave no room for a step, or too much of it, have few ticks or none, but an end.
static void ticks_have_an_end(void) {
  static const double limits[][2] = {{1e-320, 1},       {5e-324, 1e-320}, {1, 1.7e308}, {-1.7e308, 1.7e308},
                                     {1e17, 1e17 + 32}, {1, 1 + 1e-15},   {0, 5e-324},  {1e-300, 1e300}};
  struct arena arena = {0};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    for (enum figure_scale scale = SCALE_LINEAR; scale <= SCALE_LOG; scale++) {
      struct figure_axis axis = figure_axis("x", "", scale, TICKS_PLAIN);
      axis.low = limits[i][0];
      axis.high = limits[i][1];
      CHECK(axis_ticks(&arena, &axis, 7).count <= 700);
    }
  arena_free(&arena);
}

static const char *ticks_of(struct arena *arena, struct figure_axis axis, double low, double high, int room) {
  axis.low = low;
  axis.high = high;
  struct ticks ticks = axis_ticks(arena, &axis, room);
  const char *all = "";
  for (size_t i = 0; i < ticks.count; i++)
    if (*ticks.items[i].text) all = arena_format(arena, "%s%s%s", all, *all ? " " : "", ticks.items[i].text);
  return all;
}

static void ticks_read_well(void) {
  struct arena arena = {0};
  struct figure_axis counts = figure_axis("N", "", SCALE_LOG, TICKS_COUNT),
                     plain = figure_axis("L", "", SCALE_LOG, TICKS_PLAIN),
                     linear = figure_axis("L", "", SCALE_LINEAR, TICKS_PLAIN),
                     percent = figure_axis("r", "", SCALE_LINEAR, TICKS_PERCENT),
                     power = figure_axis("C", "", SCALE_LOG, TICKS_POWER);
  CHECK_TEXT(ticks_of(&arena, counts, 8e3, 2e6, 4), "10k 100k 1M");
  CHECK_TEXT(ticks_of(&arena, counts, 1e6, 3e10, 5), "1M 10M 100M 1B 10B");
  CHECK_TEXT(ticks_of(&arena, counts, 1, 1e12, 4), "1 1k 1M 1B 1T");
  CHECK_TEXT(ticks_of(&arena, counts, 3e4, 7e5, 7), "50k 100k 200k 500k");
  CHECK_TEXT(ticks_of(&arena, plain, 1.9, 3.1, 6), "2 2.2 2.4 2.6 2.8 3");
  CHECK_TEXT(ticks_of(&arena, linear, -0.1, 1.05, 6), "0 0.2 0.4 0.6 0.8 1");
  CHECK_TEXT(ticks_of(&arena, percent, -1.1, 1.1, 5), "−1 % −0.5 % 0 % +0.5 % +1 %");
  CHECK_TEXT(ticks_of(&arena, power, 8e11, 2e14, 3), "10¹² 10¹³ 10¹⁴");
  char number[40];
  axis_number(TICKS_COUNT, 49408, number);
  CHECK_TEXT(number, "49.4k");
  axis_number(TICKS_POWER, 2.5e-4, number);
  CHECK_TEXT(number, "2.5×10⁻⁴");
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

static void missing_gnuplot(void) {
  static const double x[] = {1, 2};
  const struct figure_series series = {.mark = MARK_LINE, .count = 2, .x = x, .y = x};
  const struct figure_panel panel = {.series = &series, .count = 1};
  struct figure figure = {.name = "missing", .panels = &panel, .panel_count = 1};
  figure.x = figure.y = figure_axis("x", "", SCALE_LINEAR, TICKS_PLAIN);
  char *path = strdup(getenv("PATH"));
  struct text svg = {0};
  struct error error = {0};
  setenv("PATH", "/nonexistent", 1);
  CHECK(!figure_svg(&figure, FIGURE_FILE, &svg, &error) && error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "gnuplot is not installed") && strstr(error.text, "gnuplot-nox"));
  // A page goes on without it.
  error = (struct error){0};
  text_clear(&svg);
  CHECK(figure_svg(&figure, FIGURE_INLINE, &svg, &error) && error.code == EXIT_DONE);
  CHECK(strstr(text_string(&svg), "<p>Not drawn: gnuplot is not installed") && !strstr(text_string(&svg), "<svg"));
  // A program of that name that fails, and one that prints nonsense.
  char folder[] = "/tmp/isoloss-gnuplot-XXXXXX";
  struct arena arena = {0};
  CHECK(mkdtemp(folder));
  const char *program = path_join(&arena, folder, "gnuplot");
  static const char *const scripts[] = {"#!/bin/sh\necho 'line 3: no such terminal' >&2\nexit 1\n",
                                        "#!/bin/sh\necho nonsense\n", "#!/bin/sh\nkill -9 $$\n"};
  static const char *const words[] = {"no such terminal", "printed no SVG", "signal 9"};
  for (int i = 0; i < 3; i++) {
    error = (struct error){0};
    CHECK(file_write_atomic(program, scripts[i], strlen(scripts[i]), &error) && chmod(program, 0755) == 0);
    setenv("PATH", folder, 1);
    text_clear(&svg);
    text_add(&svg, "<p>before</p>");
    CHECK(figure_svg(&figure, FIGURE_INLINE, &svg, &error) && error.code == EXIT_DONE);
    CHECK(strncmp(text_string(&svg), "<p>before</p><p>Not drawn: ", 27) == 0 && strstr(text_string(&svg), words[i]));
    CHECK(!figure_svg(&figure, FIGURE_FILE, &svg, &error) && error.code == EXIT_ENVIRONMENT);
    if (!CHECK(strstr(error.text, words[i]))) printf("# %s\n", error.text);
  }
  // What a shell ends with where there is no such program.
  static const char absent[] = "#!/bin/sh\nexit 127\n";
  error = (struct error){0};
  CHECK(file_write_atomic(program, absent, strlen(absent), &error) && chmod(program, 0755) == 0);
  CHECK(!figure_svg(&figure, FIGURE_FILE, &svg, &error) && strstr(error.text, "gnuplot is not installed"));
  setenv("PATH", path, 1);
  error = (struct error){0};
  CHECK(folder_remove(folder, &error));
  // The user's own start-up settings change nothing.
  setenv("GNUTERM", "dumb", 1);
  struct text plain = {0}, again = {0};
  CHECK(figure_svg(&figure, FIGURE_FILE, &plain, &error));
  unsetenv("GNUTERM");
  CHECK(figure_svg(&figure, FIGURE_FILE, &again, &error));
  CHECK_TEXT(plain.bytes, again.bytes);
  text_free(&plain);
  text_free(&again);
  text_free(&svg);
  arena_free(&arena);
  free(path);
}

int main(int argc, char **argv) {
  golden_folder = argc > 1 ? argv[1] : "tests/plots/golden";
  golden_write = argc > 2 && strcmp(argv[2], "write") == 0;
  RUN(structure_is_compared);
  RUN(draws_every_mark);
  RUN(draws_named_figures);
  RUN(draws_capacity);
  RUN(hostile_words);
  RUN(prints_hostile_words);
  RUN(formats_keep_their_colours);
  RUN(fronts_know_ties);
  RUN(frontier_is_the_best_size);
  RUN(bits_have_their_best_format);
  RUN(many_curves_have_their_range);
  RUN(seeds_are_a_mean);
  RUN(crowded_points_are_drawn_once);
  RUN(legends_have_their_places);
  RUN(inline_has_nothing_to_clash);
  RUN(values_that_cannot_stand);
  RUN(values_far_from_the_others);
  RUN(ticks_have_an_end);
  RUN(ticks_read_well);
  RUN(names_are_found);
  RUN(one_run_is_enough);
  RUN(lines_follow_the_design);
  RUN(missing_gnuplot);
  return check_end();
}
