// See search_fitness.h.
#include "trainer/stages/search_fitness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/stages/calibration.h"
#include "trainer/stages/evaluate_rows.h"

// The parent's predictions on a token.
struct row {
  double entropy;  // - sum of p ln p over what is kept, the rest as one included
  double rest;     // 1 - sum of p over what is kept; 0 of all symbols
  double kept;     // sum of p over what is kept
  int32_t target;
  bool counts;
};

struct fitness {
  struct stage_work *work;
  int64_t windows, context, vocabulary, top;  // top: symbols kept a token
  bool loss, coarse;
  struct row *rows;  // [windows context]
  float *p;          // [windows context, top]
  int32_t *symbols;  // [windows context, top] of top_kl
  struct model *model;
  struct two_models two;
  struct batch_memory batch;
  int64_t tokens;
};

double fitness_bytes(const struct run_config *c, int64_t tokens) {
  if (strcmp(c->search.fitness, "loss") == 0) return 0;
  if (strcmp(c->search.fitness, "top_kl") == 0) return 8.0 * (double)c->search.top * (double)tokens;
  return 4.0 * (double)c->model.vocabulary * (double)tokens;
}

static double log_sum(const float *logits, int64_t count) {
  float most = logits[0];
  double sum = 0;
  for (int64_t v = 1; v < count; v++) most = fmaxf(most, logits[v]);
  for (int64_t v = 0; v < count; v++) sum += (double)expf(logits[v] - most);
  return log(sum) + (double)most;
}

// ---- the parent ----

// The likeliest symbols, in falling order, the first of equals first.
static void choose_top(const float *logits, int64_t vocabulary, int64_t top, int32_t *out) {
  for (int64_t i = 0; i < top; i++) {
    int64_t best = -1;
    for (int64_t v = 0; v < vocabulary; v++) {
      bool taken = best >= 0 && !(logits[v] > logits[best]);
      // Behind the last chosen one in the order of (logit falling, number rising).
      if (!taken && i > 0)
        taken = logits[v] > logits[out[i - 1]] || (logits[v] == logits[out[i - 1]] && v <= out[i - 1]);
      if (!taken) best = v;
    }
    out[i] = (int32_t)best;
  }
}

static void keep_row(struct fitness *f, int64_t at, const float *logits) {
  struct row *row = &f->rows[at];
  float *p = f->p + at * f->top;
  int32_t *symbols = f->coarse ? f->symbols + at * f->top : NULL;
  double sum = log_sum(logits, f->vocabulary);
  if (symbols) choose_top(logits, f->vocabulary, f->top, symbols);
  row->kept = row->entropy = row->rest = 0;
  for (int64_t i = 0; i < f->top; i++) {
    p[i] = (float)exp((double)logits[symbols ? symbols[i] : i] - sum);
    row->kept += (double)p[i];
    if (p[i] > 0) row->entropy -= (double)p[i] * log((double)p[i]);
  }
  if (symbols) row->rest = fmax(0, 1 - row->kept);
  if (row->rest > 0) row->entropy -= row->rest * log(row->rest);
}

// ---- a candidate ----

// KL of what is kept of p from the candidate's logits.
static double divergence(const struct fitness *f, int64_t at, const float *logits) {
  const struct row *row = &f->rows[at];
  const float *p = f->p + at * f->top;
  double sum = log_sum(logits, f->vocabulary), cross = 0, kept = 0;
  if (!f->coarse) {
    for (int64_t v = 0; v < f->top; v++) cross += (double)p[v] * (double)logits[v];
    return row->kept * sum - cross - row->entropy;
  }
  for (int64_t i = 0; i < f->top; i++) {
    double log_q = (double)logits[f->symbols[at * f->top + i]] - sum;
    cross += (double)p[i] * log_q;
    kept += exp(log_q);
  }
  if (row->rest > 0) cross += row->rest * log(fmax(1 - kept, 1e-30));
  return -cross - row->entropy;
}

static bool stopped(struct stage_work *work) {
  work->stopped = work->stop_asked && *work->stop_asked;
  return work->stopped;
}

// All windows up to `windows` through the model: rows are kept, or what they are worth added.
static bool go_over(struct fitness *f, int64_t windows, bool keep, double *worth, struct error *error) {
  struct stage_work *work = f->work;
  const int64_t at_once = f->model->rows / f->context;
  double sum = 0;
  int64_t counted = 0;
  for (int64_t first = 0; first < windows; first += at_once) {
    const int64_t count = windows - first < at_once ? windows - first : at_once, rows = count * f->context;
    const struct corpus_batch request = calibration_request(f->windows, first, count, f->context);
    bool masked = corpus_has_mask(work->run.corpus);
    if (stopped(work) ||
        !corpus_batch(work->run.corpus, &request, f->batch.tokens, f->batch.targets, masked ? f->batch.mask : NULL,
                      error) ||
        !two_models_forward(&f->two, rows, f->batch.tokens, error))
      return false;
    f->tokens += rows;
    for (int64_t begin = 0; begin < rows; begin += LOGIT_ROWS) {
      const int64_t some = rows - begin < LOGIT_ROWS ? rows - begin : LOGIT_ROWS;
      if (!two_models_logits(&f->two, 0, begin, some, error)) return false;
      for (int64_t i = 0; i < some; i++) {
        const int64_t at = first * f->context + begin + i;
        const float *logits = f->two.logits[0] + i * f->vocabulary;
        struct row *row = &f->rows[at];
        if (keep) {
          row->target = f->batch.targets[begin + i];
          row->counts = !masked || f->batch.mask[begin + i];
          if (row->counts && !f->loss) keep_row(f, at, logits);
        } else if (row->counts) {
          sum += f->loss ? log_sum(logits, f->vocabulary) - (double)logits[row->target] : divergence(f, at, logits);
        }
        counted += row->counts;
      }
    }
  }
  if (!counted)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the tokens of search.rounds hold no unmasked target: take more of them") ||
           error_about(error, "search.rounds", NULL);
  if (worth) *worth = isfinite(sum) ? sum / (double)counted : NAN;
  return true;
}

bool fitness_of(struct fitness *f, const struct model_values *values, int64_t tokens, double *worth,
                struct error *error) {
  int64_t windows = (tokens + f->context - 1) / f->context;
  if (windows > f->windows) windows = f->windows;
  struct model *m = f->model;
  m->ops->set_workspace(m->device, m->workspace, (size_t)m->memory.workspace);  // another model may have had its own
  if (!values_write(values, m, error)) return false;
  model_prepare(f->model, f->work->parent.step);
  // The head is read when the pair is made, and a candidate may have another.
  two_models_free(&f->two);
  return two_models_make(&f->two, f->model, NULL, error) && go_over(f, windows, false, worth, error);
}

struct fitness *fitness_make(struct stage_work *work, const struct model_values *values, int64_t tokens,
                             struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct fitness *f = memory_get(sizeof *f);
  *f = (struct fitness){.work = work,
                        .context = c->model.context,
                        .vocabulary = c->model.vocabulary,
                        .windows = (tokens + c->model.context - 1) / c->model.context,
                        .loss = strcmp(c->search.fitness, "loss") == 0,
                        .coarse = strcmp(c->search.fitness, "top_kl") == 0};
  const size_t rows = (size_t)(f->windows * f->context);
  f->top = f->loss ? 0 : f->coarse ? c->search.top : f->vocabulary;
  f->rows = memory_get(rows * sizeof *f->rows);
  f->p = memory_get(rows * (size_t)f->top * sizeof *f->p + 1);
  if (f->coarse) f->symbols = memory_get(rows * (size_t)f->top * sizeof *f->symbols);
  f->model = stage_model_of(work, work->parent_format, values, error);
  bool fine = f->model != NULL;
  if (fine) f->batch = batch_memory(f->model->rows);
  if (fine && two_models_make(&f->two, f->model, NULL, error) && go_over(f, f->windows, true, NULL, error)) return f;
  fitness_free(f);
  return NULL;
}

int64_t fitness_tokens(const struct fitness *f) { return f->tokens; }

void fitness_free(struct fitness *f) {
  if (!f) return;
  two_models_free(&f->two);
  model_free(f->model);
  batch_free(&f->batch);
  free(f->rows);
  free(f->p);
  free(f->symbols);
  free(f);
}
