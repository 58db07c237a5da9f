// What figures show of a fit that its document has: profiles and joint regions of coefficients.
#include "runner/report/data.h"

static void draw_profiles(struct report *report, struct report_fit *fit) {
  const struct fit_result *result = &fit->result;
  fit->profiles = arena_array(&report->arena, result->profile_count + 1, sizeof *fit->profiles);
  for (size_t i = 0; i < result->profile_count; i++) {
    const struct fit_profile *profile = &result->profiles[i];
    double *values = arena_array(&report->arena, profile->point_count + 1, sizeof *values),
           *ratios = arena_array(&report->arena, profile->point_count + 1, sizeof *ratios);
    for (size_t k = 0; k < profile->point_count; k++) {
      values[k] = profile->points[k].value;
      ratios[k] = profile->points[k].ratio;
    }
    fit->profiles[fit->profile_count++] =
        (struct plot_profile){.name = result->coefficients[profile->coefficient].name,
                              .estimate = result->coefficients[profile->coefficient].value,
                              .count = profile->point_count,
                              .values = values,
                              .ratios = ratios};
  }
}

static const struct plot_pair *draw_pairs(struct arena *arena, const struct fit_contour_point *points, size_t count) {
  struct plot_pair *pairs = arena_array(arena, count + 1, sizeof *pairs);
  for (size_t i = 0; i < count; i++) pairs[i] = (struct plot_pair){points[i].x, points[i].y, points[i].open};
  return pairs;
}

static void draw_contours(struct report *report, struct report_fit *fit) {
  const struct fit_result *result = &fit->result;
  _Static_assert((int)FIT_CONTOUR_LINES == (int)PLOT_CONTOUR_LINES, "a figure shows each line of a contour");
  fit->contours = arena_array(&report->arena, result->contour_count + 1, sizeof *fit->contours);
  fit->contour_count = result->contour_count;
  for (size_t i = 0; i < result->contour_count; i++) {
    const struct fit_contour *from = &result->contours[i];
    const struct coefficient *x = &result->coefficients[from->x], *y = &result->coefficients[from->y];
    struct plot_contour *contour = &fit->contours[i];
    *contour = (struct plot_contour){.x_name = x->name,
                                     .y_name = y->name,
                                     .estimate = {.x = x->value, .y = y->value},
                                     .point_count = from->point_count,
                                     .resamples = draw_pairs(&report->arena, from->resamples, from->resample_count),
                                     .resample_count = from->resample_count};
    for (int line = 0; line < FIT_CONTOUR_LINES; line++) {
      contour->levels[line] = from->levels[line];
      contour->lines[line] = draw_pairs(&report->arena, from->lines[line], from->point_count);
    }
  }
}

void report_draw_fit(struct report *report, struct report_fit *fit) {
  draw_profiles(report, fit);
  draw_contours(report, fit);
}
