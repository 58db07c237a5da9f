// Joint profiles of two coefficients in a fit's JSON document, written and read. A line is its coordinates x and y and
// the places (from 0) of the points that are no end; resamples are their coordinates.
#include <math.h>

#include "fitting/fit_document_internal.h"

static void put_coordinates(const struct fit_contour_point *points, size_t count, struct json_writer *writer) {
  for (int axis = 0; axis < 2; axis++) {
    json_key(writer, axis ? "y" : "x");
    json_array_begin(writer);
    for (size_t i = 0; i < count; i++) json_put_number(writer, axis ? points[i].y : points[i].x);
    json_array_end(writer);
  }
}

static void put_line(const struct fit_contour *contour, int line, struct json_writer *writer) {
  const struct fit_contour_point *points = contour->lines[line];
  json_object_begin(writer);
  json_key_number(writer, "level", contour->levels[line]);
  put_coordinates(points, contour->point_count, writer);
  json_key(writer, "open");
  json_array_begin(writer);
  for (size_t i = 0; i < contour->point_count; i++)
    if (points[i].open) json_put_integer(writer, (int64_t)i);
  json_array_end(writer);
  json_object_end(writer);
}

void fit_json_contours(struct arena *arena, const struct fit_result *result, struct json_writer *writer) {
  if (!result->contour_count) return;
  json_key(writer, "contours");
  json_array_begin(writer);
  for (size_t i = 0; i < result->contour_count; i++) {
    const struct fit_contour *contour = &result->contours[i];
    json_object_begin(writer);
    json_key_string(writer, "x", result->coefficients[contour->x].name);
    json_key_string(writer, "y", result->coefficients[contour->y].name);
    json_key(writer, "lines");
    json_array_begin(writer);
    for (int line = 0; line < FIT_CONTOUR_LINES; line++) put_line(contour, line, writer);
    json_array_end(writer);
    json_key(writer, "resamples");
    json_object_begin(writer);
    put_coordinates(contour->resamples, contour->resample_count, writer);
    json_object_end(writer);
    json_key_string(writer, "text", fit_contour_sentence(arena, result, contour));
    json_object_end(writer);
  }
  json_array_end(writer);
}

// Coordinates x and y, which are as many numbers each. NULL is written for what is infinite.
static struct fit_contour_point *read_coordinates(const struct reading *reading, const json_t *object, size_t *count) {
  const json_t *x = json_object_get(object, "x"), *y = json_object_get(object, "y");
  *count = 0;
  if (!json_is_array(x) || !json_is_array(y) || json_array_size(x) != json_array_size(y)) {
    reading_damaged(reading, "x", "array of as many numbers as y");
    return NULL;
  }
  size_t all = json_array_size(x);
  struct fit_contour_point *points = arena_array(reading->arena, all + 1, sizeof *points);
  for (; *count < all; (*count)++) {
    const json_t *at[] = {json_array_get(x, *count), json_array_get(y, *count)};
    double *to[] = {&points[*count].x, &points[*count].y};
    for (int axis = 0; axis < 2; axis++) {
      if (!json_is_number(at[axis]) && !json_is_null(at[axis])) reading_damaged(reading, axis ? "y" : "x", "number");
      *to[axis] = json_is_number(at[axis]) ? json_number_value(at[axis]) : INFINITY;
    }
  }
  return points;
}

static void read_line(struct fit_contour *contour, int line, const struct reading *reading, const json_t *object) {
  size_t count;
  contour->levels[line] = member_number(reading, object, "level");
  contour->lines[line] = read_coordinates(reading, object, &count);
  if (line && count != contour->point_count) {
    reading_damaged(reading, "lines", "array of lines of as many points each");
    count = contour->point_count = 0;
  }
  contour->point_count = count;
  const json_t *open = json_object_get(object, "open"), *place;
  size_t i;
  json_array_foreach(open, i, place) {
    double at = json_is_number(place) ? json_number_value(place) : -1;
    if (at >= 0 && at < (double)count)
      contour->lines[line][(size_t)at].open = true;
    else
      reading_damaged(reading, "open", "array of places of points");
  }
}

void fit_read_contours(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "contours", &result->contour_count);
  result->contours = arena_array(reading->arena, result->contour_count + 1, sizeof *result->contours);
  for (size_t i = 0; i < result->contour_count; i++) {
    const json_t *one = json_array_get(all, i);
    struct fit_contour *contour = &result->contours[i];
    contour->x = fit_read_coefficient(result, reading, member_text(reading, one, "x", ""));
    contour->y = fit_read_coefficient(result, reading, member_text(reading, one, "y", ""));
    size_t lines;
    const json_t *list = member_objects(reading, one, "lines", &lines);
    if (lines != FIT_CONTOUR_LINES) reading_damaged(reading, "lines", "array of two lines");
    for (int line = 0; line < FIT_CONTOUR_LINES && lines == FIT_CONTOUR_LINES; line++)
      read_line(contour, line, reading, json_array_get(list, (size_t)line));
    contour->resamples = read_coordinates(reading, json_object_get(one, "resamples"), &contour->resample_count);
  }
}
