// Figures as golden SVG (byte for byte). test-figures FOLDER compares with the golden files in FOLDER; test-figures
// FOLDER write makes them anew.
#include <math.h>
#include <stdlib.h>
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

// The curve of a law in the formats' errors next to the factors of another fit.
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
  // Without an upper limit the interval goes up to the frame, and the caption says so; without a lower one down to 0.
  static const struct plot_effective loose[] = {{"w3", 0.74, 0.3, INFINITY, 0.0345, 0, 0},
                                                {"w2", 0.45, -INFINITY, 0.6, 0.1188, 0, 0}};
  CHECK(!strstr(figure.caption, "no upper limit"));
  fit.effective = loose;
  fit.effective_count = 2;
  if (CHECK(plot_build(&arena, "rho-vs-gmse", &data, &figure, &nothing))) {
    const struct figure_series *points = NULL;
    for (size_t i = 0; i < figure.panels[0].count; i++)
      if (figure.panels[0].series[i].mark == MARK_POINTS && figure.panels[0].series[i].count == 2)
        points = &figure.panels[0].series[i];
    CHECK(points && points->low[0] == 0.3 && points->high[0] == figure.y.high);
    CHECK(points && points->low[1] == 0 && points->high[1] == 0.6);
    CHECK(strstr(figure.caption, "no upper limit"));
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

// The parts of a composed format by their names: activations alone are a4, or w16a4.
static void finds_parts_of_compositions(void) {
  struct plot_effective effective[] = {
      {"w4a4", 0.7, NAN, NAN, 0, 0, 0}, {"w4", 0.9, NAN, NAN, 0, 0, 0}, {"a4", 0.8, NAN, NAN, 0, 0, 0}};
  struct arena arena = {0};
  struct plot_fit fit = {
      .name = "made-up", .law = "effective-parameters", .effective = effective, .effective_count = 3};
  struct plot_data data = {.fit = &fit, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  for (int named = 0; named < 2; named++) {
    if (CHECK(plot_build(&arena, "product-rule", &data, &figure, &nothing))) {
      const struct figure_series *point = &figure.panels[0].series[0];
      CHECK(point->count == 1 && fabs(point->x[0] - 0.72) < 1e-12 && point->y[0] == 0.7);
    }
    effective[2].format = "w16a4";
  }
  effective[2].format = "a8";
  CHECK(!plot_build(&arena, "product-rule", &data, &figure, &nothing) && strstr(nothing, "composed"));
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

int main(int argc, char **argv) {
  golden_folder = argc > 1 ? argv[1] : "tests/plots/golden";
  golden_write = argc > 2 && strcmp(argv[2], "write") == 0;
  RUN(structure_is_compared);
  RUN(draws_every_mark);
  RUN(draws_named_figures);
  RUN(draws_capacity);
  RUN(finds_parts_of_compositions);
  RUN(hostile_words);
  return check_end();
}
