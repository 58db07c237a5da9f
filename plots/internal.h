// What the files of plots/ share among themselves.
#pragma once
#include "plots/plots.h"

enum { TEXT_UNITS = 13 };  // the height of letters, in the units of a layout
enum { ORDERED_STEPS = 16, CATEGORY_COLOURS = 8 };

// One colour: its CSS variable, its value on white and on a dark page.
struct ink {
  const char *name, *light, *dark;
};
extern const struct ink ink_text, ink_muted, ink_grid, ink_paper;
const struct ink *ink_of(struct figure_colour colour);
const struct ink *ink_by_light(const char *hex);  // the ink with this value on white, or NULL

// Text of a figure never passes through gnuplot: the script holds "L0007L" and the rewriter puts the words in its
// place.
struct label {
  const char *text;
  bool bold, muted;
};
struct labels {
  struct arena *arena;
  struct label *items;
  size_t count;
};
enum { LABEL_LENGTH = 6 };
// Keeps the label and returns its stand-in.
const char *label_add(struct labels *labels, const char *text, bool bold, bool muted);

struct tick {
  double value;
  char text[40];  // empty: a minor tick
};
struct ticks {
  struct tick *items;
  size_t count;
};
// Ticks of an axis whose limits are set, with labels; `room` is about how many labels fit.
struct ticks axis_ticks(struct arena *arena, const struct figure_axis *axis, int room);
// Sets limits that are NAN from the data of all panels; false when the axis has no finite data and no limits.
bool axis_limits(struct figure_axis *axis, const struct figure *figure, bool vertical);
// Between which sizes values can share an axis with most of these, which are positive. Sorts them.
void sizes_window(double *sizes, size_t count, double *least, double *most);
// Finds which values the axis shows, unless that is set.
void axis_window(struct figure_axis *axis, const struct figure *figure, bool vertical);
// True when the axis holds the value.
bool axis_holds(const struct figure_axis *axis, double value);
// Where a value is between the axis' low end (0) and its high end (1).
double axis_part(const struct figure_axis *axis, double value);
// A number as the axis writes it: "20k", "10¹²", "2.5".
void axis_number(enum figure_ticks ticks, double value, char out[40]);

// Width of text in pixels at the figure's font size, roughly (sans serif).
double text_width(const char *text);

// What a figure is laid out on.
struct canvas {
  double width;  // in units of which letters are 13 high
  bool title;    // drawn
  bool print;    // for paper: narrow figures have their own layout
  bool words;    // are in the script, else stand-ins are
  enum figure_legend legend;
};
struct size {
  double width, height;
};
extern const struct canvas canvas_of_page;
// The commands of the figure's gnuplot script, without its terminal; its words are in `labels`, or in it.
bool figure_script(const struct figure *figure, const struct canvas *canvas, struct arena *arena, struct labels *labels,
                   struct text *script, struct size *size, struct error *error);
// Runs gnuplot (no shell, no start-up files, C locale) on the script; appends what it prints. *missing: the error is
// that there is no gnuplot.
bool gnuplot_run(const struct text *script, struct text *out, bool *missing, struct error *error);
// Runs gnuplot on the figure: its SVG, whose words are stand-ins.
bool figure_raw(const struct figure *figure, const struct canvas *canvas, struct arena *arena, struct labels *labels,
                struct text *raw, struct size *size, struct error *error);

// What kind of drawing is made of gnuplot's.
struct drawing_kind {
  bool tikz;                   // else SVG
  bool inline_in_html;         // an <svg> element with variables for colours; else a file
  const char *width, *height;  // of a file, with units: "3.3in"; NULL: as many pixels as units
  const char *font;            // of a file of SVG: before those that there always are
  double unit;                 // TikZ: in points
};
// Turns gnuplot's SVG into ours: no ids, no program version, our marks, words and colours.
bool svg_rewrite(const struct figure *figure, const struct drawing_kind *kind, const struct text *raw,
                 const struct labels *labels, struct text *out, struct error *error);

// Shortens long names of formats in legends, titles of panels and rows, as far as they stay different.
void figure_shorten_names(struct figure *figure, struct arena *arena);

// Building the figures with names (plot_*.c). Each returns false with *nothing set when there is nothing to draw.
typedef bool plot_builder(struct arena *arena, const struct plot_data *data, struct figure *figure,
                          const char **nothing);
plot_builder plot_loss_curves, plot_loss_vs_parameters, plot_loss_vs_tokens, plot_loss_vs_compute,
    plot_predicted_vs_observed, plot_residuals, plot_effective_parameters, plot_effective_vs_bits, plot_profiles,
    plot_pareto, plot_pareto_bytes, plot_pareto_seconds, plot_loss_vs_learning_rate, plot_rho_vs_gmse,
    plot_loss_curves_end, plot_best_format, plot_precision_regions, plot_product_rule, plot_rollouts,
    plot_density_vs_compute, plot_layer_errors, plot_layer_bits, plot_layer_sparsity, plot_metrics, plot_contours,
    plot_bootstrap_scatter, plot_scaling_collapse, plot_drafts_vs_nodes, plot_drafts_vs_size;
