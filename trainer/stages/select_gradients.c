// What a step of AdamW on each window of a pool would do to the loss of target examples, to first order: p = (a o g) .
// g_T with g a window's gradient, normalised once weighed, a = 1 / (sqrt(v) + epsilon) of the warmed-up training, and
// g_T a target's, normalised. Gradients are kept as sketches. Landmarks have theirs measured; the others' p is carried
// over from them by kernel ridge regression on what a forward pass shows of a window. See select.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/permutation.h"
#include "trainer/element.h"
#include "trainer/stages/influence.h"
#include "trainer/stages/select.h"
#include "trainer/stages/work.h"

enum { SIGNED_MEANS = 4 };  // of final states, by signs of the target: see see_window

struct measuring {
  struct stage_work *work;
  const struct run_config *config;
  struct model *model;
  struct batch_memory batch;
  struct sketcher sketcher;
  double *weights;   // a, of all parameters
  float *gradient;   // of all parameters
  float *targets;    // [targets, dimensions]
  int64_t embedded;  // numbers of an embedding
};

static bool stopped(struct measuring *m) { return m->work->stopped = m->work->stop_asked && *m->work->stop_asked; }

// ---- the warmed-up model and its second moments ----

static bool take_moments(struct measuring *m, int64_t step, struct error *error) {
  struct model *model = m->model;
  const int64_t count = model->table.count;
  const size_t bytes = (size_t)count * dtype_bytes(model->state_type);
  void *moments = memory_get(bytes);
  bool fine = model->ops->download(model->device, moments, model->state[STATE_V], bytes, error);
  const double correction = 1 - pow(m->config->train.beta2, (double)step);
  m->weights = memory_get((size_t)count * sizeof *m->weights);
  for (int64_t i = 0; i < count && fine; i++) {
    const double v = (double)element_value(moments, model->state_type, i);
    m->weights[i] = 1 / (sqrt(v / correction) + m->config->train.adam_eps);
  }
  free(moments);
  return fine;
}

// The parent's model as it trains, a window at a time.
static bool open_model(struct measuring *m, struct error *error) {
  struct stage_source *parent = &m->work->parent;
  struct training *t = &m->work->run;
  struct run_config config = parent->file.config;
  struct checkpoint_state state;
  const struct digest identity =
      config_identity(&parent->file.config, parent->file.corpus_digest, "state", parent->file.parent);
  config.train.batch_tokens = config.model.context;
  config.train.accumulation = 1;
  config.train.average_checkpoints = 0;
  config.train.gradient_compression = "none";
  config.train.first_moment = config.train.second_moment = "none";
  config.model.device = t->file.config.model.device;
  config.train.threads = t->file.config.train.threads;
  m->model = model_create(t->ops, t->device, &config, MODEL_TRAIN, error);
  if (!m->model || !checkpoint_load(m->model, parent->checkpoint, &identity, &state, error)) return false;
  m->batch = batch_memory(m->model->rows > m->model->evaluation_rows ? m->model->rows : m->model->evaluation_rows);
  m->gradient = memory_get((size_t)m->model->table.count * sizeof *m->gradient);
  m->sketcher = sketcher_make(m->model->table.count, m->config->data.dimensions, select_pool_stream(m->config));
  m->embedded = (1 + SIGNED_MEANS) * config.model.width;
  return take_moments(m, state.step, error);
}

static void measuring_free(struct measuring *m) {
  model_free(m->model);
  batch_free(&m->batch);
  sketcher_free(&m->sketcher);
  free(m->weights), free(m->gradient), free(m->targets);
}

// ---- gradients ----

static bool read_window(struct measuring *m, uint64_t stream, int64_t window, struct error *error) {
  const struct corpus_batch one = selection_request(stream, window, m->config->model.context);
  return corpus_batch(m->work->run.corpus, &one, m->batch.tokens, m->batch.targets, m->batch.mask, error);
}

// The sketch of a window's gradient, of norm 1; weighed by `a` first where asked.
static bool sketch_window(struct measuring *m, uint64_t stream, int64_t window, bool weighed, float *out,
                          struct error *error) {
  struct model *model = m->model;
  const int64_t context = m->config->model.context, count = model->table.count;
  int64_t targets = 0;
  double squares = 0;
  if (!read_window(m, stream, window, error)) return false;
  for (int64_t i = 0; i < context; i++) targets += m->batch.mask[i];
  if (!targets) {  // nothing to learn from
    memset(out, 0, (size_t)m->sketcher.dimensions * sizeof *out);
    return true;
  }
  const struct token_batch batch = {.rows = context,
                                    .tokens = m->batch.tokens,
                                    .targets = m->batch.targets,
                                    .mask = corpus_has_mask(m->work->run.corpus) ? m->batch.mask : NULL};
  model_gradient(model, &batch, 1 / (double)targets, 0, true, 0);
  model_finish_gradients(model);
  if (!model->ops->download(model->device, m->gradient, model->gradients, (size_t)count * sizeof *m->gradient, error))
    return false;
  for (int64_t i = 0; i < count; i++) {
    if (weighed) m->gradient[i] = (float)(m->gradient[i] * m->weights[i]);
    squares += (double)m->gradient[i] * m->gradient[i];
  }
  if (!isfinite(squares)) return error_set(error, EXIT_USAGE_ERROR, "the gradient of a window is not finite");
  sketch(&m->sketcher, m->gradient, squares > 0 ? 1 / sqrt(squares) : 0, out);
  return true;
}

static bool measure_targets(struct measuring *m, int part, struct error *error) {
  const int64_t count = m->config->data.targets;
  const uint64_t stream = select_target_stream(m->config);
  int64_t *windows = memory_get((size_t)count * sizeof *windows);
  m->targets = memory_get((size_t)(count * m->sketcher.dimensions) * sizeof *m->targets);
  bool fine = select_windows(m->work->run.corpus, stream, part, count, m->config->model.context, windows, error);
  for (int64_t i = 0; i < count && fine; i++)
    fine = !stopped(m) && sketch_window(m, stream, windows[i], false, m->targets + i * m->sketcher.dimensions, error);
  free(windows);
  return fine;
}

// p of these windows: [count, targets].
static bool measure_windows(struct measuring *m, const int64_t *windows, int64_t count, double *p,
                            struct error *error) {
  const int64_t dimensions = m->sketcher.dimensions, targets = m->config->data.targets;
  float *own = memory_get((size_t)dimensions * sizeof *own);
  bool fine = true;
  for (int64_t i = 0; i < count && fine; i++) {
    fine = !stopped(m) && sketch_window(m, select_pool_stream(m->config), windows[i], true, own, error);
    for (int64_t t = 0; t < targets && fine; t++) {
      double sum = 0;
      for (int64_t d = 0; d < dimensions; d++) sum += (double)own[d] * m->targets[t * dimensions + d];
      p[i * targets + t] = sum;
    }
  }
  free(own);
  return fine;
}

// ---- embeddings ----

static double sign_of(int64_t set, int32_t target, int64_t element) {
  const int64_t key[] = {set, target, element / 64};
  return hash64(key, sizeof key, 0) >> (element % 64) & 1 ? 1 : -1;
}

// The mean of the final states x_t, and, of each set of signs, the mean of x_t times the signs that the target y_t has:
// a sketch of sum x_t (x) e(y_t), which is what the output head's gradient has of a window's own text.
static void embed(const struct measuring *m, const float *x, const int32_t *targets, const uint8_t *mask, float *out) {
  const int64_t context = m->config->model.context, width = m->config->model.width;
  double squares = 0;
  memset(out, 0, (size_t)m->embedded * sizeof *out);
  for (int64_t t = 0; t < context; t++) {
    if (!mask[t]) continue;
    for (int64_t i = 0; i < width; i++) out[i] += x[t * width + i];
    for (int64_t s = 0; s < SIGNED_MEANS; s++)
      for (int64_t i = 0; i < width; i++)
        out[(s + 1) * width + i] += (float)(sign_of(s, targets[t], i) * x[t * width + i]);
  }
  for (int64_t i = 0; i < m->embedded; i++) squares += (double)out[i] * out[i];
  for (int64_t i = 0; i < m->embedded && squares > 0; i++) out[i] = (float)(out[i] / sqrt(squares));
}

static bool embed_pool(struct measuring *m, int64_t pool, float *out, struct error *error) {
  struct model *model = m->model;
  const int64_t context = m->config->model.context, elements = context * m->config->model.width;
  const size_t bytes = (size_t)elements * dtype_bytes(model->dtype);
  void *raw = memory_get(bytes);
  float *x = memory_get((size_t)elements * sizeof *x);
  bool fine = true;
  for (int64_t w = 0; w < pool && fine; w++) {
    fine = !stopped(m) && read_window(m, select_pool_stream(m->config), w, error) &&
           model_forward(model, context, m->batch.tokens, error) &&
           model->ops->download(model->device, raw, model->final_x, bytes, error);
    for (int64_t i = 0; i < elements && fine; i++) x[i] = element_value(raw, model->dtype, i);
    if (fine) embed(m, x, m->batch.targets, m->batch.mask, out + w * m->embedded);
  }
  free(raw), free(x);
  return fine;
}

// ---- from landmarks to all ----

static double correlation_of(const double *a, const double *b, int64_t count) {
  double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < count; i++) ma += a[i] / (double)count, mb += b[i] / (double)count;
  for (int64_t i = 0; i < count; i++) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN;
}

static bool predict(struct measuring *m, const int64_t *landmarks, const double *measured, struct influences *out,
                    struct error *error) {
  static const double damping = 0.01;  // of the kernel's mean diagonal, which is 1
  const int64_t count = m->config->data.landmarks, targets = out->targets, left = count / 8, e = m->embedded;
  float *all = memory_get((size_t)(out->pool * e) * sizeof *all), *x = memory_get((size_t)(count * e) * sizeof *x);
  double *tried = memory_get((size_t)(left * targets + 1) * sizeof *tried);
  bool fine = embed_pool(m, out->pool, all, error);
  for (int64_t i = 0; i < count && fine; i++) memcpy(x + i * e, all + landmarks[i] * e, (size_t)e * sizeof *x);
  // The first eighth is left out and predicted from the others, to see how well that goes.
  if (fine && left > 1) {
    fine = ridge_predict(x + left * e, count - left, e, measured + left * targets, targets, damping, x, left, tried,
                         error);
    if (fine) out->correlation = correlation_of(tried, measured, left * targets);
  }
  fine = fine && ridge_predict(x, count, e, measured, targets, damping, all, out->pool, out->p, error);
  free(all), free(x), free(tried);
  return fine;
}

bool select_influences(struct stage_work *work, int target_part, struct influences *out, struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct measuring m = {.work = work, .config = c};
  const int64_t count = c->data.landmarks;
  *out = (struct influences){
      .pool = c->data.pool_tokens / c->model.context, .targets = c->data.targets, .correlation = NAN};
  out->p = memory_get((size_t)(out->pool * out->targets) * sizeof *out->p);
  int64_t *landmarks = memory_get((size_t)count * sizeof *landmarks);
  double *measured = memory_get((size_t)(count * out->targets) * sizeof *measured);
  const bool all = count == out->pool;
  struct permutation order = permutation(mix64(select_pool_stream(c) + 1), (uint64_t)out->pool);
  for (int64_t i = 0; i < count; i++) landmarks[i] = all ? i : (int64_t)permute(&order, (uint64_t)i);
  bool fine = open_model(&m, error) && measure_targets(&m, target_part, error) &&
              measure_windows(&m, landmarks, count, all ? out->p : measured, error) &&
              (all || predict(&m, landmarks, measured, out, error));
  free(landmarks), free(measured);
  measuring_free(&m);
  return fine;
}

void influences_free(struct influences *influences) {
  free(influences->p);
  *influences = (struct influences){0};
}
