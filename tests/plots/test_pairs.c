// Figures of two coefficients at once, loss curves scaled onto one another, and where words stand in panels.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "plots/layout.h"
#include "tests/check.h"
#include "tests/plots/fixture.h"

enum { POINTS = 24, RESAMPLES = 200 };

// A region around (2, 30), open at the points from `open` on (POINTS: nowhere), and resamples, one of them far off.
static struct plot_contour make_contour(struct arena *arena, const char *x, const char *y, size_t open) {
  struct plot_pair *resamples = arena_array(arena, RESAMPLES, sizeof *resamples);
  struct plot_contour contour = {.x_name = x,
                                 .y_name = y,
                                 .estimate = {.x = 2, .y = 30},
                                 .levels = {0.6827, 0.9},
                                 .point_count = POINTS,
                                 .resamples = resamples,
                                 .resample_count = RESAMPLES};
  for (int line = 0; line < 2; line++) {
    struct plot_pair *points = arena_array(arena, POINTS, sizeof *points);
    for (size_t i = 0; i < POINTS; i++) {
      double angle = 2 * M_PI * (double)i / POINTS, size = line ? 1 : 0.5;
      points[i] = (struct plot_pair){2 + 0.3 * size * cos(angle), 30 * exp(1.5 * size * sin(angle)), i >= open};
    }
    contour.lines[line] = points;
  }
  for (size_t i = 0; i < RESAMPLES; i++) {
    double pair[2];
    random_normal_pair(4, RANDOM_STREAM_NOISE, 0, i, pair);
    resamples[i] = (struct plot_pair){.x = i == 7 ? 50 : 2 + 0.1 * pair[0], .y = 30 * exp(0.5 * pair[1])};
  }
  return contour;
}

static size_t labelled(const struct figure_panel *panel, const char *label, const struct figure_series **first) {
  size_t count = 0;
  for (size_t s = 0; s < panel->count; s++)
    if (panel->series[s].label && strcmp(panel->series[s].label, label) == 0) {
      if (count++ == 0 && first) *first = &panel->series[s];
    }
  return count;
}

static void regions_of_two(void) {
  struct arena arena = {0};
  struct plot_contour contours[] = {make_contour(&arena, "alpha", "A", POINTS), make_contour(&arena, "E", "beta", 20)};
  struct plot_fit fit = {.name = "f", .law = "l", .contours = contours, .contour_count = 1};
  struct plot_data data = {.fit = &fit, .irreducible_loss = NAN};
  struct figure figure;
  const char *nothing = NULL;
  const struct figure_series *line = NULL;
  // One pair: its axes are the figure's. A positive coefficient over more than a factor of five is logarithmic.
  if (CHECK(plot_build(&arena, "contours", &data, &figure, &nothing)) && CHECK(figure.panel_count == 1)) {
    CHECK_TEXT(figure.x.label, "alpha");
    CHECK_TEXT(figure.y.label, "A");
    CHECK(figure.x.scale == SCALE_LINEAR && figure.y.scale == SCALE_LOG);
    CHECK(labelled(&figure.panels[0], "68.3 % of both", NULL) == 1);
    if (CHECK(labelled(&figure.panels[0], "90 % of both", &line) == 1))
      CHECK(line->count == POINTS + 1 && line->x[0] == line->x[POINTS] && line->y[0] == line->y[POINTS]);  // closed
    CHECK(!strstr(figure.caption, "missing"));
  }
  // Of the resamples one lies outside: it sets no axis, and the caption says so.
  if (CHECK(plot_build(&arena, "bootstrap-scatter", &data, &figure, &nothing))) {
    const struct figure_series *points = NULL;
    CHECK(figure.x.high < 3);
    if (CHECK(labelled(&figure.panels[0], "resample", &points) == 1)) CHECK(points->count < RESAMPLES);
    CHECK(strstr(figure.caption, "outside the axes") != NULL && strstr(figure.caption, "200 of them") != NULL);
  }
  // Two pairs: panels with axes of their own in both directions. A region without an end is a line with a gap.
  fit.contour_count = 2;
  if (CHECK(plot_build(&arena, "contours", &data, &figure, &nothing)) && CHECK(figure.panel_count == 2)) {
    CHECK_TEXT(figure.panels[1].title, "beta over E");
    CHECK(figure.panels[0].x && figure.panels[1].x && figure.panels[0].y);
    if (CHECK(labelled(&figure.panels[1], "90 % of both", &line) == 1)) CHECK(line->count == 20);
    CHECK(strstr(figure.caption, "no limit") != NULL);
  }
  fit.contour_count = 0;
  CHECK(!plot_build(&arena, "contours", &data, &figure, &nothing) && strstr(nothing, "--contour"));
  contours[0].resample_count = 0;
  fit.contour_count = 1;
  CHECK(!plot_build(&arena, "bootstrap-scatter", &data, &figure, &nothing) && strstr(nothing, "without resamples"));
  data.fit = NULL;
  CHECK(!plot_build(&arena, "contours", &data, &figure, &nothing) && strstr(nothing, "no fit"));
  arena_free(&arena);
}

// Panels with axes x of their own: each has its ticks, and a run is where its own axis says.
static void axes_of_panels(void) {
  static const double narrow[] = {1, 2}, wide[] = {100, 900}, y[] = {1, 2};
  struct figure_axis axes[] = {figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN),
                               figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN)};
  struct figure_target targets[] = {{.run = 0, .count = 1, .x = &narrow[1], .y = &y[1]},
                                    {.run = 0, .count = 1, .x = &wide[1], .y = &y[1]}};
  struct figure_series series[] = {{.mark = MARK_POINTS, .count = 2, .x = narrow, .y = y},
                                   {.mark = MARK_POINTS, .count = 2, .x = wide, .y = y}};
  struct figure_panel panels[] = {
      {.title = "a", .series = &series[0], .count = 1, .targets = &targets[0], .target_count = 1, .x = &axes[0]},
      {.title = "b", .series = &series[1], .count = 1, .targets = &targets[1], .target_count = 1, .x = &axes[1]}};
  struct figure figure = {.name = "own", .panels = panels, .panel_count = 2};
  figure.x = figure.y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN);
  struct text svg = {0}, marks = {0};
  struct error error = {0};
  if (CHECK(figure_svg(&figure, FIGURE_INLINE, &svg, &error)))
    CHECK(strstr(text_string(&svg), ">1.5<") && strstr(text_string(&svg), ">400<"));
  figure_targets(&figure, &marks);
  int first, second, top, same;
  const char *at = strstr(text_string(&marks), "data-marks=\"0,");
  if (CHECK(at && sscanf(at, "data-marks=\"0,%d,%d 0,%d,%d", &first, &top, &second, &same) == 4))
    CHECK(top == same && second > first + 100);
  text_free(&svg);
  text_free(&marks);
}

// Curves that are one power of their share, over an irreducible loss, fall on one; the spread says how well.
static void curves_collapse(void) {
  enum { RUNS = 4, CURVE = 20 };
  struct arena arena = {0};
  struct plot_run runs[RUNS];
  for (int i = 0; i < RUNS; i++) {
    double *tokens = arena_array(&arena, CURVE, sizeof *tokens), *loss = arena_array(&arena, CURVE, sizeof *loss);
    runs[i] = (struct plot_run){.id = "a",
                                .format = "none",
                                .parameters = 1e5 * (1 + i),
                                .tokens = 1e6 * (1 + i),
                                .loss = 1.5 + 1.0 / (1 + i),
                                .predicted = NAN,
                                .validation = {CURVE, tokens, loss}};
    for (int k = 0; k < CURVE; k++) {
      double share = (k + 1.0) / CURVE;
      tokens[k] = runs[i].tokens * share;
      loss[k] = 1.5 + (runs[i].loss - 1.5) * pow(share, -0.5);
    }
  }
  struct plot_data data = {.runs = runs, .count = RUNS, .irreducible_loss = 1.5};
  struct figure figure;
  const char *nothing = NULL;
  if (CHECK(plot_build(&arena, "scaling-collapse", &data, &figure, &nothing))) {
    const struct figure_panel *panel = &figure.panels[0];
    for (size_t s = 0; s < panel->count; s++)
      for (size_t i = 0; i < panel->series[s].count; i++)
        CHECK_NEAR(panel->series[s].y[i], pow(panel->series[s].x[i] / 100, -0.5), 1e-12);
    CHECK(strstr(figure.caption, "irreducible loss") != NULL);
    const char *spread = strstr(figure.caption, "at most ");
    if (CHECK(spread)) CHECK(atof(spread + 8) < 1e-6);
    CHECK(figure.y.high < 3.4 && figure.y.high > 3.1);  // at a tenth of the tokens: the root of ten
  }
  // Curves of different shapes do not, and the number says by how much.
  double *bent = (double *)runs[3].validation.loss;
  for (int k = 0; k < CURVE; k++) bent[k] = 1.5 + (runs[3].loss - 1.5) * pow((k + 1.0) / CURVE, -0.8);
  if (CHECK(plot_build(&arena, "scaling-collapse", &data, &figure, &nothing))) {
    const char *spread = strstr(figure.caption, "at most ");
    // At a tenth: values 10^0.5 three times and 10^0.8 once.
    double a = pow(10, 0.5), b = pow(10, 0.8), mean = (3 * a + b) / 4,
           sd = sqrt((3 * (a - mean) * (a - mean) + (b - mean) * (b - mean)) / 3);
    if (CHECK(spread)) CHECK_NEAR(atof(spread + 8), 100 * sd / mean, 0.6);
  }
  // A run that ends below what is taken off is left out, and that is said.
  runs[0].loss = 1.4;
  ((double *)runs[0].validation.loss)[CURVE - 1] = 1.4;
  CHECK(plot_build(&arena, "scaling-collapse", &data, &figure, &nothing) &&
        strstr(figure.caption, "1 run without a final loss above that is left out"));
  data.irreducible_loss = NAN;
  CHECK(!plot_build(&arena, "scaling-collapse", &data, &figure, &nothing) && strstr(nothing, "no fit says"));
  arena_free(&arena);
}

// Titles that are too long for their panel take two lines, then end in dots; they never run into the next one's.
static void long_titles(void) {
  static const double x[] = {1, 2}, y[] = {1, 2};
  struct figure_series series = {.mark = MARK_LINE, .count = 2, .x = x, .y = y};
  struct figure_panel panels[] = {{.title = "magnitude, sparsity 0.55", .series = &series, .count = 1},
                                  {.title = "short", .series = &series, .count = 1}};
  struct figure figure = {.name = "titles", .panels = panels, .panel_count = 2};
  figure.x = figure.y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN);
  struct canvas canvas = {.width = 380, .print = true};
  struct arena arena = {0};
  struct layout layout;
  struct error error = {0};
  const char *lines[TITLE_LINES];
  if (CHECK(layout_make(&layout, &figure, &canvas, &arena, &error))) {
    CHECK(layout_title_lines(&layout, "short", lines) == 1);
    if (CHECK(layout_title_lines(&layout, panels[0].title, lines) == 2)) {
      CHECK_TEXT(lines[0], "magnitude, sparsity");
      CHECK_TEXT(lines[1], "0.55");
    }
    const char *endless = "one two three four five six seven eight nine ten eleven twelve thirteen";
    if (CHECK(layout_title_lines(&layout, endless, lines) == 2)) {
      CHECK(ends_with(lines[1], "…"));
      for (int i = 0; i < 2; i++) CHECK(layout_title_width(lines[i]) <= layout.panel_width + layout.gap);
    }
    CHECK(layout_title_lines(&layout, "größößößößößößößößößößößößößößöß", lines) == 1 && ends_with(lines[0], "…") &&
          utf8_valid_prefix(lines[0], strlen(lines[0])) == strlen(lines[0]));
    double top = layout.top;
    panels[0].title = "a";
    CHECK(layout_make(&layout, &figure, &canvas, &arena, &error) && layout.top < top);  // no room is kept for nothing
  }
  arena_free(&arena);
}

// A note changes its side, or its height, where a line or another mark is.
static void notes_give_way(void) {
  static const double x[] = {1, 5, 9}, y[] = {5, 5, 5}, line_x[] = {5.5, 6.5}, line_y[] = {0, 10};
  struct figure_note notes[] = {{.text = "free", .x = 1, .y = 5, .align = NOTE_LEFT},
                                {.text = "crossed", .x = 5, .y = 5, .align = NOTE_LEFT},
                                {.text = "at the edge", .x = 9, .y = 5, .align = NOTE_LEFT}};
  struct figure_series series[] = {{.mark = MARK_POINTS, .count = 3, .x = x, .y = y},
                                   {.mark = MARK_LINE, .count = 2, .x = line_x, .y = line_y}};
  struct figure_panel panel = {.series = series, .count = 2, .notes = notes, .note_count = 3};
  struct figure figure = {.name = "notes", .panels = &panel, .panel_count = 1};
  figure.x = figure.y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN);
  struct canvas canvas = {.width = 400, .print = true};
  struct arena arena = {0};
  struct layout layout;
  struct error error = {0};
  struct placed_note placed[3];
  if (CHECK(layout_make(&layout, &figure, &canvas, &arena, &error))) {
    layout_notes(&layout, 0, placed);
    CHECK(placed[0].x > layout_at_x(&layout, 1) && placed[0].y == layout_at_y(&layout, 5));
    CHECK(placed[1].x + text_width("crossed") < layout_at_x(&layout, 5));
    CHECK(placed[2].x + text_width("at the edge") < layout_at_x(&layout, 9));
    for (int i = 0; i < 3; i++) {
      struct box box = {placed[i].x, placed[i].x + text_width(notes[i].text), placed[i].y - 7, placed[i].y + 7};
      CHECK(placed[i].shown && !layout_covered(&layout, 0, &box));
    }
    struct box over = {layout_at_x(&layout, 5.9), layout_at_x(&layout, 6.1), layout_at_y(&layout, 5.2),
                       layout_at_y(&layout, 4.8)};
    CHECK(layout_covered(&layout, 0, &over));  // between the two points of the line
  }
  arena_free(&arena);
}

int main(void) {
  RUN(regions_of_two);
  RUN(axes_of_panels);
  RUN(curves_collapse);
  RUN(long_titles);
  RUN(notes_give_way);
  return check_end();
}
