// Compute-optimal sizes without a law of loss: IsoFLOP curves and the envelope of training curves, and the power laws
// of the optima in compute. Part of the public face (fitting.h includes it).
//
//   struct isoflop result;
//   isoflop_run(&table, &(struct isoflop_options){.method = ISOFLOP_AKIMA, .budget = "budget"}, &result, &error)
//
// Sources: Hoffmann et al. 2022, arXiv 2203.15556, approaches 1 (envelope) and 2 (parabolas); Porian et al. 2024, arXiv
// 2406.19146 (Akima interpolation with seed noise, weighted regression).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct table;

// ---- power laws ----

struct power_regression {
  size_t points;
  double coefficient, exponent;   // y = coefficient x^exponent
  double exponent_se, low, high;  // standard error from the scatter about the line, Student-t interval of the exponent
  double r2;
  bool pinned;  // the exponent was held: its error and interval are NAN
};
// Least squares of ln y on ln x with weights (NULL: equal ones); the weights count relative to each other. Errors:
// fewer than 3 points, a value that is not positive, equal x.
bool power_regression(const double *x, const double *y, const double *weight, size_t count, double confidence,
                      struct power_regression *result, struct error *error);

// The same with the exponent held: the coefficient alone is fitted.
bool power_regression_pinned(const double *x, const double *y, const double *weight, size_t count, double exponent,
                             struct power_regression *result, struct error *error);

// ---- optima per budget ----

enum isoflop_method {
  ISOFLOP_PARABOLA,  // loss as a parabola in ln N, ln D
  ISOFLOP_AKIMA,     // ln loss over ln N, ln D by Akima's interpolation; the minimum on a fine grid
  ISOFLOP_ENVELOPE,  // the lowest of all training curves at each of many FLOP values
};
// Reads "parabola", "akima", "envelope". False with an error that lists them.
bool isoflop_method_parse(const char *text, enum isoflop_method *method, struct error *error);
const char *isoflop_method_name(enum isoflop_method method);

// Standard deviation of the loss between seeds (nats): `low` up to the loss low_loss, `high` from high_loss on, between
// them a straight line in the logarithms of both.
struct isoflop_noise {
  double low, high, low_loss, high_loss;
};
// Reads "0.002" (the same at every loss) or "0.002@3,0.05@7".
bool isoflop_noise_parse(const char *text, struct isoflop_noise *noise, struct error *error);
double isoflop_noise_at(const struct isoflop_noise *noise, double loss);

enum isoflop_quantity { ISOFLOP_PARAMETERS, ISOFLOP_TOKENS, ISOFLOP_LOSS, ISOFLOP_QUANTITIES };
// Exponents that are held: a of N* = k C^a, b of D* = k C^b.
struct isoflop_pins {
  bool held[ISOFLOP_QUANTITIES];
  double exponent[ISOFLOP_QUANTITIES];
};
// Adds what a text such as "a=0.5" or "a=0.5,b=0.5" holds.
bool isoflop_pins_parse(const char *text, struct isoflop_pins *pins, struct error *error);

struct isoflop_options {
  enum isoflop_method method;
  const char *budget;     // column of the budget in FLOPs; NULL: flops
  const char *curve;      // column whose equal rows are points of one training; NULL: every row is a run of its own
  const double *budgets;  // FLOPs, ascending; NULL: rows whose budgets lie within `tolerance` of each other are one
  size_t budget_count;
  double tolerance;  // relative; 0: 0.1
  double window;     // parabola: only sizes within this factor of the best one; 0: all
  bool average;      // several rows of one size in a budget: their mean; else the lowest
  int copies;        // noisy copies of the losses, for intervals (envelope: resamples of curves); -1: 1000; 0: none
  const struct isoflop_noise *noise;  // NULL: parabola: the scatter about the parabolas; akima: isoflop_default_noise
  double minimum_spread;              // share of the mean distance of sizes, least spread of an optimum; 0: 0.33
  double confidence;                  // 0: 0.95
  struct isoflop_pins pins;
  const char *surface;  // law of loss for the simulation of the bias; NULL: the bias is not simulated
  double largest_miss;  // rms of ln loss by which that law may miss the losses; 0: the limit that was calibrated
  uint64_t seed;
};
extern const struct isoflop_noise isoflop_default_noise;  // 0.002 at 3 nats to 0.05 at 7 (Porian et al., RefinedWeb)
enum { ISOFLOP_GRID = 25, ENVELOPE_POINTS = 1500 };       // grid points between two sizes; FLOP values of the envelope

struct isoflop_optimum {
  double value, low, high;
  double spread;  // standard deviation of its logarithm over the copies, at least the minimum spread
};

struct isoflop_budget {
  double flops;
  size_t rows, sizes;                  // rows of the table; different sizes
  double *parameters, *tokens, *loss;  // [sizes], by size
  double *counted;                     // [sizes]: FLOPs of the rows themselves, within the tolerance of `flops`
  const char *rejected;                // why it has no optimum; NULL: it has
  struct isoflop_optimum optimum[ISOFLOP_QUANTITIES];
  int copies_kept;                        // whose minimum lay inside
  double *curve_parameters, *curve_loss;  // the fitted curve, for figures
  size_t curve_count;
  double *copies[ISOFLOP_QUANTITIES];  // [copies]: the copy's optimum, NAN at the edge
  double bias[ISOFLOP_QUANTITIES];  // what the method gives on the fitted surface over its true optimum; NAN: unknown
};

// A stretch of FLOP values at which one training is the lowest.
struct isoflop_segment {
  double flops_low, flops_high;
  double parameters, tokens_low, tokens_high, loss_low, loss_high;  // losses at the ends, of flops_low and flops_high
  const char *curve;
  size_t points;
  bool edge;  // of the smallest or largest size: a size beyond might be lower still, so it is in no regression
};

struct isoflop_exponent {
  const char *name;                          // "parameters", "tokens", "loss"
  struct power_regression plain, weighted;   // weighted by 1 / spread^2; weighted.points 0: no spreads
  double low, high, se;                      // quantiles over the copies of the weighted (else plain) exponent; NAN
  int copies;                                // that gave an exponent
  double coefficient_low, coefficient_high;  // quantiles over the copies where the exponent is held; NAN
};

// The bias of the method on this grid. The law `surface` is fitted to the rows; its own losses at exactly their sizes
// and tokens, free of noise, go through the method; what comes out is compared with the law's true optima, put through
// the same regression. See Czech et al. 2026, arXiv 2603.22339.
struct isoflop_bias {
  const char *surface;             // the law; NULL: not asked for
  const char *trouble;             // why the bias could not be simulated; NULL: it was
  size_t rows;                     // that the surface was fitted to
  double residual_rms;             // by which it misses ln loss
  size_t budgets;                  // with an optimum both measured and simulated; of the envelope: FLOP values
  double factor_low, factor_high;  // least and greatest bias of N* over the budgets; NAN of the envelope
  struct {
    double simulated, truth;  // exponents
    double off;               // simulated - truth; 0 where it is held
    double coefficient;       // simulated over true coefficient, where the exponent is held; else NAN
  } exponents[ISOFLOP_QUANTITIES];
};

struct isoflop {
  struct arena arena;
  enum isoflop_method method;
  const char *source, *parameter_count;
  struct isoflop_noise noise;
  const char *noise_source;  // "given", "scatter about the parabolas", "default"
  double noise_degrees;      // of freedom that the scatter has; 0 where the noise is given, or the default
  double confidence;
  int copies;
  size_t rows, excluded;
  struct isoflop_budget *budgets;
  size_t budget_count, used;  // used: not rejected
  struct isoflop_segment *segments;
  size_t segment_count;
  double envelope_low, envelope_high;  // of the points that are in the regression
  struct isoflop_exponent exponents[ISOFLOP_QUANTITIES];
  bool regressed;  // enough budgets for a power law
  struct isoflop_bias bias;
  size_t duplicates;  // rows that repeat others, left out before
  const char **warnings;
  size_t warning_count;
};

// Optima and power laws of a table with columns parameters and loss, and tokens or flops (C = 6ND where there is no
// flops). isoflop_free in either case. Errors: missing columns, no usable row, a budget column that holds texts.
bool isoflop_run(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                 struct error *error);
void isoflop_free(struct isoflop *result);
// Adds a warning.
void isoflop_warn(struct isoflop *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The regression that counts: weighted where there are spreads.
const struct power_regression *isoflop_best(const struct isoflop_exponent *exponent);
// An exponent, or the coefficient where the exponent is held, without the bias; NAN where that is not known.
double isoflop_corrected(const struct isoflop *result, enum isoflop_quantity quantity);
// ", 3 degrees of freedom" of the scatter that the noise is taken from; "" where it is not estimated.
const char *isoflop_degrees_words(const struct isoflop *result, char out[64]);
// What the simulation of the bias says, a sentence each (lower case, no full stop); NULL-ended, in the arena. Empty
// where it was not asked for.
const char *const *isoflop_bias_sentences(struct arena *arena, const struct isoflop *result);
// One object: {"method","source","budgets":[...],"exponents":{"parameters":{...},...},"warnings":[...]}.
void isoflop_json(const struct isoflop *result, struct json_writer *writer);
