// From a figure to a gnuplot script. Everything is placed in units (layout.h), so that the look does not depend on
// gnuplot's guesses. Words are stand-ins (internal.h) that never pass through gnuplot's quoting, where its output is
// rewritten; where gnuplot draws the file itself, and in a script to be edited, they are in the script.
#include <math.h>
#include <string.h>

#include "plots/layout.h"

const char *label_add(struct labels *labels, const char *text, bool bold, bool muted) {
  labels->items = arena_grow(labels->arena, labels->items, labels->count, labels->count + 1, sizeof *labels->items);
  labels->items[labels->count] = (struct label){text, bold, muted};
  return arena_format(labels->arena, "L%04zuL", labels->count++);
}

static double screen_x(const struct layout *l, double x) { return x / l->width; }
static double screen_y(const struct layout *l, double y) { return 1 - y / l->height; }

// Words as gnuplot takes them: their stand-in, or between quotes, where only a quote has a meaning.
static const char *quoted(struct layout *l, const char *text, bool bold, bool muted) {
  if (!l->canvas->words) return arena_format(l->arena, "'%s'", label_add(l->labels, text, bold, muted));
  struct text out = {0};
  text_char(&out, '\'');
  size_t length = strlen(text);
  for (size_t i = 0; i < length;) {
    size_t good = utf8_valid_prefix(text + i, length - i);
    for (size_t end = i + good; i < end; i++) {
      unsigned char c = (unsigned char)text[i];
      if (c == '\'') text_char(&out, '\'');
      text_char(&out, c < 0x20 || c == 0x7F ? ' ' : text[i]);
    }
    if (i < length) {
      text_add(&out, "\xEF\xBF\xBD");
      i++;
    }
  }
  text_char(&out, '\'');
  const char *kept = arena_string(l->arena, text_string(&out));
  text_free(&out);
  return kept;
}

// What stand-ins need not say, since they are replaced with their look.
static const char *look_of(struct layout *l, bool bold, bool muted) {
  if (!l->canvas->words) return "";
  return arena_format(l->arena, "%s tc rgb '%s'", bold ? " font ':Bold'" : "", (muted ? ink_muted : ink_text).light);
}

// A label at a place. gnuplot centres labels vertically on it.
static void put_label(struct layout *l, const char *text, double x, double y, const char *align, bool bold, bool muted,
                      bool rotated) {
  text_format(l->script, "set label %s at screen %.5f,%.5f %s%s%s\n", quoted(l, text, bold, muted), screen_x(l, x),
              screen_y(l, y), align, rotated ? " rotate by 90" : "", look_of(l, bold, muted));
}

// A remark in a script that somebody will read.
static void put_remark(struct layout *l, const char *words) {
  if (!l->canvas->words) return;
  text_add(l->script, "# ");
  for (const char *c = words; *c; c++) text_char(l->script, (unsigned char)*c < 0x20 ? ' ' : *c);
  text_char(l->script, '\n');
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

static const char *band_opacity(const struct figure_series *band) { return band->strong ? "0.45" : "0.2"; }

static void draw_sample(struct layout *l, const struct legend_entry *e, double x, double y) {
  if (e->area) {
    text_format(l->script,
                "set object rect from screen %.5f,%.5f to screen %.5f,%.5f fc rgb '%s' fs transparent solid %s "
                "noborder front\n",
                screen_x(l, x), screen_y(l, y + 5), screen_x(l, x + 22), screen_y(l, y - 5),
                ink_of(e->area->colour)->light, e->area->mark == MARK_BAND ? band_opacity(e->area) : "1");
  }
  const struct figure_series *line = e->line ? e->line : e->points && e->points->legend_line ? e->points : NULL;
  if (line)
    text_format(l->script, "set arrow from screen %.5f,%.5f to screen %.5f,%.5f nohead lc rgb '%s' lw %g dt %s front\n",
                screen_x(l, x), screen_y(l, y), screen_x(l, x + 22), screen_y(l, y), ink_of(line->colour)->light,
                line_width(line), dash_of[line->dashed]);
  if (e->points)
    text_format(l->script, "set label '' at screen %.5f,%.5f point pt %d ps 0.8 lc rgb '%s' front\n",
                screen_x(l, x + 11), screen_y(l, y), type_of(e->points), ink_of(e->points->colour)->light);
}

static void draw_legend(struct layout *l) {
  if (l->place == LEGEND_NONE) return;
  if (l->figure->legend)
    put_label(l, l->figure->legend, l->title_x, l->title_y, l->place == LEGEND_DIRECT ? "right" : "left", true, false,
              false);
  for (size_t i = 0; i < l->legend_count; i++) {
    const struct legend_entry *e = &l->legend[i];
    if (!e->direct) draw_sample(l, e, e->x, e->y);
    put_label(l, e->label, e->x + (e->direct ? 0 : SAMPLE), e->y, "left", false, false, false);
  }
}

// How far apart two marks of the x axis are, or one and the other's twin under the next panel.
static double gap(const struct layout *l, double apart) {
  apart = fabs(apart);
  return l->columns > 1 ? fmin(apart, fabs(l->panel_width + l->gap - apart)) : apart;
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
        if (kept[k] && gap(l, at[k] - at[i]) < reach + text_width(ticks->items[k].text) / 2 + 4) free = false;
      kept[i] = free;
    }
  for (size_t i = 0; i < ticks->count; i++)
    if (!kept[i]) ticks->items[i].text[0] = '\0';
}

static const char *percent_twice(struct arena *arena, const char *text) {
  char *twice = arena_alloc(arena, 2 * strlen(text) + 1), *to = twice;
  for (const char *c = text; *c; c++) {
    *to++ = *c;
    if (*c == '%') *to++ = '%';
  }
  *to = '\0';
  return twice;
}

static void put_ticks(struct layout *l, const char *name, const struct figure_axis *axis, const struct ticks *ticks,
                      bool labelled) {
  text_format(l->script, "set %stics out nomirror scale 0.6,0.35 offset %s (", name,
              name[0] == 'x' ? "0,0.35" : "0.5,0");
  for (size_t i = 0; i < ticks->count; i++) {
    const struct tick *tick = &ticks->items[i];
    const char *text = axis->ticks == TICKS_NAMES ? axis->names[i] : tick->text;
    bool major = *text;
    // gnuplot reads the words of a tick as a format, where only a doubled percent sign is one.
    if (l->canvas->words && strchr(text, '%')) text = percent_twice(l->arena, text);
    text_format(l->script, "%s%s %.10g %d", i ? ", " : "",
                labelled && major ? quoted(l, text, false, axis->ticks != TICKS_NAMES) : "''", tick->value,
                major ? 0 : 1);
  }
  text_add(l->script, ")\n");
}

// Which places of a panel have a point, in units.
struct places {
  char *taken;
  size_t columns, rows;
};

// Whether a point is the first at its place; a series of many points looks the same without the others.
static bool is_first(const struct layout *l, struct places *places, double x, double y) {
  double column = l->panel_width * axis_part(&l->x, x), row = l->panel_height * axis_part(&l->y, y);
  if (!places->taken || !(column >= 0) || !(row >= 0)) return true;
  size_t c = (size_t)column, r = (size_t)row;
  if (c >= places->columns || r >= places->rows) return true;
  char *taken = &places->taken[r * places->columns + c];
  if (*taken) return false;
  *taken = 1;
  return true;
}

// The data block of a series: x, y, low, high per line, only points that the axes hold. Returns how many.
static size_t put_data(struct layout *l, const struct figure_series *s, size_t panel, size_t number) {
  enum { MANY = 400 };
  size_t count = 0;
  struct places places = {.columns = (size_t)l->panel_width + 1, .rows = (size_t)l->panel_height + 1};
  if (s->mark == MARK_POINTS && s->count > MANY)
    places.taken = arena_array(l->arena, places.columns * places.rows, sizeof *places.taken);
  if (s->label) put_remark(l, s->label);
  text_format(l->script, "$d%zu_%zu << EOD\n", panel, number);
  for (size_t i = 0; i < s->count; i++) {
    double x = s->x[i], low = s->low ? s->low[i] : NAN, high = s->high ? s->high[i] : NAN;
    const struct figure_axis *interval = s->mark == MARK_BARS ? &l->x : &l->y;
    bool has_interval = axis_holds(interval, low) && axis_holds(interval, high);
    double y = s->mark == MARK_BAND ? low : s->y[i];
    if (!axis_holds(&l->x, x) || !axis_holds(&l->y, y) || (s->mark == MARK_BAND && !has_interval)) continue;
    if (!has_interval && !is_first(l, &places, x, y)) continue;
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
      text_format(out, "%s$d%zu_%zu using 1:3:4 with filledcurves lc rgb '%s' fs transparent solid %s noborder", join,
                  panel, number, colour, band_opacity(s));
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

static void put_range(struct layout *l, char name, const struct figure_axis *axis) {
  text_format(l->script, "%s logscale %c\nset %crange [%.10g:%.10g]\n", axis->scale == SCALE_LOG ? "set" : "unset",
              name, name, axis->low, axis->high);
}

// The ticks of the axis x of the panel at hand, words where there is room for them.
static struct ticks ticks_of_x(const struct layout *l) {
  struct ticks ticks = axis_ticks(l->arena, &l->x, (int)(l->panel_width / 62));
  if (l->x.ticks != TICKS_NAMES) thin_labels(l, &ticks);
  return ticks;
}

static void put_panel(struct layout *l, size_t index) {
  const struct figure_panel *panel = &l->figure->panels[index];
  struct text *out = l->script;
  int column = (int)index % l->columns;
  double left, top;
  layout_corner(l, index, &left, &top);
  bool lowest = index + (size_t)l->columns >= l->figure->panel_count;
  if (panel->title) put_remark(l, arena_format(l->arena, "---- panel %s", panel->title));
  text_format(out, "set lmargin at screen %.5f\nset rmargin at screen %.5f\n", screen_x(l, left),
              screen_x(l, left + l->panel_width));
  text_format(out, "set tmargin at screen %.5f\nset bmargin at screen %.5f\n", screen_y(l, top),
              screen_y(l, top + l->panel_height));
  layout_panel(l, index);
  struct ticks x_ticks = ticks_of_x(l);
  put_ticks(l, "x", &l->x, &x_ticks, l->own_x || lowest);
  if (l->own_x) put_range(l, 'x', &l->x);
  if (l->own) put_range(l, 'y', &l->y);
  put_ticks(l, "y", &l->y, &l->y_ticks[index], l->own || column == 0);
  const char *lines[TITLE_LINES];
  int line_count = panel->title && l->figure->panel_count > 1 ? layout_title_lines(l, panel->title, lines) : 0;
  for (int i = 0; i < line_count; i++)
    put_label(l, lines[i], left, top - 12 - (line_count - 1 - i) * TITLE_LINE, "left", true, false, false);
  struct placed_note *notes = arena_array(l->arena, panel->note_count + 1, sizeof *notes);
  layout_notes(l, index, notes);
  for (size_t i = 0; i < panel->note_count; i++)
    if (notes[i].shown)
      put_label(l, panel->notes[i].text, left + notes[i].x - l->left, top + notes[i].y - l->top, "left", false,
                panel->notes[i].colour.palette == PALETTE_MUTED, false);
  bool *drawn = arena_array(l->arena, panel->count + 1, sizeof *drawn);
  for (size_t s = 0; s < panel->count; s++) drawn[s] = put_data(l, &panel->series[s], index, s) > 0;
  bool first = true;
  for (size_t s = 0; s < panel->count; s++)
    if (drawn[s]) put_series(l, &panel->series[s], index, s, &first);
  // An empty panel still shows its axes.
  if (first) text_add(out, "plot NaN notitle");
  text_add(out, "\nunset label\nunset arrow\nunset object\n");
}

bool figure_script(const struct figure *figure, const struct canvas *canvas, struct arena *arena, struct labels *labels,
                   struct text *script, struct size *size, struct error *error) {
  struct layout l;
  if (!layout_make(&l, figure, canvas, arena, error)) return false;
  l.labels = labels;
  l.script = script;
  *size = (struct size){l.width, l.height};
  text_format(
      script,
      "set multiplot\nunset key\nset border 3 lc rgb '%s' lw 1\nset grid xtics ytics back lc rgb '%s' lw 1 lt 1\n"
      "set bars 0.6\nset tics textcolor rgb '%s'\n",
      ink_muted.light, ink_grid.light, ink_muted.light);
  if (l.x.scale == SCALE_LOG) text_add(script, "set logscale x\n");
  if (l.y.scale == SCALE_LOG) text_add(script, "set logscale y\n");
  text_format(script, "set xrange [%.10g:%.10g]\nset yrange [%.10g:%.10g]\n", l.x.low, l.x.high, l.y.low, l.y.high);
  if (canvas->title && figure->title) put_label(&l, figure->title, l.left, 15, "left", true, false, false);
  double right = l.left + l.columns * l.panel_width + l.gap * (l.columns - 1), bottom = l.base - (l.x.label ? 52 : 28);
  if (l.x.label)
    put_label(&l, layout_title(&l, &l.x), (l.left + right) / 2, l.base - 14, "center", false, false, false);
  if (l.y.label) put_label(&l, layout_title(&l, &l.y), 12, (l.top + bottom) / 2, "center", false, false, true);
  draw_legend(&l);
  for (size_t p = 0; p < figure->panel_count; p++) put_panel(&l, p);
  text_add(script, "unset multiplot\n");
  return true;
}
