// Runs that differ in their seed alone, as one point with an interval.
#include <math.h>
#include <stdlib.h>

#include "plots/build.h"

const char means_words[] = " Runs that differ in their seed alone are one point: their mean, with its 95 % interval.";

// The 97.5 % quantile of Student's t distribution: the table's values, from 30 degrees of freedom on by the expansion
// in their inverse (Abramowitz and Stegun 26.7.5), which is right to three digits there.
static double student(size_t freedom) {
  static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                 2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                 2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045};
  if (freedom <= sizeof table / sizeof *table) return table[freedom - 1];
  const double z = 1.959964;
  return z + (z * z * z + z) / (4 * (double)freedom);
}

static int by_setting(const void *left, const void *right) {
  const struct sample *a = left, *b = right;
  if (a->setting != b->setting) return (a->setting > b->setting) - (a->setting < b->setting);
  return (a->x > b->x) - (a->x < b->x);
}

size_t series_means(struct drawing *drawing, struct figure_series *series, struct sample *samples, size_t count) {
  double *low = arena_array(drawing->arena, count + 1, sizeof *low),
         *high = arena_array(drawing->arena, count + 1, sizeof *high);
  size_t means = 0;
  if (count) qsort(samples, count, sizeof *samples, by_setting);
  for (size_t i = 0; i < count;) {
    size_t end = i + 1;
    while (end < count && samples[i].setting && samples[end].setting == samples[i].setting) end++;
    double n = (double)(end - i), x = 0, y = 0, squares = 0;
    for (size_t k = i; k < end; k++) {
      x += samples[k].x / n;
      y += samples[k].y / n;
    }
    for (size_t k = i; k < end; k++) squares += (samples[k].y - y) * (samples[k].y - y);
    double half = n > 1 ? student(end - i - 1) * sqrt(squares / (n - 1) / n) : NAN;
    low[series->count] = y - half;
    high[series->count] = y + half;
    series_point(series, x, y);
    for (size_t k = i; k < end; k++) drawing_target(drawing, samples[k].run, series, series->count - 1, 1);
    means += n > 1;
    i = end;
  }
  if (means) {
    series->low = low;
    series->high = high;
  }
  return means;
}
