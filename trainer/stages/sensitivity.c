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
    return error_set(error, EXIT_USAGE_ERROR, "compress.allocate.tokens hold no unmasked target: take more of them");
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

static bool measure_matrix(struct measuring *m, const struct model_values *values, int64_t layer, int which,
                           double before, struct sensitivity *out, struct error *error) {
  const struct run_config *c = &m->work->run.file.config;
  const struct weight_description d = layout_weight(c, (enum model_matrix)which, layer);
  const int64_t offset = layout_weight_offset(&values->table, (enum model_matrix)which, layer);
  const int64_t count = d.outputs * d.inputs;
  const float *weights = values->values + offset;
  double x[MOST_NOISES], y[MOST_NOISES], square = 0;
  int sizes = (int)c->compress.allocate.noises;
  *out = (struct sensitivity){0, 0};
  for (int64_t i = 0; i < count; i++) square += (double)weights[i] * weights[i];
  if (square == 0) return true;  // whatever it becomes has no relative error
  for (int i = 0; i < sizes; i++) {
    double up = 0, down = 0, t = c->compress.allocate.largest_noise * sqrt((i + 1.0) / sizes);
    draw(m->noise, weights, count, (uint64_t)c->seed, (uint64_t)(layer * MATRIX_HEAD + which) << 8 | (uint64_t)i);
    if (!rise_of(m, weights, offset, count, t, before, &up, error) ||
        !rise_of(m, weights, offset, count, -t, before, &down, error))
      return false;
    x[i] = t * t;
    y[i] = (up + down) / 2;
    if (!isfinite(y[i]))
      return error_set(error, EXIT_USAGE_ERROR,
                       "noise of t = %g in matrix %d of layer %lld makes the loss infinite: take less "
                       "compress.allocate.largest_noise",
                       t, which, (long long)layer);
  }
  memcpy(m->values.values + offset, weights, (size_t)count * sizeof *weights);
  *out = sensitivity_fit(x, y, sizes);
  return true;
}

// ---- all matrices ----

static int64_t largest_matrix(const struct run_config *config) {
  int64_t most = 0;
  for (int which = 0; which < MATRIX_HEAD; which++) {
    struct weight_description d = layout_weight(config, (enum model_matrix)which, 0);
    if (d.outputs * d.inputs > most) most = d.outputs * d.inputs;
  }
  return most;
}

static bool prepare(struct measuring *m, const struct model_values *values, struct error *error) {
  const struct run_config *c = &m->work->run.file.config;
  m->noise = memory_get((size_t)largest_matrix(c) * sizeof *m->noise);
  if (!values_copy(&m->values, values)) return false;
  m->noisy = stage_model_of(m->work, m->work->parent_format, values, error);
  if (!m->noisy) return false;
  m->batch = batch_memory(m->noisy->rows > m->noisy->evaluation_rows ? m->noisy->rows : m->noisy->evaluation_rows);
  if (!m->divergence) return true;
  m->parent = stage_model_of(m->work, m->work->parent_format, values, error);
  return m->parent && two_models_make(&m->two, m->parent, m->noisy, error);
}

bool measure_sensitivities(struct stage_work *work, const struct model_values *values, struct sensitivity *out,
                           struct error *error) {
  const struct run_config *c = &work->run.file.config;
  const char *alpha = c->compress.allocate.alpha;
  struct measuring m = {
      .work = work, .divergence = strcmp(alpha, "loss") != 0, .random = strcmp(alpha, "kl-random") == 0};
  m.windows = (c->compress.allocate.tokens + c->model.context - 1) / c->model.context;
  double before = 0;  // of a divergence
  bool fine = prepare(&m, values, error) && (m.divergence || measure(&m, &before, error));
  for (int64_t i = 0; i < c->model.layers * MATRIX_HEAD && fine; i++)
    fine = measure_matrix(&m, values, i / MATRIX_HEAD, (int)(i % MATRIX_HEAD), before, &out[i], error);
  two_models_free(&m.two);
  model_free(m.parent);
  model_free(m.noisy);
  batch_free(&m.batch);
  values_free(&m.values);
  free(m.noise);
  return fine;
}
