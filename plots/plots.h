// Figures. Two layers: a figure from plain data (axes, panels, series), drawn by gnuplot to SVG; and the figures that
// isoloss knows by name (loss-curves, loss-vs-parameters, ...), built from runs and a fitted law. plots/ knows neither
// the store nor the fitter: whoever reports fills struct plot_data.
//
// The same figure gives the same bytes on every run (golden-testable): gnuplot is started without its start-up files
// and in the C locale, and what its SVG says of the program's version is taken out.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "results/measures.h"

// ---- a figure from plain data ----

enum figure_scale { SCALE_LINEAR, SCALE_LOG };

enum figure_ticks {
  TICKS_PLAIN,    // 2.5, 3, 3.5
  TICKS_COUNT,    // 10k, 100k, 1M, 1B: parameters, tokens
  TICKS_POWER,    // 10¹², 10¹³: FLOPs
  TICKS_PERCENT,  // data in percent: -2 %, 0 %, 2 %
  TICKS_NAMES,    // names[i] is at i (linear scale)
};

struct figure_axis {
  const char *label;  // "non-embedding parameters"; NULL: none
  const char *unit;   // "nats/token": printed in parentheses after the label; NULL or "": none
  enum figure_scale scale;
  enum figure_ticks ticks;
  double low, high;          // NAN: from the data, with a margin
  const char *const *names;  // TICKS_NAMES
  size_t name_count;
  const double *marks;  // the labelled ticks, ascending; NULL: chosen from the limits
  size_t mark_count;
  double least, most;  // values whose size is outside are not drawn, nor do they set limits; 0, 0: found from the data
};
// An axis whose limits follow from the data.
struct figure_axis figure_axis(const char *label, const char *unit, enum figure_scale scale, enum figure_ticks ticks);

enum figure_mark {
  MARK_POINTS,  // with a vertical interval where low and high are given
  MARK_LINE,
  MARK_BAND,  // filled between low and high
  MARK_BARS,  // horizontal bars from the axis' low end (or 0) to x at height y, with the interval low..high in x
};

// Colours: a palette for unordered categories (Okabe-Ito, safe for colour-blind readers), one for ordered series (dark
// to light viridis; `index` of `count` steps), and the ink of text and reference lines.
enum figure_palette { PALETTE_CATEGORY, PALETTE_ORDERED, PALETTE_INK, PALETTE_MUTED };
struct figure_colour {
  enum figure_palette palette;
  int index, count;  // count: of the ordered palette
};

struct figure_series {
  enum figure_mark mark;
  const char *label;  // in the legend; NULL: not there. Several series may share one label: it is listed once
  struct figure_colour colour;
  int shape;          // of points: 0 circle, 1 square, 2 triangle, 3 diamond, 4 triangle down, 5 pentagon, then again
  bool hollow;        // points: only the outline (held out, excluded)
  bool dashed, thin;  // lines
  bool strong;        // bands: a region that is to be seen, not the shade around a line
  bool legend_line;   // points: the legend shows a line through the mark (points and a law's line in one colour)
  size_t count;
  const double *x, *y;       // MARK_BAND: y is not read
  const double *low, *high;  // interval or band; NULL: none. Values that are not finite (or, on a logarithmic axis, not
                             // positive) are left out point by point
};

// A few words at a place in the data's coordinates.
struct figure_note {
  const char *text;
  double x, y;
  enum { NOTE_LEFT, NOTE_CENTRE, NOTE_RIGHT } align;  // where the place is, seen from the text
  struct figure_colour colour;
};

// Where a run is drawn: a mark (one place), or a curve. Several runs may have one place (a mean over seeds).
struct figure_target {
  size_t run;  // its index in the data that the figure was built from
  size_t count;
  const double *x, *y;  // of a series of the panel
};

struct figure_panel {
  const char *title;  // NULL when there is one panel
  const struct figure_series *series;
  size_t count;
  const struct figure_note *notes;
  size_t note_count;
  const struct figure_target *targets;
  size_t target_count;
  const struct figure_axis *x, *y;  // its own in place of the figure's, whose title is the panel's; NULL: the figure's
};

struct figure {
  const char *name;         // file name stem and prefix of the SVG's ids: letters, digits, '-'
  const char *title;        // drawn above the figure in files; the report puts it into HTML
  const char *caption;      // a sentence or two: not drawn; the text for readers who do not see the figure
  const char *legend;       // title of the legend, or NULL
  struct figure_axis x, y;  // shared by the panels, but where they have their own
  const struct figure_panel *panels;
  size_t panel_count;
  double aspect;  // height over width of a panel; 0: 0.62
};

enum figure_style {
  FIGURE_FILE,    // a whole SVG file: white ground, title drawn, fixed colours
  FIGURE_INLINE,  // an <svg> element for HTML: no title, ids prefixed with the figure's name, colours as CSS
                  // variables (--figure-ink, --figure-c1, ... with the file's colours as fallback), so that a page can
                  // be dark
};

// Appends the figure as SVG; inline, a figure that cannot be drawn costs itself alone: an HTML paragraph says why.
// Errors of a file: gnuplot failing or missing (EXIT_ENVIRONMENT); a figure without panels or with nothing finite in it
// (EXIT_USAGE_ERROR). Labels may hold any text: gnuplot never sees them.
bool figure_svg(const struct figure *figure, enum figure_style style, struct text *out, struct error *error);
// Writes FOLDER/NAME.svg (FIGURE_FILE), atomically.
bool figure_write(const struct figure *figure, const char *folder, struct error *error);

// ---- figures for paper ----

enum figure_format { FIGURE_PDF, FIGURE_SVG, FIGURE_PNG, FIGURE_TIKZ, FIGURE_FORMATS };
extern const char *const figure_format_names[];  // "pdf", "svg", "png", "tikz", NULL: the ends of files, but for tikz
const char *figure_format_end(enum figure_format format);  // ".pdf", ".tex"

enum figure_legend {
  LEGEND_AUTO,    // words at the ends of curves where they fit, else right of the panels, on narrow paper below
  LEGEND_DIRECT,  // as LEGEND_AUTO
  LEGEND_RIGHT,
  LEGEND_BELOW,
  LEGEND_NONE,
};

// How a figure is printed. Its layout follows from how many letters fit into its width: text has the size that is asked
// for at the printed width, and nothing is scaled.
struct figure_print {
  double width;      // in inches
  double text;       // size of the text in points
  const char *font;  // name of the font's family; NULL: a sans serif one
  bool title;        // drawn above the figure; on paper the caption says it
  enum figure_legend legend;
  double dots;  // per inch, of PNG
};
// Appends the figure in the format. PDF has its fonts embedded (by gnuplot's pdfcairo terminal); TikZ is a tikzpicture
// for \input, whose text is in the document's own font. Errors as figure_svg.
bool figure_draw(const struct figure *figure, const struct figure_print *print, enum figure_format format,
                 struct text *out, struct error *error);
// Appends a gnuplot script that draws the figure as NAME.pdf, to be edited: words and data are in it.
bool figure_gnuplot(const struct figure *figure, const struct figure_print *print, struct text *out,
                    struct error *error);
// Appends what is drawn as CSV: panel, series, kind (points, line, band, bars), x, y, low, high; fields that are not
// there are empty. Numbers are the shortest that mean themselves.
void figure_csv(const struct figure *figure, struct text *out);

// Appends the attributes data-marks and data-curves, each with a space before it, which say where in the coordinates of
// the inline figure (figure_svg) its runs are drawn: "RUN,X,Y ..." and "RUN:X,Y X,Y ...;..."; whole numbers. Nothing of
// a figure without targets, or that cannot be laid out.
void figure_targets(const struct figure *figure, struct text *out);

// What TeX writes for a sign that the text begins with and that it reads otherwise, or whose fonts may lack it; returns
// the bytes of the sign, 0 for any other.
size_t tex_sign(const char *text, const char **tex);

// CSS that gives the variables of inline figures their values, for light and dark pages and for print.
void figure_css(struct text *out);
// The colour of a format, which it has in every figure: "c3" of the variable --figure-c3.
const char *figure_format_variable(const char *format);
// How many points are left out of the figure, since they lie so far from the others (or from what can be drawn) that an
// axis would show nothing else; *example (may be NULL): the first of them in the direction of y, else of x.
size_t figure_left_out(const struct figure *figure, double *example);
// Appends text so that it means itself in HTML and XML, in content and in quoted attributes. Bytes that are not UTF-8
// and control characters become U+FFFD.
void markup_escape(struct text *out, const char *text);

// ---- the figures with names ----

struct plot_curve {
  size_t count;
  const double *tokens, *loss;  // ascending tokens
};

// How many parameters are not zero, over the training tokens.
struct plot_active {
  size_t count;
  const double *tokens, *active;  // ascending tokens
};

// A metric of the solution (docs/metrics.md) over the training tokens.
struct plot_metric {
  const char *name;  // "weight_stable_rank"
  size_t count;
  const double *tokens, *values;  // ascending tokens
};

// Draft trees of speculative decoding; nodes not positive: the run grew none.
struct plot_draft {
  double nodes, accepted;  // accepted tokens per verification step
  double mu;               // mean entropy of the next-token laws, in nats
  double renewal, bound;   // what theory says of accepted
};

struct plot_run {
  const char *id;
  const char *format;         // "none" for full precision
  double parameters, tokens;  // N and D as the fit counts them
  double flops, learning_rate;
  double weight_bytes, seconds;  // of the stored weights; of training; NAN: not known
  double loss;                   // the outcome of plot_data.measures, mostly the final loss; NAN when there is none
  double predicted;              // the same by the fitted law; NAN without a fit
  bool fitted;                   // took part in the fit
  bool held_out;                 // kept from the fit to test it
  size_t setting;                // runs with the same one differ in their seed alone; 0: not known
  double bits[3];                // stored, of a weight, an activation, a gradient; not positive: not known
  struct plot_curve validation, training;
  struct plot_active active;  // of runs that prune
  const char *optimizer;      // NULL: not known
  const struct plot_metric *metrics;
  size_t metric_count;
  struct plot_draft draft;
};

// What stages made of one matrix of the models: the mean over runs that are shown as one, with the least and the most.
enum plot_layer_number { LAYER_ERROR, LAYER_BITS, LAYER_SPARSITY, LAYER_NUMBERS };
struct plot_layer {
  const char *group;   // which runs: "gptq, 3 bits"
  int block;           // from 0
  const char *matrix;  // "q", "down"
  struct {
    double mean, least, most;  // NAN: not known
    size_t count;
  } numbers[LAYER_NUMBERS];  // error over the method's bound, stored bits a weight, share of zeros
};

// The fitted law as a curve: the loss at (format, N, D), or NAN where the law does not say.
typedef double plot_law_function(const void *context, const char *format, double parameters, double tokens);

struct plot_effective {
  const char *format;
  double value, low, high;  // effective parameters per parameter; low and high NAN without an interval
  // Mean squared error of the format on Gaussian data, by operand: 0 where exact, NAN where not known.
  double gmse_weights, gmse_activations, gmse_gradients;
  double weight_bits;  // stored per weight; NAN: not known
};

// The profile likelihood of one parameter, by ascending value.
struct plot_profile {
  const char *name;
  double estimate;
  size_t count;
  const double *values, *ratios;  // ratio: the likelihood-ratio statistic over its threshold, 1 at an interval's end
};

// The region of two coefficients together (fitting's fit_contour): lines around the estimate, and resamples.
enum { PLOT_CONTOUR_LINES = 2 };
struct plot_pair {
  double x, y;
  bool open;  // of a line: no end in this direction
};
struct plot_contour {
  const char *x_name, *y_name;
  struct plot_pair estimate;
  double levels[PLOT_CONTOUR_LINES];                  // confidence, ascending
  const struct plot_pair *lines[PLOT_CONTOUR_LINES];  // [point_count], once around
  size_t point_count;
  const struct plot_pair *resamples;
  size_t resample_count;
};

// Effective parameters per parameter of formats with these errors, by a law in them; NAN where it does not say.
typedef double plot_capacity_function(const void *context, double gmse_weights, double gmse_activations);

// How well the law is known at a place: its confidence interval, and the interval of a new run there, in the unit of
// the loss. False where that is not known.
struct plot_band {
  double law[2], run[2];  // the lower and the upper end of each
};
typedef bool plot_band_function(const void *context, const char *format, double parameters, double tokens,
                                struct plot_band *band);

// The law fitted to a part of the rows, and how it predicts those further out.
struct plot_rollout {
  const char *column;               // "parameters", "tokens", "flops"
  double farthest, error, largest;  // times outside; mean and largest relative error, NAN without
};

struct plot_fit {
  const char *name, *law;
  plot_law_function *evaluate;  // NULL: points only
  plot_band_function *band;     // NULL: intervals are not known
  double confidence;            // of the intervals: 0.95
  const struct plot_rollout *rollouts;
  size_t rollout_count;
  const void *context;
  plot_capacity_function *capacity;        // NULL: the law is none in the formats' errors
  const struct plot_effective *effective;  // effective-parameters law: one per format, else none (rho-vs-gmse: of a
                                           // fit next to this one)
  size_t effective_count;
  const struct plot_profile *profiles;
  size_t profile_count;
  const struct plot_contour *contours;
  size_t contour_count;
  // What the runs do not determine: a coefficient of the law, and the factors of formats, by their names.
  const char *open_coefficient;  // NULL: none
  const char *const *open_formats;
  size_t open_format_count;
};

struct plot_data {
  const struct plot_run *runs;
  size_t count;
  const struct plot_fit *fit;       // NULL: no fit
  const struct measures *measures;  // what N, D and the loss are called, and units; NULL: those of trainings
  double irreducible_loss;          // closed form of a synthetic source, or NAN: drawn as a line in loss-curves
  const struct plot_layer *layers;  // of one group after the other, each by block and in the order of the model
  size_t layer_count;
  const char *layer_words;  // what the groups are means over: "seeds", or NULL
};

struct plot_kind {
  const char *name, *help;
  bool by_default;
  bool of_fit;  // shows a fit, so that there is one a fit
};
// loss-curves, loss-vs-parameters, ...; ends with a NULL name.
extern const struct plot_kind plot_kinds[];
const struct plot_kind *plot_find(const char *name, const char **nearest);  // as field_find

// Builds the figure `name` (all of it owned by the arena). False with the reason in *nothing ("no run has finished")
// when these data do not give one.
bool plot_build(struct arena *arena, const char *name, const struct plot_data *data, struct figure *figure,
                const char **nothing);
