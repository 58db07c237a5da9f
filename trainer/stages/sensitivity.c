// See sensitivity.h.
#include "trainer/stages/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "trainer/layout.h"
#include "trainer/stages/calibration.h"
#include "trainer/stages/evaluate_rows.h"

enum { MOST_NOISES = 64 };

// The model that noise goes into, and what it is held against.
struct measuring {
  struct stage_work *work;
  const struct sensitivity_request *request;
  bool divergence, random;  // KL divergence instead of the loss; random tokens instead of the corpus's
  int64_t windows;
  struct model *noisy, *parent;  // parent: of a divergence alone
  struct two_models two;
  struct batch_memory batch;
  struct model_values values;  // what goes into `noisy`
  float *noise;                // of the largest matrix
};

static bool stopped(struct stage_work *work) {
  work->stopped = work->stop_asked && *work->stop_asked;
  return work->stopped;
}

// ---- tokens ----

// Windows [first, first + count) into the batch; *mask: its mask where there is one.
static bool fill(struct measuring *m, int64_t first, int64_t count, const uint8_t **mask, struct error *error) {
  struct training *t = &m->work->run;
  const struct run_config *c = &t->file.config;
  int64_t context = c->model.context;
  *mask = NULL;
  if (!m->random) {
    const struct corpus_batch request = calibration_request(m->windows, first, count, context);
    if (corpus_has_mask(t->corpus)) *mask = m->batch.mask;
    return corpus_batch(t->corpus, &request, m->batch.tokens, m->batch.targets, m->batch.mask, error);
  }
  for (int64_t w = 0; w < count; w++)
    for (int64_t i = 0; i < context; i++) {
      const uint64_t token = random_below(0, RANDOM_STREAM_TOKENS, (uint64_t)(first + w), (uint64_t)i,
                                          (uint64_t)corpus_vocabulary(t->corpus));
      m->batch.tokens[w * context + i] = m->batch.targets[w * context + i] = (int32_t)token;
    }
  return true;
}

// ---- what the model with noise is worse by ----

static bool add_divergence(struct measuring *m, int64_t rows, const uint8_t *mask, struct row_sums *sums,
                           struct error *error) {
  return two_models_forward(&m->two, rows, m->batch.tokens, error) &&
         two_models_compare(&m->two, rows, m->batch.targets, mask, sums, error);
}

// The mean loss, or divergence from the parent's model, a target. False also when it was asked to stop.
static bool measure(struct measuring *m, double *mean, struct error *error) {
  int64_t context = m->noisy->config.model.context, at_once = m->noisy->evaluation_rows / context;
  struct loss_sum sum = {0};
  struct row_sums rows = {0};
  for (int64_t first = 0; first < m->windows; first += at_once) {
    int64_t count = m->windows - first < at_once ? m->windows - first : at_once;
    struct token_batch batch = {.rows = count * context, .tokens = m->batch.tokens, .targets = m->batch.targets};
    if (stopped(m->work) || !fill(m, first, count, &batch.mask, error)) return false;
    if (m->divergence ? !add_divergence(m, batch.rows, batch.mask, &rows, error)
                      : !model_evaluate(m->noisy, &batch, first * context, &sum, NULL, error))
      return false;
  }
  if ((m->divergence ? rows.rows : sum.targets) == 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the tokens that noise is measured on hold no unmasked target: take more of them");
  *mean = m->divergence ? rows.kl / (double)rows.rows : sum.nats / (double)sum.targets;
  return true;
}

// ---- noise ----

// A Gaussian direction as long as the matrix: ||noise|| = ||weights||.
static void draw(float *noise, const float *weights, int64_t count, uint64_t seed, uint64_t step) {
  double of_noise = 0, of_weights = 0, pair[2];
  for (int64_t i = 0; i < count; i++) {
    if (i % 2 == 0) random_normal_pair(seed, RANDOM_STREAM_SENSITIVITY, step, (uint64_t)i / 2, pair);
    noise[i] = (float)pair[i % 2];
    of_noise += (double)noise[i] * noise[i];
    of_weights += (double)weights[i] * weights[i];
  }
  const double scale = sqrt(of_weights / of_noise);
  for (int64_t i = 0; i < count; i++) noise[i] = (float)(noise[i] * scale);
}

// The rise with `t` times the noise in the matrix.
static bool rise_of(struct measuring *m, const float *weights, int64_t offset, int64_t count, double t, double before,
                    double *rise, struct error *error) {
  float *matrix = m->values.values + offset;
  for (int64_t i = 0; i < count; i++) matrix[i] = (float)(weights[i] + t * m->noise[i]);
  if (!values_write(&m->values, m->noisy, error)) return false;
  model_prepare(m->noisy, m->work->parent.step);
  bool fine = measure(m, rise, error);
  *rise -= before;
  return fine;
}

static bool measure_range(struct measuring *m, const struct model_values *values, const struct sensitivity_range *range,
                          double before, struct sensitivity *out, struct error *error) {
  const struct sensitivity_request *r = m->request;
  const float *weights = values->values + range->offset;
  double x[MOST_NOISES], y[MOST_NOISES], square = 0;
  int sizes = (int)r->noises;
  *out = (struct sensitivity){0, 0};
  for (int64_t i = 0; i < range->count; i++) square += (double)weights[i] * weights[i];
  if (square == 0) return true;  // whatever it becomes has no relative error
  for (int i = 0; i < sizes; i++) {
    double up = 0, down = 0, t = r->largest_noise * sqrt((i + 1.0) / sizes);
    draw(m->noise, weights, range->count, r->seed, range->number << 8 | (uint64_t)i);
    if (!rise_of(m, weights, range->offset, range->count, t, before, &up, error) ||
        !rise_of(m, weights, range->offset, range->count, -t, before, &down, error))
      return false;
    x[i] = t * t;
    y[i] = (up + down) / 2;
    if (!isfinite(y[i]))
      return error_set(error, EXIT_USAGE_ERROR,
                       "noise of t = %g in matrix %lld of all makes the loss infinite: take less largest_noise", t,
                       (long long)(range - r->ranges) + 1);
  }
  memcpy(m->values.values + range->offset, weights, (size_t)range->count * sizeof *weights);
  *out = sensitivity_fit(x, y, sizes);
  return true;
}

// ---- all matrices ----

static bool prepare(struct measuring *m, const struct model_values *values, struct error *error) {
  int64_t most = 0;
  for (int64_t i = 0; i < m->request->count; i++)
    if (m->request->ranges[i].count > most) most = m->request->ranges[i].count;
  m->noise = memory_get((size_t)most * sizeof *m->noise);
  if (!values_copy(&m->values, values)) return false;
  m->noisy = stage_model_of(m->work, m->work->parent_format, values, error);
  if (!m->noisy) return false;
  m->batch = batch_memory(m->noisy->rows > m->noisy->evaluation_rows ? m->noisy->rows : m->noisy->evaluation_rows);
  if (!m->divergence) return true;
  m->parent = stage_model_of(m->work, m->work->parent_format, values, error);
  return m->parent && two_models_make(&m->two, m->parent, m->noisy, error);
}

bool measure_sensitivities(struct stage_work *work, const struct model_values *values,
                           const struct sensitivity_request *r, struct sensitivity *out, struct error *error) {
  const int64_t context = work->run.file.config.model.context;
  struct measuring m = {.work = work,
                        .request = r,
                        .divergence = strcmp(r->alpha, "loss") != 0,
                        .random = strcmp(r->alpha, "kl-random") == 0};
  m.windows = (r->tokens + context - 1) / context;
  double before = 0;  // of a divergence
  bool fine = prepare(&m, values, error) && (m.divergence || measure(&m, &before, error));
  for (int64_t i = 0; i < r->count && fine; i++)
    fine = measure_range(&m, values, &r->ranges[i], before, &out[i], error);
  two_models_free(&m.two);
  model_free(m.parent);
  model_free(m.noisy);
  batch_free(&m.batch);
  values_free(&m.values);
  free(m.noise);
  return fine;
}

double sensitivity_forward_tokens(const char *alpha, int64_t noises, int64_t tokens, int64_t ranges) {
  const double sizes = 2 * (double)noises * (double)ranges;
  // A divergence goes through both models.
  return (strcmp(alpha, "loss") != 0 ? 2 * sizes : 1 + sizes) * (double)tokens;
}
