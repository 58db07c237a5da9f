// See layout.h.
#include "plots/layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NARROW = 560 };  // from here on downwards a legend takes too much of the width next to the panels

void layout_legend(struct layout *l) {
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
        *entry = (struct legend_entry){.label = series->label};
      }
      if (series->mark == MARK_POINTS && !entry->points) entry->points = series;
      if (series->mark == MARK_LINE && !entry->line) entry->line = series;
      if ((series->mark == MARK_BAND || series->mark == MARK_BARS) && !entry->area) entry->area = series;
    }
}

double layout_at_x(const struct layout *l, double x) { return l->left + l->panel_width * axis_part(&l->x, x); }

double layout_at_y(const struct layout *l, double y) { return l->top + l->panel_height * (1 - axis_part(&l->y, y)); }

// ---- labels at the ends of curves ----

const char *layout_title(const struct layout *l, const struct figure_axis *axis) {
  if (!axis->unit || !*axis->unit) return axis->label;
  return arena_format(l->arena, "%s (%s)", axis->label, axis->unit);
}

// The last point of the lines of an entry; false when it has none.
static bool end_of(const struct layout *l, const struct legend_entry *entry, double *x, double *y) {
  bool found = false;
  const struct figure_panel *panel = &l->figure->panels[0];
  for (size_t s = 0; s < panel->count; s++) {
    const struct figure_series *series = &panel->series[s];
    bool same = series->label && strcmp(series->label, entry->label) == 0;
    // A law's line has the colour of its points, and no label of its own.
    same |= !series->label && entry->points && series->mark == MARK_LINE && !series->dashed &&
            series->colour.palette == entry->points->colour.palette &&
            series->colour.index == entry->points->colour.index && series->colour.palette != PALETTE_MUTED;
    for (size_t i = 0; same && series->mark == MARK_LINE && i < series->count; i++) {
      if (!layout_is_drawn(l, series, i)) continue;
      if (found && layout_at_x(l, series->x[i]) <= *x) continue;
      *x = layout_at_x(l, series->x[i]);
      *y = layout_at_y(l, series->y[i]);
      found = true;
    }
  }
  return found;
}

static struct box words_at(const char *words, double x, double y) {
  return (struct box){x - 1, x + text_width(words), y - 7, y + 7};
}

// The title of direct labels: above the highest of them.
static bool place_title(struct layout *l, const struct box *boxes, double right) {
  const char *title = l->figure->legend;
  if (!title) return true;
  double top = INFINITY, width = layout_title_width(title);
  for (size_t i = 0; i < l->legend_count; i++)
    if (l->legend[i].direct) top = fmin(top, boxes[i].top);
  struct box box = {right - width, right, top - 16, top - 1};
  l->title_x = right - 2;
  l->title_y = top - 8;
  return box.top >= 0 && box.left >= l->left && !layout_covered(l, 0, &box);
}

// True when an entry stands for marks without a line.
static bool scattered(const struct layout *l, const struct legend_entry *entry) {
  const struct figure_panel *panel = &l->figure->panels[0];
  for (size_t s = 0; s < panel->count; s++) {
    const struct figure_series *series = &panel->series[s];
    if (series->label && series->mark == MARK_POINTS && series->count && strcmp(series->label, entry->label) == 0)
      return true;
  }
  return false;
}

// Places the words of each entry to the right of where its line ends; those of bands and remarks on marks go into a
// legend below. False when words would touch each other or something that is drawn, be far from their curve, or stand
// in the middle of the figure; or when marks without a line need a legend.
static bool place_directly(struct layout *l, double right) {
  enum { AWAY = 8, FARTHEST = 9 };
  static const double moves[] = {0, -3, 3, -6, 6, -FARTHEST, FARTHEST};
  struct box *boxes = arena_array(l->arena, l->legend_count + 1, sizeof *boxes);
  size_t placed = 0;
  for (size_t i = 0; i < l->legend_count; i++) {
    struct legend_entry *entry = &l->legend[i];
    double x, y;
    entry->direct = !entry->area && end_of(l, entry, &x, &y);
    if (!entry->direct && scattered(l, entry)) return false;
    if (!entry->direct) continue;
    if (x < l->left + 0.85 * l->panel_width) return false;
    bool fine = false;
    for (size_t m = 0; m < sizeof moves / sizeof *moves && !fine; m++) {
      boxes[i] = words_at(entry->label, x + AWAY, y + moves[m]);
      fine = boxes[i].right <= right && boxes[i].top >= 0 && boxes[i].bottom <= l->top + l->panel_height + 4 &&
             !layout_covered(l, 0, &boxes[i]);
      for (size_t k = 0; k < i && fine; k++) fine = !l->legend[k].direct || !layout_overlap(&boxes[i], &boxes[k]);
    }
    if (!fine) return false;
    entry->x = x + AWAY;
    entry->y = (boxes[i].top + boxes[i].bottom) / 2;
    placed++;
  }
  return placed > 0 && place_title(l, boxes, right);
}

// ---- sizes ----

static double widest_tick(const struct figure_axis *axis, const struct ticks *ticks) {
  double widest = 0;
  for (size_t i = 0; i < ticks->count; i++) {
    const char *text = axis->ticks == TICKS_NAMES ? axis->names[i] : ticks->items[i].text;
    widest = fmax(widest, text_width(text));
  }
  return widest;
}

static double widest_entry(const struct layout *l) {
  double width = 0;
  for (size_t i = 0; i < l->legend_count; i++) width = fmax(width, 34 + text_width(l->legend[i].label));
  return width;
}

// Panels in the room that is left of `right`.
static void plan_panels(struct layout *l, double right) {
  size_t panels = l->figure->panel_count;
  bool print = l->canvas->print;
  l->panel_width = (l->width - l->left - right - l->gap * (l->columns - 1)) / l->columns;
  double aspect = l->figure->aspect > 0 ? l->figure->aspect
                  : panels == 1         ? 0.62
                  : l->columns == 1     ? 0.4
                  : l->own              ? 0.5
                                        : 0.8;
  double row = l->y.name_count > 12 ? 16 : 26;
  l->panel_height = l->y.ticks == TICKS_NAMES ? 20 + row * (double)l->y.name_count : l->panel_width * aspect;
  if (panels == 1 && l->y.ticks != TICKS_NAMES) l->panel_height = fmin(fmax(l->panel_height, print ? 190 : 250), 340);
}

// The room for the panels' titles, whose width is known.
static double plan_titles(struct layout *l) {
  const char *lines[TITLE_LINES];
  int most = 0;
  for (size_t p = 0; l->figure->panel_count > 1 && p < l->figure->panel_count; p++) {
    const char *title = l->figure->panels[p].title;
    int count = title ? layout_title_lines(l, title, lines) : 1;
    most = count > most ? count : most;
  }
  double height = most ? 22 + (most - 1) * TITLE_LINE : 0;
  l->top = l->head + height;
  return height;
}

static void plan_rows(struct layout *l, double legend_height) {
  double panel_title = plan_titles(l);
  double between = panel_title + (l->own_x ? 28 : 10);
  l->row_step = l->panel_height + between;
  double all = l->row_step * l->rows - between;
  // The title of y, which is written upwards, needs its length.
  if (l->canvas->print && l->y.label) legend_height = fmax(legend_height, text_width(layout_title(l, &l->y)));
  if (all < legend_height) {
    l->panel_height += (legend_height - all) / l->rows;
    l->row_step += (legend_height - all) / l->rows;
    all = legend_height;
  }
  l->base = ceil(l->top + all + 28 + (l->x.label ? 24 : 0));
  l->height = l->base;
}

static void plan_right(struct layout *l) {
  double width = widest_entry(l);
  if (l->legend_count && l->figure->legend) width = fmax(width, layout_title_width(l->figure->legend));
  if (width > 0.42 * l->width) width = 0.42 * l->width;
  double right = l->place == LEGEND_RIGHT ? width + 24 : 22;
  plan_panels(l, right);
  double height = (double)l->legend_count * LINE + (l->figure->legend ? LINE + 3 : 0) + 8;
  plan_rows(l, l->place == LEGEND_RIGHT ? height : 0);
  l->title_x = l->width - right + 16;
  l->title_y = l->top + (l->figure->panels[0].title && l->figure->panel_count > 1 ? 2 : 6);
  double y = l->title_y + (l->figure->legend ? LINE + 3 : 0);
  for (size_t i = 0; i < l->legend_count; i++, y += LINE) {
    l->legend[i].x = l->title_x;
    l->legend[i].y = y;
  }
}

// The entries that have no place yet, in lines below the panels.
static void put_below(struct layout *l, double y) {
  double first = 12, x = first;
  size_t count = 0;
  for (size_t i = 0; i < l->legend_count; i++) {
    struct legend_entry *entry = &l->legend[i];
    if (entry->direct) continue;
    double width = SAMPLE + text_width(entry->label);
    if (x > first && x + width > l->width) {
      x = first;
      y += LINE;
    }
    entry->x = x;
    entry->y = y;
    x += width + 16;
    count++;
  }
  if (count) l->height = ceil(y + 12);
}

static void plan_below(struct layout *l) {
  plan_panels(l, 22);
  plan_rows(l, 0);
  l->title_x = 12;
  l->title_y = l->base + 12;
  put_below(l, l->title_y + (l->figure->legend ? LINE + 1 : 0));
}

static bool plan_directly(struct layout *l) {
  double widest = 0;
  if (l->figure->panel_count != 1 || l->legend_count == 0 || l->y.ticks == TICKS_NAMES) return false;
  // Where curves end depends on the panel's width, and that on how long the words are.
  plan_panels(l, 22);
  plan_rows(l, 0);
  for (size_t i = 0; i < l->legend_count; i++) {
    double x, y;
    if (!l->legend[i].area && end_of(l, &l->legend[i], &x, &y)) widest = fmax(widest, text_width(l->legend[i].label));
  }
  if (widest > 0.3 * l->width) return false;
  plan_panels(l, widest + 14);
  plan_rows(l, 0);
  if (place_directly(l, l->width)) {
    put_below(l, l->base + 12);
    return true;
  }
  for (size_t i = 0; i < l->legend_count; i++) l->legend[i].direct = false;
  return false;
}

void layout_plan(struct layout *l) {
  const struct canvas *canvas = l->canvas;
  size_t panels = l->figure->panel_count;
  bool narrow = canvas->print && canvas->width < NARROW;
  l->columns = panels == 1 || (narrow && l->own) ? 1 : panels <= 4 || narrow || l->own ? 2 : 3;
  l->rows = (int)((panels + (size_t)l->columns - 1) / (size_t)l->columns);
  l->width = canvas->width;
  double widest = 0;
  for (size_t p = 0; p < panels; p++) widest = fmax(widest, widest_tick(&l->ys[p], &l->y_ticks[p]));
  l->left = 12 + widest + (l->y.label ? 26 : 0);
  l->gap = GAP + (l->own ? widest + 4 : 0);
  l->head = canvas->title && l->figure->title ? 34 : 10;
  l->place = l->legend_count ? canvas->legend : LEGEND_NONE;
  if (l->place == LEGEND_AUTO || l->place == LEGEND_DIRECT) {
    if (plan_directly(l)) {
      l->place = LEGEND_DIRECT;
      return;
    }
    l->place = narrow ? LEGEND_BELOW : LEGEND_RIGHT;
  }
  if (l->place == LEGEND_BELOW)
    plan_below(l);
  else
    plan_right(l);
}

// The axes x of the panels, with limits; false where one has no data.
static bool plan_x(struct layout *l) {
  const struct figure *figure = l->figure;
  l->xs = arena_array(l->arena, figure->panel_count, sizeof *l->xs);
  bool limits = false;
  for (size_t p = 0; p < figure->panel_count; p++) {
    const struct figure_axis *own = figure->panels[p].x;
    if (!own && !limits && !axis_limits(&l->x, figure, false)) return false;
    limits |= !own;
    l->xs[p] = own ? *own : l->x;
    if (!own) continue;
    struct figure alone = *figure;
    alone.panels = &figure->panels[p];
    alone.panel_count = 1;
    if (!axis_limits(&l->xs[p], &alone, false)) return false;
    l->own_x = true;
  }
  return true;
}

// The axes y of the panels, with limits and ticks; false where one has no data.
static bool plan_y(struct layout *l) {
  const struct figure *figure = l->figure;
  int room = figure->panel_count > 1 ? 5 : 7;
  l->ys = arena_array(l->arena, figure->panel_count, sizeof *l->ys);
  l->y_ticks = arena_array(l->arena, figure->panel_count, sizeof *l->y_ticks);
  struct ticks shared = {0};
  bool limits = false;
  for (size_t p = 0; p < figure->panel_count; p++) {
    const struct figure_axis *own = figure->panels[p].y;
    if (!own && !limits) {
      if (!axis_limits(&l->y, figure, true)) return false;
      shared = axis_ticks(l->arena, &l->y, room);
      limits = true;
    }
    l->ys[p] = own ? *own : l->y;
    l->y_ticks[p] = shared;
    if (!own) continue;
    struct figure alone = *figure;
    alone.panels = &figure->panels[p];
    alone.panel_count = 1;
    if (!axis_limits(&l->ys[p], &alone, true)) return false;
    l->y_ticks[p] = axis_ticks(l->arena, &l->ys[p], room);
    l->own = true;
  }
  layout_panel(l, 0);
  return true;
}

void layout_panel(struct layout *l, size_t panel) {
  l->x = l->xs[panel];
  l->y = l->ys[panel];
}

bool layout_make(struct layout *layout, const struct figure *figure, const struct canvas *canvas, struct arena *arena,
                 struct error *error) {
  *layout = (struct layout){.figure = figure, .canvas = canvas, .x = figure->x, .y = figure->y, .arena = arena};
  if (figure->panel_count == 0 || !plan_x(layout) || !plan_y(layout))
    return error_set(error, EXIT_USAGE_ERROR, "figure %s has nothing to draw", figure->name);
  layout_legend(layout);
  layout_plan(layout);
  return true;
}

void layout_corner(const struct layout *layout, size_t panel, double *left, double *top) {
  *left = layout->left + (int)panel % layout->columns * (layout->panel_width + layout->gap);
  *top = layout->top + (int)panel / layout->columns * layout->row_step;
}
