// Decisions of successive halving; see coordinator_halving.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/execute/coordinator_halving.h"
#include "runner/plan/halving.h"

// A candidate of the group: one run, or those over whose losses the rule takes the mean.
struct contender {
  size_t candidate, first;  // first: of its members that take part
  size_t arrived;           // members whose losses count
  bool diverged;            // a member has
  double loss;              // INFINITY: not a number there
};

static struct job *job_of(const struct coordinator *c, const struct competition *one, size_t member) {
  return &c->jobs[one->group->runs[member]];
}

bool competition_arrival(const struct coordinator *c, const struct competition *one, size_t member,
                         enum arrival *arrival, struct error *error) {
  const struct job *job = job_of(c, one, member);
  int64_t rung = one->group->rungs[one->decided], at, step = 0;
  double loss;
  struct value id = store_text(job->id);
  // Cancelled, it takes no part: those that go on are the best of the others.
  *arrival = job->mark == MARK_CANCELLED ? ENDED_BEFORE : ON_THE_WAY;
  if (*arrival == ENDED_BEFORE) return true;
  if (!store_evaluation_before(c->store, job->id, rung, &at, &loss, error)) return false;
  struct store_rows *rows = store_select(c->store, "SELECT step FROM runs WHERE id = ?1", &id, 1, error);
  if (rows && store_rows_next(rows, error) && store_rows_value(rows, 0).kind == VALUE_NUMBER)
    step = (int64_t)store_rows_value(rows, 0).number;
  store_rows_close(rows);
  // Behind the rung's evaluation nothing changes any more what is compared; another trainer tells by going on.
  bool evaluated = c->halving->plan->stops_by_step ? at == rung : step > rung;
  if (evaluated || job->state == RUN_DONE || job->stopped_at >= rung)
    *arrival = ARRIVED;
  else if (job->state == RUN_DIVERGED || job->state == RUN_FAILED)
    *arrival = ENDED_BEFORE;
  return !error->code;
}

// The last step up to the rung at which all that have come were evaluated; 0: none.
static bool common_step(const struct coordinator *c, const struct competition *one, const enum arrival *arrivals,
                        size_t count, int64_t *step, struct error *error) {
  struct text sql = {0};
  struct value values[] = {store_number((double)one->group->rungs[one->decided]), store_number((double)count)};
  const char *comma = "";
  *step = 0;
  text_add(&sql, "SELECT step FROM metrics WHERE kind = 'eval' AND step <= ?1 AND run IN (");
  for (size_t m = 0; m < one->group->count; m++) {
    if (one->out[m] || arrivals[m] != ARRIVED) continue;
    text_format(&sql, "%s'%s'", comma, job_of(c, one, m)->id);
    comma = ", ";
  }
  text_add(&sql, ") GROUP BY step HAVING count(*) = ?2 ORDER BY step DESC LIMIT 1");
  struct store_rows *rows = store_select(c->store, text_string(&sql), values, 2, error);
  if (rows && store_rows_next(rows, error)) *step = (int64_t)store_rows_value(rows, 0).number;
  store_rows_close(rows);
  text_free(&sql);
  return !error->code;
}

// Equal losses: in the spec's order.
static int by_loss(const void *a, const void *b) {
  const struct contender *x = a, *y = b;
  if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
  return (x->first > y->first) - (x->first < y->first);
}

static bool put(struct coordinator *c, struct competition *one, size_t member, int64_t loss_step, double loss,
                size_t place, bool kept, struct error *error) {
  size_t r = one->decided;
  struct halving_record record = {
      .experiment = c->options->experiment->name,
      .competition = one->id,
      .run = job_of(c, one, member)->id,
      .over = c->halving->plan->over,
      .rung = (int64_t)r + 1,
      .step = one->group->rungs[r],
      .share = c->halving->plan->rule->at[r],
      .loss_step = loss_step,
      .loss = isfinite(loss) ? loss : NAN,
      .place = (int64_t)place,
      .kept = kept,
  };
  one->out[member] = !kept;
  one->absent[member] = !kept && loss_step == 0;
  return store_halving_put(c->store, &record, error);
}

// The candidates of which some member has come, by their mean losses at `step`, first the best. False on error.
static bool rank(const struct coordinator *c, const struct competition *one, const enum arrival *arrivals, int64_t step,
                 struct contender *list, size_t *count, struct error *error) {
  const struct halving_group *group = one->group;
  *count = 0;
  for (size_t k = 0; k < group->candidate_count; k++) {
    struct contender one_of = {.candidate = k, .first = SIZE_MAX};
    for (size_t m = 0; m < group->count; m++) {
      int64_t at;
      double loss = INFINITY;
      if (group->candidates[m] != k || one->out[m]) continue;
      one_of.diverged |= job_of(c, one, m)->state == RUN_DIVERGED && arrivals[m] == ENDED_BEFORE;
      if (arrivals[m] != ARRIVED) continue;
      if (step > 0 && !store_evaluation_before(c->store, job_of(c, one, m)->id, step, &at, &loss, error)) return false;
      if (one_of.first == SIZE_MAX) one_of.first = m;
      one_of.loss += isfinite(loss) ? loss : INFINITY;
      one_of.arrived++;
    }
    if (!one_of.arrived) continue;
    one_of.loss = one_of.diverged ? INFINITY : one_of.loss / (double)one_of.arrived;
    list[(*count)++] = one_of;
  }
  qsort(list, *count, sizeof *list, by_loss);
  return true;
}

// Puts what was decided of a candidate's members. Who ended before has no loss there.
static bool put_candidate(struct coordinator *c, struct competition *one, size_t candidate,
                          const enum arrival *arrivals, int64_t step, size_t place, bool kept, struct error *error) {
  bool fine = true;
  for (size_t m = 0; m < one->group->count && fine; m++) {
    int64_t at;
    double loss = NAN;
    bool compared = arrivals[m] == ARRIVED;
    if (one->group->candidates[m] != candidate || one->out[m]) continue;
    if (compared && step > 0) fine = store_evaluation_before(c->store, job_of(c, one, m)->id, step, &at, &loss, error);
    fine = fine && put(c, one, m, compared ? step : 0, loss, place, kept, error);
  }
  return fine;
}

// The best of those that have come go on; candidates that ended before go nowhere. *list gets those that have come, in
// order.
static bool decide(struct coordinator *c, struct competition *one, const enum arrival *arrivals, struct contender *list,
                   size_t *count, struct error *error) {
  const struct halving_group *group = one->group;
  int64_t step = 0;
  size_t survive = group->survive[one->decided], arrived = 0;
  for (size_t m = 0; m < group->count; m++) arrived += !one->out[m] && arrivals[m] == ARRIVED;
  if (arrived > 0 && !common_step(c, one, arrivals, arrived, &step, error)) return false;
  if (!rank(c, one, arrivals, step, list, count, error)) return false;
  bool fine = true, *there = memory_get(group->candidate_count + 1);
  bool *left = memory_get(group->candidate_count + 1);
  for (size_t k = 0; k < group->candidate_count; k++) there[k] = left[k] = false;
  for (size_t m = 0; m < group->count; m++) left[group->candidates[m]] |= !one->out[m];
  size_t place = 0;
  for (; place < *count && fine; place++) {
    there[list[place].candidate] = true;
    fine = put_candidate(c, one, list[place].candidate, arrivals, step, place + 1, step == 0 || place < survive, error);
  }
  for (size_t k = 0; k < group->candidate_count && fine; k++)
    if (left[k] && !there[k]) fine = put_candidate(c, one, k, arrivals, 0, ++place, false, error);
  free(there);
  free(left);
  if (fine && step == 0 && *count > 1 && !one->told) {
    one->told = true;
    progress_note(&c->progress, true,
                  "halving  over %s: no step up to %lld has an evaluation of all %zu runs that compete (run %.8s and "
                  "others): none is stopped there",
                  c->halving->plan->over, (long long)one->group->rungs[one->decided], arrived,
                  job_of(c, one, list[0].first)->id);
  }
  return fine;
}

// What the store has of the next rung: true when it has a row for each member that was left.
static bool read_decision(struct coordinator *c, struct competition *one, bool *found, struct error *error) {
  const struct halving_group *group = one->group;
  struct store_rows *rows = store_halvings(c->store, c->options->experiment->name, one->id, error);
  bool *kept = memory_get(group->count + 1), *there = memory_get(group->count + 1);
  while (rows && store_rows_next(rows, error)) {
    if (store_rows_get(rows, "rung").number != (double)(one->decided + 1)) continue;
    const char *run = store_rows_get(rows, "run").text;
    for (size_t m = 0; m < group->count; m++) {
      if (strcmp(job_of(c, one, m)->id, run) != 0) continue;
      there[m] = true;
      kept[m] = store_rows_get(rows, "kept").number != 0;
      struct value compared = store_rows_get(rows, "loss_step");
      one->absent[m] = !kept[m] && !(compared.kind == VALUE_NUMBER && compared.number > 0);
    }
  }
  store_rows_close(rows);
  *found = !error->code;
  for (size_t m = 0; m < group->count; m++) *found = *found && (one->out[m] || there[m]);
  for (size_t m = 0; m < group->count && *found; m++) one->out[m] = one->out[m] || !kept[m];
  free(kept);
  free(there);
  return !error->code;
}

static void tell(struct coordinator *c, const struct competition *one, const struct contender *list, size_t count) {
  struct text text = {0};
  char loss[32];
  const char *average = c->halving->plan->average;
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) kept += !one->out[list[i].first];
  for (size_t i = 0; i < count && i < 8; i++)
    text_format(&text, "%s%.8s %s",
                i == kept ? "; stopped: "
                : i       ? ", "
                          : "",
                job_of(c, one, list[i].first)->id, isfinite(list[i].loss) ? loss_human(list[i].loss, loss) : "-");
  progress_note(&c->progress, false, "halving  over %s%s%s at step %lld of %lld: %zu of %zu go on: %s%s",
                c->halving->plan->over, average ? ", means over " : "", average ? average : "",
                (long long)one->group->rungs[one->decided], (long long)one->group->steps, kept, count,
                text_string(&text), count > 8 ? ", ..." : "");
  text_free(&text);
}

// Candidates that were not stopped yet.
static size_t candidates_left(const struct competition *one) {
  const struct halving_group *group = one->group;
  size_t left = 0;
  for (size_t k = 0; k < group->candidate_count; k++) {
    bool goes_on = false;
    for (size_t m = 0; m < group->count; m++) goes_on |= group->candidates[m] == k && !one->out[m];
    left += goes_on;
  }
  return left;
}

bool competition_decide(struct coordinator *c, struct competition *one, bool *done, struct error *error) {
  const struct halving_group *group = one->group;
  *done = false;
  if (one->decided == c->halving->plan->rule->rung_count) return true;
  *done = candidates_left(one) <= group->survive[one->decided];  // all go on: nobody stops there
  if (!*done && !read_decision(c, one, done, error)) return false;
  if (*done) {
    one->decided++;
    return true;
  }
  struct contender *list = memory_get((group->candidate_count + 1) * sizeof *list);
  enum arrival *arrivals = memory_get((group->count + 1) * sizeof *arrivals);
  size_t count = 0;
  bool fine = true, all = true;
  for (size_t m = 0; m < group->count && fine && all; m++) {
    if (one->out[m]) continue;
    fine = competition_arrival(c, one, m, &arrivals[m], error);
    all = arrivals[m] != ON_THE_WAY;
  }
  if (fine && all) {
    fine = decide(c, one, arrivals, list, &count, error);
    if (fine) tell(c, one, list, count);
    if (fine) one->decided++;
    *done = fine;
  }
  free(list);
  free(arrivals);
  return fine;
}
