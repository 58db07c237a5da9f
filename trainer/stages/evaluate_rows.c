// See evaluate_rows.h.
#include "trainer/stages/evaluate_rows.h"

#include <math.h>
#include <stdlib.h>

#include "trainer/readout.h"

bool two_models_make(struct two_models *two, struct model *first, struct model *second, struct error *error) {
  const struct run_config *c = &first->config;
  *two = (struct two_models){.models = {first, second}, .count = second ? 2 : 1};
  for (int i = 0; i < two->count; i++) {
    two->heads[i] = memory_get((size_t)(c->model.vocabulary * c->model.width) * sizeof(float));
    two->x[i] = memory_get((size_t)(first->rows * c->model.width) * sizeof(float));
    two->logits[i] = memory_get((size_t)(LOGIT_ROWS * c->model.vocabulary) * sizeof(float));
    if (!model_read_head(two->models[i], two->heads[i], error)) return false;
  }
  two->gemm = gemm_open(GEMM_AUTO, (int)c->train.threads, error);
  return two->gemm != NULL;
}

void two_models_free(struct two_models *two) {
  for (int i = 0; i < 2; i++) {
    free(two->heads[i]);
    free(two->x[i]);
    free(two->logits[i]);
  }
  if (two->gemm) gemm_close(two->gemm);
  *two = (struct two_models){0};
}

bool two_models_forward(struct two_models *two, int64_t rows, const int32_t *tokens, struct error *error) {
  for (int i = 0; i < two->count; i++)
    if (!two_models_forward_one(two, i, rows, tokens, error)) return false;
  return true;
}

bool two_models_forward_one(struct two_models *two, int which, int64_t rows, const int32_t *tokens,
                            struct error *error) {
  struct model *m = two->models[which];
  // A device has one workspace: the model's whose turn it is.
  m->ops->set_workspace(m->device, m->workspace, (size_t)m->memory.workspace);
  return model_forward(m, rows, tokens, error) &&
         model_read(m, m->final_x, m->dtype, rows * m->config.model.width, two->x[which], error);
}

bool two_models_logits(struct two_models *two, int which, int64_t first, int64_t count, struct error *error) {
  const struct run_config *c = &two->models[which]->config;
  const struct gemm product = {.form = GEMM_NT,
                               .m = count,
                               .n = c->model.vocabulary,
                               .k = c->model.width,
                               .in = DTYPE_FLOAT32,
                               .out = DTYPE_FLOAT32};
  return gemm_run(two->gemm, &product, two->x[which] + first * c->model.width, two->heads[which], two->logits[which],
                  error);
}

int32_t likeliest(const float *logits, int64_t vocabulary) {
  int64_t best = 0;
  for (int64_t v = 1; v < vocabulary; v++)
    if (logits[v] > logits[best]) best = v;
  return (int32_t)best;
}

// ln sum exp.
static double log_sum(const float *logits, int64_t vocabulary, float largest) {
  double sum = 0;
  for (int64_t v = 0; v < vocabulary; v++) sum += exp((double)logits[v] - largest);
  return log(sum) + largest;
}

static void add_row(struct two_models *two, int64_t row, int32_t target, struct row_sums *sums) {
  int64_t vocabulary = two->models[0]->config.model.vocabulary;
  const float *p = two->logits[0] + row * vocabulary, *q = two->logits[1] + row * vocabulary;
  int32_t best_p = likeliest(p, vocabulary), best_q = likeliest(q, vocabulary);
  double sum_p = log_sum(p, vocabulary, p[best_p]), sum_q = log_sum(q, vocabulary, q[best_q]), kl = 0;
  for (int64_t v = 0; v < vocabulary; v++) {
    double log_p = p[v] - sum_p;
    kl += exp(log_p) * (log_p - (q[v] - sum_q));
  }
  sums->kl += kl;
  sums->rows++;
  sums->same += best_p == best_q;
  sums->targets++;
  sums->right[0] += best_p == target;
  sums->right[1] += best_q == target;
}

bool two_models_compare(struct two_models *two, int64_t rows, const int32_t *targets, const uint8_t *mask,
                        struct row_sums *sums, struct error *error) {
  for (int64_t first = 0; first < rows; first += LOGIT_ROWS) {
    int64_t count = rows - first < LOGIT_ROWS ? rows - first : LOGIT_ROWS;
    if (!two_models_logits(two, 0, first, count, error) || !two_models_logits(two, 1, first, count, error))
      return false;
    for (int64_t i = 0; i < count; i++)
      if (!mask || mask[first + i]) add_row(two, i, targets[first + i], sums);
  }
  return true;
}

bool two_models_answers(struct two_models *two, int64_t first, int64_t count, const int32_t *targets,
                        const uint8_t *mask, int64_t *answers, int64_t right[2], struct error *error) {
  int64_t vocabulary = two->models[0]->config.model.vocabulary;
  *answers = right[0] = right[1] = 0;
  for (int64_t done = 0; done < count; done += LOGIT_ROWS) {
    int64_t rows = count - done < LOGIT_ROWS ? count - done : LOGIT_ROWS;
    for (int m = 0; m < two->count; m++)
      if (!two_models_logits(two, m, first + done, rows, error)) return false;
    for (int64_t i = 0; i < rows; i++) {
      if (!mask[done + i]) continue;
      *answers += 1;
      for (int m = 0; m < two->count; m++)
        right[m] += likeliest(two->logits[m] + i * vocabulary, vocabulary) == targets[done + i];
    }
  }
  return true;
}
