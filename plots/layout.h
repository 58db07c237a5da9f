// Where everything of a figure is placed, in units of which its letters are 13 high: the same for every way of drawing
// it. What a unit is on paper follows from the size of the text there, so that a narrow figure is laid out anew rather
// than shrunk.
#pragma once
#include "plots/internal.h"

enum { LINE = 19, GAP = 16, SAMPLE = 30 };  // SAMPLE: from an entry of the legend to its words

struct legend_entry {
  const char *label;
  const struct figure_series *points, *line;  // first series with marks, first with a line; one may be missing
  const struct figure_series *area;           // band or bars
  double x, y;                                // where it begins; the middle of its line
  bool direct;                                // its words stand at the end of its curve, without a sample
};

struct layout {
  const struct figure *figure;
  const struct canvas *canvas;
  struct figure_axis x, y;      // with limits, of the panel at hand (layout_panel)
  struct figure_axis *xs, *ys;  // of each panel
  struct ticks *y_ticks;
  bool own_x, own;  // panels have axes x, or y, of their own
  struct arena *arena;
  struct labels *labels;
  struct text *script;
  struct legend_entry *legend;
  size_t legend_count;
  enum figure_legend place;  // never LEGEND_AUTO
  int columns, rows;         // of panels
  double width, height, left, top, panel_width, panel_height, row_step, gap;
  double head;              // above the first panels' titles
  double title_x, title_y;  // of the legend; its right end where labels are direct
  double base;              // below the axes' titles
};

// An axis' title with its unit.
const char *layout_title(const struct layout *layout, const struct figure_axis *axis);
// The entries of the legend, of all panels.
void layout_legend(struct layout *layout);
// The width of a title, whose letters are bold.
double layout_title_width(const char *title);
// A panel's title in lines that its width has room for; what two lines do not hold ends in three dots. Returns how many
// there are.
enum { TITLE_LINES = 2, TITLE_LINE = 17 };
int layout_title_lines(const struct layout *layout, const char *title, const char *lines[TITLE_LINES]);
// Sizes and places; the axes have their limits, and y its ticks.
void layout_plan(struct layout *layout);
// The layout of a figure with limits, sizes and places, and the ticks of its axes y. Errors: see figure_svg.
bool layout_make(struct layout *layout, const struct figure *figure, const struct canvas *canvas, struct arena *arena,
                 struct error *error);
// Takes the panel's axes.
void layout_panel(struct layout *layout, size_t panel);
// Left and upper end of a panel.
void layout_corner(const struct layout *layout, size_t panel, double *left, double *top);
// ---- words in a panel (words.c), in the units of the first panel, for the axes of the panel at hand ----

struct box {
  double left, right, top, bottom;
};
bool layout_is_drawn(const struct layout *layout, const struct figure_series *series, size_t point);
bool layout_overlap(const struct box *a, const struct box *b);
// True when something that is drawn in the panel lies under the box: marks, their intervals, lines.
bool layout_covered(const struct layout *layout, size_t panel, const struct box *box);
// Where the panel's notes stand: at their sides, on the other ones or a little higher or lower where something is
// there.
struct placed_note {
  bool shown;
  double x, y;  // the left end of the words, and their middle
};
void layout_notes(struct layout *layout, size_t panel, struct placed_note *notes);

// Where a value of the panel's axes is drawn, when it is the only one.
double layout_at_x(const struct layout *layout, double x);
double layout_at_y(const struct layout *layout, double y);
