// See calibration.h.
#include "trainer/stages/calibration.h"

#include <stdlib.h>

#include "trainer/layout.h"

static const uint64_t order_seed = 0x63616c696272;  // any number but a run's usual seeds

// What the observer needs; its errors wait until the forward pass is over.
struct seeing {
  struct calibration *calibration;
  struct model *model;
  void *host;  // [rows, inputs] of the widest matrix
  struct error error;
};

static void see(void *context, int64_t layer, int matrix, int64_t rows, const void *x) {
  struct seeing *s = context;
  struct model *m = s->model;
  if (s->error.code) return;
  struct weight_description d = layout_weight(&m->config, (enum model_matrix)matrix, layer);
  struct hessian *hessian = s->calibration->hessians[layer * MATRIX_HEAD + matrix];
  if (!hessian) return;
  size_t bytes = (size_t)(rows * d.inputs) * dtype_bytes(m->dtype);
  if (m->ops->download(m->device, s->host, x, bytes, &s->error)) hessian_add(hessian, s->host, rows, &s->error);
}

static bool make_hessians(struct calibration *c, const struct model *m, int64_t layer, struct error *error) {
  const struct run_config *config = &m->config;
  c->gemm = gemm_open(GEMM_AUTO, (int)config->train.threads, error);
  if (!c->gemm) return false;
  c->count = config->model.layers * MATRIX_HEAD;
  c->hessians = memory_get((size_t)c->count * sizeof(struct hessian *));
  for (int64_t i = 0; i < c->count; i++) {
    struct weight_description d = layout_weight(config, (enum model_matrix)(i % MATRIX_HEAD), i / MATRIX_HEAD);
    if (layer != CALIBRATE_ALL && i / MATRIX_HEAD != layer) continue;
    c->hessians[i] = hessian_make(c->gemm, d.inputs, m->dtype, error);
    if (!c->hessians[i]) return false;
  }
  return true;
}

struct corpus_batch calibration_request(int64_t windows, int64_t first, int64_t rows, int64_t context) {
  return (struct corpus_batch){
      .seed = order_seed, .batch_rows = windows, .first_row = first, .rows = rows, .context = context};
}

// All windows, as many at once as the model takes.
static bool go_over(struct stage_work *work, struct seeing *s, int64_t windows, struct error *error) {
  struct model *m = s->model;
  int64_t context = m->config.model.context, at_once = m->rows / context;
  struct batch_memory batch = batch_memory(m->rows);
  bool fine = true;
  for (int64_t first = 0; first < windows && fine && !work->stopped; first += at_once) {
    int64_t rows = windows - first < at_once ? windows - first : at_once;
    const struct corpus_batch request = calibration_request(windows, first, rows, context);
    fine = corpus_batch(work->run.corpus, &request, batch.tokens, batch.targets, NULL, error) &&
           model_forward(m, rows * context, batch.tokens, error);
    if (fine && s->error.code) {
      error_take(error, &s->error);
      fine = false;
    }
    work->stopped = work->stop_asked && *work->stop_asked;
  }
  batch_free(&batch);
  return fine && !work->stopped;
}

bool calibrate(struct stage_work *work, const struct model_values *values, int64_t tokens, int64_t layer,
               struct calibration *calibration, struct error *error) {
  *calibration = (struct calibration){0};
  struct seeing seeing = {.calibration = calibration};
  const struct model_observer observer = {&seeing, see};
  struct model *m = stage_model_of(work, work->parent_format, values, error);
  bool fine = m && make_hessians(calibration, m, layer, error);
  if (fine) {
    const struct run_config *c = &m->config;
    int64_t widest = c->model.width > c->model.mlp_width ? c->model.width : c->model.mlp_width;
    if (c->model.heads * c->model.head_dim > widest) widest = c->model.heads * c->model.head_dim;
    seeing.model = m;
    seeing.host = memory_get((size_t)(m->rows * widest) * dtype_bytes(m->dtype));
    m->observer = &observer;
    fine = go_over(work, &seeing, (tokens + c->model.context - 1) / c->model.context, error);
    m->observer = NULL;
  }
  free(seeing.host);
  model_free(m);
  return fine;
}

const float *calibration_hessian(struct calibration *calibration, int64_t layer, int matrix) {
  return hessian_mean(calibration->hessians[layer * MATRIX_HEAD + matrix]);
}

void calibration_free(struct calibration *calibration) {
  for (int64_t i = 0; i < calibration->count; i++)
    if (calibration->hessians[i]) hessian_free(calibration->hessians[i]);
  free(calibration->hessians);
  if (calibration->gemm) gemm_close(calibration->gemm);
  *calibration = (struct calibration){0};
}
