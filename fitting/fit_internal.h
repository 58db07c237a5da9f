// A fit in the making, as the files that make it see it: setup (fit_setup.c), search for the minimum (fit_search.c),
// GSL's minimizers (fit_gsl.c), refits on other weights (fit_refit.c), resampling (fit_bootstrap.c), intervals
// (fit_interval.c), what follows from the coefficients (fit_derived.c, fit_identify.c); and the diagnosis: scale of the
// errors (fit_scale.c), profiles (fit_profile.c), flat directions (fit_direction.c), influence (fit_influence.c), other
// objectives (fit_sensitivity.c), trends of the residuals (fit_trend.c), prediction of what is left out
// (fit_leave_out.c). Beside the rows: priors (fit_prior.c) and partial pooling (fit_pool.c), weighed by the fit of the
// rows alone (fit_alone.c); a grid for the minimum (fit_global.c).
#pragma once
#include "fitting/fit_data_internal.h"
#include "fitting/fitting.h"
#include "fitting/problem_internal.h"

// Chooses rows, elements and stages and compiles the programs.
bool fit_setup(struct fit *fit, struct error *error);

// False with an error when the options ask for a fit by the values of a column and the rows have several of them.
bool fit_check_part(const struct fit *fit, struct error *error);
// The error of an option that names no coefficient of this fit, with the nearest name.
bool fit_unknown_coefficient(const struct fit *fit, const char *option, const char *name, struct error *error);
// Ties and bounds of the options, on the elements there are.
bool fit_tie(struct fit *fit, struct error *error);
bool fit_bound(struct fit *fit, struct error *error);
// False with an error when a tie joins what is fitted in different stages.
bool fit_check_tied_stages(const struct fit *fit, struct error *error);
// Tied coefficients get the values of those that they are tied to.
void fit_copy_ties(const struct fit *fit, double *values);
// Tied coefficients get the intervals of those that they are tied to.
void fit_copy_tied_intervals(struct fit *fit);
// Everything up to what is known of the minimum: rows, search, groups, bounds. fit_run does the rest.
bool fit_find(struct fit *fit, struct error *error);
// Warns of rows left out by their outcome, of an outcome that never differs, of residuals that are rounding
// (fit->rounding, and no resamples are made then). After the rows' residuals are known.
void fit_doubt_outcomes(struct fit *fit);
// Reads the options' priors, once the elements are there.
bool fit_prior_read(struct fit *fit, struct error *error);
// The same fit by the rows alone, into fit->alone.
bool fit_stand_alone(struct fit *fit, struct error *error);
// Takes the groups of rows over from there, in place of fit_depend.
void fit_take_groups(struct fit *fit);
// Gives the stages' problems their penalties.
void fit_penalize(struct fit *fit);
bool fit_has_penalty(const struct fit_stage *stage, int element);
// The penalty at values of all elements, in units of the objective.
double fit_penalty_at(const struct fit *fit, const double *values);
// Draws the means of priors anew for a resample: into shift [element_count].
void fit_shift_priors(const struct fit *fit, size_t resample, double *shift);
// What priors did (result->priors), and which coefficients they set. Before the answer.
void fit_tell_priors(struct fit *fit);
// Partial pooling: the options' parameters; the spread of each, into the stages' penalties; draws of the spread
// and of the categories' distances from their mean for a resample; what came of it.
bool fit_pool_read(struct fit *fit, struct error *error);
struct penalty *fit_stage_penalty(struct fit_stage *stage);
void fit_spread(struct fit *fit);
void fit_shift_pools(const struct fit *fit, size_t resample, struct refit *refit);
// The stage's penalty with the spreads of a resample: into `own`, whose pools are the refit's.
void fit_respread(const struct fit *fit, struct refit *refit, const struct fit_stage *stage, struct penalty *own);
void fit_tell_pools(struct fit *fit);
// The mean eigenvalue of the groups' variance over the curvature's: for a stage with an inverse and a Jacobian.
double stage_groups_ratio(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale);
// Starting points of a stage. Their coordinates lie within the bounds.
struct starts {
  size_t points;  // of the law's grid, or of a sample of it
  size_t solved;  // starts whose linear coefficients are to be solved: the first of x
  size_t count;   // ways down: twice the points of the grid when both ways are gone
  double *x;      // [count][free_count]; the caller frees it
};
void fit_starts(const struct fit *fit, const struct fit_stage *stage, struct starts *starts);
// Starts of a free element: the law's; the fixed value of one that the options have freed. The middle one of a stage's
// coordinate, as that coordinate.
int start_values(const struct fit *fit, int element, const double **values);
double start_of(const struct fit *fit, const struct fit_stage *stage, int place);
// Looks for a lower minimum on a grid over the coefficients in which the law is not linear, where the options ask for
// it or it costs little (result->globals), and takes it.
void fit_check_globally(struct fit *fit, struct fit_stage *stage, struct workspace **spaces);

// The scale at which residuals are most likely under Student's t; 0 where all are 0.
double student_scale(const double *residual, const double *weight, size_t rows, double degrees);
// A first scale from the median of the residuals at x; then coefficients and scale in turns, from the minimum found,
// into fit->objective and the stage. False with an error where the scale runs to 0.
double student_first_scale(struct workspace *workspace, const struct fit_stage *stage, const double *x);
bool student_settle(struct fit *fit, struct fit_stage *stage, struct workspace *workspace, struct error *error);

// Finds the stage's minimum from many starts. elements (struct element.value) of earlier stages are set before.
bool fit_search(struct fit *fit, struct fit_stage *stage, struct error *error);
// Looks for lower minima around the one found, in rounds of random hops along the flat directions.
void fit_hop(const struct fit *fit, struct arena *arena, struct fit_stage *stage, struct workspace **spaces);
// Where linear coefficients can be changed together without changing any prediction: takes the shortest of these
// minima, if it is no higher. Memory comes from the arena.
void fit_shorten(struct arena *arena, struct fit_stage *stage, struct workspace *workspace);
// Takes a lower minimum: the one held before becomes the first of the others.
void stage_lower(struct arena *arena, struct fit_stage *stage, const double *x, struct polish_result polished);
// What GSL's trust-region least squares (reweighted) and BFGS reach from x; x is moved to the better of the two. NAN
// for one that failed.
void fit_gsl(struct workspace *workspace, double *x, double *trust_region, double *bfgs);
// Memory of one thread's refits.
struct refit {
  double *factor;              // [table rows]: multiplies the weight of a row; the caller sets it
  double *row_shift;           // [table rows]: is added to the target of a row; NULL: nothing is
  double *target;              // [padded rows of the largest stage]; NULL likewise
  double *elements;            // [element_count]: internal values, after a refit those of it
  double *weight;              // [padded rows of the largest stage]
  double *x, *best;            // [element_count]
  bool *seen;                  // [element_count]
  double *shift;               // [element_count]: of the means of priors
  double *spread;              // [pools]: in this resample; 0: the estimate
  struct penalty_pool *pools;  // [pools]
  struct problem problem;      // of the last stage refitted
  struct penalty penalty;
  struct workspace **spaces;  // [stage_count]
};
// Whether a stage's rows take so long to evaluate (sums over schedules) that resamples are descended from the minimum
// of the law made linear at the fit's own, and not followed to the last digit.
bool stage_is_dear(const struct fit_stage *stage);
// fit_linear.c: the minimum of a problem whose law is linear about the stage's minimum, for other weights [padded] of
// the rows, by reweighted least squares; x [free_count] is moved there from that minimum, within the bounds. False, and
// x stays, where there is none. The first call for a stage computes its Jacobian; further ones may run side by side.
void stage_linearize(struct arena *arena, struct fit_stage *stage);
bool stage_linear_minimum(const struct fit_stage *stage, const struct problem *problem, const double *weight,
                          double *x);
struct refit *refits_new(struct arena *arena, const struct fit *fit, int threads);
// Fits every stage with refit->factor, from the minima that the search found. values gets a value an element (NAN for a
// category without a row); all NAN, and false, when a stage keeps too few different rows.
bool refit_rows(const struct fit *fit, struct refit *refit, double *values);
// One stage under another objective (NULL: its own), from its minima; refit->elements holds the other elements and gets
// the result. Returns the objective.
double refit_stage(const struct fit *fit, struct refit *refit, const struct fit_stage *stage,
                   const struct objective *objective);

// Rows of one run are put into one group where the options name no column (fit->row_group, result->grouped_by); columns
// that explain the residuals are named in warnings. After fill_rows, before the resamples.
void fit_depend(struct fit *fit);
// The target is what best_over chose from a grid: how far off that is, and what of it the residuals do not show
// (fit->row_choice, fit->choice_share), with a warning. After fill_rows.
void fit_choice(struct fit *fit);
// Whether the law predicts what best_over chose.
bool fit_chosen(const struct fit *fit);
// The kind of interval by default, with the reason: from few groups or few rows BCa ones are too narrow.
void fit_choose_interval(struct fit *fit);
// The ranges of the fitted rows (result->ranges).
void fit_find_ranges(struct fit *fit);
// A row's number in a column of the table; NAN where it has none. Compute is 6ND where there is no column flops.
double fit_column_value(const struct fit *fit, const char *name, size_t row);
// Whether a quantity changes along a direction that changes no prediction of a fitted row: by the value at a step of
// OPEN_STEP in the internal coordinates.
bool open_step_moves(double value, double stepped);
// Keeps coefficients that the rows allow as well; values [element_count] are copied.
void fit_keep_open(struct fit *fit, int element, bool step, const double *values);
// What resamples do not show of categories of few rows (fit->row_few). Before the bootstrap.
void fit_few(struct fit *fit);
// Resamples: fills result->replicates, fit->jackknife and the intervals of the coefficients.
void fit_bootstrap(struct fit *fit);
// Derived quantities with intervals from result->replicates.
bool fit_derive(struct fit *fit, struct error *error);
// Condition number, coefficients at bounds or not identified: their status and warnings.
void fit_identify(struct fit *fit);

enum { REMEMBERED_MINIMA = 3 };  // further minima of a stage, which resamples start from too

// Eigenvalues (ascending) and vectors (columns) of a symmetric matrix [n][n], which is used up.
bool symmetric_eigen(double *matrix, int n, double *values, double *vectors);

double element_value(const struct element *element, double internal);
double element_internal(const struct element *element, double value);
// The p-quantile of sorted values (linear interpolation).
double quantile(const double *sorted, size_t count, double p);
int compare_numbers(const void *a, const void *b);  // for qsort of doubles, NAN last

// Replicates of an estimate, at a stride (NAN ones are left out).
struct replicates {
  const double *values;
  size_t count, stride;
  const double *jackknife;
  size_t jackknife_count, jackknife_stride;
  double degrees;  // of freedom of the t interval; 0: none
  const double
      *choice;  // values with the target moved by the error of its choice, which adds to that of the t interval
  size_t choice_count, choice_stride;
  bool share;  // lies between 0 and 1
};
extern const struct intervals intervals_none;
// t, percentile and BCa intervals and the standard error. low and high get the kind that is asked for.
void interval_of(struct replicates replicates, double value, double confidence, enum interval_kind kind,
                 struct intervals *intervals, double *low, double *high, double *se);
// values[count] as if drawn evenly from the distribution whose quantiles are the ends of intervals of that kind. False
// where there is none, as for the intervals, and for percentile ones, whose distribution is the replicates'.
bool replicates_even(struct replicates replicates, enum interval_kind kind, double value, double *values);

// The two-sided significance of the estimated quantity being `at`: 1 - the confidence of the interval of that kind
// which ends there. At least 2 / (resamples + 1), but of t intervals; NAN where there is no such interval.
double replicates_p(struct replicates replicates, enum interval_kind kind, double value, double at);

// ---- diagnosis ----

// What a stage's minimum says of the errors. Coordinates at a bound, and those that change nothing, are left out.
struct stage_scale {
  int n, *of;        // coordinates kept: places in stage->free
  int degrees;       // rows - n
  double *matrix;    // [n][n]: sum of w J J'
  double *inverse;   // [n][n], or NULL where it is singular
  double *held;      // [n][n]: where it is singular, the inverse with a coordinate of each open direction held
  double *variance;  // [n]: the inverse's diagonal; NaN where the coordinate can move without any change
  double *resolved;  // [n][n]: of a parabola with nearly collinear columns, the inverse but for directions in which
  double *open;      // nothing changes, and the projection on these; else NULL
  double slope;      // mean of psi'
  double ratio;      // mean psi^2 / mean psi': r^2's mean for least squares
  double deviation;  // robust standard deviation of the residuals, each times the root of its weight
  double *residual;  // [rows]: prediction - target
  double *jacobian;  // [rows][stage->free_count]; NULL for a large table
};
struct stage_scale *stage_scale_new(const struct fit *fit, struct arena *arena, const struct fit_stage *stage);
// Eigenvalues (ascending) and vectors [count][count] of the sum of w J J' over the coordinates `of`, each scaled to
// unit length, of which `length` gets what it was: from the Jacobian [rows][free_count] itself, so that small ones are
// as exact as large ones. An eigenvalue below stage_nothing(count) of the largest is rounding.
bool stage_singular(struct arena *arena, const struct fit_stage *stage, const double *jacobian, const int *of,
                    int count, double *length, double *values, double *vectors);
double stage_nothing(int count);
// The standard error of kept coordinate k, from the curvature; NaN where it can move without any change.
double stage_scale_se(const struct stage_scale *scale, int k);

// A walk along one coordinate, the others refitted; see fit_profile.c.
enum walk_end { WALK_REACHED, WALK_BOUND, WALK_FLAT };
struct walk {
  const struct fit_stage *stage;
  int coordinate;    // place in stage->free
  double direction;  // -1 or 1
  double step;       // first, in the internal coordinate
  double rise;       // of the objective, at which the walk ends
  bool keep_points;
  struct fit_profile_point *points;  // value, objective; outwards
  size_t point_count;
  enum walk_end end;
  double x;       // internal coordinate where the objective has risen so much, or the last one tried
  double *at;     // [free_count]: all coordinates there
  double lowest;  // objective met
  int vanished;   // place in stage->free of the positive coefficient that reaches 0 first on the way, or -1
};
void walk_out(struct arena *arena, const struct fit *fit, struct walk *walk);
// Whether the objective is a parabola: least squares of a law that is linear in all its coefficients. A walk is then a
// formula, unless it meets a bound.
bool walks_are_exact(const struct fit_stage *stage);

// False with an error when a name to profile is no fitted parameter.
bool fit_profile_names(const struct fit *fit, struct error *error);
void fit_profile(struct fit *fit);
// Of each group of rows, the sum of w psi J along kept coordinate k of the inverse [n, n]: [group_count], which the
// caller frees. *groups: how many groups have any.
double *fit_group_sums(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale,
                       const double *inverse, int k, int *groups);
// Whether a coefficient's interval is so wide, or its value so near a bound, that its profile is to be looked at.
bool fit_looks_loose(const struct fit *fit, int e);
// Whether an interval's ends differ by more than a factor of 2.5, or by one and a half times the value's size.
bool interval_is_wide(double low, double high, double value);
// Status, interval and note of each coefficient by its profile; loose[e]: the profile's interval is taken.
void fit_settle(struct fit *fit, const bool *loose);
// After the flat directions are known: what is not determined, in words.
void fit_status_notes(struct fit *fit);
// What these rows cannot tell has no interval.
void fit_forget_derived(struct fit_derived *derived);
// The same of a derived quantity, whose values at the open ends of the profiles are given.
void fit_settle_derived(struct fit_derived *derived, const double *ends, size_t count);
// The status of a quantity by its values [open_count] at result->open_ends: ends of profiles settle it; what a step
// along a direction that changes no prediction does change is not determined.
void fit_settle_open(const struct fit_result *result, struct fit_derived *derived, const double *values);
// Whether an interval (NAN: no limit on that side) holds nearly all of what a quantity can be, between two bounds: a
// value drawn anywhere between them would lie in it.
bool tells_nothing(double low, double high, double least, double most);
// Derived quantities at the ends of result->open_ends: those that leave their intervals there are not determined on
// that side.
bool fit_derive_open(struct fit *fit, struct error *error);
void fit_direct(struct fit *fit);
// What in the design would close a direction, by the two walks to its ends: a sentence in the result's arena.
const char *fit_advice(struct fit *fit, const struct fit_stage *stage, const struct walk walks[2]);
// A warning where least squares meets residuals of heavy tails.
void fit_doubt_tails(struct fit *fit);
// Where a stage's minimum is no stationary point, nothing that it fits, and nothing derived, is determined: the status
// and the note say so. After the statuses and before the answer.
void fit_doubt_minimum(struct fit *fit);
void fit_influence(struct fit *fit);
void fit_sensitivity(struct fit *fit);
void fit_trends(struct fit *fit);
// What rows of equal settings tell: their spread, and whether the law misses their means by more (result->replication).
void fit_replicates(struct fit *fit);
// How the estimates of the fitted coefficients go together, by the curvature at the minimum (result->correlation).
void fit_correlate(struct fit *fit);
// Fits to the lower part of the rows along N, D and compute, which predict the rest (result->rollouts).
void fit_roll_out(struct fit *fit);
bool fit_leave_out(struct fit *fit, struct error *error);
// The sentence that says what the law is fitted for (result->answer). Last of all.
void fit_answer(struct fit *fit);
// Reads the coefficients to score, before the search: an error names those that are missing. Then what they reach.
bool fit_score_read(struct fit *fit, struct error *error);
bool fit_score(struct fit *fit, struct error *error);
// The coefficient of that name, or -1; and the error "SETTING 'TEXT': the law has no coefficient 'NAME'", false.
int fit_find_element(const struct fit *fit, const char *name, size_t length);
bool fit_no_element(const struct fit *fit, const char *setting, const char *text, const char *name, size_t length,
                    struct error *error);
// Joint profiles of two coefficients: their names, before the search; then the contours (fit_contour.c).
bool fit_contour_read(struct fit *fit, struct error *error);
void fit_contours(struct fit *fit);
// Ratios of coefficients: their names, before the search; then what they are.
bool fit_ratio_read(struct fit *fit, struct error *error);
void fit_ratios(struct fit *fit);
// Whether rows times free parameters of every stage leave time for a diagnosis by refits that nobody asked for.
bool fit_is_small(const struct fit *fit);
