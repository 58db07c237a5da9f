// What the builders of the figures with names share: levels of a quantity, formats as panels, growing series.
#pragma once
#include "plots/internal.h"

// Distinct values of a quantity, ascending; values nearer than a tolerance are one level. With too many of them for one
// figure, a few that span the range are drawn for the nearest (approximate).
struct levels {
  double *values;
  size_t count;
  bool approximate;
};
struct levels levels_of(struct arena *arena, const double *values, size_t count, double tolerance, size_t most);
size_t level_of(const struct levels *levels, double value);  // nearest, in the logarithm
struct figure_colour level_colour(const struct levels *levels, size_t level);

// What shades the runs of a figure: model size; tokens when all have one size; the learning rate when tokens are one
// too.
struct shade {
  struct levels levels;
  double *values;  // per run of the data
  const char *title;
  enum figure_ticks ticks;
};
struct shade shade_of_runs(struct arena *arena, const struct plot_data *data);
// NULL when the legend would get too long and this level is left out of it.
const char *level_label(struct arena *arena, const struct levels *levels, size_t level, enum figure_ticks ticks);

// The formats of the runs, "none" first, then as they appear.
struct formats {
  const char **names;
  size_t count;
};
struct formats formats_of(struct arena *arena, const struct plot_data *data);

// How a format is drawn: a colour that is its own in every figure, and a mark.
struct look {
  struct figure_colour colour;
  int shape;
};
struct look format_look(const char *name);
// The looks of several in one figure, where no two are the same as long as there are marks left.
struct look *format_looks(struct arena *arena, const char *const *names, size_t count);

// Panels and series that grow.
struct drawing {
  struct arena *arena;
  struct figure *figure;
  struct figure_panel *panels;
  size_t panel_count;
};
struct figure_panel *drawing_panel(struct drawing *drawing, const char *title);
// A series with room for `capacity` points in the panel (the last one added); count starts at 0.
struct figure_series *drawing_series(struct drawing *drawing, enum figure_mark mark, size_t capacity);
void series_point(struct figure_series *series, double x, double y);
void drawing_note(struct drawing *drawing, const char *text, double x, double y, int align);
void drawing_end(struct drawing *drawing);
// Says that `count` points of the series, which is in the panel (the last one added), from `first` on, show the run.
void drawing_target(struct drawing *drawing, size_t run, const struct figure_series *series, size_t first,
                    size_t count);

// A run's place, and which runs it differs from in its seed alone (plot_run's setting).
struct sample {
  size_t setting, run;  // run: its index in the data
  double x, y;
};
// Adds a point for each setting: the mean of its samples with the 95 % interval of the mean (Student's t), or the
// sample itself where it is the only one. Sorts the samples; returns how many points are means. The series must have
// room. Each run is a target at its point.
size_t series_means(struct drawing *drawing, struct figure_series *series, struct sample *samples, size_t count);
extern const char means_words[];  // for the caption of a figure with means

// What the data's numbers are called.
struct measures words_of(const struct plot_data *data);
// Axes, with the measure's name and unit.
struct figure_axis measure_axis(const struct measure *measure, enum figure_scale scale, enum figure_ticks ticks);
struct figure_axis size_axis(const struct plot_data *data);
struct figure_axis outcome_axis(const struct plot_data *data);
// "Loss against model size". Names of columns stay as they are: "boolean.accuracy against weights".
const char *against_title(struct arena *arena, const char *outcome, const char *other);
// False, with the reason in *nothing, where the outcome is no loss, so that the lowest is not the best.
bool of_losses(struct arena *arena, const struct plot_data *data, const char **nothing);
bool has_loss(const struct plot_run *run);
// In a figure with a fit: neither fitted nor held out.
bool outside_fit(const struct plot_data *data, const struct plot_run *run);
