// Objectives by name, and the loss of one residual under each.
#include <math.h>
#include <string.h>

#include "fitting/fitting.h"
#include "fitting/problem_internal.h"

// "4" or "4:0.01" behind "student-t:", the second part NAN where there is none; false where it is neither.
static bool parse_two(const char *text, double *first, double *second) {
  char head[64];
  const char *colon = strchr(text, ':');
  size_t length = colon ? (size_t)(colon - text) : strlen(text);
  if (length >= sizeof head) return false;
  memcpy(head, text, length);
  head[length] = '\0';
  *second = NAN;
  return number_parse(head, first) && *first > 0 && *first < 1e100 &&
         (!colon || (number_parse(colon + 1, second) && *second > 0 && *second < 1e100));
}

bool objective_parse(const char *text, struct objective *objective, struct error *error) {
  double first, second;
  *objective = (struct objective){.delta = INFINITY};
  if (strcmp(text, "least-squares") == 0) {
    objective->kind = OBJECTIVE_LEAST_SQUARES;
    return true;
  }
  if (strcmp(text, "lad") == 0) {
    objective->kind = OBJECTIVE_LAD;
    return true;
  }
  if (starts_with(text, "huber:") && parse_two(text + 6, &first, &second) && isnan(second)) {
    *objective = (struct objective){.kind = OBJECTIVE_HUBER, .delta = first};
    return true;
  }
  if (starts_with(text, "student-t:") && parse_two(text + 10, &first, &second)) {
    *objective = (struct objective){OBJECTIVE_STUDENT_T, .delta = INFINITY, .degrees = first, .scale = second};
    return true;
  }
  if (starts_with(text, "asymmetric:") && parse_two(text + 11, &first, &second)) {
    *objective = (struct objective){OBJECTIVE_ASYMMETRIC, .delta = isnan(second) ? INFINITY : second, .ratio = first};
    return true;
  }
  return error_set(error, EXIT_USAGE_ERROR,
                   "objective '%s' is none of huber:DELTA (huber:1e-3), least-squares, lad, student-t:NU[:SCALE] "
                   "(student-t:4), asymmetric:RATIO[:DELTA] (asymmetric:3)",
                   text);
}

void objective_text(struct objective objective, char out[OBJECTIVE_TEXT]) {
  char first[32], second[32];
  bool student = objective.kind == OBJECTIVE_STUDENT_T;
  number_shortest(student ? objective.degrees : objective.ratio, first);
  number_shortest(student ? objective.scale : objective.delta, second);
  switch (objective.kind) {
    case OBJECTIVE_HUBER:
      snprintf(out, OBJECTIVE_TEXT, "huber:%s", second);
      break;
    case OBJECTIVE_LEAST_SQUARES:
      snprintf(out, OBJECTIVE_TEXT, "least-squares");
      break;
    case OBJECTIVE_LAD:
      snprintf(out, OBJECTIVE_TEXT, "lad");
      break;
    default: {
      bool whole = isfinite(student ? objective.scale : objective.delta);
      snprintf(out, OBJECTIVE_TEXT, "%s:%s%s%s", student ? "student-t" : "asymmetric", first, whole ? ":" : "",
               whole ? second : "");
    }
  }
}

void problem_take(struct problem *problem, struct objective objective) {
  problem_take_squares(problem);
  if (objective.kind == OBJECTIVE_HUBER || objective.kind == OBJECTIVE_ASYMMETRIC) problem->delta = objective.delta;
  if (objective.kind == OBJECTIVE_ASYMMETRIC) problem->asymmetry = objective.ratio - 1;
  if (objective.kind == OBJECTIVE_STUDENT_T) problem->tail = objective.degrees * objective.scale * objective.scale;
}

static struct problem loss_of(struct objective objective) {
  struct problem made = {0};
  problem_take(&made, objective);
  return made;
}

double objective_loss(struct objective objective, double residual) {
  const struct problem loss = loss_of(objective);
  return objective.kind == OBJECTIVE_LAD ? fabs(residual) : problem_loss(&loss, -residual);
}

double objective_influence(struct objective objective, double residual) {
  const struct problem loss = loss_of(objective);
  return problem_reweight(&loss, -residual) / (residual < 0 ? 1 + loss.asymmetry : 1);
}

double objective_slope(struct objective objective, double difference) {
  const struct problem loss = loss_of(objective);
  return problem_slope(&loss, difference);
}

double objective_curvature(struct objective objective, double difference) {
  const struct problem loss = loss_of(objective);
  return problem_curvature(&loss, difference);
}
