// Limits, ticks and crowded points.
#include <math.h>
#include <stdlib.h>

#include "plots/build.h"
#include "tests/check.h"
#include "tests/plots/fixture.h"

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
        bool shown = scale == SCALE_LINEAR && odd[i] < 1 && odd[i] >= 1e-100;  // next to others that is zero
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

int main(void) {
  RUN(crowded_points_are_drawn_once);
  RUN(values_that_cannot_stand);
  RUN(values_far_from_the_others);
  RUN(ticks_have_an_end);
  RUN(ticks_read_well);
  return check_end();
}
