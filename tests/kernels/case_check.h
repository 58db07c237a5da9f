// Cases of the table of operations (kernels/cases) against a device: results with those in double precision, and
// gradients with finite differences of the forward pass in double precision.
#pragma once
#include <stdarg.h>

#include "kernels/cases/cases.h"
#include "tests/kernels/values.h"

// Says what is wrong with a result; `what` NULL: faults are expected, nobody wants to read them.
static inline void __attribute__((format(printf, 3, 4)))
complain(const char *what, const struct argument *a, const char *format, ...) {
  if (!what) return;
  va_list arguments;
  va_start(arguments, format);
  printf("# %s: %s: ", what, a->name);
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

// ---- comparison ----

static inline bool within_tolerance(const struct argument *a, const double *got, const char *what) {
  struct distance d = distance_of(got, a->values, a->count);
  if (distance_within(&d, a->count, a->tolerance, a->cancelled)) return true;
  complain(what, a, "element %lld of %lld is %.9g, want %.9g; rms off %.3g of %.3g, allowed relative %.3g",
           (long long)d.at, (long long)a->count, got[d.at], a->values[d.at], sqrt(d.off_square), sqrt(d.square),
           a->tolerance);
  return false;
}

// Roundings to bfloat16 are off by at most 2^-8 of a value each, a quarter of that as a root mean square, and
// independent of each other: by Hoeffding's inequality their sum seldom exceeds 4 times the root of the sum of squares
// of such bounds (in truth it is 16 standard deviations), and the root mean square of all elements stays below one of
// them. A key too many or too few, or one counted twice, is far beyond: 4 / 2^8 of a term is little of it. float32
// itself adds 1e-6 of the largest value.
static inline bool within_rounding(const struct argument *a, const double *got, const char *what) {
  double off_squares = 0, allowed_squares = 0, largest = 0;
  for (int64_t i = 0; i < a->count; i++) largest = fmax(largest, fabs(a->values[i]));
  for (int64_t i = 0; i < a->count; i++) {
    double allowed = 0x1p-8 * sqrt(a->rounded_squares[i]) + 1e-6 * largest, off = fabs(got[i] - a->values[i]);
    off_squares += off * off;
    allowed_squares += allowed * allowed;
    if (off <= 4 * allowed) continue;
    complain(what, a, "element %lld of %lld is %.9g, want %.9g, by rounding within %.3g", (long long)i,
             (long long)a->count, got[i], a->values[i], 4 * allowed);
    return false;
  }
  if (off_squares <= allowed_squares) return true;
  complain(what, a, "root mean square off by %.3g of what rounding allows", sqrt(off_squares / allowed_squares));
  return false;
}

// ---- finite differences ----

// Slopes of the loss by one input: at some of its elements (all where they are few), and along a random direction.
enum { SAMPLES = 64, SAMPLED = 16 };
struct slopes {
  int count;
  int64_t at[SAMPLES];
  double slope[SAMPLES], along, *direction;
};

static inline double slope_along(const struct op_case *c, double *values, int64_t count, const double *direction) {
  const double step = 1e-4;
  double *old = malloc((size_t)count * sizeof *old), losses[2];
  memcpy(old, values, (size_t)count * sizeof *old);
  for (int side = 0; side < 2; side++) {
    for (int64_t i = 0; i < count; i++) values[i] = old[i] + (side ? -step : step) * direction[i];
    losses[side] = c->operation->forward(c);
  }
  memcpy(values, old, (size_t)count * sizeof *old);
  free(old);
  return (losses[0] - losses[1]) / (2 * step);
}

static inline struct slopes slopes_make(const struct op_case *c, int input) {
  const struct argument *a = &c->arguments[input];
  struct slopes s = {.count = a->count <= SAMPLES ? (int)a->count : SAMPLED,
                     .direction = calloc((size_t)a->count, sizeof(double))};
  for (int sample = 0; sample < s.count; sample++) {
    int64_t i = a->count <= SAMPLES ? sample : (int64_t)((random_number() + 1) / 2 * (double)a->count) % a->count;
    s.direction[i] = 1;
    s.at[sample] = i;
    s.slope[sample] = slope_along(c, a->values, a->count, s.direction);
    s.direction[i] = 0;
  }
  for (int64_t i = 0; i < a->count; i++) s.direction[i] = random_number();
  s.along = slope_along(c, a->values, a->count, s.direction);
  c->operation->forward(c);  // results as they were
  return s;
}

// Values are taken to be around 1: where a gradient cancels, float32 leaves 1e-6 of them.
static inline bool within_slopes(const struct argument *a, const struct slopes *s, const double *got,
                                 const char *what) {
  double norm = 0, dot = 0;
  for (int64_t i = 0; i < a->count; i++) {
    double gradient = got[i] - (a->start ? a->start[i] : 0);
    norm += gradient * gradient;
    dot += gradient * s->direction[i];
  }
  double scale = sqrt(norm / (double)a->count) + 1e-12;
  for (int sample = 0; sample < s->count; sample++) {
    double gradient = got[s->at[sample]] - (a->start ? a->start[s->at[sample]] : 0), slope = s->slope[sample];
    if (fabs(slope - gradient) <= 10 * a->tolerance * (fabs(slope) + scale) + 1e-6) continue;
    complain(what, a, "gradient %lld of %lld is %.9g, finite difference %.9g", (long long)s->at[sample],
             (long long)a->count, gradient, slope);
    return false;
  }
  if (fabs(s->along - dot) <= 10 * a->tolerance * (fabs(s->along) + sqrt(norm)) + 1e-6) return true;
  complain(what, a, "along a direction %.9g, finite difference %.9g", dot, s->along);
  return false;
}

// ---- a case and its checks ----

enum case_mode { COMPARED = 1, DIFFERENTIATED = 2 };

struct checked_case {
  struct op_case c;
  const char *name;
  bool differentiated;
  struct slopes slopes[CASE_ARGUMENTS];  // by gradient
};

static inline struct checked_case *checked_case_make(const struct operation *operation, const struct case_shape *shape,
                                                     enum dtype dtype) {
  struct checked_case *made = calloc(1, sizeof *made);
  struct error error = {0};
  if (!CHECK(case_make(&made->c, operation, shape, dtype, true, &error))) printf("# %s\n", error.text), exit(1);
  made->name = case_name(&made->c);
  made->differentiated = !shape->large && dtype == DTYPE_FLOAT32;
  for (int i = 0; i < made->c.count && made->differentiated; i++)
    if (made->c.arguments[i].gradient_of >= 0)
      made->slopes[i] = slopes_make(&made->c, made->c.arguments[i].gradient_of);
  return made;
}

static inline void checked_case_free(struct checked_case *checked) {
  for (int i = 0; i < CASE_ARGUMENTS; i++) free(checked->slopes[i].direction);
  case_free(&checked->c);
  free(checked);
}

// The modes in which result number `place` is as it should be.
static inline int result_modes(struct checked_case *checked, const struct case_run *run, int place, const char *where) {
  const struct argument *a = &checked->c.arguments[place];
  struct error error = {0};
  double *got = calloc((size_t)a->count + 1, sizeof *got), *other = calloc((size_t)a->count + 1, sizeof *other);
  char text[200];
  snprintf(text, sizeof text, "%s, %s", checked->name, where ? where : "");
  const char *what = where ? text : NULL;
  int modes = COMPARED | DIFFERENTIATED;
  if (!case_read(run, place, got, &error)) {
    complain(what, a, "%s", error.text);
    modes = 0;
  } else if (!(a->rounded_squares ? within_rounding(a, got, what) : within_tolerance(a, got, what))) {
    modes &= ~COMPARED;
  } else if (a->same_as >= 0 && case_read(run, a->same_as, other, &error) &&
             memcmp(got, other, (size_t)a->count * sizeof *got) != 0) {
    complain(what, a, "not the bits of %s", checked->c.arguments[a->same_as].name);
    modes &= ~COMPARED;
  }
  if (checked->differentiated && a->gradient_of >= 0 && !within_slopes(a, &checked->slopes[place], got, what))
    modes &= ~DIFFERENTIATED;
  free(got);
  free(other);
  return modes;
}

// Runs the case on a device, called `where` in messages (NULL: none). The modes in which every result is as it should
// be.
static inline int checked_case_run(struct checked_case *checked, const struct ops *ops, struct device *device,
                                   const char *where) {
  struct error error = {0};
  struct case_run run;
  if (!CHECK(case_run_open(&run, &checked->c, ops, device, &error))) printf("# %s\n", error.text), exit(1);
  for (size_t pass = 0; pass <= checked->c.operation->pass_count; pass++) case_run_pass(&run, pass);
  int modes = COMPARED | DIFFERENTIATED;
  for (int i = 0; i < checked->c.count; i++)
    if (checked->c.arguments[i].result && checked->c.arguments[i].count) modes &= result_modes(checked, &run, i, where);
  case_run_close(&run);
  return modes;
}

// Calls `body` for every case of an operation.
static inline void each_case(const struct operation *operation, void (*body)(struct checked_case *)) {
  for (size_t i = 0; i < operation->shape_count; i++)
    for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
      const struct case_shape *shape = &operation->shapes[i];
      if ((operation->one_dtype && dtype != DTYPE_FLOAT32) || (shape->only && shape->dtype != dtype)) continue;
      struct checked_case *checked = checked_case_make(operation, shape, dtype);
      body(checked);
      checked_case_free(checked);
    }
}
