// What a fit was made on: the range of every numeric column, the categories seen and their own ranges; and how far
// outside of that a point lies. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

struct law_input;

struct fit_range {
  const char *column;
  double low, high;  // among the fitted rows
};

struct fit_category {
  const char *column, *category;
  size_t rows;
  bool own;                  // coefficients of its own were fitted to its rows alone
  struct fit_range *ranges;  // [range_count] of the law's numeric columns, among its rows
  size_t range_count;
};

struct fit_ranges {
  struct fit_range *columns;  // numeric ones that the law reads
  size_t column_count;
  struct fit_range *derived;  // that derived quantities are worked out at; flops are 6ND where there are none
  size_t derived_count;
  struct fit_category *categories;  // by column, in the order of their first row
  size_t category_count;
};

// How far a point lies outside what was fitted.
struct outside {
  const char *column;
  const char *of, *category;  // column and name of a category whose own rows are meant; NULL: all rows
  const char *unseen;         // no fitted row has this text in the column; NULL: a number lies outside
  double value, low, high;    // of the point; of the fitted range
  bool open;                  // all rows have one value, and a coefficient is not determined for want of others
  double factor;              // how many times outside, above 1; infinite for a text
};

// Behind the name of a column of schedules: the range of their highest learning rates.
extern const char range_of_peak[];

// How many times outside: value / high or low / value, 1 within the range (to rounding). Where signs allow no ratio,
// 1 + the distance from the range over its width.
double range_factor(double value, double low, double high);
// Beyond ten times nothing is said with confidence.
bool range_is_far(double factor);
// Whether nothing is said with confidence because of one of these.
bool outside_hides(const struct outside *outside, size_t count);
// What of the inputs lies outside, into the arena; returns the largest factor, or 1. A category's own range is reported
// where it is the one that is left farther.
double ranges_outside(struct arena *arena, const struct fit_ranges *ranges, const struct law_input *inputs,
                      size_t input_count, struct outside **outside, size_t *count);
