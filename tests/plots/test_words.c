// Words that try to break out of a figure, where they and the legend stand, and what happens without gnuplot.
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plots/build.h"
#include "tests/check.h"
#include "tests/plots/fixture.h"

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
  // A page continues without it.
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

int main(void) {
  RUN(prints_hostile_words);
  RUN(legends_have_their_places);
  RUN(inline_has_nothing_to_clash);
  RUN(missing_gnuplot);
  return check_end();
}
