// Schedules of the learning rate as texts, and the sums over their steps that laws of loss curves need.
//
// A schedule is a list of knots STEP:RATE, between which the learning rate is linear in the step:
//
//   0:0, 100:3e-4, 5000:3e-4, 10000:3e-5         warm-up, constant, linear decay
//   0:0, 100:3e-4, 10000:3e-5:cosine             the knot is reached along half a cosine
//   0:3e-4, 5000:3e-4, 5000:1e-4, 8000:1e-4      two knots at one step: a jump, from the next step on
//
// Knots are parted by commas, semicolons or blanks. Step k, from 1, is trained at the rate of step k; before the first
// knot the rate is that knot's, and after the last one the schedule has ended.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

enum { RATE_KNOTS = 500 };  // of a schedule's text, at most

struct rate_knot {
  double step, rate;
  double area;  // the rates of all steps up to here, added up
};

struct rate_schedule {
  struct rate_knot *knots;  // a cosine's part is many of them
  size_t knot_count;
  double *bounds;  // [bound_count]: steps after which a piece begins anew: the text's knots, and the step after a jump
  size_t bound_count;
  double end;         // last step
  double peak;        // highest rate
  double warmup_end;  // the last step of the rise that it begins with; 0: it begins with none
};

// Reads the text; all memory comes from the arena. False with an error that quotes it and says where: what is no knot,
// steps that are no whole numbers or descend, a rate below 0, no rate above 0, more than RATE_KNOTS knots.
bool rate_schedule_parse(struct arena *arena, const char *text, struct rate_schedule *schedule, struct error *error);
// The rate of a step, and the sum of the rates of steps 1 to `step`.
double rate_schedule_rate(const struct rate_schedule *schedule, double step);
double rate_schedule_area(const struct rate_schedule *schedule, double step);

// Steps next to each other that are taken together, as the step at which the sum ends sees them.
struct rate_piece {
  double steps;
  double lr;    // mean learning rate
  double drop;  // how much the rate falls from the step before the piece to its last one; below 0 where it rises, but 0
                // within the rise that the schedule begins with
  double since;  // steps from one of the piece's to the end of the sum, both counted; their mean
  double area;   // the rates of these steps added up; their mean
};
enum rate_piece_field { PIECE_STEPS, PIECE_LR, PIECE_DROP, PIECE_SINCE, PIECE_AREA, PIECE_FIELDS };
// "steps", "lr", "drop", "since", "area".
extern const char *const rate_piece_fields[PIECE_FIELDS];
double rate_piece_value(const struct rate_piece *piece, enum rate_piece_field field);

// The pieces of steps 1 to `step`, the last first: each as long as `share` of its distance from that step, one step at
// least (share 0: every step by itself), and none over a bound. Sums of steps, of lr * steps and of drop over them are
// exact; a rate or area below a millionth of the peak is that, so that powers of a rate of 0 are numbers. Grows
// *pieces, which holds `*capacity` of them and is released with free. `step` must not be beyond the end.
size_t rate_schedule_pieces(const struct rate_schedule *schedule, double step, double share, struct rate_piece **pieces,
                            size_t *capacity);
// The share that laws are fitted with.
extern const double RATE_PIECE_SHARE;

// The text of rates at so many steps, ascending from a step of 0 or more, with as few knots as keep every rate within
// `tolerance` of the highest one (a line between knots; Ramer 1972), RATE_KNOTS at most. *error_share: the largest
// difference that is left, as a share of the highest rate.
char *rate_schedule_text(struct arena *arena, const double *steps, const double *rates, size_t count, double tolerance,
                         double *error_share);
