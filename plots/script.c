// From a figure to a gnuplot script. Everything is placed in pixels, so that the look does not depend on gnuplot's
// guesses; words are stand-ins (internal.h) and never pass through gnuplot's quoting.
#include <math.h>
#include <string.h>

#include "plots/internal.h"

enum { WIDTH = 720, LINE = 19, GAP = 16 };

struct legend_entry {
  const char *label;
  const struct figure_series *points, *line;  // first series with marks, first with a line; one may be missing
  const struct figure_series *area;           // band or bars
};

struct layout {
  const struct figure *figure;
  struct figure_axis x, y;
  struct arena *arena;
  struct labels *labels;
  struct text *script;
  struct legend_entry *legend;
  size_t legend_count;
  int columns, rows;
  double width, height, left, top, panel_width, panel_height, row_step, legend_x;
};

const char *label_add(struct labels *labels, const char *text, bool bold, bool muted) {
  labels->items = arena_grow(labels->arena, labels->items, labels->count, labels->count + 1, sizeof *labels->items);
  labels->items[labels->count] = (struct label){text, bold, muted};
  return arena_format(labels->arena, "L%04zuL", labels->count++);
}

static double screen_x(const struct layout *l, double x) { return x / l->width; }
static double screen_y(const struct layout *l, double y) { return 1 - y / l->height; }

// A label at a pixel. gnuplot centres labels vertically on their place.
static void put_label(struct layout *l, const char *text, double x, double y, const char *align, bool bold, bool muted,
                      bool rotated) {
  text_format(l->script, "set label '%s' at screen %.5f,%.5f %s%s\n", label_add(l->labels, text, bold, muted),
              screen_x(l, x), screen_y(l, y), align, rotated ? " rotate by 90" : "");
}

static const char *const dash_of[] = {"1", "'-'"};
// gnuplot's point types: the mark's outline; the next one is its filled form.
static const int point_type[] = {6, 4, 8, 12, 10, 14};
enum { SHAPES = sizeof point_type / sizeof *point_type };

static int type_of(const struct figure_series *series) {
  int shape = series->shape < 0 ? 0 : series->shape % SHAPES;
  return point_type[shape] + (series->hollow ? 0 : 1);
}

static double line_width(const struct figure_series *series) { return series->thin ? 1.3 : 2; }

static void collect_legend(struct layout *l) {
  for (size_t p = 0; p < l->figure->panel_count; p++)
    for (size_t s = 0; s < l->figure->panels[p].count; s++) {
      const struct figure_series *series = &l->figure->panels[p].series[s];
      if (!series->label) continue;
      struct legend_entry *entry = NULL;
      for (size_t i = 0; i < l->legend_count; i++)
        if (strcmp(l->legend[i].label, series->label) == 0) entry = &l->legend[i];
      if (!entry) {
        l->legend = arena_grow(l->arena, l->legend, l->legend_count, l->legend_count + 1, sizeof *l->legend);
        entry = &l->legend[l->legend_count++];
        entry->label = series->label;
      }
      if (series->mark == MARK_POINTS && !entry->points) entry->points = series;
      if (series->mark == MARK_LINE && !entry->line) entry->line = series;
      if ((series->mark == MARK_BAND || series->mark == MARK_BARS) && !entry->area) entry->area = series;
    }
}

static void draw_legend(struct layout *l) {
  double y = l->top + (l->figure->panels[0].title && l->figure->panel_count > 1 ? 2 : 6), x = l->legend_x;
  if (l->figure->legend) {
    put_label(l, l->figure->legend, x, y, "left", true, false, false);
    y += LINE + 3;
  }
  for (size_t i = 0; i < l->legend_count; i++, y += LINE) {
    const struct legend_entry *e = &l->legend[i];
    if (e->area) {
      text_format(l->script,
                  "set object rect from screen %.5f,%.5f to screen %.5f,%.5f fc rgb '%s' fs transparent solid %s "
                  "noborder front\n",
                  screen_x(l, x), screen_y(l, y + 5), screen_x(l, x + 22), screen_y(l, y - 5),
                  ink_of(e->area->colour)->light, e->area->mark == MARK_BAND ? "0.2" : "1");
    }
    const struct figure_series *line = e->line ? e->line : e->points && e->points->legend_line ? e->points : NULL;
    if (line)
      text_format(l->script,
                  "set arrow from screen %.5f,%.5f to screen %.5f,%.5f nohead lc rgb '%s' lw %g dt %s front\n",
                  screen_x(l, x), screen_y(l, y), screen_x(l, x + 22), screen_y(l, y), ink_of(line->colour)->light,
                  line_width(line), dash_of[line->dashed]);
    if (e->points)
      text_format(l->script, "set label '' at screen %.5f,%.5f point pt %d ps 0.8 lc rgb '%s' front\n",
                  screen_x(l, x + 11), screen_y(l, y), type_of(e->points), ink_of(e->points->colour)->light);
    put_label(l, e->label, x + 30, y, "left", false, false, false);
  }
}

static double widest_tick(const struct figure_axis *axis, const struct ticks *ticks) {
  double widest = 0;
  for (size_t i = 0; i < ticks->count; i++) {
    const char *text = axis->ticks == TICKS_NAMES ? axis->names[i] : ticks->items[i].text;
    widest = fmax(widest, text_width(text));
  }
  return widest;
}

// Takes the words off marks of the x axis that would touch those of a neighbour, powers of ten and larger steps last.
static void thin_labels(const struct layout *l, struct ticks *ticks) {
  double low = l->x.scale == SCALE_LOG ? log(l->x.low) : l->x.low,
         high = l->x.scale == SCALE_LOG ? log(l->x.high) : l->x.high, scale = l->panel_width / (high - low);
  double *at = arena_array(l->arena, ticks->count + 1, sizeof *at);
  bool *kept = arena_array(l->arena, ticks->count + 1, sizeof *kept);
  for (size_t i = 0; i < ticks->count; i++)
    at[i] = scale * ((l->x.scale == SCALE_LOG ? log(ticks->items[i].value) : ticks->items[i].value) - low);
  for (int round = 0; round < 4; round++)
    for (size_t i = 0; i < ticks->count; i++) {
      if (!*ticks->items[i].text || kept[i]) continue;
      double digits = ticks->items[i].value / pow(10, floor(log10(fabs(ticks->items[i].value)) + 1e-9));
      bool whole = fabs(digits - 1) < 1e-6, half = fabs(digits - 2) < 1e-6 || fabs(digits - 5) < 1e-6,
           third = fabs(digits - 3) < 1e-6;
      int turn = l->x.scale != SCALE_LOG || l->x.marks || whole ? 0 : half ? 1 : third ? 2 : 3;
      if (turn != round) continue;
      double reach = text_width(ticks->items[i].text) / 2 + 4;
      bool free = true;
      for (size_t k = 0; k < ticks->count; k++)
        if (kept[k] && fabs(at[k] - at[i]) < reach + text_width(ticks->items[k].text) / 2 + 4) free = false;
      kept[i] = free;
    }
  for (size_t i = 0; i < ticks->count; i++)
    if (!kept[i]) ticks->items[i].text[0] = '\0';
}

static void plan(struct layout *l, const struct ticks *y_ticks, enum figure_style style) {
  const struct figure *figure = l->figure;
  size_t panels = figure->panel_count;
  l->columns = panels == 1 ? 1 : panels <= 4 ? 2 : 3;
  l->rows = (int)((panels + (size_t)l->columns - 1) / (size_t)l->columns);
  l->width = WIDTH;
  l->left = 12 + widest_tick(&l->y, y_ticks) + (l->y.label ? 26 : 0);
  double legend_width = 0;
  for (size_t i = 0; i < l->legend_count; i++) legend_width = fmax(legend_width, 34 + text_width(l->legend[i].label));
  if (l->legend_count && figure->legend) legend_width = fmax(legend_width, 1.12 * text_width(figure->legend));
  if (legend_width > 0.42 * WIDTH) legend_width = 0.42 * WIDTH;
  double right = l->legend_count ? legend_width + 24 : 22;
  l->panel_width = (l->width - l->left - right - GAP * (l->columns - 1)) / l->columns;
  l->legend_x = l->width - right + 16;
  double title = style == FIGURE_FILE && figure->title ? 34 : 10, panel_title = panels > 1 ? 22 : 0;
  l->top = title + panel_title;
  double aspect = figure->aspect > 0 ? figure->aspect : panels > 1 ? 0.8 : 0.62;
  l->panel_height = l->y.ticks == TICKS_NAMES ? 20 + 26.0 * (double)l->y.name_count : l->panel_width * aspect;
  if (panels == 1 && l->y.ticks != TICKS_NAMES) l->panel_height = fmin(fmax(l->panel_height, 250), 340);
  double legend_height = (double)l->legend_count * LINE + (figure->legend ? LINE + 3 : 0) + 8;
  l->row_step = l->panel_height + panel_title + 10;
  double all = l->row_step * l->rows - panel_title - 10;
  if (all < legend_height) {
    l->panel_height += (legend_height - all) / l->rows;
    l->row_step += (legend_height - all) / l->rows;
    all = legend_height;
  }
  l->height = ceil(l->top + all + 28 + (l->x.label ? 24 : 0));
}

static void put_ticks(struct layout *l, const char *name, const struct figure_axis *axis, const struct ticks *ticks,
                      bool labelled) {
  text_format(l->script, "set %stics out nomirror scale 0.6,0.35 offset %s (", name,
              name[0] == 'x' ? "0,0.35" : "0.5,0");
  for (size_t i = 0; i < ticks->count; i++) {
    const struct tick *tick = &ticks->items[i];
    const char *text = axis->ticks == TICKS_NAMES ? axis->names[i] : tick->text;
    bool major = *text;
    text_format(l->script, "%s'%s' %.10g %d", i ? ", " : "",
                labelled && major ? label_add(l->labels, text, false, axis->ticks != TICKS_NAMES) : "", tick->value,
                major ? 0 : 1);
  }
  text_add(l->script, ")\n");
}

static const char *axis_title(struct layout *l, const struct figure_axis *axis) {
  if (!axis->unit || !*axis->unit) return axis->label;
  return arena_format(l->arena, "%s (%s)", axis->label, axis->unit);
}

// The data block of a series: x, y, low, high per line, only points that can stand on the axes. Returns how many.
static size_t put_data(struct layout *l, const struct figure_series *s, size_t panel, size_t number) {
  size_t count = 0;
  text_format(l->script, "$d%zu_%zu << EOD\n", panel, number);
  for (size_t i = 0; i < s->count; i++) {
    double x = s->x[i], low = s->low ? s->low[i] : NAN, high = s->high ? s->high[i] : NAN;
    const struct figure_axis *interval = s->mark == MARK_BARS ? &l->x : &l->y;
    bool has_interval = axis_holds(interval, low) && axis_holds(interval, high);
    double y = s->mark == MARK_BAND ? low : s->y[i];
    if (!axis_holds(&l->x, x) || !axis_holds(&l->y, y) || (s->mark == MARK_BAND && !has_interval)) continue;
    if (!has_interval) low = high = s->mark == MARK_BARS ? x : y;
    text_format(l->script, "%.10g %.10g %.10g %.10g\n", x, y, low, high);
    count++;
  }
  text_add(l->script, "EOD\n");
  return count;
}

static void put_series(struct layout *l, const struct figure_series *s, size_t panel, size_t number, bool *first) {
  struct text *out = l->script;
  const char *colour = ink_of(s->colour)->light;
  const char *join = *first ? "plot " : ", \\\n  ";
  switch (s->mark) {
    case MARK_LINE:
      text_format(out, "%s$d%zu_%zu using 1:2 with lines lc rgb '%s' lw %g dt %s", join, panel, number, colour,
                  line_width(s), dash_of[s->dashed]);
      break;
    case MARK_BAND:
      text_format(out, "%s$d%zu_%zu using 1:3:4 with filledcurves lc rgb '%s' fs transparent solid 0.2 noborder", join,
                  panel, number, colour);
      break;
    case MARK_BARS: {
      double base = l->x.scale == SCALE_LOG || l->x.low > 0 ? l->x.low : l->x.high < 0 ? l->x.high : 0;
      text_format(out,
                  "%s$d%zu_%zu using (%.10g):2:(%.10g):1:($2-0.32):($2+0.32) with boxxyerror lc rgb '%s' fs solid 1 "
                  "noborder",
                  join, panel, number, base, base, colour);
      if (s->low)
        text_format(out, ", \\\n  $d%zu_%zu using ($3<$4?$1:NaN):2:3:4 with xerrorbars pt 0 lc rgb '%s' lw 1.4", panel,
                    number, ink_text.light);
      break;
    }
    case MARK_POINTS: {
      int type = type_of(s);
      if (s->low)
        text_format(out, "%s$d%zu_%zu using 1:2:3:4 with yerrorbars pt 0 lc rgb '%s' lw 1.2", join, panel, number,
                    colour);
      if (s->low) join = ", \\\n  ";
      // A ring in the paper's colour keeps marks apart that overlap.
      if (!s->hollow)
        text_format(out, "%s$d%zu_%zu using 1:2 with points pt %d ps 1.05 lc rgb '%s', \\\n  ", join, panel, number,
                    type, ink_paper.light);
      else
        text_add(out, join);
      text_format(out, "$d%zu_%zu using 1:2 with points pt %d ps 0.8 lc rgb '%s'", panel, number, type, colour);
      break;
    }
  }
  text_add(out, " notitle");
  *first = false;
}

static void put_panel(struct layout *l, size_t index, const struct ticks *x_ticks, const struct ticks *y_ticks) {
  const struct figure_panel *panel = &l->figure->panels[index];
  struct text *out = l->script;
  int column = (int)index % l->columns, row = (int)index / l->columns;
  double left = l->left + column * (l->panel_width + GAP), top = l->top + row * l->row_step;
  bool lowest = index + (size_t)l->columns >= l->figure->panel_count;
  text_format(out, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", screen_x(l, left),
              screen_x(l, left + l->panel_width));
  text_format(out, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n", screen_y(l, top),
              screen_y(l, top + l->panel_height));
  put_ticks(l, "x", &l->x, x_ticks, lowest);
  put_ticks(l, "y", &l->y, y_ticks, column == 0);
  if (panel->title && l->figure->panel_count > 1)
    put_label(l, panel->title, left, top - 12, "left", true, false, false);
  for (size_t i = 0; i < panel->note_count; i++) {
    const struct figure_note *note = &panel->notes[i];
    if (!axis_holds(&l->x, note->x) || !axis_holds(&l->y, note->y)) continue;
    const char *align = note->align == NOTE_LEFT ? "left" : note->align == NOTE_RIGHT ? "right" : "center";
    text_format(out, "set label '%s' at %.10g,%.10g %s offset %s,0 front\n",
                label_add(l->labels, note->text, false, note->colour.palette == PALETTE_MUTED), note->x, note->y, align,
                note->align == NOTE_LEFT    ? "0.6"
                : note->align == NOTE_RIGHT ? "-0.6"
                                            : "0");
  }
  bool *drawn = arena_array(l->arena, panel->count + 1, sizeof *drawn);
  for (size_t s = 0; s < panel->count; s++) drawn[s] = put_data(l, &panel->series[s], index, s) > 0;
  bool first = true;
  for (size_t s = 0; s < panel->count; s++)
    if (drawn[s]) put_series(l, &panel->series[s], index, s, &first);
  // An empty panel still shows its axes.
  if (first) text_add(out, "plot NaN notitle");
  text_add(out, "\nunset label\nunset arrow\nunset object\n");
}

bool figure_script(const struct figure *figure, enum figure_style style, struct arena *arena, struct labels *labels,
                   struct text *script, struct error *error) {
  struct layout l = {
      .figure = figure, .x = figure->x, .y = figure->y, .arena = arena, .labels = labels, .script = script};
  if (figure->panel_count == 0 || !axis_limits(&l.x, figure, false) || !axis_limits(&l.y, figure, true))
    return error_set(error, EXIT_USAGE_ERROR, "figure %s has nothing to draw", figure->name);
  collect_legend(&l);
  struct ticks y_ticks = axis_ticks(arena, &l.y, figure->panel_count > 1 ? 5 : 7);
  plan(&l, &y_ticks, style);
  struct ticks x_ticks = axis_ticks(arena, &l.x, (int)(l.panel_width / 62));
  if (l.x.ticks != TICKS_NAMES) thin_labels(&l, &x_ticks);
  text_format(script, "set encoding utf8\nset terminal svg size %g,%g fixed noenhanced font 'F,13' name 'f'\n", l.width,
              l.height);
  text_format(
      script,
      "set multiplot\nunset key\nset border 3 lc rgb '%s' lw 1\nset grid xtics ytics back lc rgb '%s' lw 1 lt 1\n"
      "set bars 0.6\nset tics textcolor rgb '%s'\n",
      ink_muted.light, ink_grid.light, ink_muted.light);
  if (l.x.scale == SCALE_LOG) text_add(script, "set logscale x\n");
  if (l.y.scale == SCALE_LOG) text_add(script, "set logscale y\n");
  text_format(script, "set xrange [%.10g:%.10g]\nset yrange [%.10g:%.10g]\n", l.x.low, l.x.high, l.y.low, l.y.high);
  if (style == FIGURE_FILE && figure->title) put_label(&l, figure->title, l.left, 15, "left", true, false, false);
  double right = l.left + l.columns * l.panel_width + GAP * (l.columns - 1), bottom = l.height - (l.x.label ? 52 : 28);
  if (l.x.label)
    put_label(&l, axis_title(&l, &l.x), (l.left + right) / 2, l.height - 14, "center", false, false, false);
  if (l.y.label) put_label(&l, axis_title(&l, &l.y), 12, (l.top + bottom) / 2, "center", false, false, true);
  draw_legend(&l);
  for (size_t p = 0; p < figure->panel_count; p++) put_panel(&l, p, &x_ticks, &y_ticks);
  text_add(script, "unset multiplot\n");
  return true;
}
