// What a figure shows, as CSV.
#include <math.h>
#include <string.h>

#include "plots/internal.h"

static void put_field(struct text *out, const char *text) {
  if (!text) return;
  if (!strpbrk(text, ",\"\r\n")) {
    text_add(out, text);
    return;
  }
  text_char(out, '"');
  for (const char *c = text; *c; c++) {
    if (*c == '"') text_char(out, '"');
    text_char(out, *c);
  }
  text_char(out, '"');
}

static void put_number(struct text *out, double value) {
  char number[32];
  text_char(out, ',');
  if (!isfinite(value)) return;
  number_shortest(value, number);
  text_add(out, number);
}

static void put_series(const struct figure *figure, const struct figure_panel *panel,
                       const struct figure_series *series, struct text *out) {
  static const char *const kinds[] = {"points", "line", "band", "bars"};
  bool names = figure->y.ticks == TICKS_NAMES;
  for (size_t i = 0; i < series->count; i++) {
    put_field(out, panel->title);
    text_char(out, ',');
    // A bar is of the name it is at.
    size_t name = names && series->mark == MARK_BARS ? (size_t)series->y[i] : SIZE_MAX;
    put_field(out, name < figure->y.name_count ? figure->y.names[name] : series->label);
    text_format(out, ",%s", kinds[series->mark]);
    put_number(out, series->x[i]);
    put_number(out, series->mark == MARK_BAND || !series->y ? NAN : series->y[i]);
    put_number(out, series->low ? series->low[i] : NAN);
    put_number(out, series->high ? series->high[i] : NAN);
    text_char(out, '\n');
  }
}

void figure_csv(const struct figure *figure, struct text *out) {
  text_add(out, "panel,series,kind,x,y,low,high\n");
  for (size_t p = 0; p < figure->panel_count; p++)
    for (size_t s = 0; s < figure->panels[p].count; s++)
      put_series(figure, &figure->panels[p], &figure->panels[p].series[s], out);
}
