// A run of task `continual`: phases, tests of all that was learnt after each, and the solution's ranks.
#include <math.h>
#include <string.h>

#include "trainer/spectrum.h"
#include "trainer/tasks/continual/continual.h"
#include "trainer/tasks/program.h"

enum { STREAM_DIGITS = 47, STREAM_DIGITS_TEST = 48, LEAST_ROWS = 256 };

struct learner {
  struct network network;
  int64_t rows;  // of the network's memory, and of a block of test examples
  float *x;      // [rows, DIGIT_PIXELS]
  int32_t *digits;
  double *accuracy;  // [phases][phases]: after a phase, of a phase
};

// ---- measures ----

struct retention continual_retention(const double *accuracy, int64_t phases) {
  struct retention r = {0, 0, NAN};
  double lost = 0;
  const double *last = accuracy + (phases - 1) * phases;
  for (int64_t p = 0; p < phases; p++) {
    r.current += accuracy[p * phases + p] / (double)phases;
    r.last += last[p] / (double)phases;
    lost += accuracy[p * phases + p] - last[p];
  }
  if (phases > 1) r.forgetting = lost / (double)(phases - 1);
  return r;
}

double class_mean_cosine(const float *x, const int32_t *classes, int64_t rows, int64_t columns, int count,
                         struct arena *arena) {
  double *means = arena_array(arena, (size_t)(count * columns), sizeof *means), sum = 0, pairs = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < columns; j++) means[classes[r] * columns + j] += x[r * columns + j];
  for (int a = 0; a < count; a++)
    for (int b = 0; b < a; b++) {
      double dot = 0, of_a = 0, of_b = 0;
      for (int64_t j = 0; j < columns; j++) {
        double u = means[a * columns + j], v = means[b * columns + j];
        dot += u * v;
        of_a += u * u;
        of_b += v * v;
      }
      if (!(of_a > 0 && of_b > 0)) continue;
      sum += dot / sqrt(of_a * of_b);
      pairs++;
    }
  return pairs > 0 ? sum / pairs : NAN;
}

// What kind of solution the last phase has ended in.
static bool measure(struct task_run *run, struct learner *l, struct error *error) {
  const struct continual *c = run->settings;
  struct network *n = &l->network;
  struct spectrum weights, values;
  double sums[4] = {0}, zeros = 0;
  digit_examples(run->seed, STREAM_DIGITS_TEST, c->phases - 1, 0, c->noise, l->rows, l->x, l->digits);
  network_evaluate(n, l->rows, l->x, l->digits, NULL);
  for (int i = 1; i < n->layers; i++) {
    int64_t size = n->sizes[i];
    if (!spectrum_of(size, n->sizes[i - 1], n->parameters + n->weight[i - 1], 1, &weights, error) ||
        !spectrum_of(l->rows, size, n->values[i], 1, &values, error))
      return false;
    sums[0] += weights.effective_rank;
    sums[1] += weights.stable_rank;
    sums[2] += values.effective_rank;
    sums[3] += values.stable_rank;
    for (int64_t j = 0; j < l->rows * size; j++) zeros += n->values[i][j] == 0;
  }
  double layers = (double)c->layers;
  task_report(run, "weight_effective_rank", sums[0] / layers);
  task_report(run, "weight_stable_rank", sums[1] / layers);
  task_report(run, "activation_effective_rank", sums[2] / layers);
  task_report(run, "activation_stable_rank", sums[3] / layers);
  task_report(run, "zero_fraction", zeros / (layers * (double)(l->rows * c->hidden)));
  task_report(run, "class_cosine",
              class_mean_cosine(n->values[c->layers], l->digits, l->rows, c->hidden, DIGITS, &run->arena));
  return true;
}

// ---- phases ----

static bool learn(struct task_run *run, struct learner *l, int64_t phase, struct error *error) {
  const struct continual *c = run->settings;
  int64_t all = c->phases * c->steps, every = all >= 40 ? all / 40 : 1;
  bool cosine = strcmp(c->schedule, "cosine") == 0;
  double sum = 0;
  for (int64_t i = 0, counted = 0; i < c->steps; i++) {
    double share = (double)i / (double)c->steps, lr = c->lr * (cosine ? 0.5 * (1 + cos(M_PI * share)) : 1);
    int64_t done = phase * c->steps + i + 1;
    if (i % 64 == 0 && task_stopped(run)) return false;
    digit_examples(run->seed, STREAM_DIGITS, phase, (uint64_t)i, c->noise, c->batch, l->x, l->digits);
    double loss = network_train(&l->network, c->batch, l->x, l->digits, lr);
    if (!isfinite(loss)) return task_diverge(run, "the loss is not finite");
    sum += loss;
    counted++;
    if (done % every && i + 1 != c->steps) continue;
    if (!task_point(run, done, (double)(done * c->batch), sum / (double)counted, error)) return false;
    sum = 0;
    counted = 0;
  }
  return true;
}

// Of the test examples of phase `of`; *loss (may be NULL) gets their mean loss.
static double test(struct task_run *run, struct learner *l, int64_t of, double *loss) {
  const struct continual *c = run->settings;
  int64_t right, all = 0, seen = 0;
  double sum = 0;
  for (int64_t block = 0; seen < c->test_samples; block++) {
    int64_t rows = c->test_samples - seen < l->rows ? c->test_samples - seen : l->rows;
    digit_examples(run->seed, STREAM_DIGITS_TEST, of, (uint64_t)block, c->noise, rows, l->x, l->digits);
    sum += network_evaluate(&l->network, rows, l->x, l->digits, &right) * (double)rows;
    all += right;
    seen += rows;
  }
  if (loss) *loss = sum / (double)seen;
  return (double)all / (double)seen;
}

bool continual_work(struct task_run *run, struct error *error) {
  const struct continual *c = run->settings;
  struct learner l = {.rows = c->batch > LEAST_ROWS ? c->batch : LEAST_ROWS};
  struct network_training training = {c->optimizer, c->weight_decay, run->seed, run->threads};
  int64_t sizes[NETWORK_LAYERS + 1] = {DIGIT_PIXELS};
  for (int64_t i = 1; i <= c->layers; i++) sizes[i] = c->hidden;
  sizes[c->layers + 1] = DIGITS;
  l.x = arena_array(&run->arena, (size_t)(l.rows * DIGIT_PIXELS), sizeof *l.x);
  l.digits = arena_array(&run->arena, (size_t)l.rows, sizeof *l.digits);
  l.accuracy = arena_array(&run->arena, (size_t)(c->phases * c->phases), sizeof *l.accuracy);
  bool fine = network_open(&l.network, sizes, (int)c->layers + 1, l.rows, &training, error);
  if (fine) network_initialise(&l.network, run->seed);
  double losses = 0;
  for (int64_t phase = 0; fine && phase < c->phases; phase++) {
    double loss;
    fine = learn(run, &l, phase, error);
    for (int64_t of = 0; fine && of <= phase; of++) {
      l.accuracy[phase * c->phases + of] = test(run, &l, of, of == phase ? &loss : NULL);
      fine = !task_stopped(run);
    }
    if (fine) losses += loss / (double)c->phases;
  }
  if (fine) {
    struct retention r = continual_retention(l.accuracy, c->phases);
    run->loss = losses;
    task_report(run, "current_accuracy", r.current);
    task_report(run, "final_accuracy", r.last);
    task_report(run, "forgetting", r.forgetting);
    fine = measure(run, &l, error);
  }
  network_close(&l.network);
  return fine;
}
