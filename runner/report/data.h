// Everything a report says, gathered from the store, the spec and the stored fits, before a word of it is written:
// page.c makes HTML of it, json.c a JSON document.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "fitting/fitting.h"
#include "plots/plots.h"
#include "results/store.h"
#include "runner/fits/paired.h"
#include "runner/fits/standing.h"
#include "runner/report/faults.h"
#include "runner/spec/spec.h"

struct report_run {
  const char *id, *message, *format;
  enum run_state state;
  double parameters, tokens, flops, loss, bits_per_byte, oracle_loss, irreducible_loss, learning_rate;
  double wall_seconds, tokens_per_second, finished_at, epochs;
  size_t position;       // in the experiment
  size_t setting;        // runs with the same one differ in their seed alone; 0: not known
  struct value *values;  // of all run columns, in the order of report.columns
  struct plot_curve validation, training;
  struct plot_active active;  // where a figure shows it
  struct plot_metric *metrics;
  size_t metric_count;
};

// A sentence of the report that its reader must not miss.
struct report_finding {
  bool warning;  // else a note
  const char *text;
};

// One exponent (or E) of a law fitted to a synthetic source, next to what is known of it.
struct report_known {
  const char *name;     // "E", "alpha", "beta"
  const char *meaning;  // where the known value comes from
  bool exact;           // the known value binds the trained network too, not an idealized learner only
  double fitted, low, high, known;
  double with_known_e;  // the same coefficient, fitted with E held at its known value; NAN: not done
};

// A column of a law that is the same for all runs of a format (its errors, its bits).
struct report_constant {
  const char *format, *column;
  struct value value;
};

struct report_fit {
  const char *name, *law_name, *parameter_count;
  const struct spec_fit *entry;  // of the spec, or NULL
  bool made;                     // else the entry has not been fitted, and there is no result
  struct fit_result result;      // as the store has it
  double created_at;
  struct law law;
  bool law_loaded;
  const char *law_trouble;  // why it is not loaded
  const char *size_column;  // the store's column that N is
  const char *target;       // the column that the law predicts, "loss" for most
  double *observed;         // of each run in that column; NAN: it has none, or is not done
  struct report_constant *constants;
  size_t constant_count;
  const struct report_bands *bands;  // bands.c; NULL: not known
  double *predicted;                 // one a run, NAN where the law does not say
  bool *fitted, *held;               // one a run
  double largest_error;  // of a fitted run: |observed / predicted - 1|, or of laws whose errors are absolute
                         // (fit_errors_absolute) |observed - predicted|; NAN
  double mean_error;     // of the fitted runs, the same
  struct plot_effective *effective;
  size_t effective_count;
  struct plot_profile *profiles;
  size_t profile_count;
  struct plot_contour *contours;
  size_t contour_count;
  const char *exclusions;  // reasons with counts, "" when nothing was left out
  struct report_known *known;
  size_t known_count;
};

// The best learning rate of one size, token count and format, of at least three that were tried.
struct report_rate {
  const char *format;
  double parameters, tokens, rate, loss;  // loss: mean over the runs of that rate (seeds)
  double lowest, highest;                 // rates tried, diverged ones too
  size_t tried;
  bool edge;  // the best is the lowest or the highest
};

// An entry of method isoflop.
struct report_isoflop {
  const char *name;
  struct isoflop result;
  const char *trouble;  // why there is no result; NULL: there is
};

struct report_claim {
  const char *claim, *outcome, *detail;
};

// An entry of the spec's comparisons.
struct report_comparison {
  const char *name;
  struct paired result;
  const char *trouble;  // why there is no result; NULL: there is
};

// A figure that was asked for.
struct report_figure {
  const char *name, *fit;  // fit: of the figures that show one, or NULL
  struct figure figure;
  bool drawn;           // built: there is something to show
  const char *nothing;  // why not
  const char *fault;    // why its file could not be drawn all the same; NULL: it could, or nobody has tried
};

// What a stage made of a matrix, over the blocks: mean and largest relative error, mean error of the outputs, mean of
// the weighted error over its bound, bits, sparsity; NAN where it is not known.
enum { REPORT_MATRIX_NUMBERS = 7 };
struct report_matrix {
  const char *run, *matrix;
  double numbers[REPORT_MATRIX_NUMBERS];
};

// Runs of later stages.
struct report_stages {
  struct report_run *runs;
  size_t count;
  const struct run_field **axes;  // settings of stages that differ between them
  size_t axis_count;
  struct report_matrix *matrices;
  size_t matrix_count;
};

// One line of the environment: "host" and the values that runs have, with counts.
struct report_fact {
  const char *name, *text;
};

struct report {
  struct arena arena;  // owns everything but the fits' results and laws
  const char *name, *title, *about, *spec_path, *spec_text, *home;
  const char *preset;        // of the spec, that these runs are of; NULL: none
  const struct spec *spec;   // NULL: the stored text does not parse any more
  struct standing standing;  // in which states the runs of the file are
  bool every_figure;         // asked for: see report_gather_figures
  bool spec_changed;         // the file differs from what the runs were started with
  double created_at;         // of the experiment
  const char *const *columns;
  int column_count;
  struct report_run *runs;
  size_t count, states[RUN_STATES];
  size_t halved;                  // of the killed ones: stopped by halving
  const char *halved_words;       // how many, at which shares
  struct report_stages stages;    // what followed the trainings, which `runs` are
  const struct run_field **axes;  // run fields that differ between the runs
  size_t axis_count;
  struct report_fit *fits;
  size_t fit_count;
  struct report_isoflop *isoflops;
  size_t isoflop_count;
  struct report_rate *rates;
  size_t rate_count;
  struct report_claim *claims;
  size_t claim_count;
  struct report_comparison *comparisons;
  size_t comparison_count;
  struct plot_layer *layers;  // where a figure shows them
  size_t layer_count;
  const char *layer_words;
  struct report_figure *figures;
  size_t figure_count;
  struct report_finding *findings;
  size_t finding_count;
  struct report_fact *facts;
  size_t fact_count;
  const struct report_run *best;  // lowest loss, or NULL
  const struct task *task;        // of the runs; NULL: they train language models
  const char *outcome;            // the column that the runs' `loss` is of: "loss", of a table what its law predicts
  const char *source;             // the table that the report is of; NULL: of an experiment
  const char *command;            // of the report of a table: what makes it again; NULL: of an experiment
};

// Gathers the report of experiment `name`. `spec` may be NULL; `spec_text` is what the spec file holds now, or NULL
// when the report was asked for by the experiment's name.
bool report_gather(struct report *report, struct store *store, const char *name, const struct spec *spec,
                   const char *spec_text, struct error *error);
void report_free(struct report *report);

// The states in the order that reports list them: the ends first, then what is under way.
enum run_state report_state(int place);
int report_column(const struct report *report, const char *name);  // its index in report.columns, or -1
struct value report_get(const struct report *report, const struct report_run *run, const char *column);
double report_number(const struct report *report, const struct report_run *run, const char *column);     // or NAN
const char *report_text(const struct report *report, const struct report_run *run, const char *column);  // or NULL
// What the numbers of the report are called: for the fit, or NULL: for its runs.
struct measures report_measures(const struct report *report, const struct report_fit *fit);
void report_say(struct report *report, bool warning, const char *format, ...) __attribute__((format(printf, 3, 4)));

// settings.c: which runs differ in their seed alone.
void report_gather_settings(struct report *report);
// fits.c: the stored fits, their predictions for the runs, the figures' law.
bool report_gather_fits(struct report *report, struct store *store, struct error *error);
// Adds a fit by its document (fit_result_json).
bool report_add_fit(struct report *report, const char *name, const char *law, const char *document,
                    struct error *error);
// By how much the run is off the law, relative to what the law says or as it is (largest_error).
double report_error(const struct report_fit *fit, size_t run);
double report_law(const void *fit, const char *format, double parameters, double tokens);
// Effective parameters per parameter for formats of these errors: the factor on N that gives the same loss without
// errors. Of a law in gmse_weights.
double report_capacity(const void *fit, double gmse_weights, double gmse_activations);
bool report_has_capacity(const struct report_fit *fit);
// What figures show of a fit that its document has: profiles and joint regions (drawn.c).
void report_draw_fit(struct report *report, struct report_fit *fit);
// bands.c: whether the fit has intervals at any place (its `bands`); then half the width of the law's and of a new
// run's at one, a plot_band_function whose context is the fit: about the law's value as far below as above where the
// fit's residual is the plain difference, else in the logarithm.
void report_gather_bands(struct report *report, struct report_fit *fit);
bool report_band(const void *fit, const char *format, double parameters, double tokens, struct plot_band *band);
// known.c: for synthetic sources, what is known next to what was fitted.
bool report_gather_known(struct report *report, struct store *store, struct error *error);
// isoflop.c: compute-optimal sizes, from the runs.
void report_gather_isoflops(struct report *report, struct store *store);
// comparisons.c: those of the spec, each with its figure; behind the other figures.
void report_gather_comparisons(struct report *report, struct store *store);
// stages.c: more of the runs of later stages.
bool report_gather_stages(struct report *report, struct store *store, struct error *error);
// rates.c: best learning rates, where rates were compared.
void report_gather_rates(struct report *report);
// findings.c: what the reader must know; and the environment.
void report_find(struct report *report);
void report_environment(struct report *report);
// figures.c: those that the spec names, or the usual ones for these runs; all that there are for every_figure. Without
// a store (a table's report) those of logs and stages have nothing to show.
bool report_gather_figures(struct report *report, struct store *store, struct error *error);
// plotted.c: what single figures show, of runs that prune, of metrics of solutions and of the matrices of stages.
bool report_gather_active(struct report *report, struct store *store, struct error *error);
bool report_gather_metrics(struct report *report, struct store *store, struct error *error);
bool report_gather_layers(struct report *report, struct store *store, struct error *error);

// page.c: the HTML page; without `draw` its figures are empty. json.c: the JSON document.
bool report_page(const struct report *report, bool draw, struct text *out, struct error *error);
// What a written report is of, as the first lines of its file say: digests of the spec's path and text, or of a
// table's. In the arena.
const char *report_mark(const struct report *report, struct arena *arena);
void report_json(const struct report *report, const char *path, struct text *out);

enum report_form { REPORT_HTML, REPORT_MARKDOWN, REPORT_LATEX };
extern const char *const report_forms[];      // "html", "markdown", "latex", NULL
extern const char *const report_form_ends[];  // ".html", ".md", ".tex"

// Where figures are written to, and as what.
struct report_figures {
  const char *folder;       // NULL: nowhere
  const struct paper *pdf;  // how they are laid out as PDF; NULL: SVG for screens
};

// convert.c: the page, drawn without figures, in another form. LaTeX is to be taken in by \input: it needs booktabs,
// longtable and graphicx. Figures are named as files of their folder, if they have one.
void report_convert(const char *page, enum report_form form, const struct report_figures *figures, struct text *out);
// files.c: the report, in a folder that is made where it is missing; the figures, each path on standard error. A figure
// that fails is among the faults, and in the report, which is written after them, its place says why it is missing.
bool report_write(const struct report *report, const char *path, enum report_form form,
                  const struct report_figures *figures, struct error *error);
void report_write_figures(struct report *report, const struct report_figures *figures, struct figure_faults *faults);
// The name that a figure has among all of the report: with its fit's where there are several.
const char *report_figure_name(const struct report_figure *figure);
// False when the file is there and is not a report of the same spec or table (EXIT_USAGE_ERROR).
bool report_may_replace(const struct report *report, const char *path, struct error *error);
// A file's name from any text: letters, digits, dots, dashes and underlines only. In the arena.
char *report_file_stem(struct arena *arena, const char *name);
